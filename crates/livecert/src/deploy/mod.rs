//! Deployment: commands of the user's own around a certificate, and whether a service really shows it. It has heard of no
//! store and of no CA.

mod handshake;
mod hook;
mod presence;
mod served;
mod served_at;
mod starttls;

pub use crate::process::ProcessFailure as HookFailure;
pub use hook::{HookCall, HookError, HookKind, HookOutput, run_hook};
pub use presence::{Absence, look_for};
pub use served::{Expected, ServedError, ServedFailure, ServedFinding, served};
pub use served_at::{ServedAt, ServedAtError, StartTls};

//! Deployment: commands of the user's own around a certificate. It has heard of no certificate and of no store.

mod hook;
mod running;
mod tail;

pub use hook::{HookCall, HookError, HookFailure, HookKind, HookOutput, run_hook};

//! The certificate service: from names to a certificate in the store, and again before it ends.
//!
//! [`Service::issue`] is the page to read first.

mod account;
mod bundle;
mod check;
mod credential;
mod error;
mod handover;
mod issue;
mod ledger;
mod name;
mod order;
mod plan;
mod renew;
mod server;
mod service;
mod settings;
mod sweep;

pub use bundle::{BundleError, check_bundle};
pub use check::{CaaRefusal, Finding, Level};
pub use credential::{CheckedCredential, Renewed, WARN_DAYS, Written};
pub use error::{CertificateError, Failure};
pub use handover::{HookRequest, Hooked};
pub use issue::{Issued, Outcome};
pub use name::{DomainName, NameError, parse_names};
pub use plan::{Plan, PlannedRrset};
pub use renew::{Due, Renewal, RenewalResult, due};
pub use server::{SERVERS, ServerError, ServerUrl};
pub use service::Service;
pub use settings::{IssueRequest, PropagationRequest};
pub use sweep::{SweepReport, Swept};

use error::with_causes;

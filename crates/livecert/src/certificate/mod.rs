//! The certificate service: from names to a certificate in the store, and again before it ends.
//!
//! [`Service::issue`] is the page to read first.

mod account;
mod bundle;
mod error;
mod issue;
mod name;
mod order;
mod renew;
mod server;
mod service;
mod settings;

pub use bundle::{BundleError, check_bundle};
pub use error::{CertificateError, Failure};
pub use issue::{Issued, Outcome};
pub use name::{DomainName, NameError, parse_names};
pub use renew::{Due, Renewal, RenewalResult, due};
pub use server::{SERVERS, ServerError, ServerUrl};
pub use service::Service;
pub use settings::{IssueRequest, PropagationRequest};

//! The certificate service: from names to a certificate in the store, and again before it ends.
//!
//! [`Service::issue`] is the page to read first.

mod account;
mod account_choice;
mod accounts;
mod amend;
mod apply;
mod attempt;
mod authz;
mod back_off;
mod bundle;
mod check;
mod connect;
mod connections;
mod credential;
mod deployment;
mod due;
mod error;
mod error_kind;
mod handover;
mod hold;
mod import;
mod intention;
mod issue;
mod lanes;
mod ledger;
mod limit;
mod lost_account;
mod name;
mod order;
mod outlook;
mod output;
mod per_name;
mod persist;
mod plan;
mod proof;
mod proof_record;
mod publisher;
mod ready;
mod rehearse;
mod remove;
mod renew;
mod renewal_info;
mod revoke;
mod rollback;
mod sealing;
mod server;
mod servers;
mod service;
mod settings;
mod status;
mod steps;
mod sweep;
mod work;

pub use account::AccountRequest;
pub use accounts::KnownAccount;
pub use amend::Amended;
pub use apply::{Applied, AppliedResult};
pub use bundle::{BundleError, CheckedBundle, check_bundle};
pub use check::{CaaRefusal, Finding, Level};
pub use credential::{CheckedCredential, CredentialCheck, Renewed, WARN_DAYS, Written};
pub use deployment::{DeployRun, DeploymentError, DeploymentFailure, DeploymentRequest};
pub use due::{Due, due};
pub use error::{CertificateError, Failure};
pub use handover::{Care, HookRequest, Hooked};
pub use import::{Import, ImportRequest, ImportedAccount, ImportedCertificate, Taken, plan_import};
pub use intention::{ApplyRequest, Declared, Intention, Step, intentions};
pub use issue::{Issued, Outcome};
pub use limit::{Fill, Limit, LimitError, LimitKind, Limits, Reached, ServerLimits, Use, limits};
pub use name::{NameError, SubjectName, names_of_request, parse_names, readable};
pub use output::{FormatError, OutputFormat, OutputRequest};
pub use per_name::{PerName, PerNameError};
pub use persist::{PersistRequest, Persisted, Stands};
pub use plan::{Plan, PlannedRrset};
pub use proof::dns_alias;
pub use proof_record::known_publishers;
pub use publisher::{PublisherRequest, publishers_of};
pub use rehearse::{RehearsalAccount, RehearsalStep, Rehearsed};
pub use remove::Removed;
pub use renew::{RenewRequest, Renewal, RenewalResult};
pub use renewal_info::{window, window_in};
pub use revoke::RevocationRequest;
pub use rollback::{RollbackError, RolledBack};
pub use sealing::{Rotated, Waiting};
pub use server::{SERVERS, ServerError, ServerUrl};
pub use servers::{KnownServer, RemovedServer, ServerChange, Servers};
pub use service::Service;
pub use settings::{ExternalAccountRequest, IssueRequest, PropagationRequest};
pub use status::{Standing, StandingError, StatusReport, StatusRequest, Trouble, TroubleKind, status};
pub use steps::{
    Answered, GivenUp, ListenEnd, Listening, NewOrderReport, OpenName, OpenOrder, OrderError, OrderStanding,
    ProofRequest, SettingsAfter, ShownProof, StepOutcome, StepReport, ToShow,
};
pub use sweep::{SweepReport, Swept};

use error::with_causes;

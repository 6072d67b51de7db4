//! Why there is no new certificate.

use std::fmt;

use super::{BundleError, NameError, ServerError};
use crate::challenge::ChallengeError;
use crate::key::KeyError;
use crate::network::NetworkError;
use crate::plugin::{ArgumentError, PluginError};
use crate::secret::SealError;
use crate::store::{CertNameError, StoreError};

/// Why the work on a certificate ended without a new one. The certificate that was there before is still in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No name was given.
    #[error("no name is given")]
    NoNames,
    /// A name that cannot be in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The validation name would be longer than DNS allows.
    #[error(
        "'{name}' is too long for dns-01: with '_acme-challenge.' it has {len} octets, and 253 is the limit"
    )]
    ValidationNameTooLong {
        /// The name.
        name: String,
        /// Octets of the validation name.
        len: usize,
    },
    /// A certificate name that the store cannot have.
    #[error(transparent)]
    CertName(#[from] CertNameError),
    /// A resolver that is none.
    #[error(transparent)]
    Resolver(#[from] crate::dns::ResolverAddressError),
    /// The server is none.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The plugin's name or arguments.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sealing key, or a sealed value.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The HTTP client.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// What is given as a record's name is none.
    #[error("'{name}' is no name of a TXT record")]
    RecordName {
        /// The text that was given.
        name: String,
    },
    /// What is given as a TXT value is none that can be published.
    #[error("a TXT value must have 1 to 255 printable ASCII characters")]
    RecordValue,
    /// A value could not be removed; the journal knows of it.
    #[error("the TXT value at {fqdn} could not be removed")]
    LeftBehind {
        /// The record's name.
        fqdn: String,
        /// Why.
        #[source]
        source: std::sync::Arc<PluginError>,
    },
    /// The credential could not be renewed; the old one is as it was.
    #[error("there is no new credential")]
    Credential(#[source] PluginError),
    /// The new credential was not let in. Both are on disk.
    #[error("the new credential, in {}, could not be proved; the old one is still in use", path.display())]
    NewCredential {
        /// Where the new one is.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: PluginError,
    },
    /// CAA records forbid it; there is no order.
    #[error("CAA records do not allow {identity} to give a certificate for {}", refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Caa {
        /// The CA's name in CAA records.
        identity: String,
        /// The names, with the records that count for them.
        refusals: Vec<super::CaaRefusal>,
    },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The account key on disk is not usable.
    #[error("the stored account key for {server} cannot be read")]
    AccountKey {
        /// The server's directory URL.
        server: String,
    },
    /// The server wants its terms to be accepted.
    #[error("{server} wants its terms of service to be accepted before it makes an account: {}", terms.as_deref().unwrap_or("(it names no URL)"))]
    TermsNotAccepted {
        /// The server.
        server: String,
        /// Where the terms are.
        terms: Option<String>,
    },
    /// The server makes accounts only for those it knows already.
    #[error("{server} makes accounts only with an external account binding, which is not supported yet")]
    ExternalAccountRequired {
        /// The server.
        server: String,
    },
    /// The ACME server, or the way to it.
    #[error("{step} failed at {server}")]
    Acme {
        /// What was being done, such as `the order`.
        step: &'static str,
        /// The server.
        server: String,
        /// What it said.
        #[source]
        source: livecert_acme::Error,
    },
    /// The CA offers no challenge that can be solved.
    #[error("{server} offers no dns-01 challenge for {name} (it offers: {})", offered.join(", "))]
    NoChallenge {
        /// The server.
        server: String,
        /// The name.
        name: String,
        /// What it offers.
        offered: Vec<String>,
    },
    /// Showing the proofs failed.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// The CA refused names.
    #[error("{server} refused {}", refusals(failures))]
    Refused {
        /// The server.
        server: String,
        /// Each name with the CA's words and what DNS showed.
        failures: Vec<Failure>,
    },
    /// What the CA sent is not the certificate that was asked for.
    #[error("the CA's certificate was not taken")]
    Bundle(#[from] BundleError),
    /// Somebody pressed Ctrl-C, or the service manager said stop.
    #[error("interrupted; what was published is removed")]
    Interrupted,
}

/// A name that the CA refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The name.
    pub name: String,
    /// The CA's words.
    pub problem: String,
    /// What the name servers showed at that moment, a line for each.
    pub seen: Vec<String>,
}

fn refusals(failures: &[Failure]) -> String {
    let one = |failure: &Failure| format!("{}: {}", failure.name, failure.problem);
    failures.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

impl CertificateError {
    /// Whether the words or the input were wrong and nothing was done.
    pub fn is_input(&self) -> bool {
        match self {
            CertificateError::NoNames
            | CertificateError::Name(_)
            | CertificateError::ValidationNameTooLong { .. }
            | CertificateError::CertName(_)
            | CertificateError::Server(_)
            | CertificateError::Argument(_)
            | CertificateError::RecordName { .. }
            | CertificateError::RecordValue
            | CertificateError::Resolver(_)
            | CertificateError::TermsNotAccepted { .. }
            | CertificateError::Store(StoreError::NoSuchCertificate { .. })
            | CertificateError::Network(
                NetworkError::BundleUnreadable { .. } | NetworkError::BundleEmpty { .. },
            ) => true,
            CertificateError::Key(error) => matches!(error, KeyError::UnknownType(_)),
            _ => false,
        }
    }
}

/// An error with its causes, in one line.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

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
    /// An IP address, which DNS proves nothing about.
    #[error("{name} is an IP address, which cannot be proved with {} (RFC 8738 §7)", list(challenges))]
    AddressInDns {
        /// The address.
        name: String,
        /// The challenges that may be used.
        challenges: Vec<livecert_acme::ChallengeType>,
    },
    /// A wildcard, which nothing at a host proves.
    #[error("{name} cannot be proved with {} (RFC 8555 §8.3, RFC 8737 §3)", list(challenges))]
    WildcardAtHost {
        /// The wildcard.
        name: String,
        /// The challenges that may be used.
        challenges: Vec<livecert_acme::ChallengeType>,
    },
    /// What the user's own certificate request says already.
    #[error("{option} cannot be given beside a certificate request of your own, which says that already")]
    FixedByRequest {
        /// The option.
        option: &'static str,
    },
    /// A file that has the key in it, for a key that its owner keeps.
    #[error(
        "{what} has the private key in it, and with a certificate request of your own the key stays with you"
    )]
    NoKeyFor {
        /// The file.
        what: &'static str,
    },
    /// Settings that are in the certificate itself.
    #[error("{what} needs another certificate, for it is in the certificate itself")]
    NeedsAnother {
        /// What was asked for.
        what: &'static str,
    },
    /// A certificate that the file has nothing to do with.
    #[error("{} has no certificate named '{cert}', and had none", file.display())]
    NotDeclared {
        /// The name that was given.
        cert: String,
        /// The file.
        file: std::path::PathBuf,
        /// A name that is much alike.
        similar: Option<String>,
    },
    /// A form of the certificate that is none.
    #[error(transparent)]
    Format(#[from] super::FormatError),
    /// Files for somebody that they cannot be for.
    #[error(transparent)]
    Access(#[from] crate::store::AccessError),
    /// What is said for names cannot be.
    #[error(transparent)]
    PerName(#[from] super::PerNameError),
    /// A challenge that is none.
    #[error(transparent)]
    ChallengeChoice(#[from] crate::challenge::ChallengeChoiceError),
    /// A challenge that the plugin cannot solve.
    #[error(transparent)]
    ChallengeMismatch(#[from] crate::challenge::ChallengeMismatch),
    /// The server does not offer the profile.
    #[error("{server} does not offer the profile '{profile}' (it offers: {})", if offered.is_empty() { "none".to_owned() } else { offered.join(", ") })]
    UnknownProfile {
        /// The server.
        server: String,
        /// The profile that was asked for.
        profile: String,
        /// What it offers.
        offered: Vec<String>,
    },
    /// No staging server is known for the certificate's home.
    #[error("no staging server of {server} is known, so there is nowhere to rehearse")]
    NoTwin {
        /// The certificate's home.
        server: String,
    },
    /// What is named as a staging server is not one.
    #[error("{server} is no staging server: a certificate from there would be a real one")]
    NotATwin {
        /// The server.
        server: String,
    },
    /// The server does not want to be asked before that moment; nothing was sent.
    #[error("{server} does not want to be asked for this certificate before {until:.0}: {words}")]
    Held {
        /// The server.
        server: String,
        /// When it may be asked again.
        until: jiff::Timestamp,
        /// What it said.
        words: String,
    },
    /// The server has answered no others of the same run; it was not asked.
    #[error(
        "{server} has answered none of {certificates} certificates in {} s, and was not asked for this one: {words}",
        waited.as_secs()
    )]
    Outage {
        /// The server.
        server: String,
        /// How many got no answer.
        certificates: usize,
        /// From the first of them that began to the last that gave up.
        waited: std::time::Duration,
        /// What the last of them got instead.
        words: String,
    },
    /// Our own requests have used up a rate limit of the server; it was not asked.
    #[error("at {server}, {reached}")]
    LimitReached {
        /// The server.
        server: String,
        /// The limit.
        reached: Box<super::Reached>,
    },
    /// It failed before, and is not tried again yet.
    #[error("waiting after {failures} {} until {until:.0}: {last}", if *failures == 1 { "failure" } else { "failures" })]
    Waiting {
        /// The certificate's name in the store.
        cert: String,
        /// How many tries have failed.
        failures: u32,
        /// When it is tried again.
        until: jiff::Timestamp,
        /// Whether the tries cost the CA so much that it waits also where it is named.
        costly: bool,
        /// The last error.
        last: String,
    },
    /// No standing record grants what is wanted.
    #[error("no TXT record at {at} lets this account have a certificate for {name}")]
    NoStandingRecord {
        /// The name.
        name: String,
        /// Where the record should be.
        at: String,
        /// The value that it should have.
        wanted: String,
    },
    /// A certificate request of the user's own.
    #[error("the certificate request cannot be used")]
    OwnRequest(#[from] crate::key::RequestError),
    /// The names of the user's own request are others than those that were given.
    #[error("the certificate request is for {}, not for the names that are given", requested.join(", "))]
    OtherNamesRequested {
        /// The names in the request.
        requested: Vec<String>,
    },
    /// The server does not tell its name in CAA and standing records.
    #[error("{server} does not tell the name that stands for it in DNS")]
    NoIssuerName {
        /// The server.
        server: String,
    },
    /// There is nothing to revoke, or it is not the store's.
    #[error("there is no certificate to revoke in {}", path.display())]
    NothingToRevoke {
        /// Where it was looked for.
        path: std::path::PathBuf,
    },
    /// A file that the user named.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A secret that the user named.
    #[error("the secret for {what} cannot be read")]
    Secret {
        /// What it is for.
        what: &'static str,
        /// Why.
        #[source]
        source: crate::secret::SecretError,
    },
    /// The HMAC key of an external account binding is none.
    #[error("the key for the external account binding cannot be used")]
    ExternalAccountKey(#[source] livecert_acme::ExternalAccountError),
    /// A server that is to be forgotten, and is needed.
    #[error("{server} is used by {}", users(certificates, accounts))]
    ServerInUse {
        /// The server.
        server: String,
        /// Names of the certificates.
        certificates: Vec<String>,
        /// URLs of the accounts.
        accounts: Vec<String>,
    },
    /// No account at the server is called like that.
    #[error("there is no account '{account}' at {server}")]
    NoSuchAccount {
        /// The server.
        server: String,
        /// What was given.
        account: String,
        /// What the accounts there are called.
        known: Vec<String>,
    },
    /// A text that cannot name an account.
    #[error(
        "'{0}' cannot name an account: letters, digits, '-', '_' and '.' can, up to 64 of them, a letter or digit in front"
    )]
    AccountName(String),
    /// An account that is to be forgotten, and is needed.
    #[error("the account {account} at {server} is used by {}", users(certificates, &[]))]
    AccountInUse {
        /// The server.
        server: String,
        /// What it is called.
        account: String,
        /// Names of the certificates.
        certificates: Vec<String>,
    },
    /// Names whose certificates have different accounts.
    #[error("certificates for these names are renewed with different accounts at {server}: {}", accounts.join(", "))]
    SeveralAccounts {
        /// The server.
        server: String,
        /// URLs of the accounts.
        accounts: Vec<String>,
    },
    /// There is no account at the server.
    #[error("there is no account at {server}")]
    NoAccount {
        /// The server.
        server: String,
    },
    /// There is an account at the server already.
    #[error("there is an account at {server} already: {account}")]
    AccountExists {
        /// The server.
        server: String,
        /// Its URL.
        account: String,
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
    #[error("{server} makes accounts only with an external account binding")]
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
    /// Neither the certificate's home nor the servers to fall back to gave one.
    #[error("no server gives the certificate: not {}, and not {server}", earlier.iter().map(|(server, reason)| format!("{server} ({reason})")).collect::<Vec<_>>().join(", not "))]
    NoServer {
        /// The servers that were tried first, each with its reason.
        earlier: Vec<(String, String)>,
        /// The last one.
        server: String,
        /// Its reason.
        #[source]
        source: Box<CertificateError>,
    },
    /// The CA offers no challenge that can be solved.
    #[error("{server} offers no {} for {name} (it offers: {})", list(wanted), offered.join(", "))]
    NoChallenge {
        /// The server.
        server: String,
        /// The name.
        name: String,
        /// What may be used.
        wanted: Vec<livecert_acme::ChallengeType>,
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
    /// The file of a proof that could not be removed.
    #[error("{url} may still show its file")]
    FileLeftBehind {
        /// Where it is.
        url: String,
        /// Why.
        #[source]
        source: std::sync::Arc<crate::plugin::PluginError>,
    },
    /// A step of an order that cannot be taken.
    #[error(transparent)]
    Order(#[from] super::OrderError),
    /// There is nothing to go back to, or nothing that can be used.
    #[error(transparent)]
    Rollback(#[from] super::RollbackError),
    /// A pre hook. Nothing was asked of the CA.
    #[error("the CA was not asked")]
    PreHook(#[source] std::sync::Arc<crate::deploy::HookError>),
    /// A post hook, which is owed because of a pre hook. The next run tries it again.
    #[error("what the pre hook has stopped may not run")]
    PostHook(#[source] std::sync::Arc<crate::deploy::HookError>),
    /// Where a certificate should be seen cannot be understood.
    #[error(transparent)]
    ServedAt(crate::deploy::ServedAtError),
    /// The program of a hook is not there, which a rehearsal looks for and does not run.
    #[error("the {hook} hook '{command}' cannot be run")]
    HookProgram {
        /// Which hook it is.
        hook: crate::deploy::HookKind,
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: crate::deploy::Absence,
    },
    /// The certificate is there, and not in use.
    #[error(transparent)]
    Deployment(Box<super::DeploymentError>),
    /// What the CA sent is not the certificate that was asked for.
    #[error("the CA's certificate was not taken")]
    Bundle(#[from] BundleError),
    /// Another client's state.
    #[error(transparent)]
    Import(#[from] crate::import::ImportError),
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

fn list(challenges: &[livecert_acme::ChallengeType]) -> String {
    challenges.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
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
    /// Whether somebody has stopped it, rather than that it failed.
    pub(super) fn is_interrupted(&self) -> bool {
        match self {
            CertificateError::Interrupted => true,
            CertificateError::Deployment(error) => error.failure.is_interrupted(),
            _ => false,
        }
    }

    /// Whether the words or the input were wrong and nothing was done.
    pub fn is_input(&self) -> bool {
        match self {
            CertificateError::NoNames
            | CertificateError::Name(_)
            | CertificateError::ValidationNameTooLong { .. }
            | CertificateError::PerName(_)
            | CertificateError::CertName(_)
            | CertificateError::Server(_)
            | CertificateError::Argument(_)
            | CertificateError::RecordName { .. }
            | CertificateError::RecordValue
            | CertificateError::Resolver(_)
            | CertificateError::AddressInDns { .. }
            | CertificateError::ServedAt(_)
            | CertificateError::WildcardAtHost { .. }
            | CertificateError::FixedByRequest { .. }
            | CertificateError::NoKeyFor { .. }
            | CertificateError::Format(_)
            | CertificateError::NeedsAnother { .. }
            | CertificateError::NotDeclared { .. }
            | CertificateError::Access(_)
            | CertificateError::ChallengeChoice(_)
            | CertificateError::ChallengeMismatch(_)
            | CertificateError::OtherNamesRequested { .. }
            | CertificateError::OwnRequest(_)
            | CertificateError::NothingToRevoke { .. }
            | CertificateError::File { .. }
            | CertificateError::Secret { .. }
            | CertificateError::ExternalAccountKey(_)
            | CertificateError::Seal(
                SealError::NoPlace | SealError::Occupied { .. } | SealError::NotLost { .. },
            )
            | CertificateError::ExternalAccountRequired { .. }
            | CertificateError::ServerInUse { .. }
            | CertificateError::AccountInUse { .. }
            | CertificateError::AccountName(_)
            | CertificateError::NoSuchAccount { .. }
            | CertificateError::SeveralAccounts { .. }
            | CertificateError::NoAccount { .. }
            | CertificateError::NoIssuerName { .. }
            | CertificateError::AccountExists { .. }
            | CertificateError::Import(_)
            | CertificateError::NoTwin { .. }
            | CertificateError::HookProgram { .. }
            | CertificateError::NotATwin { .. }
            | CertificateError::TermsNotAccepted { .. }
            | CertificateError::UnknownProfile { .. }
            | CertificateError::Store(StoreError::NoSuchCertificate { .. })
            | CertificateError::Network(
                NetworkError::BundleUnreadable { .. } | NetworkError::BundleEmpty { .. },
            ) => true,
            CertificateError::Rollback(error) => error.is_input(),
            CertificateError::Order(super::OrderError::None { .. }) => true,
            CertificateError::Key(error) => {
                matches!(error, KeyError::UnknownType(_) | KeyError::Name(_) | KeyError::Pkcs12(_))
            }
            _ => false,
        }
    }

    /// Whether another CA may do better: on an outage, a rate limit or an internal error of this one. What is wrong with
    /// DNS, a credential or a name is wrong for every CA.
    pub fn calls_for_another_server(&self) -> bool {
        use livecert_acme::ErrorClass::{Outage, RateLimited, ServerInternal};
        match self {
            CertificateError::Held { .. }
            | CertificateError::Outage { .. }
            | CertificateError::LimitReached { .. } => true,
            // A validation that does not come to an end is about the names as likely as about the server.
            CertificateError::Acme { source: livecert_acme::Error::Unsettled { .. }, .. } => false,
            CertificateError::Acme { source, .. } => {
                matches!(source.class(), Outage | RateLimited | ServerInternal)
            }
            _ => false,
        }
    }

    /// Whether it is about this server alone, so that another one may take the request all the same.
    pub(super) fn is_about_the_server(&self) -> bool {
        use livecert_acme::ErrorClass::{Dns, Refused};
        match self {
            CertificateError::Held { .. }
            | CertificateError::Outage { .. }
            | CertificateError::LimitReached { .. }
            | CertificateError::TermsNotAccepted { .. }
            | CertificateError::ExternalAccountRequired { .. }
            | CertificateError::UnknownProfile { .. }
            | CertificateError::Caa { .. }
            | CertificateError::NoChallenge { .. } => true,
            CertificateError::Acme { source, .. } => !matches!(source.class(), Dns | Refused),
            _ => false,
        }
    }
}

/// Who uses a server or an account.
fn users(certificates: &[String], accounts: &[String]) -> String {
    let of = |what: &str, all: &[String]| match all {
        [] => None,
        [one] => Some(format!("the {what} {one}")),
        all => Some(format!("the {what}s {}", all.join(", "))),
    };
    let both = [of("certificate", certificates), of("account", accounts)];
    both.into_iter().flatten().collect::<Vec<_>>().join(" and ")
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

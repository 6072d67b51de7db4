//! The stable names of errors, for scripts: in `--json`, in state files, and for hooks.

use gandi_livedns::NetworkKind;
use livecert_acme::{ErrorClass, TransportError};

use super::{CertificateError, RollbackError};
use crate::challenge::ChallengeError;
use crate::import::ImportError;
use crate::key::KeyError;
use crate::plugin::{AcmeDnsError, ArgumentError, PluginError, UpdateError};
use crate::store::StoreError;

impl CertificateError {
    /// The error's stable name, such as `refused` or `rate-limited`.
    pub fn kind(&self) -> &'static str {
        kind(self)
    }
}

fn kind(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::NoNames
        | CertificateError::AddressInDns { .. }
        | CertificateError::WildcardAtHost { .. }
        | CertificateError::OtherNamesRequested { .. }
        | CertificateError::Name(_)
        | CertificateError::ValidationNameTooLong { .. } => "name",
        CertificateError::PerName(_) => "per-name",
        CertificateError::CertName(_) => "cert-name",
        CertificateError::Server(_) => "server",
        CertificateError::ServerInUse { .. } => "server-in-use",
        CertificateError::AccountInUse { .. } => "account-in-use",
        CertificateError::AccountName(_) => "account-name",
        CertificateError::SeveralAccounts { .. } => "several-accounts",
        CertificateError::NoTwin { .. } | CertificateError::NotATwin { .. } => "no-staging-server",
        CertificateError::Argument(
            ArgumentError::Secret { .. }
            | ArgumentError::NoCredential { .. }
            | ArgumentError::NoOwnCredential { .. },
        ) => "credential",
        CertificateError::Argument(ArgumentError::Sealed { .. }) => "sealing-key",
        CertificateError::Argument(_) => "plugin-argument",
        CertificateError::Store(StoreError::NoSuchCertificate { .. }) => "no-such-certificate",
        CertificateError::Store(StoreError::Locked { .. }) => "locked",
        CertificateError::Store(StoreError::Damaged { .. } | StoreError::NewerVersion { .. }) => {
            "state-damaged"
        }
        CertificateError::Store(_) => "state-folder",
        CertificateError::Seal(_) => "sealing-key",
        CertificateError::Network(_) => "network",
        CertificateError::Format(_)
        | CertificateError::NoKeyFor { .. }
        | CertificateError::Key(KeyError::Pkcs12(_)) => "output",
        CertificateError::Key(_) | CertificateError::AccountKey { .. } => "key",
        CertificateError::TermsNotAccepted { .. } => "terms-not-accepted",
        CertificateError::ExternalAccountRequired { .. } => "external-account-required",
        CertificateError::Acme { source, .. } => acme_kind(source),
        CertificateError::NoServer { source, .. } => kind(source),
        CertificateError::NoChallenge { .. } => "no-challenge",
        CertificateError::ChallengeChoice(_) | CertificateError::ChallengeMismatch(_) => "challenge",
        CertificateError::UnknownProfile { .. } => "profile",
        CertificateError::NeedsAnother { .. } => "needs-another-certificate",
        CertificateError::NotDeclared { .. } => "not-declared",
        CertificateError::Access(_) => "access",
        CertificateError::Held { .. } => "rate-limited",
        CertificateError::Outage { .. } => "server-unreachable",
        CertificateError::LimitReached { .. } => "rate-limit-reached",
        CertificateError::Waiting { .. } => "waiting",
        CertificateError::NoStandingRecord { .. } => "no-standing-record",
        CertificateError::NoIssuerName { .. } => "no-issuer-name",
        CertificateError::OwnRequest(_) | CertificateError::FixedByRequest { .. } => "certificate-request",
        CertificateError::NothingToRevoke { .. } => "nothing-to-revoke",
        CertificateError::File { .. } => "file",
        CertificateError::Secret { .. } | CertificateError::ExternalAccountKey(_) => "credential",
        CertificateError::NoAccount { .. } | CertificateError::NoSuchAccount { .. } => "no-account",
        CertificateError::AccountExists { .. } => "account-exists",
        CertificateError::Challenge(ChallengeError::Propagation(_)) => "propagation",
        CertificateError::Challenge(
            ChallengeError::Plugin(error) | ChallengeError::Prepare { source: error, .. },
        ) => plugin_kind(error),
        CertificateError::Challenge(ChallengeError::NoWriter { .. } | ChallengeError::TwoWriters { .. }) => {
            "publisher"
        }
        CertificateError::Challenge(ChallengeError::Alias { .. }) => "dns-alias",
        CertificateError::Challenge(_) => "dns",
        CertificateError::RecordName { .. } | CertificateError::RecordValue => "record",
        CertificateError::LeftBehind { source, .. } | CertificateError::FileLeftBehind { source, .. } => {
            plugin_kind(source)
        }
        CertificateError::Caa { .. } => "caa",
        CertificateError::Credential(_) => "credential-not-renewed",
        CertificateError::NewCredential { .. } => "credential-not-proved",
        CertificateError::Refused { .. } => "refused",
        CertificateError::Bundle(_) => "certificate-rejected",
        CertificateError::Order(error) => error.kind(),
        CertificateError::Rollback(error) => match error {
            RollbackError::NothingBefore { .. } | RollbackError::NoSuchGeneration { .. } => "no-generation",
            RollbackError::Ended { .. } => "certificate-ended",
            RollbackError::Revoked { .. } => "certificate-revoked",
            _ => "generation-damaged",
        },
        CertificateError::Import(ImportError::NoSuchCertificate { .. }) => "no-such-certificate",
        CertificateError::Import(_) => "import",
        CertificateError::PreHook(_) => "pre-hook",
        CertificateError::PostHook(_) => "post-hook",
        CertificateError::ServedAt(_) => "served-at",
        CertificateError::HookProgram { .. } => "hook-program",
        CertificateError::Deployment(error) if error.failure.is_not_served() => "not-served",
        CertificateError::Deployment(_) => "not-deployed",
        CertificateError::Interrupted => "interrupted",
        _ => "other",
    }
}

fn acme_kind(error: &livecert_acme::Error) -> &'static str {
    use livecert_acme::Error;
    match error {
        Error::Transport { source: TransportError::Tls(_), .. } => "tls-not-trusted",
        Error::Transport { .. } => "server-unreachable",
        Error::NotADirectory { .. } => "not-acme",
        Error::RetryLater { .. } => "rate-limited",
        Error::Unsettled { .. } => "timeout",
        Error::NotOffered(_) => "not-offered",
        _ => match error.class() {
            ErrorClass::RateLimited => "rate-limited",
            ErrorClass::AccountGone => "account-gone",
            ErrorClass::Terms => "terms-not-accepted",
            _ => "acme",
        },
    }
}

fn plugin_kind(error: &PluginError) -> &'static str {
    use gandi_livedns::Error;
    let source = match error {
        PluginError::Gandi { source, .. } => source,
        PluginError::Exec(_) => return "exec-failed",
        PluginError::AcmeDns(error) => return acme_dns(error),
        PluginError::Update { source, .. } => return update(source),
        _ => return "plugin",
    };
    match source {
        Error::Unauthorized { .. } => "gandi-unauthorized",
        Error::Forbidden { .. } => "gandi-forbidden",
        Error::NoZone { .. } | Error::ZoneNotVisible { .. } => "gandi-no-zone",
        Error::RateLimited { .. } => "gandi-rate-limited",
        Error::Network { kind: NetworkKind::Tls, .. } => "gandi-tls",
        Error::Network { kind: NetworkKind::Oversized, .. } => "gandi-answer",
        Error::Network { .. } | Error::OutOfTime { .. } => "gandi-unreachable",
        Error::Conflict { .. } | Error::OtherCase { .. } => "gandi-conflict",
        Error::LostUpdate { .. } => "gandi-lost-update",
        Error::Malformed { .. } | Error::Unexpected { .. } => "gandi-answer",
        _ => "gandi",
    }
}

fn acme_dns(error: &AcmeDnsError) -> &'static str {
    match error {
        AcmeDnsError::NoCname { .. } => "acme-dns-cname",
        AcmeDnsError::NotRegistered { .. } | AcmeDnsError::Unknown { .. } => "acme-dns-registration",
        AcmeDnsError::TooMany { .. } => "acme-dns-values",
        AcmeDnsError::Unreachable { .. } => "acme-dns-unreachable",
        AcmeDnsError::Answer { .. } => "acme-dns-answer",
        _ => "acme-dns",
    }
}

fn update(error: &UpdateError) -> &'static str {
    match error {
        UpdateError::BadTime { .. } => "dns-update-clock",
        UpdateError::NoZone { .. } | UpdateError::OtherZones { .. } => "dns-update-no-zone",
        UpdateError::Alias { .. } => "dns-update-conflict",
        UpdateError::Garbled { .. } => "dns-update-answer",
        UpdateError::Refused { .. } => "dns-update-refused",
        error if error.is_silence() => "dns-update-unreachable",
        _ => "dns-update-key",
    }
}

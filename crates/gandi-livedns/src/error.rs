//! What can go wrong, typed so that a caller can give advice.

use jiff::Timestamp;

use crate::credential::{CredentialError, CredentialFacts};
use crate::refusal::{NotFoundKind, Refusal};

/// Why an operation on LiveDNS failed. No variant contains the credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The secret cannot be sent in a header.
    #[error("{0}")]
    InvalidCredential(#[from] CredentialError),
    /// A setting is out of its range.
    #[error("{option}: {reason}")]
    InvalidOption {
        /// Name of the field of [`Options`](crate::Options).
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The base URL names the host of the first LiveDNS API, which no longer serves it.
    #[error("dns.api.gandi.net is the host of the old LiveDNS API; the current one is api.gandi.net")]
    LegacyHost,
    /// A domain name or an rrset type that cannot be one.
    #[error("{name:?}: {reason}")]
    InvalidName {
        /// As given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A TXT value that LiveDNS cannot hold: empty, not printable ASCII, or longer than 16384 characters.
    #[error("a TXT value for {name} is empty, too long or not printable ASCII")]
    InvalidValue {
        /// The name it was meant for.
        name: String,
    },
    /// The name is not at or below the apex of the zone.
    #[error("{name} is not in the zone {zone}")]
    NotInZone {
        /// The name.
        name: String,
        /// The zone.
        zone: String,
    },
    /// 401: the credential is wrong, expired, or of the other kind.
    #[error("Gandi does not accept the credential: {refusal}")]
    Unauthorized {
        /// Gandi's words.
        refusal: Box<Refusal>,
        /// What may be told about the credential.
        facts: CredentialFacts,
    },
    /// 403: a wrong credential, a missing permission, a zone outside a limited token, or a superfluous sharing
    /// id.
    #[error("Gandi denies access ({request}): {refusal}", request = refusal.request)]
    Forbidden {
        /// Gandi's words; of several zones, about the longest name.
        refusal: Box<Refusal>,
        /// When a zone was looked for: the names that were answered 403.
        denied: Vec<String>,
        /// When a zone was looked for: the names that were answered 404.
        not_found: Vec<(String, NotFoundKind)>,
        /// What may be told about the credential.
        facts: CredentialFacts,
    },
    /// No zone for the name: all candidates were answered 404.
    #[error("no LiveDNS zone for {name} (asked: {})", list(tried))]
    NoZone {
        /// The name.
        name: String,
        /// Every candidate, in the order asked, with the kind of its 404.
        tried: Vec<(String, NotFoundKind)>,
        /// What may be told about the credential.
        facts: CredentialFacts,
    },
    /// A record URL was answered 404, and not because the record is missing: the zone is gone, or never was
    /// visible to the credential.
    #[error("the zone {zone} is not accessible ({kind}): {refusal}")]
    ZoneNotVisible {
        /// The zone.
        zone: String,
        /// The kind of the 404.
        kind: NotFoundKind,
        /// Gandi's words.
        refusal: Box<Refusal>,
        /// What may be told about the credential.
        facts: CredentialFacts,
    },
    /// 400, or a 2xx that says `"status":"error"`: Gandi refuses the content of the request.
    #[error("Gandi refuses {request}: {refusal}", request = refusal.request)]
    Invalid {
        /// Gandi's words.
        refusal: Box<Refusal>,
    },
    /// What is at that name stands in the way: a CNAME, or an rrset that `create_rrset` may not replace.
    #[error("{name} is taken{}: {refusal}", cname_target(cname.as_ref()))]
    Conflict {
        /// The name, relative to its zone.
        name: String,
        /// The CNAME's target, when a CNAME was found there.
        cname: Option<String>,
        /// Gandi's words.
        refusal: Box<Refusal>,
    },
    /// 429 for longer than the retry budget, or with a `Retry-After` beyond it.
    #[error("Gandi limits the rate of requests ({request}){}", until(*retry_at))]
    RateLimited {
        /// Method and path.
        request: String,
        /// When to come back, if Gandi said so.
        retry_at: Option<Timestamp>,
    },
    /// 5xx for longer than the retry budget.
    #[error("Gandi's service failed ({request}): {refusal}{}", until(*retry_at))]
    Server {
        /// Method and path.
        request: String,
        /// Gandi's words.
        refusal: Box<Refusal>,
        /// When to come back, if Gandi said so.
        retry_at: Option<Timestamp>,
    },
    /// No complete answer, for longer than the retry budget.
    #[error("{request}: {kind}")]
    Network {
        /// Method and path.
        request: String,
        /// What happened.
        kind: NetworkKind,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A successful answer that is not what the API documents, for instance the page of a proxy.
    #[error("{request}: the answer is not understood ({excerpt})")]
    Malformed {
        /// Method and path.
        request: String,
        /// What is wrong, or the beginning of the body.
        excerpt: String,
    },
    /// A status that the API does not document, such as a redirect, which is never followed.
    #[error("{request}: unexpected answer: {refusal}", request = refusal.request)]
    Unexpected {
        /// What came.
        refusal: Box<Refusal>,
    },
    /// Other writers undid the change each time it was made.
    #[error("{name} in {zone}: another writer undid the change {rounds} times")]
    LostUpdate {
        /// The name, relative to the zone.
        name: String,
        /// The zone.
        zone: String,
        /// How many times the change was tried.
        rounds: u32,
    },
    /// There is an rrset of that name in another letter case, and Gandi neither shows nor changes it under this spelling.
    #[error("{zone} has {stored}, written so, and Gandi refuses changes of {name} because of it")]
    OtherCase {
        /// The name, relative to the zone.
        name: String,
        /// As it is written there.
        stored: String,
        /// The zone.
        zone: String,
    },
    /// Another task was asking for the same zone, and had no answer within the retry budget.
    #[error("no answer about the zone {zone} in time")]
    OutOfTime {
        /// The zone.
        zone: String,
    },
}

/// What kind of failure the network had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkKind {
    /// No connection: name resolution failed, refused, unreachable. Nothing was sent.
    Connect,
    /// No TLS session, for instance an untrusted certificate. Nothing was sent.
    Tls,
    /// No answer within the request timeout.
    Timeout,
    /// The connection ended before the answer did. The request may have been carried out.
    Lost,
    /// The answer is longer than 4 MiB.
    Oversized,
    /// Anything else.
    Other,
}

impl std::fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Tls => "no TLS session",
            Self::Timeout => "no answer in time",
            Self::Lost => "the connection was lost",
            Self::Oversized => "the answer is too long",
            Self::Other => "the request failed",
        })
    }
}

fn list(tried: &[(String, NotFoundKind)]) -> String {
    let items: Vec<String> = tried.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
    items.join("; ")
}

fn cname_target(cname: Option<&String>) -> String {
    cname.map(|target| format!(" by a CNAME to {target}")).unwrap_or_default()
}

fn until(retry_at: Option<Timestamp>) -> String {
    retry_at.map(|at| format!(", retry at {at:.0}")).unwrap_or_default()
}

//! Authorizations (RFC 8555 §7.1.4).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::challenge::Challenge;
use crate::identifier::Identifier;

/// How far an authorization is (RFC 8555 §7.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the RFC's own names, explained there")]
pub enum AuthorizationStatus {
    Pending,
    Valid,
    Invalid,
    Deactivated,
    Expired,
    Revoked,
    Other(String),
}

impl From<String> for AuthorizationStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "pending" => AuthorizationStatus::Pending,
            "valid" => AuthorizationStatus::Valid,
            "invalid" => AuthorizationStatus::Invalid,
            "deactivated" => AuthorizationStatus::Deactivated,
            "expired" => AuthorizationStatus::Expired,
            "revoked" => AuthorizationStatus::Revoked,
            _ => AuthorizationStatus::Other(text),
        }
    }
}

/// The server's view of who may get certificates for one identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authorization {
    /// Its URL.
    pub url: Url,
    /// What it is for; without `*.` for wildcards.
    pub identifier: Identifier,
    /// How far it is.
    pub status: AuthorizationStatus,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whether it is for the wildcard of the identifier.
    pub wildcard: bool,
    /// The ways to prove it, of every type.
    pub challenges: Vec<Challenge>,
}

#[derive(Deserialize)]
pub(crate) struct Body {
    identifier: Identifier,
    status: AuthorizationStatus,
    #[serde(default)]
    expires: Option<Value>,
    #[serde(default)]
    wildcard: bool,
    #[serde(default)]
    challenges: Vec<Value>,
}

impl Authorization {
    pub(crate) fn new(url: Url, body: Body) -> Self {
        Authorization {
            url,
            identifier: body.identifier,
            status: body.status,
            expires: body.expires.as_ref().and_then(time),
            wildcard: body.wildcard,
            challenges: body.challenges.iter().filter_map(Challenge::read).collect(),
        }
    }
}

/// A moment (RFC 3339). Some servers write odd ones, and nothing depends on it: it may be missing.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

//! Authorizations (RFC 8555 §7.1.4).

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::challenge::{Challenge, ChallengeType};
use crate::identifier::Identifier;
use crate::json::{list, optional_parsed, or_default};
use crate::retry::RetryAfter;

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
            _ => AuthorizationStatus::Other(crate::problem::plain(&text)),
        }
    }
}

impl fmt::Display for AuthorizationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthorizationStatus::Pending => "pending",
            AuthorizationStatus::Valid => "valid",
            AuthorizationStatus::Invalid => "invalid",
            AuthorizationStatus::Deactivated => "deactivated",
            AuthorizationStatus::Expired => "expired",
            AuthorizationStatus::Revoked => "revoked",
            AuthorizationStatus::Other(text) => text,
        })
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
    /// Whether it is for the names below the identifier too (RFC 9444 §4.1).
    pub subdomain_auth_allowed: bool,
    /// The ways to prove it, of every type.
    pub challenges: Vec<Challenge>,
    /// When the server wants to be asked again.
    pub retry_after: Option<RetryAfter>,
    /// The whole of it as it came, with what is not understood here.
    pub raw: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    identifier: Identifier,
    status: AuthorizationStatus,
    #[serde(default, deserialize_with = "optional_parsed")]
    expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    wildcard: bool,
    #[serde(default, deserialize_with = "or_default")]
    subdomain_auth_allowed: bool,
    #[serde(default, deserialize_with = "list")]
    challenges: Vec<Value>,
}

impl Authorization {
    pub(crate) fn read(
        url: Url,
        raw: Value,
        retry_after: Option<RetryAfter>,
    ) -> Result<Self, serde_json::Error> {
        let body = Body::deserialize(&raw)?;
        Ok(Authorization {
            url,
            identifier: body.identifier,
            status: body.status,
            expires: body.expires,
            wildcard: body.wildcard,
            subdomain_auth_allowed: body.subdomain_auth_allowed,
            challenges: body.challenges.into_iter().filter_map(Challenge::read).collect(),
            retry_after,
            raw,
        })
    }

    /// The challenge of this type, if it is offered.
    pub fn challenge(&self, kind: &ChallengeType) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.kind == *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    proptest::proptest! {
        #[test]
        fn no_members_make_a_panic(member in "[a-zA-Z]{1,12}", value in "\\PC{0,30}") {
            let raw = json!({"status": "pending", "identifier": {"type": "dns", "value": "a"}, member.clone(): value,
                "challenges": [{"type": value, "url": value, member.clone(): [value]}, value, null]});
            let _ = Authorization::read("https://ca/a".parse().unwrap(), raw, None);
        }
    }
}

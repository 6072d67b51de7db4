//! Problem documents (RFC 7807) with ACME's types (RFC 8555 §6.7).

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::identifier::Identifier;
use crate::json::{MAX_ITEMS, optional_text, or_default};

const NAMESPACE: &str = "urn:ietf:params:acme:error:";

/// What a server says about a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// The type, a URI; ACME's begin with `urn:ietf:params:acme:error:`. Empty stands for `about:blank`: the HTTP
    /// status says it all (RFC 7807 §4.2).
    #[serde(rename = "type", deserialize_with = "text")]
    pub type_uri: String,
    /// A short summary of the type.
    #[serde(deserialize_with = "optional_text")]
    pub title: Option<String>,
    /// What happened, in the server's words.
    #[serde(deserialize_with = "optional_text")]
    pub detail: Option<String>,
    /// The HTTP status.
    #[serde(deserialize_with = "status")]
    pub status: Option<u16>,
    /// Where there is more about it (for `userActionRequired` what a person has to do, RFC 8555 §7.3.3).
    #[serde(deserialize_with = "optional_text")]
    pub instance: Option<String>,
    /// Where the terms of service are that have to be agreed to, if the answer has a link to them (RFC 8555 §7.3.3).
    #[serde(skip)]
    pub terms_of_service: Option<String>,
    /// Problems of single identifiers (RFC 8555 §6.7.1).
    #[serde(deserialize_with = "subproblems")]
    pub subproblems: Vec<Subproblem>,
}

/// A problem of one identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Subproblem {
    /// The type.
    #[serde(rename = "type", deserialize_with = "text")]
    pub type_uri: String,
    /// What happened.
    #[serde(deserialize_with = "optional_text")]
    pub detail: Option<String>,
    /// What it is about.
    pub identifier: Option<Identifier>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(optional_text(deserializer)?.unwrap_or_default())
}

/// Those that can be read; a damaged one must not hide what the problem is.
fn subproblems<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Subproblem>, D::Error> {
    let values: Value = or_default(deserializer)?;
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default().iter().take(MAX_ITEMS);
    Ok(values.filter_map(|value| Subproblem::deserialize(value).ok()).collect())
}

/// Some write it as a text.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => u16::try_from(other.as_u64()?).ok(),
    }))
}

/// A problem inside an order; what is none is taken as missing.
pub(crate) fn optional_problem<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Problem>, D::Error> {
    Ok(Option::<Value>::deserialize(deserializer)?.as_ref().and_then(Problem::from_value))
}

/// The types of problems that RFC 8555 §6.7 and its family name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the RFC's own names, explained there")]
pub enum ProblemKind {
    AccountDoesNotExist,
    AlreadyReplaced,
    AlreadyRevoked,
    BadCsr,
    BadNonce,
    BadPublicKey,
    BadRevocationReason,
    BadSignatureAlgorithm,
    Caa,
    Compound,
    Connection,
    Dns,
    ExternalAccountRequired,
    IncorrectResponse,
    InvalidContact,
    InvalidProfile,
    Malformed,
    OrderNotReady,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Tls,
    Unauthorized,
    UnsupportedContact,
    UnsupportedIdentifier,
    UserActionRequired,
    /// Another URI.
    Other(String),
}

impl ProblemKind {
    fn of(type_uri: &str) -> Self {
        let Some(name) = type_uri.strip_prefix(NAMESPACE) else {
            return ProblemKind::Other(type_uri.to_owned());
        };
        match name {
            "accountDoesNotExist" => ProblemKind::AccountDoesNotExist,
            "alreadyReplaced" => ProblemKind::AlreadyReplaced,
            "alreadyRevoked" => ProblemKind::AlreadyRevoked,
            "badCSR" => ProblemKind::BadCsr,
            "badNonce" => ProblemKind::BadNonce,
            "badPublicKey" => ProblemKind::BadPublicKey,
            "badRevocationReason" => ProblemKind::BadRevocationReason,
            "badSignatureAlgorithm" => ProblemKind::BadSignatureAlgorithm,
            "caa" => ProblemKind::Caa,
            "compound" => ProblemKind::Compound,
            "connection" => ProblemKind::Connection,
            "dns" => ProblemKind::Dns,
            "externalAccountRequired" => ProblemKind::ExternalAccountRequired,
            "incorrectResponse" => ProblemKind::IncorrectResponse,
            "invalidContact" => ProblemKind::InvalidContact,
            "invalidProfile" => ProblemKind::InvalidProfile,
            "malformed" => ProblemKind::Malformed,
            "orderNotReady" => ProblemKind::OrderNotReady,
            "rateLimited" => ProblemKind::RateLimited,
            "rejectedIdentifier" => ProblemKind::RejectedIdentifier,
            "serverInternal" => ProblemKind::ServerInternal,
            "tls" => ProblemKind::Tls,
            "unauthorized" => ProblemKind::Unauthorized,
            "unsupportedContact" => ProblemKind::UnsupportedContact,
            "unsupportedIdentifier" => ProblemKind::UnsupportedIdentifier,
            "userActionRequired" => ProblemKind::UserActionRequired,
            _ => ProblemKind::Other(type_uri.to_owned()),
        }
    }
}

impl Problem {
    /// The type of the problem.
    pub fn kind(&self) -> ProblemKind {
        ProblemKind::of(&self.type_uri)
    }

    /// Where a person can lift it, if Let's Encrypt has paused the account for a name after failing too often: the
    /// URL that it tells. There is no moment when it ends by itself.
    pub fn is_paused(&self) -> Option<&str> {
        let limited = matches!(self.kind(), ProblemKind::RateLimited | ProblemKind::Unauthorized);
        let words = self.detail.as_deref().filter(|_| limited)?.split_whitespace();
        words
            .map(|word| word.trim_matches(['<', '>', '(', ')', '"', ',', '.']))
            .find(|word| word.starts_with("https://") && word.contains("/unpause"))
    }

    /// Whether a rate limit is one of the whole account or address, whatever names are ordered. Boulder's words tell; a
    /// limit in words that are not known is taken for one of the names.
    pub fn limits_everything(&self) -> bool {
        const WORDS: [&str; 6] = [
            "from this account",
            "from this ip",
            "new registrations",
            "new accounts",
            "rate limit for '/",
            "service busy",
        ];
        let detail = self.detail.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.kind() == ProblemKind::RateLimited && WORDS.iter().any(|words| detail.contains(words))
    }

    /// Reads a problem document; `None` if the body is something else.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        Self::from_value(&serde_json::from_slice(body).ok()?)
    }

    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let problem = Problem::deserialize(value).ok().filter(|_| value.is_object())?;
        let said = !problem.type_uri.is_empty() || problem.detail.is_some() || problem.title.is_some();
        said.then_some(problem)
    }
}

impl Subproblem {
    /// The type of the problem.
    pub fn kind(&self) -> ProblemKind {
        ProblemKind::of(&self.type_uri)
    }
}

/// The words of a server on a terminal: without what controls it, and not longer than a person reads.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

/// The longest text of a server that is shown, in characters. Let's Encrypt's with a token for unpausing has some 600.
const MAX_WORDS: usize = 4000;

fn short(type_uri: &str) -> String {
    plain(type_uri.strip_prefix(NAMESPACE).unwrap_or(type_uri))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = short(&self.type_uri);
        let words = self.detail.as_deref().or(self.title.as_deref()).unwrap_or("it gives no reason");
        f.write_str(&plain(words))?;
        if !kind.is_empty() && kind != "about:blank" {
            write!(f, " ({kind})")?;
        }
        for sub in &self.subproblems {
            let name = sub.identifier.as_ref().map_or("?", Identifier::value);
            let words = sub.detail.as_deref().unwrap_or("no reason");
            write!(f, "; {}: {} ({})", plain(name), plain(words), short(&sub.type_uri))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_and_the_names_are_shown() {
        let body = br#"{"type":"urn:ietf:params:acme:error:malformed","detail":"Some of the identifiers are refused",
            "status":400,"extra":1,"subproblems":[{"type":"urn:ietf:params:acme:error:caa","detail":"not us",
            "identifier":{"type":"dns","value":"a.example"}}]}"#;
        let problem = Problem::parse(body).unwrap();
        assert_eq!(problem.kind(), ProblemKind::Malformed);
        assert_eq!(
            problem.to_string(),
            "Some of the identifiers are refused (malformed); a.example: not us (caa)"
        );
        assert_eq!(problem.subproblems[0].kind(), ProblemKind::Caa);
        assert_eq!(Problem::parse(b"<html>"), None);
        assert_eq!(Problem::parse(b"{}"), None);
        assert_eq!(ProblemKind::of("about:blank"), ProblemKind::Other("about:blank".into()));
    }

    #[test]
    fn odd_members_and_control_characters_do_no_harm() {
        let body = br#"{"type":7,"detail":"a\u001b[31mb\nc","status":"403","title":[],"subproblems":null}"#;
        let problem = Problem::parse(body).unwrap();
        assert_eq!((problem.status, problem.to_string()), (Some(403), "a [31mb c".to_owned()));
        for none in ["[]", "\"text\"", "{\"detail\":3}", "null"] {
            assert_eq!(Problem::parse(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_paused_account_is_known_by_the_url_that_ends_it() {
        let mut problem = Problem {
            type_uri: format!("{NAMESPACE}rateLimited"),
            detail: Some(
                "Your account may not order for a.example and others. Please visit: https://ca/sfe/v1/unpause?jwt=a.b.c"
                    .to_owned(),
            ),
            ..Problem::default()
        };
        assert_eq!(problem.is_paused(), Some("https://ca/sfe/v1/unpause?jwt=a.b.c"));
        problem.detail = Some("too many certificates: see https://ca/docs/rate-limits".to_owned());
        assert_eq!(problem.is_paused(), None);
    }

    #[test]
    fn a_limit_of_the_account_is_not_one_of_the_names() {
        let problem = |kind: &str, detail: &str| Problem {
            type_uri: format!("{NAMESPACE}{kind}"),
            detail: Some(detail.to_owned()),
            ..Problem::default()
        };
        let everything = |detail| problem("rateLimited", detail).limits_everything();
        assert!(everything("too many new orders (300) from this account in the last 3h0m0s"));
        assert!(everything("too many new registrations (10) from this IP address in the last 3h0m0s"));
        assert!(everything("Service busy; retry later."));
        assert!(!everything("too many certificates (5) already issued for this exact set of identifiers"));
        assert!(!everything("too many failed authorizations (5) for \"a.example\" in the last 1h0m0s"));
        assert!(!problem("malformed", "not from this account").limits_everything());
        assert!(!Problem::default().limits_everything());
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Problem::parse(&body);
        }

        #[test]
        fn no_members_make_a_panic(words in "\\PC{0,60}", number: u64) {
            for value in [serde_json::json!(words), number.into(), serde_json::json!([words])] {
                let problem = Problem::from_value(&serde_json::json!({"type": value, "detail": value, "status": value,
                    "subproblems": [{"type": value, "detail": value}]}));
                let _ = problem.map(|problem| (problem.to_string(), problem.kind(), problem.is_paused().is_some()));
            }
        }
    }
}

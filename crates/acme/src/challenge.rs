//! Challenges (RFC 8555 §7.1.5, §8), and what they want shown.

use std::fmt;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use url::Url;

use crate::jws::{AccountKey, base64url};
use crate::problem::Problem;

/// A token (RFC 8555 §8.1): base64url, so that it can be a path or a file name without doing harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

/// A token that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's token is not base64url")]
pub struct TokenError;

impl Token {
    /// Checks a token.
    ///
    /// # Errors
    /// It is empty, longer than 512 characters, or not base64url without padding.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let valid = (1..=512).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if valid { Ok(Token(text.to_owned())) } else { Err(TokenError) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The types of challenges.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChallengeType {
    /// dns-01 (RFC 8555 §8.4).
    Dns01,
    /// http-01 (RFC 8555 §8.3).
    Http01,
    /// tls-alpn-01 (RFC 8737).
    TlsAlpn01,
    /// Another one, by its name.
    Other(String),
}

impl fmt::Display for ChallengeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChallengeType::Dns01 => "dns-01",
            ChallengeType::Http01 => "http-01",
            ChallengeType::TlsAlpn01 => "tls-alpn-01",
            ChallengeType::Other(name) => name,
        })
    }
}

/// How far a challenge is (RFC 8555 §7.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the RFC's own names, explained there")]
pub enum ChallengeStatus {
    Pending,
    Processing,
    Valid,
    Invalid,
    Other(String),
}

/// A challenge. What is missing in it (some servers leave out the status, newer types have no token) is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// Its type.
    pub kind: ChallengeType,
    /// Where it is answered.
    pub url: Url,
    /// How far it is.
    pub status: ChallengeStatus,
    /// The token; `None` for types without, and where it is not a token at all.
    pub token: Option<Token>,
    /// Why it failed.
    pub error: Option<Problem>,
}

impl Challenge {
    /// Reads a challenge; `None` if it has no type or no URL, so that nothing could be done with it.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let text = |member: &str| value.get(member).and_then(Value::as_str);
        let kind = match text("type")? {
            "dns-01" => ChallengeType::Dns01,
            "http-01" => ChallengeType::Http01,
            "tls-alpn-01" => ChallengeType::TlsAlpn01,
            other => ChallengeType::Other(other.to_owned()),
        };
        let status = match text("status").unwrap_or("pending") {
            "pending" => ChallengeStatus::Pending,
            "processing" => ChallengeStatus::Processing,
            "valid" => ChallengeStatus::Valid,
            "invalid" => ChallengeStatus::Invalid,
            other => ChallengeStatus::Other(other.to_owned()),
        };
        Some(Challenge {
            kind,
            url: text("url")?.parse().ok()?,
            status,
            token: text("token").and_then(|token| Token::new(token).ok()),
            error: value.get("error").and_then(|error| serde_json::from_value(error.clone()).ok()),
        })
    }
}

/// What proves that the account's owner answers a challenge (RFC 8555 §8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAuthorization(String);

impl KeyAuthorization {
    pub(crate) fn new(token: &Token, key: &AccountKey) -> Self {
        KeyAuthorization(format!("{}.{}", token.0, key.thumbprint()))
    }

    /// Token and thumbprint: the body of http-01.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The TXT value of dns-01 (RFC 8555 §8.4): 43 characters of base64url.
    pub fn dns_value(&self) -> String {
        base64url(digest(&SHA256, self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_never_become_paths() {
        assert!(Token::new("abc-_09").is_ok());
        for bad in ["", "../etc", "a/b", "a.b", "a=", "ü", "a\0"] {
            assert_eq!(Token::new(bad), Err(TokenError), "{bad:?}");
        }
    }

    #[test]
    fn unknown_types_and_missing_members_are_no_errors() {
        let odd = json!({"type": "dns-persist-01", "url": "https://ca/c", "issuer-domain-names": ["ca"]});
        let challenge = Challenge::read(&odd).unwrap();
        assert_eq!(challenge.kind, ChallengeType::Other("dns-persist-01".into()));
        assert_eq!((challenge.status, challenge.token), (ChallengeStatus::Pending, None));
        assert_eq!(Challenge::read(&json!({"url": "https://ca/c"})), None);
        assert_eq!(Challenge::read(&json!(7)), None);
    }

    #[test]
    fn the_dns_value_is_the_digest_of_the_key_authorization() {
        let authorization = KeyAuthorization("token.thumbprint".into());
        assert_eq!(authorization.dns_value().len(), 43);
        assert_eq!(authorization.dns_value(), base64url(digest(&SHA256, b"token.thumbprint")));
    }
}

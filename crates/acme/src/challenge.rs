//! Challenges (RFC 8555 §7.1.5, §8), and what they want shown.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use url::Url;

use crate::jws::{base64url, is_base64url};
use crate::key::AccountKey;
use crate::problem::{Problem, plain};
use crate::retry::RetryAfter;

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
        if is_base64url(text) { Ok(Token(text.to_owned())) } else { Err(TokenError) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The types of challenges.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChallengeType {
    /// dns-01 (RFC 8555 §8.4).
    Dns01,
    /// dns-account-01 (draft-ietf-acme-dns-account-label).
    DnsAccount01,
    /// dns-persist-01 (draft-ietf-acme-dns-persist).
    DnsPersist01,
    /// http-01 (RFC 8555 §8.3).
    Http01,
    /// tls-alpn-01 (RFC 8737).
    TlsAlpn01,
    /// Another one, by its name.
    Other(String),
}

impl From<&str> for ChallengeType {
    fn from(name: &str) -> Self {
        match name {
            "dns-01" => ChallengeType::Dns01,
            "dns-account-01" => ChallengeType::DnsAccount01,
            "dns-persist-01" => ChallengeType::DnsPersist01,
            "http-01" => ChallengeType::Http01,
            "tls-alpn-01" => ChallengeType::TlsAlpn01,
            other => ChallengeType::Other(plain(other)),
        }
    }
}

impl FromStr for ChallengeType {
    type Err = Infallible;

    /// Every name is one: those that are not known are [`ChallengeType::Other`].
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(name.into())
    }
}

impl fmt::Display for ChallengeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChallengeType::Dns01 => "dns-01",
            ChallengeType::DnsAccount01 => "dns-account-01",
            ChallengeType::DnsPersist01 => "dns-persist-01",
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

impl From<&str> for ChallengeStatus {
    fn from(text: &str) -> Self {
        match text {
            "pending" => ChallengeStatus::Pending,
            "processing" => ChallengeStatus::Processing,
            "valid" => ChallengeStatus::Valid,
            "invalid" => ChallengeStatus::Invalid,
            other => ChallengeStatus::Other(plain(other)),
        }
    }
}

impl fmt::Display for ChallengeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChallengeStatus::Pending => "pending",
            ChallengeStatus::Processing => "processing",
            ChallengeStatus::Valid => "valid",
            ChallengeStatus::Invalid => "invalid",
            ChallengeStatus::Other(text) => text,
        })
    }
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
    /// When the server saw the proof.
    pub validated: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// For dns-persist-01: the names of the CA, one of which the record has to begin with.
    pub issuer_domain_names: Vec<String>,
    /// For dns-persist-01: the account that the record has to name, where the server says it.
    pub account_uri: Option<String>,
    /// When the server wants to be asked again; known in answers about the challenge itself.
    pub retry_after: Option<RetryAfter>,
    /// The whole of it as it came, so that types which are not known here can be solved.
    pub raw: Value,
}

/// The largest number of issuer domain names (draft-ietf-acme-dns-persist).
const MAX_ISSUERS: usize = 10;

impl Challenge {
    /// Reads a challenge; `None` if it has no type or no URL, so that nothing could be done with it.
    pub(crate) fn read(raw: Value) -> Option<Self> {
        let text = |member: &str| raw.get(member).and_then(Value::as_str);
        let names = raw.get("issuer-domain-names").and_then(Value::as_array).map(Vec::as_slice);
        let names = names.unwrap_or_default().iter();
        Some(Challenge {
            kind: text("type")?.into(),
            url: text("url")?.parse().ok()?,
            status: text("status").unwrap_or("pending").into(),
            token: text("token").and_then(|token| Token::new(token).ok()),
            validated: text("validated").and_then(|time| time.parse().ok()),
            error: raw.get("error").and_then(Problem::from_value),
            // A member that is no text is kept as an empty one, which no record can begin with.
            issuer_domain_names: names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect(),
            account_uri: text("accounturi").map(str::to_owned),
            retry_after: None,
            raw,
        })
    }

    /// Whether it can be answered at all, as far as can be told here.
    ///
    /// dns-persist-01 needs 1 to 10 issuer domain names, each of lower-case A-labels without a dot at the end
    /// (draft-ietf-acme-dns-persist says to refuse others); the other known types need a token (RFC 8555 §8). A type
    /// that is not known counts as one that can be.
    pub fn is_usable(&self) -> bool {
        match self.kind {
            ChallengeType::DnsPersist01 => {
                (1..=MAX_ISSUERS).contains(&self.issuer_domain_names.len())
                    && self.issuer_domain_names.iter().all(|name| is_issuer_domain_name(name))
            }
            ChallengeType::Other(_) => true,
            _ => self.token.is_some(),
        }
    }
}

fn is_issuer_domain_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// The label of dns-account-01 (draft-ietf-acme-dns-account-label): the TXT record of a domain is at
/// `LABEL._acme-challenge.DOMAIN`, so that accounts do not get into each other's way.
///
/// It is `_` and the first 10 bytes of the SHA-256 of the account's URL, in base32 (RFC 4648 §6) and lower case.
pub fn dns_account_label(account_url: &str) -> String {
    let digest = digest(&SHA256, account_url.as_bytes());
    let bits = digest.as_ref().iter().take(10).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let character = |index: u32| {
        let five = (bits >> (75 - 5 * index) & 31) as u8;
        char::from(if five < 26 { b'a' + five } else { b'2' + five - 26 })
    };
    std::iter::once('_').chain((0..16).map(character)).collect()
}

/// What proves that the account's owner answers a challenge (RFC 8555 §8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAuthorization(String);

impl KeyAuthorization {
    /// What the account with this key answers a challenge with this token with.
    pub fn new(token: &Token, key: &AccountKey) -> Self {
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

    /// The digest that the certificate of tls-alpn-01 has in its `acmeIdentifier` extension (RFC 8737 §3): SHA-256.
    pub fn tls_alpn_digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        bytes
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
        let odd = json!({"type": "device-attest-01", "url": "https://ca/c", "more": {"x": 1}});
        let challenge = Challenge::read(odd).unwrap();
        assert_eq!(challenge.kind, ChallengeType::Other("device-attest-01".into()));
        assert_eq!((&challenge.status, &challenge.token), (&ChallengeStatus::Pending, &None));
        assert!(challenge.is_usable() && challenge.raw["more"]["x"] == 1);
        assert_eq!(Challenge::read(json!({"url": "https://ca/c"})), None);
        assert_eq!(Challenge::read(json!(7)), None);
    }

    #[test]
    fn types_have_their_names() {
        for name in ["dns-01", "dns-account-01", "dns-persist-01", "http-01", "tls-alpn-01", "new-01"] {
            assert_eq!(name.parse::<ChallengeType>().unwrap().to_string(), name);
        }
        assert_eq!(ChallengeType::from("new-01"), ChallengeType::Other("new-01".into()));
        // A server's word is shown on terminals.
        assert_eq!(ChallengeType::from("new\n01").to_string(), "new 01");
        assert_eq!(ChallengeStatus::from("so\u{7}on").to_string(), "so on");
    }

    #[test]
    fn a_standing_record_needs_issuers_that_the_draft_allows() {
        let usable = |names: Value| {
            let raw = json!({"type": "dns-persist-01", "url": "https://ca/c", "issuer-domain-names": names,
                "accounturi": "https://ca/account/1"});
            let challenge = Challenge::read(raw).unwrap();
            assert_eq!(challenge.account_uri.as_deref(), Some("https://ca/account/1"));
            challenge.is_usable()
        };
        assert!(usable(json!(["ca.example"])) && usable(json!(["xn--bcher-kva.example", "a", "b1.c-d"])));
        assert!(usable(json!(vec!["ca.example"; 10])) && !usable(json!(vec!["ca.example"; 11])));
        assert!(!usable(json!([])) && !usable(json!(null)) && !usable(json!("ca.example")));
        for bad in ["", "CA.example", "ca.example.", "bücher.example", "a b", "-a.example", "a;b", "a..b"] {
            assert!(!usable(json!(["ca.example", bad])), "{bad}");
        }
        assert!(!usable(json!([7])));
        let token = json!({"type": "dns-01", "url": "https://ca/c", "token": "../x"});
        assert!(!Challenge::read(token).unwrap().is_usable());
    }

    #[test]
    fn the_account_label_is_that_of_the_drafts_example() {
        assert_eq!(dns_account_label("https://example.com/acme/acct/ExampleAccount"), "_ujmmovf2vn55tgye");
    }

    #[test]
    fn the_dns_value_is_the_digest_of_the_key_authorization() {
        let authorization = KeyAuthorization("token.thumbprint".into());
        assert_eq!(authorization.dns_value().len(), 43);
        assert_eq!(authorization.dns_value(), base64url(digest(&SHA256, b"token.thumbprint")));
        assert_eq!(base64url(authorization.tls_alpn_digest()), authorization.dns_value());
    }
}

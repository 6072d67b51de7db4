//! Problem documents (RFC 7807) with ACME's types (RFC 8555 §6.7).

use std::fmt;

use serde::Deserialize;

use crate::identifier::Identifier;

const NAMESPACE: &str = "urn:ietf:params:acme:error:";

/// What a server says about a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// The type, a URI; ACME's begin with `urn:ietf:params:acme:error:`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// A short summary of the type.
    pub title: Option<String>,
    /// What happened, in the server's words.
    pub detail: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Where there is more about it (terms of service, for `userActionRequired`).
    pub instance: Option<String>,
    /// Problems of single identifiers (RFC 8555 §6.7.1).
    pub subproblems: Vec<Subproblem>,
}

/// A problem of one identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Subproblem {
    /// The type.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// What happened.
    pub detail: Option<String>,
    /// What it is about.
    pub identifier: Option<Identifier>,
}

/// The types of problems that RFC 8555 §6.7 and its family name.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Reads a problem document; `None` if the body is something else.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let problem: Problem = serde_json::from_slice(body).ok()?;
        let said = !problem.type_uri.is_empty() || problem.detail.is_some() || problem.title.is_some();
        said.then_some(problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.type_uri.strip_prefix(NAMESPACE).unwrap_or(&self.type_uri);
        let words = self.detail.as_deref().or(self.title.as_deref()).unwrap_or("it gives no reason");
        if kind.is_empty() {
            f.write_str(words)?;
        } else {
            write!(f, "{words} ({kind})")?;
        }
        for sub in &self.subproblems {
            let name = sub.identifier.as_ref().map_or("?", Identifier::value);
            let kind = sub.type_uri.strip_prefix(NAMESPACE).unwrap_or(&sub.type_uri);
            write!(f, "; {name}: {} ({kind})", sub.detail.as_deref().unwrap_or("no reason"))?;
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
        assert_eq!(Problem::parse(b"<html>"), None);
        assert_eq!(Problem::parse(b"{}"), None);
        assert_eq!(ProblemKind::of("about:blank"), ProblemKind::Other("about:blank".into()));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Problem::parse(&body);
        }
    }
}

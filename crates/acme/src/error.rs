//! What can go wrong.

use jiff::Timestamp;

use crate::authorization::Authorization;
use crate::challenge::TokenError;
use crate::key::KeyError;
use crate::order::Order;
use crate::problem::{Problem, ProblemKind};
use crate::transport::TransportError;

/// Why a request did not lead where it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No answer.
    #[error("no answer from {url}")]
    Transport {
        /// Where the request went.
        url: String,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// The URL answers, but not with an ACME directory (RFC 8555 §7.1.1).
    #[error("{url} is not an ACME directory (HTTP {status}): {excerpt}")]
    NotADirectory {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it answered.
        excerpt: String,
    },
    /// The server says no, with a problem document (RFC 7807, RFC 8555 §6.7).
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server limits the rate, or is out of service, for longer than it makes sense to wait.
    #[error("{}{}", problem.as_ref().map_or_else(|| "the server is busy".to_owned(), |problem| problem.to_string()), again(retry_at))]
    RetryLater {
        /// Its words, if it has any.
        problem: Option<Box<Problem>>,
        /// When it may be asked again, if it says so.
        retry_at: Option<Timestamp>,
    },
    /// An HTTP error without a problem document, from a proxy perhaps.
    #[error("{url} answers HTTP {status}: {excerpt}")]
    Http {
        /// Where the request went.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        excerpt: String,
    },
    /// A good status, but not the content that belongs there.
    #[error("the answer of {url} is not understood: {reason}")]
    Unexpected {
        /// Where the request went.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A URL from the server without TLS.
    #[error("the server names a URL without TLS: {0}")]
    NotHttps(String),
    /// The server gives no nonce (RFC 8555 §7.2).
    #[error("{0} gives no nonce")]
    NoNonce(String),
    /// The server does not offer this: its directory, or the account, names no URL for it. Nothing was sent.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// A token that is none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The account key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The order did not settle in time; it can be taken up again by its URL.
    #[error("the order is still '{}' after {} s", order.status, waited.as_secs())]
    Unsettled {
        /// As it was seen last.
        order: Box<Order>,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
    /// The authorization did not settle in time.
    #[error("the authorization for {} is still '{}' after {} s", authorization.identifier, authorization.status, waited.as_secs())]
    UnsettledAuthorization {
        /// As it was seen last.
        authorization: Box<Authorization>,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
}

/// What an error says about the server, the account and the request: what to do next depends on it, such as taking
/// another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The server does not answer, not in time, or a proxy answers for it. Another server may do.
    Outage,
    /// The server has had enough requests for now. Another server may do.
    RateLimited,
    /// The server has failed by its own account. Another server may do.
    ServerInternal,
    /// The account does not exist there any more, or was deactivated or revoked.
    AccountGone,
    /// A person has to agree to terms, or to do something else, first.
    Terms,
    /// The proof was not seen, or DNS (CAA among it) does not allow the certificate. The same with another server.
    Dns,
    /// The server does not want this.
    Refused,
    /// Something else.
    Other,
}

fn again(at: &Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(" (again from {at:.0})"))
}

impl Error {
    /// The server's problem document, if that is what this is about.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Problem(problem) => Some(problem),
            Error::RetryLater { problem, .. } => problem.as_deref(),
            _ => None,
        }
    }

    /// When the server may be asked again, if it says so.
    pub fn retry_at(&self) -> Option<Timestamp> {
        if let Error::RetryLater { retry_at, .. } = self { *retry_at } else { None }
    }

    /// Where the terms are that have to be agreed to before anything else (`userActionRequired`, RFC 8555 §7.3.3):
    /// what the problem document names for a person, else the link to the terms.
    pub fn terms_of_service(&self) -> Option<&str> {
        let problem = self.problem().filter(|problem| problem.kind() == ProblemKind::UserActionRequired)?;
        problem.instance.as_deref().or(problem.terms_of_service.as_deref())
    }

    /// The class of this error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Error::Transport { .. }
            | Error::NoNonce(_)
            | Error::Unsettled { .. }
            | Error::UnsettledAuthorization { .. } => ErrorClass::Outage,
            Error::NotADirectory { status, .. } | Error::Http { status, .. } if *status >= 500 => {
                ErrorClass::Outage
            }
            Error::RetryLater { problem, .. } => {
                let limited = |problem: &Problem| {
                    problem.kind() == ProblemKind::RateLimited || problem.status == Some(429)
                };
                match problem.as_deref() {
                    Some(problem) if limited(problem) => ErrorClass::RateLimited,
                    Some(problem) if problem.kind() == ProblemKind::ServerInternal => {
                        ErrorClass::ServerInternal
                    }
                    _ => ErrorClass::Outage,
                }
            }
            Error::Problem(problem) => class_of(problem),
            _ => ErrorClass::Other,
        }
    }
}

fn class_of(problem: &Problem) -> ErrorClass {
    match problem.kind() {
        ProblemKind::Compound => {
            let mut classes = problem.subproblems.iter().map(|sub| class_of_kind(&sub.kind()));
            let first = classes.next().unwrap_or(ErrorClass::Refused);
            if classes.all(|class| class == first) { first } else { ErrorClass::Refused }
        }
        ProblemKind::Unauthorized if names_dead_account(problem) => ErrorClass::AccountGone,
        ProblemKind::Other(_) if problem.status.is_some_and(|status| status >= 500) => ErrorClass::Outage,
        kind => class_of_kind(&kind),
    }
}

fn class_of_kind(kind: &ProblemKind) -> ErrorClass {
    match kind {
        ProblemKind::RateLimited => ErrorClass::RateLimited,
        ProblemKind::ServerInternal => ErrorClass::ServerInternal,
        ProblemKind::AccountDoesNotExist => ErrorClass::AccountGone,
        ProblemKind::UserActionRequired => ErrorClass::Terms,
        ProblemKind::Dns
        | ProblemKind::Caa
        | ProblemKind::Connection
        | ProblemKind::Tls
        | ProblemKind::IncorrectResponse => ErrorClass::Dns,
        _ => ErrorClass::Refused,
    }
}

/// RFC 8555 §7.3.6 has no type of its own for requests of a deactivated account: only the words tell. Boulder and
/// Pebble write that the account is not valid and which status it has.
fn names_dead_account(problem: &Problem) -> bool {
    let words = problem.detail.as_deref().unwrap_or_default().to_ascii_lowercase();
    words.contains("account")
        && ["deactivated", "revoked", "not valid"].iter().any(|word| words.contains(word))
}

/// The beginning of a body, as one printable line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(600)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
    if cut.is_empty() { "(an empty body)".to_owned() } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> Error {
        let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"{detail}"}}"#);
        Error::Problem(Box::new(Problem::parse(body.as_bytes()).unwrap()))
    }

    #[test]
    fn classes_tell_what_another_server_could_change() {
        let http = |status| Error::Http { url: String::new(), status, excerpt: String::new() };
        assert_eq!(http(502).class(), ErrorClass::Outage);
        assert_eq!(http(404).class(), ErrorClass::Other);
        for (kind, detail, class) in [
            ("serverInternal", "oops", ErrorClass::ServerInternal),
            ("accountDoesNotExist", "who?", ErrorClass::AccountGone),
            ("unauthorized", "Account is not valid, has status deactivated", ErrorClass::AccountGone),
            ("unauthorized", "Invalid response from http://a.example", ErrorClass::Refused),
            ("userActionRequired", "new terms", ErrorClass::Terms),
            ("caa", "not us", ErrorClass::Dns),
            ("rejectedIdentifier", "no", ErrorClass::Refused),
            ("rateLimited", "later", ErrorClass::RateLimited),
        ] {
            assert_eq!(problem(kind, detail).class(), class, "{kind}");
        }
        let later = |body: &str| Error::RetryLater {
            problem: Problem::parse(body.as_bytes()).map(Box::new),
            retry_at: None,
        };
        assert_eq!(later(r#"{"title":"Too Many Requests","status":429}"#).class(), ErrorClass::RateLimited);
        assert_eq!(later("").class(), ErrorClass::Outage);
    }

    #[test]
    fn a_compound_problem_is_of_the_class_that_all_its_parts_have() {
        let body = |second: &str| {
            format!(
                r#"{{"type":"urn:ietf:params:acme:error:compound","subproblems":[
                {{"type":"urn:ietf:params:acme:error:dns"}},{{"type":"urn:ietf:params:acme:error:{second}"}}]}}"#
            )
        };
        let class = |body: String| Error::Problem(Box::new(Problem::parse(body.as_bytes()).unwrap())).class();
        assert_eq!(class(body("caa")), ErrorClass::Dns);
        assert_eq!(class(body("rejectedIdentifier")), ErrorClass::Refused);
    }
}

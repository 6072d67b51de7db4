//! What can go wrong.

use jiff::Timestamp;

use crate::challenge::TokenError;
use crate::jws::KeyError;
use crate::order::Order;
use crate::problem::Problem;
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
}

/// The beginning of a body, as one printable line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(600)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
    if cut.is_empty() { "(an empty body)".to_owned() } else { cut }
}

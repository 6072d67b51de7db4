//! Requests and answers, without anything of HTTP's connections.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::behaviour::RetryAfter;
use crate::problem::Problem;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Scheme and host, as the client sees them.
    pub(crate) base: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(super) fn url(&self) -> String {
        match &self.query {
            Some(query) => format!("{}{}?{query}", self.base, self.path),
            None => format!("{}{}", self.base, self.path),
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// The problem's type, for the log.
    pub(crate) problem: Option<String>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Reply { status, headers: Vec::new(), body: String::new(), problem: None }
    }

    pub(super) fn json(status: u16, document: &Value) -> Self {
        Reply { body: document.to_string(), ..Self::empty(status) }.header("content-type", "application/json")
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn retry_after(mut self, when: RetryAfter) -> Self {
        self.headers.extend(retry_after(when));
        self
    }

    pub(crate) fn problem(problem: &Problem) -> Self {
        let mut reply = Self::empty(problem.status).header("content-type", "application/problem+json");
        reply.body = problem.document().to_string();
        reply.problem = Some(problem.kind.clone());
        reply.headers.extend(problem.headers.iter().cloned());
        reply
    }
}

pub(super) fn retry_after(when: RetryAfter) -> Option<(&'static str, String)> {
    let text = match when {
        RetryAfter::None => return None,
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(seconds) => httpdate::fmt_http_date(
            std::time::SystemTime::now() + std::time::Duration::from_secs(u64::from(seconds)),
        ),
    };
    Some(("retry-after", text))
}

/// A validation that has to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) authorization: String,
    pub(crate) challenge: String,
}

/// An answer, with what the log wants to know and what has to be done next.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    pub(crate) kid: Option<String>,
    pub(crate) payload: Value,
    pub(crate) started: Option<Started>,
    /// The id of an order that has just been made.
    pub(crate) ordered: Option<String>,
}

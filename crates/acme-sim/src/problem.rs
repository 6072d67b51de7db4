//! Problem documents (RFC 7807, RFC 8555 §6.7).

use serde_json::{Value, json};

/// A refusal, with the headers that go with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    /// The type without its prefix.
    pub(crate) kind: String,
    pub(crate) detail: String,
    /// More members: `instance`, `subproblems`, `algorithms`.
    pub(crate) more: Vec<(&'static str, Value)>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Problem {
    pub(crate) fn new(status: u16, kind: impl Into<String>, detail: impl Into<String>) -> Self {
        let (kind, detail) = (kind.into(), detail.into());
        Problem { status, kind, detail, more: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(400, "malformed", detail)
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(403, "unauthorized", detail)
    }

    /// There is no such thing; RFC 8555 has no type of its own for it.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, "malformed", format!("there is no such {what}"))
    }

    pub(crate) fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((member, value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.kind),
            "detail": self.detail,
            "status": self.status,
        });
        for (member, value) in &self.more {
            document[member] = value.clone();
        }
        document
    }
}

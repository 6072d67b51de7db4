//! What was asked: kept for the control endpoint, and written as JSON lines.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// A request to the API. Secrets are not part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it came.
    pub time: String,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Status of the answer; 0 where the connection was cut.
    pub status: u16,
    /// `pat`, `api-key`, or `none` where nobody was recognised.
    pub credential: String,
    /// Body of the request.
    pub body: String,
    /// HTTP version.
    pub http: String,
    /// The client's address: one connection, one port.
    pub client: String,
    /// From the request to the answer, in milliseconds.
    pub ms: f64,
}

/// A question to a name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsQuery {
    /// Which name server, from 0.
    pub server: usize,
    /// The name, lower case, without trailing dot.
    pub name: String,
    /// The type.
    pub kind: String,
    /// Whether recursion was desired, as of a resolver.
    pub recursive: bool,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) dns: Vec<DnsQuery>,
    pub(crate) records: Vec<RequestRecord>,
    pub(crate) file: Option<std::fs::File>,
}

impl Log {
    pub(crate) fn add(&mut self, record: RequestRecord) {
        if let (Some(file), Ok(line)) = (&mut self.file, serde_json::to_string(&record)) {
            // A full disk must not stop the simulation; whoever reads the log will miss the line.
            let _ = writeln!(file, "{line}");
        }
        self.records.push(record);
    }
}

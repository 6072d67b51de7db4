//! What was asked.

use serde::{Deserialize, Serialize};
use sim_server::RequestLog;

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
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) dns: Vec<DnsQuery>,
    pub(crate) requests: RequestLog<RequestRecord>,
}

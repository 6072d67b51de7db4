//! What was asked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it came.
    pub time: String,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// The account's URL as the request names it; none where it comes with a key, or without signature.
    pub kid: Option<String>,
    /// The payload; null for POST-as-GET, and where there is none that can be read.
    pub payload: Value,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// Status of the answer; 0 where the connection was cut.
    pub status: u16,
    /// The problem's type without its prefix, where the answer is one.
    pub problem: Option<String>,
    /// The client's address: one connection, one port.
    pub client: String,
    /// From the request to the answer, in milliseconds.
    pub ms: f64,
}

//! What may happen to a request on order.

use serde::{Deserialize, Serialize};

/// Which requests a fault is for.
pub type FaultRule = sim_server::FaultRule<Fault>;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This answer instead of the real one; nothing is applied.
    Answer {
        /// HTTP status.
        status: u16,
        /// Body, as it is.
        body: String,
        /// `Retry-After`, if there is one.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The connection is cut; nothing was applied.
    CutBefore,
    /// The connection is cut after the request was applied.
    CutAfter,
    /// The answer comes this much later, in milliseconds.
    Late(u64),
}

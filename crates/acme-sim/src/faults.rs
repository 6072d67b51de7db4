//! What may happen to a request on order: it is answered wrongly, late, or not at all, or held while a test does
//! something else.

use serde::{Deserialize, Serialize};

/// Which requests a fault is for.
pub type FaultRule = sim_server::FaultRule<Fault>;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This answer instead of the real one; nothing is applied, and there is no nonce.
    Answer {
        /// HTTP status.
        status: u16,
        /// `Content-Type`.
        content_type: String,
        /// Body, as it is.
        body: String,
        /// `Retry-After`, if there is one.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// A problem document of this type (`serverInternal`, say) with a fresh nonce; nothing is applied.
    Problem {
        /// HTTP status.
        status: u16,
        /// The type without its prefix.
        kind: String,
        /// For people.
        detail: String,
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
    /// The request waits before it is applied, until [`Control::release`](crate::Control::release).
    HoldBefore,
    /// The request has been applied, and its answer waits until [`Control::release`](crate::Control::release).
    HoldAfter,
}

impl Fault {
    /// A page such as proxies show, in the place of a problem document.
    pub fn page(status: u16) -> Self {
        Fault::Answer {
            status,
            content_type: "text/html".to_owned(),
            body: format!(
                "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
            ),
            retry_after: None,
        }
    }

    /// It, for every matching request of `method` whose path contains `path`, `times` times.
    pub fn of(self, method: &str, path: &str, times: u32) -> FaultRule {
        FaultRule { method: Some(method.to_owned()), path: path.to_owned(), after: 0, times, fault: self }
    }
}

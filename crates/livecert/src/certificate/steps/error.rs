//! Why a step of an order cannot be taken.

use super::OrderStanding;
use crate::store::{CertName, PendingOrder};

/// Why a step of an order cannot be taken. Each names the state that the order is in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// There is no open order, and no certificate that one has given.
    #[error("{cert} has no open order")]
    None {
        /// The certificate.
        cert: String,
    },
    /// A run of `issue` has left it, whose settings were not stored yet, or are others.
    #[error(
        "the open order of {cert} belongs to a run that did not come to its end, with settings of its own"
    )]
    Unfinished {
        /// The certificate.
        cert: String,
    },
    /// It gives no certificate any more.
    #[error("the order of {cert} at {server} is of no use any more: {standing}{}", why(.reason))]
    Over {
        /// The certificate.
        cert: String,
        /// The server.
        server: String,
        /// How it stands.
        standing: OrderStanding,
        /// What the server says about it.
        reason: Option<String>,
    },
    /// There is an open order for something else.
    #[error("{cert} has an open order for {}", names.join(", "))]
    ForSomethingElse {
        /// The certificate.
        cert: String,
        /// The names that it is for.
        names: Vec<String>,
    },
    /// Another step comes first.
    #[error("the order of {cert} is {standing}{}", missing(.open))]
    NotYet {
        /// The certificate.
        cert: String,
        /// How it stands.
        standing: OrderStanding,
        /// Names that are still to be proved.
        open: Vec<String>,
    },
    /// The order has no challenge of this type that waits for an answer.
    #[error("no name of the order of {cert} waits for an answer by {challenge}")]
    NoChallenge {
        /// The certificate.
        cert: String,
        /// The challenge.
        challenge: String,
    },
    /// A name is to be proved, and no challenge can be chosen for it.
    #[error("there is no challenge to answer for {name} of {cert}: {reason}")]
    Unanswerable {
        /// The certificate.
        cert: String,
        /// The name.
        name: String,
        /// Why there is none.
        reason: String,
    },
}

fn why(reason: &Option<String>) -> String {
    reason.iter().map(|reason| format!(" ({reason})")).collect()
}

fn missing(open: &[String]) -> String {
    if open.is_empty() { String::new() } else { format!(", and still to be proved: {}", open.join(", ")) }
}

impl OrderError {
    pub(super) fn over(
        cert: &CertName,
        pending: &PendingOrder,
        standing: OrderStanding,
        reason: Option<String>,
    ) -> Self {
        OrderError::Over { cert: cert.to_string(), server: pending.server.clone(), standing, reason }
    }

    /// Its stable name.
    pub(in crate::certificate) fn kind(&self) -> &'static str {
        match self {
            OrderError::None { .. } => "no-order",
            OrderError::Unfinished { .. } => "order-unfinished",
            OrderError::Over { .. } => "order-over",
            OrderError::ForSomethingElse { .. } => "order-exists",
            OrderError::NotYet { .. } => "order-not-ready",
            OrderError::NoChallenge { .. } | OrderError::Unanswerable { .. } => "no-challenge",
        }
    }
}

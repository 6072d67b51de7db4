//! Why a name server has not changed a zone.

use std::net::SocketAddr;

/// What came of a question or an update.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The server's name leads nowhere.
    #[error("the name server {host} has no address")]
    NoAddress {
        /// The name.
        host: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// There is no way to it, or it closed the connection.
    #[error("{server} cannot be reached over TCP")]
    Unreachable {
        /// The server.
        server: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Nothing came back in time.
    #[error("{server} does not answer")]
    Timeout {
        /// The server.
        server: SocketAddr,
    },
    /// Its answer is not DNS, or not to our question.
    #[error("{server} sent an answer that is not understood: {reason}")]
    Garbled {
        /// The server.
        server: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
    /// It said no.
    #[error("{server} answers {}: {}", name(*code), words(*code))]
    Refused {
        /// The server.
        server: SocketAddr,
        /// The response code (RFC 6895 §2.3).
        code: u16,
    },
    /// It does not know the key (RFC 8945 §5.2.1), or knows that it may not do this.
    #[error(
        "{server} does not let the key '{key}' in (BADKEY): it does not know it with this algorithm, or the key may not do that"
    )]
    BadKey {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: String,
    },
    /// It has another secret for the key (RFC 8945 §5.2.2).
    #[error("{server} has another secret for the key '{key}' (BADSIG)")]
    BadSignature {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: String,
    },
    /// Its clock shows another time (RFC 8945 §5.2.3).
    #[error("{server} has another time than this machine (BADTIME){}", difference(*ahead))]
    BadTime {
        /// The server.
        server: SocketAddr,
        /// By how many seconds its clock is ahead of ours; negative if ours is ahead; `None` if it does not tell.
        ahead: Option<i64>,
    },
    /// It answers without a signature, or with a wrong one: it may be anybody.
    #[error("the answer of {server} ({}) {reason}, so it is not believed", name(*code))]
    NotAuthentic {
        /// The server.
        server: SocketAddr,
        /// The response code that it has.
        code: u16,
        /// What is wrong with its signature.
        reason: &'static str,
    },
    /// It has no zone for the name, or none that we may ask it about.
    #[error("{server} has no zone for it, or has delegated it, or does not let us ask")]
    NoZone {
        /// The server.
        server: SocketAddr,
    },
    /// None of the given zones is the name's.
    #[error("none of the zones {} is above it", zones.join(", "))]
    OtherZones {
        /// The given zones.
        zones: Vec<String>,
    },
    /// A CNAME is in the place of the record, where a server passes an addition over in silence (RFC 2136 §3.4.2.2).
    #[error("{server} has a CNAME there, to {target}, which no TXT record can be beside")]
    Alias {
        /// The server.
        server: SocketAddr,
        /// Where it leads.
        target: String,
    },
}

impl UpdateError {
    /// Whether the server does not let the key in, or does not show that it has it.
    pub fn is_about_the_key(&self) -> bool {
        use UpdateError::{BadKey, BadSignature, BadTime, NotAuthentic};
        matches!(self, BadKey { .. } | BadSignature { .. } | BadTime { .. } | NotAuthentic { .. })
    }

    /// Whether nobody answered.
    pub fn is_silence(&self) -> bool {
        use UpdateError::{NoAddress, Timeout, Unreachable};
        matches!(self, NoAddress { .. } | Unreachable { .. } | Timeout { .. })
    }
}

/// Response codes by their names (RFC 6895 §2.3).
fn name(code: u16) -> String {
    let name = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => return format!("response code {code}"),
    };
    name.to_owned()
}

fn words(code: u16) -> &'static str {
    match code {
        1 => "it does not understand the message",
        2 => "it has a fault, or the zone is frozen or cannot be written",
        4 => "it does not take dynamic updates",
        5 => "its rules do not let this key, or this address, do that",
        9 => "it is not the server for that zone, or does not let this key in",
        10 => "the name is in another zone",
        _ => "it does not do that",
    }
}

fn difference(ahead: Option<i64>) -> String {
    match ahead {
        Some(seconds) if seconds > 0 => format!(": its clock is {seconds} s ahead of ours"),
        Some(seconds) if seconds < 0 => format!(": its clock is {} s behind ours", seconds.unsigned_abs()),
        _ => String::new(),
    }
}

//! Whether a service really shows a certificate: every address of it is connected to, and what it serves is compared byte
//! by byte. Nothing is decided about trust: the certificate is known, and only asked for.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::*;

use super::handshake::{Look, schemes};
use super::served_at::ServedAt;
use super::starttls::{self, StartTlsError};
use crate::process::harmless;

/// How long one look at one address may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// The first pause between two looks; each one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What should be served.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The certificate, DER.
    pub leaf: &'a [u8],
    /// The names in it.
    pub names: &'a [String],
    /// Former certificates of ours (DER), with what they are called, so that one can be told when it is still there.
    pub former: &'a [(String, Vec<u8>)],
}

/// A service does not show the certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} does not serve it: {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ServedError {
    /// The service.
    pub at: String,
    /// Each address that does not.
    pub failures: Vec<ServedFailure>,
}

/// What was found at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFailure {
    /// The address; `None` if there is none.
    pub address: Option<SocketAddr>,
    /// What was found.
    pub finding: ServedFinding,
}

/// What was found instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServedFinding {
    /// The name has no address.
    NoAddress(String),
    /// No connection could be made.
    NoConnection(String),
    /// There is no way from this machine to such addresses.
    NoRoute(String),
    /// TLS did not begin.
    NoStartTls(String),
    /// TLS failed.
    NoTls(String),
    /// It took too long.
    Silent,
    /// Another certificate is served.
    Other {
        /// Which one, if it is one of ours.
        former: Option<String>,
        /// Its subject, or its first name.
        subject: String,
        /// Its serial number, in hexadecimal.
        serial: String,
        /// Until when it is valid.
        not_after: String,
    },
    /// The certificate is served, by a server that has another key.
    OtherKey,
}

impl fmt::Display for ServedFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "at {address} ")?;
        }
        match &self.finding {
            ServedFinding::NoAddress(reason) => write!(f, "no address was found ({reason})"),
            ServedFinding::NoConnection(reason) => write!(f, "no connection could be made ({reason})"),
            ServedFinding::NoRoute(reason) => write!(f, "cannot be reached from here ({reason})"),
            ServedFinding::NoStartTls(reason) => write!(f, "TLS was not begun: {reason}"),
            ServedFinding::NoTls(reason) => write!(f, "the TLS handshake failed ({reason})"),
            ServedFinding::Silent => write!(f, "nobody answered within {} s", LOOK_LIMIT.as_secs()),
            ServedFinding::Other { former, subject, serial, not_after } => {
                let what = match former {
                    Some(former) => format!("still {former}"),
                    None => format!("another certificate, of {subject}"),
                };
                write!(f, "there is {what} (serial {serial}, until {not_after})")
            }
            ServedFinding::OtherKey => write!(f, "it is there, but the server has another key"),
        }
    }
}

/// Looks until every address of `at` shows the certificate, soon at first and then more slowly, for as long as `limit`. An
/// address to which there is no way from here (as IPv6 often) is passed over where another one can be reached.
///
/// # Errors
/// [`ServedError`] with what the last look has found at each address.
pub async fn served(at: &ServedAt, expected: &Expected<'_>, limit: Duration) -> Result<(), ServedError> {
    // A limit beyond what the clock can count is none.
    let deadline = Instant::now().checked_add(limit);
    let mut pause = FIRST_PAUSE;
    loop {
        let failures = look(at, expected).await;
        if failures.is_empty() {
            return Ok(());
        }
        if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
            return Err(ServedError { at: at.to_string(), failures });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// One look at all addresses, side by side. Gives those that do not show it.
async fn look(at: &ServedAt, expected: &Expected<'_>) -> Vec<ServedFailure> {
    let found = timeout(LOOK_LIMIT, tokio::net::lookup_host((at.host.as_str(), at.port))).await;
    let mut addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return nowhere(error.to_string()),
        Err(_) => return nowhere("no answer".to_owned()),
    };
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return nowhere("none".to_owned());
    }
    let all = addresses.len();
    let looks = addresses.into_iter().map(|address| async move {
        let looked = timeout(LOOK_LIMIT, look_at(address, at, expected)).await;
        let finding = looked.unwrap_or(Err(ServedFinding::Silent)).err()?;
        Some(ServedFailure { address: Some(address), finding })
    });
    let failures: Vec<_> = join_all(looks).await.into_iter().flatten().collect();
    let far = |failure: &ServedFailure| matches!(failure.finding, ServedFinding::NoRoute(_));
    if failures.len() < all && failures.iter().all(far) {
        return Vec::new();
    }
    failures
}

fn nowhere(reason: String) -> Vec<ServedFailure> {
    vec![ServedFailure { address: None, finding: ServedFinding::NoAddress(reason) }]
}

async fn look_at(address: SocketAddr, at: &ServedAt, expected: &Expected<'_>) -> Result<(), ServedFinding> {
    let ours = schemes(expected.leaf);
    match handshake(address, at, expected, ours).await {
        // Some servers want the signatures in the chain to be on offer too, not only those of the key.
        Err(ServedFinding::NoTls(reason)) => match handshake(address, at, expected, schemes(&[])).await {
            Ok(()) => Ok(()),
            Err(ServedFinding::NoTls(_)) => Err(ServedFinding::NoTls(reason)),
            Err(other) => Err(other),
        },
        looked => looked,
    }
}

async fn handshake(
    address: SocketAddr,
    at: &ServedAt,
    expected: &Expected<'_>,
    schemes: Vec<rustls::SignatureScheme>,
) -> Result<(), ServedFinding> {
    use std::io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    let mut stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        AddrNotAvailable | HostUnreachable | NetworkUnreachable => ServedFinding::NoRoute(error.to_string()),
        _ => ServedFinding::NoConnection(error.to_string()),
    })?;
    if let Some(protocol) = at.starttls {
        let own = match stream.local_addr().map(|address| address.ip()) {
            Ok(std::net::IpAddr::V6(own)) => format!("[IPv6:{own}]"),
            Ok(own) => format!("[{own}]"),
            Err(_) => "[127.0.0.1]".to_owned(),
        };
        let begun = starttls::begin(&mut stream, protocol, &own).await;
        begun.map_err(|error| ServedFinding::NoStartTls(begin_reason(&error)))?;
    }
    let no_tls = |error: &dyn fmt::Display| ServedFinding::NoTls(harmless(&error.to_string()));
    let name = at.name(expected.names).to_owned();
    let name = ServerName::try_from(name).map_err(|error| no_tls(&error))?;
    let look = Look::new(schemes);
    let connector = TlsConnector::from(Arc::new(look.config().map_err(|error| no_tls(&error))?));
    let shaken = connector.connect(name, stream).await;
    let seen = look.seen();
    if let Ok(mut tls) = shaken {
        if seen.leaf.as_deref() == Some(expected.leaf) {
            leave(&mut tls, at).await;
            return Ok(());
        }
        leave(&mut tls, at).await;
    } else if let Err(error) = shaken {
        match &seen.leaf {
            // It may want a certificate of ours as well, which is no matter here.
            Some(leaf) if leaf == expected.leaf && seen.has_key => return Ok(()),
            Some(leaf) if leaf == expected.leaf => return Err(ServedFinding::OtherKey),
            Some(_) => {}
            None => return Err(no_tls(&error)),
        }
    }
    Err(other(&seen.leaf.unwrap_or_default(), expected))
}

fn begin_reason(error: &StartTlsError) -> String {
    match error {
        StartTlsError::Io(source) => format!("{error} ({source})"),
        _ => error.to_string(),
    }
}

/// Says goodbye, so that the server has nothing to complain about in its log.
async fn leave(tls: &mut tokio_rustls::client::TlsStream<TcpStream>, at: &ServedAt) {
    if let Some(protocol) = at.starttls {
        let _ = tls.write_all(starttls::farewell(protocol)).await;
    }
    let _ = tls.shutdown().await;
}

fn other(leaf: &[u8], expected: &Expected<'_>) -> ServedFinding {
    let former = expected.former.iter().find(|(_, der)| der == leaf).map(|(what, _)| what.clone());
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
        let (subject, serial) = ("nobody that can be read".to_owned(), "?".to_owned());
        return ServedFinding::Other { former, subject, serial, not_after: "?".to_owned() };
    };
    let names = leaf.subject_alternative_name().ok().flatten();
    let first = names.and_then(|names| names.value.general_names.first().map(ToString::to_string));
    let common = leaf.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let subject = common.map(str::to_owned).or(first).unwrap_or_else(|| leaf.subject().to_string());
    let until = jiff::Timestamp::from_second(leaf.validity().not_after.timestamp());
    ServedFinding::Other {
        former,
        subject: harmless(&subject),
        serial: leaf.tbs_certificate.serial.to_str_radix(16),
        not_after: until.map_or_else(|_| "?".to_owned(), |until| until.to_string()),
    }
}

//! Proofs that are shown by the host itself: what they are, and what a plugin for them has to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Pending, PluginError};

/// A kind of proof that a host shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebProofKind {
    /// A file that is fetched over HTTP on port 80 (RFC 8555 §8.3).
    HttpFile,
    /// A certificate that is shown in a TLS handshake on port 443 (RFC 8737).
    AlpnCertificate,
}

/// What has to be shown at a host for one authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebProof {
    /// `http://HOST/.well-known/acme-challenge/TOKEN` answers `body`.
    HttpFile {
        /// The DNS name or IP address.
        host: String,
        /// base64url (RFC 8555 §8.3).
        token: String,
        /// The key authorization.
        body: String,
    },
    /// A self-signed certificate with the acmeIdentifier extension, for whoever asks by ALPN `acme-tls/1`.
    AlpnCertificate {
        /// The DNS name or IP address.
        host: String,
        /// SHA-256 of the key authorization.
        digest: [u8; 32],
    },
}

impl WebProof {
    /// Its kind.
    pub fn kind(&self) -> WebProofKind {
        match self {
            WebProof::HttpFile { .. } => WebProofKind::HttpFile,
            WebProof::AlpnCertificate { .. } => WebProofKind::AlpnCertificate,
        }
    }

    /// The DNS name or IP address that it is for.
    pub fn host(&self) -> &str {
        match self {
            WebProof::HttpFile { host, .. } | WebProof::AlpnCertificate { host, .. } => host,
        }
    }
}

/// A proof that could not be removed.
#[derive(Debug)]
pub struct WebLeftover {
    /// The proof that is still there, or may be.
    pub proof: WebProof,
    /// Why.
    pub reason: Arc<PluginError>,
}

/// Shows and withdraws proofs at the host.
///
/// Every plugin keeps to this: only what it was given is ever added or removed; doing a thing twice does no harm.
pub trait WebPlugin: Send + Sync {
    /// The kinds of proof that it can show, the better one first.
    fn offers(&self) -> &'static [WebProofKind];

    /// Finds out whether proofs of these kinds could be shown, before there is an order. Nothing stays behind.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    fn prepare<'a>(&'a self, kinds: &'a [WebProofKind]) -> Pending<'a, Result<(), PluginError>>;

    /// Shows all `proofs`; when it returns, they can be seen.
    ///
    /// # Errors
    /// The first failure. Some of the proofs may be shown: withdraw all of them.
    fn publish<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Result<(), PluginError>>;

    /// Removes these proofs and nothing else; tells which are still there, or may be. A proof that is not there is no
    /// failure.
    fn withdraw<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Vec<WebLeftover>>;
}

/// Why a proof cannot be shown by the host, or not be removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// A kind of proof that the plugin does not have.
    #[error("this plugin cannot show a proof of this kind ({0:?})")]
    NotOffered(WebProofKind),
    /// A token that could leave its folder. A server would have to send it.
    #[error("the challenge's token is not base64url")]
    Token,
    /// A web server's folder is not there.
    #[error("{path} is not a folder")]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file or a folder could not be written.
    #[error("{path} cannot be written")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be removed.
    #[error("{path} cannot be removed")]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A person was to put a file there, and a look at the host does not find it.
    #[error("{url} does not show its file: {seen}")]
    NotThere {
        /// Where it should be.
        url: String,
        /// What was seen instead.
        seen: String,
    },
    /// Somebody else's file stands there.
    #[error("{path} is there already, and is not ours")]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else listens there.
    #[error(
        "{address} is in use{}: stop that server for the time, let it pass the challenge on to another port, or use the plugin 'webroot'",
        by(.occupant)
    )]
    PortInUse {
        /// The address and port.
        address: SocketAddr,
        /// The program that listens there, if that can be found out.
        occupant: Option<String>,
    },
    /// Low ports are for privileged programs.
    #[error(
        "no permission to listen on {address}: give livecert the right to (setcap cap_net_bind_service=+ep PROGRAM), pass it a socket from systemd, or choose a port above 1023 and redirect to it"
    )]
    PortNotPermitted {
        /// The address and port.
        address: SocketAddr,
    },
    /// It cannot be listened there.
    #[error("it is not possible to listen on {address}")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The passed sockets are not usable.
    #[error("a socket that was passed in (LISTEN_FDS) cannot be used")]
    PassedSocket(#[source] io::Error),
    /// The certificate of the proof could not be made.
    #[error("the certificate for tls-alpn-01 could not be made")]
    Certificate(#[source] rcgen::Error),
    /// TLS could not be set up.
    #[error("TLS could not be set up for tls-alpn-01")]
    Tls(#[source] rustls::Error),
    /// The program is about to end.
    #[error("the work was given up")]
    GivenUp,
}

fn by(occupant: &Option<String>) -> String {
    occupant.as_ref().map(|occupant| format!(" by {occupant}")).unwrap_or_default()
}

/// Whether a token can be a file name and a part of a path: base64url, not more than a file name can have.
pub(super) fn is_token(token: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=200).contains(&token.len()) && token.bytes().all(fits)
}

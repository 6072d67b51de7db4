//! tls-alpn-01 (RFC 8737; for IP addresses RFC 8738 §6): a certificate that is shown to those who ask for it by ALPN.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::plugin::WebError;

const PROTOCOL: &[u8] = b"acme-tls/1";

/// What is shown for one host.
#[derive(Debug)]
struct Shown {
    digest: [u8; 32],
    certificate: Arc<CertifiedKey>,
}

/// What is shown now, by the name that clients send.
#[derive(Debug, Clone, Default)]
pub(super) struct Certificates(Arc<Mutex<HashMap<String, Shown>>>);

impl Certificates {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, host: &str, digest: &[u8; 32]) -> Result<(), WebError> {
        let certificate = Arc::new(certificate(host, digest)?);
        self.lock().insert(server_name(host), Shown { digest: *digest, certificate });
        Ok(())
    }

    pub(super) fn remove(&self, host: &str, digest: &[u8; 32]) {
        let (mut shown, name) = (self.lock(), server_name(host));
        if shown.get(&name).is_some_and(|shown| shown.digest == *digest) {
            shown.remove(&name);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// What does the handshakes.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, WebError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(WebError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // A resumed session would show no certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A validating server offers this one protocol (RFC 8737 §3); whoever offers more is no such server.
        if !hello.alpn()?.eq([PROTOCOL]) {
            return None;
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        let shown = self.lock();
        let found = shown.get(&name)?;
        tracing::debug!(name, "a challenge's certificate was shown");
        Some(found.certificate.clone())
    }
}

/// Shakes hands: that is all there is to see.
pub(super) async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, acceptor: TlsAcceptor) {
    match acceptor.accept(stream).await {
        Ok(mut stream) => {
            let _ = stream.shutdown().await;
        }
        Err(error) => tracing::debug!(%error, "a connection for tls-alpn-01 ended early"),
    }
}

/// The self-signed certificate of RFC 8737 §3: one name, and the digest in a critical extension.
fn certificate(host: &str, digest: &[u8; 32]) -> Result<CertifiedKey, WebError> {
    let mut params = CertificateParams::new([host.to_owned()]).map_err(WebError::Certificate)?;
    params.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
    params.distinguished_name = DistinguishedName::new();
    // An issuer must not be empty (RFC 5280 §4.1.2.4).
    params.distinguished_name.push(DnType::CommonName, "tls-alpn-01 challenge");
    let key = KeyPair::generate().map_err(WebError::Certificate)?;
    let certificate = params.self_signed(&key).map_err(WebError::Certificate)?;
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(WebError::Tls)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// What a client sends as the server's name: for an address, the one of its reverse mapping (RFC 8738 §6).
fn server_name(host: &str) -> String {
    let mut name = String::new();
    // Writing to a String cannot fail.
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{octet}.");
            }
            name + "in-addr.arpa"
        }
        Ok(IpAddr::V6(address)) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name + "ip6.arpa"
        }
        Err(_) => host.trim_end_matches('.').to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_by_their_reverse_names() {
        assert_eq!(server_name("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        assert_eq!(server_name("2001:db8::7"), format!("7.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23)));
        assert_eq!(server_name("WWW.Example.COM."), "www.example.com");
    }
}

//! tls-alpn-01 (RFC 8737), for addresses as well (RFC 8738 §6).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Task;
use crate::problem::Problem;

const PROTOCOL: &[u8] = b"acme-tls/1";
const LIMIT: Duration = Duration::from_secs(10);
/// id-pe-acmeIdentifier (RFC 8737 §6.1).
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";

/// Takes every certificate, because its content is looked at afterwards; that the server has its key is proved.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_tls13_signature(message, certificate, signed)
    }

    /// By the bare key: webpki does not read certificates with a critical extension that it does not know, which
    /// acmeIdentifier is.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let unreadable = |_| rustls::Error::from(rustls::CertificateError::BadEncoding);
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(unreadable)?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(super) async fn look(task: &Task, server: SocketAddr) -> Result<(), Problem> {
    let certificate = match tokio::time::timeout(LIMIT, handshake(task, server)).await {
        Ok(certificate) => certificate?,
        Err(_) => return Err(Problem::new(400, "connection", "no answer in time")),
    };
    check(&certificate, task).map_err(|reason| Problem::unauthorized(format!("the certificate {reason}")))
}

async fn handshake(task: &Task, server: SocketAddr) -> Result<CertificateDer<'static>, Problem> {
    let tls = |error: &dyn std::fmt::Display| Problem::new(400, "tls", error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let name = ServerName::try_from(server_name(&task.identifier.value)).map_err(|error| tls(&error))?;
    let connection = |error: std::io::Error| Problem::new(400, "connection", error.to_string());
    let stream = TcpStream::connect(server).await.map_err(connection)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.map_err(|error| tls(&error))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(PROTOCOL) {
        return Err(Problem::unauthorized("the server does not speak acme-tls/1"));
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    certificate.map(|certificate| certificate.clone().into_owned()).ok_or_else(|| tls(&"no certificate"))
}

/// The SNI of a name is the name, that of an address is where its reverse records are (RFC 8738 §6).
fn server_name(identifier: &str) -> String {
    match identifier.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
        Err(_) => identifier.to_owned(),
    }
}

/// RFC 8737 §3: self-signed, one name, and the digest of the key authorization in a critical extension.
fn check(der: &[u8], task: &Task) -> Result<(), String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "cannot be read")?;
    certificate.verify_signature(None).map_err(|_| "is not self-signed")?;
    let names: Vec<&GeneralName<'_>> = certificate
        .iter_extensions()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .collect();
    let identifier = &task.identifier.value;
    let right = match (names.as_slice(), identifier.parse()) {
        ([GeneralName::IPAddress(bytes)], Ok(IpAddr::V4(address))) => **bytes == address.octets(),
        ([GeneralName::IPAddress(bytes)], Ok(IpAddr::V6(address))) => **bytes == address.octets(),
        ([GeneralName::DNSName(name)], Err(_)) => name.eq_ignore_ascii_case(identifier),
        _ => false,
    };
    if !right {
        return Err(format!("is not one for {identifier} alone"));
    }
    let mut found =
        certificate.iter_extensions().filter(|extension| extension.oid.to_id_string() == ACME_IDENTIFIER);
    let (Some(extension), None) = (found.next(), found.next()) else {
        return Err("does not have acmeIdentifier once".to_owned());
    };
    if !extension.critical {
        return Err("has an acmeIdentifier that is not critical".to_owned());
    }
    // An OCTET STRING of 32 bytes (X.690 §8.7).
    let expected = [&[4, 32], digest(&SHA256, task.key_authorization.as_bytes()).as_ref()].concat();
    if extension.value == expected {
        Ok(())
    } else {
        Err("has another key authorization's digest".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_for_by_their_reverse_names() {
        assert_eq!(server_name("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(server_name("2001:db8::1"), v6);
        assert_eq!(server_name("example.com"), "example.com");
    }
}

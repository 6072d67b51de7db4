//! A TLS handshake that only looks: it says which certificate the other side has, and whether it has the key for it. It
//! trusts nobody, and nothing is sent over it that matters.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme, SupportedCipherSuite};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::*;
use x509_parser::public_key::PublicKey;

use SignatureScheme as Scheme;

/// All that can be verified, the most usual first.
const ALL: [SignatureScheme; 9] = [
    Scheme::ECDSA_NISTP256_SHA256,
    Scheme::ECDSA_NISTP384_SHA384,
    Scheme::ECDSA_NISTP521_SHA512,
    Scheme::RSA_PSS_SHA256,
    Scheme::RSA_PSS_SHA384,
    Scheme::RSA_PSS_SHA512,
    Scheme::RSA_PKCS1_SHA256,
    Scheme::RSA_PKCS1_SHA384,
    Scheme::RSA_PKCS1_SHA512,
];

/// The signatures that a key can make: a server with certificates of several kinds is asked for the one of this kind.
pub(super) fn schemes(leaf: &[u8]) -> Vec<SignatureScheme> {
    let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return ALL.to_vec() };
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(_)) => ALL[3..].to_vec(),
        Ok(PublicKey::EC(point)) => match point.key_size() {
            256 => vec![Scheme::ECDSA_NISTP256_SHA256],
            384 => vec![Scheme::ECDSA_NISTP384_SHA384],
            _ => vec![Scheme::ECDSA_NISTP521_SHA512],
        },
        _ => ALL.to_vec(),
    }
}

/// What was seen.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// The certificate that is served, DER.
    pub(super) leaf: Option<Vec<u8>>,
    /// The server has its key.
    pub(super) has_key: bool,
}

/// A group that is named and never used for a key exchange: OpenSSL shows a certificate on a curve only to those who
/// know the curve as a group too. It is the last one, and servers choose among the others.
#[derive(Debug)]
struct NamedOnly(NamedGroup);

impl SupportedKxGroup for NamedOnly {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Err(rustls::Error::General(format!("no keys can be exchanged on {:?}", self.0)))
    }

    fn name(&self) -> NamedGroup {
        self.0
    }
}

/// How a version of TLS has a signature verified.
type Verify = fn(
    &[u8],
    &CertificateDer<'_>,
    &DigitallySignedStruct,
    &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error>;

/// Takes every certificate, and remembers it.
#[derive(Debug)]
pub(super) struct Look {
    provider: Arc<CryptoProvider>,
    schemes: Vec<SignatureScheme>,
    seen: Mutex<Seen>,
}

impl Look {
    /// One that asks for a certificate whose key makes one of these signatures.
    pub(super) fn new(schemes: Vec<SignatureScheme>) -> Arc<Self> {
        let mut provider = rustls::crypto::ring::default_provider();
        // The suites of TLS 1.2 name the kind of key too; the curve is another matter.
        let is_ecdsa = |scheme: &SignatureScheme| ALL[..3].contains(scheme);
        let (ecdsa, rsa) = (schemes.iter().any(is_ecdsa), !schemes.iter().all(is_ecdsa));
        provider.cipher_suites.retain(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) if suite.sign.iter().any(is_ecdsa) => ecdsa,
            SupportedCipherSuite::Tls12(_) => rsa,
            SupportedCipherSuite::Tls13(_) => true,
        });
        if schemes.contains(&Scheme::ECDSA_NISTP521_SHA512) {
            provider.kx_groups.push(&NamedOnly(NamedGroup::secp521r1));
        }
        Arc::new(Look { provider: Arc::new(provider), schemes, seen: Mutex::default() })
    }

    pub(super) fn config(self: &Arc<Self>) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone());
        let builder = builder.with_safe_default_protocol_versions()?;
        // It decides about nothing: what is served is compared with what should be.
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(self.clone()).with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes whether the server has the key, as `verify` says, or we where it cannot.
    fn signed(
        &self,
        verify: Verify,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let checked = match signed.scheme {
            Scheme::ECDSA_NISTP521_SHA512 => verify_p521(message, leaf, signed),
            _ => verify(message, leaf, signed, &self.provider.signature_verification_algorithms),
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).has_key = checked.is_ok();
        checked
    }
}

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).leaf = Some(leaf.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(verify_tls12_signature, message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed(verify_tls13_signature, message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// What `ring` cannot verify.
fn verify_p521(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    use p521::ecdsa::signature::hazmat::PrehashVerifier;
    let checked = || {
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let PublicKey::EC(point) = leaf.public_key().parsed().ok()? else { return None };
        let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point.data()).ok()?;
        let signature = p521::ecdsa::DerSignature::try_from(signed.signature()).ok()?;
        let digest = ring::digest::digest(&ring::digest::SHA512, message);
        key.verify_prehash(digest.as_ref(), &signature).ok()
    };
    let bad = rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature);
    checked().map(|()| HandshakeSignatureValid::assertion()).ok_or(bad)
}

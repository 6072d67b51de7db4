//! Certificate requests that were made elsewhere, so that the private key stays there.

use std::net::IpAddr;

use ring::digest::{self, SHA256, SHA384, SHA512};
use ring::signature as checks;
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_parser::prelude::*;
use x509_parser::public_key::PublicKey;

use super::KeyType;
use super::csr::TLS_FEATURE;
use super::encoding::bits;
use super::import::{contains, is_der};
use super::private_key::rsa_type;

/// The largest input: a request for 100 long names takes 30 KiB.
const LIMIT: usize = 256 * 1024;

/// The largest number of names. CAs give up to some hundred.
const MAX_NAMES: usize = 1000;

/// Why a request cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Larger than any request.
    #[error("this is too large for a certificate request (the limit is 256 KiB)")]
    TooLarge,
    /// No request, neither PEM nor DER.
    #[error("this is no certificate request, neither as PEM nor as DER (PKCS#10)")]
    NotARequest,
    /// It is something else.
    #[error("this is {0}, not a certificate request")]
    SomethingElse(&'static str),
    /// More than one request.
    #[error("there is more than one certificate request in it")]
    Several,
    /// A key or a signature that public CAs do not take.
    #[error("the certificate request has a kind of key or signature that cannot be used ({0})")]
    Unsupported(String),
    /// The signature does not fit.
    #[error("the certificate request is not signed by its own key (is it damaged?)")]
    Signature,
    /// Names of a kind that ACME does not know.
    #[error("the certificate request asks for {0}; only DNS names and IP addresses can be had")]
    NameKind(&'static str),
    /// More names than any CA gives.
    #[error("the certificate request has more than {MAX_NAMES} names")]
    TooManyNames,
    /// No names.
    #[error("the certificate request has no DNS name and no IP address")]
    NoNames,
}

/// A certificate request that was made elsewhere. Its signature is checked, its names are as they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRequest {
    der: Vec<u8>,
    public_key_info: Vec<u8>,
    key_type: Option<KeyType>,
    dns: Vec<String>,
    ip: Vec<IpAddr>,
    must_staple: bool,
}

impl ForeignRequest {
    /// Reads a request: DER, or PEM with or without other text around it.
    ///
    /// # Errors
    /// It is something else, asks for what ACME cannot give, or is not signed by its own key.
    pub fn read(input: &[u8]) -> Result<Self, RequestError> {
        if input.len() > LIMIT {
            return Err(RequestError::TooLarge);
        }
        if is_der(input) { Self::from_der(input) } else { Self::from_der(&unarmour(input)?) }
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        Self::from_der_checked(der, check_signature)
    }

    /// Reads DER whoever signed it: hardly a mutation of a request is signed.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn read_unsigned(der: &[u8]) -> Result<Self, RequestError> {
        Self::from_der_checked(der, |_, _| Ok(()))
    }

    fn from_der_checked(
        der: &[u8],
        check: fn(&X509CertificationRequest<'_>, &PublicKey<'_>) -> Result<(), RequestError>,
    ) -> Result<Self, RequestError> {
        let request = match X509CertificationRequest::from_der(der) {
            Ok(([], request)) => request,
            _ => return Err(other_der(der)),
        };
        let info = &request.certification_request_info;
        let key = info.subject_pki.parsed().map_err(|_| RequestError::NotARequest)?;
        check(&request, &key)?;
        let mut read = ForeignRequest {
            der: der.to_vec(),
            public_key_info: info.subject_pki.raw.to_vec(),
            key_type: key_type(&info.subject_pki, &key),
            dns: Vec::new(),
            ip: Vec::new(),
            must_staple: false,
        };
        for attribute in info.iter_attributes() {
            if let ParsedCriAttribute::ExtensionRequest(asked) = attribute.parsed_attribute() {
                for extension in &asked.extensions {
                    read.take_extension(extension)?;
                }
            }
        }
        for name in info.subject.iter_common_name() {
            read.take_common_name(name.as_str().unwrap_or_default());
        }
        if read.dns.is_empty() && read.ip.is_empty() { Err(RequestError::NoNames) } else { Ok(read) }
    }

    fn take_extension(&mut self, extension: &X509Extension<'_>) -> Result<(), RequestError> {
        if extension.oid.iter().is_some_and(|arcs| arcs.eq(TLS_FEATURE.iter().copied())) {
            let features = yasna::parse_der(extension.value, |reader| {
                reader.collect_sequence_of(|reader| reader.read_u64())
            });
            // 5 is status_request.
            self.must_staple |= features.map_err(|_| RequestError::NotARequest)?.contains(&5);
        }
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else {
            return Ok(());
        };
        if names.general_names.len() > MAX_NAMES {
            return Err(RequestError::TooManyNames);
        }
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => self.add_dns(name),
                GeneralName::IPAddress(octets) => {
                    match (<[u8; 4]>::try_from(*octets), <[u8; 16]>::try_from(*octets)) {
                        (Ok(octets), _) => self.add_ip(octets.into()),
                        (_, Ok(octets)) => self.add_ip(octets.into()),
                        _ => return Err(RequestError::NameKind("an IP address of a strange length")),
                    }
                }
                GeneralName::RFC822Name(_) => return Err(RequestError::NameKind("a mail address")),
                GeneralName::URI(_) => return Err(RequestError::NameKind("a URI")),
                _ => return Err(RequestError::NameKind("a name of another kind")),
            }
        }
        Ok(())
    }

    /// CAs take the common name for one of the names; other words there ("My company") mean nothing to them.
    fn take_common_name(&mut self, name: &str) {
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        };
        let host = name.strip_prefix("*.").unwrap_or(name);
        if let Ok(address) = name.parse() {
            self.add_ip(address);
        } else if host.contains('.') && host.split('.').all(label) {
            self.add_dns(name);
        }
    }

    fn add_dns(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if !self.dns.contains(&name) {
            self.dns.push(name);
        }
    }

    fn add_ip(&mut self, address: IpAddr) {
        if !self.ip.contains(&address) {
            self.ip.push(address);
        }
    }

    /// The request as DER, to be sent as it is.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The DNS names that it asks for, in lower case and its own order, each once. They are not judged here.
    pub fn dns_names(&self) -> &[String] {
        &self.dns
    }

    /// The IP addresses that it asks for.
    pub fn ip_addresses(&self) -> &[IpAddr] {
        &self.ip
    }

    /// Whether it asks for the must-staple extension (RFC 7633).
    pub fn must_staple(&self) -> bool {
        self.must_staple
    }

    /// Its public key as SubjectPublicKeyInfo, DER.
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// The type of its key; `None` for an RSA key of a length that livecert does not make.
    pub fn key_type(&self) -> Option<KeyType> {
        self.key_type
    }
}

fn unarmour(input: &[u8]) -> Result<Vec<u8>, RequestError> {
    // Java's keytool and old programs of Microsoft call it new (RFC 7468 §7).
    let input =
        &String::from_utf8_lossy(input).replace(" NEW CERTIFICATE REQUEST-----", " CERTIFICATE REQUEST-----");
    let input = input.as_bytes();
    let (mut found, mut other) = (None, RequestError::NotARequest);
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(input) {
        let (kind, der) = section.map_err(|_| RequestError::NotARequest)?;
        match kind {
            SectionKind::Csr if found.replace(der).is_some() => return Err(RequestError::Several),
            SectionKind::Csr => {}
            SectionKind::Certificate => other = RequestError::SomethingElse("a certificate"),
            SectionKind::PublicKey => other = RequestError::SomethingElse("a public key"),
            SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                other = RequestError::SomethingElse("a private key");
            }
            _ => {}
        }
    }
    if contains(input, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        other = RequestError::SomethingElse("a private key");
    }
    found.ok_or(other)
}

/// What a DER that is no request is.
fn other_der(der: &[u8]) -> RequestError {
    if X509Certificate::from_der(der).is_ok() {
        RequestError::SomethingElse("a certificate")
    } else if super::PrivateKey::read(der).is_ok() {
        RequestError::SomethingElse("a private key")
    } else {
        RequestError::NotARequest
    }
}

fn key_type(info: &SubjectPublicKeyInfo<'_>, key: &PublicKey<'_>) -> Option<KeyType> {
    match (key, curve(info).as_deref()) {
        (PublicKey::RSA(key), _) => rsa_type(bits(key.modulus)),
        (_, Some(P256)) => Some(KeyType::Ec256),
        (_, Some(P384)) => Some(KeyType::Ec384),
        (_, Some(P521)) => Some(KeyType::Ec521),
        _ => None,
    }
}

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";

fn curve(info: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    let parameters = info.algorithm.parameters.as_ref()?;
    parameters.as_oid().ok().map(|oid| oid.to_id_string())
}

/// Checks that the request is signed by its own key (RFC 2986 §4.2).
fn check_signature(request: &X509CertificationRequest<'_>, key: &PublicKey<'_>) -> Result<(), RequestError> {
    let info = &request.certification_request_info;
    let algorithm = request.signature_algorithm.algorithm.to_id_string();
    let (message, signature) = (info.raw, request.signature_value.data.as_ref());
    let curve = curve(&info.subject_pki);
    let check: &'static dyn VerificationAlgorithm = match (key, curve.as_deref(), algorithm.as_str()) {
        (PublicKey::RSA(key), ..) if bits(key.modulus) < 2048 => {
            return Err(RequestError::Unsupported(format!("RSA with {} bits", bits(key.modulus))));
        }
        (PublicKey::RSA(_), _, "1.2.840.113549.1.1.11") => &checks::RSA_PKCS1_2048_8192_SHA256,
        (PublicKey::RSA(_), _, "1.2.840.113549.1.1.12") => &checks::RSA_PKCS1_2048_8192_SHA384,
        (PublicKey::RSA(_), _, "1.2.840.113549.1.1.13") => &checks::RSA_PKCS1_2048_8192_SHA512,
        (PublicKey::EC(_), Some(P256), "1.2.840.10045.4.3.2") => &checks::ECDSA_P256_SHA256_ASN1,
        (PublicKey::EC(_), Some(P256), "1.2.840.10045.4.3.3") => &checks::ECDSA_P256_SHA384_ASN1,
        (PublicKey::EC(_), Some(P384), "1.2.840.10045.4.3.2") => &checks::ECDSA_P384_SHA256_ASN1,
        (PublicKey::EC(_), Some(P384), "1.2.840.10045.4.3.3") => &checks::ECDSA_P384_SHA384_ASN1,
        (PublicKey::EC(point), Some(P521), "1.2.840.10045.4.3.2") => {
            return check_p521(point.data(), digest::digest(&SHA256, message), signature);
        }
        (PublicKey::EC(point), Some(P521), "1.2.840.10045.4.3.3") => {
            return check_p521(point.data(), digest::digest(&SHA384, message), signature);
        }
        (PublicKey::EC(point), Some(P521), "1.2.840.10045.4.3.4") => {
            return check_p521(point.data(), digest::digest(&SHA512, message), signature);
        }
        _ => {
            let key = info.subject_pki.algorithm.algorithm.to_id_string();
            return Err(RequestError::Unsupported(format!("key {key}, signature {algorithm}")));
        }
    };
    let key = info.subject_pki.subject_public_key.data.as_ref();
    UnparsedPublicKey::new(check, key).verify(message, signature).map_err(|_| RequestError::Signature)
}

fn check_p521(point: &[u8], digest: digest::Digest, signature: &[u8]) -> Result<(), RequestError> {
    use p521::ecdsa::signature::hazmat::PrehashVerifier;
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| RequestError::Signature)?;
    let signature = p521::ecdsa::DerSignature::try_from(signature).map_err(|_| RequestError::Signature)?;
    // A digest is a number here; the crate wants none that is less than half as long as the curve's.
    let mut prehash = [0; 64];
    let digest = digest.as_ref();
    prehash[64 - digest.len()..].copy_from_slice(digest);
    key.verify_prehash(&prehash, &signature).map_err(|_| RequestError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{CsrOptions, PrivateKey, certificate_request};

    #[test]
    fn an_endless_list_of_names_is_refused() {
        let key = PrivateKey::generate(KeyType::Ec256).unwrap();
        let read = |count: usize| {
            let names = (0..count).map(|number| format!("a{number}.example"));
            ForeignRequest::read(&certificate_request(&key, &CsrOptions::for_dns(names)).unwrap())
        };
        assert_eq!(read(MAX_NAMES).unwrap().dns_names().len(), MAX_NAMES);
        assert!(matches!(read(MAX_NAMES + 1), Err(RequestError::TooManyNames)));
    }
}

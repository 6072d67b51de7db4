//! The certificate authority behind the server: roots, and one intermediate that each of them has signed.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};

use crate::jwk::encode;
use crate::state::Identifier;

/// Twenty years, the life of the CA's own certificates.
const CA_LIFE: i64 = 20 * 365 * 86_400;

/// The CA.
pub(crate) struct Ca {
    roots: Vec<CertifiedIssuer<'static, KeyPair>>,
    /// The same name and key, signed by each root.
    intermediates: Vec<Certificate>,
    issuer: Issuer<'static, KeyPair>,
    /// The intermediate's key identifier: the first part of renewal ids.
    key_identifier: Vec<u8>,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ca({} roots)", self.roots.len())
    }
}

/// What a certificate has to be like.
pub(crate) struct Wish<'a> {
    pub(crate) identifiers: &'a [Identifier],
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// A certificate, and its id for renewalInfo.
pub(crate) struct Signed {
    pub(crate) der: Vec<u8>,
    pub(crate) renewal_id: String,
}

/// `time`'s type without naming that crate: rcgen takes nothing else.
macro_rules! moment {
    ($at:expr) => {
        rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(u64::try_from($at.as_second()).unwrap_or_default())
    };
}

fn authority(name: &str, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = Timestamp::now();
    params.not_before = moment!(now) - Duration::from_secs(86_400);
    params.not_after = moment!(now) + Duration::from_secs(CA_LIFE.unsigned_abs());
    params.use_authority_key_identifier_extension = true;
    params
}

impl Ca {
    pub(crate) fn new(name: &str, roots: u8) -> Result<Self, rcgen::Error> {
        let roots: Vec<_> = (1..=roots.max(1))
            .map(|number| {
                CertifiedIssuer::self_signed(
                    authority(&format!("{name} Root {number}"), 1),
                    KeyPair::generate()?,
                )
            })
            .collect::<Result<_, _>>()?;
        let key = KeyPair::generate()?;
        let params = authority(&format!("{name} Intermediate"), 0);
        let key_identifier = params.key_identifier(&key);
        let intermediates =
            roots.iter().map(|root| params.signed_by(&key, root)).collect::<Result<_, _>>()?;
        Ok(Ca { roots, intermediates, issuer: Issuer::new(params, key), key_identifier })
    }

    /// The certificates of all roots, PEM.
    pub(crate) fn roots(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.pem()).collect()
    }

    pub(crate) fn chains(&self) -> usize {
        self.intermediates.len()
    }

    /// The intermediate as this root has signed it, PEM.
    pub(crate) fn intermediate(&self, chain: usize) -> Option<String> {
        self.intermediates.get(chain).map(Certificate::pem)
    }

    /// Signs a certificate for a key.
    pub(crate) fn sign(&self, wish: &Wish<'_>, key: &impl PublicKeyData) -> Result<Signed, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = wish.identifiers.iter().map(name).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = moment!(wish.not_before);
        params.not_after = moment!(wish.not_after);
        params.use_authority_key_identifier_extension = true;
        // With the first bit set, its DER begins with a zero byte, which is part of the renewal id (RFC 9773 §4.1).
        let mut serial: Vec<u8> = (0..16).map(|_| fastrand::u8(..)).collect();
        serial[0] |= 0x80;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(key, &self.issuer)?;
        let renewal_id = format!("{}.{}", encode(&self.key_identifier), encode([vec![0], serial].concat()));
        Ok(Signed { der: certificate.der().to_vec(), renewal_id })
    }
}

fn name(identifier: &Identifier) -> Result<SanType, rcgen::Error> {
    match identifier.value.parse() {
        Ok(address) if identifier.kind == "ip" => Ok(SanType::IpAddress(address)),
        _ => Ok(SanType::DnsName(identifier.value.as_str().try_into()?)),
    }
}

/// A certificate as PEM (RFC 7468): lines of 64 characters.
pub(crate) fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem = pem + line + "\n";
        rest = more;
    }
    pem + "-----END CERTIFICATE-----\n"
}

//! Private keys as people have them: PEM, DER or JWK.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::KeyError;
use super::encoding::{Curve, KeyParts};

/// The largest input; an RSA key with 4096 bits takes 3.3 KiB.
const LIMIT: usize = 64 * 1024;

/// Finds out what `input` is, and reads it.
pub(super) fn read(input: &[u8]) -> Result<KeyParts, KeyError> {
    if input.len() > LIMIT {
        return Err(KeyError::TooLarge);
    }
    if is_der(input) {
        return KeyParts::from_der(input);
    }
    let text = std::str::from_utf8(input).map_err(|_| KeyError::Unreadable)?;
    if text.trim_start().starts_with('{') { read_jwk(text) } else { read_pem(text) }
}

/// Whether it is DER rather than text: a SEQUENCE begins with the octet of the digit 0, as a text may do.
pub(super) fn is_der(input: &[u8]) -> bool {
    input.first() == Some(&0x30) && !contains(input, b"-----BEGIN ")
}

/// Whether `part` is somewhere in `input`.
pub(super) fn contains(input: &[u8], part: &[u8]) -> bool {
    input.windows(part.len()).any(|window| window == part)
}

fn read_pem(text: &str) -> Result<KeyParts, KeyError> {
    // Old files keep the label of a plain key and say so in a header (RFC 1421).
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    let (mut keys, mut other) = (Vec::new(), None);
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|_| KeyError::Unreadable)?;
        let der = Zeroizing::new(der);
        match kind {
            SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                keys.push(der)
            }
            SectionKind::Certificate => other = Some("a certificate"),
            SectionKind::Csr => other = Some("a certificate request"),
            SectionKind::PublicKey => other = Some("a public key"),
            _ => {}
        }
    }
    match (keys.as_slice(), other) {
        ([der], _) => KeyParts::from_der(der),
        ([], Some(other)) => Err(KeyError::NotAPrivateKey(other)),
        ([], None) => Err(KeyError::Unreadable),
        _ => Err(KeyError::Several),
    }
}

/// A private JWK (RFC 7517, RFC 7518 §6). Members are base64url.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
    n: Option<String>,
    e: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

fn read_jwk(text: &str) -> Result<KeyParts, KeyError> {
    // serde_json's message could quote the input.
    let jwk: Jwk = serde_json::from_str(text).map_err(|_| KeyError::Unreadable)?;
    let number = |member: &Option<String>| {
        let text = member.as_deref().ok_or(KeyError::Unreadable)?;
        let octets = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        octets.map(Zeroizing::new).map_err(|_| KeyError::Unreadable)
    };
    if jwk.d.is_none() && matches!(jwk.kty.as_str(), "EC" | "RSA") {
        return Err(KeyError::NotAPrivateKey("a public key"));
    }
    match jwk.kty.as_str() {
        "EC" => {
            let curve = match jwk.crv.as_deref() {
                Some("P-256") => Curve::P256,
                Some("P-384") => Curve::P384,
                Some("P-521") => Curve::P521,
                _ => return Err(KeyError::UnsupportedKind),
            };
            let (x, y) = (number(&jwk.x)?, number(&jwk.y)?);
            if x.len() != curve.length() || y.len() != curve.length() {
                return Err(KeyError::Inconsistent);
            }
            KeyParts::ec(curve, &number(&jwk.d)?, Some([&[4], x.as_slice(), y.as_slice()].concat()))
        }
        "RSA" => Ok(KeyParts::rsa(&[
            number(&jwk.n)?,
            number(&jwk.e)?,
            number(&jwk.d)?,
            number(&jwk.p)?,
            number(&jwk.q)?,
            number(&jwk.dp)?,
            number(&jwk.dq)?,
            number(&jwk.qi)?,
        ])),
        _ => Err(KeyError::UnsupportedKind),
    }
}

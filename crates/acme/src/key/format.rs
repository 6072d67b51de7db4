//! The forms in which a private key is kept: PKCS#8, SEC1 and PKCS#1, DER and PEM. Whatever comes in is taken apart
//! and put together again as PKCS#8, so that there is one form inside.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Encode};
use pkcs8::spki::AlgorithmIdentifier;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

use super::{AccountKey, AccountKeyType, Inner, KeyError, MAX_TEXT, Pair, bit_length};

/// `id-ecPublicKey` (RFC 5480 §2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `rsaEncryption` (RFC 8017 appendix A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// The curves (RFC 5480 §2.1.1.1).
const CURVES: [(ObjectIdentifier, AccountKeyType); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), AccountKeyType::EcdsaP256),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), AccountKeyType::EcdsaP384),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), AccountKeyType::EcdsaP521),
];

fn unreadable(_: impl Sized) -> KeyError {
    KeyError::Unreadable
}

fn curve(oid: ObjectIdentifier) -> Result<AccountKeyType, KeyError> {
    CURVES.iter().find(|(known, _)| *known == oid).map(|(_, kind)| *kind).ok_or(KeyError::Unreadable)
}

impl AccountKey {
    /// Reads a key from PKCS#8 DER (RFC 5208, RFC 5958).
    ///
    /// # Errors
    /// It is no such key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(unreadable)?;
        let private = info.private_key.as_bytes();
        if info.algorithm.oid == RSA {
            return Self::from_pkcs1_der(private);
        }
        if info.algorithm.oid != EC {
            return Err(KeyError::Unreadable);
        }
        let named = info.algorithm.parameters.ok_or(KeyError::Unreadable)?;
        let kind = curve(named.decode_as().map_err(unreadable)?)?;
        let key = EcPrivateKey::from_der(private).map_err(unreadable)?;
        Self::from_scalar(kind, key.private_key, key.public_key)
    }

    /// Reads a key from PEM (RFC 7468): `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1, RFC 5915) or
    /// `RSA PRIVATE KEY` (PKCS#1). Other blocks and text around it are passed over.
    ///
    /// # Errors
    /// There is no such key in it, or it is encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.len() > MAX_TEXT {
            return Err(KeyError::Unreadable);
        }
        // `Proc-Type: 4,ENCRYPTED` stands inside the older form, RFC 1421 §4.6.1.1.
        if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(unreadable)? {
            PrivateKeyDer::Pkcs8(key) => Self::from_pkcs8_der(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(key) => Self::from_sec1_der(key.secret_sec1_der()),
            PrivateKeyDer::Pkcs1(key) => Self::from_pkcs1_der(key.secret_pkcs1_der()),
            _ => Err(KeyError::Unreadable),
        }
    }

    /// The key as PEM, PKCS#8; wiped when dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(STANDARD.encode(self.0.pkcs8.as_slice()));
        let mut pem = Zeroizing::new(String::with_capacity(text.len() + text.len() / 64 + 60));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            // Base64 is ASCII, so any index is a boundary.
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }

    /// SEC1 (RFC 5915), the curve named inside.
    fn from_sec1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = EcPrivateKey::from_der(der).map_err(unreadable)?;
        let named = key.parameters.and_then(|parameters| parameters.named_curve());
        Self::from_scalar(curve(named.ok_or(KeyError::Unreadable)?)?, key.private_key, key.public_key)
    }

    /// PKCS#1 (RFC 8017 appendix A.1.2). Whoever signs checks the numbers.
    pub(super) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let numbers = pkcs1::RsaPrivateKeyRef::try_from(der).map_err(unreadable)?;
        let bits = bit_length(numbers.modulus.as_bytes());
        let pair = match bits {
            2048 | 3072 | 4096 => Pair::Rsa(Box::new(RsaKeyPair::from_der(der).map_err(unreadable)?)),
            2049..4096 => {
                let key = rsa::PrivateKey::from_pkcs1_der(der).map_err(unreadable)?;
                Pair::OddRsa(Box::new(key))
            }
            _ => return Err(KeyError::Unreadable),
        };
        let pkcs8 = wrap(RSA, AnyRef::NULL, der)?;
        Ok(AccountKey(Arc::new(Inner { pair, pkcs8 })))
    }

    /// A key on a curve from its number and its point. Some writers leave out zeros in front of the number.
    pub(super) fn from_scalar(
        kind: AccountKeyType,
        scalar: &[u8],
        point: Option<&[u8]>,
    ) -> Result<Self, KeyError> {
        let length = kind.coordinate_length().ok_or(KeyError::Unreadable)?;
        let mut padded = Zeroizing::new(vec![0; length]);
        let zeros = length.checked_sub(scalar.len()).ok_or(KeyError::Unreadable)?;
        padded[zeros..].copy_from_slice(scalar);
        let ring_pair = |signing: &'static EcdsaSigningAlgorithm| {
            let point = point.ok_or(KeyError::NoPublicPart)?;
            EcdsaKeyPair::from_private_key_and_public_key(signing, &padded, point, &SystemRandom::new())
                .map_err(unreadable)
        };
        let pair = match kind {
            AccountKeyType::EcdsaP256 => Pair::P256(ring_pair(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            AccountKeyType::EcdsaP384 => Pair::P384(ring_pair(&ECDSA_P384_SHA384_FIXED_SIGNING)?),
            AccountKeyType::EcdsaP521 => {
                let key = p521::ecdsa::SigningKey::from_slice(&padded).map_err(unreadable)?;
                let computed = key.verifying_key().to_sec1_point(false);
                if point.is_some_and(|point| point != computed.as_bytes()) {
                    return Err(KeyError::Unreadable);
                }
                Pair::P521(Box::new(key))
            }
            AccountKeyType::Rsa { .. } => return Err(KeyError::Unreadable),
        };
        let mut key = Inner { pair, pkcs8: Zeroizing::default() };
        key.pkcs8 = encode_curve(kind, &padded, &key.pair)?;
        Ok(AccountKey(Arc::new(key)))
    }
}

fn encode_curve(kind: AccountKeyType, scalar: &[u8], pair: &Pair) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (oid, _) = CURVES.iter().find(|(_, known)| *known == kind).ok_or(KeyError::Unreadable)?;
    let point = pair.point().ok_or(KeyError::Unreadable)?;
    // The curve stands in the outer structure (RFC 5958 §2); RFC 5915 §3 lets it out here.
    let key = EcPrivateKey { private_key: scalar, parameters: None, public_key: Some(&point) };
    let der = Zeroizing::new(key.to_der().map_err(unreadable)?);
    wrap(EC, AnyRef::from(oid), &der)
}

fn wrap(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let algorithm = AlgorithmIdentifier { oid, parameters: Some(parameters) };
    let key = OctetStringRef::new(key).map_err(unreadable)?;
    let info: PrivateKeyInfoRef<'_> = PrivateKeyInfoRef::new(algorithm, key);
    Ok(Zeroizing::new(info.to_der().map_err(unreadable)?))
}

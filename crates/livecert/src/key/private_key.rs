//! Private keys of certificates: made here or read, kept as PKCS#8.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p521::ecdsa::signature::Signer;
use ring::digest::SHA256;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::traits::PublicKeyParts;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::encoding::{Curve, KeyParts, Oid, bits, modulus_bits, public_key_info, rsa_public_key};
use super::{KeyError, KeyType, RsaBits, import};

/// A private key.
pub struct PrivateKey {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    pem: SecretString,
}

/// What signs: `ring`, and other crates for what `ring` does not have.
enum Pair {
    Ec(Curve, Box<EcdsaKeyPair>),
    Ec521(Box<p521::ecdsa::SigningKey>),
    Rsa(Box<RsaKeyPair>),
    /// `ring` takes primes of whole multiples of 512 bits only.
    OddRsa(Box<rsa::PrivateKey>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("type", &self.key_type()).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes up to seconds of CPU: call it where that blocks nobody.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate(kind: KeyType) -> Result<Self, KeyError> {
        match kind {
            KeyType::Ec256 => Self::generate_ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyType::Ec384 => Self::generate_ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyType::Ec521 => Self::generate_p521(),
            KeyType::Rsa(bits) => Self::generate_rsa(bits),
        }
    }

    fn generate_ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<Self, KeyError> {
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        Self::from_parts(KeyParts::from_der(made.map_err(|_| KeyError::Generation)?.as_ref())?)
    }

    fn generate_p521() -> Result<Self, KeyError> {
        // Random numbers of 521 bits until one is in range, which is the first one but for one time in 2^260 or so.
        loop {
            let mut secret = Zeroizing::new([0; Curve::P521.length()]);
            getrandom::fill(secret.as_mut_slice()).map_err(|_| KeyError::Generation)?;
            secret[0] &= 1;
            if p521::ecdsa::SigningKey::from_slice(secret.as_slice()).is_ok() {
                return Self::from_parts(KeyParts::ec(Curve::P521, secret.as_slice(), None)?);
            }
        }
    }

    /// `ring` cannot generate RSA keys.
    fn generate_rsa(bits: RsaBits) -> Result<Self, KeyError> {
        let mut random = rsa::rand_core::UnwrapErr(getrandom::SysRng);
        let key = rsa::PrivateKey::new(&mut random, bits.get().into()).map_err(|_| KeyError::Generation)?;
        let pkcs1 = key.to_pkcs1_der().map_err(|_| KeyError::Generation)?;
        Self::from_parts(KeyParts::Rsa(Zeroizing::new(pkcs1.as_bytes().to_vec())))
    }

    /// Reads a key that somebody has: PKCS#8, SEC1 or PKCS#1 as PEM or DER, or a private JWK (RFC 7518 §6).
    ///
    /// # Errors
    /// It is something else, encrypted, damaged, or of a kind that cannot be used.
    pub fn read(input: &[u8]) -> Result<Self, KeyError> {
        Self::from_parts(import::read(input)?)
    }

    /// Reads a stored key, PEM.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        Self::read(pem.expose_secret().as_bytes())
    }

    fn from_parts(mut parts: KeyParts) -> Result<Self, KeyError> {
        let pair = match &mut parts {
            KeyParts::Ec { curve: Curve::P521, secret, point } => {
                let key = p521::ecdsa::SigningKey::from_slice(secret).map_err(|_| KeyError::Inconsistent)?;
                let computed = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                let matches = |point: &Vec<u8>| match p521::ecdsa::VerifyingKey::from_sec1_bytes(point) {
                    Ok(public) => public == *key.verifying_key(),
                    Err(_) => false,
                };
                if !point.as_ref().is_none_or(matches) {
                    return Err(KeyError::Inconsistent);
                }
                *point = Some(computed);
                Pair::Ec521(Box::new(key))
            }
            KeyParts::Ec { curve, secret, point } => {
                let point = point.as_ref().filter(|point| point.first() == Some(&4));
                let point = point.ok_or(KeyError::NoPublicHalf)?;
                let algorithm = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
                    _ => &ECDSA_P384_SHA384_ASN1_SIGNING,
                };
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret, point, &random);
                Pair::Ec(*curve, Box::new(pair.map_err(|_| KeyError::Inconsistent)?))
            }
            KeyParts::Rsa(pkcs1) => {
                let bits = modulus_bits(pkcs1)?;
                if !(2048..=4096).contains(&bits) {
                    return Err(KeyError::RsaSize);
                }
                if bits.is_multiple_of(1024) {
                    Pair::Rsa(Box::new(RsaKeyPair::from_der(pkcs1).map_err(|_| KeyError::Inconsistent)?))
                } else {
                    let key = rsa::PrivateKey::from_pkcs1_der(pkcs1).map_err(|_| KeyError::Inconsistent)?;
                    Pair::OddRsa(Box::new(key))
                }
            }
        };
        let pkcs8 = parts.to_pkcs8();
        let pem = pem("PRIVATE KEY", &pkcs8);
        Ok(PrivateKey { pair, pem: SecretString::from(pem.as_str()), pkcs8 })
    }

    /// The key as PKCS#8 PEM.
    pub fn pem(&self) -> &SecretString {
        &self.pem
    }

    /// The key as PKCS#8 DER; wiped when dropped.
    ///
    /// # Errors
    /// None.
    pub fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(self.pkcs8.clone())
    }

    /// The public key as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), DER.
    pub fn public_key_info(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(curve, pair) => public_key_info(Some(*curve), pair.public_key().as_ref()),
            Pair::Ec521(key) => {
                public_key_info(Some(Curve::P521), key.verifying_key().to_sec1_point(false).as_bytes())
            }
            Pair::Rsa(pair) => public_key_info(None, pair.public_key().as_ref()),
            Pair::OddRsa(key) => {
                let (modulus, exponent) =
                    (key.n().to_be_bytes_trimmed_vartime(), key.e().to_be_bytes_trimmed_vartime());
                public_key_info(None, &rsa_public_key(&modulus, &exponent))
            }
        }
    }

    /// Its type; `None` for an RSA key of a length that is not made here.
    pub fn key_type(&self) -> Option<KeyType> {
        Some(match &self.pair {
            Pair::Ec(Curve::P256, _) => KeyType::Ec256,
            Pair::Ec(..) => KeyType::Ec384,
            Pair::Ec521(_) => KeyType::Ec521,
            Pair::Rsa(pair) => rsa_type(pair.public().modulus_len() * 8)?,
            Pair::OddRsa(key) => rsa_type(bits(&key.n().to_be_bytes_trimmed_vartime()))?,
        })
    }

    /// The signature of `message` and the algorithm that made it; ECDSA signatures are DER (RFC 5480 appendix A).
    pub(super) fn sign(&self, message: &[u8]) -> Result<(SignatureAlgorithm, Vec<u8>), KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(curve, pair) => {
                let algorithm = match curve {
                    Curve::P256 => SignatureAlgorithm::EcdsaSha256,
                    _ => SignatureAlgorithm::EcdsaSha384,
                };
                let signature = pair.sign(&random, message).map_err(|_| KeyError::Signing)?;
                Ok((algorithm, signature.as_ref().to_vec()))
            }
            Pair::Ec521(key) => {
                let signature: p521::ecdsa::DerSignature =
                    key.try_sign(message).map_err(|_| KeyError::Signing)?;
                Ok((SignatureAlgorithm::EcdsaSha512, signature.as_bytes().to_vec()))
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.map_err(|_| KeyError::Signing)?;
                Ok((SignatureAlgorithm::RsaSha256, signature))
            }
            Pair::OddRsa(key) => {
                let scheme = rsa::Pkcs1v15Sign { hash_len: Some(32), prefix: SHA256_PREFIX.into() };
                let digest = ring::digest::digest(&SHA256, message);
                // Randomness blinds the number, against measuring of times.
                let signed = key.sign_with_rng(&mut getrandom::SysRng, scheme, digest.as_ref());
                Ok((SignatureAlgorithm::RsaSha256, signed.map_err(|_| KeyError::Signing)?))
            }
        }
    }
}

/// What stands before a SHA-256 digest that RSA signs (RFC 8017 §9.2, note 1).
const SHA256_PREFIX: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

/// The type of an RSA key whose modulus has `bits` bits.
pub(super) fn rsa_type(bits: usize) -> Option<KeyType> {
    u16::try_from(bits).ok().and_then(RsaBits::new).map(KeyType::Rsa)
}

/// What signs requests here (RFC 5758, RFC 4055).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
    RsaSha256,
}

impl SignatureAlgorithm {
    pub(super) const fn oid(self) -> Oid {
        match self {
            SignatureAlgorithm::EcdsaSha256 => &[1, 2, 840, 10045, 4, 3, 2],
            SignatureAlgorithm::EcdsaSha384 => &[1, 2, 840, 10045, 4, 3, 3],
            SignatureAlgorithm::EcdsaSha512 => &[1, 2, 840, 10045, 4, 3, 4],
            SignatureAlgorithm::RsaSha256 => &[1, 2, 840, 113_549, 1, 1, 11],
        }
    }
}

/// PEM (RFC 7468) of `der`.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut text =
        Zeroizing::new(String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 64));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.extend([line, "\n"]);
        rest = more;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

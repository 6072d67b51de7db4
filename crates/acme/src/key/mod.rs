//! Account keys: making them, and signing with them.

mod format;
mod jwk;

use std::fmt;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

/// The types of account keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccountKeyType {
    /// ECDSA on P-256, signing as ES256.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384, signing as ES384.
    EcdsaP384,
    /// ECDSA on P-521, signing as ES512. Few servers take it.
    EcdsaP521,
    /// RSA, signing as RS256. Such keys are made elsewhere and read here ([`AccountKey::from_pkcs8_der`]).
    Rsa {
        /// The length of the modulus, 2048 to 4096.
        bits: usize,
    },
}

impl AccountKeyType {
    /// The length of a coordinate, and of the private number, in bytes; `None` for RSA.
    fn coordinate_length(self) -> Option<usize> {
        match self {
            AccountKeyType::EcdsaP256 => Some(32),
            AccountKeyType::EcdsaP384 => Some(48),
            AccountKeyType::EcdsaP521 => Some(66),
            AccountKeyType::Rsa { .. } => None,
        }
    }
}

impl fmt::Display for AccountKeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountKeyType::EcdsaP256 => f.write_str("P-256"),
            AccountKeyType::EcdsaP384 => f.write_str("P-384"),
            AccountKeyType::EcdsaP521 => f.write_str("P-521"),
            AccountKeyType::Rsa { bits } => write!(f, "RSA {bits}"),
        }
    }
}

/// Why a key does not work. Key material is never part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a key of a type that accounts can have, or damaged.
    #[error("the account key is not readable as a key on P-256, P-384, P-521 or RSA with 2048 to 4096 bits")]
    Unreadable,
    /// A key that a passphrase protects.
    #[error("the account key is encrypted: take the passphrase off first")]
    Encrypted,
    /// A key on a curve, without its public point, which this crate does not compute for P-256 and P-384.
    #[error("the account key lacks its public part: write it again with `openssl pkey`")]
    NoPublicPart,
    /// The type cannot be generated here.
    #[error("{0} keys are made elsewhere and read here")]
    NotGenerated(AccountKeyType),
    /// The system gives no random bytes.
    #[error("the key cannot be used: the system gives no random bytes")]
    Random,
}

/// The largest file or text that is looked at for a key, in bytes. A JWK of RSA 4096 needs some three thousand.
const MAX_TEXT: usize = 64 * 1024;

/// The private key of an account. Cheap to clone; its bytes are wiped when the last clone is dropped.
#[derive(Clone)]
pub struct AccountKey(Arc<Inner>);

struct Inner {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(Box<p521::ecdsa::SigningKey>),
    Rsa(Box<RsaKeyPair>),
    /// `ring` takes primes of whole multiples of 512 bits only.
    OddRsa(Box<rsa::PrivateKey>),
}

impl Pair {
    /// The public point, uncompressed: 0x04, x, y (SEC 1 §2.3.3); `None` for RSA.
    fn point(&self) -> Option<Vec<u8>> {
        match self {
            Pair::P256(pair) | Pair::P384(pair) => Some(pair.public_key().as_ref().to_vec()),
            Pair::P521(pair) => Some(pair.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
            Pair::Rsa(_) | Pair::OddRsa(_) => None,
        }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({}, [REDACTED])", self.algorithm())
    }
}

impl AccountKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// The system gives no random bytes, or `kind` is RSA.
    pub fn generate(kind: AccountKeyType) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let signing = match kind {
            AccountKeyType::EcdsaP256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            AccountKeyType::EcdsaP384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            AccountKeyType::EcdsaP521 => return Self::generate_p521(&random),
            AccountKeyType::Rsa { .. } => return Err(KeyError::NotGenerated(kind)),
        };
        let document = EcdsaKeyPair::generate_pkcs8(signing, &random).map_err(|_| KeyError::Random)?;
        Self::from_pkcs8_der(document.as_ref())
    }

    /// A random number of 521 bits is below the curve's order, and not zero, in all but one of 2^260 cases.
    fn generate_p521(random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let mut scalar = Zeroizing::new([0; 66]);
        random.fill(scalar.as_mut_slice()).map_err(|_| KeyError::Random)?;
        scalar[0] &= 1;
        Self::from_scalar(AccountKeyType::EcdsaP521, scalar.as_slice(), None)
    }

    /// The key as PKCS#8 DER (RFC 5208); wiped when dropped.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.0.pkcs8.clone()
    }

    /// The type of the key.
    pub fn key_type(&self) -> AccountKeyType {
        match &self.0.pair {
            Pair::P256(_) => AccountKeyType::EcdsaP256,
            Pair::P384(_) => AccountKeyType::EcdsaP384,
            Pair::P521(_) => AccountKeyType::EcdsaP521,
            Pair::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                AccountKeyType::Rsa { bits: bit_length(&public.n) }
            }
            Pair::OddRsa(key) => {
                AccountKeyType::Rsa { bits: bit_length(&key.n().to_be_bytes_trimmed_vartime()) }
            }
        }
    }

    /// The JWS algorithm (RFC 7518 §3.1).
    pub fn algorithm(&self) -> &'static str {
        match self.0.pair {
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::P521(_) => "ES512",
            Pair::Rsa(_) | Pair::OddRsa(_) => "RS256",
        }
    }

    /// Signs as [`AccountKey::algorithm`] says: curves give both numbers one after the other (RFC 7518 §3.4).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        use p521::ecdsa::signature::Signer;
        let random = SystemRandom::new();
        match &self.0.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                Ok(pair.sign(&random, message).map_err(|_| KeyError::Random)?.as_ref().to_vec())
            }
            Pair::P521(pair) => {
                let signature: p521::ecdsa::Signature =
                    pair.try_sign(message).map_err(|_| KeyError::Unreadable)?;
                Ok(signature.to_bytes().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                // The signature is checked before it is given out, and numbers that do not belong together show here
                // only. That the system has no random bytes is far less likely.
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| KeyError::Unreadable)?;
                Ok(signature)
            }
            Pair::OddRsa(key) => {
                let scheme = rsa::Pkcs1v15Sign { hash_len: Some(32), prefix: SHA256_PREFIX.into() };
                let digest = ring::digest::digest(&ring::digest::SHA256, message);
                // Randomness blinds the number, against measuring of times.
                let signed = key.sign_with_rng(&mut getrandom::SysRng, scheme, digest.as_ref());
                signed.map_err(|_| KeyError::Random)
            }
        }
    }
}

/// What stands before a SHA-256 digest that RSA signs (RFC 8017 §9.2, note 1).
const SHA256_PREFIX: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

/// The length in bits of a number, big-endian.
fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).copied().unwrap_or_default();
    (number.len() - zeros) * 8 - first.leading_zeros() as usize * usize::from(first > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_never_show_themselves() {
        for (kind, algorithm) in [
            (AccountKeyType::EcdsaP256, "ES256"),
            (AccountKeyType::EcdsaP384, "ES384"),
            (AccountKeyType::EcdsaP521, "ES512"),
        ] {
            let key = AccountKey::generate(kind).unwrap();
            assert_eq!(key.key_type(), kind);
            let again = AccountKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
            assert_eq!(key.thumbprint(), again.thumbprint());
            let again = AccountKey::from_pem(&key.to_pem()).unwrap();
            assert_eq!(key.thumbprint(), again.thumbprint());
            assert_eq!(format!("{key:?}"), format!("AccountKey({algorithm}, [REDACTED])"));
        }
        let rsa = AccountKeyType::Rsa { bits: 2048 };
        assert!(matches!(AccountKey::generate(rsa), Err(KeyError::NotGenerated(kind)) if kind == rsa));
    }

    #[test]
    fn a_damaged_rsa_key_is_told_as_one() {
        let pem = include_str!("../../../../fuzz/corpus/acme-key/rsa-damaged");
        let key = AccountKey::from_pem(pem).unwrap();
        assert!(matches!(key.sign(b"message"), Err(KeyError::Unreadable)));
    }
}

//! Private keys of certificates: made here, kept as PKCS#8.

use std::fmt;
use std::str::FromStr;

use rcgen::{KeyPair, SignatureAlgorithm};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The types of keys that certificates can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyType {
    /// ECDSA on NIST P-256.
    #[default]
    #[serde(rename = "ec-256")]
    Ec256,
    /// ECDSA on NIST P-384.
    #[serde(rename = "ec-384")]
    Ec384,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    /// All types, in the order in which they are listed to people.
    pub const ALL: [KeyType; 5] =
        [KeyType::Ec256, KeyType::Ec384, KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096];

    /// The name on the command line and in state files.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyType::Ec256 => "ec-256",
            KeyType::Ec384 => "ec-384",
            KeyType::Rsa2048 => "rsa-2048",
            KeyType::Rsa3072 => "rsa-3072",
            KeyType::Rsa4096 => "rsa-4096",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let found = KeyType::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| KeyError::UnknownType(text.to_owned()))
    }
}

/// Why a key cannot be made or read. No variant carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No type of key that is known.
    #[error(
        "'{0}' is no type of key that livecert makes: ec-256, ec-384, rsa-2048, rsa-3072 and rsa-4096 are"
    )]
    UnknownType(String),
    /// The key could not be generated.
    #[error("the key could not be generated")]
    Generation,
    /// The stored key cannot be read.
    #[error("the private key cannot be read (is it damaged?)")]
    Unreadable,
    /// The request could not be signed.
    #[error("the certificate request could not be made")]
    Request(#[source] rcgen::Error),
}

/// A private key.
pub struct PrivateKey {
    pair: KeyPair,
    pem: SecretString,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("pem", &"[REDACTED]").finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Makes a new key. RSA takes up to seconds of CPU: call it where that blocks nobody.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate(kind: KeyType) -> Result<Self, KeyError> {
        match kind {
            KeyType::Ec256 => Self::generate_ec(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyType::Ec384 => Self::generate_ec(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyType::Rsa2048 => Self::generate_rsa(2048),
            KeyType::Rsa3072 => Self::generate_rsa(3072),
            KeyType::Rsa4096 => Self::generate_rsa(4096),
        }
    }

    fn generate_ec(algorithm: &'static SignatureAlgorithm) -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(algorithm).map_err(|_| KeyError::Generation)?;
        let pem = SecretString::from(pair.serialize_pem());
        Ok(PrivateKey { pair, pem })
    }

    /// `ring`, which signs, cannot generate RSA keys; the `rsa` crate does that and nothing else here.
    fn generate_rsa(bits: usize) -> Result<Self, KeyError> {
        let mut random = rsa::rand_core::UnwrapErr(getrandom::SysRng);
        let key = rsa::PrivateKey::new(&mut random, bits).map_err(|_| KeyError::Generation)?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Generation)?;
        Self::from_pem(&SecretString::from(pem.as_str()))
    }

    /// Reads a key from PKCS#8 PEM.
    ///
    /// # Errors
    /// It is no such key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let unreadable = |_| KeyError::Unreadable;
        let der = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| KeyError::Unreadable)?;
        let der = Zeroizing::new(der.secret_der().to_vec());
        let pair = KeyPair::try_from(der.as_slice()).map_err(unreadable)?;
        Ok(PrivateKey { pair, pem: SecretString::from(pem.expose_secret()) })
    }

    /// The key as PKCS#8 PEM.
    pub fn pem(&self) -> &SecretString {
        &self.pem
    }

    /// The key as PKCS#8 DER; wiped when dropped.
    ///
    /// # Errors
    /// None for a key that was made or read here.
    pub fn pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(self.pem.expose_secret().as_bytes());
        Ok(Zeroizing::new(der.map_err(|_| KeyError::Unreadable)?.secret_der().to_vec()))
    }

    /// The public key as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), DER.
    pub fn public_key_info(&self) -> Vec<u8> {
        use rcgen::PublicKeyData;
        self.pair.subject_public_key_info()
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_stay_the_same_key() {
        for kind in [KeyType::Ec256, KeyType::Ec384, KeyType::Rsa2048] {
            let key = PrivateKey::generate(kind).unwrap();
            let again = PrivateKey::from_pem(key.pem()).unwrap();
            assert_eq!(key.public_key_info(), again.public_key_info(), "{kind}");
            assert!(!format!("{key:?}").contains("PRIVATE"));
        }
        assert!(matches!(PrivateKey::from_pem(&SecretString::from("nothing")), Err(KeyError::Unreadable)));
    }

    #[test]
    fn type_names_read_back() {
        for kind in KeyType::ALL {
            assert_eq!(kind.as_str().parse::<KeyType>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!(matches!("rsa-1024".parse::<KeyType>(), Err(KeyError::UnknownType(_))));
    }
}

//! Account keys and signatures: flattened JWS (RFC 7515 §7.2.2) as RFC 8555 §6.2 wants them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair, RSA_PKCS1_SHA256,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// base64url without padding, as everywhere in JOSE.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The types of account keys that can be made here. RSA keys can be imported ([`AccountKey::from_pkcs8_der`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountKeyType {
    /// ECDSA on P-256, signing as ES256.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384, signing as ES384.
    EcdsaP384,
}

/// Why a key does not work. Key material is never part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a PKCS#8 key of a type that accounts can have.
    #[error("the account key is not a PKCS#8 key on P-256, P-384 or RSA with 2048 to 4096 bits")]
    Unreadable,
    /// The system gives no random bytes.
    #[error("the key cannot be used: the system gives no random bytes")]
    Random,
}

/// The private key of an account. Cheap to clone.
#[derive(Clone)]
pub struct AccountKey(Arc<Inner>);

struct Inner {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({}, [REDACTED])", self.algorithm())
    }
}

fn signing(kind: AccountKeyType) -> &'static EcdsaSigningAlgorithm {
    match kind {
        AccountKeyType::EcdsaP256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        AccountKeyType::EcdsaP384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
    }
}

impl AccountKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate(kind: AccountKeyType) -> Result<Self, KeyError> {
        let document = EcdsaKeyPair::generate_pkcs8(signing(kind), &SystemRandom::new());
        Self::from_pkcs8_der(document.map_err(|_| KeyError::Random)?.as_ref())
    }

    /// Reads a key from PKCS#8 DER (RFC 5208).
    ///
    /// # Errors
    /// It is no such key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let curve = |kind| EcdsaKeyPair::from_pkcs8(signing(kind), der, &random);
        let pair = if let Ok(pair) = curve(AccountKeyType::EcdsaP256) {
            Pair::P256(pair)
        } else if let Ok(pair) = curve(AccountKeyType::EcdsaP384) {
            Pair::P384(pair)
        } else {
            Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Unreadable)?))
        };
        Ok(AccountKey(Arc::new(Inner { pair, pkcs8: Zeroizing::new(der.to_vec()) })))
    }

    /// The key as PKCS#8 DER; wiped when dropped.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.0.pkcs8.clone()
    }

    /// The JWS algorithm (RFC 7518 §3.1).
    pub fn algorithm(&self) -> &'static str {
        match self.0.pair {
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::Rsa(_) => "RS256",
        }
    }

    /// The public key as JWK (RFC 7517), its members in the order of RFC 7638.
    pub fn jwk(&self) -> Value {
        let curve = |pair: &EcdsaKeyPair, name| {
            // Uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"crv": name, "kty": "EC", "x": base64url(x), "y": base64url(y)})
        };
        match &self.0.pair {
            Pair::P256(pair) => curve(pair, "P-256"),
            Pair::P384(pair) => curve(pair, "P-384"),
            Pair::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"e": base64url(public.e), "kty": "RSA", "n": base64url(public.n)})
            }
        }
    }

    /// The thumbprint of the key (RFC 7638 with SHA-256), base64url.
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.jwk())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.0.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                Ok(pair.sign(&random, message).map_err(|_| KeyError::Random)?.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| KeyError::Random)?;
                Ok(signature)
            }
        }
    }

    /// A signed request (RFC 8555 §6.2): `kid` once there is an account, the public key before. `payload` is empty
    /// for POST-as-GET (§6.3).
    pub(crate) fn request(
        &self,
        kid: Option<&str>,
        nonce: &str,
        url: &str,
        payload: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let mut header = json!({"alg": self.algorithm(), "nonce": nonce, "url": url});
        match kid {
            Some(kid) => header["kid"] = kid.into(),
            None => header["jwk"] = self.jwk(),
        }
        let protected = base64url(header.to_string());
        let payload = base64url(payload);
        let signature = self.sign(format!("{protected}.{payload}").as_bytes())?;
        let jws = json!({"protected": protected, "payload": payload, "signature": base64url(signature)});
        Ok(jws.to_string().into_bytes())
    }
}

/// serde_json keeps members sorted, which is the order that RFC 7638 §3.3 asks for.
fn thumbprint(jwk: &Value) -> String {
    base64url(digest(&SHA256, jwk.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

    #[test]
    fn the_thumbprint_is_that_of_the_rfcs_example() {
        // RFC 7638 §3.1.
        let jwk = json!({"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB"});
        assert_eq!(thumbprint(&jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn requests_are_signed_as_the_rfc_says() {
        for (kind, verify) in [
            (AccountKeyType::EcdsaP256, &ECDSA_P256_SHA256_FIXED),
            (AccountKeyType::EcdsaP384, &ECDSA_P384_SHA384_FIXED),
        ] {
            let key = AccountKey::generate(kind).unwrap();
            let jws = key.request(Some("https://ca/acct/1"), "nonce", "https://ca/order", b"{}").unwrap();
            let jws: Value = serde_json::from_slice(&jws).unwrap();
            let text = |member: &str| jws[member].as_str().unwrap().to_owned();
            let header: Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text("protected")).unwrap()).unwrap();
            assert_eq!(header["kid"], "https://ca/acct/1");
            assert_eq!(header["jwk"], Value::Null);
            assert_eq!((&header["nonce"], &header["url"]), (&"nonce".into(), &"https://ca/order".into()));
            let (Pair::P256(pair) | Pair::P384(pair)) = &key.0.pair else { unreachable!() };
            let message = format!("{}.{}", text("protected"), text("payload"));
            let signature = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
            UnparsedPublicKey::new(verify, pair.public_key().as_ref())
                .verify(message.as_bytes(), &signature)
                .unwrap();
        }
    }

    #[test]
    fn keys_read_back_and_never_show_themselves() {
        let key = AccountKey::generate(AccountKeyType::EcdsaP384).unwrap();
        let again = AccountKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
        assert_eq!(key.thumbprint(), again.thumbprint());
        assert_eq!(format!("{key:?}"), "AccountKey(ES384, [REDACTED])");
        assert!(matches!(AccountKey::from_pkcs8_der(b"no key"), Err(KeyError::Unreadable)));
    }
}

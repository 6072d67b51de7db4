//! Keys as JWK (RFC 7517, RFC 7518 §6): the public one in requests, and private ones that other clients keep.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pkcs8::der::Encode;
use pkcs8::der::asn1::UintRef;
use ring::digest::{SHA256, digest};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use zeroize::{Zeroize, Zeroizing};

use super::{AccountKey, AccountKeyType, KeyError, MAX_TEXT, Pair};
use crate::jws::base64url;

impl AccountKey {
    /// Reads a private key from a JWK, as certbot (`private_key.json`) and Posh-ACME (`acct.json`, `key`) keep it.
    ///
    /// # Errors
    /// It is no private key of a type that accounts can have.
    pub fn from_jwk(jwk: &str) -> Result<Self, KeyError> {
        if jwk.len() > MAX_TEXT {
            return Err(KeyError::Unreadable);
        }
        let mut jwk: Value = serde_json::from_str(jwk).map_err(|_| KeyError::Unreadable)?;
        let key = read(&jwk);
        wipe(&mut jwk);
        key
    }

    /// The public key as JWK (RFC 7517), its members in the order of RFC 7638.
    pub fn jwk(&self) -> Value {
        let rsa = match &self.0.pair {
            Pair::Rsa(pair) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                Some((public.e, public.n))
            }
            Pair::OddRsa(key) => Some((
                key.e().to_be_bytes_trimmed_vartime().to_vec(),
                key.n().to_be_bytes_trimmed_vartime().to_vec(),
            )),
            _ => None,
        };
        if let Some((exponent, modulus)) = rsa {
            return json!({"e": base64url(exponent), "kty": "RSA", "n": base64url(modulus)});
        }
        let point = self.0.pair.point().unwrap_or_default();
        let numbers = point.get(1..).unwrap_or_default();
        let (x, y) = numbers.split_at(numbers.len() / 2);
        let curve = self.key_type().to_string();
        json!({"crv": curve, "kty": "EC", "x": base64url(x), "y": base64url(y)})
    }

    /// The thumbprint of the key (RFC 7638 with SHA-256), base64url.
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.jwk())
    }
}

/// The members are few and have no members themselves, and serde_json keeps them sorted by name, which is the order
/// that RFC 7638 §3.3 asks for.
fn thumbprint(jwk: &Value) -> String {
    let text = |name: &str| Some((name.to_owned(), jwk.get(name)?.clone()));
    let members: std::collections::BTreeMap<_, _> =
        ["crv", "e", "kty", "n", "x", "y"].into_iter().filter_map(text).collect();
    let text = serde_json::to_string(&members).unwrap_or_default();
    base64url(digest(&SHA256, text.as_bytes()))
}

/// Texts that may be parts of a key are not left in memory.
fn wipe(jwk: &mut Value) {
    if let Value::Object(members) = jwk {
        for (_, member) in members.iter_mut() {
            if let Value::String(text) = member {
                text.zeroize();
            }
        }
    }
}

fn read(jwk: &Value) -> Result<AccountKey, KeyError> {
    // Posh-ACME and josepy write no padding; others do.
    let number = |name: &str| -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let text = jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Unreadable)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| KeyError::Unreadable)?;
        Ok(Zeroizing::new(bytes))
    };
    match jwk.get("kty").and_then(Value::as_str) {
        Some("EC") => {
            let kind = match jwk.get("crv").and_then(Value::as_str) {
                Some("P-256") => AccountKeyType::EcdsaP256,
                Some("P-384") => AccountKeyType::EcdsaP384,
                Some("P-521") => AccountKeyType::EcdsaP521,
                _ => return Err(KeyError::Unreadable),
            };
            let length = kind.coordinate_length().ok_or(KeyError::Unreadable)?;
            let mut point = vec![4];
            for name in ["x", "y"] {
                let number = number(name)?;
                let zeros = length_difference(length, number.len())?;
                point.extend(std::iter::repeat_n(0, zeros));
                point.extend_from_slice(&number);
            }
            AccountKey::from_scalar(kind, &number("d")?, Some(&point))
        }
        Some("RSA") => AccountKey::from_pkcs1_der(&pkcs1(number)?),
        _ => Err(KeyError::Unreadable),
    }
}

fn length_difference(wanted: usize, there: usize) -> Result<usize, KeyError> {
    wanted.checked_sub(there).ok_or(KeyError::Unreadable)
}

/// The numbers of an RSA key (RFC 7518 §6.3.2) as PKCS#1 DER.
fn pkcs1(
    number: impl Fn(&str) -> Result<Zeroizing<Vec<u8>>, KeyError>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (n, e, d) = (number("n")?, number("e")?, number("d")?);
    let (p, q, dp, dq, qi) = (number("p")?, number("q")?, number("dp")?, number("dq")?, number("qi")?);
    fn uint(bytes: &[u8]) -> Result<UintRef<'_>, KeyError> {
        UintRef::new(bytes).map_err(|_| KeyError::Unreadable)
    }
    let key = pkcs1::RsaPrivateKeyRef {
        modulus: uint(&n)?,
        public_exponent: uint(&e)?,
        private_exponent: uint(&d)?,
        prime1: uint(&p)?,
        prime2: uint(&q)?,
        exponent1: uint(&dp)?,
        exponent2: uint(&dq)?,
        coefficient: uint(&qi)?,
        other_prime_infos: None,
    };
    Ok(Zeroizing::new(key.to_der().map_err(|_| KeyError::Unreadable)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_rfcs_example() {
        // RFC 7638 §3.1.
        let jwk = json!({"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        assert_eq!(thumbprint(&jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}

//! Public keys of accounts as JWK (RFC 7517, RFC 7518 §6), and signatures by them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p521::ecdsa::signature::Verifier;
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::{Value, json};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::problem::Problem;

/// What the server takes; RFC 8555 §6.2 wants it told with `badSignatureAlgorithm`.
pub(crate) const ALGORITHMS: [&str; 4] = ["ES256", "ES384", "ES512", "RS256"];

/// A public key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PublicKey {
    kind: Kind,
    jwk: Value,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// The algorithm, and the uncompressed point (SEC 1 §2.3.3).
    Curve(&'static str, Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

/// base64url without padding, and nothing else (RFC 7515 §2).
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bad(detail: &str) -> Problem {
    Problem::new(400, "badPublicKey", detail)
}

impl PublicKey {
    pub(crate) fn from_jwk(jwk: &Value) -> Result<Self, Problem> {
        let bytes = |member: &str| {
            let text = jwk.get(member).and_then(Value::as_str);
            text.and_then(decode)
                .ok_or_else(|| bad(&format!("the JWK's member '{member}' is missing or wrong")))
        };
        match jwk.get("kty").and_then(Value::as_str) {
            Some("EC") => {
                let curve = jwk.get("crv").and_then(Value::as_str);
                let (algorithm, size) = match curve {
                    Some("P-256") => ("ES256", 32),
                    Some("P-384") => ("ES384", 48),
                    Some("P-521") => ("ES512", 66),
                    _ => return Err(bad("the JWK's curve is not P-256, P-384 or P-521")),
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                // RFC 7518 §6.2.1.2: coordinates have the full size of the field.
                if x.len() != size || y.len() != size {
                    return Err(bad("the JWK's coordinates do not have the size of its curve"));
                }
                let jwk = json!({"crv": curve, "kty": "EC", "x": encode(&x), "y": encode(&y)});
                Ok(PublicKey { kind: Kind::Curve(algorithm, [vec![4], x, y].concat()), jwk })
            }
            Some("RSA") => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                if n.first() == Some(&0) || !(256..=512).contains(&n.len()) {
                    return Err(bad("an RSA key has to have 2048 to 4096 bits"));
                }
                let jwk = json!({"e": encode(&e), "kty": "RSA", "n": encode(&n)});
                Ok(PublicKey { kind: Kind::Rsa { n, e }, jwk })
            }
            _ => Err(bad("the JWK is neither EC nor RSA")),
        }
    }

    /// RFC 7638; the members are the ones and in the order that §3.2 and §3.3 ask for.
    pub(crate) fn thumbprint(&self) -> String {
        encode(digest(&SHA256, self.jwk.to_string().as_bytes()))
    }

    fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Curve(algorithm, _) => algorithm,
            Kind::Rsa { .. } => "RS256",
        }
    }

    /// Checks a signature by this key (RFC 7518 §3).
    pub(crate) fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
        if algorithm != self.algorithm() {
            return Err(Problem::malformed(format!(
                "the header says {algorithm}, the key is one for {}",
                self.algorithm()
            )));
        }
        let good = match &self.kind {
            Kind::Curve("ES256", point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Kind::Curve("ES384", point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            Kind::Curve(_, point) => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point);
                let signature = p521::ecdsa::Signature::from_slice(signature);
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
            }
            Kind::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        };
        // RFC 8555 has no type for it; Let's Encrypt says this.
        if good {
            Ok(())
        } else {
            Err(Problem::malformed("the signature is not one by the key over this request"))
        }
    }

    /// Whether a certificate or a CSR is for this key.
    pub(crate) fn is_of(&self, info: &SubjectPublicKeyInfo<'_>) -> bool {
        match (&self.kind, info.parsed()) {
            (Kind::Curve(_, point), Ok(Parsed::EC(other))) => other.data() == point.as_slice(),
            (Kind::Rsa { n, e }, Ok(Parsed::RSA(other))) => {
                let stripped = |number: &[u8]| -> Vec<u8> {
                    number.iter().copied().skip_while(|&byte| byte == 0).collect()
                };
                stripped(other.modulus) == *n && stripped(other.exponent) == stripped(e)
            }
            _ => false,
        }
    }
}

//! Signed requests: flattened JWS (RFC 7515 §7.2.2) under the rules of RFC 8555 §6.2 to §6.5.

use ring::hmac;
use serde_json::{Map, Value};

use crate::jwk::{ALGORITHMS, PublicKey, decode};
use crate::problem::Problem;

/// A JWS whose parts have been read, and nothing proved yet.
#[derive(Debug, Clone)]
pub(crate) struct Jws {
    header: Map<String, Value>,
    pub(crate) payload: Vec<u8>,
    message: String,
    signature: Vec<u8>,
}

/// Who says that it signed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signer {
    /// A key that comes with the request.
    Key(PublicKey),
    /// An account's URL.
    Account(String),
}

impl Jws {
    /// Reads the body of a request, or a JWS inside a payload.
    pub(crate) fn read(document: &Value) -> Result<Self, Problem> {
        let members =
            document.as_object().ok_or_else(|| Problem::malformed("the body is not a JWS in JSON"))?;
        // RFC 8555 §6.2: one signature, and no header that is not signed.
        if members.contains_key("header") || members.contains_key("signatures") {
            return Err(Problem::malformed("an unprotected header or several signatures are not allowed"));
        }
        let part = |name: &str| {
            members
                .get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| Problem::malformed(format!("the JWS has no '{name}'")))
        };
        let bytes = |name: &str| {
            decode(part(name)?).ok_or_else(|| {
                Problem::malformed(format!("'{name}' of the JWS is not base64url without padding"))
            })
        };
        let header = serde_json::from_slice(&bytes("protected")?)
            .map_err(|_| Problem::malformed("the protected header is not a JSON object"))?;
        let message = format!("{}.{}", part("protected")?, part("payload")?);
        Ok(Jws { header, payload: bytes("payload")?, message, signature: bytes("signature")? })
    }

    pub(crate) fn from_slice(body: &[u8]) -> Result<Self, Problem> {
        let document =
            serde_json::from_slice(body).map_err(|_| Problem::malformed("the body is not a JWS in JSON"))?;
        Self::read(&document)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.header.contains_key(name)
    }

    pub(crate) fn nonce(&self) -> Result<&str, Problem> {
        let bad = |detail| Problem::new(400, "badNonce", detail);
        let nonce = self.text("nonce").ok_or_else(|| bad("the JWS has no nonce"))?;
        if decode(nonce).is_none() {
            return Err(Problem::malformed("the nonce is not base64url"));
        }
        Ok(nonce)
    }

    /// The header's `url` has to be this one (RFC 8555 §6.4).
    pub(crate) fn check_url(&self, url: &str) -> Result<(), Problem> {
        match self.text("url") {
            Some(signed) if signed == url => Ok(()),
            Some(signed) => {
                Err(Problem::unauthorized(format!("the header's url is {signed}, the request's is {url}")))
            }
            None => Err(Problem::malformed("the JWS has no url")),
        }
    }

    pub(crate) fn algorithm(&self) -> Result<&str, Problem> {
        let algorithm = self.text("alg").ok_or_else(|| Problem::malformed("the JWS has no alg"))?;
        if ALGORITHMS.contains(&algorithm) {
            return Ok(algorithm);
        }
        let detail = format!("{algorithm} is not taken");
        Err(Problem::new(400, "badSignatureAlgorithm", detail).with("algorithms", ALGORITHMS.to_vec()))
    }

    /// Exactly one of `jwk` and `kid` (RFC 8555 §6.2).
    pub(crate) fn signer(&self) -> Result<Signer, Problem> {
        match (self.header.get("jwk"), self.header.get("kid")) {
            (Some(jwk), None) => Ok(Signer::Key(PublicKey::from_jwk(jwk)?)),
            (None, Some(Value::String(kid))) => Ok(Signer::Account(kid.clone())),
            (Some(_), Some(_)) => Err(Problem::malformed("the header has both jwk and kid")),
            _ => Err(Problem::malformed("the header has neither jwk nor kid")),
        }
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), Problem> {
        // RFC 7515 §4.1.11: what is critical and not understood makes it invalid.
        if self.header.contains_key("crit") {
            return Err(Problem::malformed("the header has critical members that are not understood"));
        }
        key.verify(self.algorithm()?, self.message.as_bytes(), &self.signature)
    }

    /// Checks an external account binding (RFC 8555 §7.3.4): `find` gives the key of a `kid`.
    pub(crate) fn verify_binding(
        &self,
        account: &PublicKey,
        url: &str,
        find: impl FnOnce(&str) -> Option<Vec<u8>>,
    ) -> Result<String, Problem> {
        let algorithm = match self.text("alg") {
            Some("HS256") => hmac::HMAC_SHA256,
            Some("HS384") => hmac::HMAC_SHA384,
            Some("HS512") => hmac::HMAC_SHA512,
            _ => return Err(Problem::malformed("the binding's alg is not HS256, HS384 or HS512")),
        };
        if self.has("nonce") || self.has("jwk") {
            return Err(Problem::malformed("a binding has neither nonce nor jwk in its header"));
        }
        self.check_url(url)?;
        let bound: Value = serde_json::from_slice(&self.payload).unwrap_or_default();
        if PublicKey::from_jwk(&bound)? != *account {
            return Err(Problem::malformed("the binding is one of another account key"));
        }
        let kid = self.text("kid").ok_or_else(|| Problem::malformed("the binding has no kid"))?;
        let key = find(kid).ok_or_else(|| Problem::unauthorized("there is no such external account"))?;
        let key = hmac::Key::new(algorithm, &key);
        hmac::verify(&key, self.message.as_bytes(), &self.signature).map_err(|_| {
            Problem::unauthorized("the binding is not signed with the external account's key")
        })?;
        Ok(kid.to_owned())
    }
}

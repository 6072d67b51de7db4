//! Signatures: flattened JWS (RFC 7515 §7.2.2) as RFC 8555 §6.2 wants them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use crate::external::ExternalAccount;
use crate::key::{AccountKey, KeyError};

/// Whether a server's nonce (RFC 8555 §6.5.1) or token (§8.1) is one: base64url without padding, of 1 to 512 characters.
pub(crate) fn is_base64url(text: &str) -> bool {
    (1..=512).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// base64url without padding, as everywhere in JOSE.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Protects `payload` with `header` and what `sign` makes of both.
fn flattened<E>(
    header: &Value,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Value, E> {
    let protected = base64url(header.to_string());
    let payload = base64url(payload);
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({"protected": protected, "payload": payload, "signature": base64url(signature)}))
}

impl AccountKey {
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
        Ok(flattened(&header, payload, |message| self.sign(message))?.to_string().into_bytes())
    }

    /// The inner part of a change of keys, signed by the new one (RFC 8555 §7.3.5): it names no nonce.
    pub(crate) fn key_change(&self, url: &str, account: &str, old: &AccountKey) -> Result<Value, KeyError> {
        let header = json!({"alg": self.algorithm(), "jwk": self.jwk(), "url": url});
        let payload = json!({"account": account, "oldKey": old.jwk()}).to_string();
        flattened(&header, payload.as_bytes(), |message| self.sign(message))
    }
}

impl ExternalAccount {
    /// Binds a new account's key to the account that the CA knows otherwise (RFC 8555 §7.3.4).
    pub(crate) fn bind(&self, key: &AccountKey, url: &str) -> Value {
        let header = json!({"alg": self.algorithm.name(), "kid": self.key_id, "url": url});
        let mac_key = hmac::Key::new(self.algorithm.ring(), self.hmac_key());
        let payload = key.jwk().to_string();
        let mac = |message: &[u8]| {
            Ok::<_, std::convert::Infallible>(hmac::sign(&mac_key, message).as_ref().to_vec())
        };
        match flattened(&header, payload.as_bytes(), mac) {
            Ok(jws) => jws,
            Err(never) => match never {},
        }
    }
}

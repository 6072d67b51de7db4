//! Signed messages as a server reads them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p521::ecdsa::signature::Verifier;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::Value;

/// A flattened JWS, taken apart.
pub(crate) struct Signed {
    pub(crate) header: Value,
    pub(crate) payload: Vec<u8>,
    message: String,
    signature: Vec<u8>,
}

pub(crate) fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

impl Signed {
    pub(crate) fn read(jws: &Value) -> Self {
        assert_eq!(jws.as_object().unwrap().len(), 3, "{jws}");
        Signed {
            header: serde_json::from_slice(&decode(&jws["protected"])).unwrap(),
            payload: decode(&jws["payload"]),
            message: format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap()),
            signature: decode(&jws["signature"]),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    /// Checks the signature with a public key, by libraries that did not make it where there are any.
    pub(crate) fn is_signed_by(&self, jwk: &Value) -> bool {
        let message = self.message.as_bytes();
        let point = || [vec![4], decode(&jwk["x"]), decode(&jwk["y"])].concat();
        match self.header["alg"].as_str().unwrap() {
            "ES256" => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point())
                .verify(message, &self.signature)
                .is_ok(),
            "ES384" => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point())
                .verify(message, &self.signature)
                .is_ok(),
            "ES512" => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point()).unwrap();
                assert_eq!(self.signature.len(), 132);
                key.verify(message, &p521::ecdsa::Signature::from_slice(&self.signature).unwrap()).is_ok()
            }
            "RS256" => RsaPublicKeyComponents { n: decode(&jwk["n"]), e: decode(&jwk["e"]) }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, &self.signature)
                .is_ok(),
            other => panic!("{other} is not known"),
        }
    }

    /// Checks the MAC of an external account binding.
    pub(crate) fn has_mac_of(&self, algorithm: ring::hmac::Algorithm, key: &[u8]) -> bool {
        let key = ring::hmac::Key::new(algorithm, key);
        ring::hmac::verify(&key, self.message.as_bytes(), &self.signature).is_ok()
    }
}

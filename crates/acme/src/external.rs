//! External account binding (RFC 8555 §7.3.4): the CA already knows the customer, and this says which one.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use zeroize::Zeroizing;

/// The MAC of an external account binding (RFC 7518 §3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HmacAlgorithm {
    /// HMAC with SHA-256, what nearly every CA uses.
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl HmacAlgorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            HmacAlgorithm::Hs256 => "HS256",
            HmacAlgorithm::Hs384 => "HS384",
            HmacAlgorithm::Hs512 => "HS512",
        }
    }

    pub(crate) fn ring(self) -> hmac::Algorithm {
        match self {
            HmacAlgorithm::Hs256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Hs384 => hmac::HMAC_SHA384,
            HmacAlgorithm::Hs512 => hmac::HMAC_SHA512,
        }
    }
}

impl fmt::Display for HmacAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HmacAlgorithm {
    type Err = ExternalAccountError;

    /// `HS256`, `HS384` or `HS512`, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [HmacAlgorithm::Hs256, HmacAlgorithm::Hs384, HmacAlgorithm::Hs512]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or(ExternalAccountError::Algorithm)
    }
}

/// Why something is no external account. The key is never part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalAccountError {
    /// There is no key identifier.
    #[error("the key identifier of the external account is empty")]
    NoKeyId,
    /// There is no key.
    #[error("the HMAC key of the external account is empty")]
    NoKey,
    /// The key is not base64.
    #[error(
        "the HMAC key of the external account is neither base64url nor base64: copy it as the CA shows it"
    )]
    NotBase64,
    /// The algorithm is none of HS256, HS384 and HS512.
    #[error("the algorithm of an external account is HS256, HS384 or HS512")]
    Algorithm,
}

/// What a CA hands out to its customers for binding new accounts.
#[derive(Clone)]
pub struct ExternalAccount {
    /// The key identifier.
    pub key_id: String,
    /// The MAC.
    pub algorithm: HmacAlgorithm,
    hmac_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .field("hmac_key", &format_args!("[REDACTED]"))
            .finish()
    }
}

/// base64url, with or without padding.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl ExternalAccount {
    /// Takes the CA's key identifier and HMAC key: base64url (RFC 8555 §7.3.4) with or without padding, or base64 in
    /// the older alphabet.
    ///
    /// # Errors
    /// One of them is empty, or the key is not base64.
    pub fn new(
        key_id: impl Into<String>,
        hmac_key_base64url: &str,
        algorithm: HmacAlgorithm,
    ) -> Result<Self, ExternalAccountError> {
        let key_id = key_id.into();
        if key_id.trim().is_empty() {
            return Err(ExternalAccountError::NoKeyId);
        }
        let text = hmac_key_base64url.trim();
        if text.is_empty() {
            return Err(ExternalAccountError::NoKey);
        }
        let text = Zeroizing::new(text.replace('+', "-").replace('/', "_"));
        let mut hmac_key = Zeroizing::new(Vec::with_capacity(text.len()));
        BASE64URL.decode_vec(text.as_bytes(), &mut hmac_key).map_err(|_| ExternalAccountError::NotBase64)?;
        Ok(ExternalAccount { key_id, algorithm, hmac_key })
    }

    pub(crate) fn hmac_key(&self) -> &[u8] {
        &self.hmac_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_both_alphabets_and_never_shown() {
        for text in ["-_-_AQ", "-_-_AQ==", "+/+/AQ==", " +/+/AQ\n"] {
            let account = ExternalAccount::new("kid", text, HmacAlgorithm::Hs256).unwrap();
            assert_eq!(account.hmac_key(), [0xfb, 0xff, 0xbf, 1], "{text:?}");
            let shown = format!("{account:?}");
            assert!(shown.contains("REDACTED") && !shown.contains("251"), "{shown}");
        }
        let new = |id: &str, text| ExternalAccount::new(id, text, HmacAlgorithm::Hs512).map(|_| ());
        assert_eq!(new("kid", "not base64!"), Err(ExternalAccountError::NotBase64));
        assert_eq!(new("kid", " "), Err(ExternalAccountError::NoKey));
        assert_eq!(new("", "AQ"), Err(ExternalAccountError::NoKeyId));
        assert_eq!("hs384".parse(), Ok(HmacAlgorithm::Hs384));
        assert_eq!("RS256".parse::<HmacAlgorithm>(), Err(ExternalAccountError::Algorithm));
    }
}

//! Renewal information (RFC 9773): when a CA wants a certificate to be renewed.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::json::optional_text;
use crate::jws::base64url;
use crate::retry::RetryAfter;

/// The longest text that is taken for one, in bytes: key identifiers and serial numbers have some twenty bytes each.
const MAX_ID: usize = 512;

/// What names a certificate to the CA that issued it (RFC 9773 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(String);

/// A text that names no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate is named by its authority key identifier and serial number, each base64url, with a dot between"
)]
pub struct CertificateIdError;

impl CertificateId {
    /// From the certificate's authority key identifier (the bytes of `keyIdentifier`, RFC 5280 §4.2.1.1) and its
    /// serial number: the content bytes of the DER INTEGER, with the zero in front where the next bit is one.
    pub fn new(authority_key_identifier: &[u8], serial: &[u8]) -> Self {
        CertificateId(format!("{}.{}", base64url(authority_key_identifier), base64url(serial)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertificateId {
    type Err = CertificateIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |part: &str| !part.is_empty() && URL_SAFE_NO_PAD.decode(part).is_ok();
        let valid = text.len() <= MAX_ID
            && text.split_once('.').is_some_and(|(issuer, serial)| part(issuer) && part(serial));
        if valid { Ok(CertificateId(text.to_owned())) } else { Err(CertificateIdError) }
    }
}

impl Serialize for CertificateId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// When to renew (RFC 9773 §4.2): at a moment chosen by chance in the window.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewalInfo {
    /// The begin of the window.
    pub start: Timestamp,
    /// Its end, later than the begin.
    pub end: Timestamp,
    /// Where a person can read why.
    pub explanation_url: Option<String>,
    /// When the server wants to be asked again (§4.3).
    pub retry_after: Option<RetryAfter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    suggested_window: Window,
    #[serde(default, rename = "explanationURL", deserialize_with = "optional_text")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl RenewalInfo {
    /// `None` if the window ends before it begins, which RFC 9773 §4.2 wants to be taken as an error.
    pub(crate) fn read(body: Body, retry_after: Option<RetryAfter>) -> Option<Self> {
        let Body { suggested_window: Window { start, end }, explanation_url } = body;
        (start < end).then_some(RenewalInfo { start, end, explanation_url, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_as_in_the_rfcs_example() {
        // RFC 9773 appendix A.
        let issuer = [
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c,
            0xde, 0x01, 0xc8, 0xd4,
        ];
        let id = CertificateId::new(&issuer, &[0x00, 0x87, 0x65, 0x43, 0x21]);
        assert_eq!(id.to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        assert_eq!(id.as_str().parse(), Ok(id));
        for bad in ["", ".", "AQ", "AQ.", ".AQ", "AQ.AQ.AQ", "AQ/../x.AQ", "AQ==.AQ"] {
            assert_eq!(bad.parse::<CertificateId>(), Err(CertificateIdError), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<CertificateId>();
            let _ = serde_json::from_str::<Body>(&text);
        }
    }
}

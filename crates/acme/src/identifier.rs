//! Identifiers (RFC 8555 §9.7.7): what a certificate is for.

use serde::{Deserialize, Serialize};

/// An identifier; types that are not known are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

impl Identifier {
    /// A domain name, in A-labels; `*.` in front for a wildcard (RFC 8555 §7.1.3).
    pub fn dns(name: impl Into<String>) -> Self {
        Identifier { kind: "dns".to_owned(), value: name.into() }
    }

    /// The type, such as `dns`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The value, such as the domain name.
    pub fn value(&self) -> &str {
        &self.value
    }
}

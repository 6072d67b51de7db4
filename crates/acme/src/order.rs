//! Orders (RFC 8555 §7.1.3).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::authorization::time;
use crate::identifier::Identifier;
use crate::problem::Problem;
use crate::retry::RetryAfter;

/// How far an order is (RFC 8555 §7.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the RFC's own names, explained there")]
pub enum OrderStatus {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    Other(String),
}

impl From<String> for OrderStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "pending" => OrderStatus::Pending,
            "ready" => OrderStatus::Ready,
            "processing" => OrderStatus::Processing,
            "valid" => OrderStatus::Valid,
            "invalid" => OrderStatus::Invalid,
            _ => OrderStatus::Other(text),
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Ready => "ready",
            OrderStatus::Processing => "processing",
            OrderStatus::Valid => "valid",
            OrderStatus::Invalid => "invalid",
            OrderStatus::Other(text) => text,
        })
    }
}

/// What is ordered (RFC 8555 §7.4).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NewOrder {
    /// The names.
    pub identifiers: Vec<Identifier>,
    /// Wished begin of validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Wished end of validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The certificate profile, by its name in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The certificate that this one replaces (RFC 9773 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

impl NewOrder {
    /// An order for `identifiers`, all else as the server likes it.
    pub fn new(identifiers: Vec<Identifier>) -> Self {
        NewOrder { identifiers, not_before: None, not_after: None, profile: None, replaces: None }
    }
}

/// An order as the server saw it when it was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order {
    /// Its URL, by which it can be taken up again.
    pub url: Url,
    /// How far it is.
    pub status: OrderStatus,
    /// When it ends, if it does not become valid.
    pub expires: Option<Timestamp>,
    /// The names.
    pub identifiers: Vec<Identifier>,
    /// URLs of the authorizations.
    pub authorizations: Vec<Url>,
    /// Where the certificate request goes.
    pub finalize: Url,
    /// Where the certificate is.
    pub certificate: Option<Url>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// When the server wants to be asked again.
    pub retry_after: Option<RetryAfter>,
}

#[derive(Deserialize)]
pub(crate) struct Body {
    status: OrderStatus,
    #[serde(default)]
    expires: Option<Value>,
    #[serde(default)]
    identifiers: Vec<Identifier>,
    #[serde(default)]
    authorizations: Vec<Url>,
    finalize: Url,
    #[serde(default)]
    certificate: Option<Url>,
    #[serde(default)]
    error: Option<Problem>,
}

impl Order {
    pub(crate) fn new(url: Url, body: Body, retry_after: Option<RetryAfter>) -> Self {
        Order {
            url,
            status: body.status,
            expires: body.expires.as_ref().and_then(time),
            identifiers: body.identifiers,
            authorizations: body.authorizations,
            finalize: body.finalize,
            certificate: body.certificate,
            error: body.error,
            retry_after,
        }
    }
}

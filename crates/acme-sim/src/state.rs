//! The objects of RFC 8555 §7.1, as the server keeps them and as tests see them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jwk::PublicKey;

/// The states of RFC 8555 §7.1.6, of all objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are the RFC's own names, explained there")]
pub enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    Deactivated,
}

/// An identifier (RFC 8555 §9.7.7, RFC 8738).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    /// `dns` or `ip`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name or address.
    pub value: String,
}

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// The last part of its URL.
    pub id: String,
    /// Its URL, as the client was told when it was made.
    pub url: String,
    /// Whether it may still be used.
    pub status: Status,
    /// Contact URLs.
    pub contact: Vec<String>,
    /// The terms that it has agreed to.
    pub agreed: Option<String>,
    /// The external account that it is bound to.
    pub external_account: Option<String>,
    pub(crate) binding: Option<Value>,
    pub(crate) key: PublicKey,
}

impl Account {
    /// The thumbprint of its key (RFC 7638).
    pub fn thumbprint(&self) -> String {
        self.key.thumbprint()
    }
}

/// A challenge.
#[derive(Debug, Clone, PartialEq)]
pub struct Challenge {
    /// The last part of its URL.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// How far it is.
    pub status: Status,
    /// Its token; dns-persist-01 has none.
    pub token: Option<String>,
    /// The problem document of its failure.
    pub error: Option<Value>,
    /// When it was valid.
    pub validated: Option<Timestamp>,
}

/// An authorization.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorization {
    /// The last part of its URL.
    pub id: String,
    /// The account's id.
    pub account: String,
    /// What it is for; without `*.`.
    pub identifier: Identifier,
    /// Whether it is for the wildcard below the identifier.
    pub wildcard: bool,
    /// How far it is.
    pub status: Status,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// Its challenges.
    pub challenges: Vec<Challenge>,
}

/// An order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The last part of its URL.
    pub id: String,
    /// The account's id.
    pub account: String,
    /// How far it is.
    pub status: Status,
    /// What it is for.
    pub identifiers: Vec<Identifier>,
    /// Ids of its authorizations.
    pub authorizations: Vec<String>,
    /// Until when it can be used.
    pub expires: Timestamp,
    /// The profile it asked for.
    pub profile: Option<String>,
    /// The certificate that it replaces (RFC 9773 §5).
    pub replaces: Option<String>,
    /// The begin that it asked for.
    pub not_before: Option<Timestamp>,
    /// The end that it asked for.
    pub not_after: Option<Timestamp>,
    /// Id of its certificate.
    pub certificate: Option<String>,
    /// The problem document of its failure.
    pub error: Option<Value>,
    pub(crate) csr: Option<Vec<u8>>,
    /// Looks at the order that still see `processing`; none for as long as it is held.
    pub(crate) looks: Option<u32>,
}

/// A suggested window (RFC 9773 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalWindow {
    /// Its begin.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// A page about why.
    pub explanation: Option<String>,
}

/// An issued certificate.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// The last part of its URL.
    pub id: String,
    /// The account's id.
    pub account: String,
    /// The order's id.
    pub order: String,
    /// What it is for.
    pub identifiers: Vec<Identifier>,
    /// The certificate.
    pub der: Vec<u8>,
    /// Its id for renewalInfo (RFC 9773 §4.1).
    pub renewal_id: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// The reason of its revocation (RFC 5280 §5.3.1).
    pub revoked: Option<u8>,
    /// The order that replaced it.
    pub replaced_by: Option<String>,
    /// What renewalInfo says of it, if it is not the rule.
    pub window: Option<RenewalWindow>,
}

impl IssuedCertificate {
    /// What renewalInfo says: the window that was set, or the moments after two thirds of its life.
    pub fn renewal_window(&self) -> RenewalWindow {
        if let Some(window) = &self.window {
            return window.clone();
        }
        let (begin, end) = (self.not_before.as_second(), self.not_after.as_second());
        let at =
            |share: i64| Timestamp::from_second(begin + (end - begin) * share / 90).unwrap_or(self.not_after);
        // Of 90 days: from day 60 to day 62.
        RenewalWindow { start: at(60), end: at(62), explanation: None }
    }
}

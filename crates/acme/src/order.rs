//! Orders (RFC 8555 §7.1.3).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use url::Url;

use crate::identifier::Identifier;
use crate::json::{list, optional_parsed, optional_text};
use crate::problem::{Problem, optional_problem, plain};
use crate::renewal::CertificateId;
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
            _ => OrderStatus::Other(plain(&text)),
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NewOrder {
    /// The names.
    pub identifiers: Vec<Identifier>,
    /// Wished begin of validity, sent in whole seconds. Many public CAs refuse it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole_seconds")]
    pub not_before: Option<Timestamp>,
    /// Wished end of validity, sent in whole seconds. Many public CAs refuse it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole_seconds")]
    pub not_after: Option<Timestamp>,
    /// The certificate profile, by its name in the directory (draft-ietf-acme-profiles §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The certificate that this one replaces (RFC 9773 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<CertificateId>,
    /// A domain above the names, which is to be proved instead of each of them (RFC 9444 §4.3). Sent with the names
    /// below it. The directory says whether the server can ([`crate::Meta::subdomain_auth_allowed`]).
    #[serde(skip)]
    pub ancestor_domain: Option<String>,
}

impl NewOrder {
    pub(crate) fn payload(&self) -> Result<Value, serde_json::Error> {
        let mut payload = serde_json::to_value(self)?;
        let Some(ancestor) = &self.ancestor_domain else { return Ok(payload) };
        for (identifier, sent) in
            self.identifiers.iter().zip(payload["identifiers"].as_array_mut().into_iter().flatten())
        {
            let above = identifier.value().strip_suffix(ancestor.as_str());
            if identifier.kind() == "dns" && above.is_some_and(|above| above.ends_with('.')) {
                sent["ancestorDomain"] = Value::from(ancestor.as_str());
            }
        }
        Ok(payload)
    }

    /// An order for `identifiers`, all else as the server likes it.
    pub fn new(identifiers: Vec<Identifier>) -> Self {
        NewOrder {
            identifiers,
            not_before: None,
            not_after: None,
            profile: None,
            replaces: None,
            ancestor_domain: None,
        }
    }
}

/// Certificates have no fractions of a second, and some servers do not read them.
fn whole_seconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&format_args!("{time:.0}")),
        None => serializer.serialize_none(),
    }
}

/// An order as the server saw it when it was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order {
    /// Its URL, by which it can be taken up again ([`crate::Account::order`]).
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
    /// The begin of validity that was wished, as the server repeats it.
    pub not_before: Option<Timestamp>,
    /// The end of validity that was wished, as the server repeats it.
    pub not_after: Option<Timestamp>,
    /// The certificate profile that the server took.
    pub profile: Option<String>,
    /// The certificate that this one replaces, as the server repeats it (RFC 9773 §5).
    pub replaces: Option<CertificateId>,
    /// When the server wants to be asked again.
    pub retry_after: Option<RetryAfter>,
    /// The whole of it as it came, with what is not understood here.
    pub raw: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: OrderStatus,
    #[serde(default, deserialize_with = "optional_parsed")]
    expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "list")]
    identifiers: Vec<Identifier>,
    #[serde(default, deserialize_with = "list")]
    authorizations: Vec<Url>,
    finalize: Url,
    #[serde(default)]
    certificate: Option<Url>,
    #[serde(default, deserialize_with = "optional_problem")]
    error: Option<Problem>,
    #[serde(default, deserialize_with = "optional_parsed")]
    not_before: Option<Timestamp>,
    #[serde(default, deserialize_with = "optional_parsed")]
    not_after: Option<Timestamp>,
    #[serde(default, deserialize_with = "optional_text")]
    profile: Option<String>,
    #[serde(default, deserialize_with = "optional_text")]
    replaces: Option<String>,
}

impl Order {
    pub(crate) fn read(
        url: Url,
        raw: Value,
        retry_after: Option<RetryAfter>,
    ) -> Result<Self, serde_json::Error> {
        let body = Body::deserialize(&raw)?;
        Ok(Order {
            url,
            status: body.status,
            expires: body.expires,
            identifiers: body.identifiers,
            authorizations: body.authorizations,
            finalize: body.finalize,
            certificate: body.certificate,
            error: body.error,
            not_before: body.not_before,
            not_after: body.not_after,
            profile: body.profile,
            replaces: body.replaces.and_then(|text| text.parse().ok()),
            retry_after,
            raw,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(raw: Value) -> Result<Order, serde_json::Error> {
        Order::read("https://ca/order/1".parse().unwrap(), raw, None)
    }

    #[test]
    fn what_is_wished_is_sent_in_whole_seconds() {
        let mut new = NewOrder::new(vec![Identifier::dns("a.example")]);
        assert_eq!(
            serde_json::to_value(&new).unwrap(),
            json!({"identifiers": [{"type": "dns", "value": "a.example"}]})
        );
        new.not_after = Some("2026-12-01T10:00:00.25Z".parse().unwrap());
        new.replaces = Some(CertificateId::new(&[1], &[2]));
        let sent = serde_json::to_value(&new).unwrap();
        assert_eq!((&sent["notAfter"], &sent["replaces"]), (&"2026-12-01T10:00:00Z".into(), &"AQ.Ag".into()));
    }

    #[test]
    fn the_domain_above_goes_with_the_names_below_it() {
        let mut new = NewOrder::new(
            ["a.b.example", "b.example", "ab.example", "c.example"].map(Identifier::dns).into(),
        );
        new.ancestor_domain = Some("b.example".to_owned());
        let sent = new.payload().unwrap();
        let with: Vec<_> = sent["identifiers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sent| sent.get("ancestorDomain").is_some())
            .collect();
        assert_eq!(with, [true, false, false, false]);
        assert_eq!(sent["identifiers"][0]["ancestorDomain"], "b.example");
    }

    #[test]
    fn what_is_repeated_and_what_is_new_can_be_read() {
        let order = read(json!({"status": "someday", "finalize": "https://ca/f", "identifiers": null,
            "expires": "tomorrow", "notAfter": "2026-12-01T10:00:00Z", "profile": "classic", "replaces": "AQ.Ag",
            "star": {"x": 1}, "error": "broken"}))
        .unwrap();
        assert_eq!((order.status, order.expires), (OrderStatus::Other("someday".into()), None));
        assert_eq!(
            (order.profile.as_deref(), order.replaces.unwrap().to_string().as_str()),
            (Some("classic"), "AQ.Ag")
        );
        assert_eq!(OrderStatus::from("so\u{1b}[2Jon".to_owned()).to_string(), "so [2Jon");
        assert!(order.not_after.is_some() && order.error.is_none());
        assert_eq!(order.raw["star"]["x"], 1);
        assert!(read(json!({"status": "pending"})).is_err());
        let many: Vec<_> = (0..1001).map(|number| format!("https://ca/a/{number}")).collect();
        assert!(
            read(json!({"status": "pending", "finalize": "https://ca/f", "authorizations": many})).is_err()
        );
    }

    proptest::proptest! {
        #[test]
        fn no_members_make_a_panic(member in "[a-zA-Z]{1,12}", value in "\\PC{0,30}", number: i64) {
            let mut raw = json!({"status": "valid", "finalize": "https://ca/f", member.clone(): value});
            let _ = read(raw.clone());
            raw[member] = number.into();
            let _ = read(raw);
        }
    }
}

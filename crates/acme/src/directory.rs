//! The directory (RFC 8555 §7.1.1): where a server does what.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

use crate::json::{MAX_ITEMS, list, optional_parsed, optional_text, or_default};

/// The URLs of a server's services.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Directory {
    /// Nonces.
    pub new_nonce: Url,
    /// New accounts, and look-up of accounts by key.
    pub new_account: Url,
    /// New orders.
    pub new_order: Url,
    /// Pre-authorization, where offered.
    #[serde(default, deserialize_with = "optional_parsed")]
    pub new_authz: Option<Url>,
    /// Revocation.
    #[serde(default, deserialize_with = "optional_parsed")]
    pub revoke_cert: Option<Url>,
    /// Change of account keys.
    #[serde(default, deserialize_with = "optional_parsed")]
    pub key_change: Option<Url>,
    /// Renewal information (RFC 9773), where offered.
    #[serde(default, deserialize_with = "optional_parsed")]
    pub renewal_info: Option<Url>,
    /// About the server.
    #[serde(default, deserialize_with = "or_default")]
    pub meta: Meta,
    /// What else is in it, as it came. Nothing in it was checked.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What a server tells about itself (RFC 8555 §9.7.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Meta {
    /// Where its terms of service are.
    #[serde(deserialize_with = "optional_text")]
    pub terms_of_service: Option<String>,
    /// Its website.
    #[serde(deserialize_with = "optional_text")]
    pub website: Option<String>,
    /// Names that stand for it in CAA records (RFC 8659).
    #[serde(deserialize_with = "list")]
    pub caa_identities: Vec<String>,
    /// Whether new accounts need an external account binding (RFC 8555 §7.3.4).
    #[serde(deserialize_with = "or_default")]
    pub external_account_required: bool,
    /// Whether an authorization may be for the names below it too (RFC 9444 §4.4).
    #[serde(deserialize_with = "or_default")]
    pub subdomain_auth_allowed: bool,
    /// Certificate profiles, name and description (draft-ietf-acme-profiles).
    #[serde(deserialize_with = "profiles")]
    pub profiles: BTreeMap<String, String>,
    /// What else is in it, as it came.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The names count; a description that is no text is an empty one.
fn profiles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let profiles: BTreeMap<String, Value> = or_default(deserializer)?;
    if profiles.len() > MAX_ITEMS {
        return Err(serde::de::Error::custom(format_args!("there are more than {MAX_ITEMS} profiles")));
    }
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    Ok(profiles.into_iter().map(|(name, description)| (name, text(description))).collect())
}

impl Directory {
    pub(crate) fn urls(&self) -> impl Iterator<Item = &Url> {
        let optional = [&self.new_authz, &self.revoke_cert, &self.key_change, &self.renewal_info];
        [&self.new_nonce, &self.new_account, &self.new_order]
            .into_iter()
            .chain(optional.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_members_that_are_not_needed_do_no_harm() {
        let directory: Directory = serde_json::from_str(
            r#"{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":"https://ca/o","newAuthz":"",
                "revokeCert":null,"keyChange":7,"Adobe":{"x":1},"meta":{"caaIdentities":null,"website":null,
                "externalAccountRequired":null,"profiles":{"classic":"the usual","odd":{}},"more":[1]}}"#,
        )
        .unwrap();
        assert_eq!(
            (&directory.new_authz, &directory.revoke_cert, &directory.key_change),
            (&None, &None, &None)
        );
        assert!(directory.extra.contains_key("Adobe") && directory.meta.extra.contains_key("more"));
        assert_eq!(directory.meta.profiles.keys().collect::<Vec<_>>(), ["classic", "odd"]);
        assert!(directory.meta.caa_identities.is_empty() && !directory.meta.external_account_required);
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<Directory>(&body);
        }

        #[test]
        fn no_members_make_a_panic(member in "(newAuthz|keyChange|[a-zA-Z]{1,12})", meta in "(profiles|caaIdentities|website)", text in "\\PC{0,30}") {
            let url = "https://ca/x";
            let value = serde_json::json!({"newNonce": url, "newAccount": url, "newOrder": url, member: text,
                "meta": {meta: [text]}});
            let _ = serde_json::from_value::<Directory>(value).map(|directory| directory.urls().count());
        }
    }
}

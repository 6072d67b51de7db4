//! The directory (RFC 8555 §7.1.1): where a server does what.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

/// The URLs of a server's services.
#[derive(Debug, Clone, Deserialize)]
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
    pub new_authz: Option<Url>,
    /// Revocation.
    pub revoke_cert: Option<Url>,
    /// Change of account keys.
    pub key_change: Option<Url>,
    /// Renewal information (RFC 9773), where offered.
    pub renewal_info: Option<Url>,
    /// About the server.
    #[serde(default)]
    pub meta: Meta,
}

/// What a server tells about itself (RFC 8555 §9.7.6).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Meta {
    /// Where its terms of service are.
    pub terms_of_service: Option<String>,
    /// Its website.
    pub website: Option<String>,
    /// Names that stand for it in CAA records (RFC 8659).
    pub caa_identities: Vec<String>,
    /// Whether new accounts need an external account binding.
    pub external_account_required: bool,
    /// Certificate profiles, name and description.
    pub profiles: BTreeMap<String, String>,
}

impl Directory {
    pub(crate) fn urls(&self) -> impl Iterator<Item = &Url> {
        let optional = [&self.new_authz, &self.revoke_cert, &self.key_change, &self.renewal_info];
        [&self.new_nonce, &self.new_account, &self.new_order]
            .into_iter()
            .chain(optional.into_iter().flatten())
    }
}

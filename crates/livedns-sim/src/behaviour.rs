//! The switches: points where sources about the real service differ, or are silent.

use serde::{Deserialize, Serialize};

/// How a refusal of a credential is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// 401 HTTPUnauthorized.
    Unauthorized,
    /// 403 HTTPForbidden.
    Forbidden,
    /// 404 HTTPNotFound, as if it were not there.
    NotFound,
}

/// What a write does that leaves an empty list of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyList {
    /// An rrset without values stays.
    Keep,
    /// The rrset goes.
    Delete,
    /// 400.
    Refuse,
}

/// What PATCH and DELETE do where there is no rrset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingRrset {
    /// As if it were there and empty.
    Accept,
    /// 404.
    NotFound,
}

/// Whether a request has to name its organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Organisation {
    /// No.
    NotNeeded,
    /// As the query parameter `sharing_id`.
    Query,
    /// As the header `X-Gandi-Sharing-Id`.
    Header,
}

/// All switches, in their default positions unless set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// A token that is unknown.
    pub bad_token: Refusal,
    /// A token whose life has ended.
    pub expired_token: Refusal,
    /// A zone outside the token's domains.
    pub other_domain: Refusal,
    /// Whether a request has to name its organisation; 404 with the cause "Unknown" if it does not.
    pub organisation: Organisation,
    /// Whether an organisation that is named without need is refused (403).
    pub refuse_superfluous_organisation: bool,
    /// Whether the token service fails while LiveDNS works.
    pub token_info_down: bool,
    /// A token with more seconds left than this is not renewed; none for no limit.
    pub renew_only_below: Option<i64>,
    /// DELETE of an rrset that is not there.
    pub delete_missing: MissingRrset,
    /// PUT with an empty list.
    pub put_empty: EmptyList,
    /// Whether duplicates in one list are refused.
    pub refuse_duplicates: bool,
    /// Whether PATCH is offered; 405 if not.
    pub patch_offered: bool,
    /// PATCH of an rrset that is not there.
    pub patch_missing: MissingRrset,
    /// PATCH that removes the last value.
    pub patch_last: EmptyList,
    /// Whether `GET /domains` is empty although there are zones.
    pub hide_domain_list: bool,
    /// Requests a minute before 429; 0 for no limit.
    pub requests_per_minute: u32,
    /// Seconds in the `Retry-After` of a 429; none for no header.
    pub retry_after: Option<u32>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            bad_token: Refusal::Forbidden,
            expired_token: Refusal::Unauthorized,
            other_domain: Refusal::NotFound,
            organisation: Organisation::NotNeeded,
            refuse_superfluous_organisation: false,
            token_info_down: false,
            renew_only_below: Some(30 * 86_400),
            delete_missing: MissingRrset::Accept,
            put_empty: EmptyList::Keep,
            refuse_duplicates: true,
            patch_offered: true,
            patch_missing: MissingRrset::NotFound,
            patch_last: EmptyList::Delete,
            hide_domain_list: false,
            requests_per_minute: 1000,
            retry_after: Some(1),
        }
    }
}

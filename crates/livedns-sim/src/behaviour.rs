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

/// Whether PATCH is offered, and how it is refused if not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Patch {
    /// It is.
    Offered,
    /// 400.
    BadRequest,
    /// 404, as for a path that does not exist.
    NotFound,
    /// 405.
    NotAllowed,
    /// 501.
    NotImplemented,
}

/// What PATCH does with a value that it cannot add (it is there) or remove (it is not there).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Superfluous {
    /// Nothing.
    Ignore,
    /// 400.
    Refuse,
}

/// How a TXT record beside a CNAME is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BesideCname {
    /// 400.
    BadRequest,
    /// 409.
    Conflict,
    /// 422.
    Unprocessable,
}

/// What is seen of an rrset whose name is written in another letter case. A write is answered 500 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherCase {
    /// GET finds it, and shows how it is written.
    Found,
    /// GET answers 404.
    NotFound,
}

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Json {
    /// Without spaces, as the gateway does.
    Compact,
    /// With a space after `:` and `,`, as the backend does.
    Spaced,
    /// Now so, now so, with the members in any order.
    Mixed,
}

/// What a 429 says about when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// Nothing.
    Nothing,
    /// A number of seconds.
    Seconds(u32),
    /// A date, so many seconds from now.
    Date(u32),
}

/// The host of the first LiveDNS API, as its remains were reported. Its paths begin with `/api/v5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Legacy {
    /// 404 for everything.
    Gone,
    /// A zone is found, but a new record is answered 404 HTTPNotFound.
    NoNewRecords,
    /// Everything works with `X-Api-Key`; a personal access token in that header is answered 500.
    KeysOnly,
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
    /// Whether PATCH is offered.
    pub patch: Patch,
    /// PATCH of an rrset that is not there.
    pub patch_missing: MissingRrset,
    /// PATCH that removes the last value.
    pub patch_last: EmptyList,
    /// PATCH that adds what is there.
    pub patch_present: Superfluous,
    /// PATCH that removes what is not there.
    pub patch_absent: Superfluous,
    /// Whether values to remove by PATCH have to be written as they are given back, with their quotes.
    pub patch_as_read: bool,
    /// Whether PATCH without TTL sets 10800, as PUT does, instead of leaving it.
    pub patch_resets_ttl: bool,
    /// Whether TXT values above 255 octets are given back in several strings.
    pub split_long_values: bool,
    /// A TXT record beside a CNAME.
    pub beside_cname: BesideCname,
    /// An rrset whose name is written in another letter case.
    pub other_case: OtherCase,
    /// Whether the `Content-Type` of a write has to be JSON; 415 if it is not.
    pub check_content_type: bool,
    /// How JSON is written.
    pub json: Json,
    /// Whether `GET /domains` is empty although there are zones.
    pub hide_domain_list: bool,
    /// Requests a minute before 429; 0 for no limit.
    pub requests_per_minute: u32,
    /// The `Retry-After` of a 429.
    pub retry_after: RetryAfter,
    /// The old host, instead of the current one.
    pub legacy: Option<Legacy>,
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
            patch: Patch::Offered,
            patch_missing: MissingRrset::NotFound,
            patch_last: EmptyList::Delete,
            patch_present: Superfluous::Ignore,
            patch_absent: Superfluous::Ignore,
            patch_as_read: false,
            patch_resets_ttl: false,
            split_long_values: true,
            beside_cname: BesideCname::Conflict,
            other_case: OtherCase::Found,
            check_content_type: true,
            json: Json::Mixed,
            hide_domain_list: false,
            requests_per_minute: 1000,
            retry_after: RetryAfter::Seconds(1),
            legacy: None,
        }
    }
}

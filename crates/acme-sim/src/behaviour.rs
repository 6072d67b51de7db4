//! The switches: what servers in the world do differently, and what none of the other test servers shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How `Retry-After` is told where a client has to come back (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// Not at all.
    None,
    /// So many seconds.
    Seconds(u32),
    /// The HTTP date that is so many seconds from now.
    Date(u32),
}

/// How an order becomes a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finalize {
    /// The answer to finalize is `valid`.
    AtOnce,
    /// The answer is `processing`, and so are those to this many looks at the order.
    Processing(u32),
    /// The order is `processing` until [`Control::release_orders`](crate::Control::release_orders).
    Held,
    /// The order becomes `invalid` with a problem of this type (`serverInternal`, say).
    Fails(String),
}

/// What newOrder does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewOrder {
    /// It makes an order.
    Accept,
    /// 429 `rateLimited` with [`Behaviour::rate_limit_retry_after`].
    RateLimited,
    /// Let's Encrypt's answer to accounts that it has paused for these names: 429 `rateLimited`, and a URL where a
    /// person can end it.
    Paused,
    /// 500 `serverInternal`.
    ServerInternal,
}

/// What is said about contacts in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contacts {
    /// `mailto:` is taken, everything else is `unsupportedContact`.
    Accept,
    /// Every contact is `unsupportedContact`.
    Unsupported,
    /// Every contact is `invalidContact`.
    Invalid,
    /// They are taken, and not kept, as at Let's Encrypt.
    Ignore,
}

/// A wrong certificate, to prove that clients look at what they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrongCertificate {
    /// For a key that is not the CSR's.
    OtherKey,
    /// The last name is missing.
    MissingName,
}

/// A profile (draft-ietf-acme-profiles).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What the directory says about it.
    pub description: String,
    /// Validity of its certificates in seconds; [`Behaviour::validity`] if none.
    #[serde(default)]
    pub validity: Option<u32>,
}

/// All switches; the defaults are those of a friendly CA of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Percentage of good nonces that are refused all the same.
    pub nonce_reject: u8,
    /// URL of the terms of service. Accounts that have agreed to another one have to agree anew.
    pub terms: Option<String>,
    /// `website` of the directory.
    pub website: Option<String>,
    /// `caaIdentities` of the directory.
    pub caa_identities: Vec<String>,
    /// Whether new accounts need an external account binding.
    pub external_account_required: bool,
    /// `profiles` of the directory.
    pub profiles: BTreeMap<String, Profile>,
    /// Contacts of accounts.
    pub contacts: Contacts,
    /// Whether POST-as-GET of an account is refused, as Google, SSL.com and DigiCert do.
    pub refuse_account_lookup: bool,
    /// Whether the directory has newAuthz.
    pub new_authz: bool,
    /// What newOrder does.
    pub new_order: NewOrder,
    /// `Retry-After` of a rate limit.
    pub rate_limit_retry_after: RetryAfter,
    /// Names that are refused with `rejectedIdentifier`, each by its subproblem.
    pub rejected: Vec<String>,
    /// Whether notBefore and notAfter are refused.
    pub refuse_dates: bool,
    /// Whether valid authorizations are used again.
    pub authz_reuse: bool,
    /// Whether authorizations are valid, and orders ready, from the start.
    pub ready_at_once: bool,
    /// Whether `expires` is left out everywhere.
    pub missing_expires: bool,
    /// Whether challenges come without status.
    pub missing_challenge_status: bool,
    /// Whether challenges come in another order each time.
    pub shuffled_challenges: bool,
    /// Whether challenge types and members that nobody knows are mixed in.
    pub unknown_things: bool,
    /// The challenge types offered. Types that do not fit an identifier are left out.
    pub challenges: Vec<String>,
    /// `issuer-domain-names` of dns-persist-01.
    pub persist_issuers: Vec<String>,
    /// Whether dns-persist-01 is looked at when an order is made, so that its authorizations may be valid from the
    /// start (§4.4 of the draft).
    pub persist_just_in_time: bool,
    /// `Retry-After` of authorizations and orders that are not done yet.
    pub retry_after: RetryAfter,
    /// How an order becomes a certificate.
    pub finalize: Finalize,
    /// Seconds from issue to the end of a certificate.
    pub validity: u32,
    /// Seconds by which a certificate begins before its issue.
    pub backdate: u32,
    /// Whether certificates come with `Link: rel="alternate"`.
    pub alternates: bool,
    /// Whether the certificate is wrong.
    pub wrong_certificate: Option<WrongCertificate>,
    /// Whether the directory has renewalInfo (RFC 9773).
    pub renewal_info: bool,
    /// `Retry-After` of renewalInfo.
    pub renewal_retry_after: RetryAfter,
}

impl Default for Behaviour {
    fn default() -> Self {
        let profile = |description: &str, validity| Profile { description: description.to_owned(), validity };
        Behaviour {
            nonce_reject: 0,
            terms: Some("https://acme-sim.example/terms/v1".to_owned()),
            website: Some("https://acme-sim.example/".to_owned()),
            caa_identities: vec!["acme-sim.example".to_owned()],
            external_account_required: false,
            profiles: BTreeMap::from([
                ("classic".to_owned(), profile("The profile for everybody", None)),
                ("shortlived".to_owned(), profile("Six days", Some(6 * 86_400))),
            ]),
            contacts: Contacts::Accept,
            refuse_account_lookup: false,
            new_authz: false,
            new_order: NewOrder::Accept,
            rate_limit_retry_after: RetryAfter::Seconds(3600),
            rejected: Vec::new(),
            refuse_dates: false,
            authz_reuse: false,
            ready_at_once: false,
            missing_expires: false,
            missing_challenge_status: false,
            shuffled_challenges: false,
            unknown_things: false,
            challenges: ["http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01"]
                .map(str::to_owned)
                .to_vec(),
            persist_issuers: vec!["acme-sim.example".to_owned()],
            persist_just_in_time: false,
            retry_after: RetryAfter::None,
            finalize: Finalize::AtOnce,
            validity: 90 * 86_400,
            backdate: 3600,
            alternates: true,
            wrong_certificate: None,
            renewal_info: true,
            renewal_retry_after: RetryAfter::Seconds(6 * 3600),
        }
    }
}

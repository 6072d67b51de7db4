//! What a caller may set about a [`Client`](crate::Client).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::error::Error;

/// The current, documented base of the LiveDNS API.
pub const DEFAULT_BASE_URL: &str = "https://api.gandi.net/v5/livedns";

/// The host of the first LiveDNS API, which is out of service; [`Client::new`](crate::Client::new) refuses it.
pub const LEGACY_HOST: &str = "dns.api.gandi.net";

/// Settings of a client; [`Options::default`] is right for Gandi's service.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base of all paths, `https` only. Default [`DEFAULT_BASE_URL`].
    pub base_url: Url,
    /// The organisation on whose behalf to act; most tokens need none. Sent as query parameter and as header.
    pub sharing_id: Option<SharingId>,
    /// TTL of an rrset that this client creates; an existing rrset keeps its own. Default 300 s.
    pub ttl: Ttl,
    /// Longest time for one request, connection and body included. Default 30 s.
    pub request_timeout: Duration,
    /// How long one operation (one public call) goes on to retry. A request that is under way when the time is
    /// up may still finish. Default 60 s.
    pub retry_budget: Duration,
    /// The most requests in any minute. Default 950, a little below the 1000 from one address that Gandi allows: hosts behind
    /// one address have to share them.
    pub requests_per_minute: u32,
    /// A file through which processes share one pace; it is made if it is not there. Without one, each process keeps the
    /// pace for itself.
    pub pace: Option<PathBuf>,
}

impl Default for Options {
    #[expect(clippy::expect_used, reason = "a constant, parsed in a unit test")]
    fn default() -> Self {
        Self {
            base_url: Url::parse(DEFAULT_BASE_URL).expect("DEFAULT_BASE_URL is a constant and a valid URL"),
            sharing_id: None,
            ttl: Ttl::MIN,
            request_timeout: Duration::from_secs(30),
            retry_budget: Duration::from_secs(60),
            requests_per_minute: 950,
            pace: None,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |reason: &str| {
            Err(Error::InvalidOption {
                option: "base_url",
                reason: format!("{reason}: {}", self.shown_base()),
            })
        };
        let Some(host) = self.base_url.host_str() else { return refuse("it names no host") };
        if host.trim_end_matches('.').eq_ignore_ascii_case(LEGACY_HOST) {
            return Err(Error::LegacyHost);
        }
        if self.base_url.scheme() != "https" {
            return refuse("it must begin with https://");
        }
        if !self.base_url.username().is_empty() || self.base_url.password().is_some() {
            return refuse("it must contain no user name or password");
        }
        if self.base_url.query().is_some() || self.base_url.fragment().is_some() {
            return refuse("it must have no query and no fragment");
        }
        if self.request_timeout.is_zero() {
            return Err(Error::InvalidOption { option: "request_timeout", reason: "it is zero".into() });
        }
        Ok(())
    }

    /// The base URL without user name, password, query and fragment, which may hold a secret put there by
    /// mistake.
    fn shown_base(&self) -> String {
        format!(
            "{}://{}{}",
            self.base_url.scheme(),
            self.base_url.host_str().unwrap_or_default(),
            self.base_url.path()
        )
    }
}

/// A time to live in seconds that LiveDNS accepts, 300 to 2592000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u32);

impl Ttl {
    /// 300 s, the shortest.
    pub const MIN: Self = Self(300);
    /// 2592000 s = 30 days, the longest.
    pub const MAX: Self = Self(2_592_000);

    /// Checks the range.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] outside of 300..=2592000.
    pub fn from_seconds(seconds: u32) -> Result<Self, Error> {
        if (Self::MIN.0..=Self::MAX.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(Error::InvalidOption {
                option: "ttl",
                reason: format!("{seconds} s; LiveDNS takes {} to {} s", Self::MIN.0, Self::MAX.0),
            })
        }
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }
}

/// The id of an organisation or a reseller's customer: a UUID, kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingId(String);

impl SharingId {
    /// The UUID, with hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SharingId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let groups: Vec<&str> = text.split('-').collect();
        let hex = |group: &&str| group.bytes().all(|b| b.is_ascii_hexdigit());
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths == [8, 4, 4, 4, 12] && groups.iter().all(hex) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Error::InvalidOption {
                option: "sharing_id",
                reason: "it is not a UUID (8-4-4-4-12 hexadecimal digits)".into(),
            })
        }
    }
}

impl fmt::Display for SharingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_base(base: &str) -> Result<(), Error> {
        Options { base_url: Url::parse(base).unwrap(), ..Options::default() }.check()
    }

    #[test]
    fn only_https_bases_without_extras_are_taken() {
        assert!(Options::default().check().is_ok());
        assert!(with_base("https://localhost:8443/v5/livedns/").is_ok());
        for bad in ["http://api.gandi.net/", "https://u:p@h/", "https://h/?q=1", "https://h/#f", "data:x"] {
            assert!(matches!(with_base(bad), Err(Error::InvalidOption { option: "base_url", .. })), "{bad}");
        }
        let shown = with_base("https://user:hunter2@h/").unwrap_err().to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_legacy_host_has_its_own_error() {
        assert!(matches!(with_base("https://dns.api.gandi.net/api/v5"), Err(Error::LegacyHost)));
        assert!(matches!(with_base("http://DNS.api.gandi.net./"), Err(Error::LegacyHost)));
    }

    #[test]
    fn ttl_has_a_range() {
        assert!(Ttl::from_seconds(299).is_err());
        assert_eq!(Ttl::from_seconds(300).unwrap(), Ttl::MIN);
        assert_eq!(Ttl::from_seconds(2_592_000).unwrap(), Ttl::MAX);
        assert!(Ttl::from_seconds(2_592_001).is_err());
    }

    #[test]
    fn a_sharing_id_is_a_uuid() {
        let id: SharingId = " 0A1B2c3d-0000-1111-2222-0123456789ab\n".parse().unwrap();
        assert_eq!(id.as_str(), "0a1b2c3d-0000-1111-2222-0123456789ab");
        for bad in ["", "my-org", "0a1b2c3d00001111222201234567 89ab", "0a1b2c3d-0000-1111-2222-0123456789ag"]
        {
            assert!(bad.parse::<SharingId>().is_err(), "{bad}");
        }
    }
}

//! What is used of the limits of each server, and what its words hold back: what `livecert limits` shows.

use jiff::Timestamp;

use super::super::{CertificateError, ServerUrl};
use super::{Fill, LimitKind, Limits, SHOWN, counted, limits_of};
use crate::store::{CertName, Hold, Store};

/// What is known of one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerLimits {
    /// The server.
    pub url: ServerUrl,
    /// Its limits, as far as they are known.
    pub limits: Limits,
    /// What is used of them; for limits that are not known, what was asked within 7 days.
    pub uses: Vec<Use>,
    /// What it does not want to be asked for now: everything, or one certificate.
    pub holds: Vec<(Option<CertName>, Hold)>,
}

/// What is used of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Use {
    /// Which limit.
    pub kind: LimitKind,
    /// URL of the account, where each has its own.
    pub account: Option<String>,
    /// The domain, names or name; empty for orders.
    pub about: String,
    /// How much is used at this moment.
    pub used: u32,
    /// How much is left, and when more is; `None` where no limit is known.
    pub fill: Option<Fill>,
}

/// What is used of the limits of the servers that something was asked of, or of `server` alone. Nobody is asked.
///
/// # Errors
/// What was noted cannot be read.
pub fn limits(
    store: &Store,
    server: Option<&ServerUrl>,
    now: Timestamp,
) -> Result<Vec<ServerLimits>, CertificateError> {
    let urls = match server {
        Some(server) => vec![server.to_string()],
        None => {
            let mut urls = store.asked_servers()?;
            urls.extend(store.account_records()?.into_iter().map(|account| account.server));
            urls.extend(store.holds()?.into_iter().map(|(_, hold)| hold.server));
            urls.sort();
            urls.dedup();
            urls
        }
    };
    let holds = store.holds()?;
    let of = |url: String| {
        let url: ServerUrl = url.parse()?;
        let limits = limits_of(store, &url);
        let uses = uses(&limits, &store.asked(url.as_str())?, now);
        let holds = holds.iter().filter(|(_, hold)| hold.server == url.as_str()).cloned().collect();
        Ok(ServerLimits { url, limits, uses, holds })
    };
    urls.into_iter().map(of).collect()
}

pub(super) fn uses(limits: &Limits, asked: &[crate::store::Asked], now: Timestamp) -> Vec<Use> {
    let uses = counted(asked, now, None).into_iter().map(|(key, times)| {
        let (used, fill) = match limits.of(key.kind) {
            Some(limit) => {
                let fill = limit.fill(times, now);
                (limit.count() - fill.left, Some(fill))
            }
            None => {
                let recent = times.iter().filter(|time| now.duration_since(**time) <= SHOWN);
                (u32::try_from(recent.count()).unwrap_or(u32::MAX), None)
            }
        };
        Use { kind: key.kind, account: key.account, about: key.about, used, fill }
    });
    uses.filter(|used| used.used > 0).collect()
}

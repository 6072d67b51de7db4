//! How long a CA wants to be left alone after a refusal.

use jiff::{SignedDuration, Timestamp};
use livecert_acme::{Error, ErrorClass};

use super::{CertificateError, Service, with_causes};
use crate::store::{CertName, Hold, HoldScope, StoreError};

/// Where the CA names no moment: long enough not to hammer, short enough not to miss a renewal.
const WITHOUT_A_WORD: SignedDuration = SignedDuration::from_hours(1);
/// Where a person has to act at the CA's site first.
const PAUSED: SignedDuration = SignedDuration::from_hours(24);
/// What a CA names is believed up to here: one request after that does it no harm, and a slip in its clock must not cost
/// a renewal.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A server that is only busy is not one that has had enough of us.
const BUSY: SignedDuration = SignedDuration::from_hours(24);

/// Before which moment a certificate is not asked for again after this error; `None` if it may be at once. Half of what
/// is left of the certificate that ends at `end` is always there for another try.
fn until(error: &Error, end: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let limited = error.class() == ErrorClass::RateLimited;
    let paused = error.problem().is_some_and(|problem| problem.is_paused().is_some());
    let asked = match error {
        _ if paused => PAUSED,
        Error::RetryLater { retry_at: Some(at), .. } => at.duration_since(now),
        _ if limited => WITHOUT_A_WORD,
        _ => return None,
    };
    let longest = if limited || paused { LONGEST } else { BUSY };
    let until = now.checked_add(asked.min(longest)).ok()?;
    Some(until.min(half_of_the_rest(end, now).unwrap_or(until))).filter(|until| *until > now)
}

/// The moment at which half of what is left of a certificate will be over; `None` if nothing is left.
fn half_of_the_rest(end: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let left = end?.duration_since(now) / 2;
    left.is_positive().then(|| now.checked_add(left).ok()).flatten()
}

/// Whether the error is the same for whatever certificate: a limit of the account, or a server that is busy.
fn is_for_everything(error: &Error) -> bool {
    let busy =
        matches!(error, Error::RetryLater { problem: Some(_), .. }) && error.class() == ErrorClass::Outage;
    busy || error.problem().is_some_and(livecert_acme::Problem::limits_everything)
}

impl Service {
    /// What holds a certificate with these names back at a server. What holds all back counts as long as half of what is
    /// left of the certificate that ends at `end` remains for another try.
    pub(super) fn hold(
        &self,
        cert: &CertName,
        server: &str,
        names: &[String],
        end: Option<Timestamp>,
    ) -> Option<Hold> {
        let own = self.store.hold(HoldScope::Certificate(cert), server, names);
        own.or_else(|| {
            let half = half_of_the_rest(end, Timestamp::now());
            let for_all = self.store.hold(HoldScope::Server, server, &[]);
            for_all.filter(|hold| half.is_none_or(|half| hold.until <= half))
        })
    }

    /// Keeps the moment before which the CA does not want to be asked again; `end` is that of the certificate that there
    /// is.
    pub(super) fn remember_hold(
        &self,
        cert: &CertName,
        server: &str,
        names: Vec<String>,
        end: Option<Timestamp>,
        error: &CertificateError,
    ) {
        let CertificateError::Acme { source, .. } = error else { return };
        let now = Timestamp::now();
        let hold = |names: Vec<String>, until| Hold {
            server: server.to_owned(),
            names,
            until,
            words: source.to_string(),
        };
        let save = |scope, names, until: Option<Timestamp>| match until {
            Some(until) => self.store.save_hold(scope, &hold(names, until)),
            None => Ok(()),
        };
        let mut saved = save(HoldScope::Certificate(cert), names, until(source, end, now));
        if is_for_everything(source) {
            saved = saved.and(save(HoldScope::Server, Vec::new(), until(source, None, now)));
        }
        if let Err(error) = saved {
            let error = with_causes(&error);
            tracing::warn!(%cert, error, "until when the CA wants to be left alone is not remembered");
        }
    }

    /// Forgets what held a certificate back at a server that has just given it.
    pub(super) fn forget_hold(&self, cert: &CertName, server: &str) {
        let removed: Result<(), StoreError> = [HoldScope::Certificate(cert), HoldScope::Server]
            .into_iter()
            .try_for_each(|scope| self.store.remove_hold(scope, server));
        if let Err(error) = removed {
            let error = with_causes(&error);
            tracing::warn!(%cert, error, "an old wish of the CA to be left alone is still noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_is_believed_within_limits() {
        let time = |hours: i64| Timestamp::from_second(hours * 3600).unwrap();
        let later = |hours: i64| Error::RetryLater { problem: None, retry_at: Some(time(hours)) };
        // Only busy, by its status.
        assert_eq!(until(&later(100), None, time(0)), Some(time(24)));
        assert_eq!(until(&later(-1), None, time(0)), None);
        assert_eq!(until(&Error::NoNonce("https://ca/".into()), None, time(0)), None);
    }
}

//! How long a CA wants to be left alone after a refusal.

use jiff::{SignedDuration, Timestamp};
use livecert_acme::{Error, ErrorClass};

use super::{CertificateError, Service, with_causes};
use crate::store::{CertName, Hold, HoldScope};

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
    let Error::RetryLater { problem: Some(problem), .. } = error else { return false };
    problem.status == Some(503) || problem.limits_everything()
}

/// Whether what holds all certificates of a server back counts for the one that ends at `end`: not where less than half of
/// what is left of it would remain for another try, nor where it has ended.
fn counts(hold: &Hold, end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_none() || half_of_the_rest(end, now).is_some_and(|half| hold.until <= half)
}

impl Service {
    /// What holds a certificate with these names back at a server, by its own word or by one for all; `end` is that of the
    /// certificate that there is.
    pub(super) fn hold(
        &self,
        cert: &CertName,
        server: &str,
        names: &[String],
        end: Option<Timestamp>,
    ) -> Option<Hold> {
        let for_all = self.store.hold(HoldScope::Server, server, &[]);
        let for_all = for_all.filter(|hold| counts(hold, end, Timestamp::now()));
        self.own_hold(cert, server, names).into_iter().chain(for_all).max_by_key(|hold| hold.until)
    }

    /// What holds it back by its own word alone: an order that is there already is not what others were refused.
    pub(super) fn own_hold(&self, cert: &CertName, server: &str, names: &[String]) -> Option<Hold> {
        self.store.hold(HoldScope::Certificate(cert), server, names)
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
        let Some(own) = until(source, end, now) else { return };
        let save = |scope, names, until| {
            let (server, words) = (server.to_owned(), source.to_string());
            self.store.save_hold(scope, &Hold { server, names, made: now, until, words })
        };
        let mut saved = Ok(());
        let mut for_all = None;
        if is_for_everything(source)
            && let Some(until) = until(source, None, now)
        {
            for_all = Some(until);
            saved = save(HoldScope::Server, Vec::new(), until);
        }
        // Where the word for all counts for this one too, one note is enough: it goes when the server gives anything.
        if for_all.is_none_or(|until| own < until) {
            saved = saved.and(save(HoldScope::Certificate(cert), names, own));
        }
        if let Err(error) = saved {
            let error = with_causes(&error);
            tracing::warn!(%cert, error, "until when the CA wants to be left alone is not remembered");
        }
    }

    /// Forgets what held a certificate back at a server that has taken an order made at `ordered` and given it.
    pub(super) fn forget_hold(&self, cert: &CertName, server: &str, ordered: Timestamp) {
        self.forget(HoldScope::Certificate(cert), server, Timestamp::MAX);
        self.forget_server_hold(server, ordered);
    }

    /// Forgets what held all certificates of a server back before this moment.
    pub(super) fn forget_server_hold(&self, server: &str, before: Timestamp) {
        self.forget(HoldScope::Server, server, before);
    }

    fn forget(&self, scope: HoldScope<'_>, server: &str, before: Timestamp) {
        if let Err(error) = self.store.remove_hold(scope, server, before) {
            let error = with_causes(&error);
            tracing::warn!(server, error, "an old wish of the CA to be left alone is still noted");
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
        let hold = |hours| Hold {
            server: String::new(),
            names: Vec::new(),
            made: time(0),
            until: time(hours),
            words: String::new(),
        };
        assert!(counts(&hold(2), None, time(0)) && counts(&hold(2), Some(time(4)), time(0)));
        assert!(!counts(&hold(2), Some(time(3)), time(0)), "one that would end too soon is asked for");
        assert!(!counts(&hold(2), Some(time(1)), time(1)), "one that has ended too");
        assert_eq!(until(&Error::NoNonce("https://ca/".into()), None, time(0)), None);
    }
}

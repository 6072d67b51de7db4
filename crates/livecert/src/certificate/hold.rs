//! How long a CA wants to be left alone after a refusal.

use jiff::{SignedDuration, Timestamp};

use livecert_acme::{Error, ErrorClass};

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
pub(super) fn until(error: &Error, end: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let limited = error.class() == ErrorClass::RateLimited;
    let paused = error.problem().is_some_and(|problem| problem.is_paused().is_some());
    let asked = match error {
        _ if paused => PAUSED,
        Error::RetryLater { retry_at: Some(at), .. } => at.duration_since(now),
        _ if limited => WITHOUT_A_WORD,
        _ => return None,
    };
    let left = end.map(|end| end.duration_since(now) / 2).filter(|left| left.is_positive());
    let longest = if limited || paused { LONGEST } else { BUSY };
    now.checked_add(asked.min(longest).min(left.unwrap_or(longest))).ok().filter(|until| *until > now)
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

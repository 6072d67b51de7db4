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

/// Before which moment a certificate is not asked for again after this error; `None` if it may be at once.
pub(super) fn until(error: &Error, now: Timestamp) -> Option<Timestamp> {
    if error.problem().is_some_and(|problem| problem.is_paused().is_some()) {
        return now.checked_add(PAUSED).ok();
    }
    match error {
        Error::RetryLater { retry_at: Some(at), .. } => Some((*at).min(now.checked_add(LONGEST).ok()?)),
        _ if error.class() == ErrorClass::RateLimited => now.checked_add(WITHOUT_A_WORD).ok(),
        _ => None,
    }
}

//! `Retry-After` (RFC 9110 §10.2.3), and the waits between tries.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use jiff::Timestamp;

/// What a server asks to be waited for; no longer than a day is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(Duration);

const LONGEST: Duration = Duration::from_secs(86_400);
/// The longest that a moment to come is away. Rate limits are told by the week.
const LONGEST_LIMIT: Duration = Duration::from_secs(366 * 86_400);

/// The moment until which a refusal asks to wait, not cut to a day.
pub(crate) fn retry_at(headers: &HeaderMap) -> Option<Timestamp> {
    let wait = asked(headers.get(http::header::RETRY_AFTER)?.to_str().ok()?, SystemTime::now())?;
    Timestamp::now().checked_add(wait.min(LONGEST_LIMIT)).ok()
}

/// Both forms: seconds, and an HTTP date. A date in the past is no time to wait.
fn asked(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

impl RetryAfter {
    /// The time to wait from the moment of the answer.
    pub fn duration(self) -> Duration {
        self.0
    }

    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(http::header::RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
    }

    fn parse(text: &str, now: SystemTime) -> Option<Self> {
        Some(RetryAfter(asked(text, now)?.min(LONGEST)))
    }
}

/// The shortest wait before the first repetition. It doubles with each, up to [`LONGEST_FLOOR`], so that a server which
/// asks to be asked again at once is not asked hundreds of times.
const FIRST_FLOOR: Duration = Duration::from_millis(50);
const LONGEST_FLOOR: Duration = Duration::from_secs(1);

/// Growing waits with jitter, inside one budget of time.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    floor: Duration,
    left: Duration,
}

impl Backoff {
    pub(crate) fn within(budget: Duration) -> Self {
        Backoff { next: Duration::from_millis(250), floor: FIRST_FLOOR, left: budget }
    }

    /// How long to wait before the next try; `None` when the budget does not allow it.
    pub(crate) fn wait(&mut self, asked: Option<RetryAfter>) -> Option<Duration> {
        let jittered = self.next.mul_f64(0.75 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(Duration::from_secs(8));
        let wait = asked.map_or(jittered, |asked| asked.0.max(self.floor));
        self.floor = (self.floor * 2).min(LONGEST_FLOOR);
        self.left = self.left.checked_sub(wait)?;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 10:00:00 GMT").unwrap();
        let parse = |text| RetryAfter::parse(text, now).map(|after| after.0.as_secs());
        assert_eq!(parse("120"), Some(120));
        assert_eq!(parse(" Tue, 24 Nov 2026 10:00:30 GMT"), Some(30));
        assert_eq!(parse("Tue, 24 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(parse("99999999999"), Some(86_400));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
    }

    #[test]
    fn waits_grow_and_end_with_the_budget() {
        let mut backoff = Backoff::within(Duration::from_secs(10));
        let first = backoff.wait(None).unwrap();
        assert!(first >= Duration::from_millis(187) && first <= Duration::from_millis(313));
        assert_eq!(backoff.wait(Some(RetryAfter(Duration::from_secs(5)))), Some(Duration::from_secs(5)));
        assert_eq!(backoff.wait(Some(RetryAfter(Duration::from_secs(5)))), None);
    }

    #[test]
    fn a_server_that_wants_to_be_asked_at_once_is_not_asked_hundreds_of_times() {
        let mut backoff = Backoff::within(Duration::from_secs(30));
        let now = Some(RetryAfter(Duration::ZERO));
        assert_eq!(backoff.wait(now), Some(Duration::from_millis(50)));
        let tries = std::iter::from_fn(|| backoff.wait(now)).count();
        assert!((20..40).contains(&tries), "{tries}");
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_a_panic(text in "\\PC{0,60}") {
            let _ = RetryAfter::parse(&text, SystemTime::UNIX_EPOCH);
        }
    }
}

//! How long to go on, and how long to pause in between.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

/// First pause; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause that was not asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A `Retry-After` beyond this is taken for this; it only has to be a time that can be calculated with.
const FARTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The time that one operation may spend on trying again, all its requests together.
#[derive(Debug)]
pub(crate) struct Budget {
    deadline: Instant,
    /// Later: a limit by the minute that is met at the beginning is over after a minute, which is all the time there is otherwise.
    limit_deadline: Instant,
    /// Failures so far. A success does not reset them: a write that fails between reads that succeed has to slow
    /// down like any other.
    failures: u32,
}

impl Budget {
    pub(crate) fn new(length: Duration) -> Self {
        let now = Instant::now();
        let after = |length| now.checked_add(length).unwrap_or(now + FARTHEST);
        Self {
            deadline: after(length),
            limit_deadline: after(length.saturating_add(length / 4)),
            failures: 0,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Until when a limit on the rate of requests may be waited for: a quarter longer than for all else.
    pub(crate) fn limit_deadline(&self) -> Instant {
        self.limit_deadline
    }

    /// The pause after a refusal for too many requests, until `end`; `None` as for [`Self::pause`].
    pub(crate) fn pause_until(&self, end: Instant) -> Option<Duration> {
        let now = Instant::now();
        (end <= self.limit_deadline && now < self.limit_deadline).then(|| end.saturating_duration_since(now))
    }

    /// The pause after a failure, or `None` when it would end after the deadline.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let own = backoff(self.failures);
        self.failures = self.failures.saturating_add(1);
        let pause = match asked {
            // Everyone who was sent away was told the same time, hence the jitter on top of it.
            Some(asked) if !asked.is_zero() => asked + jitter(),
            _ => own,
        };
        let end = Instant::now().checked_add(pause)?;
        (end <= self.deadline).then_some(pause)
    }
}

/// What is waited on top of what everyone was told.
pub(crate) fn jitter() -> Duration {
    FIRST_PAUSE.mul_f64(fastrand::f64())
}

/// Half of it fixed, half random.
pub(crate) fn backoff(failures: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
    full.mul_f64(fastrand::f64().midpoint(1.0))
}

/// The pause before the next round against a concurrent writer; random, so that two of them do not stay in step.
pub(crate) fn contention_pause(round: u32) -> Duration {
    let full = Duration::from_millis(100).saturating_mul(1 << round.min(4));
    full.mul_f64(fastrand::f64())
}

/// `Retry-After` as a length, from either of its forms (RFC 9110, section 10.2.3); zero for a date in the past,
/// `None` for anything else.
pub(crate) fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(FARTHEST, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(asked.min(FARTHEST))
}

/// The point in time that a `Retry-After` names.
pub(crate) fn retry_at(asked: Duration) -> Option<Timestamp> {
    Timestamp::try_from(SystemTime::now().checked_add(asked)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        retry_after(&HeaderValue::from_str(text).unwrap(), now)
    }

    #[test]
    fn both_forms_of_retry_after() {
        assert_eq!(parsed("120"), Some(Duration::from_secs(120)));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parsed("99999999999999999999999"), Some(FARTHEST));
        for bad in ["", "-1", "1.5", "soon"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_budget() {
        let mut budget = Budget::new(Duration::from_secs(60));
        let mut total = Duration::ZERO;
        let mut count = 0;
        while let Some(pause) = budget.pause(None) {
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE);
            tokio::time::advance(pause).await;
            total += pause;
            count += 1;
        }
        assert!(total <= Duration::from_secs(60) && total >= Duration::from_secs(51), "{total:?}");
        assert!((9..30).contains(&count), "{count}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_asks_for_is_waited_or_refused() {
        let mut budget = Budget::new(Duration::from_secs(60));
        assert_eq!(
            budget.pause_until(Instant::now() + Duration::from_secs(75)),
            Some(Duration::from_secs(75))
        );
        assert_eq!(budget.pause_until(Instant::now() + Duration::from_secs(76)), None);
        let pause = budget.pause(Some(Duration::from_secs(30))).unwrap();
        assert!(pause >= Duration::from_secs(30) && pause <= Duration::from_millis(30_250));
        assert_eq!(budget.pause(Some(Duration::from_secs(61))), None);
        assert!(budget.pause(Some(Duration::ZERO)).unwrap() > Duration::ZERO);
    }
}

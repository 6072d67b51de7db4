//! How often an order is asked about while the CA works.

use std::time::Duration;

use tokio::time::Instant;

use crate::retry::RetryAfter;

/// From the request to the first question, where nothing else is said. A CA on the same machine needs some milliseconds,
/// a public one seconds: that the question comes too soon costs one request of many.
const FIRST: Duration = Duration::from_millis(20);
/// The least that it is.
const SOONEST: Duration = Duration::from_millis(5);
/// The longest wait that a server's `Retry-After` can bring between two polls.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// The longest wait without one.
const LONGEST: Duration = Duration::from_secs(5);
/// The shortest wait, after the first few, whatever the server asks for.
const SHORTEST: Duration = Duration::from_secs(1);

/// When to ask: soon for the first time, then when the server says (RFC 8555 §7.5.1), else after growing waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Poll {
    /// What the server gets for its work before the first question arrives; less than 5 ms is taken for 5 ms. The way
    /// counts: at a server that is farther away than this, the question follows the answer at once.
    pub first: Duration,
    /// In all.
    pub limit: Duration,
}

impl Poll {
    /// Polls for at most `limit`, for the first time after 20 ms.
    pub fn within(limit: Duration) -> Self {
        Poll { first: FIRST, limit }
    }

    /// The wait before question number `round` (from 0), after an answer that asked for `asked`.
    pub(crate) fn wait(&self, round: u32, asked: Option<Duration>) -> Duration {
        let growing =
            self.first.max(SOONEST).saturating_mul(2_u32.saturating_pow(round.min(16))).min(LONGEST);
        match asked {
            Some(asked) if round > 0 => asked.max(growing.min(SHORTEST)).min(LONGEST_ASKED),
            _ => growing,
        }
    }
}

/// One round of questions under way.
pub(crate) struct Polling<'a> {
    poll: &'a Poll,
    begun: Instant,
    /// How long an answer of the server takes.
    distance: Duration,
    round: u32,
    asked: Option<Duration>,
}

impl<'a> Polling<'a> {
    pub(crate) fn begin(poll: &'a Poll, distance: Duration) -> Self {
        Polling { poll, begun: Instant::now(), distance, round: 0, asked: None }
    }

    /// Waits until the next question is due.
    pub(crate) async fn pause(&self) {
        let wait = self.poll.wait(self.round, self.asked);
        // What the answer took to come here, and the question takes to go there, the server has had for its work.
        let passed = if self.round == 0 { self.distance } else { Duration::ZERO };
        tokio::time::sleep(wait.saturating_sub(passed)).await;
    }

    /// Takes in what the answer asks for. If the next question would come too late: how long it was waited for.
    pub(crate) fn is_over(&mut self, asked: Option<RetryAfter>) -> Option<Duration> {
        self.asked = asked.map(RetryAfter::duration);
        self.round = self.round.saturating_add(1);
        let waited = self.begun.elapsed();
        (waited + self.poll.wait(self.round, self.asked) > self.poll.limit).then_some(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_question_comes_soon_and_then_the_server_decides() {
        let poll = Poll::within(Duration::from_secs(60));
        let seconds = Duration::from_secs;
        assert_eq!(poll.wait(0, Some(seconds(3))), poll.first);
        assert_eq!(poll.wait(1, Some(seconds(3))), seconds(3));
        assert_eq!(poll.wait(1, Some(seconds(9999))), LONGEST_ASKED);
        assert_eq!(poll.wait(2, None), 4 * poll.first);
        assert_eq!(poll.wait(99, None), LONGEST);
    }

    #[test]
    fn no_wait_that_is_asked_for_makes_a_panic_or_many_questions() {
        let mut poll = Poll::within(Duration::from_secs(60));
        assert_eq!(poll.wait(1, Some(Duration::ZERO)), 2 * poll.first);
        assert_eq!(poll.wait(99, Some(Duration::ZERO)), SHORTEST);
        for first in [Duration::ZERO, 2 * LONGEST_ASKED, Duration::MAX] {
            poll.first = first;
            assert!(poll.wait(3, None) >= SOONEST);
            assert!(poll.wait(1, Some(Duration::from_secs(2))) >= Duration::from_secs(2));
            assert!(poll.wait(1, Some(Duration::MAX)) <= LONGEST_ASKED);
        }
    }
}

//! What a 429 means for all requests of a client: nobody asks before the time is up, then one asks, and when that one is let in,
//! the others follow. Whether a request that is refused counts against the limit is not known; if it does, clients that each
//! ask again for themselves keep the limit used up. Clients of other credentials and other processes find out for themselves, as
//! hosts behind the same address have to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::retry::{backoff, jitter};

/// The limit is one of a minute, whatever an answer says: after this time somebody asks.
const LONGEST: Duration = Duration::from_secs(60);

/// Where each request passes before it is sent.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    state: Mutex<State>,
    /// Held by the one who asks whether the others are let in.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Nobody passes but one who asks.
    refused: Option<Refused>,
    /// When a request was refused or let in last, of those that know of what was before.
    changed: Option<Instant>,
}

/// There were too many requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    /// Until when nobody asks.
    pub(crate) until: Instant,
    /// The service named that moment; else it is a guess of ours.
    pub(crate) named: bool,
    /// How often whoever asked was refused since a request was let in.
    pub(crate) in_a_row: u32,
}

/// A request that may be sent.
#[must_use]
pub(crate) struct Pass<'a> {
    throttle: &'a Throttle,
    given: Instant,
    /// It asks for all the others, which wait for its answer.
    asking: Option<MutexGuard<'a, ()>>,
}

impl Throttle {
    /// Waits until a request may be sent; an error if that is not before `deadline`.
    pub(crate) async fn pass(&self, deadline: Instant) -> Result<Pass<'_>, Refused> {
        let mut asking = None;
        loop {
            let Some(refused) = self.refused() else { return Ok(self.let_pass(None)) };
            if refused.until > deadline {
                return Err(refused);
            }
            if asking.is_none() {
                let turn = tokio::time::timeout_at(deadline, self.asking.lock()).await;
                asking = Some(turn.map_err(|_elapsed| refused)?);
            } else if refused.until > Instant::now() {
                tokio::time::sleep_until(refused.until).await;
            } else {
                return Ok(self.let_pass(asking));
            }
        }
    }

    fn let_pass<'a>(&'a self, asking: Option<MutexGuard<'a, ()>>) -> Pass<'a> {
        Pass { throttle: self, given: Instant::now(), asking }
    }

    fn refused(&self) -> Option<Refused> {
        self.state().refused
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Whether it is still good: since it was given, others may have been refused.
    pub(crate) fn is_good(&self) -> bool {
        self.asking.is_some() || self.throttle.refused().is_none()
    }

    /// The request was refused with 429, and the service may have said for how long. Gives what that means for this request.
    pub(crate) fn refused(self, asked: Option<Duration>) -> Refused {
        let now = Instant::now();
        let mut state = self.throttle.state();
        let asked = asked.filter(|asked| !asked.is_zero());
        let before = state.refused.map_or(0, |refused| refused.in_a_row);
        // What was sent before others were refused, or let in, tells nothing that is not known.
        let is_old = self.asking.is_none() && state.changed.is_some_and(|changed| self.given <= changed);
        let own = Refused {
            // Other hosts were told the same time, hence the random part on top of it.
            until: now + asked.map_or_else(|| backoff(before), |asked| asked + jitter()),
            named: asked.is_some(),
            in_a_row: if is_old { before } else { before.saturating_add(1) },
        };
        if is_old {
            return match state.refused.filter(|_| asked.is_none()) {
                Some(refused) => refused,
                None => own,
            };
        }
        state.refused = Some(Refused { until: own.until.min(now + LONGEST), ..own });
        state.changed = Some(now);
        own
    }

    /// There is an answer that is no 429, or none: that is told for what it is, and to nobody else.
    pub(crate) fn done(self) {
        if self.asking.is_some() {
            let mut state = self.throttle.state();
            *state = State { refused: None, changed: Some(Instant::now()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    const FAR: Duration = Duration::from_secs(3600);

    async fn pass(throttle: &Throttle) -> Pass<'_> {
        throttle.pass(Instant::now() + FAR).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_when_the_time_is_up_and_the_others_follow() {
        let throttle = Arc::new(Throttle::default());
        let early = pass(&throttle).await;
        pass(&throttle).await.refused(Some(Duration::from_secs(30)));
        let begun = Instant::now();
        let (sent, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (throttle, sent, done) = (Arc::clone(&throttle), Arc::clone(&sent), Arc::clone(&done));
                tokio::spawn(async move {
                    loop {
                        let pass = pass(&throttle).await;
                        let count = sent.fetch_add(1, Relaxed);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        // The first two are refused.
                        if count >= 2 {
                            pass.done();
                            break done.fetch_add(1, Relaxed);
                        }
                        assert_eq!(done.load(Relaxed), 0);
                        pass.refused(None);
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(29)).await;
        // An answer to what was sent before the refusal opens nothing.
        early.done();
        tokio::time::sleep(Duration::from_millis(999)).await;
        assert_eq!(sent.load(Relaxed), 0);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(sent.load(Relaxed), 22);
        assert!(begun.elapsed() < Duration::from_secs(37), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_waited_for_is_told_at_once() {
        let throttle = Throttle::default();
        let begun = Instant::now();
        let refused = pass(&throttle).await.refused(Some(FAR * 2));
        assert!(refused.named && refused.until >= begun + FAR * 2);
        assert!(throttle.pass(begun + LONGEST / 2).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // Who has more time asks in the end, whatever one answer has said.
        pass(&throttle).await.done();
        assert_eq!(begun.elapsed(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_together_is_refused_once() {
        let throttle = Throttle::default();
        let (first, second, third) = (pass(&throttle).await, pass(&throttle).await, pass(&throttle).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(second.is_good());
        assert_eq!(first.refused(None).in_a_row, 1);
        assert!(!second.is_good());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(second.refused(None).in_a_row, 1);
        let asking = pass(&throttle).await;
        assert!(asking.asking.is_some());
        asking.done();
        // It is old news that the limit was reached.
        third.refused(None);
        assert!(pass(&throttle).await.asking.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_while_it_asks_leaves_that_to_the_next() {
        let throttle = Throttle::default();
        pass(&throttle).await.refused(None);
        drop(pass(&throttle).await);
        let next = pass(&throttle).await;
        assert!(next.asking.is_some());
        // Nobody waits longer than it has time.
        let begun = Instant::now();
        assert!(throttle.pass(begun + Duration::from_secs(5)).await.is_err());
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        next.done();
        assert!(pass(&throttle).await.asking.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_in_a_row_are_asked_about_less_and_less() {
        let throttle = Throttle::default();
        let begun = Instant::now();
        let mut asked = 0;
        while begun.elapsed() < Duration::from_secs(60) {
            pass(&throttle).await.refused(None);
            asked += 1;
        }
        assert!((9..20).contains(&asked), "{asked}");
    }
}

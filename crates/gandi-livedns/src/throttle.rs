//! What a 429 means for all requests of a client: nobody asks before the time is up, then one asks, and when that one is let in,
//! the others follow. Whether a request that is refused counts against the limit is not known; if it does, clients that each
//! ask again for themselves keep the limit used up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::retry::{backoff, jitter};

/// Where each request passes before it is sent.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    closed: Mutex<Option<Closed>>,
    /// Held by the one who asks whether the others are let in.
    asking: tokio::sync::Mutex<()>,
}

/// Until when nobody asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed {
    pub(crate) until: Instant,
    /// The service named the time; else it is our own guess.
    pub(crate) named: bool,
    /// How often whoever asked was refused since a request was let in.
    pub(crate) refusals: u32,
}

/// A request that may be sent.
#[must_use]
pub(crate) struct Pass<'a> {
    throttle: &'a Throttle,
    /// It asks for all the others, which wait for its answer.
    asking: Option<MutexGuard<'a, ()>>,
}

impl Throttle {
    /// Waits until a request may be sent; an error if that is not before `deadline`.
    pub(crate) async fn pass(&self, deadline: Instant) -> Result<Pass<'_>, Closed> {
        let mut asking = None;
        loop {
            let Some(closed) = self.closed() else { return Ok(Pass { throttle: self, asking: None }) };
            if closed.until > deadline {
                return Err(closed);
            }
            if asking.is_none() {
                let turn = tokio::time::timeout_at(deadline, self.asking.lock()).await;
                asking = Some(turn.map_err(|_elapsed| closed)?);
            } else if closed.until > Instant::now() {
                tokio::time::sleep_until(closed.until).await;
            } else {
                return Ok(Pass { throttle: self, asking });
            }
        }
    }

    fn closed(&self) -> Option<Closed> {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Closed>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The request was refused with 429, and the service may have said for how long.
    pub(crate) fn refused(self, asked: Option<Duration>) -> Closed {
        let now = Instant::now();
        let mut state = self.throttle.lock();
        // What was sent before others were refused is no refusal in a row.
        let before = state.map_or(0, |closed| closed.refusals);
        let late = state.filter(|closed| closed.until > now);
        let refusals = if late.is_some() { before } else { before.saturating_add(1) };
        let asked = asked.filter(|asked| !asked.is_zero());
        let closed = match (late, asked) {
            // Other hosts were told the same time, hence the random part on top of it.
            (_, Some(asked)) => Closed { until: now + asked + jitter(), named: true, refusals },
            (Some(late), None) => late,
            (None, None) => Closed { until: now + backoff(before), named: false, refusals },
        };
        let latest = late.filter(|late| late.until > closed.until).unwrap_or(closed);
        *state = Some(latest);
        latest
    }

    /// There is an answer that is no 429.
    pub(crate) fn answered(self) {
        // What was sent before others were refused says nothing about now.
        if self.asking.is_some() {
            *self.throttle.lock() = None;
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
                            pass.answered();
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
        early.answered();
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
        let closed = pass(&throttle).await.refused(Some(FAR * 2));
        assert!(closed.named);
        let begun = Instant::now();
        assert!(throttle.pass(begun + FAR).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
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
        next.answered();
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

//! A pace below the documented limit of 1000 requests a minute from one address, shared by all processes that are given
//! the same file. Requests of a certificate or of a hundred names go at once, and what is more goes evenly: the first
//! cleans up soon after an interruption, also while the second is under way.
//!
//! The generic cell rate algorithm: one moment, at which all requests so far would be due at an even pace, is all that
//! has to be remembered. It lies in the file, in nanoseconds since 1970.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);

/// So many requests at once, and then one after each step: in no minute there are more than the limit.
#[derive(Debug, Clone, Copy)]
struct Rhythm {
    step: Duration,
    burst: u32,
}

impl Rhythm {
    /// A hundred names in ten zones need some 320 requests, which are half of what the usual limit allows.
    fn within(limit: u32) -> Self {
        let burst = limit / 2;
        Rhythm { step: MINUTE / (limit - burst).max(1), burst }
    }
}

/// Who waits here before each request keeps the pace.
#[derive(Debug)]
pub(crate) struct Pace {
    rhythm: Rhythm,
    file: Option<Mutex<File>>,
    /// In a process without file.
    own: Mutex<u128>,
}

impl Pace {
    /// A pace of at most `limit` requests in any minute, shared through `path`. Where that cannot be used, the process keeps
    /// the pace for itself.
    pub(crate) fn shared(limit: u32, path: Option<&Path>) -> Self {
        let open =
            |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = path.and_then(|path| match open(path) {
            Ok(file) => Some(Mutex::new(file)),
            Err(error) => {
                tracing::info!(path = %path.display(), %error, "the pace is not shared with other processes");
                None
            }
        });
        Pace { rhythm: Rhythm::within(limit), file, own: Mutex::default() }
    }

    /// A request was refused for too many before it, from whatever process or host: what may be sent at once is used up, and what
    /// comes now goes evenly.
    pub(crate) fn used_up(&self) {
        self.change(use_up);
    }

    /// Waits until it is this request's turn.
    pub(crate) async fn turn(&self) {
        let wait = self.change(step);
        if !wait.is_zero() {
            tracing::debug!(ms = wait.as_millis(), "waiting, to stay below Gandi's limit of requests");
            tokio::time::sleep(wait).await;
        }
    }

    /// Changes the moment, wherever it is kept; a file that cannot be used holds nobody up.
    fn change<T: Default>(&self, change: impl FnOnce(&mut u128, Rhythm, Duration) -> T) -> T {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let change = |due: &mut u128| change(due, self.rhythm, now);
        match &self.file {
            Some(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                in_file(&mut file, change).unwrap_or_default()
            }
            None => change(&mut self.own.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Held for microseconds only, so that waiting for the lock blocks nothing else.
fn in_file<T>(file: &mut File, change: impl FnOnce(&mut u128) -> T) -> std::io::Result<T> {
    file.lock()?;
    let changed = (|| {
        let mut bytes = [0; 16];
        file.rewind()?;
        let mut due = match file.read_exact(&mut bytes) {
            Ok(()) => u128::from_be_bytes(bytes),
            Err(_) => 0,
        };
        let changed = change(&mut due);
        file.rewind()?;
        file.write_all(&due.to_be_bytes())?;
        Ok(changed)
    })();
    file.unlock()?;
    changed
}

/// How long this request has to wait; moves the moment.
fn step(due: &mut u128, rhythm: Rhythm, now: Duration) -> Duration {
    let (now, step) = (now.as_nanos(), rhythm.step.as_nanos());
    let ahead = step * u128::from(rhythm.burst);
    // A moment farther away than a minute is nonsense in the file, or of a clock that was set back.
    if *due > now + ahead + MINUTE.as_nanos() {
        *due = now;
    }
    *due = (*due).max(now) + step;
    let wait = due.saturating_sub(now + ahead);
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

/// What may be sent at once has been.
fn use_up(due: &mut u128, rhythm: Rhythm, now: Duration) {
    *due = (*due).max(now.as_nanos() + rhythm.step.as_nanos() * u128::from(rhythm.burst));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Rhythm {
        Rhythm::within(950)
    }

    proptest::proptest! {
        #[test]
        fn no_minute_has_more_requests_than_the_limit(limit in 1_u32..2000, pauses in proptest::collection::vec(0_u64..200, 1..60)) {
            let rhythm = Rhythm::within(limit);
            let (mut due, mut now, mut times) = (0, Duration::from_secs(1000), Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause * pause);
                for _ in 0..50 {
                    now += step(&mut due, rhythm, now);
                    times.push(now);
                }
            }
            let mut first = 0;
            for (index, time) in times.iter().enumerate() {
                while *time - times[first] >= MINUTE {
                    first += 1;
                }
                proptest::prop_assert!(index - first <= limit as usize, "{} in a minute", index - first + 1);
            }
        }
    }

    #[test]
    fn what_a_hundred_names_need_is_not_held_up() {
        let mut due = 0;
        let waits = (0..400).map(|_| step(&mut due, usual(), Duration::from_secs(1000)));
        assert_eq!(waits.sum::<Duration>(), Duration::ZERO);
    }

    #[test]
    fn nonsense_in_the_file_or_a_clock_set_back_does_not_stop_the_work() {
        let mut due = u128::MAX;
        assert_eq!(step(&mut due, usual(), Duration::from_secs(1000)), Duration::ZERO);
        let mut file = tempfile();
        file.write_all(b"xyz").unwrap();
        assert_eq!(
            in_file(&mut file, |due| step(due, usual(), Duration::from_secs(5))).unwrap(),
            Duration::ZERO
        );
    }

    #[test]
    fn processes_share_it_through_the_file() {
        let path = std::env::temp_dir().join(format!("livecert-pace-{}", std::process::id()));
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (mut one, mut other) = (open(), open());
        let now = Duration::from_secs(1_000_000);
        let next = |file: &mut File| in_file(file, |due| step(due, usual(), now)).unwrap();
        for _ in 0..usual().burst / 2 {
            assert_eq!(next(&mut one), Duration::ZERO);
            assert_eq!(next(&mut other), Duration::ZERO);
        }
        // One more where the burst is an odd number.
        next(&mut other);
        assert!(next(&mut one) > Duration::ZERO);
        std::fs::remove_file(&path).unwrap();
    }

    fn tempfile() -> File {
        let path = std::env::temp_dir().join(format!("livecert-pace-bad-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }
}

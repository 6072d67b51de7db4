//! A pace below the documented limit of 1000 requests a minute from one address, shared by all processes that are given
//! the same file.
//!
//! The generic cell rate algorithm: one moment, at which all requests so far would be due at an even pace, is all that
//! has to be remembered. It lies in the file, in nanoseconds since 1970.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Between two requests at an even pace: 600 a minute.
const STEP: Duration = Duration::from_millis(100);
/// Requests that may be made at once before that: what a certificate for 100 names needs. In no minute there are more than
/// 950.
const BURST: u32 = 350;

/// Who waits here before each request keeps the pace.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    file: Option<Mutex<File>>,
    /// In a process without file.
    own: Mutex<u128>,
}

impl Pace {
    /// A pace that is shared through `path`. Where it cannot be used, the process keeps the pace for itself.
    pub(crate) fn shared(path: Option<&Path>) -> Self {
        let open =
            |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = path.and_then(|path| match open(path) {
            Ok(file) => Some(Mutex::new(file)),
            Err(error) => {
                tracing::info!(path = %path.display(), %error, "the pace is not shared with other processes");
                None
            }
        });
        Pace { file, own: Mutex::default() }
    }

    /// Waits until it is this request's turn.
    pub(crate) async fn turn(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wait = match &self.file {
            Some(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                through_file(&mut file, now).unwrap_or_default()
            }
            None => step(&mut self.own.lock().unwrap_or_else(PoisonError::into_inner), now),
        };
        if !wait.is_zero() {
            tracing::debug!(ms = wait.as_millis(), "waiting, to stay below Gandi's limit of requests");
            tokio::time::sleep(wait).await;
        }
    }
}

/// Held for microseconds only, so that waiting for the lock blocks nothing else.
fn through_file(file: &mut File, now: Duration) -> std::io::Result<Duration> {
    file.lock()?;
    let wait = (|| {
        let mut bytes = [0; 16];
        file.rewind()?;
        let mut due = match file.read_exact(&mut bytes) {
            Ok(()) => u128::from_be_bytes(bytes),
            Err(_) => 0,
        };
        let wait = step(&mut due, now);
        file.rewind()?;
        file.write_all(&due.to_be_bytes())?;
        Ok(wait)
    })();
    file.unlock()?;
    wait
}

/// How long this request has to wait; moves the moment.
fn step(due: &mut u128, now: Duration) -> Duration {
    let (now, step) = (now.as_nanos(), STEP.as_nanos());
    let ahead = step * u128::from(BURST);
    // A moment farther away than a minute is nonsense in the file, or of a clock that was set back.
    if *due > now + ahead + Duration::from_secs(60).as_nanos() {
        *due = now;
    }
    *due = (*due).max(now) + step;
    let wait = due.saturating_sub(now + ahead);
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_than_950_requests() {
        let (mut due, mut now, mut times) = (0, Duration::from_secs(1000), Vec::new());
        for _ in 0..3000 {
            now += step(&mut due, now);
            times.push(now);
        }
        assert!(times[..BURST as usize].iter().all(|time| *time == times[0]));
        for (from, time) in times.iter().enumerate() {
            let minute = times[from..].iter().take_while(|later| **later < *time + Duration::from_secs(60));
            assert!(minute.count() <= 951);
        }
    }

    #[test]
    fn nonsense_in_the_file_or_a_clock_set_back_does_not_stop_the_work() {
        let mut due = u128::MAX;
        assert_eq!(step(&mut due, Duration::from_secs(1000)), Duration::ZERO);
        let mut file = tempfile();
        file.write_all(b"xyz").unwrap();
        assert_eq!(through_file(&mut file, Duration::from_secs(5)).unwrap(), Duration::ZERO);
    }

    #[test]
    fn processes_share_it_through_the_file() {
        let path = std::env::temp_dir().join(format!("livecert-pace-{}", std::process::id()));
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (mut one, mut other) = (open(), open());
        let now = Duration::from_secs(1_000_000);
        for _ in 0..BURST / 2 {
            assert_eq!(through_file(&mut one, now).unwrap(), Duration::ZERO);
            assert_eq!(through_file(&mut other, now).unwrap(), Duration::ZERO);
        }
        assert!(through_file(&mut one, now).unwrap() > Duration::ZERO);
        std::fs::remove_file(&path).unwrap();
    }

    fn tempfile() -> File {
        let path = std::env::temp_dir().join(format!("livecert-pace-bad-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }
}

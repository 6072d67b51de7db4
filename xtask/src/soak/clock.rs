//! Simulated time: all moments that livecert has noted are moved into the past, which is what a later hour looks like.

use std::cell::Cell;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::Failure;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// The file that keeps the pace, in `locks/`.
const PACE: &str = "gandi.pace";

/// The time that has passed beside the real one.
#[derive(Debug)]
pub(super) struct Clock {
    home: PathBuf,
    passed: Cell<SignedDuration>,
}

impl Clock {
    pub(super) fn new(home: &Path) -> Self {
        Clock { home: home.to_owned(), passed: Cell::default() }
    }

    /// How much time has been let pass.
    pub(super) fn passed(&self) -> SignedDuration {
        self.passed.get()
    }

    /// The simulated moment at which something really happened since the last jump.
    pub(super) fn simulated(&self, at: Timestamp) -> Timestamp {
        at.checked_add(self.passed.get()).unwrap_or(at)
    }

    /// An hour passes; nobody may work on the state folder meanwhile.
    pub(super) fn let_an_hour_pass(&self) -> Result<(), Failure> {
        self.let_pass(HOUR)
    }

    /// Some time passes; nobody may work on the state folder meanwhile.
    pub(super) fn let_pass(&self, time: SignedDuration) -> Result<(), Failure> {
        self.passed.set(self.passed.get() + time);
        age(&self.home, time)
    }
}

fn age(folder: &Path, time: SignedDuration) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            age(&path, time)?;
        } else if name == PACE {
            age_pace(&path, time)?;
        } else if name.starts_with(".livecert-") {
            // What a dead process had not finished: it is its age that counts.
            let file = std::fs::File::options().write(true).open(&path)?;
            let changed = file.metadata()?.modified()?;
            file.set_modified(changed - Duration::try_from(time)?)?;
        } else if name != "generation.json" && (name.ends_with(".json") || name.ends_with(".jsonl")) {
            age_lines(&path, time, name.ends_with(".jsonl"))?;
        }
    }
    Ok(())
}

/// A file of JSON, or one of a document in each line. What is damaged stays as it is.
fn age_lines(path: &Path, time: SignedDuration, lines: bool) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path)?;
    let older = |text: &str| match serde_json::from_str::<Value>(text) {
        Ok(mut document) => {
            age_value(&mut document, time);
            document.to_string()
        }
        Err(_) => text.to_owned(),
    };
    let new = match lines {
        true => text.split('\n').map(older).collect::<Vec<_>>().join("\n"),
        false => older(&text),
    };
    // In its place, so that its mode and owner stay.
    if new != text {
        std::fs::write(path, new)?;
    }
    Ok(())
}

fn age_value(value: &mut Value, time: SignedDuration) {
    match value {
        Value::String(text) => {
            if text.contains('T')
                && text.ends_with('Z')
                && let Ok(moment) = text.parse::<Timestamp>()
                && let Ok(earlier) = moment.checked_sub(time)
            {
                *text = earlier.to_string();
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|one| age_value(one, time)),
        Value::Object(all) => all.values_mut().for_each(|one| age_value(one, time)),
        _ => {}
    }
}

/// One moment in nanoseconds, as 16 octets; processes share it under a lock.
fn age_pace(path: &Path, time: SignedDuration) -> Result<(), Failure> {
    let mut file = std::fs::File::options().read(true).write(true).open(path)?;
    file.lock()?;
    let mut bytes = [0; 16];
    if file.read_exact(&mut bytes).is_ok() {
        let due = u128::from_be_bytes(bytes).saturating_sub(u128::try_from(time.as_nanos())?);
        file.rewind()?;
        file.write_all(&due.to_be_bytes())?;
    }
    // The lock goes with the file.
    Ok(())
}

/// Minutes that pass for the pace below Gandi's limit alone, while processes work: they would wait for it most of the time.
#[derive(Debug)]
pub(super) struct Minutes {
    path: PathBuf,
    /// When each of them passed.
    passed: Vec<Timestamp>,
}

impl Minutes {
    pub(super) fn new(home: &Path) -> Self {
        Minutes { path: home.join("locks").join(PACE), passed: Vec::new() }
    }

    /// A minute passes, unless one has within this second.
    pub(super) fn pass(&mut self) -> Result<(), Failure> {
        let now = now();
        if self.passed.last().is_none_or(|last| now.duration_since(*last) >= SECOND) && self.path.exists() {
            // Before anybody can see it, so that no request counts as later than it was.
            age_pace(&self.path, MINUTE)?;
            self.passed.push(now);
        }
        Ok(())
    }

    /// The most of these moments, in order, that lie within one of the simulated minutes.
    pub(super) fn busiest(&self, times: &[Timestamp]) -> usize {
        let simulated = |time: &Timestamp| {
            let minutes = self.passed.partition_point(|passed| passed < time);
            i32::try_from(minutes).map_or(*time, |minutes| *time + MINUTE * minutes)
        };
        let times: Vec<Timestamp> = times.iter().map(simulated).collect();
        let (mut from, mut most) = (0, 0);
        for (at, time) in times.iter().enumerate() {
            while time.duration_since(times[from]) >= MINUTE {
                from += 1;
            }
            most = most.max(at + 1 - from);
        }
        most
    }
}

/// The moment now, for what is no moment of a server.
pub(super) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_passes_for_all_that_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file(
            "failures.json",
            r#"{"last":"2026-01-01T02:00:00Z","all":[{"at":"2026-01-01T02:00:00.5Z"}],"kind":"dns"}"#,
        );
        file("s.jsonl", "{\"version\":1}\n{\"at\":\"2026-01-01T02:00:00Z\"}\n{\"at\":\"2026");
        file("generation.json", r#"{"not_after":"2026-01-01T02:00:00Z"}"#);
        file("gandi.pace", "");
        let clock = Clock::new(folder.path());
        clock.let_an_hour_pass().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let failures: Value = serde_json::from_str(&read("failures.json")).unwrap();
        assert_eq!(failures["last"], "2026-01-01T01:00:00Z");
        assert_eq!(failures["all"][0]["at"], "2026-01-01T01:00:00.5Z");
        assert_eq!(read("s.jsonl"), "{\"version\":1}\n{\"at\":\"2026-01-01T01:00:00Z\"}\n{\"at\":\"2026");
        assert!(read("generation.json").contains("02:00"));
        assert_eq!(clock.passed(), HOUR);
    }

    #[test]
    fn minutes_are_counted_as_they_pass() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let minutes = |passed: &[i64]| Minutes {
            path: PathBuf::new(),
            passed: passed.iter().copied().map(at).collect(),
        };
        let times = [1, 2, 3, 4, 5, 71, 72].map(at);
        assert_eq!(minutes(&[]).busiest(&times), 5);
        assert_eq!(minutes(&[3]).busiest(&times), 3);
    }
}

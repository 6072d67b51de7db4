//! One process at a time works on a certificate. The kernel frees the lock when its holder dies.
//!
//! These are the kernel's locks (`flock`), which NFS passes on to its server; `docs/decisions/0011` says where that holds.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::sync::{AtWork, Syncs};
use super::{CertName, StoreError};

/// Between two looks at a lock that is held. Work on a certificate takes seconds, so this is no wait to speak of.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Who holds a lock, as it wrote itself down; for people, not for decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder(pub String);

/// The lock of one certificate, held until the last of its clones is dropped.
#[derive(Debug, Clone)]
pub struct CertLock {
    name: CertName,
    _lock: Arc<Lock>,
    /// None where the work is over, and the lock is still held.
    _at_work: Option<Arc<AtWork>>,
}

/// A lock file, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The file says who holds it, and is to say so no longer than that.
    named: bool,
}

static COMMAND: OnceLock<String> = OnceLock::new();

/// What this process says of itself in the locks that it holds, such as `livecert renew`: words without arguments, because
/// every user of the machine may see them. The first call counts; without one it is `livecert`.
pub fn introduce(command: &str) {
    let _ = COMMAND.set(command.to_owned());
}

impl CertLock {
    pub(super) fn proves(&self, name: &CertName) {
        debug_assert_eq!(&self.name, name, "the lock of one certificate is no proof for another");
    }

    pub(super) async fn take(
        folder: &Path,
        name: &CertName,
        patience: Duration,
        waiting: impl FnOnce(&LockHolder),
        syncs: &Syncs,
    ) -> Result<Self, StoreError> {
        let lock = Lock::take(folder, name.as_str(), patience, waiting).await?;
        let _at_work = Some(Arc::new(syncs.at_work()));
        Ok(CertLock { name: name.clone(), _lock: Arc::new(lock), _at_work })
    }

    /// The lock of a certificate that waits for others now: nobody waits for its syncs.
    pub(crate) fn at_rest(self) -> Self {
        CertLock { _at_work: None, ..self }
    }
}

impl Lock {
    /// Takes the lock `name` in `folder`, waiting for another process up to `patience`; `waiting` is told once who
    /// holds it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when the other one did not finish in time; the file cannot be made.
    pub async fn take(
        folder: &Path,
        name: &str,
        patience: Duration,
        waiting: impl FnOnce(&LockHolder),
    ) -> Result<Self, StoreError> {
        let path = folder.join(format!("{name}.lock"));
        let mut file = open(&path)?;
        let deadline = tokio::time::Instant::now() + patience;
        let mut waiting = Some(waiting);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::Error(source)) => return Err(not_lockable(&path, source)),
                Err(std::fs::TryLockError::WouldBlock) => {
                    let holder = LockHolder(read_holder(&mut file));
                    if let Some(tell) = waiting.take() {
                        tell(&holder);
                    }
                    if tokio::time::Instant::now() >= deadline {
                        return Err(StoreError::Locked { name: name.to_owned(), holder: holder.0 });
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
        if let Some(last) = read_line(&mut file) {
            tell_of_last(name, &last);
        }
        // Only for the message that another process shows: that it cannot be written must not stop the work.
        let _ = write_holder(&mut file);
        Ok(Lock { file, named: true })
    }

    /// Has the lock `name` together with all others who share it. Whoever holds it alone does so for a moment, and is waited
    /// for.
    pub(super) fn share(folder: &Path, name: &str) -> Result<Self, StoreError> {
        Self::blocking(folder, name, File::lock_shared)
    }

    /// Has the lock `name` alone, and waits for all who have it: only for locks that everybody holds for a moment.
    pub(super) fn hold(folder: &Path, name: &str) -> Result<Self, StoreError> {
        Self::blocking(folder, name, File::lock)
    }

    fn blocking(
        folder: &Path,
        name: &str,
        lock: impl FnOnce(&File) -> std::io::Result<()>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(format!("{name}.lock"));
        let file = open(&path)?;
        lock(&file).map_err(|source| not_lockable(&path, source))?;
        Ok(Lock { file, named: false })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that a line which is still there tells of a process that was killed.
        if self.named {
            let _ = self.file.set_len(0);
        }
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    // The file is never removed: a process that waits for it would then hold the lock of a file without a name.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(path).map_err(StoreError::write(path))
}

fn not_lockable(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::NotLockable { path: path.to_owned(), source }
}

/// The last holder was killed, and its kernel has freed the lock. If that is another host's kernel, it may as well be that
/// locks do not reach this one.
fn tell_of_last(name: &str, last: &str) {
    let host = last.split_once(" on ").and_then(|(_, rest)| rest.split_once(" (")).map(|(host, _)| host);
    if host.is_some_and(|host| host != this_host()) {
        tracing::warn!(
            lock = name,
            holder = last,
            "another host did not give this lock back; if that process is still running, the file system of the state \
             folder does not share locks (docs/store.md)"
        );
    } else {
        tracing::info!(lock = name, holder = last, "the last holder of this lock was killed");
    }
}

fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn read_holder(file: &mut File) -> String {
    read_line(file).unwrap_or_else(|| "another livecert process".to_owned())
}

fn read_line(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(300).read_to_string(&mut text)).ok()?;
    Some(text.trim().to_owned()).filter(|line| !line.is_empty())
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    let command = COMMAND.get().map_or("livecert", String::as_str);
    let (host, since) = (this_host(), jiff::Timestamp::now());
    let line = format!("process {} on {host} ({command}, since {since:.0})\n", std::process::id());
    file.rewind()?;
    // Most often there is nothing, and to say so would be a change to be written.
    if file.metadata()?.len() > 0 {
        file.set_len(0)?;
    }
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_at_rest_is_held_and_counts_for_no_work() {
        let (folder, syncs) = (tempfile::tempdir().unwrap(), Syncs::default());
        let name: CertName = "example.com".parse().unwrap();
        let take = || CertLock::take(folder.path(), &name, Duration::ZERO, |_| (), &syncs);
        let lock = take().await.unwrap();
        let other = lock.clone();
        assert_eq!(syncs.count_at_work(), 1);
        drop(other);
        assert_eq!(syncs.count_at_work(), 1);
        let lock = lock.at_rest();
        assert_eq!(syncs.count_at_work(), 0);
        assert!(take().await.is_err());
        drop(lock);
        assert!(take().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_one_waits_is_told_who_works_and_gives_up_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let name: CertName = "example.com".parse().unwrap();
        let syncs = Syncs::default();
        let take =
            |patience| CertLock::take(folder.path(), &name, Duration::from_secs(patience), |_| (), &syncs);
        let first = take(0).await.unwrap();
        let mut told = None;
        let tell = |holder: &LockHolder| told = Some(holder.clone());
        let second = CertLock::take(folder.path(), &name, Duration::from_secs(5), tell, &syncs).await;
        assert!(matches!(second, Err(StoreError::Locked { .. })));
        let told = told.unwrap().0;
        let (process, host) = (format!("process {} on ", std::process::id()), this_host());
        assert!(
            told.starts_with(&process) && told.contains(&format!(" on {host} (livecert, since 2")),
            "{told}"
        );
        drop(first);
        assert!(take(0).await.is_ok());
    }

    #[tokio::test]
    async fn what_was_given_back_is_empty_and_a_line_that_a_killed_process_left_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        drop(Lock::take(folder.path(), "a", Duration::ZERO, |_| ()).await.unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        let long = "process 1 on elsewhere (livecert renew, since 2026-01-01T00:00:00Z)".repeat(3);
        std::fs::write(&path, long).unwrap();
        let _lock = Lock::take(folder.path(), "a", Duration::ZERO, |_| ()).await.unwrap();
        let line = std::fs::read_to_string(&path).unwrap();
        assert!(line.lines().count() == 1 && !line.contains("elsewhere"), "{line}");
    }

    #[test]
    fn brief_work_waits_for_brief_work() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        std::fs::write(&count, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _lock = Lock::hold(folder.path(), "a").unwrap();
                        let number: u32 = std::fs::read_to_string(&count).unwrap().parse().unwrap();
                        std::fs::write(&count, (number + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "400");
    }
}

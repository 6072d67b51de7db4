//! One process at a time works on a certificate. The kernel frees the lock when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::{CertName, StoreError};

/// Between two looks at a lock that is held. Work on a certificate takes seconds, so this is no wait to speak of.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Who holds a lock, as it wrote itself down; for people, not for decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder(pub String);

/// The lock of one certificate, held until dropped.
#[derive(Debug)]
pub struct CertLock {
    name: CertName,
    _lock: Lock,
}

/// A lock file, held until dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl CertLock {
    pub(super) fn proves(&self, name: &CertName) {
        debug_assert_eq!(&self.name, name, "the lock of one certificate is no proof for another");
    }

    pub(super) async fn take(
        folder: &Path,
        name: &CertName,
        patience: Duration,
        waiting: impl FnOnce(&LockHolder),
    ) -> Result<Self, StoreError> {
        let lock = Lock::take(folder, name.as_str(), patience, waiting).await?;
        Ok(CertLock { name: name.clone(), _lock: lock })
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
        // The file is never removed: a process that waits for it would then hold the lock of a file without a name.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::write(&path))?;
        let deadline = tokio::time::Instant::now() + patience;
        let mut waiting = Some(waiting);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::Error(source)) => return Err(StoreError::write(&path)(source)),
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
        // Only for the message that another process shows: that it cannot be written must not stop the work.
        let _ = write_holder(&mut file);
        Ok(Lock(file))
    }
}

impl Lock {
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
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(StoreError::write(&path))?;
        lock(&file).map_err(StoreError::write(&path))?;
        Ok(Lock(file))
    }
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(300).read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another livecert process".to_owned(),
    }
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "livecert process {} (since {:.0})", std::process::id(), jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_second_one_waits_is_told_who_works_and_gives_up_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let name: CertName = "example.com".parse().unwrap();
        let take = |patience| CertLock::take(folder.path(), &name, Duration::from_secs(patience), |_| ());
        let first = take(0).await.unwrap();
        let mut told = None;
        let second = CertLock::take(folder.path(), &name, Duration::from_secs(5), |holder| {
            told = Some(holder.clone())
        })
        .await;
        assert!(matches!(second, Err(StoreError::Locked { .. })));
        assert!(told.unwrap().0.contains(&std::process::id().to_string()));
        drop(first);
        assert!(take(0).await.is_ok());
    }
}

//! A file system that is synced whole: one wait for the disk, and one commit of its journal, for the files of many certificates.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A sync that took longer had much of others to write,
const SLOW: Duration = Duration::from_secs(1);
/// and for this time there is none: with so much to write, syncing our files one by one is quicker.
const REST: Duration = Duration::from_secs(60);

/// One of which it is known that all is on the disk, files and folders, when it was synced.
#[derive(Debug)]
pub(super) struct FileSystem {
    /// Open as long as there is anything to be synced: errors since then are told.
    folder: File,
    device: u64,
    rests_until: Mutex<Option<Instant>>,
}

impl FileSystem {
    /// The one that a folder is in; `None` if it is not known for being synced whole.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        Self::believed(folder).filter(|file_system| is_synced_whole(&file_system.folder))
    }

    /// The same, whatever file system it is.
    pub(super) fn believed(folder: &Path) -> Option<Self> {
        let folder = File::open(folder).ok()?;
        let device = folder.metadata().ok()?.dev();
        Some(FileSystem { folder, device, rests_until: Mutex::default() })
    }

    /// Brings to the disk whatever was written before. Tells whether that was done; if not, each file has to be synced by itself, and
    /// gives its own error.
    pub(super) fn sync(&self) -> bool {
        let rests_until = || self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        if rests_until().is_some_and(|end| begun < end) {
            return false;
        }
        let synced = sync_whole(&self.folder);
        if begun.elapsed() > SLOW {
            *rests_until() = Some(Instant::now() + REST);
        }
        synced.is_ok()
    }

    /// Whether a file or folder is in it.
    pub(super) fn has(&self, file: &Metadata) -> bool {
        file.dev() == self.device
    }
}

/// Linux has `syncfs`, which tells since version 5.8 when something could not be written (`syncfs(2)`).
#[cfg(target_os = "linux")]
fn is_synced_whole(folder: &File) -> bool {
    /// ext4, XFS, Btrfs, F2FS, and tmpfs, which has no disk (`statfs(2)`). Others may pass the files on to somebody who is not told
    /// (FUSE), or take seconds for it (ZFS).
    const KNOWN: [u64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];
    let system = rustix::system::uname();
    let tells_errors = version(&system.release().to_string_lossy()) >= Some((5, 8));
    let kind = rustix::fs::fstatfs(folder).ok().and_then(|facts| u64::try_from(facts.f_type).ok());
    tells_errors && kind.is_some_and(|kind| KNOWN.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_synced_whole(_: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn sync_whole(folder: &File) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(_: &File) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The first two numbers of a version such as `6.1.0-18-amd64`.
#[cfg(target_os = "linux")]
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_kernel_are_compared_by_their_numbers() {
        for (release, tells) in [
            ("5.7.19", false),
            ("4.18.0-553.el8_10.x86_64", false),
            ("5.8.0", true),
            ("5.10.0-28-amd64", true),
            ("6.18-rc1", true),
            ("10.0+", true),
            ("generic", false),
        ] {
            assert_eq!(version(release) >= Some((5, 8)), tells, "{release}");
        }
    }

    #[test]
    fn one_that_has_much_of_others_to_write_is_left_alone_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let file_system = FileSystem::believed(folder.path()).unwrap();
        assert!(file_system.sync());
        *file_system.rests_until.lock().unwrap() = Some(Instant::now() + REST);
        assert!(!file_system.sync());
        *file_system.rests_until.lock().unwrap() = Some(Instant::now());
        assert!(file_system.sync());
    }

    #[test]
    fn only_what_is_known_to_be_synced_whole_is_believed() {
        assert!(FileSystem::of("/proc".as_ref()).is_none());
        assert!(FileSystem::of("/no/such/folder".as_ref()).is_none());
        // In memory everywhere.
        let shared = FileSystem::of("/dev/shm".as_ref()).unwrap();
        assert!(shared.has(&std::fs::metadata("/dev/shm").unwrap()));
        assert!(!shared.has(&std::fs::metadata("/proc").unwrap()));
    }
}

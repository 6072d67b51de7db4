//! A file system that is synced whole: one wait for the disk, and one commit of its journal, for the files of many certificates.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A sync that took longer had much of others to write. It is left alone then: with so much to write, syncing our files one by one is
/// quicker.
const SLOW: Duration = Duration::from_secs(1);
/// For so long at first, and for twice as long each time.
const FIRST_REST: Duration = Duration::from_secs(60);

/// One of which it is known that all is on the disk, files and folders, when it was synced.
#[derive(Debug)]
pub(super) struct FileSystem {
    /// A file in it without a name, open before anything is written that is to be synced: an error since then is told, once.
    file: File,
    device: u64,
    state: Mutex<State>,
}

/// Whether it may be synced whole.
#[derive(Debug)]
struct State {
    /// Something could not be written. Nobody knows what, so from now on each file is asked.
    failed: bool,
    rests_until: Option<Instant>,
    next_rest: Duration,
}

impl FileSystem {
    /// The one that a folder is in; `None` if it is not known for being synced whole, or cannot be written.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        // Asked first: elsewhere a file without a name may have one for a moment (NFS), and a process that is killed would leave it.
        if is_synced_whole(&File::open(folder).ok()?) { Self::believed(folder) } else { None }
    }

    /// The same, whatever file system it is.
    pub(super) fn believed(folder: &Path) -> Option<Self> {
        Self::with(tempfile::tempfile_in(folder).ok()?)
    }

    fn with(file: File) -> Option<Self> {
        let device = file.metadata().ok()?.dev();
        let state = State { failed: false, rests_until: None, next_rest: FIRST_REST };
        Some(FileSystem { file, device, state: Mutex::new(state) })
    }

    /// Brings to the disk whatever was written before. Tells whether that was done; if not, each file has to be synced by itself, and
    /// gives its own error.
    pub(super) fn sync(&self) -> bool {
        // One at a time: an error is told to one of them, and the others have to hear of it before they believe that all is well.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        if state.failed || state.rests_until.is_some_and(|end| begun < end) {
            return false;
        }
        // The file tells of a file system that was shut down, or cannot be written any more: there is nothing to do then for the whole.
        let synced = sync_whole(&self.file).and_then(|()| self.file.sync_all());
        state.failed = synced.is_err();
        if begun.elapsed() > SLOW {
            state.rests_until = Some(Instant::now() + state.next_rest);
            state.next_rest *= 2;
        }
        !state.failed
    }

    /// Whether a file or folder is in it.
    pub(super) fn has(&self, file: &Metadata) -> bool {
        file.dev() == self.device
    }
}

/// Linux has `syncfs`, for file systems that keep to it.
#[cfg(target_os = "linux")]
fn is_synced_whole(folder: &File) -> bool {
    /// ext4, XFS, and tmpfs, which has no disk (`statfs(2)`). Others may pass the files on to somebody who is not told (FUSE), take
    /// seconds for it (ZFS), or were not tried.
    const KNOWN: [u64; 3] = [0xEF53, 0x5846_5342, 0x0102_1994];
    let kind = rustix::fs::fstatfs(folder).ok().and_then(|facts| u64::try_from(facts.f_type).ok());
    tells_errors(&rustix::system::uname().release().to_string_lossy())
        && kind.is_some_and(|kind| KNOWN.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_synced_whole(_: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn sync_whole(file: &File) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(_: &File) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Whether `syncfs` tells of all that could not be written, in the kernel with a version such as `6.1.0-18-amd64`: of data since 5.8
/// (`syncfs(2)`), of anything else since 5.17.
#[cfg(target_os = "linux")]
fn tells_errors(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    next().zip(next()) >= Some((5, 17))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_kernel_are_compared_by_their_numbers() {
        for (release, tells) in [
            ("4.18.0-553.el8_10.x86_64", false),
            ("5.10.0-28-amd64", false),
            ("5.17.0", true),
            ("6.1.0-18-amd64", true),
            ("6.18-rc1", true),
            ("10.0+", true),
            ("generic", false),
        ] {
            assert_eq!(tells_errors(release), tells, "{release}");
        }
    }

    #[test]
    fn one_that_has_much_of_others_to_write_is_left_alone_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let file_system = FileSystem::believed(folder.path()).unwrap();
        assert!(file_system.sync());
        file_system.state.lock().unwrap().rests_until = Some(Instant::now() + FIRST_REST);
        assert!(!file_system.sync());
        file_system.state.lock().unwrap().rests_until = Some(Instant::now());
        assert!(file_system.sync());
    }

    #[test]
    fn after_an_error_it_is_not_believed_any_more() {
        // It cannot be synced.
        let mut file_system = FileSystem::with(File::open("/dev/null").unwrap()).unwrap();
        assert!(!file_system.sync());
        // Whose file it was about may be synced later, and has to hear of it.
        file_system.file = tempfile::tempfile().unwrap();
        assert!(!file_system.sync());
    }

    #[test]
    fn only_what_is_known_to_be_synced_whole_is_believed() {
        assert!(!is_synced_whole(&File::open("/proc/version").unwrap()));
        assert!(FileSystem::of("/proc".as_ref()).is_none());
        assert!(FileSystem::of("/no/such/folder".as_ref()).is_none());
        // In memory everywhere.
        let shared = FileSystem::believed("/dev/shm".as_ref()).unwrap();
        assert!(shared.has(&std::fs::metadata("/dev/shm").unwrap()));
        assert!(!shared.has(&std::fs::metadata("/proc").unwrap()));
        let tells_errors = tells_errors(&rustix::system::uname().release().to_string_lossy());
        assert_eq!(FileSystem::of("/dev/shm".as_ref()).is_some(), tells_errors);
    }
}

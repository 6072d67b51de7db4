//! Syncs of certificates that are worked on side by side, begun together: a file system brings all of them to the disk in one go, and
//! nobody's processor is busy with a commit of its journal for each of them.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::file::sync_folder;
use super::file_system::FileSystem;

/// Nobody waits longer than this for others, however slow the disk is.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// For so many the file system is synced whole, which takes as many again to be worked on. Fewer have too little to write to wait for
/// what all others on the machine have written.
const WORTH_ALL: usize = 4;

/// Where those who are about to sync wait for each other: half of the certificates that are worked on, or an eighth of the time
/// that it would take to sync for one after the other. Where up to three are worked on, nobody waits.
#[derive(Debug, Clone)]
pub(super) struct Syncs(Arc<Meeting>);

#[derive(Debug)]
struct Meeting {
    gathering: Mutex<Gathering>,
    begins: Condvar,
    /// Folders in which many make names, with the number below which all rounds are served.
    served: Mutex<HashMap<PathBuf, Arc<Mutex<u64>>>>,
    longest_wait: Duration,
    /// The folder that all of them write in; `None` where it is nobody's business.
    home: Option<PathBuf>,
    /// The file system that it is in, if that can be synced whole. Known before anything is written.
    file_system: OnceLock<Option<FileSystem>>,
}

#[derive(Debug, Default)]
struct Gathering {
    /// Certificates that are worked on.
    at_work: usize,
    /// The round that is gathered now.
    round: u64,
    /// Whether the file system is synced whole for it, as soon as that is known.
    whole: Arc<OnceLock<bool>>,
    /// How many wait for it to begin.
    waiting: usize,
    /// When the first of them came.
    since: Option<Instant>,
    /// What the syncs of one certificate took last.
    took: Duration,
}

/// Somebody works on a certificate as long as there is this value.
#[derive(Debug)]
pub(super) struct AtWork(Syncs);

/// A round of syncs has begun: whatever those who are in it wrote, they wrote before.
#[derive(Debug)]
pub(super) struct Round<'a> {
    syncs: &'a Syncs,
    number: u64,
    begun: Instant,
    /// The file system in which all is on the disk.
    whole: Option<&'a FileSystem>,
}

/// Of somebody who is alone.
impl Default for Syncs {
    fn default() -> Self {
        Syncs::new(None, LONGEST_WAIT)
    }
}

impl Syncs {
    /// Of those that write in this folder.
    pub(super) fn within(home: &Path) -> Self {
        Syncs::new(Some(home.to_owned()), LONGEST_WAIT)
    }

    fn new(home: Option<PathBuf>, longest_wait: Duration) -> Self {
        let (gathering, begins, served) = (Mutex::default(), Condvar::new(), Mutex::default());
        let file_system = OnceLock::new();
        Syncs(Arc::new(Meeting { gathering, begins, served, longest_wait, home, file_system }))
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.0.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn at_work(&self) -> AtWork {
        self.file_system();
        self.gathering().at_work += 1;
        AtWork(self.clone())
    }

    fn file_system(&self) -> Option<&FileSystem> {
        let find = || self.0.home.as_deref().and_then(FileSystem::of);
        self.0.file_system.get_or_init(find).as_ref()
    }

    #[cfg(test)]
    pub(super) fn count_at_work(&self) -> usize {
        self.gathering().at_work
    }

    /// Waits, on a thread that may wait for the disk too, until a round begins. All that is to be synced in it is written already.
    pub(super) fn begin(&self) -> Round<'_> {
        let mut now = self.gathering();
        let (number, whole) = (now.round, Arc::clone(&now.whole));
        now.waiting += 1;
        let since = *now.since.get_or_insert_with(Instant::now);
        while now.round == number {
            let left = now.patience().min(self.0.longest_wait).saturating_sub(since.elapsed());
            if now.are_enough() || left.is_zero() {
                if now.waiting < WORTH_ALL {
                    // Nobody else is here to say otherwise: they ask after it has begun.
                    let _ = whole.set(false);
                }
                (now.round, now.waiting, now.since) = (number + 1, 0, None);
                now.whole = Arc::default();
                self.0.begins.notify_all();
                break;
            }
            let waited = self.0.begins.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner);
            now = waited.0;
        }
        drop(now);
        let begun = Instant::now();
        // One of them does it, and the others wait for that.
        let is_synced = *whole.get_or_init(|| self.file_system().is_some_and(FileSystem::sync));
        let whole = self.file_system().filter(|_| is_synced);
        Round { syncs: self, number, begun, whole }
    }
}

impl Gathering {
    fn are_enough(&self) -> bool {
        self.waiting >= self.at_work / 2
    }

    fn patience(&self) -> Duration {
        self.took.saturating_mul(u32::try_from(self.at_work).unwrap_or(u32::MAX)) / 8
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut now = self.0.gathering();
        now.at_work -= 1;
        // Those who are left may be enough.
        if now.waiting > 0 && now.are_enough() {
            self.0.0.begins.notify_all();
        }
    }
}

impl Round<'_> {
    /// Makes a file survive a power loss.
    pub(super) fn file(&self, file: &File) -> std::io::Result<()> {
        match self.whole {
            Some(whole) if whole.has(&file.metadata()?) => Ok(()),
            _ => file.sync_all(),
        }
    }

    /// Makes the names in a folder survive one.
    pub(super) fn folder(&self, folder: &Path) -> std::io::Result<()> {
        if self.has(folder)? { Ok(()) } else { sync_folder(folder) }
    }

    fn has(&self, folder: &Path) -> std::io::Result<bool> {
        match self.whole {
            Some(whole) => Ok(whole.has(&std::fs::metadata(folder)?)),
            None => Ok(false),
        }
    }

    /// Syncs a folder in which others may have made names, too: one sync serves all whose round has begun. Tells whether it was this
    /// one.
    pub(super) fn folder_of_all(&self, folder: &Path) -> std::io::Result<bool> {
        if self.has(folder)? {
            return Ok(false);
        }
        let mut all = self.syncs.0.served.lock().unwrap_or_else(PoisonError::into_inner);
        let served = Arc::clone(all.entry(folder.to_owned()).or_default());
        drop(all);
        let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
        if *served > self.number {
            return Ok(false);
        }
        // Later rounds that have begun by now have written what they sync as well.
        let begun = self.syncs.gathering().round;
        sync_folder(folder)?;
        *served = begun;
        Ok(true)
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.syncs.gathering().took = self.begun.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Where whoever waits for others in vain does so for a minute.
    fn patient(at_work: usize) -> (Syncs, Vec<AtWork>) {
        let syncs = Syncs::new(None, MINUTE);
        syncs.gathering().took = MINUTE;
        let at_work = (0..at_work).map(|_| syncs.at_work()).collect();
        (syncs, at_work)
    }

    /// The numbers of the rounds of so many who come at once.
    fn numbers(syncs: &Syncs, count: usize) -> Vec<u64> {
        std::thread::scope(|scope| {
            let begun: Vec<_> = (0..count).map(|_| scope.spawn(|| syncs.begin())).collect();
            // None ends before all have begun: the others go by how long it took.
            let rounds: Vec<_> = begun.into_iter().map(|begun| begun.join().unwrap()).collect();
            let mut numbers: Vec<_> = rounds.iter().map(|round| round.number).collect();
            numbers.sort();
            numbers
        })
    }

    #[test]
    fn where_up_to_three_are_worked_on_nobody_waits() {
        for at_work in [0, 1, 2, 3] {
            let (syncs, _at_work) = patient(at_work);
            assert_eq!(syncs.begin().number, 0);
            syncs.gathering().took = MINUTE;
            assert_eq!(syncs.begin().number, 1);
        }
    }

    #[test]
    fn half_of_those_at_work_begin_together() {
        let (syncs, at_work) = patient(8);
        assert_eq!(numbers(&syncs, 4), [0; 4]);
        syncs.gathering().took = MINUTE;
        assert_eq!(numbers(&syncs, 8), [1, 1, 1, 1, 2, 2, 2, 2]);
        syncs.gathering().took = MINUTE;
        // Three would wait for a fourth one, until nobody else is at work.
        let late = std::thread::scope(|scope| {
            let waits = [0; 3].map(|_| scope.spawn(|| syncs.begin()));
            while syncs.gathering().waiting < 3 {
                std::thread::yield_now();
            }
            drop(at_work);
            waits.map(|waits| waits.join().unwrap().number)
        });
        assert_eq!(late, [3; 3]);
        assert_eq!(syncs.gathering().at_work, 0);
    }

    #[test]
    fn nobody_waits_for_long_for_those_who_do_not_come() {
        let (syncs, _at_work) = patient(8);
        // Where a sync takes no time, none is saved by waiting.
        syncs.gathering().took = Duration::ZERO;
        assert_eq!(syncs.begin().number, 0);
        let syncs = Syncs::new(None, Duration::from_millis(1));
        let _at_work: Vec<_> = (0..8).map(|_| syncs.at_work()).collect();
        syncs.gathering().took = MINUTE;
        assert_eq!(syncs.begin().number, 0);
    }

    #[test]
    fn for_several_the_file_system_is_synced_whole() {
        let folder = tempfile::tempdir().unwrap();
        // Neither can be synced by itself, and one is in another file system.
        let (path, device) = (folder.path().join("pipe"), File::open("/dev/null").unwrap());
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let pipe = File::options().read(true).write(true).open(&path).unwrap();
        let synced = |file_system: Option<FileSystem>, count: usize| {
            let syncs = Syncs::new(None, MINUTE);
            syncs.0.file_system.set(file_system).unwrap();
            syncs.gathering().took = MINUTE;
            let _at_work: Vec<_> = (0..2 * count).map(|_| syncs.at_work()).collect();
            std::thread::scope(|scope| {
                let look = || {
                    let round = syncs.begin();
                    round.folder(folder.path()).unwrap();
                    assert!(round.file(&device).is_err());
                    round.file(&pipe).is_ok()
                };
                let looks: Vec<_> = (0..count).map(|_| scope.spawn(look)).collect();
                looks.into_iter().map(|look| look.join().unwrap()).collect::<Vec<_>>()
            })
        };
        let whole = || FileSystem::believed(folder.path());
        assert_eq!(synced(whole(), 4), [true; 4]);
        assert_eq!(synced(whole(), 3), [false; 3]);
        // Where that cannot be done, each file is synced by itself.
        assert_eq!(synced(None, 4), [false; 4]);
    }

    #[test]
    fn a_folder_is_synced_once_for_all_who_were_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let syncs = Syncs::default();
        let (early, other) = (syncs.begin(), syncs.begin());
        assert!(other.folder_of_all(folder.path()).unwrap());
        assert!(!early.folder_of_all(folder.path()).unwrap());
        assert!(!other.folder_of_all(folder.path()).unwrap());
        // Who comes later has written more.
        assert!(syncs.begin().folder_of_all(folder.path()).unwrap());
        // What could not be synced is tried by the next one, too.
        let gone = folder.path().join("gone");
        let (one, other) = (syncs.begin(), syncs.begin());
        assert!(one.folder_of_all(&gone).is_err());
        assert!(other.folder_of_all(&gone).is_err());
    }
}

//! Syncs of certificates that are worked on side by side, begun together: what a file system is asked for at one time it brings to
//! the disk in one go, and nobody's processor is busy with a commit of its journal for each of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file::sync_folder;

/// Nobody waits longer than this for others, however slow the disk is.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

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
}

#[derive(Debug, Default)]
struct Gathering {
    /// Certificates that are worked on.
    at_work: usize,
    /// The round that is gathered now.
    round: u64,
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
}

impl Default for Syncs {
    fn default() -> Self {
        Syncs::waiting_at_most(LONGEST_WAIT)
    }
}

impl Syncs {
    fn waiting_at_most(longest_wait: Duration) -> Self {
        let (gathering, begins, served) = (Mutex::default(), Condvar::new(), Mutex::default());
        Syncs(Arc::new(Meeting { gathering, begins, served, longest_wait }))
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.0.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn at_work(&self) -> AtWork {
        self.gathering().at_work += 1;
        AtWork(self.clone())
    }

    #[cfg(test)]
    pub(super) fn count_at_work(&self) -> usize {
        self.gathering().at_work
    }

    /// Waits, on a thread that may wait for the disk too, until a round begins. All that is to be synced in it is written already.
    pub(super) fn begin(&self) -> Round<'_> {
        let mut now = self.gathering();
        let number = now.round;
        now.waiting += 1;
        let since = *now.since.get_or_insert_with(Instant::now);
        while now.round == number {
            let left = now.patience().min(self.0.longest_wait).saturating_sub(since.elapsed());
            if now.are_enough() || left.is_zero() {
                (now.round, now.waiting, now.since) = (number + 1, 0, None);
                self.0.begins.notify_all();
                break;
            }
            let waited = self.0.begins.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner);
            now = waited.0;
        }
        drop(now);
        Round { syncs: self, number, begun: Instant::now() }
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
    /// Syncs a folder in which others may have made names, too: one sync serves all whose round has begun. Tells whether it was this
    /// one.
    pub(super) fn folder_of_all(&self, folder: &Path) -> std::io::Result<bool> {
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
        let syncs = Syncs::waiting_at_most(MINUTE);
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
        let syncs = Syncs::waiting_at_most(Duration::from_millis(1));
        let _at_work: Vec<_> = (0..8).map(|_| syncs.at_work()).collect();
        syncs.gathering().took = MINUTE;
        assert_eq!(syncs.begin().number, 0);
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

//! The generations of a certificate beside the current one: which there are, one of them made current again, and the
//! old ones removed.

use std::fs::File;
use std::path::Path;

use super::access::close_others;
use super::file::{entries, remove, remove_temporaries, replace_as, sync_folder};
use super::generation::{FILES, Generation, WORDS, generations, point};
use super::{CertLock, CertName, Output, Store, StoreError};

/// How many generations stay where nothing else is said: the current one and the four before it.
pub const KEEP_GENERATIONS: u16 = 5;

/// A generation that is being removed has this behind its number, so that no reader takes it for one.
const OLD: &str = ".old";

/// A generation that is there.
#[derive(Debug)]
pub struct FoundGeneration {
    /// Its number.
    pub number: u32,
    /// The generation, or why it cannot be read.
    pub read: Result<Generation, StoreError>,
}

impl Store {
    /// The generations that are there, the oldest first; one that cannot be read is an error in its place.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn generations(&self, name: &CertName) -> Result<Vec<FoundGeneration>, StoreError> {
        self.generations_beside(name, None)
    }

    /// The same where one of them, such as the current one, was read before.
    ///
    /// # Errors
    /// As [`generations`](Self::generations).
    pub fn generations_beside(
        &self,
        name: &CertName,
        known: Option<&Generation>,
    ) -> Result<Vec<FoundGeneration>, StoreError> {
        let cert = self.cert_folder(name);
        let found = |number| {
            let known = known.filter(|known| known.number == number).cloned();
            let read = known.map_or_else(|| Generation::read(&cert, number), Ok);
            FoundGeneration { number, read }
        };
        Ok(numbers(&cert)?.into_iter().map(found).collect())
    }

    /// The number of the current generation, whether or not it can be read; `None` before the first one.
    ///
    /// # Errors
    /// `current` is there and points to no generation.
    pub fn current_number(&self, name: &CertName) -> Result<Option<u32>, StoreError> {
        Generation::current_number(&self.cert_folder(name))
    }

    /// Makes a generation the current one, by one rename. Call only with the certificate's lock held, and with a
    /// generation whose files have been looked at.
    ///
    /// # Errors
    /// It cannot be read, or `current` cannot be replaced; what was current still is.
    pub fn make_current(
        &self,
        name: &CertName,
        lock: &CertLock,
        number: u32,
    ) -> Result<Generation, StoreError> {
        lock.proves(name);
        let cert = self.cert_folder(name);
        let generation = Generation::read(&cert, number)?;
        point(&cert, number)?;
        close_others(&cert, number);
        Ok(generation)
    }

    /// Gives a generation the files beside its PEM files, and the rights, that `output` has, before it is made current again:
    /// both may have changed since it was. Its key, certificate and chains stay as they are, so it is whole at each step. Call
    /// only with the certificate's lock held.
    ///
    /// # Errors
    /// A file cannot be written or given away.
    pub fn refit(
        &self,
        name: &CertName,
        lock: &CertLock,
        number: u32,
        output: &Output,
    ) -> Result<(), StoreError> {
        lock.proves(name);
        let (cert, access) = (self.cert_folder(name), &output.access);
        let folder = generations(&cert).join(number.to_string());
        remove_temporaries(&folder)?;
        for (path, name) in entries(&folder)? {
            let is_form = WORDS[FILES.len()..].iter().any(|(_, file)| *file == name);
            if is_form && !output.files.iter().any(|file| file.name == name) {
                remove(&path)?;
            } else if !is_form && name.ends_with(".pem") {
                let give = |file: File| access.give(&file, name == FILES[0]).and_then(|()| file.sync_all());
                File::open(&path).and_then(give).map_err(StoreError::write(&path))?;
            }
        }
        for file in &output.files {
            replace_as(&folder.join(file.name), &file.bytes, |made| access.give(made, file.secret))?;
        }
        access.open_all(&cert, &folder)
    }

    /// Removes old generations, so that `keep` of them stay: the current one (always) and the newest before it. What is
    /// newer than the current one was rolled back, and stays. Gives the numbers that are gone. Call only with the
    /// certificate's lock held.
    ///
    /// # Errors
    /// One cannot be removed; it is a generation still, or is removed at the next call.
    pub fn prune(&self, name: &CertName, lock: &CertLock, keep: u16) -> Result<Vec<u32>, StoreError> {
        lock.proves(name);
        let cert = self.cert_folder(name);
        finish_pruning(&cert)?;
        let Some(current) = Generation::current_number(&cert)? else { return Ok(Vec::new()) };
        // A run that was killed just after the swap has not come to it.
        close_others(&cert, current);
        let mut older = numbers(&cert)?;
        older.retain(|number| *number < current);
        older.truncate(older.len().saturating_sub(usize::from(keep.max(1) - 1)));
        for number in &older {
            let folder = generations(&cert).join(number.to_string());
            // Whoever looks finds it whole or not at all, also when this process is killed half-way.
            let old = folder.with_file_name(format!("{number}{OLD}"));
            std::fs::rename(&folder, &old).map_err(StoreError::write(&folder))?;
            std::fs::remove_dir_all(&old).map_err(StoreError::write(&old))?;
        }
        if !older.is_empty() {
            let folder = generations(&cert);
            sync_folder(&folder).map_err(StoreError::write(&folder))?;
        }
        Ok(older)
    }
}

/// Removes what a dead run had begun to remove.
fn finish_pruning(cert: &Path) -> Result<(), StoreError> {
    for (path, name) in entries(&generations(cert))? {
        if name.ends_with(OLD) {
            std::fs::remove_dir_all(&path).map_err(StoreError::write(&path))?;
        }
    }
    Ok(())
}

/// The numbers of the complete generations, in order.
fn numbers(cert: &Path) -> Result<Vec<u32>, StoreError> {
    let all = entries(&generations(cert))?.into_iter();
    let mut numbers: Vec<u32> = all.filter_map(|(_, name)| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::store::{Bundle, GenerationInfo, Output};

    async fn store_with(generations: u32) -> (tempfile::TempDir, Store, CertName, CertLock) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name: CertName = "example.com".parse().unwrap();
        let lock = store.lock(&name, Duration::ZERO, |_| ()).await.unwrap();
        for number in 1..=generations {
            add(&store, &name, &lock, number);
        }
        (folder, store, name, lock)
    }

    fn add(store: &Store, name: &CertName, lock: &CertLock, number: u32) {
        let (leaf, chain) = (format!("leaf {number}"), format!("chain {number}"));
        let bundle = Bundle { leaf, chain, offered: Vec::new() };
        let validity = (Timestamp::UNIX_EPOCH, Timestamp::now());
        let info = GenerationInfo::new(vec![], number.to_string(), "CA".into(), validity, "https://x".into());
        let made = store.begin(name, lock).unwrap().complete(&bundle, &Output::default(), info).unwrap();
        assert_eq!(made.number, number);
    }

    fn there(store: &Store, name: &CertName) -> Vec<u32> {
        store.generations(name).unwrap().into_iter().map(|found| found.number).collect()
    }

    #[tokio::test]
    async fn the_current_one_and_those_just_before_it_stay() {
        let (_folder, store, name, lock) = store_with(7).await;
        assert_eq!(store.prune(&name, &lock, KEEP_GENERATIONS).unwrap(), [1, 2]);
        assert_eq!(there(&store, &name), [3, 4, 5, 6, 7]);
        assert_eq!(store.prune(&name, &lock, KEEP_GENERATIONS).unwrap(), [0; 0]);
        assert_eq!(store.prune(&name, &lock, 1).unwrap(), [3, 4, 5, 6]);
        assert_eq!(store.current(&name).unwrap().unwrap().leaf().unwrap(), "leaf 7");
        // None at all is no wish that could be granted.
        assert_eq!(store.prune(&name, &lock, 0).unwrap(), [0; 0]);
        assert_eq!(there(&store, &name), [7]);
    }

    #[tokio::test]
    async fn what_was_rolled_back_stays_and_its_number_is_not_used_again() {
        let (_folder, store, name, lock) = store_with(4).await;
        let back = store.make_current(&name, &lock, 2).unwrap();
        assert_eq!(store.current(&name).unwrap(), Some(back.clone()));
        assert_eq!((back.number, back.leaf().unwrap()), (2, "leaf 2".into()));
        assert_eq!(store.prune(&name, &lock, 1).unwrap(), [1]);
        assert_eq!(there(&store, &name), [2, 3, 4]);
        add(&store, &name, &lock, 5);
        assert!(store.make_current(&name, &lock, 9).is_err());
        assert_eq!(store.current_number(&name).unwrap(), Some(5));
    }

    #[tokio::test]
    async fn a_killed_pruning_is_finished_by_the_next_run() {
        let (_folder, store, name, lock) = store_with(3).await;
        let generations = generations(&store.cert_folder(&name));
        std::fs::rename(generations.join("1"), generations.join("1.old")).unwrap();
        std::fs::remove_file(generations.join("1.old/cert.pem")).unwrap();
        assert_eq!(there(&store, &name), [2, 3]);
        assert_eq!(store.prune(&name, &lock, 5).unwrap(), [0; 0]);
        assert!(!generations.join("1.old").exists());
        assert_eq!(there(&store, &name), [2, 3]);
    }

    #[tokio::test]
    async fn a_generation_that_cannot_be_read_is_told_in_its_place() {
        let (_folder, store, name, _lock) = store_with(2).await;
        std::fs::write(store.cert_folder(&name).join("generations/1/generation.json"), "{").unwrap();
        let all = store.generations(&name).unwrap();
        assert!(matches!(all[0].read, Err(StoreError::Damaged { .. })) && all[1].read.is_ok());
    }
}

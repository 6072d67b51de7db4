//! Generations in the making: the key and the order that a run works on, was killed at, or that a person goes on with.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::access::close_others;
use super::file::{
    Staged, begin_sync, entries, json_text, private_folder, read_json, remove, write_json, write_new,
};
use super::generation::{Bundle, FILES, Generation, GenerationInfo, generations, swap};
use super::record::RECORD_VERSION;
use super::sync::Syncs;
use super::{CertLock, CertificateRecord, Output, Store, StoreError};
use crate::digest::sha256;

pub(super) const ORDER_VERSION: u32 = 1;
const PARTIAL: &str = ".partial";
/// Written last; until then it holds room on the disk for the files to come, since that the disk is full should be known before
/// a certificate is ordered.
const INFO: &str = "generation.json";
/// The order that a draft waits for.
const ORDER: &str = "order.json";
/// The settings that the certificate had before the order was made, where it had some.
const BEFORE: &str = "before.json";
/// More than a certificate with its chain and state needs, in bytes.
const RESERVED: usize = 64 * 1024;

/// The order that a generation waits for. With it on disk, a run that died goes on where it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingOrder {
    version: u32,
    /// Directory URL of the server.
    pub server: String,
    /// URL of the account that made the order.
    pub account: String,
    /// URL of the order.
    pub url: String,
    /// The names that were ordered.
    pub names: Vec<String>,
    /// What else was asked for, such as the profile.
    pub wishes: Vec<String>,
    /// SHA-256 of the public key (SubjectPublicKeyInfo) that the certificate will be for, in hexadecimal.
    pub key_digest: String,
    /// When it was made.
    pub made: Timestamp,
    /// A person goes on with it step by step: no sweep and no other change takes it away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// SHA-256 of the settings that were stored with it, in hexadecimal; empty where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
}

impl PendingOrder {
    /// An order at `server` of the current layout, made now, for the key with this SubjectPublicKeyInfo (DER).
    pub fn new(server: &str, names: Vec<String>, wishes: Vec<String>, public_key_info: &[u8]) -> Self {
        let (account, url) = (String::new(), String::new());
        let (server, key_digest) = (server.to_owned(), sha256(public_key_info));
        let (version, made) = (ORDER_VERSION, Timestamp::now());
        let (kept, settings) = (false, String::new());
        PendingOrder { version, server, account, url, names, wishes, key_digest, made, kept, settings }
    }

    /// Whether it gives what `wanted` is to give, whoever made either and when.
    pub fn is_for_the_same(&self, wanted: &PendingOrder) -> bool {
        (&self.server, &self.names, &self.wishes, &self.key_digest)
            == (&wanted.server, &wanted.names, &wanted.wishes, &wanted.key_digest)
    }
}

/// A generation in the making: `generations/N.partial`. Not visible to readers; removed with this value, and at the next
/// begin if its process died, unless there is an order that it waits for.
#[derive(Debug)]
pub struct Draft {
    making: Making,
    keep: bool,
}

/// What is written into a draft, wherever the draft itself is.
#[derive(Debug, Clone)]
pub(crate) struct Making {
    cert: PathBuf,
    folder: PathBuf,
    number: u32,
    /// The private key that belongs in here, PEM; `None` if its owner keeps it.
    key: Option<SecretString>,
    /// The key's file, as long as it may not survive a power loss.
    unsynced_key: Option<Arc<File>>,
    syncs: Syncs,
}

impl Draft {
    pub(super) fn begin(cert: &Path, syncs: &Syncs) -> Result<Self, StoreError> {
        let generations = generations(cert);
        private_folder(&generations).map_err(StoreError::write(&generations))?;
        let listed = entries(&generations)?;
        let mut number = newest_of(&listed);
        for (path, name) in listed {
            let Some(taken) = name.strip_suffix(PARTIAL) else { continue };
            if is_kept(&path) {
                number = number.max(taken.parse().unwrap_or(0));
            } else {
                // Its lock is ours now, so whoever made it is dead.
                std::fs::remove_dir_all(&path).map_err(StoreError::write(&path))?;
            }
        }
        let number = number + 1;
        let folder = generations.join(format!("{number}{PARTIAL}"));
        private_folder(&folder).map_err(StoreError::write(&folder))?;
        let (cert, syncs) = (cert.to_owned(), syncs.clone());
        let making = Making { cert, folder, number, key: None, unsynced_key: None, syncs };
        let draft = Draft { making, keep: false };
        draft.reserve()?;
        Ok(draft)
    }

    /// The draft that a dead run left with its order; `None` if there is none, or if it is damaged.
    pub(super) fn left_behind(
        cert: &Path,
        syncs: &Syncs,
    ) -> Result<Option<(Self, PendingOrder)>, StoreError> {
        let generations = generations(cert);
        for (folder, name) in entries(&generations)? {
            let number = name.strip_suffix(PARTIAL).and_then(|number| number.parse::<u32>().ok());
            let Some(number) = number else { continue };
            if generations.join(number.to_string()).exists() && !is_kept(&folder) {
                continue;
            }
            let (folder, number) = in_front(cert, folder, number)?;
            // What cannot be read is not worth an error: a new order is as good.
            if let Ok(Some(order)) = read_json::<PendingOrder>(&folder.join(ORDER), ORDER_VERSION) {
                // It will be a generation, which holds what belongs to it and nothing of an earlier try.
                for (path, name) in entries(&folder)? {
                    if ![FILES[0], ORDER, BEFORE].contains(&name.as_str()) {
                        remove(&path)?;
                    }
                }
                let key = std::fs::read_to_string(folder.join(FILES[0])).ok().map(SecretString::from);
                // Whether the dead run came to sync it is not known.
                let path = folder.join(FILES[0]);
                let file = key.as_ref().map(|_| File::open(&path)).transpose();
                let unsynced_key = file.map_err(StoreError::read(&path))?.map(Arc::new);
                let (cert, syncs) = (cert.to_owned(), syncs.clone());
                let making = Making { cert, folder, number, key, unsynced_key, syncs };
                let draft = Draft { making, keep: true };
                draft.reserve()?;
                return Ok(Some((draft, order)));
            }
        }
        Ok(None)
    }

    fn reserve(&self) -> Result<(), StoreError> {
        let info = self.making.folder.join(INFO);
        write_new(&info, &vec![0; RESERVED], |_| Ok(())).map(drop)
    }

    /// The number that the generation will have.
    pub fn number(&self) -> u32 {
        self.making.number
    }

    /// Writes the private key (PEM, mode 0600) of a new draft. It is synced at the latest with the order that it is for, or with
    /// the certificate.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_key(&mut self, pem: &SecretString) -> Result<(), StoreError> {
        let file = write_new(&self.making.folder.join(FILES[0]), pem.expose_secret().as_bytes(), |_| Ok(()))?;
        begin_sync(&file);
        (self.making.key, self.making.unsynced_key) = (Some(pem.clone()), Some(Arc::new(file)));
        Ok(())
    }

    /// The private key that was put here, PEM; `None` if its owner keeps it.
    pub fn key(&self) -> Option<SecretString> {
        self.making.key.clone()
    }

    /// Notes the order, so that a later run can go on with it. Key and order are synced when this returns: before finalize,
    /// so that no certificate is ever without its key.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_order(&mut self, order: &PendingOrder) -> Result<(), StoreError> {
        self.alone().write_order(order)?;
        self.making.unsynced_key = None;
        Ok(())
    }

    /// The same [aside](Store::aside_under).
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn write_order_aside(
        &mut self,
        store: &Store,
        lock: &CertLock,
        order: &PendingOrder,
    ) -> Result<(), StoreError> {
        let (making, order) = (self.making.clone(), order.clone());
        store.aside_under(lock, move |_, _| making.write_order(&order)).await?;
        self.making.unsynced_key = None;
        Ok(())
    }

    /// Keeps the settings that the certificate has now, so that giving the order up can bring them back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_before(&mut self, record: &CertificateRecord) -> Result<(), StoreError> {
        write_json(&self.making.folder.join(BEFORE), record)
    }

    /// The settings that the certificate had before the order was made, where it had some.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn before(&self) -> Result<Option<CertificateRecord>, StoreError> {
        read_json(&self.making.folder.join(BEFORE), RECORD_VERSION)
    }

    /// Whether the draft stays for a later run when this value goes.
    pub fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }

    /// Whether it stays for a later run.
    pub fn stays(&self) -> bool {
        self.keep
    }

    /// What completes the draft, wherever that is done.
    pub(crate) fn making(&self) -> Making {
        self.making.clone()
    }

    /// Completes the generation with the files of `output`, reads back what matters most, opens it for its readers, and makes
    /// it the current one by one rename.
    ///
    /// # Errors
    /// Something cannot be written, or is not what was written; the former generation is still the current one, and whole. Where
    /// the very last sync failed, the new one is, and whole, too: the next run finishes it.
    pub fn complete(
        &self,
        bundle: &Bundle,
        output: &Output,
        info: GenerationInfo,
    ) -> Result<Generation, StoreError> {
        self.complete_with(bundle, output, info, Vec::new())
    }

    /// The same with files of the certificate that come into their places, in their order, just before the generation: settings
    /// first, as a certificate that nobody knows how to renew would end unseen.
    ///
    /// # Errors
    /// As [`complete`](Self::complete); then some of these files may be in their places all the same.
    pub fn complete_with(
        &self,
        bundle: &Bundle,
        output: &Output,
        info: GenerationInfo,
        staged: Vec<Staged>,
    ) -> Result<Generation, StoreError> {
        self.alone().complete(bundle, output, info, staged)
    }

    /// What is written on a thread on which others work, too: it must not wait for them.
    fn alone(&self) -> Making {
        Making { syncs: Syncs::default(), ..self.making.clone() }
    }
}

impl Making {
    fn write_order(&self, order: &PendingOrder) -> Result<(), StoreError> {
        let path = self.folder.join(ORDER);
        // Half of the first one is as good as none, so it needs no temporary file: another order is made then.
        let first = match path.try_exists().map_err(StoreError::read(&path))? {
            true => None,
            false => Some(write_new(&path, json_text(&path, order)?.as_bytes(), |_| Ok(()))?),
        };
        first.as_ref().map(begin_sync);
        let round = self.syncs.begin();
        if let Some(key) = &self.unsynced_key {
            // One that a dead run wrote was written before anybody here could hear of an error.
            let synced = if first.is_some() { round.file(key) } else { key.sync_all() };
            synced.map_err(StoreError::write(&self.folder.join(FILES[0])))?;
        }
        let sync = |folder: &Path| round.folder(folder).map_err(StoreError::write(folder));
        match first {
            Some(first) => {
                round.file(&first).map_err(StoreError::write(&path))?;
                sync(&self.folder)?;
            }
            None => write_json(&path, order)?,
        }
        sync(&generations(&self.cert))?;
        // The folders of the first certificate are new themselves.
        if !self.cert.join("current").is_symlink() {
            sync(&self.cert)?;
            if let Some(certs) = self.cert.parent() {
                round.folder_of_all(certs).map_err(StoreError::write(certs))?;
            }
        }
        Ok(())
    }

    /// [`Draft::complete_with`], wherever it is done.
    pub(crate) fn complete(
        &self,
        bundle: &Bundle,
        output: &Output,
        info: GenerationInfo,
        staged: Vec<Staged>,
    ) -> Result<Generation, StoreError> {
        let path = self.folder.join(INFO);
        let info_file =
            File::options().write(true).truncate(true).open(&path).map_err(StoreError::write(&path))?;
        remove(&self.folder.join(BEFORE))?;
        let access = &output.access;
        // Nobody looks into a draft, so its files need no temporary ones, and are synced together: that is one wait for the
        // disk, and not one for each of them.
        let mut written = Vec::new();
        let mut write = |name: &str, bytes: &[u8], secret: bool| {
            let path = self.folder.join(name);
            let file = write_new(&path, bytes, |file| access.give(file, secret))?;
            begin_sync(&file);
            written.push((path, file));
            Ok::<_, StoreError>(())
        };
        let mut file = |name: &str, text: &str| write(name, text.as_bytes(), false);
        file(FILES[1], &bundle.leaf)?;
        file(FILES[2], &bundle.chain)?;
        let fullchain = format!("{}{}", bundle.leaf, bundle.chain);
        file(FILES[3], &fullchain)?;
        for (number, chain) in bundle.offered.iter().enumerate() {
            file(&format!("chain{number}.pem"), chain)?;
        }
        for file in &output.files {
            write(file.name, &file.bytes, file.secret)?;
        }
        let key = self.folder.join(FILES[0]);
        match File::open(&key) {
            Ok(file) => {
                access.give(&file, true).map_err(StoreError::write(&key))?;
                if self.unsynced_key.is_some() || access.changes_key() {
                    written.push((key, file));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::read(&key)(error)),
        }
        let text = json_text(&path, &info)?;
        (&info_file).write_all(text.as_bytes()).map_err(StoreError::write(&path))?;
        begin_sync(&info_file);
        written.push((path, info_file));
        let round = self.syncs.begin();
        for (path, file) in &written {
            round.file(file).map_err(StoreError::write(path))?;
        }
        staged.iter().try_for_each(|staged| staged.sync_in(&round))?;
        round.folder(&self.folder).map_err(StoreError::write(&self.folder))?;
        drop(round);
        if let Some(key) = &self.key {
            self.read_back(FILES[0], key.expose_secret())?;
        }
        self.read_back(FILES[1], &bundle.leaf)?;
        self.read_back(FILES[3], &fullchain)?;
        let generations = generations(&self.cert);
        // Nobody else sees a draft before it is complete.
        access.open_all(&self.cert, &self.folder)?;
        staged.into_iter().try_for_each(Staged::put)?;
        let folder = generations.join(self.number.to_string());
        std::fs::rename(&self.folder, &folder).map_err(StoreError::write(&folder))?;
        finish(&self.cert, self.number, &self.syncs)?;
        Ok(Generation { number: self.number, info, current: self.cert.join("current") })
    }

    /// Looks whether a file has what was meant to be in it.
    fn read_back(&self, file: &str, meant: &str) -> Result<(), StoreError> {
        let path = self.folder.join(file);
        let found = Zeroizing::new(std::fs::read(&path).map_err(StoreError::read(&path))?);
        if *found == meant.as_bytes() { Ok(()) } else { Err(StoreError::NotAsWritten { path }) }
    }
}

/// The order that a certificate waits for, without changing anything; `None` if there is none, or if it is damaged.
pub(super) fn pending_order(cert: &Path) -> Result<Option<PendingOrder>, StoreError> {
    let drafts = entries(&generations(cert))?.into_iter().filter(|(_, name)| name.ends_with(PARTIAL));
    let read = |(folder, _): (PathBuf, String)| read_json(&folder.join(ORDER), ORDER_VERSION).ok().flatten();
    Ok(drafts.filter_map(read).next())
}

/// Whether a person goes on with the order of this draft.
fn is_kept(draft: &Path) -> bool {
    let order = read_json::<PendingOrder>(&draft.join(ORDER), ORDER_VERSION);
    order.is_ok_and(|order| order.is_some_and(|order| order.kept))
}

/// The number of the newest complete generation among these; 0 before the first one.
fn newest_of(listed: &[(PathBuf, String)]) -> u32 {
    listed.iter().filter_map(|(_, name)| name.parse().ok()).max().unwrap_or(0)
}

/// Gives a draft a number behind which there is no generation: meanwhile the files of the certificate may have been written
/// anew, and what comes last has the highest number.
fn in_front(cert: &Path, folder: PathBuf, number: u32) -> Result<(PathBuf, u32), StoreError> {
    let newest = newest_of(&entries(&generations(cert))?);
    if number > newest {
        return Ok((folder, number));
    }
    let number = newest + 1;
    let moved = generations(cert).join(format!("{number}{PARTIAL}"));
    std::fs::rename(&folder, &moved).map_err(StoreError::write(&moved))?;
    Ok((moved, number))
}

/// Whether a draft has an order, readable or not.
pub(super) fn has_pending_order(cert: &Path) -> Result<bool, StoreError> {
    Ok(entries(&generations(cert))?.iter().any(|(folder, _)| folder.join(ORDER).exists()))
}

/// Makes a complete generation the current one. Only then is its order forgotten: a run that dies before leaves a
/// generation that the next one finishes.
fn finish(cert: &Path, number: u32, syncs: &Syncs) -> Result<(), StoreError> {
    swap(cert, number)?;
    // The folder with the name that it points to first, so that no power loss leaves it pointing to nothing: a file system brings
    // renames to the disk in their order, or all that are not synced together. Both are done before the first sync, so that there
    // is one wait for the disk. One that does neither may have the generation without the settings that came with it, if the power
    // goes between the two syncs: then it is made again.
    let round = syncs.begin();
    for folder in [&generations(cert), cert] {
        round.folder(folder).map_err(StoreError::write(folder))?;
    }
    drop(round);
    close_others(cert, number);
    remove(&generations(cert).join(number.to_string()).join(ORDER))
}

/// Finishes a generation that a dead run had completed, and not made the current one.
pub(super) fn finish_left_behind(cert: &Path) -> Result<(), StoreError> {
    let complete = entries(&generations(cert))?.into_iter().filter(|(path, _)| path.join(ORDER).exists());
    let newest = complete.filter_map(|(_, name)| name.parse::<u32>().ok()).max();
    // On a thread on which others work, too: it must not wait for them.
    newest.map_or(Ok(()), |number| finish(cert, number, &Syncs::default()))
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `complete` the folder has another name and there is nothing to remove. A key without a certificate
        // or an order is of no use to anybody.
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.making.folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(serial: &str) -> GenerationInfo {
        let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        GenerationInfo::new(
            vec!["example.com".into()],
            serial.into(),
            "CA".into(),
            (from, to),
            "https://x".into(),
        )
    }

    fn bundle(mark: &str) -> Bundle {
        Bundle { leaf: format!("leaf {mark}\n"), chain: format!("chain {mark}\n"), offered: Vec::new() }
    }

    #[test]
    fn a_generation_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Generation::current(folder.path()).unwrap(), None);

        let mut draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
        draft.write_key(&SecretString::from("key 1")).unwrap();
        assert_eq!(Generation::current(folder.path()).unwrap(), None);
        let first = draft.complete(&bundle("1"), &Output::default(), info("01")).unwrap();
        assert_eq!(first.number, 1);
        assert_eq!(Generation::current(folder.path()).unwrap().unwrap(), first);

        let mut draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
        draft.write_key(&SecretString::from("key 2")).unwrap();
        assert_eq!(first.private_key().unwrap().unwrap().expose_secret(), "key 1");
        let second = draft.complete(&bundle("2"), &Output::default(), info("02")).unwrap();
        assert_eq!(second.number, 2);
        let text = |file| std::fs::read_to_string(second.current.join(file)).unwrap();
        assert_eq!(
            (text("privkey.pem"), text("fullchain.pem")),
            ("key 2".into(), "leaf 2\nchain 2\n".into())
        );
    }

    #[test]
    fn a_draft_that_failed_leaves_nothing_and_a_killed_one_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        drop(Draft::begin(folder.path(), &Syncs::default()).unwrap());
        let generations = folder.path().join("generations");
        assert_eq!(std::fs::read_dir(&generations).unwrap().count(), 0);

        std::mem::forget(Draft::begin(folder.path(), &Syncs::default()).unwrap());
        assert_eq!(std::fs::read_dir(&generations).unwrap().count(), 1);
        let draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
        assert_eq!(std::fs::read_dir(&generations).unwrap().count(), 1);
        drop(draft);
    }

    #[test]
    fn a_draft_with_an_order_waits_for_the_next_run_and_a_complete_one_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let order = PendingOrder::new("https://ca/", vec![], vec![], b"key");
        let mut draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
        draft.write_key(&SecretString::from("key 1")).unwrap();
        assert!(Draft::left_behind(folder.path(), &Syncs::default()).unwrap().is_none());
        draft.write_order(&order).unwrap();
        draft.keep(true);
        drop(draft);
        let (draft, found) = Draft::left_behind(folder.path(), &Syncs::default()).unwrap().unwrap();
        assert_eq!((draft.key().unwrap().expose_secret(), &found), ("key 1", &order));
        // The dead run may not have come to it.
        assert!(draft.making.unsynced_key.is_some(), "the key has to be synced with its order");
        let other = PendingOrder::new("https://ca/", vec![], vec!["profile short".into()], b"key");
        assert!(found.is_for_the_same(&order) && !found.is_for_the_same(&other));
        // Dead between the two renames: the generation is whole, and nobody points to it.
        let generations = folder.path().join("generations");
        let info = info("01");
        draft.complete(&bundle("1"), &Output::default(), info.clone()).unwrap();
        std::fs::remove_file(folder.path().join("current")).unwrap();
        write_json(&generations.join("1").join(ORDER), &order).unwrap();
        finish_left_behind(folder.path()).unwrap();
        assert_eq!(Generation::current(folder.path()).unwrap().unwrap().info, info);
        assert!(!generations.join("1").join(ORDER).exists());
        // What was rolled back on purpose stays so: no order tells otherwise.
        std::fs::remove_file(folder.path().join("current")).unwrap();
        finish_left_behind(folder.path()).unwrap();
        assert_eq!(Generation::current(folder.path()).unwrap(), None);
    }

    #[test]
    fn the_private_key_is_for_its_owner_alone() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
        draft.write_key(&SecretString::from("key")).unwrap();
        let generation = draft.complete(&bundle("1"), &Output::default(), info("01")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&generation.current.join("privkey.pem")), 0o600);
        assert_eq!(mode(&generation.current), 0o700);
    }

    #[test]
    fn what_is_not_as_it_was_written_does_not_become_current() {
        let folder = tempfile::tempdir().unwrap();
        let begin = || {
            let mut draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
            draft.write_key(&SecretString::from("key")).unwrap();
            draft
        };
        let refused = |draft: Draft, output: &Output, file: &str| {
            let completed = draft.complete(&bundle("1"), output, info("01"));
            let path = draft.making.folder.join(file);
            assert!(
                matches!(completed, Err(StoreError::NotAsWritten { path: named }) if named == path),
                "{file}"
            );
            assert_eq!(Generation::current(folder.path()).unwrap(), None);
        };
        let draft = begin();
        std::fs::write(draft.making.folder.join("privkey.pem"), "another key").unwrap();
        refused(draft, &Output::default(), "privkey.pem");
        for name in ["cert.pem", "fullchain.pem"] {
            // Written last, it is what another process would put there.
            let bytes = Zeroizing::new(b"leaf 2".to_vec());
            let files = vec![crate::store::OutputFile { name, bytes, secret: false }];
            refused(begin(), &Output { files, ..Output::default() }, name);
        }
        begin().complete(&bundle("1"), &Output::default(), info("01")).unwrap();
    }

    #[test]
    fn settings_come_into_force_with_the_generation_that_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name = "example.com".parse().unwrap();
        let cert = store.cert_folder(&name);
        let begin = || {
            let mut draft = Draft::begin(&cert, &store.syncs).unwrap();
            draft.write_key(&SecretString::from("key")).unwrap();
            draft
        };
        let complete = |draft: &Draft| {
            let settings = store.stage_record(&name, &CertificateRecord::example()).unwrap();
            assert_eq!(store.find_record(&name).unwrap(), None);
            draft.complete_with(&bundle("1"), &Output::default(), info("01"), vec![settings])
        };
        let draft = begin();
        std::fs::write(draft.making.folder.join("privkey.pem"), "another key").unwrap();
        assert!(complete(&draft).is_err());
        assert_eq!(store.find_record(&name).unwrap(), None);
        drop(draft);
        let left: Vec<_> = entries(&cert).unwrap().into_iter().map(|(_, name)| name).collect();
        assert_eq!(left, ["generations"]);
        complete(&begin()).unwrap();
        assert_eq!(store.find_record(&name).unwrap(), Some(CertificateRecord::example()));
        assert!(Generation::current(&cert).unwrap().is_some());
    }

    #[test]
    fn a_kept_order_outlives_other_generations_and_comes_after_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::begin(folder.path(), &Syncs::default()).unwrap();
        draft.write_key(&SecretString::from("its key")).unwrap();
        let mut order = PendingOrder::new("https://ca/", vec![], vec![], b"key");
        order.kept = true;
        draft.write_order(&order).unwrap();
        draft.write_before(&CertificateRecord::example()).unwrap();
        draft.keep(true);
        drop(draft);
        assert_eq!(pending_order(folder.path()).unwrap(), Some(order));
        for number in [2, 3] {
            let mut other = Draft::begin(folder.path(), &Syncs::default()).unwrap();
            other.write_key(&SecretString::from("key")).unwrap();
            let made = other.complete(&bundle("1"), &Output::default(), info("01")).unwrap();
            assert_eq!(made.number, number);
        }
        let (draft, _) = Draft::left_behind(folder.path(), &Syncs::default()).unwrap().unwrap();
        assert_eq!(draft.before().unwrap().unwrap(), CertificateRecord::example());
        assert_eq!((draft.key().unwrap().expose_secret(), draft.number()), ("its key", 4));
        let last = draft.complete(&bundle("2"), &Output::default(), info("02")).unwrap();
        assert_eq!(last.number, 4);
        assert_eq!(pending_order(folder.path()).unwrap(), None);
        assert!(!last.folder().join(BEFORE).exists());
    }
}

//! What is about to be published, on disk before it is: what a dead process left behind is known, and nothing else is.
//!
//! One file for each piece of work: `journal/CERT.json` for a certificate (guarded by the certificate's lock),
//! `journal/dns@DIGEST.json` for a name that another ACME client has us write, and `journal/http@DIGEST.json` for a file. A file that is there although nobody
//! holds its lock tells what has to be swept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{
    entries, if_whole, private_folder, read_json, remove, sync_folder, write_first_json, write_json,
    write_json_unsynced,
};
use super::{CertName, Lock, Store, StoreError, StoredArgument};
use crate::digest::sha256;

pub(super) const JOURNAL_VERSION: u32 = 1;

/// Which piece of work a journal belongs to: the stem of its file, and of the lock that guards it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalName(String);

impl JournalName {
    /// The journal of one name that is written for another ACME client.
    pub fn name(fqdn: &str) -> Self {
        // A name may be as long as a file name; its digest is not. '@' is in no certificate's name.
        JournalName(format!("dns@{}", &sha256(fqdn.to_ascii_lowercase().as_bytes())[..32]))
    }

    /// The journal of one file of http-01 at a host.
    pub fn file(host: &str, token: &str) -> Self {
        JournalName(format!("http@{}", &sha256(format!("{host}/{token}").as_bytes())[..32]))
    }

    fn is_for_a_certificate(&self) -> bool {
        !self.0.contains('@')
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&CertName> for JournalName {
    fn from(cert: &CertName) -> Self {
        JournalName(cert.as_str().to_owned())
    }
}

impl fmt::Display for JournalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One TXT value that may be in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalRecord {
    /// The full name.
    pub fqdn: String,
    /// The value.
    pub value: String,
    /// The apex of the zone, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A file of http-01 that may be at a host (RFC 8555 §8.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalFile {
    /// The DNS name or IP address.
    pub host: String,
    /// The challenge's token, which is the file's name.
    pub token: String,
    /// What is in it.
    pub content: String,
}

/// An order whose authorizations may be pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalOrder {
    /// Directory URL of the server.
    pub server: String,
    /// URL of the account that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// URL of the order.
    pub url: String,
    /// URLs of its authorizations.
    pub authorizations: Vec<String>,
}

/// What one run published, or was about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// When it began.
    pub begun: Timestamp,
    /// The plugin.
    pub plugin: String,
    /// Its parameters: secrets by their source, or sealed.
    #[serde(default)]
    pub plugin_args: BTreeMap<String, StoredArgument>,
    /// The place that sealed parameters are bound to.
    pub sealed_for: String,
    /// The order that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<JournalOrder>,
    /// The values.
    #[serde(default)]
    pub records: Vec<JournalRecord>,
    /// The files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<JournalFile>,
    /// They are in the care of another ACME client, until it has them removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed_over: bool,
    /// When it was first found without an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Timestamp>,
}

impl Publication {
    /// Whether there is, or may be, anything to be removed.
    pub(crate) fn has_published(&self) -> bool {
        !self.records.is_empty() || !self.files.is_empty() || self.handed_over
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    version: u32,
    publications: Vec<Publication>,
}

/// Held while the folder is made.
static MAKING: Mutex<()> = Mutex::new(());

impl Store {
    fn journals_folder(&self) -> PathBuf {
        self.home().join("journal")
    }

    fn journal_path(&self, name: &JournalName) -> PathBuf {
        self.journals_folder().join(format!("{name}.json"))
    }

    /// The journals that are there, sorted. Most of the time there is none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn journals(&self) -> Result<Vec<JournalName>, StoreError> {
        let mut names = Vec::new();
        for (_, name) in entries(&self.journals_folder())? {
            // Temporary files of a dead process begin with a dot, and the backup of an older layout ends otherwise.
            let stem = name.strip_suffix(".json").filter(|stem| !stem.starts_with('.'));
            names.extend(stem.map(|stem| JournalName(stem.to_owned())));
        }
        names.sort();
        Ok(names)
    }

    /// What a journal holds; nothing if it is not there.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn publications(&self, name: &JournalName) -> Result<Vec<Publication>, StoreError> {
        let read = read_json::<Journal>(&self.journal_path(name), JOURNAL_VERSION);
        // A certificate's that is cut off was never synced, and before it is, nothing is published. The others are synced before they
        // have their name.
        let file = if name.is_for_a_certificate() { if_whole(read)? } else { read? };
        Ok(file.map(|file| file.publications).unwrap_or_default())
    }

    /// Writes a journal, and removes it when it holds nothing any more. Synced when this returns; call it only with
    /// the journal's lock held.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_publications(
        &self,
        name: &JournalName,
        publications: &[Publication],
    ) -> Result<(), StoreError> {
        self.write_publications(name, publications, write_json)
    }

    /// The same in the place of no journal, or of one that tells of nothing published. A power loss before it is synced may
    /// take both. What tells of nothing published itself is not synced at all: with it, the CA is spared authorizations that
    /// stay pending, and no more.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save_first_publications(
        &self,
        name: &JournalName,
        publications: &[Publication],
    ) -> Result<(), StoreError> {
        let published = publications.iter().any(Publication::has_published);
        self.write_publications(name, publications, |path, journal| match published {
            true => write_first_json(path, journal, &self.syncs),
            false => write_json_unsynced(path, journal),
        })
    }

    fn write_publications(
        &self,
        name: &JournalName,
        publications: &[Publication],
        write: impl FnOnce(&Path, &Journal) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (folder, path) = (self.journals_folder(), self.journal_path(name));
        if publications.is_empty() {
            // That a file which is struck off comes back after a power loss does no harm: it is looked at again.
            return remove(&path);
        }
        // Whoever finds it there has to be sure that it stays.
        let making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if !folder.is_dir() {
            private_folder(&folder).map_err(StoreError::write(&folder))?;
            sync_folder(self.home()).map_err(StoreError::write(&folder))?;
        }
        drop(making);
        write(&path, &Journal { version: JOURNAL_VERSION, publications: publications.to_vec() })
    }

    /// Keeps others from comparing journals, for a moment.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub(crate) fn hold_journals(&self) -> Result<Lock, StoreError> {
        Lock::hold(&self.locks(), "journals@compared")
    }

    /// Takes the lock of a journal, waiting for another process up to `patience`.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when its owner is alive and did not finish in time.
    pub async fn lock_journal(&self, name: &JournalName, patience: Duration) -> Result<Lock, StoreError> {
        Lock::take(&self.locks(), name.as_str(), patience, |_| ()).await
    }
}

#[cfg(test)]
impl Publication {
    /// For tests of the rooms that need one.
    pub(crate) fn example() -> Self {
        Publication {
            begun: Timestamp::UNIX_EPOCH,
            plugin: "gandi".into(),
            plugin_args: BTreeMap::new(),
            sealed_for: "certificate/example.com".into(),
            order: None,
            records: vec![JournalRecord {
                fqdn: "_acme-challenge.example.com".into(),
                value: "v".into(),
                zone: Some("example.com".into()),
            }],
            files: Vec::new(),
            handed_over: false,
            found: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication() -> Publication {
        Publication::example()
    }

    #[test]
    fn a_journal_is_there_until_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cert: CertName = "example.com".parse().unwrap();
        let (a, b) = (JournalName::from(&cert), JournalName::name("_ACME-challenge.example.com"));
        assert_eq!(store.journals().unwrap(), []);
        store.save_publications(&a, &[publication()]).unwrap();
        store.save_publications(&b, &[publication(), publication()]).unwrap();
        std::fs::write(store.journals_folder().join(".livecert-abc.json"), "{").unwrap();
        assert_eq!(store.journals().unwrap(), [b.clone(), a.clone()]);
        assert_eq!(store.publications(&a).unwrap(), [publication()]);
        store.save_publications(&a, &[]).unwrap();
        store.save_publications(&a, &[]).unwrap();
        assert_eq!(store.journals().unwrap(), [b]);
        assert_eq!(store.publications(&a).unwrap(), []);
    }

    #[test]
    fn a_certificates_journal_that_a_power_loss_has_cut_off_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name = JournalName::from(&"a.example".parse::<CertName>().unwrap());
        store.save_first_publications(&name, &[publication()]).unwrap();
        assert_eq!(store.publications(&name).unwrap(), [publication()]);
        let path = store.journal_path(&name);
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 10, whole.len() / 2, whole.len() - 3] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(store.publications(&name).unwrap(), [], "{length}");
            // The length may be on the disk already, and what belongs there not.
            let zeros = vec![0; whole.len() - length];
            std::fs::write(&path, [&whole[..length], &zeros].concat()).unwrap();
            assert_eq!(store.publications(&name).unwrap(), [], "{length}");
            assert_eq!(store.journals().unwrap(), std::slice::from_ref(&name));
        }
        // What else is wrong with it may be worth a look, and so is one that was synced at once.
        std::fs::write(&path, "{}").unwrap();
        assert!(store.publications(&name).is_err());
        store.save_publications(&name, &[]).unwrap();
        let other = JournalName::name("a.example");
        std::fs::write(store.journal_path(&other), &whole[..10]).unwrap();
        assert!(store.publications(&other).is_err());
    }

    #[test]
    fn the_case_of_a_name_makes_no_other_journal() {
        assert_eq!(JournalName::name("A.example"), JournalName::name("a.EXAMPLE"));
        assert_ne!(JournalName::name("a.example"), JournalName::name("b.example"));
    }
}

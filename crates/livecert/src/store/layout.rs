//! Where things lie in the state folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::asked::AskedRead;
use super::file::{Staged, entries, private_folder, read_json, stage_json, sync_folder, write_json};
use super::record::{RECORD, RECORD_VERSION};
use super::sync::Syncs;
use super::{
    Access, CertLock, CertificateRecord, Draft, Generation, Lock, LockHolder, PendingOrder, StoreError,
};
use crate::certificate::SubjectName;

/// The name of a certificate in the store: a folder name that is safe everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertName(String);

/// Why a text cannot name a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot name a certificate: letters, digits, '-', '_', '.' and '!' can, up to 240 of them, no dot in front"
)]
pub struct CertNameError(pub String);

impl CertName {
    /// The text, which is the folder's name too.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertName {
    type Err = CertNameError;

    /// An internationalised name is known by its A-labels, and may be typed as it is read.
    fn from_str(given: &str) -> Result<Self, CertNameError> {
        let ascii = if given.is_ascii() { None } else { idna::domain_to_ascii(given).ok() };
        let text = ascii.as_deref().unwrap_or(given);
        let fits = (1..=240).contains(&text.len())
            && !text.starts_with(['.', '-'])
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!".contains(&b));
        if fits { Ok(CertName(text.to_owned())) } else { Err(CertNameError(given.to_owned())) }
    }
}

impl From<&SubjectName> for CertName {
    /// `*` becomes `!`, as in Posh-ACME; the colons of an IPv6 address become `-`.
    fn from(name: &SubjectName) -> Self {
        let mut text = name.as_str().replace('*', "!").replace(':', "-");
        // "::1" would begin with a sign that an option has.
        if text.starts_with('-') {
            text.insert(0, '0');
        }
        text.truncate(240);
        CertName(text)
    }
}

/// The mode of a folder that everybody may write in: they could put hooks there, which run as whoever renews.
fn open_to_all(folder: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let mode = std::fs::metadata(folder).ok()?.mode() & 0o7777;
    (mode & 0o002 != 0).then_some(mode)
}

/// The state folder.
#[derive(Debug, Clone)]
pub struct Store {
    home: PathBuf,
    /// Where `certs/` and `accounts/` are: in the home, but for a rehearsal.
    things: PathBuf,
    pub(super) asked_read: Arc<AskedRead>,
    pub(super) syncs: Syncs,
}

impl Store {
    /// Opens the folder for reading; nothing is made.
    pub fn read_only(home: &Path) -> Self {
        let syncs = Syncs::within(home);
        let (home, things) = (home.to_owned(), home.to_owned());
        Store { home, things, asked_read: Arc::default(), syncs }
    }

    /// The same store with certificates and accounts in another folder; nothing is made.
    pub(super) fn with_things_in(&self, folder: &Path) -> Self {
        Store { things: folder.to_owned(), ..self.clone() }
    }

    /// Opens the folder, makes what is missing in it (mode 0700) and proves that it can be written.
    ///
    /// # Errors
    /// [`StoreError::Home`] with the system's reason.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let store = Store::read_only(home);
        let prepare = || -> std::io::Result<()> {
            for folder in [store.home.clone(), store.certs(), store.accounts(), store.locks()] {
                private_folder(&folder)?;
            }
            // Permissions alone do not tell: the file system may be full or read-only.
            tempfile::Builder::new().prefix(super::file::TEMPORARY).tempfile_in(&store.home).map(drop)
        };
        prepare().map_err(|source| StoreError::Home { path: home.to_owned(), source })?;
        store.move_accounts()?;
        open_to_all(home).map_or(Ok(store), |mode| Err(StoreError::HomeMode { path: home.to_owned(), mode }))
    }

    /// The state folder itself.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where the sealing key lies.
    pub fn sealing_key(&self) -> PathBuf {
        self.home.join("sealing.key")
    }

    pub(super) fn accounts(&self) -> PathBuf {
        self.things.join("accounts")
    }

    pub(super) fn certs(&self) -> PathBuf {
        self.things.join("certs")
    }

    /// Where processes of this machine take turns.
    pub fn locks(&self) -> PathBuf {
        self.home.join("locks")
    }

    /// The folder of one certificate.
    pub fn cert_folder(&self, name: &CertName) -> PathBuf {
        self.certs().join(name.as_str())
    }

    fn record_path(&self, name: &CertName) -> PathBuf {
        self.cert_folder(name).join(RECORD)
    }

    /// Names of all certificates in the store, sorted.
    ///
    /// # Errors
    /// The folder cannot be read. A store that was never used has none.
    pub fn cert_names(&self) -> Result<Vec<CertName>, StoreError> {
        Ok(self.names()?.0)
    }

    /// Names of certificates that are not there yet, and have left something all the same: their first try failed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn unfinished_names(&self) -> Result<Vec<CertName>, StoreError> {
        Ok(self.names()?.1)
    }

    /// The names of both.
    fn names(&self) -> Result<(Vec<CertName>, Vec<CertName>), StoreError> {
        let (mut there, mut unfinished) = (Vec::new(), Vec::new());
        for (path, name) in entries(&self.certs())? {
            let Ok(name) = name.parse() else { continue };
            // A folder without either is what a first try left that failed.
            if path.join(RECORD).exists() || path.join("current").is_symlink() {
                there.push(name);
            } else {
                unfinished.push(name);
            }
        }
        there.sort();
        unfinished.sort();
        Ok((there, unfinished))
    }

    /// What is stored about a certificate; `None` if there is nothing.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn find_record(&self, name: &CertName) -> Result<Option<CertificateRecord>, StoreError> {
        read_json(&self.record_path(name), RECORD_VERSION)
    }

    /// What is stored about a certificate that must be there.
    ///
    /// # Errors
    /// As [`find_record`](Self::find_record), and [`StoreError::NoSuchCertificate`] with a name that is alike.
    pub fn record(&self, name: &CertName) -> Result<CertificateRecord, StoreError> {
        if let Some(record) = self.find_record(name)? {
            return Ok(record);
        }
        Err(self.no_such_certificate(name)?)
    }

    /// That there is no certificate of this name, with one that is alike.
    pub(super) fn no_such_certificate(&self, name: &CertName) -> Result<StoreError, StoreError> {
        let alike = |other: &CertName| (strsim::jaro_winkler(name.as_str(), other.as_str()), other.clone());
        let similar = self
            .cert_names()?
            .iter()
            .map(alike)
            .filter(|(score, other)| *score > 0.8 && other != name)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, other)| other.0);
        Ok(StoreError::NoSuchCertificate { name: name.0.clone(), similar })
    }

    /// Stores what is known about a certificate.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_record(&self, name: &CertName, record: &CertificateRecord) -> Result<(), StoreError> {
        let folder = self.cert_folder(name);
        private_folder(&folder).map_err(StoreError::write(&folder))?;
        sync_folder(&self.certs()).map_err(StoreError::write(&folder))?;
        write_json(&self.record_path(name), record)
    }

    /// The same, still to be put into its place with a generation ([`Draft::complete_with`]). The certificate's folder is there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn stage_record(&self, name: &CertName, record: &CertificateRecord) -> Result<Staged, StoreError> {
        stage_json(&self.record_path(name), record)
    }

    /// Closes the state folder to others again when no certificate is for them any more. What cannot be read may be.
    pub fn close_unless_shared(&self) {
        // Mostly they are closed, and a rehearsal has no say in it.
        if self.things != self.home || !super::access::is_open(&self.certs()) {
            return;
        }
        // Without the lock, a certificate that is being opened could be shut off.
        let Ok(_lock) = super::access::hold_ways(&self.home) else { return };
        let (Ok(names), Ok(folders)) = (self.cert_names(), entries(&self.certs())) else { return };
        // A record is written after the files that it is about have been opened.
        let mut folders = folders.iter().filter(|(_, name)| name.parse::<CertName>().is_ok());
        if folders.any(|(folder, _)| super::access::is_open(folder)) {
            return;
        }
        let private = |name: &CertName| match self.find_record(name) {
            Ok(Some(record)) => Access::resolve(&record.output).is_ok_and(|access| !access.is_shared()),
            _ => false,
        };
        if names.iter().all(private) {
            // The one that is looked at comes last: who is killed in between has left it to the next run.
            super::access::close_way(&[self.home.clone(), self.certs()]);
        }
    }

    fn own_request_path(&self, name: &CertName) -> PathBuf {
        self.cert_folder(name).join("request.csr")
    }

    /// The certificate request that the user gave.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn own_request(&self, name: &CertName) -> Result<Vec<u8>, StoreError> {
        let path = self.own_request_path(name);
        std::fs::read(&path).map_err(StoreError::read(&path))
    }

    /// Keeps the certificate request that the user gave, for renewals.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_own_request(&self, name: &CertName, request: &[u8]) -> Result<(), StoreError> {
        super::file::replace(&self.own_request_path(name), request, 0o644)
    }

    /// The same, still to be put into its place with a generation, before the settings that are about it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn stage_own_request(&self, name: &CertName, request: &[u8]) -> Result<Staged, StoreError> {
        super::file::stage(&self.own_request_path(name), request, 0o644)
    }

    /// The generation that `current` points to; `None` before the first one.
    ///
    /// # Errors
    /// It is there, but cannot be read.
    pub fn current(&self, name: &CertName) -> Result<Option<Generation>, StoreError> {
        Generation::current(&self.cert_folder(name))
    }

    /// Begins a new generation. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn begin(&self, name: &CertName, lock: &CertLock) -> Result<Draft, StoreError> {
        lock.proves(name);
        Draft::begin(&self.cert_folder(name), &self.syncs)
    }

    /// The order that a certificate waits for, of a dead run or one that a person goes on with; `None` if there is none.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn pending_order(&self, name: &CertName) -> Result<Option<PendingOrder>, StoreError> {
        super::draft::pending_order(&self.cert_folder(name))
    }

    /// Whether a dead run left an order for a certificate.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn has_pending_order(&self, name: &CertName) -> Result<bool, StoreError> {
        super::draft::has_pending_order(&self.cert_folder(name))
    }

    /// The draft that a dead run left with its order. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn left_behind(
        &self,
        name: &CertName,
        lock: &CertLock,
    ) -> Result<Option<(Draft, PendingOrder)>, StoreError> {
        lock.proves(name);
        Draft::left_behind(&self.cert_folder(name), &self.syncs)
    }

    /// Makes a generation current that a dead run had completed. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn finish_left_behind(&self, name: &CertName, lock: &CertLock) -> Result<(), StoreError> {
        lock.proves(name);
        let cert = self.cert_folder(name);
        super::file::remove_temporaries(&cert)?;
        super::draft::finish_left_behind(&cert)
    }

    /// Takes the lock of a certificate, waiting for another process up to `patience`; `waiting` is told once who
    /// holds it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when the other one did not finish in time.
    pub async fn lock(
        &self,
        name: &CertName,
        patience: std::time::Duration,
        waiting: impl FnOnce(&LockHolder),
    ) -> Result<CertLock, StoreError> {
        CertLock::take(&self.locks(), name, patience, waiting, &self.syncs).await
    }

    /// Takes the lock of the account at a server; it is held for a few requests only.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process keeps it for two minutes.
    pub async fn lock_account(&self, server: &str) -> Result<Lock, StoreError> {
        // '@' is in no certificate's name.
        let name = format!("account@{}", super::server_folder(server));
        Lock::take(&self.locks(), &name, std::time::Duration::from_secs(120), |_| ()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_certificates_never_leave_their_folder() {
        for good in ["example.com", "!.example.com", "mail_host-1"] {
            assert!(good.parse::<CertName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "a b", ".hidden", "-rf", "ü/x", "ü b", "a\0b"] {
            assert!(bad.parse::<CertName>().is_err(), "{bad:?}");
        }
        assert_eq!("ü.example".parse::<CertName>().unwrap().as_str(), "xn--tda.example");
        let wildcard: SubjectName = "*.example.com".parse().unwrap();
        assert_eq!(CertName::from(&wildcard).as_str(), "!.example.com");
    }

    #[test]
    fn a_damaged_state_file_is_named_and_the_others_stay_usable() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (good, bad): (CertName, CertName) =
            ("good.example".parse().unwrap(), "bad.example".parse().unwrap());
        let record = CertificateRecord::example();
        store.save_record(&good, &record).unwrap();
        store.save_record(&bad, &record).unwrap();
        let path = store.record_path(&bad);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();

        assert!(matches!(store.record(&bad), Err(StoreError::Damaged { path: named, .. }) if named == path));
        assert_eq!(store.record(&good).unwrap(), record);
        assert_eq!(store.cert_names().unwrap(), [bad.clone(), good]);

        std::fs::write(&path, r#"{"version": 99, "anything": []}"#).unwrap();
        assert!(matches!(store.record(&bad), Err(StoreError::NewerVersion { found: 99, .. })));
    }

    #[test]
    fn a_name_with_a_slip_is_told_what_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.save_record(&"example.com".parse().unwrap(), &CertificateRecord::example()).unwrap();
        let error = store.record(&"exmaple.com".parse().unwrap()).unwrap_err();
        assert!(
            matches!(error, StoreError::NoSuchCertificate { similar: Some(name), .. } if name == "example.com")
        );
    }

    #[test]
    fn ways_are_not_closed_before_a_certificate_that_was_just_opened() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name: CertName = "example.com".parse().unwrap();
        store.save_record(&name, &CertificateRecord::example()).unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        // Its files are there already, and its settings are about to be stored.
        set(&store.certs(), 0o711);
        set(&store.cert_folder(&name), 0o750);
        store.close_unless_shared();
        let mode = || std::fs::metadata(store.certs()).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o711);
        set(&store.cert_folder(&name), 0o700);
        store.close_unless_shared();
        assert_eq!(mode(), 0o700);
    }
}

//! Certificates that are kept out of the way: whole, as they were, to be taken back one day. Nothing here is ever removed.
//!
//! `archive/CERT` is the one that was put there last; one that was there before is `archive/CERT@N`.

use std::path::PathBuf;

use super::file::{private_folder, read_json, sync_folder};
use super::record::RECORD_VERSION;
use super::{Access, CertLock, CertName, CertificateRecord, Store, StoreError};

impl Store {
    fn archive_folder(&self) -> PathBuf {
        self.home().join("archive")
    }

    /// Where the certificate of this name is that was archived last.
    pub fn archived(&self, name: &CertName) -> PathBuf {
        self.archive_folder().join(name.as_str())
    }

    /// What is stored about an archived certificate; `None` if there is none of this name.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn archived_record(&self, name: &CertName) -> Result<Option<CertificateRecord>, StoreError> {
        read_json(&self.archived(name).join("certificate.json"), RECORD_VERSION)
    }

    /// Moves a certificate into the archive, with all that belongs to it but for its journal. Whoever looks finds all of it
    /// at one of the two places. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// It cannot be moved, and is where it was.
    pub fn archive(&self, name: &CertName, lock: &CertLock) -> Result<(), StoreError> {
        lock.proves(name);
        let (archive, from, to) = (self.archive_folder(), self.cert_folder(name), self.archived(name));
        private_folder(&archive).map_err(StoreError::write(&archive))?;
        if to.exists() {
            // '@' is in no certificate's name.
            let older = (1..).map(|number: u32| archive.join(format!("{name}@{number}")));
            if let Some(free) = older.into_iter().find(|path| !path.exists()) {
                std::fs::rename(&to, &free).map_err(StoreError::write(&free))?;
            }
        }
        self.rename(&from, &to)
    }

    /// Takes a certificate out of the archive. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// It cannot be moved, and is where it was; or its files cannot be given to those whom they are for.
    pub fn restore(&self, name: &CertName, lock: &CertLock) -> Result<(), StoreError> {
        lock.proves(name);
        let (from, to) = (self.archived(name), self.cert_folder(name));
        // What a first try left that failed is nothing to be kept; anything else is in the way.
        if to.is_dir() && !self.cert_names()?.contains(name) {
            super::file::remove_tree(&to)?;
        }
        self.rename(&from, &to)?;
        let Some(record) = self.find_record(name)? else { return Ok(()) };
        let Some(current) = self.current(name)? else { return Ok(()) };
        // The ways to shared files may have been closed meanwhile. Users and groups that are gone are told of by the renewal.
        match Access::resolve(&record.output) {
            Ok(access) => access.open_all(&to, &to.join("generations").join(current.number.to_string())),
            Err(_) => Ok(()),
        }
    }

    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> Result<(), StoreError> {
        std::fs::rename(from, to).map_err(StoreError::write(to))?;
        for folder in [from.parent(), to.parent()].into_iter().flatten() {
            sync_folder(folder).map_err(StoreError::write(folder))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_is_archived_comes_back_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name: CertName = "example.com".parse().unwrap();
        let lock = store.lock(&name, Duration::ZERO, |_| ()).await.unwrap();
        let mut record = CertificateRecord::example();
        for lifetime in [1, 2, 3] {
            record.lifetime_days = Some(lifetime);
            store.save_record(&name, &record).unwrap();
            store.archive(&name, &lock).unwrap();
            assert_eq!(store.cert_names().unwrap(), []);
        }
        let older =
            |number: u32| folder.path().join(format!("archive/example.com@{number}/certificate.json"));
        assert!(older(1).exists() && older(2).exists() && !older(3).exists());
        assert_eq!(store.archived_record(&name).unwrap().unwrap().lifetime_days, Some(3));
        store.restore(&name, &lock).unwrap();
        assert_eq!(store.record(&name).unwrap(), record);
        assert_eq!(store.archived_record(&name).unwrap(), None);
        // A certificate that is there is in the way of none.
        record.lifetime_days = Some(4);
        store.archive(&name, &lock).unwrap();
        store.save_record(&name, &record).unwrap();
        assert!(store.restore(&name, &lock).is_err());
        assert_eq!(store.record(&name).unwrap().lifetime_days, Some(4));
    }
}

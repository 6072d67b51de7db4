//! Certificates that are forgotten, and what dead processes left lying about.

use std::time::{Duration, SystemTime};

use super::file::{TEMPORARY, entries, remove, remove_tree, sync_folder};
use super::{CertLock, CertName, Store, StoreError};

/// Nobody needs so long between a temporary file and its rename.
const DEAD: Duration = Duration::from_secs(3600);

impl Store {
    /// Looks whether there is a certificate to be removed: one whose record is damaged, or was never written, can be like
    /// any other.
    ///
    /// # Errors
    /// [`StoreError::NoSuchCertificate`] with a name that is alike.
    pub fn find_removable(&self, name: &CertName) -> Result<(), StoreError> {
        match self.record(name) {
            Err(error @ StoreError::NoSuchCertificate { .. }) if !self.cert_folder(name).exists() => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Removes a certificate with all that belongs to it, but for its journal, which tells what may be in DNS. Whoever looks
    /// finds all of it or nothing. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// It cannot be renamed (it is still there), or what is left of it cannot be removed.
    pub fn remove(&self, name: &CertName, lock: &CertLock) -> Result<(), StoreError> {
        lock.proves(name);
        let (certs, folder) = (self.certs(), self.cert_folder(name));
        // No certificate has a name with a dot in front.
        let gone = certs.join(format!("{TEMPORARY}{name}"));
        remove_tree(&gone)?;
        std::fs::rename(&folder, &gone).map_err(StoreError::write(&folder))?;
        sync_folder(&certs).map_err(StoreError::write(&folder))?;
        remove_tree(&gone)
    }

    /// Removes what dead processes left: the rest of certificates that were being removed, and temporary files.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn tidy(&self) -> Result<(), StoreError> {
        for (path, name) in entries(&self.certs())? {
            if name.starts_with(TEMPORARY) {
                remove_tree(&path)?;
            }
        }
        for (path, name) in entries(&self.accounts())? {
            if name.starts_with(TEMPORARY) {
                remove_tree(&path)?;
            }
        }
        // Several processes write in these: what is young may be in use.
        let mut shared: Vec<_> = entries(&self.accounts())?.into_iter().map(|(folder, _)| folder).collect();
        shared.retain(|folder| folder.is_dir());
        for server in shared.clone() {
            // Each account has a folder of its own.
            shared.extend(entries(&server)?.into_iter().map(|(folder, _)| folder));
        }
        shared.push(self.home().to_owned());
        shared.extend(["journal", "limits", "plugins"].map(|room| self.home().join(room)));
        for folder in shared {
            if !folder.is_dir() {
                continue;
            }
            for (path, name) in entries(&folder)? {
                let old = |path: &std::path::Path| {
                    let changed = std::fs::symlink_metadata(path).and_then(|data| data.modified());
                    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > DEAD))
                };
                if name.starts_with(TEMPORARY) && path.is_dir() {
                    remove_tree(&path)?;
                } else if name.starts_with(TEMPORARY) && old(&path) {
                    remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CertificateRecord;

    #[tokio::test]
    async fn a_certificate_is_there_or_not_and_what_a_killed_removal_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name: CertName = "example.com".parse().unwrap();
        let lock = store.lock(&name, Duration::ZERO, |_| ()).await.unwrap();
        for _ in 0..2 {
            store.save_record(&name, &CertificateRecord::example()).unwrap();
            // Killed after the rename.
            std::fs::rename(store.cert_folder(&name), store.certs().join(".livecert-example.com")).unwrap();
            assert_eq!(store.cert_names().unwrap(), []);
            store.save_record(&name, &CertificateRecord::example()).unwrap();
            store.remove(&name, &lock).unwrap();
            assert_eq!(std::fs::read_dir(store.certs()).unwrap().count(), 0);
        }
        assert!(store.remove(&name, &lock).is_err());
    }

    #[test]
    fn temporary_files_go_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (old, young) = (folder.path().join(".livecert-old"), folder.path().join(".livecert-young"));
        let account = store.accounts().join("server/1");
        let rooms = ["limits", "plugins"].map(|room| folder.path().join(room));
        for folder in rooms.iter().chain([&account]) {
            std::fs::create_dir_all(folder).unwrap();
        }
        let of_account = account.join(".livecert-old");
        let [of_limits, of_plugins] = rooms.clone().map(|room| room.join(".livecert-old"));
        let in_use = rooms.map(|room| room.join(".livecert-young"));
        let rest = store.certs().join(".livecert-example.com");
        std::fs::create_dir(&rest).unwrap();
        let long_ago = SystemTime::now() - 2 * DEAD;
        for path in [&old, &young, &of_account, &of_limits, &of_plugins].into_iter().chain(&in_use) {
            std::fs::write(path, "").unwrap();
        }
        for path in [&old, &of_account, &of_limits, &of_plugins] {
            std::fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        store.tidy().unwrap();
        assert!(!of_account.exists() && !of_limits.exists() && !of_plugins.exists());
        assert!(in_use.iter().all(|path| path.exists()));
        assert_eq!((old.exists(), young.exists(), rest.exists()), (false, true, false));
    }
}

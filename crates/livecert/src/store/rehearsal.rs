//! Where a rehearsal keeps what it makes: folders of its own for certificates and accounts, gone when it ends. The journal,
//! the locks and the sealing key are those of the home, so that what a rehearsal shows is swept like anything else.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{entries, private_folder};
use super::{CertName, Lock, LockHolder, Store, StoreError, server_folder};

/// Before the certificate's name, in the names of the folder and its lock. '@' is in no certificate's name.
const PREFIX: &str = "rehearsal@";
/// What is known about a certificate, and needed to make one like it.
const OF_CERTIFICATE: [&str; 2] = ["certificate.json", "request.csr"];
/// What is known about the account at the server that it is rehearsed at.
const OF_ACCOUNT: [&str; 2] = ["account.json", "holds.json"];

/// The folders of one rehearsal: those in `HOME/rehearsal@CERT`, removed when this is dropped.
#[derive(Debug)]
pub struct RehearsalStore {
    store: Store,
    folder: PathBuf,
    _lock: Lock,
}

impl RehearsalStore {
    /// The store that the rehearsal works on.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

impl Drop for RehearsalStore {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = remove(&self.folder);
    }
}

impl Store {
    /// Makes the folders for a rehearsal of a certificate at `server`, with copies of what is known about either. Another
    /// rehearsal of the same certificate is waited for up to `patience`; `waiting` is told once whose it is.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when the other one did not end in time; something cannot be read or written.
    pub async fn rehearsal(
        &self,
        cert: &CertName,
        server: &str,
        patience: Duration,
        waiting: impl FnOnce(&LockHolder),
    ) -> Result<RehearsalStore, StoreError> {
        let name = format!("{PREFIX}{cert}");
        let lock = Lock::take(&self.locks(), &name, patience, waiting).await?;
        let folder = self.home().join(name);
        // Whoever made it is dead: the lock is ours.
        remove(&folder).map_err(StoreError::write(&folder))?;
        let store = self.with_things_in(&folder);
        let stage = RehearsalStore { store, folder, _lock: lock };
        let (accounts, to) = (account_folder(self, server), account_folder(&stage.store, server));
        let mut copies = vec![
            (self.cert_folder(cert), stage.store.cert_folder(cert), OF_CERTIFICATE),
            (accounts.clone(), to.clone(), OF_ACCOUNT),
        ];
        // Each account has a folder of its own.
        let each = entries(&accounts)?.into_iter().filter(|(folder, _)| folder.is_dir());
        copies.extend(each.map(|(folder, name)| (folder, to.join(name), OF_ACCOUNT)));
        for folder in [stage.store.certs(), stage.store.accounts()] {
            private_folder(&folder).map_err(StoreError::write(&folder))?;
        }
        for (from, to, files) in copies {
            private_folder(&to).map_err(StoreError::write(&to))?;
            for file in files {
                copy(&from.join(file), &to.join(file))?;
            }
        }
        Ok(stage)
    }

    /// Removes what rehearsals left that were killed. Those that are under way stay.
    ///
    /// # Errors
    /// A folder cannot be read or removed.
    pub async fn sweep_rehearsals(&self) -> Result<(), StoreError> {
        let home = self.home();
        for entry in fs::read_dir(home).map_err(StoreError::read(home))? {
            let path = entry.map_err(StoreError::read(home))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with(PREFIX) {
                continue;
            }
            match Lock::take(&self.locks(), name, Duration::ZERO, |_| ()).await {
                Ok(_lock) => remove(&path).map_err(StoreError::write(&path))?,
                Err(StoreError::Locked { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn account_folder(store: &Store, server: &str) -> PathBuf {
    store.accounts().join(server_folder(server))
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::read(from)(error)),
        _ => Ok(()),
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CertificateRecord, Publication};
    use super::*;

    const SERVER: &str = "https://twin.example/directory";

    async fn rehearsal(store: &Store, cert: &CertName) -> Result<RehearsalStore, StoreError> {
        store.rehearsal(cert, SERVER, Duration::ZERO, |_| ()).await
    }

    #[tokio::test]
    async fn it_has_copies_and_its_own_files_go_with_it() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let cert: CertName = "example.com".parse().unwrap();
        let mut record = CertificateRecord::example();
        store.save_record(&cert, &record).unwrap();

        let stage = rehearsal(&store, &cert).await.unwrap();
        assert_eq!(stage.store().record(&cert).unwrap(), record);
        record.names.push("more.example.com".into());
        stage.store().save_record(&cert, &record).unwrap();
        assert_ne!(store.record(&cert).unwrap(), record);
        // What has to be cleaned up is known at home.
        assert_eq!(stage.store().sealing_key(), store.sealing_key());
        assert_eq!(stage.store().locks(), store.locks());
        stage.store().save_publications(&(&cert).into(), &[Publication::example()]).unwrap();
        assert_eq!(store.journals().unwrap().len(), 1);

        let again = rehearsal(&store, &cert).await;
        assert!(matches!(again, Err(StoreError::Locked { .. })), "{again:?}");
        drop(stage);
        assert!(!home.path().join("rehearsal@example.com").exists());
    }

    #[tokio::test]
    async fn what_a_killed_one_left_is_swept_and_what_is_under_way_is_not() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (dead, alive) = ("dead.example", "alive.example".parse::<CertName>().unwrap());
        let left = home.path().join(format!("rehearsal@{dead}"));
        fs::create_dir_all(left.join("certs")).unwrap();
        let stage = rehearsal(&store, &alive).await.unwrap();
        store.sweep_rehearsals().await.unwrap();
        assert!(!left.exists());
        assert!(stage.store().certs().exists());
        drop(stage);
        store.sweep_rehearsals().await.unwrap();
    }
}

//! ACME servers that were given a name or a setting, and the one in use: `servers.json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::file::{TEMPORARY, read_json, remove_tree, sync_folder, write_json};
use super::{Lock, Store, StoreError, server_folder};

pub(super) const SERVERS_VERSION: u32 = 1;
/// Several processes write into one file. '@' is in no certificate's name.
const LOCK: &str = "servers@";

/// `servers.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServersRecord {
    version: u32,
    /// Directory URL of the server that is meant where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use: Option<String>,
    /// The servers that something is kept about, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerRecord>,
}

/// What is kept about one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerRecord {
    /// URL of its directory.
    pub url: String,
    /// The user's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It is not asked when it wants certificates to be renewed (RFC 9773), nor told what a new one replaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_renewal_info: bool,
    /// It is sent no mail addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_contacts: bool,
    /// Its rate limits, in the words of `server update --limits`; without, those that are known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
}

impl Default for ServersRecord {
    fn default() -> Self {
        ServersRecord { version: SERVERS_VERSION, in_use: None, servers: Vec::new() }
    }
}

impl ServersRecord {
    /// What is kept about a server, by the URL of its directory.
    pub fn find(&self, url: &str) -> Option<&ServerRecord> {
        self.servers.iter().find(|server| server.url == url)
    }

    /// What is kept about a server, to be changed; it is put down where it was not before.
    pub fn entry(&mut self, url: &str) -> &mut ServerRecord {
        let known = self.servers.iter().position(|server| server.url == url);
        let index = known.unwrap_or_else(|| {
            self.servers.push(ServerRecord { url: url.to_owned(), ..ServerRecord::default() });
            self.servers.len() - 1
        });
        &mut self.servers[index]
    }
}

impl Store {
    fn servers_path(&self) -> PathBuf {
        self.home().join("servers.json")
    }

    /// The servers that something is kept about.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn servers(&self) -> Result<ServersRecord, StoreError> {
        Ok(read_json(&self.servers_path(), SERVERS_VERSION)?.unwrap_or_default())
    }

    /// Changes what is kept about servers; nobody else does so meanwhile. Where `change` fails, all stays as it was.
    ///
    /// # Errors
    /// Those of `change`; the file cannot be read or written.
    pub fn change_servers<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut ServersRecord) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = Lock::hold(&self.locks(), LOCK)?;
        let before = self.servers()?;
        let mut record = before.clone();
        let done = change(&mut record)?;
        if record != before {
            write_json(&self.servers_path(), &record)?;
        }
        Ok(done)
    }

    /// Removes the accounts of a server, and until when it does not want to be asked. Whoever looks finds all of it or
    /// nothing. Call only with the server's account lock held.
    ///
    /// # Errors
    /// It cannot be renamed (it is still there), or what is left of it cannot be removed.
    pub fn remove_accounts_of(&self, server: &str, _lock: &Lock) -> Result<(), StoreError> {
        let folder = self.accounts().join(server_folder(server));
        // No server's folder has a name with a dot in front.
        let gone = self.accounts().join(format!("{TEMPORARY}{}", server_folder(server)));
        remove_tree(&gone)?;
        match std::fs::rename(&folder, &gone) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(StoreError::write(&folder))?,
        }
        sync_folder(&self.accounts()).map_err(StoreError::write(&folder))?;
        remove_tree(&gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_several_processes_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        std::thread::scope(|scope| {
            for number in 0..12 {
                let store = &store;
                scope.spawn(move || {
                    let change = |record: &mut ServersRecord| {
                        record.entry(&format!("https://{number}.example/")).name = Some(format!("n{number}"));
                        Ok::<_, StoreError>(())
                    };
                    store.change_servers(change).unwrap();
                });
            }
        });
        assert_eq!(store.servers().unwrap().servers.len(), 12);
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let failed = store.change_servers(|record| {
            record.in_use = Some("https://ca.example/".into());
            Err::<(), _>(StoreError::NotAsWritten { path: "x".into() })
        });
        assert!(failed.is_err());
        assert_eq!(store.servers().unwrap(), ServersRecord::default());
        assert!(!store.servers_path().exists());
    }
}

//! What a server's directory said last: `directory.json`. It is only a hint of where to knock beside reading the directory
//! itself, which is what counts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::account::server_folder;
use super::file::{read_json, write_json};
use super::{Store, StoreError};

pub(super) const DIRECTORY_VERSION: u32 = 1;

/// `accounts/SERVER/directory.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryRecord {
    version: u32,
    /// Directory URL of the server.
    server: String,
    /// Where there are nonces.
    new_nonce: String,
}

impl Store {
    fn directory_path(&self, server: &str) -> PathBuf {
        self.accounts().join(server_folder(server)).join("directory.json")
    }

    /// Where a server's directory said last that there are nonces. A file that cannot be read is as good as none.
    pub fn new_nonce(&self, server: &str) -> Option<String> {
        let record = read_json::<DirectoryRecord>(&self.directory_path(server), DIRECTORY_VERSION);
        let record = record.unwrap_or_else(|error| {
            tracing::debug!(%error, "what a directory said last is not readable");
            None
        });
        // Two URLs may share a folder's name.
        record.filter(|record| record.server == server).map(|record| record.new_nonce)
    }

    /// Notes where a server's directory says that there are nonces, if that is something new. A server without a folder, of
    /// which there is no account either, gets none for that.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note_new_nonce(&self, server: &str, new_nonce: &str) -> Result<(), StoreError> {
        let path = self.directory_path(server);
        let has_folder = path.parent().is_some_and(std::path::Path::is_dir);
        if !has_folder || self.new_nonce(server).as_deref() == Some(new_nonce) {
            return Ok(());
        }
        let (version, server, new_nonce) = (DIRECTORY_VERSION, server.to_owned(), new_nonce.to_owned());
        write_json(&path, &DirectoryRecord { version, server, new_nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::file::private_folder;

    const SERVER: &str = "https://ca.example/directory";

    #[test]
    fn what_was_said_last_is_known_and_nothing_is_made_for_a_server_without_an_account() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        store.note_new_nonce(SERVER, "https://ca.example/n").unwrap();
        assert_eq!(store.new_nonce(SERVER), None);
        assert_eq!(std::fs::read_dir(store.accounts()).unwrap().count(), 0);

        private_folder(&store.accounts().join(server_folder(SERVER))).unwrap();
        for said in ["https://ca.example/n", "https://ca.example/other"] {
            store.note_new_nonce(SERVER, said).unwrap();
            assert_eq!(store.new_nonce(SERVER).as_deref(), Some(said));
        }
    }

    #[test]
    fn what_is_known_already_is_not_written_and_what_is_damaged_counts_for_nothing() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        private_folder(&store.accounts().join(server_folder(SERVER))).unwrap();
        store.note_new_nonce(SERVER, "https://ca.example/n").unwrap();
        let path = store.directory_path(SERVER);
        let inode = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
        let before = inode(&path);
        store.note_new_nonce(SERVER, "https://ca.example/n").unwrap();
        assert_eq!(inode(&path), before);
        let other = std::fs::read_to_string(&path).unwrap().replace(SERVER, "https://other.example/d");
        for text in ["", "{", r#"{"version":99}"#, other.as_str()] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(store.new_nonce(SERVER), None, "{text}");
        }
        store.note_new_nonce(SERVER, "https://ca.example/n").unwrap();
        assert!(store.new_nonce(SERVER).is_some());
    }
}

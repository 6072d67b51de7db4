//! Accounts: the URL that the server gave, and the sealed key.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{entries, private_folder, read_json, write_json};
use super::{Store, StoreError};
use crate::digest::sha256;
use crate::secret::Sealed;

/// 2: with the key that a roll-over is about to bring into force.
pub(super) const ACCOUNT_VERSION: u32 = 2;

/// `account.json`: one account at one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRecord {
    version: u32,
    /// Directory URL of the server.
    pub server: String,
    /// The account's URL (`kid`, RFC 8555 §7.3). `None` while the server has not answered yet: the key is on disk
    /// before the account is made, so that a lost answer loses no account.
    pub url: Option<String>,
    /// The terms of service that were accepted when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// The contacts it was made with, as given.
    pub contact: Vec<String>,
    /// The sealed private key, PKCS#8 DER.
    pub key: Sealed,
    /// The sealed key that a roll-over was about to bring into force, if its end is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<Sealed>,
    /// When it was made.
    pub created: Timestamp,
    /// URL of the account that it has replaced, until that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

impl AccountRecord {
    /// A record of the current layout, without URL yet.
    pub fn new(server: String, terms: Option<String>, contact: Vec<String>, key: Sealed) -> Self {
        AccountRecord {
            version: ACCOUNT_VERSION,
            server,
            url: None,
            terms,
            contact,
            key,
            next_key: None,
            created: Timestamp::now(),
            replaces: None,
        }
    }

    /// The place that an account key is sealed for.
    pub fn sealing_place(server: &str) -> String {
        format!("account/{server}")
    }
}

/// The folder name of a server: readable, safe, and different for different directory URLs.
pub fn server_folder(url: &str) -> String {
    let readable = url.strip_prefix("https://").unwrap_or(url);
    let safe = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let mut name: String = readable.chars().map(safe).collect();
    name.truncate(180);
    // Two URLs may look alike after that; the digest tells them apart.
    let tag = &sha256(url.as_bytes())[..8];
    format!("{}-{tag}", name.trim_start_matches('.'))
}

fn aside(path: &Path) -> PathBuf {
    path.with_file_name(format!("account-{}.json", Timestamp::now().as_nanosecond()))
}

impl Store {
    fn account_path(&self, server: &str) -> PathBuf {
        self.accounts().join(server_folder(server)).join("account.json")
    }

    /// The account at a server; `None` if there is none.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn account(&self, server: &str) -> Result<Option<AccountRecord>, StoreError> {
        read_json(&self.account_path(server), ACCOUNT_VERSION)
    }

    /// The accounts at all servers, in the order of their folders.
    ///
    /// # Errors
    /// The folder cannot be read, or one of the files.
    pub fn account_records(&self) -> Result<Vec<AccountRecord>, StoreError> {
        let folders = entries(&self.accounts())?.into_iter();
        let mut paths: Vec<PathBuf> = folders.map(|(folder, _)| folder.join("account.json")).collect();
        paths.sort();
        let read = paths.iter().map(|path| read_json::<AccountRecord>(path, ACCOUNT_VERSION));
        Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Keeps the account file of a server aside (`account-TIME.json`); there is none then.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_account_aside(&self, server: &str) -> Result<(), StoreError> {
        let path = self.account_path(server);
        std::fs::rename(&path, aside(&path)).map_err(StoreError::write(&path))
    }

    /// Puts an account in the place of the one at its server, which is kept aside. There is one at every moment.
    ///
    /// # Errors
    /// It cannot be written; the old one is still in its place.
    pub fn replace_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        let path = self.account_path(&account.server);
        std::fs::hard_link(&path, aside(&path)).map_err(StoreError::write(&path))?;
        self.save_account(account)
    }

    /// Stores the account of its server.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        let path = self.account_path(&account.server);
        if let Some(folder) = path.parent() {
            private_folder(folder).map_err(StoreError::write(folder))?;
        }
        write_json(&path, account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_servers_have_different_folders_and_none_leaves_its_parent() {
        let a = server_folder("https://acme.example/dir/a");
        assert!(a.starts_with("acme.example_dir_a-"), "{a}");
        assert_ne!(a, server_folder("https://acme.example/dir_a"));
        assert!(!server_folder("https://../../x").contains('/'));
        assert!(!server_folder("https://../../x").starts_with('.'));
    }
}

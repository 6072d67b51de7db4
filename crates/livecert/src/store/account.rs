//! Accounts: the URL that the server gave, and the sealed key. Each has a folder of its own below that of its server,
//! `accounts/SERVER/N/account.json`; what it is called and which one is in use is in the files, so that a change of either
//! is one rename on the disk.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{TEMPORARY, entries, private_folder, read_json, remove_tree, sync_folder, write_json};
use super::{Store, StoreError};
use crate::digest::sha256;
use crate::key::KeyType;
use crate::secret::Sealed;

/// 2: with the key that a roll-over is about to bring into force.
/// 3: several at one server, with names of the user's own.
pub(super) const ACCOUNT_VERSION: u32 = 3;
/// What an account is called that no server has heard of.
const NEW: &str = "new";

/// `account.json`: one account at one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRecord {
    version: u32,
    /// Directory URL of the server.
    pub server: String,
    /// The user's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The account's URL (`kid`, RFC 8555 §7.3). `None` while the server has not answered yet: the key is on disk
    /// before the account is made, so that a lost answer loses no account.
    pub url: Option<String>,
    /// The terms of service that were accepted when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// The contacts it was made with, as given.
    pub contact: Vec<String>,
    /// Type of its key, where that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<KeyType>,
    /// The sealed private key, PKCS#8 DER.
    pub key: Sealed,
    /// The sealed key that a roll-over was about to bring into force, if its end is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<Sealed>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was said to be the one in use: of several, the last one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
    /// URL of the account that it has replaced, until that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// URLs that it had before, or that accounts had which it has replaced: certificates may still name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
    /// Number of its folder. 0: the file is in the server's own, where version 2 had it.
    #[serde(skip)]
    slot: u32,
}

impl AccountRecord {
    /// A record of the current layout, without URL yet: the first at its server.
    pub fn new(server: String, terms: Option<String>, contact: Vec<String>, key: Sealed) -> Self {
        AccountRecord {
            version: ACCOUNT_VERSION,
            server,
            name: None,
            url: None,
            terms,
            contact,
            key_type: None,
            key,
            next_key: None,
            created: Timestamp::now(),
            used: None,
            replaces: None,
            former: Vec::new(),
            slot: 1,
        }
    }

    /// The place that an account key is sealed for.
    pub fn sealing_place(server: &str) -> String {
        format!("account/{server}")
    }

    /// The user's own name for it, else the last part of its URL.
    pub fn id(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.own_id())
    }

    fn own_id(&self) -> &str {
        let last = self.url.as_deref().and_then(|url| url.trim_end_matches('/').rsplit('/').next());
        last.filter(|id| !id.is_empty()).unwrap_or(NEW)
    }

    /// A URL by which it is found: its own, else the last that it had, while it waits for one.
    pub fn known_url(&self) -> Option<&str> {
        self.url.as_deref().or_else(|| self.former.last().map(String::as_str))
    }

    /// Whether a URL is its own, or was.
    pub fn has_url(&self, url: &str) -> bool {
        self.url.as_deref() == Some(url) || self.former.iter().any(|former| former == url)
    }

    /// It has another URL now; the one before it is kept in mind.
    pub fn set_url(&mut self, url: String) {
        if let Some(before) = self.url.replace(url)
            && self.url.as_ref() != Some(&before)
            && !self.former.contains(&before)
        {
            self.former.push(before);
        }
    }

    /// Lets it take the place of another one, with its name.
    pub(crate) fn take_place_of(&mut self, other: &AccountRecord) {
        self.slot = other.slot;
        self.name.clone_from(&other.name);
        self.used = other.used;
        self.former.clone_from(&other.former);
        self.former.extend(other.url.clone());
        self.replaces.clone_from(&other.url);
    }

    /// Whether it is the same account of the store, whatever has changed about it.
    pub fn is_same(&self, other: &AccountRecord) -> bool {
        (self.slot, &self.server) == (other.slot, &other.server)
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

/// The folders of accounts in that of a server, with their numbers.
fn slots(folder: &Path) -> Result<Vec<(u32, PathBuf)>, StoreError> {
    let numbered =
        |(path, name): (PathBuf, String)| Some((name.parse().ok().filter(|slot| *slot > 0)?, path));
    let mut slots: Vec<_> = entries(folder)?.into_iter().filter_map(numbered).collect();
    slots.sort();
    Ok(slots)
}

/// The accounts in the folder of a server, in the order in which they came.
fn read_all(folder: &Path) -> Result<Vec<AccountRecord>, StoreError> {
    // The old place first: an account that is moved by another process meanwhile is seen at one of the two, or at both.
    let mut found: Vec<_> = read_one(folder, 0)?.into_iter().collect();
    for (slot, folder) in slots(folder)? {
        found.extend(read_one(&folder, slot)?);
    }
    if found.len() > 1 && found[0].slot == 0 && !folder.join("account.json").exists() {
        found.remove(0);
    }
    Ok(found)
}

fn read_one(folder: &Path, slot: u32) -> Result<Option<AccountRecord>, StoreError> {
    let record = read_json::<AccountRecord>(&folder.join("account.json"), ACCOUNT_VERSION)?;
    Ok(record.map(|record| AccountRecord { slot, ..record }))
}

/// Brings the one account that version 2 had at a server to the place of the first of several: by one rename.
fn move_first(folder: &Path) -> std::io::Result<()> {
    let (from, to) = (folder.join("account.json"), folder.join("1"));
    // Where a first one is there already, the other one was put beside it by an older livecert; it is found where it is.
    if !from.is_file() || to.join("account.json").exists() {
        return Ok(());
    }
    private_folder(&to)?;
    match std::fs::rename(&from, to.join("account.json")) {
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    sync_folder(&to)?;
    sync_folder(folder)
}

/// The account that is in use: the one of which that was said last, else the first.
fn in_use(all: Vec<AccountRecord>) -> Option<AccountRecord> {
    all.into_iter().max_by_key(|one| (one.url.is_some(), one.used, Reverse(one.slot)))
}

impl Store {
    fn account_folder(&self, server: &str) -> PathBuf {
        self.accounts().join(server_folder(server))
    }

    fn account_path(&self, account: &AccountRecord) -> PathBuf {
        let folder = self.account_folder(&account.server);
        match account.slot {
            0 => folder.join("account.json"),
            slot => folder.join(slot.to_string()).join("account.json"),
        }
    }

    /// Moves accounts of version 2 to where they are now.
    pub(super) fn move_accounts(&self) -> Result<(), StoreError> {
        for (folder, name) in entries(&self.accounts())? {
            if !name.starts_with(TEMPORARY) {
                move_first(&folder).map_err(StoreError::write(&folder))?;
            }
        }
        Ok(())
    }

    /// The account in use at a server; `None` if there is none.
    ///
    /// # Errors
    /// A file is damaged, from a newer version, or cannot be read.
    pub fn account(&self, server: &str) -> Result<Option<AccountRecord>, StoreError> {
        Ok(in_use(self.accounts_at(server)?))
    }

    /// The account at a server with this name, id or URL, which may be one that it had before; the one in use, if none is
    /// named.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn account_called(
        &self,
        server: &str,
        called: Option<&str>,
    ) -> Result<Option<AccountRecord>, StoreError> {
        let all = self.accounts_at(server)?;
        let Some(called) = called else { return Ok(in_use(all)) };
        // A name of the user's own comes before an id that happens to be the same, and a URL before one of old times.
        let ranks: [&dyn Fn(&AccountRecord) -> bool; 4] = [
            &|one| one.name.as_deref() == Some(called),
            &|one| one.url.as_deref() == Some(called),
            &|one| one.url.is_some() && one.own_id() == called,
            &|one| one.has_url(called),
        ];
        Ok(ranks.iter().find_map(|fits| all.iter().find(|one| fits(one)).cloned()))
    }

    /// The accounts at a server, in the order in which they came.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn accounts_at(&self, server: &str) -> Result<Vec<AccountRecord>, StoreError> {
        read_all(&self.account_folder(server))
    }

    /// The accounts at all servers, in the order of their folders.
    ///
    /// # Errors
    /// The folder cannot be read, or one of the files.
    pub fn account_records(&self) -> Result<Vec<AccountRecord>, StoreError> {
        let mut folders = entries(&self.accounts())?;
        folders.retain(|(_, name)| !name.starts_with(TEMPORARY));
        folders.sort();
        let read = folders.iter().map(|(folder, _)| read_all(folder));
        Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Gives a new account a place beside those that are at its server. Call only with the account lock held.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn place_account(&self, account: &mut AccountRecord) -> Result<(), StoreError> {
        let taken = slots(&self.account_folder(&account.server))?;
        account.slot = taken.last().map_or(0, |(slot, _)| *slot).saturating_add(1);
        Ok(())
    }

    /// Lets an account be the one in use at its server. Call only with the account lock held.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn use_account(&self, account: &mut AccountRecord) -> Result<(), StoreError> {
        let others = self.accounts_at(&account.server)?;
        let last = others.iter().filter(|other| !other.is_same(account)).filter_map(|other| other.used).max();
        let now = Timestamp::now();
        // Whatever the clock says, it is the last one.
        let after = last.and_then(|last| last.checked_add(jiff::SignedDuration::from_nanos(1)).ok());
        account.used = Some(after.map_or(now, |after| after.max(now)));
        self.save_account(account)
    }

    /// Keeps an account's file aside (`account-TIME.json`); there is no such account then.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_account_aside(&self, account: &AccountRecord) -> Result<(), StoreError> {
        let path = self.account_path(account);
        std::fs::rename(&path, aside(&path)).map_err(StoreError::write(&path))
    }

    /// Puts an account in the place of the one whose place it has, which is kept aside. There is one at every moment.
    ///
    /// # Errors
    /// It cannot be written; the old one is still in its place.
    pub fn replace_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        let path = self.account_path(account);
        std::fs::hard_link(&path, aside(&path)).map_err(StoreError::write(&path))?;
        self.save_account(account)
    }

    /// Stores an account in its place.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        let path = self.account_path(account);
        if let Some(folder) = path.parent() {
            private_folder(folder).map_err(StoreError::write(folder))?;
            let server = self.account_folder(&account.server);
            sync_folder(&server).map_err(StoreError::write(&server))?;
        }
        write_json(&path, account)
    }

    /// Removes an account with its key, and with those that were kept aside for it. Call only with the account lock held.
    ///
    /// # Errors
    /// It cannot be renamed (it is still there), or what is left of it cannot be removed.
    pub fn remove_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        let (path, server) = (self.account_path(account), self.account_folder(&account.server));
        let gone = server.join(format!("{TEMPORARY}{}", account.slot));
        remove_tree(&gone)?;
        let whole = if account.slot == 0 { path.as_path() } else { path.parent().unwrap_or(&path) };
        std::fs::rename(whole, &gone).map_err(StoreError::write(whole))?;
        sync_folder(&server).map_err(StoreError::write(&server))?;
        if gone.is_dir() { remove_tree(&gone) } else { super::file::remove(&gone) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://acme.example/dir/a";

    fn account(store: &Store, url: &str) -> AccountRecord {
        let sealed = serde_json::from_str("\"livecert-seal-1:AAAA\"").unwrap();
        let mut account = AccountRecord::new(SERVER.into(), None, Vec::new(), sealed);
        store.place_account(&mut account).unwrap();
        account.url = Some(url.into());
        store.save_account(&account).unwrap();
        account
    }

    #[test]
    fn different_servers_have_different_folders_and_none_leaves_its_parent() {
        let a = server_folder(SERVER);
        assert!(a.starts_with("acme.example_dir_a-"), "{a}");
        assert_ne!(a, server_folder("https://acme.example/dir_a"));
        assert!(!server_folder("https://../../x").contains('/'));
        assert!(!server_folder("https://../../x").starts_with('.'));
    }

    #[test]
    fn the_first_is_in_use_until_another_one_is_said_to_be() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let in_use = || store.account(SERVER).unwrap().and_then(|account| account.url);
        let (mut one, mut two) = (account(&store, "https://a/acct/1"), account(&store, "https://a/acct/2"));
        assert_eq!(in_use().as_deref(), Some("https://a/acct/1"));
        store.use_account(&mut two).unwrap();
        assert_eq!(in_use().as_deref(), Some("https://a/acct/2"));
        // The clock may go back.
        two.used = Some(Timestamp::MAX - jiff::SignedDuration::from_hours(1));
        store.save_account(&two).unwrap();
        store.use_account(&mut one).unwrap();
        assert_eq!(in_use().as_deref(), Some("https://a/acct/1"));
        // One that no server has heard of is in use only where there is no other.
        let mut new = account(&store, "https://a/acct/3");
        (new.url, new.used) = (None, Some(Timestamp::MAX));
        store.save_account(&new).unwrap();
        assert_eq!(in_use().as_deref(), Some("https://a/acct/1"));
        for gone in [&one, &two] {
            store.remove_account(gone).unwrap();
        }
        assert_eq!(store.accounts_at(SERVER).unwrap(), [new]);
    }

    #[test]
    fn an_account_is_found_by_its_name_its_id_and_every_url_that_it_had() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (mut one, mut two) = (account(&store, "https://a/acct/1"), account(&store, "https://a/acct/2"));
        one.set_url("https://a/acct/9".into());
        one.set_url("https://a/acct/9".into());
        assert_eq!(one.former, ["https://a/acct/1"]);
        two.name = Some("9".into());
        store.save_account(&one).unwrap();
        store.save_account(&two).unwrap();
        let found = |called: &str| store.account_called(SERVER, Some(called)).unwrap().map(|one| one.slot);
        assert_eq!(found("9"), Some(2), "a name comes first");
        assert_eq!(found("https://a/acct/9"), Some(1));
        assert_eq!(found("https://a/acct/1"), Some(1));
        assert_eq!(found("2"), Some(2));
        assert_eq!((found("1"), found("new"), found("")), (None, None, None));
    }

    #[test]
    fn an_account_is_seen_while_another_process_moves_it() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        for round in 0..100 {
            let server = format!("https://acme.example/{round}");
            let sealed = serde_json::from_str("\"livecert-seal-1:AAAA\"").unwrap();
            let mut old = AccountRecord::new(server.clone(), None, Vec::new(), sealed);
            (old.slot, old.url) = (0, Some("https://a/acct/1".into()));
            store.save_account(&old).unwrap();
            let done = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let store = Store::read_only(home.path());
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let seen = store.accounts_at(&server).unwrap();
                        assert!(matches!(seen.len(), 1 | 2), "{round}: {seen:?}");
                    }
                });
                move_first(&store.account_folder(&server)).unwrap();
                done.store(true, std::sync::atomic::Ordering::Relaxed);
                reader.join().unwrap();
            });
            assert_eq!(store.accounts_at(&server).unwrap().len(), 1);
        }
    }

    #[test]
    fn an_account_of_version_2_is_moved_once_and_is_there_at_every_moment() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let mut old = account(&store, "https://a/acct/1");
        old.slot = 0;
        store.remove_account(&account(&store, "https://a/acct/0")).unwrap();
        let folder = store.account_folder(SERVER);
        std::fs::rename(folder.join("1/account.json"), folder.join("account.json")).unwrap();
        // Killed before the rename.
        assert!(folder.join("1").is_dir());
        assert_eq!(Store::read_only(home.path()).account(SERVER).unwrap(), Some(old.clone()));
        let store = Store::open(home.path()).unwrap();
        old.slot = 1;
        assert_eq!(store.accounts_at(SERVER).unwrap(), [old]);
        assert!(!folder.join("account.json").exists());
        // An older livecert, run once more, may put another one there; nothing of it is lost.
        std::fs::copy(folder.join("1/account.json"), folder.join("account.json")).unwrap();
        let store = Store::open(home.path()).unwrap();
        assert_eq!(store.accounts_at(SERVER).unwrap().len(), 2);
        assert_eq!(store.account(SERVER).unwrap().unwrap().slot, 0);
    }
}

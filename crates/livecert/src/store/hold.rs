//! Until when a CA does not want to be asked for certificates again: kept, so that the next run does not hammer.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::account::server_folder;
use super::file::{entries, private_folder, read_json, remove, write_json};
use super::{CertName, Lock, Store, StoreError};

pub(super) const HOLDS_VERSION: u32 = 1;

/// One server's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Directory URL of the server.
    pub server: String,
    /// The names that were asked for; none where it is for whatever names.
    pub names: Vec<String>,
    /// When it said so.
    pub made: Timestamp,
    /// When it may be asked again.
    pub until: Timestamp,
    /// Its words.
    pub words: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldsFile {
    version: u32,
    holds: Vec<Hold>,
}

/// What a hold is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldScope<'a> {
    /// This certificate.
    Certificate(&'a CertName),
    /// All certificates of the server.
    Server,
}

impl Store {
    fn holds_path(&self, scope: HoldScope<'_>, server: &str) -> PathBuf {
        let folder = match scope {
            HoldScope::Certificate(cert) => self.cert_folder(cert),
            HoldScope::Server => self.accounts().join(server_folder(server)),
        };
        folder.join("holds.json")
    }

    /// All certificates of a server write into one file; that of a certificate has the certificate's lock.
    fn lock_holds(&self, scope: HoldScope<'_>, server: &str) -> Result<Option<Lock>, StoreError> {
        let name = format!("holds@{}", server_folder(server));
        let server_wide = scope == HoldScope::Server;
        server_wide.then(|| Lock::hold(&self.locks(), &name)).transpose()
    }

    /// What holds certificates with these names back at a server at this moment; the names of a hold for all certificates
    /// are none.
    pub fn hold(&self, scope: HoldScope<'_>, server: &str, names: &[String]) -> Option<Hold> {
        let same = |hold: &Hold| hold.server == server && hold.names == names;
        read(&self.holds_path(scope, server)).into_iter().find(same)
    }

    /// All that holds back at this moment, each for one certificate or for all of its server.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn holds(&self) -> Result<Vec<(Option<CertName>, Hold)>, StoreError> {
        let mut holds = Vec::new();
        for (folder, _) in entries(&self.accounts())? {
            holds.extend(read(&folder.join("holds.json")).into_iter().map(|hold| (None, hold)));
        }
        for (folder, name) in entries(&self.certs())? {
            if let Ok(cert) = name.parse::<CertName>() {
                let own = read(&folder.join("holds.json")).into_iter();
                holds.extend(own.map(|hold| (Some(cert.clone()), hold)));
            }
        }
        Ok(holds)
    }

    /// Forgets what held back at a server before this moment.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_hold(
        &self,
        scope: HoldScope<'_>,
        server: &str,
        before: Timestamp,
    ) -> Result<(), StoreError> {
        let path = self.holds_path(scope, server);
        if !path.exists() {
            return Ok(());
        }
        let _lock = self.lock_holds(scope, server)?;
        let mut holds = read(&path);
        holds.retain(|hold| hold.server != server || hold.made >= before);
        if holds.is_empty() {
            return remove(&path);
        }
        write_json(&path, &HoldsFile { version: HOLDS_VERSION, holds })
    }

    /// Notes that a server holds back. For one certificate its last word counts, for all of them the one that lasts longest.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_hold(&self, scope: HoldScope<'_>, hold: &Hold) -> Result<(), StoreError> {
        let path = self.holds_path(scope, &hold.server);
        let folder = path.parent().unwrap_or(self.home());
        private_folder(folder).map_err(StoreError::write(folder))?;
        let _lock = self.lock_holds(scope, &hold.server)?;
        let mut holds = read(&path);
        let longer = |other: &Hold| other.server == hold.server && other.until > hold.until;
        if scope == HoldScope::Server && holds.iter().any(longer) {
            return Ok(());
        }
        holds.retain(|other| other.server != hold.server);
        holds.push(hold.clone());
        write_json(&path, &HoldsFile { version: HOLDS_VERSION, holds })
    }
}

/// The holds in a file that have not ended.
fn read(path: &Path) -> Vec<Hold> {
    // One request too many does less harm than a renewal that does not come.
    let file = read_json::<HoldsFile>(path, HOLDS_VERSION).unwrap_or_else(|error| {
        tracing::warn!(%error, "until when a CA wants to be left alone is not readable");
        None
    });
    let now = Timestamp::now();
    file.unwrap_or_default().holds.into_iter().filter(|hold| hold.until > now).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_of_several_processes_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let server = "https://a/";
        // The longest counts: it is lost if two read the same file and the shorter is written last.
        std::thread::scope(|scope| {
            for hours in 1..=16 {
                let store = &store;
                scope.spawn(move || {
                    let until = Timestamp::now() + jiff::SignedDuration::from_hours(hours);
                    let (names, words) = (Vec::new(), hours.to_string());
                    let hold = Hold { server: server.into(), names, made: Timestamp::now(), until, words };
                    store.save_hold(HoldScope::Server, &hold).unwrap();
                });
            }
        });
        assert_eq!(store.hold(HoldScope::Server, server, &[]).unwrap().words, "16");
    }

    #[test]
    fn a_hold_is_for_one_server_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name: CertName = "example.com".parse().unwrap();
        let cert = HoldScope::Certificate(&name);
        let names = vec!["example.com".to_owned()];
        let hold = |server: &str, seconds: i64| Hold {
            server: server.into(),
            names: names.clone(),
            made: Timestamp::now(),
            until: Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap(),
            words: "too many".into(),
        };
        assert_eq!(store.hold(cert, "https://a/", &names), None);
        store.save_hold(cert, &hold("https://a/", 3600)).unwrap();
        store.save_hold(cert, &hold("https://b/", -1)).unwrap();
        assert_eq!(store.hold(cert, "https://a/", &names).unwrap().words, "too many");
        assert_eq!(store.hold(cert, "https://a/", &["other.example".to_owned()]), None);
        assert_eq!(store.hold(cert, "https://b/", &names), None);
        let all = store.holds().unwrap();
        assert_eq!((all.len(), all[0].0.as_ref()), (1, Some(&name)));
        store.remove_hold(cert, "https://a/", Timestamp::MAX).unwrap();
        assert_eq!(store.hold(cert, "https://a/", &names), None);
        // What is for all certificates is kept apart.
        let all = Hold { names: Vec::new(), ..hold("https://a/", 60) };
        store.save_hold(HoldScope::Server, &all).unwrap();
        assert_eq!(store.hold(HoldScope::Server, "https://a/", &[]), Some(all.clone()));
        assert_eq!(store.hold(HoldScope::Server, "https://b/", &[]), None);
        assert_eq!(store.hold(cert, "https://a/", &names), None);
        // A shorter word does not shorten it, and who ordered before it was said knows nothing of it.
        let shorter = Hold { names: Vec::new(), ..hold("https://a/", 30) };
        store.save_hold(HoldScope::Server, &shorter).unwrap();
        store.remove_hold(HoldScope::Server, "https://a/", all.made).unwrap();
        assert_eq!(store.hold(HoldScope::Server, "https://a/", &[]), Some(all));
        store.remove_hold(HoldScope::Server, "https://a/", Timestamp::MAX).unwrap();
        assert_eq!(store.hold(HoldScope::Server, "https://a/", &[]), None);
        // A damaged file holds nothing back.
        store.save_hold(cert, &hold("https://a/", 3600)).unwrap();
        std::fs::write(store.holds_path(cert, "https://a/"), "{").unwrap();
        assert_eq!(store.hold(cert, "https://a/", &names), None);
    }
}

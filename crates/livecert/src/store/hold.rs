//! Until when a CA does not want to be asked for a certificate again: kept, so that the next run does not hammer.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{private_folder, read_json, write_json};
use super::{CertName, Store, StoreError};

const HOLDS_VERSION: u32 = 1;

/// One server's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Directory URL of the server.
    pub server: String,
    /// The names that were asked for.
    pub names: Vec<String>,
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

impl Store {
    fn holds_path(&self, cert: &CertName) -> PathBuf {
        self.cert_folder(cert).join("holds.json")
    }

    fn holds(&self, cert: &CertName, now: Timestamp) -> Vec<Hold> {
        // One request too many does less harm than a renewal that does not come.
        let file = read_json::<HoldsFile>(&self.holds_path(cert), HOLDS_VERSION).unwrap_or_else(|error| {
            tracing::warn!(%error, "until when a CA wants to be left alone is not readable");
            None
        });
        file.unwrap_or_default().holds.into_iter().filter(|hold| hold.until > now).collect()
    }

    /// What holds a certificate for these names back at a server at this moment.
    pub fn hold(&self, cert: &CertName, server: &str, names: &[String]) -> Option<Hold> {
        let same = |hold: &Hold| hold.server == server && hold.names == names;
        self.holds(cert, Timestamp::now()).into_iter().find(same)
    }

    /// Forgets what held a certificate back at a server.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remove_hold(&self, cert: &CertName, server: &str) -> Result<(), StoreError> {
        let path = self.holds_path(cert);
        if !path.exists() {
            return Ok(());
        }
        let mut holds = self.holds(cert, Timestamp::now());
        holds.retain(|hold| hold.server != server);
        if holds.is_empty() {
            return std::fs::remove_file(&path).map_err(StoreError::write(&path));
        }
        write_json(&path, &HoldsFile { version: HOLDS_VERSION, holds })
    }

    /// Notes that a server holds a certificate back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_hold(&self, cert: &CertName, hold: &Hold) -> Result<(), StoreError> {
        let folder = self.cert_folder(cert);
        private_folder(&folder).map_err(StoreError::write(&folder))?;
        let mut holds = self.holds(cert, Timestamp::now());
        holds.retain(|other| other.server != hold.server);
        holds.push(hold.clone());
        write_json(&self.holds_path(cert), &HoldsFile { version: HOLDS_VERSION, holds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_for_one_server_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cert: CertName = "example.com".parse().unwrap();
        let names = vec!["example.com".to_owned()];
        let hold = |server: &str, seconds: i64| Hold {
            server: server.into(),
            names: names.clone(),
            until: Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap(),
            words: "too many".into(),
        };
        assert_eq!(store.hold(&cert, "https://a/", &names), None);
        store.save_hold(&cert, &hold("https://a/", 3600)).unwrap();
        store.save_hold(&cert, &hold("https://b/", -1)).unwrap();
        assert_eq!(store.hold(&cert, "https://a/", &names).unwrap().words, "too many");
        assert_eq!(store.hold(&cert, "https://a/", &["other.example".to_owned()]), None);
        assert_eq!(store.hold(&cert, "https://b/", &names), None);
        store.remove_hold(&cert, "https://a/").unwrap();
        assert_eq!(store.hold(&cert, "https://a/", &names), None);
        // A damaged file holds nothing back.
        store.save_hold(&cert, &hold("https://a/", 3600)).unwrap();
        std::fs::write(store.holds_path(&cert), "{").unwrap();
        assert_eq!(store.hold(&cert, "https://a/", &names), None);
    }
}

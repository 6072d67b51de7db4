//! What was asked of a CA, and what came of it, for its rate limits: `limits/SERVER.jsonl`.
//!
//! The first line names the server. Each other line is one entry, appended and synced; one that was torn by a crash is passed
//! over. It lies beside the accounts, not among them: the CA forgets nothing when a server is removed here.

use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{entries, private_folder, replace};
use super::{Lock, Store, StoreError, server_folder};

pub(super) const ASKED_VERSION: u32 = 1;
/// A file with fewer entries is not worth being written anew.
const WORTH_PRUNING: usize = 1000;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    server: String,
}

/// One thing that was asked of a CA, or came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// URL of the account.
    pub account: String,
    /// What.
    #[serde(flatten)]
    pub what: AskedFor,
}

/// What was asked, or came of it. Names are as in an order, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum AskedFor {
    /// An order is about to be made.
    Order {
        /// Tells it from others.
        id: String,
        /// The certificate's name in the store.
        cert: String,
        /// What it is for.
        names: Vec<String>,
        /// Why not all limits count it.
        exemption: Exemption,
    },
    /// The CA has refused to make the order with this id.
    NoOrder {
        /// The order's.
        id: String,
    },
    /// The order that was noted last for this certificate gives none any more.
    NoCertificate {
        /// The certificate's name in the store.
        cert: String,
    },
    /// A certificate was got.
    Certificate {
        /// URL of its order: whoever was killed after the download gets it again.
        order: String,
        /// The certificate's name in the store.
        cert: String,
        /// What it is for.
        names: Vec<String>,
        /// It renews one that the CA has given before.
        renewal: bool,
    },
    /// Names could not be proved.
    Failure {
        /// Which, without `*.`.
        names: Vec<String>,
    },
}

/// Why limits do not count an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exemption {
    /// They do.
    None,
    /// It renews a certificate with the same names.
    SameNames,
    /// It names the certificate that it replaces (RFC 9773 §5).
    Replaces,
}

/// A file as it is read.
#[derive(Default)]
struct AskedFile {
    /// None where there is none, or none that can be read.
    header: Option<Header>,
    entries: Vec<Asked>,
    /// The last line is whole.
    ends_well: bool,
}

impl Store {
    fn asked_folder(&self) -> PathBuf {
        self.home().join("limits")
    }

    fn asked_path(&self, server: &str) -> PathBuf {
        self.asked_folder().join(format!("{}.jsonl", server_folder(server)))
    }

    /// What was asked of a server, in the order in which it was noted.
    ///
    /// # Errors
    /// The file cannot be read, or is from a newer version.
    pub fn asked(&self, server: &str) -> Result<Vec<Asked>, StoreError> {
        Ok(read(&self.asked_path(server))?.entries)
    }

    /// Directory URLs of the servers that anything was noted about.
    ///
    /// # Errors
    /// A file cannot be read, or is from a newer version.
    pub fn asked_servers(&self) -> Result<Vec<String>, StoreError> {
        let mut servers = Vec::new();
        for (path, name) in entries(&self.asked_folder())? {
            if name.ends_with(".jsonl")
                && let Some(header) = read(&path)?.header
            {
                servers.push(header.server);
            }
        }
        servers.sort();
        Ok(servers)
    }

    /// Notes what `next` makes of all that was noted before; nobody else notes anything meanwhile. Now and then, what `keep`
    /// does not want any more is left out.
    ///
    /// # Errors
    /// Those of `next`; the file cannot be read or written.
    pub fn note_asked<E: From<StoreError>>(
        &self,
        server: &str,
        keep: impl Fn(&Asked) -> bool,
        next: impl FnOnce(&[Asked]) -> Result<Asked, E>,
    ) -> Result<(), E> {
        let folder = self.asked_folder();
        private_folder(&folder).map_err(StoreError::write(&folder))?;
        let _lock = Lock::hold(&self.locks(), &format!("limits@{}", server_folder(server)))?;
        let path = self.asked_path(server);
        let file = read(&path)?;
        let next = next(&file.entries)?;
        let kept = file.entries.iter().filter(|entry| keep(entry));
        let prunes = file.entries.len() >= WORTH_PRUNING && kept.clone().count() * 2 < file.entries.len();
        if file.header.is_some() && !prunes {
            return Ok(append(&path, &next, file.ends_well)?);
        }
        let header = Header { version: ASKED_VERSION, server: server.to_owned() };
        let mut text = line(&path, &header)?;
        for entry in kept.chain([&next]) {
            text.push_str(&line(&path, entry)?);
        }
        Ok(replace(&path, text.as_bytes(), 0o600)?)
    }
}

fn line(path: &Path, value: &impl Serialize) -> Result<String, StoreError> {
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    Ok(serde_json::to_string(value).map_err(damaged)? + "\n")
}

fn append(path: &Path, entry: &Asked, ends_well: bool) -> Result<(), StoreError> {
    let mut text = line(path, entry)?;
    if !ends_well {
        text.insert(0, '\n');
    }
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    write().map_err(StoreError::write(path))
}

fn read(path: &Path) -> Result<AskedFile, StoreError> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(AskedFile::default()),
        read => read.map_err(StoreError::read(path))?,
    };
    let ends_well = text.ends_with(b"\n");
    let mut lines = text.split(|byte| *byte == b'\n');
    let header = lines.next().and_then(|line| serde_json::from_slice::<Header>(line).ok());
    if let Some(header) = &header
        && header.version > ASKED_VERSION
    {
        let (path, found) = (path.to_owned(), header.version);
        return Err(StoreError::NewerVersion { path, found, known: ASKED_VERSION });
    }
    // What cannot be read is not counted: one request too many does less harm than a renewal that does not come.
    let entries = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok(AskedFile { header, entries, ends_well })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "https://ca.example/dir";

    fn failure(at: i64, name: &str) -> Asked {
        let what = AskedFor::Failure { names: vec![name.to_owned()] };
        Asked { at: Timestamp::from_second(at).unwrap(), account: "https://ca.example/1".into(), what }
    }

    fn note(store: &Store, entry: Asked, since: i64) {
        let since = Timestamp::from_second(since).unwrap();
        store.note_asked(SERVER, |entry| entry.at >= since, |_| Ok::<_, StoreError>(entry)).unwrap();
    }

    #[test]
    fn a_torn_line_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        note(&store, failure(1, "a.example"), 0);
        note(&store, failure(2, "b.example"), 0);
        let path = store.asked_path(SERVER);
        let whole = std::fs::read(&path).unwrap();
        let second =
            whole.len() - whole[..whole.len() - 1].iter().rev().position(|b| *b == b'\n').unwrap() - 1;
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            note(&store, failure(3, "c.example"), 0);
            let read = store.asked(SERVER).unwrap();
            assert_eq!(read.last(), Some(&failure(3, "c.example")), "{cut}");
            assert_eq!(store.asked_servers().unwrap(), [SERVER]);
            if cut >= second {
                assert_eq!(read[0], failure(1, "a.example"), "{cut}");
            }
        }
    }

    #[test]
    fn what_several_processes_note_at_once_is_all_there_and_what_is_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        std::thread::scope(|scope| {
            for number in 0..12 {
                let store = &store;
                scope.spawn(move || note(store, failure(number, "a.example"), 0));
            }
        });
        assert_eq!(store.asked(SERVER).unwrap().len(), 12);
        let path = store.asked_path(SERVER);
        let old: String =
            (0..WORTH_PRUNING).map(|_| line(&path, &failure(5, "old.example")).unwrap()).collect();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(&old);
        std::fs::write(&path, text).unwrap();
        note(&store, failure(20, "new.example"), 10);
        let left: Vec<i64> = store.asked(SERVER).unwrap().iter().map(|entry| entry.at.as_second()).collect();
        assert_eq!((left.len(), left.iter().min(), left.last()), (3, Some(&10), Some(&20)));
    }

    #[test]
    fn a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        note(&store, failure(1, "a.example"), 0);
        std::fs::write(store.asked_path(SERVER), "{\"version\": 99, \"server\": \"x\"}\n").unwrap();
        assert!(matches!(store.asked(SERVER), Err(StoreError::NewerVersion { found: 99, .. })));
    }
}

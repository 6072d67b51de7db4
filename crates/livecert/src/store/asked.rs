//! What was asked of a CA, and what came of it, for its rate limits: `limits/SERVER.jsonl`.
//!
//! The first line names the server. Each other line is one entry, appended and synced (that of an order while it is made, and of a
//! certificate beside its files, as far as the file system does so); one that was torn by a crash is passed over. It lies beside the
//! accounts, not among them: the CA forgets nothing when a server is removed here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{begin_sync, entries, private_folder, replace};
use super::{Lock, Store, StoreError, server_folder};

pub(super) const ASKED_VERSION: u32 = 1;
/// A file with fewer entries is not worth being written anew.
const WORTH_PRUNING: usize = 1000;

#[derive(Debug, Serialize, Deserialize)]
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
#[derive(Debug, Default)]
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
        self.with_asked(server, <[Asked]>::to_vec)
    }

    /// What `look` makes of that. Nobody else of this process reads or notes anything meanwhile.
    ///
    /// # Errors
    /// As [`asked`](Self::asked).
    pub(crate) fn with_asked<T>(
        &self,
        server: &str,
        look: impl FnOnce(&[Asked]) -> T,
    ) -> Result<T, StoreError> {
        self.asked_read.with(&self.asked_path(server), |file| look(&file.entries))
    }

    /// Directory URLs of the servers that anything was noted about.
    ///
    /// # Errors
    /// A file cannot be read, or is from a newer version.
    pub fn asked_servers(&self) -> Result<Vec<String>, StoreError> {
        let mut servers = Vec::new();
        for (path, name) in entries(&self.asked_folder())? {
            if name.ends_with(".jsonl")
                && let Some(server) = self
                    .asked_read
                    .with(&path, |file| file.header.as_ref().map(|header| header.server.clone()))?
            {
                servers.push(server);
            }
        }
        servers.sort();
        Ok(servers)
    }

    /// Notes what `next` makes of all that was noted before; nobody else notes anything meanwhile. Now and then, what `keep`
    /// does not want any more is left out. The note is still to be synced.
    ///
    /// # Errors
    /// Those of `next`; the file cannot be read or written.
    pub(crate) fn note_asked<E: From<StoreError>>(
        &self,
        server: &str,
        keep: impl Fn(&Asked) -> bool,
        next: impl FnOnce(&[Asked]) -> Result<Asked, E>,
    ) -> Result<Unsynced, E> {
        let folder = self.asked_folder();
        private_folder(&folder).map_err(StoreError::write(&folder))?;
        let lock = Lock::hold(&self.locks(), &format!("limits@{}", server_folder(server)))?;
        let path = self.asked_path(server);
        let noted = self.asked_read.with(&path, |file| {
            let next = next(&file.entries)?;
            let kept = file.entries.iter().filter(|entry| keep(entry));
            let prunes = file.entries.len() >= WORTH_PRUNING && kept.clone().count() * 2 < file.entries.len();
            if file.header.is_some() && !prunes {
                return Ok(Some(append(&path, &next, file.ends_well)?));
            }
            let header = Header { version: ASKED_VERSION, server: server.to_owned() };
            let mut text = line(&path, &header)?;
            for entry in kept.chain([&next]) {
                text.push_str(&line(&path, entry)?);
            }
            replace(&path, text.as_bytes(), 0o600)?;
            Ok::<_, E>(None)
        })?;
        // Nobody has to wait for the disk who only wants to note something too.
        drop(lock);
        Ok(Unsynced { path, file: noted? })
    }
}

/// A note that may not survive a power loss yet.
#[derive(Debug)]
#[must_use]
pub(crate) struct Unsynced {
    path: PathBuf,
    /// `None` where it is synced already.
    file: Option<File>,
}

impl Unsynced {
    /// Makes it survive one.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(crate) fn sync(self) -> Result<(), StoreError> {
        self.file.map_or(Ok(()), |file| file.sync_data().map_err(StoreError::write(&self.path)))
    }

    /// The same together with others in this store, on a thread that may wait for them.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(crate) fn sync_with_others(self, store: &Store) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        store.syncs.begin().file(file).map_err(StoreError::write(&self.path))
    }
}

fn line(path: &Path, value: &impl Serialize) -> Result<String, StoreError> {
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    Ok(serde_json::to_string(value).map_err(damaged)? + "\n")
}

/// Adds a line to the file, which is still to be synced.
fn append(path: &Path, entry: &Asked, ends_well: bool) -> Result<File, StoreError> {
    let mut text = line(path, entry)?;
    if !ends_well {
        text.insert(0, '\n');
    }
    let write = || -> std::io::Result<File> {
        let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
        file.write_all(text.as_bytes())?;
        begin_sync(&file);
        Ok(file)
    };
    write().map_err(StoreError::write(path))
}

/// What this process has read of the files, so that each time only what was added is read: a run over a thousand certificates
/// looks three times for each of them.
#[derive(Debug, Default)]
pub(super) struct AskedRead(Mutex<HashMap<PathBuf, Read>>);

/// A file as far as it was read.
#[derive(Debug, Default)]
struct Read {
    /// Device and inode: a file that was pruned is another one.
    id: (u64, u64),
    /// Bytes.
    length: u64,
    /// The last of these bytes, by which it is known again.
    last: Vec<u8>,
    file: AskedFile,
}

/// So many bytes tell a file from another one that was given its inode.
const LAST: usize = 64;

impl AskedRead {
    /// The file as it is now.
    fn with<T>(&self, path: &Path, look: impl FnOnce(&AskedFile) -> T) -> Result<T, StoreError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = all.entry(path.to_owned()).or_default();
        if let Err(error) = read.refresh(path) {
            *read = Read::default();
            return Err(error);
        }
        Ok(look(&read.file))
    }
}

impl Read {
    fn refresh(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut opened = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                *self = Read::default();
                return Ok(());
            }
            opened => opened.map_err(StoreError::read(path))?,
        };
        let facts = opened.metadata().map_err(StoreError::read(path))?;
        let id = (facts.dev(), facts.ino());
        if id != self.id || facts.len() < self.length || !self.file.ends_well {
            *self = Read { id, ..Read::default() };
        }
        let mut text = self.rest(&mut opened).map_err(StoreError::read(path))?;
        if !text.starts_with(&self.last) {
            *self = Read { id, ..Read::default() };
            text = self.rest(&mut opened).map_err(StoreError::read(path))?;
        }
        let new = &text[self.last.len()..];
        self.length += new.len() as u64;
        self.file.take(path, new)?;
        self.last = text[text.len().saturating_sub(LAST)..].to_vec();
        Ok(())
    }

    /// What comes after the bytes that were read, with the last of these.
    fn rest(&self, opened: &mut File) -> std::io::Result<Vec<u8>> {
        opened.seek(SeekFrom::Start(self.length - self.last.len() as u64))?;
        let mut text = Vec::new();
        opened.read_to_end(&mut text)?;
        Ok(text)
    }
}

impl AskedFile {
    /// Takes in what was added.
    fn take(&mut self, path: &Path, text: &[u8]) -> Result<(), StoreError> {
        if text.is_empty() {
            return Ok(());
        }
        self.ends_well = text.ends_with(b"\n");
        let mut lines = text.split(|byte| *byte == b'\n');
        if self.header.is_none() && self.entries.is_empty() {
            self.header = lines.next().and_then(|line| serde_json::from_slice::<Header>(line).ok());
        }
        if let Some(header) = &self.header
            && header.version > ASKED_VERSION
        {
            let (path, found) = (path.to_owned(), header.version);
            return Err(StoreError::NewerVersion { path, found, known: ASKED_VERSION });
        }
        // What cannot be read is not counted: one request too many does less harm than a renewal that does not come.
        self.entries.extend(lines.filter_map(|line| serde_json::from_slice::<Asked>(line).ok()));
        Ok(())
    }
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
        let noted = store.note_asked(SERVER, |entry| entry.at >= since, |_| Ok::<_, StoreError>(entry));
        noted.unwrap().sync().unwrap();
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
    fn what_others_note_and_leave_out_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        let path = one.asked_path(SERVER);
        let mut noted = Vec::new();
        for number in 0..20 {
            let store = if number % 3 == 0 { &other } else { &one };
            let entry = failure(number, &format!("host{number}.example"));
            noted.push(entry.clone());
            note(store, entry, 0);
            assert_eq!(
                (one.asked(SERVER).unwrap(), other.asked(SERVER).unwrap()),
                (noted.clone(), noted.clone())
            );
        }
        // Another file in its place, as long as the old one, with or without its inode.
        let text = std::fs::read_to_string(&path).unwrap().replace("host3.", "host9.");
        replace(&path, text.as_bytes(), 0o600).unwrap();
        assert!(!one.asked(SERVER).unwrap().contains(&noted[3]));
        std::fs::write(&path, text.replace("host19.", "host18.")).unwrap();
        let last = one.asked(SERVER).unwrap().pop();
        assert!(matches!(last.unwrap().what, AskedFor::Failure { names } if names == ["host18.example"]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(one.asked(SERVER).unwrap(), []);
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

//! Whom a certificate's files belong to, and whether they can be reached.
//!
//! Folders stay with whoever runs livecert: who may replace a state file could have livecert run what they like. They
//! are opened just as far as the readers of the files need it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::file::entries;
use super::generation::{FILES, generations};
use super::{Lock, OutputRecord, StoreError};

/// What files with the key may allow at most: to be written by their owner alone, and nothing to everybody.
const KEY_LIMIT: u32 = 0o640;
/// What files without the key may allow at most.
const CERT_LIMIT: u32 = 0o644;

/// Whom the files of a certificate are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    owner: Option<Named>,
    group: Option<Named>,
    key_mode: u32,
    cert_mode: u32,
    /// Everybody is to read what has no key in it.
    public: bool,
}

/// An id, and the word that it was given by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    id: u32,
    word: String,
}

/// Why files cannot be given to somebody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// No such user.
    #[error("there is no user '{0}' on this machine")]
    UnknownUser(String),
    /// No such group.
    #[error("there is no group '{0}' on this machine")]
    UnknownGroup(String),
    /// The users and groups of this machine cannot be read.
    #[error("the users and groups of this machine cannot be looked up")]
    Lookup(#[source] io::Error),
    /// No permission bits.
    #[error("'{0}' are no permission bits in octal, such as 0640")]
    NoMode(String),
    /// Permission bits with which everybody reads the key.
    #[error("with the mode {0} every user of this machine could read the private key")]
    KeyForEverybody(String),
    /// Permission bits that nobody needs.
    #[error("the mode {mode} cannot be used: {most:04o} is the most, and the owner has to read")]
    Mode {
        /// The bits.
        mode: String,
        /// The most that is possible.
        most: u32,
    },
    /// The system does not let this process give files away.
    #[error("files cannot be given to {to} by this user")]
    NotAllowed {
        /// Whom they were to be given to.
        to: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// A folder that keeps somebody from the files that are for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Who cannot enter, such as `the user www-data`.
    pub who: String,
    /// The folder.
    pub folder: PathBuf,
    /// Which permission bit is missing there, as `chmod` takes it.
    pub missing: &'static str,
}

impl Default for Access {
    /// The key for whoever runs livecert alone.
    fn default() -> Self {
        Access { owner: None, group: None, key_mode: 0o600, cert_mode: 0o644, public: false }
    }
}

impl Access {
    /// Looks up the names and reads the modes.
    ///
    /// # Errors
    /// A user or group that is not there, or a mode that cannot be used.
    pub fn resolve(record: &OutputRecord) -> Result<Self, AccessError> {
        let failed = |error: nix::Error| AccessError::Lookup(error.into());
        let named = |word: &String, id: u32| Named { id, word: word.clone() };
        let owner = |word: &String| match word.parse() {
            Ok(id) => Ok(named(word, id)),
            Err(_) => match User::from_name(word).map_err(failed)? {
                Some(user) => Ok(named(word, user.uid.as_raw())),
                None => Err(AccessError::UnknownUser(word.clone())),
            },
        };
        let group = |word: &String| match word.parse() {
            Ok(id) => Ok(named(word, id)),
            Err(_) => match Group::from_name(word).map_err(failed)? {
                Some(group) => Ok(named(word, group.gid.as_raw())),
                None => Err(AccessError::UnknownGroup(word.clone())),
            },
        };
        // A group that cannot read the key would have been given for nothing.
        let usual = if record.group.is_some() { 0o640 } else { 0o600 };
        let cert_mode = record.cert_mode.as_deref().map(cert_mode).transpose()?;
        Ok(Access {
            owner: record.owner.as_ref().map(owner).transpose()?,
            group: record.group.as_ref().map(group).transpose()?,
            key_mode: record.key_mode.as_deref().map_or(Ok(usual), key_mode)?,
            cert_mode: cert_mode.unwrap_or(0o644),
            public: cert_mode.is_some_and(|mode| mode & 0o004 != 0),
        })
    }

    /// Tries in `folder` whether files can be given away as asked for. Rights alone do not tell.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn probe(&self, folder: &Path) -> Result<(), AccessError> {
        let Some(to) = self.names() else { return Ok(()) };
        let given = || -> io::Result<()> {
            let file = tempfile::Builder::new().prefix(super::file::TEMPORARY).tempfile_in(folder)?;
            self.give(file.as_file(), true)
        };
        given().map_err(|source| AccessError::NotAllowed { to, source })
    }

    /// Whom the files are given to, in words.
    fn names(&self) -> Option<String> {
        let owner = self.owner.as_ref().map(|owner| format!("the user {}", owner.word));
        let group = self.group.as_ref().map(|group| format!("the group {}", group.word));
        match (owner, group) {
            (Some(owner), Some(group)) => Some(format!("{owner} and {group}")),
            (owner, group) => owner.or(group),
        }
    }

    /// Gives a new file, which nobody else can open yet, its owner, its group, and then its mode.
    pub(super) fn give(&self, file: &File, secret: bool) -> io::Result<()> {
        let id = |named: &Option<Named>| named.as_ref().map(|named| named.id);
        if self.owner.is_some() || self.group.is_some() {
            fchown(file, id(&self.owner), id(&self.group))?;
        }
        let mode = if secret { self.key_mode } else { self.cert_mode };
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    }

    /// Whether the files belong to somebody who does not run livecert.
    fn stranger(&self) -> Option<&Named> {
        self.owner.as_ref().filter(|owner| owner.id != Uid::effective().as_raw())
    }

    /// Whether somebody else than who runs livecert is to reach the files.
    pub(super) fn is_shared(&self) -> bool {
        self.stranger().is_some() || self.group.is_some() || self.public
    }

    /// Whether the key's file gets another owner, group or mode than that of a secret.
    pub(super) fn changes_key(&self) -> bool {
        self.owner.is_some() || self.group.is_some() || self.key_mode != 0o600
    }

    /// What the folders of the certificate allow: a group sees what is there, others pass through.
    fn folder_mode(&self) -> u32 {
        let group = if self.group.is_some() { 0o050 } else { 0 };
        let others = if self.stranger().is_some() || self.public { 0o011 } else { 0 };
        0o700 | group | others
    }

    /// Opens a folder of the certificate for the readers of its files, or closes it.
    fn open(&self, folder: &Path) -> Result<(), StoreError> {
        let set = |mode| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode));
        let open = || -> io::Result<()> {
            let before = std::fs::metadata(folder)?;
            let (mode, gid) = (before.mode() & 0o7777, before.gid());
            let group = self.group.as_ref().map(|group| group.id).filter(|group| *group != gid);
            if let Some(group) = group {
                // What the old group was allowed is not for the new one before all is in place.
                set(0o700)?;
                chown(folder, None, Some(group))?;
            } else if mode == self.folder_mode() {
                return Ok(());
            }
            set(self.folder_mode())
        };
        open().map_err(StoreError::write(folder))
    }

    /// Opens the folder of a generation with those that it is in, for the readers of its files: first the certificate's, then
    /// that of all certificates and the state folder.
    pub(super) fn open_all(&self, cert: &Path, generation: &Path) -> Result<(), StoreError> {
        // Who closes the ways looks at the certificates first, and must not miss this one.
        let _lock =
            cert.ancestors().nth(2).filter(|_| self.is_shared()).map(hold_ways).transpose()?.flatten();
        for folder in [generation, &generations(cert), cert] {
            self.open(folder)?;
        }
        cert.ancestors().skip(1).take(2).for_each(|folder| self.open_way(folder));
        Ok(())
    }

    /// Lets everybody pass through a folder above the certificates, if these are shared; nobody sees what is in it.
    fn open_way(&self, folder: &Path) {
        let open = || -> io::Result<()> {
            let mode = std::fs::metadata(folder)?.mode() & 0o7777;
            if self.is_shared() && mode & 0o011 != 0o011 {
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode | 0o011))?;
            }
            Ok(())
        };
        // Whoever it keeps out is told of, as for the folders that are not ours.
        if let Err(error) = open() {
            tracing::debug!(folder = %folder.display(), %error, "the folder cannot be opened");
        }
    }

    /// The folders that keep somebody from `path`, whom the files in it are for. Only permission bits are looked at.
    pub fn obstacles(&self, path: &Path) -> Vec<Obstacle> {
        let Ok(path) = path.canonicalize() else { return Vec::new() };
        let mut obstacles = Vec::new();
        for folder in path.ancestors() {
            let Ok(metadata) = folder.metadata() else { continue };
            let mut look = |who: String, passer: &Passer| {
                if let Some(missing) = passer.lacks(&metadata) {
                    obstacles.push(Obstacle { who, folder: folder.to_owned(), missing });
                }
            };
            if let Some(owner) = self.stranger() {
                look(format!("the user {}", owner.word), &Passer::user(owner.id));
            }
            if let Some(group) = &self.group {
                look(format!("the group {}", group.word), &Passer { user: None, groups: vec![group.id] });
            }
            if self.public {
                look("everybody".to_owned(), &Passer { user: None, groups: Vec::new() });
            }
        }
        // From the root on, as one would walk.
        obstacles.reverse();
        obstacles
    }
}

/// Has the folders that all certificates are in for a while, to open or to close them; `None` where nothing is locked, as in
/// a rehearsal.
pub(super) fn hold_ways(home: &Path) -> Result<Option<Lock>, StoreError> {
    // '@' is in no certificate's name.
    let locks = Some(home.join("locks")).filter(|locks| locks.is_dir());
    locks.map(|locks| Lock::hold(&locks, "folders@home")).transpose()
}

/// Whether somebody else than who runs livecert can come into a folder.
pub(super) fn is_open(folder: &Path) -> bool {
    // What cannot be seen may be.
    std::fs::metadata(folder).map_or(true, |folder| folder.mode() & 0o077 != 0)
}

/// Closes the generations whose files are for others than those of the current one: they may hold the same key, and who
/// was to read it yesterday is not to read it today. Those with the same rights stay open for readers that are still at it.
pub(super) fn close_others(cert: &Path, current: u32) {
    let all = entries(&generations(cert)).unwrap_or_default();
    let Some((current, _)) = all.iter().find(|(_, name)| *name == current.to_string()) else { return };
    let rights = rights(current);
    for (folder, name) in &all {
        if name.parse::<u32>().is_err()
            || folder == current
            || !is_open(folder)
            || self::rights(folder) == rights
        {
            continue;
        }
        let close = || -> io::Result<()> {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
            // Nobody has a use for it any more, so that it cannot be given back is no trouble.
            let _ = chown(folder, None, Some(Gid::effective().as_raw()));
            Ok(())
        };
        if let Err(error) = close() {
            tracing::warn!(folder = %folder.display(), %error, "those who had the files before can still read them here");
        }
    }
}

/// Mode, owner and group of a generation's folder, of its key and of its certificate.
fn rights(generation: &Path) -> [Option<(u32, u32, u32)>; 3] {
    let of = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.mode() & 0o7777, found.uid(), found.gid()))
    };
    [of(generation), of(&generation.join(FILES[0])), of(&generation.join(FILES[1]))]
}

/// Takes back from folders what [`Access::open_all`] gave.
pub(super) fn close_way(folders: &[PathBuf]) {
    for folder in folders {
        let close = || -> io::Result<()> {
            // Another mode was set by somebody who had a reason.
            if std::fs::metadata(folder)?.mode() & 0o7777 == 0o711 {
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
            }
            Ok(())
        };
        if let Err(error) = close() {
            tracing::debug!(folder = %folder.display(), %error, "the folder cannot be closed");
        }
    }
}

/// Somebody on the way to a file.
struct Passer {
    user: Option<u32>,
    groups: Vec<u32>,
}

impl Passer {
    fn user(id: u32) -> Self {
        // A number without a name has the groups that its process is started with: none that we know of.
        let groups = User::from_uid(Uid::from_raw(id)).ok().flatten().and_then(|user| {
            let name = std::ffi::CString::new(user.name).ok()?;
            nix::unistd::getgrouplist(&name, user.gid).ok()
        });
        let groups = groups.unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        Passer { user: Some(id), groups }
    }

    /// The bit without which the folder cannot be entered.
    fn lacks(&self, folder: &std::fs::Metadata) -> Option<&'static str> {
        let (bit, missing) = if self.user == Some(0) {
            return None;
        } else if self.user == Some(folder.uid()) {
            (0o100, "u+x")
        } else if self.groups.contains(&folder.gid()) {
            (0o010, "g+x")
        } else {
            (0o001, "o+x")
        };
        (folder.mode() & bit == 0).then_some(missing)
    }
}

/// Permission bits of files with the key.
///
/// # Errors
/// Not octal, or more than owner and group may have.
pub fn key_mode(text: &str) -> Result<u32, AccessError> {
    let mode = octal(text)?;
    if mode & 0o007 != 0 {
        return Err(AccessError::KeyForEverybody(text.to_owned()));
    }
    within(text, mode, KEY_LIMIT)
}

/// Permission bits of files without the key.
///
/// # Errors
/// Not octal, or with the right to write for others than the owner.
pub fn cert_mode(text: &str) -> Result<u32, AccessError> {
    within(text, octal(text)?, CERT_LIMIT)
}

fn octal(text: &str) -> Result<u32, AccessError> {
    let wrong = || AccessError::NoMode(text.to_owned());
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if digits { u32::from_str_radix(text, 8).map_err(|_| wrong()) } else { Err(wrong()) }
}

fn within(text: &str, mode: u32, most: u32) -> Result<u32, AccessError> {
    if mode & !most == 0 && mode & 0o400 != 0 {
        return Ok(mode);
    }
    Err(AccessError::Mode { mode: text.to_owned(), most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: Option<&str>, group: Option<&str>) -> OutputRecord {
        let word = |word: Option<&str>| word.map(str::to_owned);
        OutputRecord { owner: word(owner), group: word(group), ..OutputRecord::default() }
    }

    #[test]
    fn names_and_numbers_are_resolved() {
        let root = Access::resolve(&record(Some("root"), Some("0"))).unwrap();
        assert_eq!((root.owner.unwrap().id, root.group.unwrap().id, root.key_mode), (0, 0, 0o640));
        let alone = Access::resolve(&record(Some("4711"), None)).unwrap();
        assert_eq!((alone.owner.as_ref().unwrap().id, alone.key_mode), (4711, 0o600));
        assert_eq!((alone.folder_mode(), Access::default().folder_mode()), (0o711, 0o700));
        assert!(matches!(
            Access::resolve(&record(Some("no-such-user"), None)),
            Err(AccessError::UnknownUser(name)) if name == "no-such-user"
        ));
        assert!(matches!(
            Access::resolve(&record(None, Some("no-such-group"))),
            Err(AccessError::UnknownGroup(_))
        ));
    }

    #[test]
    fn modes_never_let_everybody_read_a_key_or_anybody_else_write() {
        for good in ["600", "0640", "0440", "400"] {
            assert!(key_mode(good).is_ok(), "{good}");
        }
        for open in ["0644", "0604", "777", "0641"] {
            assert!(matches!(key_mode(open), Err(AccessError::KeyForEverybody(_))), "{open}");
        }
        for wrong in ["0660", "0040", "4640", "0740"] {
            assert!(matches!(key_mode(wrong), Err(AccessError::Mode { .. })), "{wrong}");
        }
        for wrong in ["", "64", "rw-r-----", "0o640", "0888", "00640", "-640", "+640"] {
            assert!(matches!(key_mode(wrong), Err(AccessError::NoMode(_))), "{wrong}");
        }
        assert_eq!(cert_mode("0644").unwrap(), 0o644);
        assert!(cert_mode("0664").is_err() && cert_mode("0755").is_err());
    }

    #[test]
    fn a_folder_in_the_way_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(folder.path(), 0o700);
        set(&inner, 0o711);
        let access = Access::resolve(&record(Some("4711"), Some("4712"))).unwrap();
        let found = |access: &Access| {
            let all = access.obstacles(&inner).into_iter();
            let ours = all.filter(|one| one.folder.starts_with(folder.path().canonicalize().unwrap()));
            ours.map(|one| (one.who, one.missing)).collect::<Vec<_>>()
        };
        let (user, group) = ("the user 4711".to_owned(), "the group 4712".to_owned());
        assert_eq!(found(&access), [(group.clone(), "o+x"), (user, "o+x")]);
        set(folder.path(), 0o711);
        assert_eq!(found(&access), []);
        // A folder with a group of its own allows others what it does not allow that one.
        let own = folder.path().metadata().unwrap().gid().to_string();
        set(folder.path(), 0o701);
        let member = Access::resolve(&record(None, Some(&own))).unwrap();
        assert_eq!(found(&member), [(format!("the group {own}"), "g+x")]);
        assert_eq!(found(&Access::default()), []);
    }
}

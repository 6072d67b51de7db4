//! Files that are either the old one or the new one, never half of each.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::StoreError;
use super::sync::{Round, Syncs};

/// Temporary files carry this prefix, so that what a killed process left behind is known for what it is.
pub(super) const TEMPORARY: &str = ".livecert-";

/// Replaces `path` by `bytes`: temporary file in the same folder, fsync, rename, fsync of the folder.
/// The file has the mode.
///
/// # Errors
/// It cannot be written; what was there before is still whole.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    replace_as(path, bytes, |file| set_mode(file, mode))
}

fn set_mode(file: &File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// The same for a file whose owner and mode are set by `settle`. Until then it is for whoever runs livecert alone,
/// whatever the umask says.
pub(super) fn replace_as(
    path: &Path,
    bytes: &[u8],
    settle: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<(), StoreError> {
    let staged = stage_as(path, bytes, settle)?;
    staged.sync()?;
    staged.put()?;
    sync_folder(folder_of(path)).map_err(StoreError::write(path))
}

/// Puts `bytes` in the place of a file that is worth nothing, or of none, with one wait for the disk where [`replace`] needs two:
/// the rename comes before the sync. A power loss in between may leave it cut off, for [`if_whole`].
fn replace_then_sync(path: &Path, bytes: &[u8], syncs: &Syncs) -> Result<(), StoreError> {
    let write = || {
        let file = put(path, bytes)?;
        begin_sync(&file);
        let round = syncs.begin();
        round.file(&file)?;
        round.folder_of_all(folder_of(path)).map(drop)
    };
    write().map_err(StoreError::write(path))
}

/// Puts `bytes` in the place of a file (mode 0600): for other processes either the old one or the new one is there. It is still to be
/// synced.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<File> {
    beside_place(path, bytes)?.persist(path).map_err(|error| error.error)
}

/// A temporary file (mode 0600) with these bytes, in the folder of the one that it is for.
fn beside_place(path: &Path, bytes: &[u8]) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    Ok(file)
}

/// The folder that a file is in. A name alone has an empty parent, which is no folder.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Writes a file of which nobody takes half for the whole, in the place of what a dead process may have left there. Owner
/// and mode are set by `settle`. The file and the folder are still to be synced.
pub(super) fn write_new(
    path: &Path,
    bytes: &[u8],
    settle: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<File, StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    remove(path)?;
    let write = || -> std::io::Result<File> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        settle(&file)?;
        Ok(file)
    };
    write().map_err(StoreError::write(path))
}

/// Has the system begin to write a file, without waiting for it: syncs of several files that follow wait for the disk once, and not
/// once for each of them.
pub(super) fn begin_sync(file: &File) {
    // What is not needed in memory is written soon. It is advice, so an error is of no consequence.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

/// Writes a secret for its owner's eyes alone (mode 0600): the file is either the old one or the new one.
///
/// # Errors
/// It cannot be written; the old file is still whole.
pub fn write_secret(path: &Path, secret: &[u8]) -> Result<(), StoreError> {
    replace(path, secret, 0o600)
}

/// Writes a secret as [`write_secret`] does, behind the link if `path` is one: whoever made it wants the file behind it to
/// change. Where root writes for somebody else, what was there before stays theirs.
///
/// # Errors
/// It cannot be written, or the link leads nowhere; the old file is still whole.
pub fn overwrite_secret(path: &Path, secret: &[u8]) -> Result<(), StoreError> {
    let path = &match path.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => path.to_owned(),
        found => found.map_err(StoreError::write(path))?,
    };
    #[cfg(unix)]
    let owner = std::fs::metadata(path).ok();
    write_secret(path, secret)?;
    #[cfg(unix)]
    if let Some(owner) = owner {
        use std::os::unix::fs::MetadataExt;
        let _ = std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(())
}

/// Puts a secret in the place of the one in `path`, which goes into a file beside it (`.old`). Gives that file's path.
///
/// # Errors
/// It cannot be written; the secret in `path` is still the old one.
pub fn replace_secret(path: &Path, secret: &[u8]) -> Result<PathBuf, StoreError> {
    let path = &path.canonicalize().map_err(StoreError::read(path))?;
    let before = std::fs::read(path).map_err(StoreError::read(path))?;
    let mut old = path.file_name().unwrap_or_default().to_owned();
    old.push(".old");
    let old = path.with_file_name(old);
    write_secret(&old, &before)?;
    overwrite_secret(path, secret)?;
    Ok(old)
}

/// What is in a folder, with its names; nothing if it is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<(PathBuf, String)>, StoreError> {
    let listed = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(StoreError::read(folder))?,
    };
    let mut found = Vec::new();
    for entry in listed {
        let path = entry.map_err(StoreError::read(folder))?.path();
        // Whatever we made has a name that is text.
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            let name = name.to_owned();
            found.push((path, name));
        }
    }
    Ok(found)
}

/// Removes a file; that it is not there is as good.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::write(path)),
    }
}

/// Removes a folder with all that is in it; that it is not there is as good.
pub(super) fn remove_tree(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::write(path)),
    }
}

/// Removes temporary files of dead processes from a folder in which nobody else writes at the moment.
pub(super) fn remove_temporaries(folder: &Path) -> Result<(), StoreError> {
    for (path, name) in entries(folder)? {
        if name.starts_with(TEMPORARY) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Makes renames and new names in `folder` survive a power loss.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder (and its parents) that only its owner can enter.
pub(super) fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Writes a state file, as JSON that a person can read. One of another version that is in its place is kept beside it, as
/// is one that cannot be read.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    replace(path, text_for(path, value, Worth::Precious)?.as_bytes(), 0o600)
}

/// The same for a file in whose place there is nothing of worth: what a power loss leaves of it is for [`if_whole`].
pub(super) fn write_first_json<T: Serialize>(
    path: &Path,
    value: &T,
    syncs: &Syncs,
) -> Result<(), StoreError> {
    replace_then_sync(path, text_for(path, value, Worth::Fleeting)?.as_bytes(), syncs)
}

/// The same for what can be asked for again, and is not worth a wait for the disk. What a power loss leaves of it is for
/// [`if_whole`].
pub(super) fn write_json_unsynced<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let text = text_for(path, value, Worth::Fleeting)?;
    put(path, text.as_bytes()).map(drop).map_err(StoreError::write(path))
}

/// A file of the state folder that lies beside its place, so that others can be synced with it, and it comes into force with
/// them. When this value goes before, it is gone.
#[derive(Debug)]
#[must_use]
pub struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

/// Writes one with this mode, and begins to sync it.
pub(super) fn stage(path: &Path, bytes: &[u8], mode: u32) -> Result<Staged, StoreError> {
    let staged = stage_as(path, bytes, |file| set_mode(file, mode))?;
    begin_sync(staged.file.as_file());
    Ok(staged)
}

/// Writes one whose owner and mode are set by `settle`.
fn stage_as(
    path: &Path,
    bytes: &[u8],
    settle: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<Staged, StoreError> {
    let write = || {
        let file = beside_place(path, bytes)?;
        settle(file.as_file())?;
        Ok(Staged { file, path: path.to_owned() })
    };
    write().map_err(StoreError::write(path))
}

/// The same for what [`write_json`] would write.
pub(super) fn stage_json<T: Serialize>(path: &Path, value: &T) -> Result<Staged, StoreError> {
    stage(path, text_for(path, value, Worth::Precious)?.as_bytes(), 0o600)
}

impl Staged {
    /// Makes what is in it survive a power loss.
    fn sync(&self) -> Result<(), StoreError> {
        self.file.as_file().sync_all().map_err(StoreError::write(&self.path))
    }

    /// The same together with others.
    pub(super) fn sync_in(&self, round: &Round<'_>) -> Result<(), StoreError> {
        round.file(self.file.as_file()).map_err(StoreError::write(&self.path))
    }

    /// Puts it into its place. The folder is still to be synced.
    pub(super) fn put(self) -> Result<(), StoreError> {
        let Staged { file, path } = self;
        file.persist(&path).map(drop).map_err(|error| StoreError::write(&path)(error.error))
    }
}

/// What was read of a file that is not synced: one that a power loss has cut off is as good as none.
pub(super) fn if_whole<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Damaged { source, .. }) if source.is_eof() => Ok(None),
        read => read,
    }
}

/// What a state file is worth when it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// A person may still mend it.
    Precious,
    /// What was in it can be asked for again.
    Fleeting,
}

/// The text of a state file that is about to be written, after what is in its place was kept where it has to be: one of another
/// version, and a damaged one if it is precious.
fn text_for<T: Serialize>(path: &Path, value: &T, worth: Worth) -> Result<String, StoreError> {
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    let text = json_text(path, value)?;
    if let Ok(old) = std::fs::read(path) {
        match version(&old) {
            Ok(old_version) if old_version == version(text.as_bytes()).map_err(damaged)? => {}
            Ok(old_version) => replace(&beside(path, &format!("v{old_version}")), &old, 0o600)?,
            Err(_) => match worth {
                Worth::Precious => replace(&beside(path, "damaged"), &old, 0o600)?,
                Worth::Fleeting => {}
            },
        }
    }
    Ok(text)
}

/// A state file's text, as a person can read it.
pub(super) fn json_text<T: Serialize>(path: &Path, value: &T) -> Result<String, StoreError> {
    let damaged = |source| StoreError::Damaged { path: path.to_owned(), source };
    let mut text = serde_json::to_string_pretty(value).map_err(damaged)?;
    text.push('\n');
    Ok(text)
}

/// Reads a state file of at most version `known`, and gives an older one as one of that version; `None` if it is not there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, known: u32) -> Result<Option<T>, StoreError> {
    json(File::open(path), || path.to_owned(), known)
}

/// The same for a file that was opened, whose path is for what is said of it.
fn json<T: DeserializeOwned>(
    opened: std::io::Result<File>,
    path: impl Fn() -> PathBuf,
    known: u32,
) -> Result<Option<T>, StoreError> {
    let Some(text) = read(opened).map_err(|error| StoreError::read(&path())(error))? else { return Ok(None) };
    let read = parsed(&text, &path, known);
    if let Err(StoreError::Damaged { .. }) = &read
        && let Some(end) = text.iter().position(|byte| *byte == 0)
    {
        // A power loss may leave zeros in the place of what was not written yet: it is cut off there.
        return parsed(&text[..end], &path, known).map(Some);
    }
    read.map(Some)
}

fn parsed<T: DeserializeOwned>(
    text: &[u8],
    path: &impl Fn() -> PathBuf,
    known: u32,
) -> Result<T, StoreError> {
    let damaged = |source| StoreError::Damaged { path: path(), source };
    // The version first: a newer file need not look like ours in anything else.
    let found = if begins_as(text, known) { known } else { version(text).map_err(damaged)? };
    if found > known {
        return Err(StoreError::NewerVersion { path: path(), found, known });
    }
    if found == known {
        return serde_json::from_slice(text).map_err(damaged);
    }
    // What an older layout lacks has a default that means the same.
    let mut value: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(damaged)?;
    value.insert("version".to_owned(), known.into());
    serde_json::from_value(value.into()).map_err(damaged)
}

/// A file as it is; `None` if it is not there. State files are small, and there may be tens of thousands of them: the system
/// is not asked for a length first.
fn read(opened: std::io::Result<File>) -> std::io::Result<Option<Vec<u8>>> {
    let file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::with_capacity(2048);
    rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text))?;
    // What ends like this is whole: inside of an object, a brace does not begin a line. Anything else is read on.
    if !text.ends_with(b"\n}\n") {
        // A `Take` is not asked for its length by the library either.
        file.take(u64::MAX).read_to_end(&mut text)?;
    }
    Ok(Some(text))
}

/// A folder from which several files are read: the way to it is gone once, and not for each of them.
pub(super) struct Folder {
    path: PathBuf,
    opened: OwnedFd,
}

impl Folder {
    /// Opens a folder; `None` if it is not there.
    pub(super) fn open(path: PathBuf) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(opened) => Ok(Some(Folder { path, opened })),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(StoreError::read(&path)(error.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// [`read_json`] for a file below the folder.
    pub(super) fn read_json<T: DeserializeOwned>(
        &self,
        file: &str,
        known: u32,
    ) -> Result<Option<T>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.opened, file, flags, Mode::empty());
        json(opened.map(File::from).map_err(std::io::Error::from), || self.path.join(file), known)
    }

    /// Where a link in the folder leads to; `None` if there is none.
    pub(super) fn link(&self, name: &str) -> Result<Option<PathBuf>, StoreError> {
        match rustix::fs::readlinkat(&self.opened, name, Vec::new()) {
            Ok(target) => Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes())))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StoreError::read(&self.path.join(name))(error.into())),
        }
    }
}

/// Whether a text begins as a state file of this version is written here. One that is written otherwise may be of it all the same, but
/// has to be gone through for it.
fn begins_as(text: &[u8], version: u32) -> bool {
    let rest = text.strip_prefix(b"{\n  \"version\": ");
    let rest = rest.and_then(|rest| rest.strip_prefix(version.to_string().as_bytes()));
    rest.is_some_and(|rest| rest.starts_with(b",\n"))
}

/// The version that a state file says it has. It has to be an object: serde would take an array for a struct, too.
fn version(text: &[u8]) -> Result<u32, serde_json::Error> {
    serde_json::from_slice(text).map(|Version(version)| version)
}

/// The version alone: the rest is passed over, and not kept.
struct Version(u32);

/// A field of a state file.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Version,
    #[serde(other)]
    Another,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Version;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with a version")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Version, A::Error> {
                let mut version = None;
                while let Some(field) = fields.next_key()? {
                    match field {
                        Field::Version => version = Some(fields.next_value()?),
                        Field::Another => fields.next_value::<IgnoredAny>().map(drop)?,
                    }
                }
                version.map(Version).ok_or_else(|| serde::de::Error::missing_field("version"))
            }
        }
        from.deserialize_map(Fields)
    }
}

/// `certificate.json.v2` for `certificate.json`.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

/// The copy of a state file that was kept when a newer livecert first wrote it: the newest of them.
pub(super) fn backup(path: &Path) -> Option<PathBuf> {
    let stem = beside(path, "v");
    let stem = stem.file_name()?.to_str()?.to_owned();
    let versions = entries(path.parent()?).ok()?.into_iter().filter_map(|(path, name)| {
        let version: u32 = name.strip_prefix(&stem)?.parse().ok()?;
        Some((version, path))
    });
    versions.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_here_is_known_by_its_beginning() {
        #[derive(Serialize)]
        struct State {
            version: u32,
            more: [u32; 2],
        }
        let text = json_text("state.json".as_ref(), &State { version: 12, more: [1, 2] }).unwrap();
        let text = text.as_bytes();
        assert_eq!(version(text).unwrap(), 12);
        assert!(begins_as(text, 12));
        assert!(!begins_as(text, 1) && !begins_as(text, 123) && !begins_as(b"{\"version\":12,\n", 12));
    }

    #[test]
    fn a_file_of_any_length_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, 100, 2043, 2044, 2045, 2046, 2047, 2048, 2049, 2050, 5000] {
            // The end of an object falls on each place around the first read's end.
            for text in ["x".repeat(length) + "\n}\n", "x".repeat(length), "\n}\n".repeat(length / 3)] {
                std::fs::write(&path, &text).unwrap();
                let whole = read(File::open(&path)).unwrap().unwrap();
                assert_eq!(whole, text.as_bytes(), "{length}");
            }
        }
    }
}

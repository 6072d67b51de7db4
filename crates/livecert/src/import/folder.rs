//! A folder that somebody else has written. Its files are taken for hostile: links may lead anywhere or in circles, names
//! may climb, files may be huge, devices, or not what their names say.

use std::cell::Cell;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::ImportError;

/// The largest file that is read, in bytes: a chain takes some kilobytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The most names that are read in all. Links may lead in circles, so a depth alone is no bound.
const MAX_NAMES: usize = 200_000;
/// The most octets that are read in all.
const MAX_READ: u64 = 256 * 1024 * 1024;

/// A client's folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// Without links, so that what leaves it can be told.
    root: PathBuf,
    /// How many names may still be read.
    names_left: Cell<usize>,
    /// How many octets may still be read.
    octets_left: Cell<u64>,
}

/// Why a file in the folder cannot be used. Paths are those below the folder; nothing of a file's content is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    #[error("{} leads out of the folder, and is not followed", .0.display())]
    Outside(PathBuf),
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is larger than {} KiB", .0.display(), MAX_FILE / 1024)]
    TooLarge(PathBuf),
    #[error("{} is not read: there is more in the folder than any client has", .0.display())]
    TooMuch(PathBuf),
    #[error("{} is not text", .0.display())]
    NotText(PathBuf),
    #[error("{} is not the JSON that was expected (line {line}, column {column})", path.display())]
    Json { path: PathBuf, line: usize, column: usize },
    #[error("{} cannot be read: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Folder { path: path.to_owned(), source };
        let root = path.canonicalize().map_err(failed)?;
        fs::read_dir(&root).map_err(failed)?;
        Ok(Folder { root, names_left: Cell::new(MAX_NAMES), octets_left: Cell::new(MAX_READ) })
    }

    /// The folder's own path, without links.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is a folder of this name, inside.
    pub(super) fn has_folder(&self, below: impl AsRef<Path>) -> bool {
        self.inside(below.as_ref()).is_ok_and(|path| path.is_dir())
    }

    /// Whether there is something of this name, wherever it leads.
    pub(super) fn has(&self, below: impl AsRef<Path>) -> bool {
        self.root.join(below).symlink_metadata().is_ok()
    }

    /// The names in a folder, sorted; none if there is no such folder.
    pub(super) fn names(&self, below: impl AsRef<Path>) -> Result<Vec<String>, Unreadable> {
        let below = below.as_ref();
        let path = match self.inside(below) {
            Ok(path) => path,
            Err(Unreadable::Missing(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let failed = |source| Unreadable::Io { path: below.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let Some(left) = self.names_left.get().checked_sub(1) else {
                return Err(Unreadable::TooMuch(below.to_owned()));
            };
            self.names_left.set(left);
            // A name that is not UTF-8 is none that a client has made.
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// The content of a file; `None` if there is no such file.
    pub(super) fn find(&self, below: impl AsRef<Path>) -> Result<Option<Zeroizing<String>>, Unreadable> {
        match self.text(below) {
            Ok(text) => Ok(Some(text)),
            Err(Unreadable::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The content of a file that must be there.
    pub(super) fn text(&self, below: impl AsRef<Path>) -> Result<Zeroizing<String>, Unreadable> {
        let below = below.as_ref();
        let text = read_text(&self.inside(below)?, below)?;
        let Some(left) = self.octets_left.get().checked_sub(text.len() as u64) else {
            return Err(Unreadable::TooMuch(below.to_owned()));
        };
        self.octets_left.set(left);
        Ok(text)
    }

    /// A file of JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, below: impl AsRef<Path>) -> Result<T, Unreadable> {
        let below = below.as_ref();
        let text = self.text(below)?;
        // Windows PowerShell begins its files with a byte order mark.
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| Unreadable::Json {
            path: below.to_owned(),
            line: error.line(),
            column: error.column(),
        })
    }

    /// A file that the client's own settings name, wherever it lies.
    pub(super) fn named_elsewhere(path: &Path) -> Result<Zeroizing<String>, Unreadable> {
        read_text(path, path)
    }

    /// Whether a file is for its owner alone.
    pub(super) fn is_private(path: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 == 0)
        }
        #[cfg(not(unix))]
        path.is_file()
    }

    /// Whether it is a regular file that can be run, wherever it leads. It is not opened.
    pub(super) fn is_program(&self, below: impl AsRef<Path>) -> bool {
        let Ok(metadata) = fs::metadata(self.root.join(below)) else { return false };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
        }
        #[cfg(not(unix))]
        metadata.is_file()
    }

    /// When a file was changed last.
    pub(super) fn changed(&self, below: impl AsRef<Path>) -> Option<jiff::Timestamp> {
        let metadata = fs::metadata(self.inside(below.as_ref()).ok()?).ok()?;
        jiff::Timestamp::try_from(metadata.modified().ok()?).ok()
    }

    /// The path without links, if it is in the folder.
    fn inside(&self, below: &Path) -> Result<PathBuf, Unreadable> {
        if below.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(Unreadable::Outside(below.to_owned()));
        }
        let path = self.root.join(below).canonicalize().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Unreadable::Missing(below.to_owned()),
            _ => Unreadable::Io { path: below.to_owned(), source },
        })?;
        if path.starts_with(&self.root) { Ok(path) } else { Err(Unreadable::Outside(below.to_owned())) }
    }
}

fn read_text(path: &Path, shown: &Path) -> Result<Zeroizing<String>, Unreadable> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Missing(shown.to_owned()),
        std::io::ErrorKind::InvalidData => Unreadable::NotText(shown.to_owned()),
        _ => Unreadable::Io { path: shown.to_owned(), source },
    };
    // Before it is opened: a pipe would keep whoever opens it waiting.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Unreadable::NotAFile(shown.to_owned()));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(Unreadable::TooLarge(shown.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_is_read_and_nothing_that_is_no_file() {
        let all = tempfile::tempdir().unwrap();
        let (root, outside) = (all.path().join("client"), all.path().join("secret"));
        fs::create_dir(&root).unwrap();
        fs::write(&outside, "secret").unwrap();
        fs::write(root.join("inside"), "text").unwrap();
        symlink("inside", root.join("link")).unwrap();
        symlink(&outside, root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        fs::write(root.join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(root.join("wrong.json"), r#"{"key": "secret-canary", "#).unwrap();
        fs::File::create(root.join("huge")).unwrap().set_len(1 << 40).unwrap();
        let folder = Folder::open(&root).unwrap();
        assert_eq!(folder.text("inside").unwrap().as_str(), "text");
        assert_eq!(folder.text("link").unwrap().as_str(), "text");
        for out in ["out", "../secret", "/etc/hostname", "up/secret"] {
            assert!(matches!(folder.text(out), Err(Unreadable::Outside(_))), "{out}");
        }
        assert!(matches!(folder.names("up"), Err(Unreadable::Outside(_))));
        assert!(matches!(folder.text("loop"), Err(Unreadable::Io { .. })));
        assert!(matches!(folder.text("broken"), Err(Unreadable::Missing(_))));
        assert!(matches!(folder.text("."), Err(Unreadable::NotAFile(_))));
        assert!(matches!(folder.text("binary"), Err(Unreadable::NotText(_))));
        assert!(matches!(folder.text("huge"), Err(Unreadable::TooLarge(_))));
        let error = folder.json::<serde_json::Value>("wrong.json").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        // A folder in circles ends, too.
        for name in 0..40 {
            symlink(".", root.join(format!("circle{name}"))).unwrap();
        }
        let mut path = PathBuf::new();
        let ended = (0..10_000).any(|_| {
            path = if path.components().count() > 20 { PathBuf::new() } else { path.join("circle1") };
            matches!(folder.names(&path), Err(Unreadable::TooMuch(_)))
        });
        assert!(ended);
        assert!(folder.find("nothing").unwrap().is_none());
        assert!(folder.names("nothing").unwrap().is_empty());
    }
}

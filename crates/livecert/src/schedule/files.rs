//! Unit files on disk: written by us, and left alone when somebody else has had a hand in them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{SERVICE, ScheduleError, TIMER};
use crate::digest::sha256;
use crate::store::{StoreError, replace_file};

/// The first line of a file of ours, before the digest of all that follows.
const MARK: &str = "# Written by `livecert timer install`; SHA-256 of what follows: ";
const ADVICE: &str = "# A drop-in is the place for changes (systemctl edit): a changed file is neither overwritten nor removed.\n";

/// A unit file: where it is, or would be, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Its path.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// How a unit file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnitState {
    /// It is not there.
    Missing,
    /// It is as we wrote it.
    Ours,
    /// We wrote it, and somebody has changed it.
    Changed,
    /// Somebody else wrote it.
    Foreign,
}

impl UnitFile {
    pub(super) fn new(path: PathBuf, text: &str) -> Self {
        let body = format!("{ADVICE}{text}");
        UnitFile { path, text: format!("{MARK}{}\n{body}", sha256(body.as_bytes())) }
    }

    /// How the file at its path stands.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state(&self) -> Result<UnitState, StoreError> {
        Ok(read(&self.path)?.map_or(UnitState::Missing, |text| state(&text)))
    }

    /// Whether the file at its path has this text.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_current(&self) -> Result<bool, StoreError> {
        Ok(read(&self.path)?.is_some_and(|text| text == self.text))
    }

    pub(super) fn may_change(&self, force: bool) -> Result<(), ScheduleError> {
        let state = self.state()?;
        if force || matches!(state, UnitState::Missing | UnitState::Ours) {
            return Ok(());
        }
        Err(ScheduleError::NotOurs { path: self.path.clone(), foreign: state == UnitState::Foreign })
    }

    pub(super) fn write(&self) -> Result<(), StoreError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(StoreError::write(folder))?;
        }
        replace_file(&self.path, self.text.as_bytes(), 0o644)
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::write(&self.path)(error)),
            _ => Ok(()),
        }
    }
}

/// The units that are in `folder`, whoever wrote them.
///
/// # Errors
/// One of them cannot be read.
pub fn units_on_disk(folder: &Path) -> Result<Vec<UnitFile>, StoreError> {
    let mut found = Vec::new();
    for name in [SERVICE, TIMER] {
        let path = folder.join(name);
        if let Some(text) = read(&path)? {
            found.push(UnitFile { path, text });
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::read(path)(error)),
    }
}

fn state(text: &str) -> UnitState {
    let Some((first, body)) = text.split_once('\n') else { return UnitState::Foreign };
    match first.strip_prefix(MARK) {
        None => UnitState::Foreign,
        Some(noted) if noted == sha256(body.as_bytes()) => UnitState::Ours,
        Some(_) => UnitState::Changed,
    }
}

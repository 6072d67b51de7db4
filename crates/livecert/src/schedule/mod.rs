//! Renewal by a systemd timer: the texts of the units, their files, and the service manager.
//!
//! [`install`] writes `livecert.service` and `livecert.timer` and has them enabled; [`remove`] takes away what it wrote.
//! Units that somebody changed by hand are left alone.

mod files;
mod manager;
mod quote;
mod sources;
mod unit;

use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use files::{UnitFile, UnitState, units_on_disk};
pub use manager::{Manager, TimerStatus};
pub use quote::QuoteError;
pub use sources::{NamedSources, named_sources};

use crate::store::StoreError;

/// The unit that renews.
pub const SERVICE: &str = "livecert.service";
/// The unit that starts it.
pub const TIMER: &str = "livecert.timer";
/// When there is no other wish: often enough for certificates of six days, and for a CA that calls one back.
pub const ON_CALENDAR: &str = "*-*-* 00/4:00:00";

/// Whose service manager it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The machine's: as root.
    System,
    /// A user's own.
    User,
}

/// What the units are to say.
#[derive(Debug, Clone)]
pub struct TimerRequest {
    /// The program `livecert`, an absolute path.
    pub program: PathBuf,
    /// The state folder, an absolute path.
    pub home: PathBuf,
    /// Trusted roots beside the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The file with defaults and certificates, where it is not the one in the state folder.
    pub config: Option<PathBuf>,
    /// Whose units they are.
    pub scope: Scope,
    /// When to run, as systemd.time(7) has it; [`ON_CALENDAR`] if there is none.
    pub on_calendar: Vec<String>,
    /// Up to how many seconds later each run begins, by lot.
    pub random_delay: u64,
    /// What hooks and the plugin `webroot` may write, beside the state folder.
    pub writable: Vec<PathBuf>,
    /// What systemd hands over as credentials.
    pub credentials: Vec<UnitCredential>,
    /// Files that are read, so that nothing hides them.
    pub readable: Vec<PathBuf>,
}

/// A credential that systemd reads for the service (`LoadCredential=`): `NAME=PATH` or `NAME=encrypted:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitCredential {
    /// What `systemd-cred:NAME` names.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The file was encrypted by `systemd-creds encrypt`.
    pub encrypted: bool,
}

impl FromStr for UnitCredential {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::Credential(text.to_owned());
        let (name, path) = text.split_once('=').ok_or_else(wrong)?;
        let (path, encrypted) = match path.strip_prefix("encrypted:") {
            Some(path) => (path, true),
            None => (path, false),
        };
        let fits = (1..=200).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !fits || !path.starts_with('/') {
            return Err(wrong());
        }
        Ok(UnitCredential { name: name.to_owned(), path: path.into(), encrypted })
    }
}

/// Why units were not written or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A credential that is not written like one.
    #[error(
        "'{0}' is no credential for a unit: write NAME=PATH or NAME=encrypted:PATH, with an absolute path"
    )]
    Credential(String),
    /// A time that systemd does not know.
    #[error("'{text}' is no time for a timer: {said}")]
    Calendar {
        /// The text.
        text: String,
        /// What systemd says.
        said: String,
    },
    /// A program that systemd does not start.
    #[error("systemd starts no program with quotes or backslashes in its path: {}", _0.display())]
    Program(PathBuf),
    /// A text that a unit file cannot hold.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// A unit that is not as it was written, or was never written by us.
    #[error("{} {}", path.display(), if *foreign { "was not written by livecert" } else { "was changed by hand" })]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Nobody wrote it with `livecert timer install`.
        foreign: bool,
    },
    /// A unit file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service manager does not do what it was told.
    #[error("`{command}` failed: {said}")]
    Manager {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
}

impl ScheduleError {
    /// Whether the words were wrong, or somebody's own units are in the way, and nothing was done.
    pub fn is_input(&self) -> bool {
        !matches!(self, ScheduleError::Store(_) | ScheduleError::Manager { .. })
    }
}

/// The folder of the units that an administrator or a user has made.
pub fn unit_folder(scope: Scope, config: Option<&Path>) -> Option<PathBuf> {
    match scope {
        Scope::System => Some(PathBuf::from("/etc/systemd/system")),
        Scope::User => config.map(|config| config.join("systemd/user")),
    }
}

/// The units that `request` makes, for `folder`. Nothing is written.
///
/// # Errors
/// A path that a unit file cannot hold, or a time that systemd does not know.
pub fn units(request: &TimerRequest, folder: &Path) -> Result<[UnitFile; 2], ScheduleError> {
    if request.program.to_string_lossy().contains(['"', '\'', '\\']) {
        return Err(ScheduleError::Program(request.program.clone()));
    }
    for text in &request.on_calendar {
        manager::check_calendar(text)?;
    }
    let service = UnitFile::new(folder.join(SERVICE), &unit::service(request)?);
    let timer = UnitFile::new(folder.join(TIMER), &unit::timer(request)?);
    Ok([service, timer])
}

/// Writes units, and has the timer enabled and started by `manager`, where there is one.
///
/// # Errors
/// One of the files is not ours and `force` is not given (nothing was written then); a file cannot be written; the service
/// manager fails.
pub fn install(units: &[UnitFile], force: bool, manager: Option<&Manager>) -> Result<(), ScheduleError> {
    for unit in units {
        unit.may_change(force)?;
    }
    for unit in units {
        unit.write()?;
    }
    if let Some(manager) = manager {
        manager.reload()?;
        manager.enable()?;
    }
    Ok(())
}

/// Removes the units in `folder`, after `manager` has stopped the timer, where there is one. Gives the paths of what there
/// was.
///
/// # Errors
/// As [`install`].
pub fn remove(folder: &Path, force: bool, manager: Option<&Manager>) -> Result<Vec<PathBuf>, ScheduleError> {
    let found: Vec<UnitFile> = units_on_disk(folder)?;
    for unit in &found {
        unit.may_change(force)?;
    }
    // A timer that is gone cannot be disabled.
    if found.iter().any(|unit| unit.path.ends_with(TIMER))
        && let Some(manager) = manager
    {
        manager.disable()?;
    }
    for unit in &found {
        unit.remove()?;
    }
    if !found.is_empty()
        && let Some(manager) = manager
    {
        manager.reload()?;
    }
    Ok(found.into_iter().map(|unit| unit.path).collect())
}

#[cfg(test)]
mod tests;

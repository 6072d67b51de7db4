//! What can go wrong with the state folder.

use std::path::{Path, PathBuf};

/// Why the store could not do what was asked. The path is always named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The state folder cannot be made, or nothing can be written into it.
    #[error("the state folder {} cannot be used", path.display())]
    Home {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Everybody may write in the state folder.
    #[error("everybody may write in the state folder {} (mode {mode:04o})", path.display())]
    HomeMode {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file or folder below it cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file or folder below it cannot be written; what was there before is still whole.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// What is read from a file is not what was written into it a moment before.
    #[error("{} has something else in it than what was written", path.display())]
    NotAsWritten {
        /// The file.
        path: PathBuf,
    },
    /// A state file that is cut short, or was edited into something that is not understood.
    #[error("the state file {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A state file that a newer livecert wrote.
    #[error("the state file {} has version {found}, and this livecert knows versions up to {known}", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        known: u32,
    },
    /// There is no certificate with this name.
    #[error("there is no certificate named '{name}'")]
    NoSuchCertificate {
        /// The name that was asked for.
        name: String,
        /// A stored name that is much alike.
        similar: Option<String>,
    },
    /// Another process works on the same certificate and did not finish in time.
    #[error("'{name}' is being worked on by {holder}")]
    Locked {
        /// The certificate.
        name: String,
        /// Who holds the lock, as it wrote itself down.
        holder: String,
    },
    /// The file system has no locks, or its server does not answer.
    #[error("{} cannot be locked", path.display())]
    NotLockable {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    /// The copy of a damaged state file that was kept when its layout was last changed, if there is one.
    pub fn backup(&self) -> Option<PathBuf> {
        match self {
            StoreError::Damaged { path, .. } => super::file::backup(path),
            _ => None,
        }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
        move |source| StoreError::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
        move |source| StoreError::Write { path: path.to_owned(), source }
    }
}

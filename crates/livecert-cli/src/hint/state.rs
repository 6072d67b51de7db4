//! What is wrong with the state folder and the files in it.

use std::io::ErrorKind;
use std::path::Path;

use livecert::certificate::RollbackError;
use livecert::import::ImportError;
use livecert::store::{AccessError, StoreError};

use super::words::did_you_mean_one_of;

/// Whose a file is, or the first folder above it about which that can be said.
fn owner(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let seen = path.ancestors().find_map(|path| path.metadata().ok())?;
    Some(match seen.uid() {
        0 => "root (with sudo)".to_owned(),
        uid => format!("its owner (user {uid})"),
    })
}

pub(super) fn store(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::HomeMode { path, .. } => {
            format!(
                "hooks in it run with your rights: see that nobody else's files are in it, then `chmod o-w {}`",
                path.display()
            )
        }
        StoreError::Home { path, source } | StoreError::Read { path, source }
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            let owner = owner(path).unwrap_or_else(|| "its owner".to_owned());
            format!("run it as {owner}; or name a folder of your own with --home or LIVECERT_HOME")
        }
        StoreError::Read { source, .. } if source.kind() == ErrorKind::NotADirectory => {
            "the state is kept in a folder: name one with --home or LIVECERT_HOME".to_owned()
        }
        StoreError::Home { .. } => "name a folder that you can write with --home or LIVECERT_HOME".to_owned(),
        StoreError::Write { .. } => {
            "see that the disk has room and the folder belongs to you; what was there before is still whole"
                .to_owned()
        }
        StoreError::NotAsWritten { .. } => {
            "see whether the disk is sound and no other program writes into the state folder; what was there before is still whole"
                .to_owned()
        }
        StoreError::Damaged { path, .. } => match error.backup() {
            Some(copy) => format!(
                "{} is how it was before an update of livecert: look at it, and copy it to {} if nothing was changed since",
                copy.display(),
                path.display()
            ),
            None => format!(
                "bring back {} from a backup, or move it away and issue the certificate again; the others are not affected",
                path.display()
            ),
        },
        StoreError::NewerVersion { path, found, known } => format!(
            "use the newer livecert that wrote it{}",
            (1..=*known)
                .rev()
                .map(|version| format!("{}.v{version}", path.display()))
                .find(|copy| std::path::Path::new(copy).exists())
                .map(|copy| format!("; {copy} is how it was before it wrote version {found}"))
                .unwrap_or_default()
        ),
        StoreError::NoSuchCertificate { similar: Some(similar), .. } => format!("did you mean {similar}?"),
        StoreError::NoSuchCertificate { .. } => "`livecert list` shows what is there".to_owned(),
        StoreError::Locked { .. } if crate::context::is_in_hook() => {
            "a hook cannot work on a certificate of its own run, which holds the lock until the hook has ended; --lock-timeout \
             DURATION waits for another one"
                .to_owned()
        }
        StoreError::Locked { .. } => {
            "wait until it has ended, or end it; --lock-timeout DURATION waits longer".to_owned()
        }
        StoreError::NotLockable { .. } => {
            "put the state folder on a local disk, or on a mount that has locks (docs/store.md tells which)"
                .to_owned()
        }
        _ => return None,
    })
}

pub(super) fn access(error: &AccessError) -> Option<String> {
    let text = match error {
        AccessError::UnknownUser(_) | AccessError::UnknownGroup(_) => {
            "check the spelling; a number does where it has no name here, as for a container"
        }
        AccessError::KeyForEverybody(_) => {
            "give it to those who need it: --group GROUP lets a group read it, --owner USER one user"
        }
        AccessError::NoMode(_) | AccessError::Mode { .. } => {
            "--key-mode 0640 lets the group read, --cert-mode 0644 everybody"
        }
        AccessError::NotAllowed { .. } => {
            "run livecert as root; without that, --group works for a group that you are a member of"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

pub(super) fn rollback(error: &RollbackError) -> &'static str {
    match error {
        RollbackError::NothingBefore { .. } => {
            "`livecert show CERT` lists the generations; `livecert renew CERT --force` gets a new certificate"
        }
        RollbackError::NoSuchGeneration { .. } => "`livecert show CERT` lists the generations",
        RollbackError::Revoked { .. } => {
            "whoever revoked it had a reason, such as a key that others have: `livecert renew CERT --force` gets a new one; with \
             --force this one is made current all the same"
        }
        RollbackError::Ended { .. } => {
            "clients do not accept it any more: `livecert renew CERT --force` gets a new one; with --force this one is \
             made current all the same"
        }
        _ => {
            "the current one is still in place: `livecert rollback CERT --to N` takes another generation, and \
             `livecert renew CERT --force` gets a new certificate"
        }
    }
}

pub(super) fn import(error: &ImportError) -> Option<String> {
    Some(match error {
        ImportError::UnknownClient(word) => {
            let all = livecert::import::Client::ALL.map(|(name, _)| name);
            let hint = did_you_mean_one_of(word, all);
            hint.unwrap_or_else(|| format!("the clients are {}", all.join(", ")))
        }
        ImportError::Folder { .. } => {
            "give the client's folder, and run this as its owner or as root".to_owned()
        }
        ImportError::OtherFolder { .. } | ImportError::Nothing { .. } => {
            "give the folder that the client keeps its state in".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_is_told_who_may() {
        let denied = || std::io::Error::from(ErrorKind::PermissionDenied);
        let nowhere = Path::new("/nowhere/certs").to_owned();
        let read = StoreError::Read { path: nowhere.clone(), source: denied() };
        let home = StoreError::Home { path: nowhere, source: denied() };
        for error in [read, home] {
            let hint = store(&error).unwrap_or_default();
            assert_eq!(
                hint,
                "run it as root (with sudo); or name a folder of your own with --home or LIVECERT_HOME"
            );
        }
    }
}

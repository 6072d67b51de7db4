//! Where the sealing key is: a file, a systemd credential, or the keyring.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::ExposeSecret;

use super::source::read_file;
use super::{KeyMaterial, KeyringError, KeyringItem, SealError, SecretError, Source};
use crate::store::{StoreError, overwrite_secret};

/// A place where the sealing key can be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPlace {
    /// `file:PATH`: a file of mode 0600.
    File(PathBuf),
    /// `systemd-cred:NAME`: a credential of the systemd unit, which livecert cannot write.
    SystemdCredential(String),
    /// `keyring:SERVICE/USER`: an item in the user's keyring.
    Keyring(KeyringItem),
}

impl FromStr for KeyPlace {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        match text.parse() {
            Ok(Source::File(path)) => {
                let absolute = std::path::absolute(&path);
                Ok(KeyPlace::File(absolute.map_err(|source| SealError::KeyFile { path, source })?))
            }
            Ok(Source::SystemdCredential(name)) => Ok(KeyPlace::SystemdCredential(name)),
            Ok(Source::Keyring(item)) => Ok(KeyPlace::Keyring(item)),
            _ => Err(SealError::NoPlace),
        }
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyPlace::File(path) => write!(f, "file:{}", path.display()),
            KeyPlace::SystemdCredential(name) => write!(f, "systemd-cred:{name}"),
            KeyPlace::Keyring(item) => write!(f, "keyring:{item}"),
        }
    }
}

impl KeyPlace {
    /// The key that is there; `None` if nothing is.
    ///
    /// # Errors
    /// It cannot be read, others can read it too, or it is no key.
    pub fn read(&self) -> Result<Option<KeyMaterial>, SealError> {
        let text = match self {
            KeyPlace::File(path) => match read_file(path, true) {
                Ok(text) => text,
                Err(error) => return absent(path, error),
            },
            KeyPlace::SystemdCredential(name) => {
                let missing = || SealError::NoCredential { place: self.to_string() };
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(missing)?;
                match read_file(&Path::new(&folder).join(name), false) {
                    Ok(text) => text,
                    Err(error) => {
                        absent(&Path::new(&folder).join(name), error)?;
                        return Err(missing());
                    }
                }
            }
            KeyPlace::Keyring(item) => {
                let Some(found) = self.ask(item.clone(), |item| async move { item.read().await })? else {
                    return Ok(None);
                };
                let text = std::str::from_utf8(found.expose_secret()).unwrap_or_default();
                secrecy::SecretString::from(text)
            }
        };
        let damaged = || SealError::KeyDamaged { place: self.to_string() };
        KeyMaterial::from_text(text.expose_secret()).map(Some).ok_or_else(damaged)
    }

    /// Puts a key there, in the place of what there is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, key: &KeyMaterial) -> Result<(), SealError> {
        let text = key.to_text();
        match self {
            KeyPlace::File(path) => {
                let text = zeroize::Zeroizing::new(format!("{}\n", *text));
                overwrite_secret(path, text.as_bytes()).map_err(|error| match error {
                    StoreError::Read { source, .. } | StoreError::Write { source, .. } => {
                        SealError::KeyFile { path: path.clone(), source }
                    }
                    other => SealError::State(Box::new(other)),
                })
            }
            KeyPlace::SystemdCredential(_) => Err(SealError::NotWritable { place: self.to_string() }),
            KeyPlace::Keyring(item) => {
                self.ask(item.clone(), |item| async move { item.write(text.as_bytes()).await })
            }
        }
    }

    /// Asks the keyring from a thread of its own: whoever needs the key may be anywhere. It takes milliseconds, and ten
    /// seconds at most.
    fn ask<T: Send + 'static, F: Future<Output = Result<T, KeyringError>>>(
        &self,
        item: KeyringItem,
        question: impl FnOnce(KeyringItem) -> F + Send + 'static,
    ) -> Result<T, SealError> {
        let ask = move || {
            let failed = |error: std::io::Error| KeyringError::Failed(error.to_string());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(failed)?.block_on(question(item))
        };
        let died = || Err(KeyringError::Failed("the thread that asks it has ended".to_owned()));
        let answer = std::thread::spawn(ask).join().unwrap_or_else(|_| died());
        answer.map_err(|source| SealError::Keyring { place: self.to_string(), source })
    }
}

/// That a file is not there is no error.
fn absent(path: &Path, error: SecretError) -> Result<Option<KeyMaterial>, SealError> {
    let path = path.to_owned();
    match error {
        SecretError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        SecretError::File { source, .. } => Err(SealError::KeyFile { path, source }),
        SecretError::FileMode { mode, .. } => Err(SealError::KeyFileMode { path, mode }),
        _ => Err(SealError::KeyDamaged { place: format!("file:{}", path.display()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_or_that_is_cut_short_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let place = KeyPlace::File(path.clone());
        assert!(place.read().unwrap().is_none());
        let key = KeyMaterial::generate().unwrap();
        place.write(&key).unwrap();
        assert_eq!(place.read().unwrap().unwrap().id(), key.id());
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(matches!(place.read(), Err(SealError::KeyFileMode { mode: 0o644, .. })));
        mode(0o600);
        std::fs::write(&path, "AAAA").unwrap();
        assert!(matches!(place.read(), Err(SealError::KeyDamaged { .. })));
    }

    #[test]
    fn a_key_behind_a_link_stays_there() {
        let folder = tempfile::tempdir().unwrap();
        let (link, behind) = (folder.path().join("sealing.key"), folder.path().join("behind"));
        std::os::unix::fs::symlink(&behind, &link).unwrap();
        let place = KeyPlace::File(link.clone());
        let key = KeyMaterial::generate().unwrap();
        // Where it leads nowhere, the disk of the key may be missing.
        assert!(matches!(place.write(&key), Err(SealError::KeyFile { .. })));
        KeyPlace::File(behind.clone()).write(&KeyMaterial::generate().unwrap()).unwrap();
        place.write(&key).unwrap();
        assert!(link.is_symlink());
        assert_eq!(KeyPlace::File(behind).read().unwrap().unwrap().id(), key.id());
    }

    #[test]
    fn only_places_that_keep_a_key_are_taken_and_a_literal_is_not_repeated() {
        for text in ["file:/etc/livecert/sealing.key", "systemd-cred:sealing", "keyring:livecert/sealing"] {
            assert_eq!(text.parse::<KeyPlace>().unwrap().to_string(), text);
        }
        for text in ["c4narYc4narY", "prompt", "env:KEY", "cmd:pass show key", "file:"] {
            let error = text.parse::<KeyPlace>().unwrap_err();
            assert!(matches!(error, SealError::NoPlace), "{text}");
            assert!(!error.to_string().contains("c4nar"));
        }
    }
}

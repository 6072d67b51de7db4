//! The user's keyring: the Secret Service (freedesktop.org), as GNOME Keyring, KWallet and KeePassXC have it, over
//! D-Bus. `docs/decisions/0012-the-keyring-is-the-secret-service.md` says why this one.
//!
//! An item is known by its attributes `service` and `username`, the names that `secret-tool` and other programs use. No
//! question is ever opened on somebody's screen: a locked keyring is an error, and so is one that is silent for ten
//! seconds.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretSlice;

/// An item in the keyring: `SERVICE/USER`. The service may have slashes, the user has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringItem {
    service: String,
    user: String,
}

impl FromStr for KeyringItem {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.rsplit_once('/') {
            Some((service, user)) if !service.is_empty() && !user.is_empty() => {
                Ok(KeyringItem { service: service.to_owned(), user: user.to_owned() })
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for KeyringItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.user)
    }
}

/// Why the keyring gives nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// This livecert was built without it.
    #[error("this livecert was built without keyring support")]
    NotBuilt,
    /// No Secret Service, or no way to it: the usual state of a server.
    #[error("no keyring (Secret Service) can be reached over D-Bus: {0}")]
    Unavailable(String),
    /// It is locked, and nobody is asked to unlock it.
    #[error("the keyring is locked")]
    Locked,
    /// It was asked, and said nothing.
    #[error("the keyring gave no answer within {0} s")]
    Silent(u64),
    /// It refused.
    #[error("the keyring failed: {0}")]
    Failed(String),
}

impl KeyringItem {
    /// The attribute `service`.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The attribute `username`.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What the keyring has for the item; `None` if nothing.
    pub(super) async fn read(&self) -> Result<Option<SecretSlice<u8>>, KeyringError> {
        service::read(self).await
    }

    /// Puts a secret into the default keyring, in the place of what it has for the item.
    pub(super) async fn write(&self, secret: &[u8]) -> Result<(), KeyringError> {
        service::write(self, secret).await
    }
}

#[cfg(all(feature = "keyring", target_os = "linux"))]
mod service {
    use std::collections::HashMap;
    use std::time::Duration;

    use secrecy::SecretSlice;
    use secret_service::{EncryptionType, Error, SecretService};

    use super::{KeyringError, KeyringItem};

    const LIMIT: Duration = Duration::from_secs(10);

    pub(super) async fn read(item: &KeyringItem) -> Result<Option<SecretSlice<u8>>, KeyringError> {
        limited(async {
            let service = connect().await?;
            let found = service.search_items(attributes(item)).await.map_err(failed)?;
            match (found.unlocked.first(), found.locked.is_empty()) {
                (Some(item), _) => Ok(Some(item.get_secret().await.map_err(failed)?.into())),
                (None, false) => Err(KeyringError::Locked),
                (None, true) => Ok(None),
            }
        })
        .await
    }

    pub(super) async fn write(item: &KeyringItem, secret: &[u8]) -> Result<(), KeyringError> {
        limited(async {
            let service = connect().await?;
            let keyring = service.get_default_collection().await.map_err(|error| match error {
                Error::NoResult => KeyringError::Failed("there is no default keyring".to_owned()),
                other => failed(other),
            })?;
            keyring.ensure_unlocked().await.map_err(failed)?;
            let label = format!("livecert: {item}");
            let made = keyring.create_item(&label, attributes(item), secret, true, "text/plain").await;
            made.map(drop).map_err(failed)
        })
        .await
    }

    async fn connect() -> Result<SecretService<'static>, KeyringError> {
        // With a key agreement, so that the secret does not cross the bus in clear.
        SecretService::connect(EncryptionType::Dh).await.map_err(|error| match error {
            Error::Unavailable => {
                KeyringError::Unavailable("there is no session bus, or no keyring on it".to_owned())
            }
            other => KeyringError::Unavailable(other.to_string()),
        })
    }

    fn attributes(item: &KeyringItem) -> HashMap<&str, &str> {
        HashMap::from([("service", item.service.as_str()), ("username", item.user.as_str())])
    }

    fn failed(error: Error) -> KeyringError {
        match error {
            // A prompt would have been on somebody's screen: it is not answered here.
            Error::Locked | Error::Prompt => KeyringError::Locked,
            other => KeyringError::Failed(other.to_string()),
        }
    }

    async fn limited<T>(work: impl Future<Output = Result<T, KeyringError>>) -> Result<T, KeyringError> {
        tokio::time::timeout(LIMIT, work).await.unwrap_or(Err(KeyringError::Silent(LIMIT.as_secs())))
    }
}

#[cfg(not(all(feature = "keyring", target_os = "linux")))]
mod service {
    use secrecy::SecretSlice;

    use super::{KeyringError, KeyringItem};

    pub(super) async fn read(_: &KeyringItem) -> Result<Option<SecretSlice<u8>>, KeyringError> {
        Err(KeyringError::NotBuilt)
    }

    pub(super) async fn write(_: &KeyringItem, _: &[u8]) -> Result<(), KeyringError> {
        Err(KeyringError::NotBuilt)
    }
}

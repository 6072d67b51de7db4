//! Sealing: values that must rest on disk, encrypted with a key of their own.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce and the value's place as associated data, so that a sealed value
//! moved to another place does not open. The key lies in one file of mode 0600; whoever copies the state folder
//! without that file has nothing to read. `docs/decisions/0007-sealing-with-ring-aead.md` says what this protects from.

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PREFIX: &str = "livecert-seal-1:";

/// A sealed value as it stands in a state file: `livecert-seal-1:` and base64 of nonce and ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key file cannot be read or made.
    #[error("the sealing key {} cannot be used", path.display())]
    KeyFile {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the key file.
    #[error("the sealing key {} can be read by others (mode {mode:04o})", path.display())]
    KeyFileMode {
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file does not hold a key.
    #[error("the sealing key {} is damaged: it should hold 32 bytes in base64", path.display())]
    KeyDamaged {
        /// Its path.
        path: PathBuf,
    },
    /// The value is not from this key, not from this place, or was changed.
    #[error("the sealed value of {place} cannot be opened with this sealing key")]
    CannotOpen {
        /// What was to be opened.
        place: String,
    },
    /// The system gives no random bytes, or the value is too large.
    #[error("sealing failed in the cryptographic library")]
    Crypto,
}

/// The key that values are sealed with.
pub struct SealingKey(LessSafeKey);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey([REDACTED])")
    }
}

impl SealingKey {
    /// Reads the key from `path`; makes one there (mode 0600) if there is none yet.
    ///
    /// # Errors
    /// The file cannot be read, made, or is damaged, or others may read it.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_text(path, Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(SealError::KeyFile { path: path.to_owned(), source }),
        }
    }

    fn from_text(path: &Path, text: Zeroizing<String>) -> Result<Self, SealError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = std::fs::metadata(path)
                .map_err(|source| SealError::KeyFile { path: path.to_owned(), source })?;
            let mode = metadata.mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(SealError::KeyFileMode { path: path.to_owned(), mode });
            }
        }
        let damaged = || SealError::KeyDamaged { path: path.to_owned() };
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| damaged())?);
        Self::from_bytes(&bytes).ok_or_else(damaged)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(SealingKey(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).ok()?)))
    }

    fn create(path: &Path) -> Result<Self, SealError> {
        let fail = |source| SealError::KeyFile { path: path.to_owned(), source };
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRandom::new().fill(bytes.as_mut()).map_err(|_| SealError::Crypto)?;
        let text = Zeroizing::new(STANDARD.encode(bytes.as_ref()) + "\n");
        let folder = path.parent().unwrap_or(Path::new("."));
        // Two processes may both be the first: whoever links first wins, and the other one reads that key.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
        file.write_all(text.as_bytes()).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        match file.persist_noclobber(path) {
            Ok(_) => {
                std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
                Self::from_bytes(bytes.as_ref()).ok_or(SealError::Crypto)
            }
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                let text = std::fs::read_to_string(path).map_err(fail)?;
                Self::from_text(path, Zeroizing::new(text))
            }
            Err(error) => Err(fail(error.error)),
        }
    }

    /// Seals `value` for `place`, such as `certificate/example.com/GandiPAT`.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Crypto)?;
        let mut buffer = value.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut buffer,
            )
            .map_err(|_| SealError::Crypto)?;
        let mut all = nonce.to_vec();
        all.extend_from_slice(&buffer);
        Ok(Sealed(format!("{PREFIX}{}", STANDARD.encode(all))))
    }

    /// Opens what [`seal`](Self::seal) made for the same `place`.
    ///
    /// # Errors
    /// Another key, another place, or changed bytes.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        let cannot = || SealError::CannotOpen { place: place.to_owned() };
        let text = sealed.0.strip_prefix(PREFIX).ok_or_else(cannot)?;
        let mut all = STANDARD.decode(text).map_err(|_| cannot())?;
        if all.len() < NONCE_LEN {
            return Err(cannot());
        }
        let mut buffer = Zeroizing::new(all.split_off(NONCE_LEN));
        let nonce = Nonce::try_assume_unique_for_key(&all).map_err(|_| cannot())?;
        let opened =
            self.0.open_in_place(nonce, Aad::from(place.as_bytes()), &mut buffer).map_err(|_| cannot())?;
        Ok(SecretSlice::from(opened.to_vec()))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// As [`open`](Self::open), or the value is not UTF-8.
    pub fn open_text(&self, place: &str, sealed: &Sealed) -> Result<SecretString, SealError> {
        let bytes = self.open(place, sealed)?;
        let text = std::str::from_utf8(bytes.expose_secret())
            .map_err(|_| SealError::CannotOpen { place: place.to_owned() })?;
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_at_its_place_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let key = SealingKey::load_or_create(&path).unwrap();
        let sealed = key.seal("a/b", b"a secret").unwrap();
        assert!(!format!("{sealed:?}").contains("secret"));

        let again = SealingKey::load_or_create(&path).unwrap();
        assert_eq!(again.open_text("a/b", &sealed).unwrap().expose_secret(), "a secret");
        assert!(matches!(again.open("a/c", &sealed), Err(SealError::CannotOpen { .. })));

        let other = SealingKey::load_or_create(&folder.path().join("other.key")).unwrap();
        assert!(matches!(other.open("a/b", &sealed), Err(SealError::CannotOpen { .. })));

        let mut text = sealed.0.clone();
        let last = if text.ends_with("A=") { "B=" } else { "A=" };
        text.replace_range(text.len() - 2.., last);
        assert!(matches!(again.open("a/b", &Sealed(text)), Err(SealError::CannotOpen { .. })));
        assert!(matches!(again.open("a/b", &Sealed("plain".into())), Err(SealError::CannotOpen { .. })));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_cut_short_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        SealingKey::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SealingKey::load_or_create(&path), Err(SealError::KeyFileMode { mode: 0o644, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "AAAA").unwrap();
        assert!(matches!(SealingKey::load_or_create(&path), Err(SealError::KeyDamaged { .. })));
    }
}

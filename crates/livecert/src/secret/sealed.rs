//! Sealing: values that must rest on disk, encrypted with a key of their own.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce and the value's place as associated data, so that a sealed value
//! moved to another place does not open. `docs/decisions/0007-sealing-with-ring-aead.md` says what this protects from.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyringError;
use crate::digest::hexadecimal;

/// The first form: base64 of nonce and ciphertext, and only the reader knows the place.
const WITHOUT_PLACE: &str = "livecert-seal-1:";
/// With the place behind it, so that a value can be sealed anew by somebody who does not know what it is.
const WITH_PLACE: &str = "livecert-seal-2:";
/// How each of them begins in a JSON text.
const IN_JSON: &str = "\"livecert-seal-";

/// A sealed value as it stands in a state file: `livecert-seal-2:`, base64 of nonce and ciphertext, `:`, the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Not a place where a sealing key can be. The text is not repeated: it may be a secret.
    #[error("the sealing key cannot be there: it is in file:PATH, systemd-cred:NAME or keyring:SERVICE/USER")]
    NoPlace,
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
    /// The keyring cannot be used.
    #[error("the sealing key {place} cannot be used")]
    Keyring {
        /// Where the key is.
        place: String,
        /// Why.
        #[source]
        source: KeyringError,
    },
    /// systemd passes no credentials, or not this one.
    #[error("systemd passes no credential for the sealing key {place}")]
    NoCredential {
        /// Where the key should be.
        place: String,
    },
    /// A place that only a person can write.
    #[error("the sealing key cannot be made in {place}: livecert cannot write there")]
    NotWritable {
        /// Where the key should be.
        place: String,
    },
    /// There is something at the place where a new key should go.
    #[error("there is a sealing key in {place} already, which is not the one of this state folder")]
    Occupied {
        /// The place.
        place: String,
    },
    /// A key that is said to be lost is there.
    #[error("the sealing key is not lost: it is in {place}")]
    NotLost {
        /// Where it is.
        place: String,
    },
    /// There is no key, and there are values that only it opens.
    #[error("there is no sealing key in {place}, and without it nobody can read: {}", lost.join(", "))]
    KeyMissing {
        /// Where the key should be.
        place: String,
        /// What is sealed with it.
        lost: Vec<String>,
    },
    /// Another key than the one that the values are sealed with.
    #[error("the sealing key in {place} is not the one of this state folder{}", ids(found, wanted.as_deref()))]
    WrongKey {
        /// Where it was read.
        place: String,
        /// The id of the key that is there.
        found: String,
        /// The id of the key that should be there, where it is known.
        wanted: Option<String>,
    },
    /// What is there is not a key.
    #[error("the sealing key in {place} is damaged: it should be 32 bytes in base64")]
    KeyDamaged {
        /// Where it was read.
        place: String,
    },
    /// The state folder.
    #[error("the sealing key cannot be read")]
    State(#[source] Box<dyn std::error::Error + Send + Sync>),
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

fn ids(found: &str, wanted: Option<&str>) -> String {
    wanted.map(|wanted| format!(" (its id is {found}, and {wanted} is needed)")).unwrap_or_default()
}

/// A key, and what seals with it.
pub struct KeyMaterial {
    bytes: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({})", self.id())
    }
}

impl KeyMaterial {
    /// A new key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRandom::new().fill(bytes.as_mut()).map_err(|_| SealError::Crypto)?;
        Self::from_bytes(bytes).ok_or(SealError::Crypto)
    }

    fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Option<Self> {
        let cipher = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes.as_ref()).ok()?);
        Some(KeyMaterial { bytes, cipher })
    }

    /// The key in a text: 32 bytes in base64, with white space around it. `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let decoded = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        let mut bytes = Zeroizing::new([0_u8; 32]);
        (decoded.len() == bytes.len()).then(|| bytes.copy_from_slice(&decoded))?;
        Self::from_bytes(bytes)
    }

    /// The key as it is written: base64.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_ref()))
    }

    /// What tells keys apart, and says nothing about them: eight bytes of an HMAC under the key, in hexadecimal digits.
    pub fn id(&self) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.bytes.as_ref());
        let tag = ring::hmac::sign(&key, b"livecert sealing key");
        hexadecimal(&tag.as_ref()[..8])
    }

    /// Seals `value` for `place`, such as `certificate/example.com/GandiPAT`.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Crypto)?;
        let mut buffer = Zeroizing::new(value.to_vec());
        // The tag is added in place: no second, unwiped copy.
        buffer.reserve_exact(CHACHA20_POLY1305.tag_len());
        let sealed = self.cipher.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.as_bytes()),
            &mut buffer,
        );
        let tag = sealed.map_err(|_| SealError::Crypto)?;
        let all = [&nonce, buffer.as_slice(), tag.as_ref()].concat();
        Ok(Sealed(format!("{WITH_PLACE}{}:{place}", STANDARD.encode(all))))
    }

    /// Opens what [`seal`](Self::seal) made for the same `place`.
    ///
    /// # Errors
    /// Another key, another place, or changed bytes.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        let cannot = || SealError::CannotOpen { place: place.to_owned() };
        let mut all = STANDARD.decode(sealed.bytes().ok_or_else(cannot)?).map_err(|_| cannot())?;
        if all.len() < NONCE_LEN {
            return Err(cannot());
        }
        let mut buffer = Zeroizing::new(all.split_off(NONCE_LEN));
        let nonce = Nonce::try_assume_unique_for_key(&all).map_err(|_| cannot())?;
        // The place that is bound, and not the one that is written beside it.
        let opened = self.cipher.open_in_place(nonce, Aad::from(place.as_bytes()), &mut buffer);
        Ok(SecretSlice::from(opened.map_err(|_| cannot())?.to_vec()))
    }
}

impl Sealed {
    fn bytes(&self) -> Option<&str> {
        match self.0.strip_prefix(WITH_PLACE) {
            Some(rest) => rest.split_once(':').map(|(bytes, _)| bytes),
            None => self.0.strip_prefix(WITHOUT_PLACE),
        }
    }

    /// What it is sealed for, as it says itself; `None` for the first form, which does not tell.
    pub fn place(&self) -> Option<&str> {
        self.0.strip_prefix(WITH_PLACE)?.split_once(':').map(|(_, place)| place)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All sealed values in a JSON text, wherever they are in it.
    pub fn all_in(text: &str) -> Vec<Sealed> {
        let mut all = Vec::new();
        // With no change to be made, nothing can fail.
        let _ = Self::replace_in(text, |sealed| {
            all.push(sealed.clone());
            Ok::<_, SealError>(None)
        });
        all
    }

    /// A JSON text with other sealed values in the place of those for which `change` gives one. All else stays as it is,
    /// to the letter.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn replace_in<E>(
        text: &str,
        mut change: impl FnMut(&Sealed) -> Result<Option<Sealed>, E>,
    ) -> Result<String, E> {
        let mut changed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(IN_JSON) {
            changed.push_str(&rest[..at]);
            rest = &rest[at..];
            let mut literals = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(value)) = literals.next() else {
                // Cut short: no value that anybody could open.
                changed.push_str(&rest[..1]);
                rest = &rest[1..];
                continue;
            };
            let end = literals.byte_offset();
            match change(&Sealed(value))? {
                Some(Sealed(new)) => changed.push_str(&serde_json::Value::from(new).to_string()),
                None => changed.push_str(&rest[..end]),
            }
            rest = &rest[end..];
        }
        changed.push_str(rest);
        Ok(changed)
    }

    /// For people: what the values with these places are.
    pub fn tell(places: &BTreeSet<String>) -> Vec<String> {
        let tell = |place: &String| match place.split_once('/') {
            Some(("account", server)) => format!("the account key for {server}"),
            Some(("certificate", rest)) => match rest.rsplit_once('/') {
                Some((cert, what)) => format!("{what} of {cert}"),
                None => place.clone(),
            },
            _ => place.clone(),
        };
        places.iter().map(tell).collect()
    }
}

/// What is needed to open values: the key, and during a rotation the one before it, too.
pub struct Keys {
    /// The key in force.
    pub current: KeyMaterial,
    /// The one that some values may still be sealed with.
    pub previous: Option<KeyMaterial>,
    /// What keeps a rotation away while the keys are in use.
    pub guard: Box<dyn Send + Sync>,
}

type Load = Box<dyn Fn() -> Result<Keys, SealError> + Send + Sync>;

/// The key that values are sealed with, read when it is needed for the first time.
pub struct SealingKey {
    keys: OnceLock<Keys>,
    load: Mutex<Load>,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([REDACTED])")
    }
}

impl SealingKey {
    /// A key that `load` reads. It is called until it gives one.
    pub fn lazy(load: impl Fn() -> Result<Keys, SealError> + Send + Sync + 'static) -> Self {
        SealingKey { keys: OnceLock::new(), load: Mutex::new(Box::new(load)) }
    }

    fn keys(&self) -> Result<&Keys, SealError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        match self.keys.get() {
            Some(keys) => Ok(keys),
            None => {
                let keys = load()?;
                Ok(self.keys.get_or_init(|| keys))
            }
        }
    }

    /// Seals `value` for `place`, such as `certificate/example.com/GandiPAT`.
    ///
    /// # Errors
    /// The key cannot be read, or the system gives no random bytes.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Sealed, SealError> {
        self.keys()?.current.seal(place, value)
    }

    /// Opens what [`seal`](Self::seal) made for the same `place`.
    ///
    /// # Errors
    /// The key cannot be read; another key, another place, or changed bytes.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        let keys = self.keys()?;
        match (keys.current.open(place, sealed), &keys.previous) {
            (Err(SealError::CannotOpen { .. }), Some(previous)) => previous.open(place, sealed),
            (opened, _) => opened,
        }
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

impl From<KeyMaterial> for SealingKey {
    fn from(current: KeyMaterial) -> Self {
        let keys = Keys { current, previous: None, guard: Box::new(()) };
        SealingKey { keys: OnceLock::from(keys), load: Mutex::new(Box::new(|| Err(SealError::Crypto))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_at_its_place_and_unchanged() {
        let material = KeyMaterial::generate().unwrap();
        let again = SealingKey::from(KeyMaterial::from_text(&material.to_text()).unwrap());
        let id = material.id();
        let key = SealingKey::from(material);
        let sealed = key.seal("a/b", b"a secret").unwrap();
        assert!(!format!("{sealed:?} {key:?}").contains("secret"));
        assert_eq!(sealed.place(), Some("a/b"));

        assert_eq!(again.open_text("a/b", &sealed).unwrap().expose_secret(), "a secret");
        assert!(matches!(again.open("a/c", &sealed), Err(SealError::CannotOpen { .. })));
        // The place that is written is not the one that counts.
        let moved = Sealed(sealed.0.replace(":a/b", ":a/c"));
        assert!(matches!(again.open("a/c", &moved), Err(SealError::CannotOpen { .. })));

        let other = KeyMaterial::generate().unwrap();
        assert_ne!(other.id(), id);
        assert!(matches!(other.open("a/b", &sealed), Err(SealError::CannotOpen { .. })));

        let changed = Sealed(sealed.0.replacen("2:", "2:AA", 1));
        assert!(matches!(again.open("a/b", &changed), Err(SealError::CannotOpen { .. })));
        assert!(matches!(again.open("a/b", &Sealed("plain".into())), Err(SealError::CannotOpen { .. })));
    }

    #[test]
    fn the_first_form_still_opens() {
        let key = KeyMaterial::generate().unwrap();
        let sealed = key.seal("a/b", b"v").unwrap();
        let old = Sealed(format!("{WITHOUT_PLACE}{}", sealed.bytes().unwrap()));
        assert_eq!(key.open("a/b", &old).unwrap().expose_secret(), b"v");
        assert_eq!(old.place(), None);
    }

    #[test]
    fn sealed_values_are_found_wherever_they_are_and_all_else_stays() {
        let key = KeyMaterial::generate().unwrap();
        let (a, b) = (key.seal("a", b"1").unwrap(), key.seal("b/\"x\"", b"2").unwrap());
        let quoted = serde_json::to_string(&b).unwrap();
        let text = format!("{{\"x\" :[\"{}\",\n {{\"y\":{quoted}}}], \"z\": \"livecert-seal-2:cut", a.0);
        assert_eq!(Sealed::all_in(&text), [a.clone(), b.clone()]);
        let new = key.seal("b/\"x\"", b"3").unwrap();
        let change = |sealed: &Sealed| Ok::<_, ()>((*sealed == b).then(|| new.clone()));
        let changed = Sealed::replace_in(&text, change).unwrap();
        assert_eq!(changed, text.replace(&quoted, &serde_json::to_string(&new).unwrap()));
    }
}

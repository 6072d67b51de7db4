//! Secrets: where they are read from, and how they rest on disk.

mod key_place;
mod keyring;
mod sealed;
mod source;

pub use key_place::KeyPlace;
pub use keyring::{KeyringError, KeyringItem};
pub use sealed::{KeyMaterial, Keys, SealError, Sealed, SealingKey};
pub use source::{Nobody, Prompter, SecretError, Source};

//! Secrets: where they are read from, and how they rest on disk.

mod keyring;
mod sealed;
mod source;

pub use keyring::{KeyringError, KeyringItem};
pub use sealed::{SealError, Sealed, SealingKey};
pub use source::{Prompter, SecretError, Source};

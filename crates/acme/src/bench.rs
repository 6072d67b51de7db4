//! Doors to parts that have no public way in, for `cargo bench` in this repository: no part of the API.

use crate::key::{AccountKey, KeyError};
use crate::nonce::NoncePool;

/// A signed request of an account.
///
/// # Errors
/// The key does not sign.
pub fn request(
    key: &AccountKey,
    account: &str,
    nonce: &str,
    url: &str,
    payload: &[u8],
) -> Result<Vec<u8>, KeyError> {
    key.request(Some(account), nonce, url, payload)
}

/// The nonces of a server.
#[derive(Debug, Default)]
pub struct Nonces(NoncePool);

impl Nonces {
    /// Keeps the nonce of an answer.
    pub fn put(&self, nonce: &str) {
        self.0.put(nonce);
    }

    /// One that was not used yet.
    pub fn take(&self) -> Option<String> {
        self.0.take()
    }
}

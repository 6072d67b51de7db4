//! Nonces (RFC 8555 §6.5): each answer brings one, each signed request takes one.

use std::sync::{Mutex, PoisonError};

use crate::jws::is_base64url;

/// More than are ever under way at once; servers forget old ones anyway.
const MAX: usize = 64;

/// Nonces that were not used yet. The newest one goes first: the older, the sooner the server has forgotten it.
#[derive(Debug, Default)]
pub(crate) struct NoncePool(Mutex<Vec<String>>);

impl NoncePool {
    pub(crate) fn take(&self) -> Option<String> {
        self.lock().pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Keeps the nonce of an answer, if it is one.
    pub(crate) fn put(&self, nonce: &str) {
        if is_base64url(nonce) {
            let mut pool = self.lock();
            if pool.len() == MAX {
                pool.remove(0);
            }
            pool.push(nonce.to_owned());
        }
    }

    /// Forgets all: the server has just refused one, and the others are older.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // The list is never left half-changed, so a panic elsewhere does it no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_goes_first_and_the_pool_is_bounded() {
        let pool = NoncePool::default();
        for number in 0..=MAX {
            pool.put(&format!("n{number}"));
        }
        pool.put("not a nonce");
        pool.put("");
        assert_eq!(pool.take(), Some(format!("n{MAX}")));
        assert_eq!(pool.lock().len(), MAX - 1);
        assert!(!pool.lock().contains(&"n0".to_owned()));
    }
}

//! What a signed request costs before it is sent.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on is none")]

use divan::Bencher;
use livecert_acme::bench::{Nonces, request};
use livecert_acme::{AccountKey, AccountKeyType};

const NONCE: &str = "oFvnlFP1wIhRlYS2jTaXbA8tqGWx6qnC9lZ0w6JkZfs";

fn main() {
    divan::main();
}

/// The signature of a request (JWS).
#[divan::bench(args = [AccountKeyType::EcdsaP256, AccountKeyType::EcdsaP384, AccountKeyType::EcdsaP521])]
fn signature(bencher: Bencher<'_, '_>, kind: AccountKeyType) {
    let key = AccountKey::generate(kind).unwrap();
    let (account, url) = ("https://ca.example/acme/acct/1234567", "https://ca.example/acme/new-order");
    let payload = br#"{"identifiers":[{"type":"dns","value":"www.example.com"}]}"#;
    bencher.bench(|| request(&key, account, NONCE, url, payload).unwrap());
}

/// The nonce of an answer is kept, and taken by the next request; the pool is full.
#[divan::bench]
fn nonce(bencher: Bencher<'_, '_>) {
    let nonces = Nonces::default();
    (0..64).for_each(|_| nonces.put(NONCE));
    bencher.bench(|| {
        nonces.put(NONCE);
        nonces.take()
    });
}

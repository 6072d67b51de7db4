//! livecert against ACME servers that no one here wrote: Pebble, Caddy and acme2certifier. Each runs in a network of its
//! own with real DNS, and is taken through all cases by the real command; what a server does not offer has to be told by
//! the server itself. `cargo xtask interop` makes the table in docs/acme-servers.md from the same cases.

#![allow(clippy::panic, reason = "a test that cannot go on has failed")]

mod account;
mod certificate;
mod context;
mod key;
mod matrix;
mod server;
mod validation;

use server::Kind;

#[test]
fn pebble() {
    matrix::run("pebble", Kind::Pebble);
}

#[test]
fn caddy() {
    matrix::run("caddy", Kind::Caddy);
}

#[test]
fn acme2certifier() {
    matrix::run("acme2certifier", Kind::Acme2Certifier);
}

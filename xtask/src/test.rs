//! `cargo xtask test`.

use crate::setup::{cargo, programs, programs_of};
use crate::{Failure, say};

/// Crates that must never come into the tree: a second TLS stack or crypto provider.
const UNWANTED: [&str; 4] = ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"];

pub(crate) fn run() -> Result<(), Failure> {
    // The CA, and the ACME clients that have livecert as their hook.
    programs(&["pebble", "certbot", "lego"])?;
    // Networks of their own for tests of DNS.
    programs_of(&[("unshare", "util-linux"), ("ip", "iproute2"), ("nft", "nftables")])?;
    one_crypto_provider()?;
    cargo(&["test", "--locked", "--workspace", "--all-targets"])?;
    cargo(&["test", "--locked", "--workspace", "--doc"])
}

fn one_crypto_provider() -> Result<(), Failure> {
    let lock = std::fs::read_to_string(crate::setup::root().join("Cargo.lock"))?;
    for name in UNWANTED {
        if lock.contains(&format!("name = \"{name}\"")) {
            return Err(format!(
                "{name} has come into Cargo.lock: `cargo tree -i {name}` shows through whom"
            )
            .into());
        }
    }
    say("One crypto provider (ring), one TLS stack (rustls).");
    Ok(())
}

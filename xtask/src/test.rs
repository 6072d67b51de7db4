//! `cargo xtask test`.

use crate::setup::{self, cargo};
use crate::{Failure, say};

/// Crates that must never come into the tree: a second TLS stack or crypto provider.
const UNWANTED: [&str; 4] = ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"];

pub(crate) fn run() -> Result<(), Failure> {
    setup::run()?;
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

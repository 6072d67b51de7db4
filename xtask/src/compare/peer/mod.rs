//! The clients, each as its own documents say that it is used with Gandi.

mod certbot;
mod floor;
mod hook;
mod lego;
mod livecert;

use std::ffi::OsStr;
use std::process::Command;

use super::world::World;
use crate::Failure;
use crate::setup::{cargo_command, python_environment, root, target};

/// Whether a client waits for the records as it does by itself, or as little as it can be told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Default,
    Least,
}

/// What a client is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    /// The names of each certificate.
    pub(super) certificates: &'a [Vec<String>],
    /// Whether the client has them already, and is to renew them.
    pub(super) again: bool,
    pub(super) waits: Waits,
}

/// A client.
pub(super) trait Peer {
    /// Its word on the command line.
    fn id(&self) -> &'static str;
    /// Its name in the table.
    fn title(&self) -> &'static str {
        self.id()
    }
    /// What it says of its version.
    fn version(&self) -> String;
    /// Commands that make its account.
    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure>;
    /// Commands that make the certificates, one after another.
    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command>;
    /// Whether it talks to Gandi's old host.
    fn wants_legacy_host(&self) -> bool {
        false
    }
    /// Whether it takes seconds for each name.
    fn is_slow(&self) -> bool {
        true
    }
}

/// All of them, ours first.
pub(super) fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(livecert::Livecert),
        Box::new(floor::Floor { keeps: false }),
        Box::new(floor::Floor { keeps: true }),
        Box::new(lego::Lego),
        Box::new(certbot::Certbot::GANDI),
        Box::new(certbot::Certbot::MULTI),
        Box::new(hook::Uacme),
        Box::new(hook::Dehydrated),
    ]
}

/// Installs what is no package of the system.
pub(super) fn set_up() -> Result<(), Failure> {
    python_environment(
        "compare-venv",
        "xtask/compare-requirements.txt",
        "certbot and its plugins for Gandi",
    )?;
    let mut build = cargo_command();
    build.args(["build", "--release", "--locked", "--target-dir"]).arg(target().join("floor"));
    build.current_dir(root().join("benches/floor"));
    if build.status()?.success() { Ok(()) } else { Err("benches/floor could not be built".into()) }
}

/// The version of a Debian package, whose program does not tell.
fn packaged(package: &str) -> String {
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    asked.map_or("?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a program prints about its version, from the first word with a digit in it.
fn version_of(program: impl AsRef<OsStr>) -> String {
    let Ok(output) = Command::new(program).arg("--version").output() else { return "?".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let number = |word: &&str| word.contains('.') && word.contains(|letter: char| letter.is_ascii_digit());
    text.split_whitespace().find(number).unwrap_or("?").trim_start_matches('v').to_owned()
}

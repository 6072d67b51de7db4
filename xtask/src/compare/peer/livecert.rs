//! livecert itself, with its own defaults: propagation is checked, everything is journaled and synced to the disk.

use std::path::PathBuf;
use std::process::Command;

use testbed::PAT;

use super::super::world::World;
use super::{Order, Peer, version_of};
use crate::Failure;
use crate::setup::target;

pub(super) struct Livecert;

fn binary() -> PathBuf {
    target().join("release/livecert")
}

impl Peer for Livecert {
    fn id(&self) -> &'static str {
        "livecert"
    }

    fn version(&self) -> String {
        version_of(binary())
    }

    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure> {
        world.secret("gandi.pat", PAT)?;
        let names = vec![vec!["livecert.warm.example.com".to_owned()]];
        let mut commands = issue(world, &names);
        commands.iter_mut().for_each(|command| {
            command.args(["--accept-tos", "--contact", "you@example.com"]);
        });
        Ok(commands)
    }

    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command> {
        if !order.again && order.certificates.len() == 1 {
            return issue(world, order.certificates);
        }
        if !order.again {
            return vec![apply(world, order.certificates)];
        }
        let mut command = command(world);
        command.args(["renew", "--force"]);
        command.args(order.certificates.iter().filter_map(|names| names.first()));
        vec![command]
    }

    fn is_slow(&self) -> bool {
        false
    }
}

fn command(world: &World) -> Command {
    let mut command = Command::new(binary());
    command.env("LIVECERT_HOME", world.folder().join("livecert"));
    command
}

/// All of them in one process, from a file.
fn apply(world: &World, certificates: &[Vec<String>]) -> Command {
    // A file of their own: with one for all, those of the former round would be archived.
    let first = certificates.first().and_then(|names| names.first()).map_or("none", String::as_str);
    let file = world.folder().join(format!("{first}.toml"));
    let (server, token) = (world.directory(), token(world));
    let mut text = format!(
        "[defaults]\nserver = {server:?}\ncredential = \"gandi\"\n[credential.gandi]\nplugin = \"gandi\"\n"
    );
    for argument in [token.as_str(), UNPACED] {
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        text += &format!("{name} = {value:?}\n");
    }
    for names in certificates {
        text += &format!("[[certificate]]\nnames = {names:?}\n");
    }
    let mut command = command(world);
    match std::fs::write(&file, text) {
        Ok(()) => command.arg("apply").arg("--config").arg(&file),
        // It says so itself.
        Err(_) => command.arg("apply"),
    };
    command
}

/// The pace below Gandi's limit is not what is measured, and all these runs together are above it.
const UNPACED: &str = "GandiRequestsPerMinute=1000000";

fn token(world: &World) -> String {
    format!("GandiPAT=file:{}", world.folder().join("gandi.pat").display())
}

fn issue(world: &World, certificates: &[Vec<String>]) -> Vec<Command> {
    let one = |names: &Vec<String>| {
        let mut command = command(world);
        command.arg("issue").args(names).args(["--server", world.directory(), "--plugin", "gandi"]);
        command.args(["--plugin-arg", &token(world), "--plugin-arg", UNPACED]);
        command
    };
    certificates.iter().map(one).collect()
}

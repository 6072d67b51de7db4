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
        // The pace below Gandi's limit is not what is measured, and these runs together are above it.
        let _ = std::fs::remove_file(world.folder().join("livecert/locks/gandi.pace"));
        if !order.again {
            return issue(world, order.certificates);
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

fn issue(world: &World, certificates: &[Vec<String>]) -> Vec<Command> {
    let one = |names: &Vec<String>| {
        let mut command = command(world);
        command.arg("issue").args(names).args(["--server", world.directory(), "--plugin", "gandi"]);
        let token = world.folder().join("gandi.pat");
        command.args(["--plugin-arg", &format!("GandiPAT=file:{}", token.display())]);
        command
    };
    certificates.iter().map(one).collect()
}

//! The program in `benches/floor`: the protocol, and no care.

use std::process::Command;

use testbed::PAT;

use super::super::world::World;
use super::{Order, Peer};
use crate::Failure;
use crate::setup::{root, target};

pub(super) struct Floor {
    /// What it got is synced to the disk.
    pub(super) keeps: bool,
}

impl Peer for Floor {
    fn id(&self) -> &'static str {
        if self.keeps { "floor-on-disk" } else { "floor" }
    }

    fn title(&self) -> &'static str {
        if self.keeps { "instant-acme (floor, kept)" } else { "instant-acme (floor)" }
    }

    fn version(&self) -> String {
        let lock = std::fs::read_to_string(root().join("benches/floor/Cargo.lock")).unwrap_or_default();
        let rest = lock.split_once("name = \"instant-acme\"\nversion = \"").map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split('"').next()).unwrap_or("?").to_owned()
    }

    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure> {
        Ok(vec![self.command(world, &[vec![format!("{}.warm.example.com", self.id())]])])
    }

    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command> {
        vec![self.command(world, order.certificates)]
    }

    fn is_slow(&self) -> bool {
        false
    }
}

impl Floor {
    fn command(&self, world: &World, certificates: &[Vec<String>]) -> Command {
        let mut command = Command::new(target().join("floor/release/floor"));
        command.arg(world.directory()).arg(world.folder().join("floor.json"));
        command.args(["https://api.gandi.net/v5/livedns", &world.zones(), "8"]);
        command.args(certificates.iter().map(|names| names.join(",")));
        command.env("GANDI_PAT", PAT).env("FLOOR_CA", world.ca());
        if self.keeps {
            command.env("FLOOR_KEEP", world.folder().join("floor"));
        }
        command
    }
}

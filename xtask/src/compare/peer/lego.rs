//! lego, of Debian: it knows Gandi's legacy host and key only.

use std::process::Command;

use testbed::API_KEY;

use super::super::world::World;
use super::{Order, Peer, Waits, packaged};
use crate::Failure;

pub(super) struct Lego;

impl Peer for Lego {
    fn id(&self) -> &'static str {
        "lego"
    }

    fn version(&self) -> String {
        packaged("lego")
    }

    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure> {
        let names = vec![vec!["lego.warm.example.com".to_owned()]];
        Ok(self.issue(world, &Order { certificates: &names, again: false, waits: Waits::Least }))
    }

    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command> {
        let one = |names: &Vec<String>| {
            let mut command = Command::new("lego");
            command.env("GANDIV5_API_KEY", API_KEY);
            command.args(["--server", world.directory(), "--accept-tos", "--email", "you@example.com"]);
            command.arg("--path").arg(world.folder().join("lego")).args(["--dns", "gandiv5"]);
            if order.waits == Waits::Least {
                command.env("GANDIV5_POLLING_INTERVAL", "0").arg("--dns.disable-cp");
            }
            command.args(names.iter().flat_map(|name| ["-d", name]));
            match order.again {
                true => command.args(["renew", "--days", "100000", "--no-random-sleep"]),
                false => command.arg("run"),
            };
            command
        };
        order.certificates.iter().map(one).collect()
    }

    fn wants_legacy_host(&self) -> bool {
        true
    }
}

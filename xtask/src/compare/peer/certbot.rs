//! certbot with a plugin for Gandi: the one of its own, and the one that has lego 5 inside.

use std::path::PathBuf;
use std::process::Command;

use testbed::PAT;

use super::super::world::World;
use super::{Order, Peer, Waits, version_of};
use crate::Failure;
use crate::setup::target;

pub(super) struct Certbot {
    id: &'static str,
    title: &'static str,
    plugin: &'static str,
}

impl Certbot {
    pub(super) const GANDI: Certbot =
        Certbot { id: "certbot", title: "certbot + dns-gandi", plugin: "dns-gandi" };
    pub(super) const MULTI: Certbot =
        Certbot { id: "certbot-multi", title: "certbot + lego 5 (dns-multi)", plugin: "dns-multi" };
}

fn binary() -> PathBuf {
    target().join("compare-venv/bin/certbot")
}

impl Peer for Certbot {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn version(&self) -> String {
        version_of(binary())
    }

    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure> {
        let credentials = match self.plugin {
            "dns-gandi" => format!("dns_gandi_token={PAT}"),
            _ => format!("dns_multi_provider = gandiv5\nGANDIV5_PERSONAL_ACCESS_TOKEN = \"{PAT}\""),
        };
        world.secret(&format!("{}.ini", self.id), &credentials)?;
        let names = vec![vec![format!("{}.warm.example.com", self.id)]];
        Ok(self.issue(world, &Order { certificates: &names, again: false, waits: Waits::Least }))
    }

    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command> {
        let one = |names: &Vec<String>| {
            let mut command = Command::new(binary());
            // Python trusts a bundle of its own.
            command.env("REQUESTS_CA_BUNDLE", world.ca()).env("SSL_CERT_FILE", world.ca());
            command.args(["certonly", "--non-interactive", "--agree-tos", "-m", "you@example.com"]);
            command.args(["--server", world.directory(), "--authenticator", self.plugin]);
            for folder in ["config", "work", "logs"] {
                command.arg(format!("--{folder}-dir")).arg(world.folder().join(self.id).join(folder));
            }
            let credentials = world.folder().join(format!("{}.ini", self.id));
            command.arg(format!("--{}-credentials", self.plugin)).arg(credentials);
            if order.waits == Waits::Least {
                command.args([&format!("--{}-propagation-seconds", self.plugin), "0"]);
            }
            if order.again {
                command.arg("--force-renewal");
            }
            command.args(names.iter().flat_map(|name| ["-d", name]));
            command
        };
        order.certificates.iter().map(one).collect()
    }
}

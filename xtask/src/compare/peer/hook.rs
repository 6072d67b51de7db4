//! Two small clients that leave DNS to a script: uacme and dehydrated, of Debian.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use testbed::PAT;

use super::super::world::World;
use super::{Order, Peer, version_of};
use crate::Failure;

/// The script, as somebody would write it in a quarter of an hour.
const SCRIPT: &str = include_str!("gandi-hook.sh");

fn script(world: &World) -> PathBuf {
    world.folder().join("gandi-hook.sh")
}

fn write_script(world: &World) -> Result<(), Failure> {
    let path = script(world);
    std::fs::write(&path, SCRIPT)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?)
}

fn with_token(mut command: Command, world: &World) -> Command {
    command.env("GANDI_PAT", PAT).env("ZONES", world.zones());
    command
}

pub(super) struct Uacme;

impl Uacme {
    fn command(world: &World) -> Command {
        let mut command = with_token(Command::new("uacme"), world);
        command.arg("-y").arg("-c").arg(world.folder().join("uacme")).args(["-a", world.directory()]);
        command
    }
}

impl Peer for Uacme {
    fn id(&self) -> &'static str {
        "uacme"
    }

    fn title(&self) -> &'static str {
        "uacme + script"
    }

    fn version(&self) -> String {
        version_of("uacme")
    }

    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure> {
        write_script(world)?;
        let mut command = Self::command(world);
        command.args(["new", "you@example.com"]);
        Ok(vec![command])
    }

    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command> {
        let one = |names: &Vec<String>| {
            let mut command = Self::command(world);
            if order.again {
                command.arg("-f");
            }
            command.arg("-h").arg(script(world)).arg("issue").args(names);
            command
        };
        order.certificates.iter().map(one).collect()
    }
}

pub(super) struct Dehydrated;

impl Dehydrated {
    fn command(world: &World) -> Command {
        let mut command = with_token(Command::new("dehydrated"), world);
        command.arg("--config").arg(world.folder().join("dehydrated.conf"));
        command
    }
}

impl Peer for Dehydrated {
    fn id(&self) -> &'static str {
        "dehydrated"
    }

    fn title(&self) -> &'static str {
        "dehydrated + script"
    }

    fn version(&self) -> String {
        version_of("dehydrated")
    }

    fn warm_up(&self, world: &World) -> Result<Vec<Command>, Failure> {
        write_script(world)?;
        let base = world.folder().join("dehydrated");
        std::fs::create_dir_all(&base)?;
        let settings = format!(
            "BASEDIR={}\nCA={}\nCHALLENGETYPE=dns-01\nHOOK={}\n",
            base.display(),
            world.directory(),
            script(world).display()
        );
        std::fs::write(world.folder().join("dehydrated.conf"), settings)?;
        let mut command = Self::command(world);
        command.args(["--register", "--accept-terms"]);
        Ok(vec![command])
    }

    fn issue(&self, world: &World, order: &Order<'_>) -> Vec<Command> {
        let one = |names: &Vec<String>| {
            let mut command = Self::command(world);
            command.args(["--cron", "--alias", &names[0].replace('*', "_")]);
            if order.again {
                command.arg("--force");
            }
            command.args(["--domain", &names.join(" ")]);
            command
        };
        order.certificates.iter().map(one).collect()
    }
}

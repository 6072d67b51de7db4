//! Wall time, processor time and memory of commands.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::world::World;
use crate::Failure;
use crate::usage::{self, Usage};

/// What a client took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds of processor time, with all children.
    pub(super) cpu: f64,
    /// The largest resident size of one process, in MiB.
    pub(super) memory: f64,
}

/// Runs the commands one after another, and takes their time as a whole.
pub(super) fn take(world: &World, commands: Vec<Command>) -> Result<Taken, Failure> {
    let note = world.folder().join("time.txt");
    let mut taken = Taken { wall: 0.0, cpu: 0.0, memory: 0.0 };
    for command in commands {
        let mut timed = Command::new(usage::TIME);
        timed.args(usage::WORDS).arg(&note).arg(command.get_program());
        timed.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => timed.env(name, value),
                None => timed.env_remove(name),
            };
        }
        let begun = Instant::now();
        succeed(&mut timed)?;
        taken.wall += begun.elapsed().as_secs_f64();
        let used = Usage::read(&note)?;
        taken.cpu += used.cpu;
        taken.memory = taken.memory.max(used.memory);
    }
    Ok(taken)
}

/// Runs the commands one after another.
pub(super) fn succeed_all(commands: Vec<Command>) -> Result<(), Failure> {
    commands.into_iter().try_for_each(|mut command| succeed(&mut command))
}

/// Runs a command to its end.
pub(super) fn succeed(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Err(format!("{command:?} ended with {}: {}", output.status, said.concat()).into())
}

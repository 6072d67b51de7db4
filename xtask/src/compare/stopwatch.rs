//! Wall time, processor time and memory of commands.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::world::World;
use crate::Failure;
use crate::usage::{self, Usage};

/// Letters of a command that failed.
const SHOWN: usize = 500;

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

/// The exit status of a program that `timeout` has killed.
const KILLED: i32 = 128 + 9;

/// Runs the commands one after another, and takes their time as a whole; `None` if one was not done within `limit`.
pub(super) fn take(world: &World, commands: Vec<Command>, limit: Duration) -> Result<Option<Taken>, Failure> {
    let note = world.folder().join("time.txt");
    let mut taken = Taken { wall: 0.0, cpu: 0.0, memory: 0.0 };
    for command in commands {
        let mut timed = Command::new(usage::TIME);
        timed.args(usage::WORDS).arg(&note);
        timed.args(["timeout", "--signal=KILL", &limit.as_secs().to_string()]);
        timed.arg(command.get_program());
        timed.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => timed.env(name, value),
                None => timed.env_remove(name),
            };
        }
        let begun = Instant::now();
        let output = timed.stdin(Stdio::null()).output()?;
        if output.status.code() == Some(KILLED) {
            return Ok(None);
        }
        check(&timed, output)?;
        taken.wall += begun.elapsed().as_secs_f64();
        let used = Usage::read(&note)?;
        taken.cpu += used.cpu;
        taken.memory = taken.memory.max(used.memory);
    }
    Ok(Some(taken))
}

/// Runs the commands one after another.
pub(super) fn succeed_all(commands: Vec<Command>) -> Result<(), Failure> {
    commands.into_iter().try_for_each(|mut command| succeed(&mut command))
}

/// Runs a command to its end.
pub(super) fn succeed(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    check(command, output)
}

fn check(command: &Command, output: Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    // There may be a thousand names in it.
    let command: String = format!("{command:?}").chars().take(SHOWN).collect();
    Err(format!("{command} ended with {}: {}", output.status, said.concat()).into())
}

//! Processes of the user's own: hooks, and commands that write DNS records. Each has a process group of its own, a time
//! limit, and an output that is bounded and harmless.

mod running;
mod tail;

use std::time::Duration;

pub(crate) use running::{Limits, run};
pub(crate) use tail::harmless;
use tokio::process::Command;

/// The longest value that the system takes in a variable, with some room for its name (Linux: 128 KiB for both).
const LONGEST_VALUE: usize = 120 * 1024;

/// Our own variables that are for the command line and not about a certificate; the others are not handed on from
/// outside, where they may be those of another process of ours.
const FOR_THE_COMMAND_LINE: [&str; 3] = ["LIVECERT_HOME", "LIVECERT_CA_BUNDLE", "LIVECERT_SEALING_KEY"];

/// What went wrong with a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessFailure {
    /// It cannot be started, or its folder cannot be read.
    #[error("it cannot be run")]
    CannotStart(#[source] std::io::Error),
    /// Its exit status was not 0.
    #[error("it ended with exit status {0}")]
    Status(i32),
    /// A signal that was not ours ended it.
    #[error("signal {0} ended it")]
    Signal(i32),
    /// It took too long, and was ended.
    #[error("it did not end within {} s, and was ended", .0.as_secs_f64())]
    TooLong(Duration),
    /// The service was interrupted, and it was ended.
    #[error("it was interrupted")]
    Interrupted,
}

/// Gives `command` its facts as environment variables; a value that is too long for one is left out. Variables of ours
/// from outside, and those that are `hidden`, are kept from it.
pub(crate) fn with_facts(command: &mut Command, variables: &[(String, String)], hidden: &[String]) {
    for (variable, _) in std::env::vars_os() {
        let variable = variable.to_string_lossy();
        let ours = variable.starts_with("LIVECERT_") && !FOR_THE_COMMAND_LINE.contains(&variable.as_ref());
        if ours || hidden.iter().any(|hidden| *hidden == variable) {
            command.env_remove(variable.as_ref());
        }
    }
    for (variable, value) in variables.iter().filter(|(_, value)| value.len() <= LONGEST_VALUE) {
        // A variable cannot have a NUL, and one that a CA sent must not keep the command from running.
        command.env(variable, value.replace('\0', "\u{fffd}"));
    }
}

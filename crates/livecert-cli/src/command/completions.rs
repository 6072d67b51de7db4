//! `livecert completions SHELL`.

use clap::Args;
use clap_complete::env::Shells;

use crate::completion::VARIABLE;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "powershell", "elvish"])]
    shell: String,
}

pub(super) fn run(words: &Completions, output: &Output) -> Result<Status, Failure> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&words.shell) else {
        return Err(Failure::wrong(&format!("there are no completions for '{}'", words.shell)));
    };
    let mut script = Vec::new();
    // Writing to memory cannot fail; what could is told all the same.
    shell
        .write_registration(VARIABLE, "livecert", "livecert", "livecert", &mut script)
        .map_err(|error| Failure::internal(&format!("the script cannot be made: {error}")))?;
    let script = String::from_utf8_lossy(&script).into_owned();
    output.show(&serde_json::json!({"schema": 1, "shell": words.shell, "script": script}), || script.clone());
    Ok(Status::Done)
}

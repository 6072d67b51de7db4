//! The command line `livecert`: arguments, prompts, progress, tables, JSON, exit status. No logic: that is in the
//! library `livecert`.

mod arguments;
mod command;
mod completion;
mod context;
mod failure;
mod hint;
mod interrupt;
mod logging;
mod output;
mod slip;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use arguments::Arguments;
use output::Output;

fn main() -> ExitCode {
    // A core dump would hold keys and tokens in clear, and outlive the process. Programs that this one starts have their own.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    completion::answer();
    // Asked before parsing, because a JSON document is promised for wrong words too.
    let json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => return failure::wrong_words(&error, json),
    };
    let output = Output::new(arguments.globals.json);
    if let Err(failure) = logging::start(&arguments.globals) {
        return failure.report(&output);
    }
    match command::run(arguments, &output) {
        Ok(status) => output.status(status).into(),
        Err(failure) => failure.report(&output),
    }
}

fn parse() -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let word = matches.subcommand_name().unwrap_or_default();
    livecert::store::introduce(&format!("livecert {word}"));
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

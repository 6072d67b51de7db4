//! The command line `livecert`: arguments, prompts, progress, tables, JSON, exit status. No logic: that is in the
//! library `livecert`.

mod arguments;
mod command;
mod completion;
mod config;
mod context;
#[cfg(test)]
mod documented;
mod explain;
mod failure;
mod help;
mod hint;
mod interrupt;
mod logging;
mod output;
mod page;
#[cfg(test)]
mod sample;
mod screen;
mod slip;
mod terminal;

use std::process::ExitCode;

use clap::FromArgMatches;

use arguments::Arguments;
use failure::Failure;
use output::Output;
use rustix::process::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    // A core dump would hold keys and tokens in clear, and outlive the process. Programs that this one starts have their own.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    raise_file_limit();
    completion::answer();
    // Asked before parsing, because a JSON document is promised for wrong words too.
    let json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(Unparsed::Words(error)) => return failure::wrong_words(&error, json),
        Err(Unparsed::File(failure)) => return failure.report(&Output::new(json)),
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

/// Lets this process have as many files open as it may. A run over all certificates holds the lock of each one that has a hook
/// until the hooks have run at its end, and the 1024 files that are usual would end it in the middle. The limit exists for
/// programs that use select(2), which this one does not; programs that it starts inherit no file. More than these would only
/// cost old programs time that close every number up to the limit.
fn raise_file_limit() {
    const ENOUGH: u64 = 65_536;
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // Where it is refused, a small store works all the same.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Why there are no arguments.
enum Unparsed {
    Words(clap::Error),
    File(Failure),
}

impl From<clap::Error> for Unparsed {
    fn from(error: clap::Error) -> Self {
        Unparsed::Words(error)
    }
}

/// The arguments that were typed, and those that `livecert.toml` adds.
fn parse() -> Result<Arguments, Unparsed> {
    let mut command = help::command();
    let mut words: Vec<_> = std::env::args_os().collect();
    let mut matches = command.try_get_matches_from_mut(&words)?;
    let more = config::complete(&matches).map_err(Unparsed::File)?;
    if !more.is_empty() {
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        words.splice(end..end, more);
        matches = command.try_get_matches_from_mut(&words)?;
    }
    let word = matches.subcommand_name().unwrap_or_default();
    livecert::store::introduce(&format!("livecert {word}"));
    Ok(Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_locks_can_be_held_at_once() {
        let before = getrlimit(Resource::Nofile);
        let most = before.maximum.unwrap_or(u64::MAX).min(65_536);
        // Lower than it may be, and enough for the tests beside this one.
        setrlimit(Resource::Nofile, rustix::process::Rlimit { current: Some(most - 1), ..before }).unwrap();
        raise_file_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(most));
    }
}

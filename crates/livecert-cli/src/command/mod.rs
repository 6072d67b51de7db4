//! The commands, one file each: parse, call the library, show.

mod account;
mod authz;
mod challenge;
mod check;
mod dns;
mod files;
mod issue;
mod list;
mod persist;
mod plan;
mod renew;
mod revoke;
mod server;
mod show;
mod token;
mod view;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::output::{Output, Status};

/// Runs the command.
pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<Status, Failure> {
    let globals = &arguments.globals;
    match arguments.command {
        Command::Issue(words) => issue::run(*words, globals, output),
        Command::Renew(words) => renew::run(&words, globals, output),
        Command::Token(words) => token::run(&words, globals, output),
        Command::Check(words) => check::run(*words, globals, output),
        Command::Plan(words) => plan::run(*words, globals, output),
        Command::Dns(words) => dns::run(words, globals, output),
        Command::List => list::run(globals, output),
        Command::Show(words) => show::run(&words, globals, output),
        Command::Revoke(words) => revoke::run(&words, globals, output),
        Command::Server(words) => server::run(&words, globals, output),
        Command::Account(words) => account::run(words, globals, output),
        Command::Authz(words) => authz::run(&words, globals, output),
        Command::Challenge(words) => challenge::run(&words, globals, output),
        Command::Persist(words) => persist::run(words, globals, output),
        Command::Files(words) => files::run(&words, globals, output),
    }
}

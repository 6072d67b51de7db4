//! The commands, one file each: parse, call the library, show.

mod account;
mod apply;
mod authz;
mod challenge;
mod check;
mod completions;
mod config;
mod declared;
mod deployment;
mod dns;
mod explain;
mod files;
mod import;
mod issue;
mod kept;
mod limits;
mod list;
mod man;
mod order;
mod persist;
mod plan;
mod plugin;
mod rehearse;
mod remove;
mod renew;
mod revoke;
mod rollback;
mod secret;
mod server;
mod set;
mod show;
pub(crate) mod standing;
mod status;
mod timer;
mod token;
pub(crate) mod view;

use clap::{ArgMatches, FromArgMatches, Subcommand};
use livecert::certificate::IssueRequest;

use crate::arguments::{Arguments, Cert, Globals};
use crate::failure::Failure;
use crate::output::{Output, Status};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get a certificate, or do nothing when the stored one is not due
    Issue(Box<issue::Issue>),
    /// Renew the named certificates, or all that are due
    Renew(renew::Renew),
    /// Make the store match the certificates that are written down in livecert.toml
    Apply(apply::Apply),
    /// The file livecert.toml: what is wrong with it, and its schema for editors
    #[command(subcommand)]
    Config(config::ConfigWords),
    /// Look at everything that an issue needs, before there is an order; exit status 1 if it would fail, 4 if something
    /// needs a person soon
    Check(Box<check::Check>),
    /// Show every ACME request and every change in DNS that an issue would make; changes nothing
    Plan(Box<issue::Issue>),
    /// List the certificates in the store
    List,
    /// What needs a person, at a glance: exit status 4 if anything does; asks nobody, and changes nothing
    Status(status::StatusWords),
    /// What is left of the rate limits of ACME servers, as far as our own requests tell; asks nobody
    Limits(limits::LimitsWords),
    /// Show a certificate
    Show(Cert),
    /// Print the paths of a certificate's files
    Files(Cert),
    /// Make the previous generation of a certificate current again
    Rollback(rollback::Rollback),
    /// Take over what another ACME client keeps: accounts, keys, certificates and how they are renewed
    Import(Box<import::ImportWords>),
    /// Change what is stored about a certificate, where that needs no new one
    Set(Box<set::Set>),
    /// Forget a certificate, with its files and keys
    Remove(remove::Remove),
    /// Write TXT values for another ACME client, or remove what an interrupted run left behind
    #[command(subcommand)]
    Dns(dns::Dns),
    /// The credential of the DNS plugin: how it stands, and a new one before it ends
    #[command(subcommand)]
    Token(token::Token),
    /// Renew by a systemd timer
    #[command(subcommand)]
    Timer(timer::Timer),
    /// The key that stored secrets are sealed with
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Revoke a certificate of the store, or one in a file
    Revoke(revoke::Revoke),
    /// ACME servers: which there are, and what they offer
    #[command(subcommand)]
    Server(server::ServerWords),
    /// Accounts at ACME servers
    #[command(subcommand)]
    Account(account::Account),
    /// One order step by step: made, its names proved, finalized, downloaded, days apart if need be
    #[command(subcommand)]
    Order(order::Order),
    /// Authorizations: prove names before there is an order, look at them, give them up
    #[command(subcommand)]
    Authz(authz::Authz),
    /// What publishes the proofs: plugins, their parameters, and what is stored for a certificate
    #[command(subcommand)]
    Plugin(plugin::PluginWords),
    /// Single steps of challenges: what they want shown, show it, answer them
    #[command(subcommand)]
    Challenge(challenge::Challenge),
    /// The standing records of dns-persist-01: certificates without a token on the host
    #[command(subcommand)]
    Persist(persist::Persist),
    /// Explain a kind of error: what it means, and what to do
    Explain(explain::Explain),
    /// Print the script by which a shell completes livecert's words
    Completions(completions::Completions),
    /// Print a manual page, or write all of them
    Man(man::ManPage),
}

/// What the words of an `issue` ask for.
pub(crate) fn issue_request(
    matches: &ArgMatches,
    globals: &Globals,
) -> Result<Result<IssueRequest, Failure>, clap::Error> {
    issue::Issue::from_arg_matches(matches).map(|words| issue::request(words, globals))
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<Status, Failure> {
    let globals = &arguments.globals;
    match arguments.command {
        Command::Issue(words) => issue::run(*words, globals, output),
        Command::Renew(words) => renew::run(&words, globals, output),
        Command::Apply(words) => apply::run(words, globals, output),
        Command::Config(words) => config::run(&words, globals, output),
        Command::Timer(words) => timer::run(&words, globals, output),
        Command::Token(words) => token::run(&words, globals, output),
        Command::Check(words) => check::run(*words, globals, output),
        Command::Plan(words) => plan::run(*words, globals, output),
        Command::Dns(words) => dns::run(words, globals, output),
        Command::List => list::run(globals, output),
        Command::Set(words) => set::run(*words, globals, output),
        Command::Limits(words) => limits::run(&words, globals, output),
        Command::Status(words) => status::run(&words, globals, output),
        Command::Show(words) => show::run(&words, globals, output),
        Command::Rollback(words) => rollback::run(&words, globals, output),
        Command::Secret(words) => secret::run(&words, globals, output),
        Command::Remove(words) => remove::run(&words, globals, output),
        Command::Revoke(words) => revoke::run(&words, globals, output),
        Command::Server(words) => server::run(&words, globals, output),
        Command::Account(words) => account::run(words, globals, output),
        Command::Order(words) => order::run(words, globals, output),
        Command::Authz(words) => authz::run(&words, globals, output),
        Command::Plugin(words) => plugin::run(&words, globals, output),
        Command::Challenge(words) => challenge::run(words, globals, output),
        Command::Persist(words) => persist::run(words, globals, output),
        Command::Import(words) => import::run(*words, globals, output),
        Command::Explain(words) => explain::run(&words, output),
        Command::Completions(words) => completions::run(&words, output),
        Command::Man(words) => man::run(&words, output),
        Command::Files(words) => files::run(&words, globals, output),
    }
}

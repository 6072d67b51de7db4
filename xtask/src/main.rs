//! Everything that a contributor of livecert runs, as `cargo xtask TASK`.

mod compare;
mod count;
mod demo;
mod document;
mod fuzz;
mod interop;
mod measure;
mod package;
mod setup;
mod soak;
mod test;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Everything that a contributor of livecert runs")]
struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get a certificate from a real ACME server on this machine, and show what happens
    Demo,
    /// Install what is missing on this machine for the tests
    Setup,
    /// Set up what is missing and run every test
    Test,
    /// Take livecert through every case at ACME servers that others wrote, and write the table of docs/acme-servers.md
    Interop(interop::Words),
    /// Run the fuzz targets for long, guided by coverage where there is a C++ compiler
    Fuzz(fuzz::Words),
    /// Count requests and take times, for docs/performance.md
    Measure,
    /// Count instructions and system calls, also with 10,000 certificates, for docs/performance.md
    Count(count::Words),
    /// Make manual pages, completions and units for packages
    Package,
    /// Make the Debian package, below target/debian
    Deb,
    /// Run other ACME clients and livecert through the same cases, side by side, for docs/performance.md
    Compare(compare::Words),
    /// Renew thousands of certificates in minutes while everything goes wrong, for docs/reliability.md
    Soak(soak::Words),
    /// The long-lived process of the soak
    #[command(hide = true)]
    SoakService(soak::service::Words),
}

/// What a task ends with when it fails.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let result = match Words::parse().command {
        Command::Demo => demo::run(),
        Command::Setup => setup::run(),
        Command::Test => test::run(),
        Command::Interop(words) => interop::run(&words),
        Command::Fuzz(words) => fuzz::run(&words),
        Command::Measure => measure::run(),
        Command::Count(words) => count::run(&words),
        Command::Package => package::run(),
        Command::Deb => package::deb(),
        Command::Compare(words) => compare::run(&words),
        Command::Soak(words) => soak::run(&words),
        Command::SoakService(words) => soak::service::run(&words),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a task's message to the person who runs it")]
fn complain(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}

#[expect(clippy::print_stdout, reason = "a task's words to the person who runs it")]
fn say(text: &str) {
    println!("{text}");
}

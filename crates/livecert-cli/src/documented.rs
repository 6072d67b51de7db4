//! The documents and the words of the command line: what the documents say is understood by the real parser, and the table
//! of commands is that of the program. (The commands that can be run are, in `tests/documents`.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, Parser};

use crate::arguments::Arguments;

#[path = "../tests/documents/page.rs"]
#[allow(dead_code, reason = "the other half is for the tests that run the commands")]
mod page;

/// Set this to have the table written anew.
const WRITE: &str = "LIVECERT_WRITE_DOCUMENTS";
const BEGIN: &str = "<!-- commands, written by a test -->\n";
const END: &str = "<!-- end -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn commands_that_are_not_run_are_understood() {
    let mut wrong = Vec::new();
    for page in page::all(&root()) {
        for words in &page.parsed {
            let at = format!("{}:{}: {}", page.path.display(), words.line, words.text);
            match shlex::split(&words.text) {
                None => wrong.push(format!("{at}\n  is no line for a shell")),
                Some(all) => {
                    let mut own = Vec::new();
                    for word in all {
                        // What follows a command in its line.
                        if ["&&", "||", "|", ";", ";;", "&"].contains(&word.as_str()) || word.contains('>') {
                            break;
                        }
                        own.push(word.trim_end_matches(';').to_owned());
                        if word.ends_with(';') {
                            break;
                        }
                    }
                    understood(&own).unwrap_or_else(|error| wrong.push(format!("{at}\n  {error}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the words are good; a command that has others below it may stand for them.
fn understood(words: &[String]) -> Result<(), String> {
    let mut command = Arguments::command();
    command.build();
    let mut below = &command;
    for word in words.iter().skip(1) {
        match below.find_subcommand(word.as_str()) {
            Some(found) => below = found,
            None if below.has_subcommands() && !word.starts_with('-') => {
                return Err(format!("there is no command '{word}'"));
            }
            None => break,
        }
    }
    let named_alone = words.len() > 1 && words.iter().skip(1).all(|word| !word.starts_with('-'));
    match Arguments::try_parse_from(words) {
        Ok(_) => Ok(()),
        Err(error) => {
            use clap::error::ErrorKind;
            let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // `issue` in a sentence is the command, not a call.
            let missing = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            if shown || (missing && named_alone) { Ok(()) } else { Err(error.to_string()) }
        }
    }
}

#[test]
fn the_table_of_commands_is_that_of_the_program() {
    let path = root().join("docs/commands.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (found, after) = rest.split_once(END).expect("where the table ends");
    let mut command = Arguments::command();
    command.build();
    let mut table = String::from("\n| command | what it does |\n| --- | --- |\n");
    rows(&command, "livecert", &mut table);
    table.push('\n');
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "run this test once with {WRITE}=1");
    }
}

fn rows(command: &Command, name: &str, table: &mut String) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set())
    {
        let name = format!("{name} {}", below.get_name());
        if below.has_subcommands() {
            rows(below, &name, table);
            continue;
        }
        let about = below.get_about().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        writeln!(table, "| `{name}` | {about} |").unwrap();
    }
}

//! What a shell may complete: beside commands and options, the names that are in the store.
//!
//! What belongs to an argument is told by the name of its value (`CERT`, `CODE|URL`, …), so that a new command has it
//! without a word of its own.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use livecert::certificate::{SERVERS, Servers};
use livecert::plugin;
use livecert::store::Store;

use crate::context::home_folder;
use crate::help;
use crate::hint::{CHALLENGES, KEY_TYPES};

/// The variable by which a shell asks the program itself for candidates.
pub(crate) const VARIABLE: &str = "LIVECERT_COMPLETE";

/// Answers a shell that asks for candidates, and ends the process then.
pub(crate) fn answer() {
    clap_complete::CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The command line with what each value may be.
pub(crate) fn command() -> Command {
    with_candidates(help::command())
}

fn with_candidates(command: Command) -> Command {
    command.mut_args(candidates_for).mut_subcommands(with_candidates)
}

fn candidates_for(argument: Arg) -> Arg {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let id = argument.get_id().as_str().to_owned();
    match (value.as_deref(), id.as_str()) {
        (Some("CERT"), _) => argument.add(ArgValueCompleter::new(certificates)),
        (Some("CODE|URL" | "SERVER"), _) => argument.add(ArgValueCompleter::new(servers)),
        (Some("ACCOUNT"), _) => argument.add(ArgValueCompleter::new(accounts)),
        (Some("PLUGIN"), _) | (_, "plugin") => argument.add(ArgValueCompleter::new(plugins)),
        (_, "plugin_arg") => argument.add(ArgValueCompleter::new(parameters)),
        (Some("PROFILE"), _) => argument.add(ArgValueCompleter::new(profiles)),
        (Some("FILE"), _) => argument.value_hint(ValueHint::FilePath),
        (Some("DIR"), _) => argument.value_hint(ValueHint::DirPath),
        (Some("TYPE"), "challenge") => argument.add(ArgValueCompleter::new(challenges)),
        (Some("TYPE"), _) => argument.add(ArgValueCompleter::new(key_types)),
        _ => argument,
    }
}

/// The state folder that the line in the making names, or the usual one.
fn store() -> Option<Store> {
    let words: Vec<_> = std::env::args_os().collect();
    let named = words.iter().enumerate().find_map(|(index, word)| {
        let word = word.to_str()?;
        match word.strip_prefix("--home=") {
            Some(folder) => Some(PathBuf::from(folder)),
            None if word == "--home" => words.get(index + 1).map(PathBuf::from),
            None => None,
        }
    });
    let named = named.or_else(|| std::env::var_os("LIVECERT_HOME").map(PathBuf::from));
    home_folder(named.as_deref()).ok().map(|home| Store::read_only(&home))
}

fn beginning_with(
    typed: &OsStr,
    all: impl IntoIterator<Item = (String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fits = all.into_iter().filter(|(word, _)| word.starts_with(typed.as_ref()));
    fits.map(|(word, help)| CompletionCandidate::new(word).help(help.map(Into::into))).collect()
}

fn certificates(typed: &OsStr) -> Vec<CompletionCandidate> {
    let names = store().and_then(|store| store.cert_names().ok()).unwrap_or_default();
    beginning_with(typed, names.into_iter().map(|name| (name.to_string(), None)))
}

fn servers(typed: &OsStr) -> Vec<CompletionCandidate> {
    let known = SERVERS.iter().map(|(code, url)| ((*code).to_owned(), Some((*url).to_owned())));
    let used = store().and_then(|store| store.account_records().ok()).unwrap_or_default();
    let used = used.into_iter().map(|account| account.server);
    let used = used.filter(|url| !SERVERS.iter().any(|(_, known)| known == url)).map(|url| (url, None));
    let names = store().and_then(|store| Servers::read(&store).ok()).unwrap_or_default();
    let named = names.names().map(|(name, url)| (name.to_owned(), Some(url.to_owned())));
    beginning_with(typed, known.chain(named).chain(used))
}

fn accounts(typed: &OsStr) -> Vec<CompletionCandidate> {
    let all = store().and_then(|store| store.account_records().ok()).unwrap_or_default();
    let all = all.into_iter().filter(|account| account.url.is_some());
    beginning_with(typed, all.map(|account| (account.id().to_owned(), Some(account.server))))
}

fn plugins(typed: &OsStr) -> Vec<CompletionCandidate> {
    let all = plugin::ALL.iter().map(|plugin| (plugin.name.to_owned(), Some(plugin.summary.to_owned())));
    beginning_with(typed, all)
}

fn parameters(typed: &OsStr) -> Vec<CompletionCandidate> {
    let all = plugin::ALL.iter().flat_map(|plugin| plugin.parameters);
    beginning_with(typed, all.map(|one| (format!("{}=", one.name), Some(one.help.to_owned()))))
}

/// Profiles that the certificates in the store are for: what a server offers is only known to the server.
fn profiles(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(store) = store() else { return Vec::new() };
    let names = store.cert_names().unwrap_or_default();
    let records = names.iter().filter_map(|name| store.record(name).ok());
    let mut all: Vec<_> =
        records.flat_map(|record| record.profile.into_iter().chain(record.preferred_profile)).collect();
    all.sort();
    all.dedup();
    beginning_with(typed, all.into_iter().map(|profile| (profile, None)))
}

fn key_types(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning_with(typed, KEY_TYPES.map(|word| (word.to_owned(), None)))
}

fn challenges(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning_with(typed, CHALLENGES.map(|word| (word.to_owned(), None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_that_is_understood() {
        let words = |candidates: Vec<CompletionCandidate>| -> Vec<String> {
            candidates.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
        };
        for word in words(key_types(OsStr::new(""))) {
            assert!(word.parse::<livecert::key::KeyType>().is_ok(), "{word}");
        }
        for word in words(challenges(OsStr::new(""))) {
            assert!(word.parse::<livecert::challenge::ChallengeChoice>().is_ok(), "{word}");
        }
        assert_eq!(words(servers(OsStr::new("LE_P"))), ["LE_PROD"]);
        assert_eq!(words(plugins(OsStr::new("ga"))), ["gandi"]);
        assert!(words(parameters(OsStr::new("GandiP"))).contains(&"GandiPAT=".to_owned()));
    }
}

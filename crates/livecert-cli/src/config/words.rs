//! What the file says about the command at hand, as words beside those that were typed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

use super::certificate::{PUBLISHER, contradict, option};
use super::check::{Reading, Section, takes_defaults};
use super::document::Document;
use super::vocabulary::{Vocabulary, is_repeatable};
use super::{NAME, text};
use crate::arguments::Globals;
use crate::context::home_folder;
use crate::failure::Failure;
use crate::terminal::write_err;

/// Commands that tell the mistakes of the file themselves, or have no use for it.
const ON_THEIR_OWN: [&str; 4] = ["apply", "config", "completions", "man"];

/// The words to be added to those that were typed: what is in the environment or on the command line stays as it is.
///
/// # Errors
/// The file has mistakes that concern this command. A renewal goes on without what is wrong: a slip in the file must not let
/// certificates end.
pub(crate) fn complete(matches: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let (mut path, mut leaf) = (Vec::new(), matches);
    while let Some((name, below)) = leaf.subcommand() {
        path.push(name.to_owned());
        leaf = below;
    }
    let named = leaf.get_one::<PathBuf>("config");
    let file = match named {
        Some(file) => file.clone(),
        None => match home_folder(leaf.get_one::<PathBuf>("home").map(PathBuf::as_path)) {
            Ok(home) => home.join(NAME),
            // Whether a folder is needed at all is for the command to say.
            Err(_) => return Ok(Vec::new()),
        },
    };
    let alone = path.first().is_none_or(|first| ON_THEIR_OWN.contains(&first.as_str()));
    if named.is_none() && !file.exists() {
        return Ok(Vec::new());
    }
    let text = match text(&file) {
        Ok(text) => text,
        Err(_) if alone => return Ok(Vec::new()),
        // That the renewal cannot read what nobody told it to read must not let certificates end either.
        Err(failure) if path == ["renew"] && named.is_none() => {
            if let Failure::Plain { message, .. } = failure {
                write_err(&format!("warning: {message}\nwarning: the renewal goes on without it\n"));
            }
            return Ok(Vec::new());
        }
        Err(failure) => return Err(failure),
    };
    let vocabulary = Vocabulary::new();
    let document = Document::parse(&text);
    let globals = Globals::from_arg_matches(leaf)
        .map_err(|error| Failure::internal(&format!("the words cannot be read: {error}")))?;
    let mut reading = Reading::new(&vocabulary, &document, file.parent(), &globals);
    let own = reading.commands(Some(&path));
    let words = words(&mut reading, &vocabulary, &path, leaf, &own);
    let renews = path == ["renew"] && (named.is_none() || document.errors.is_empty());
    let report = reading.report(&absolute(&file));
    if alone || report.errors() == 0 {
        return Ok(words);
    }
    if !renews {
        return Err(Failure::Config(report));
    }
    write_err(&report.text());
    write_err(
        "warning: the renewal goes on without what is wrong; `livecert config check` tells all about the file\n",
    );
    Ok(words)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn words(
    reading: &mut Reading<'_>,
    vocabulary: &Vocabulary,
    path: &[String],
    leaf: &ArgMatches,
    own: &Section,
) -> Vec<OsString> {
    let Some(command) = vocabulary.command(path) else { return Vec::new() };
    let typed = typed(command, leaf);
    let defaults = reading.defaults.clone();
    let reaches = |long: &str| {
        let Some(arg) = option(command, long) else { return false };
        // Beside the commands that make certificates, a default reaches what a variable of the environment would.
        takes_defaults(path) || arg.is_global_set() || has_variable(path, long)
    };
    let names_one = own.get("plugin").is_some() || typed.iter().any(|long| long == "plugin");
    let mut words = Vec::new();
    let mut add = |long: &str, given: &[String]| {
        let Some(arg) = option(command, long) else { return };
        if typed.iter().any(|other| other == long || contradict(command, arg, other)) {
            return;
        }
        let most = if is_repeatable(arg) || long == "verbose" { given.len() } else { 1 };
        words.extend(given.iter().take(most).map(OsString::from));
    };
    for given in &own.given {
        add(&given.long, &given.words);
    }
    for given in &defaults.given {
        let is_publisher = PUBLISHER.contains(&given.long.as_str());
        let again = own.get(&given.long).is_some()
            || own.given.iter().any(|other| {
                option(command, &given.long).is_some_and(|arg| contradict(command, arg, &other.long))
            });
        if reaches(&given.long) && !again && !(is_publisher && names_one) {
            add(&given.long, &given.words);
        }
    }
    let mut publisher = Section { arguments: own.arguments.clone(), ..Section::default() };
    if takes_defaults(path) && !names_one {
        publisher.credentials.clone_from(&defaults.credentials);
        publisher.arguments = publisher.arguments.or(defaults.arguments.clone());
        publisher.given = defaults.given.iter().filter(|given| given.long == "plugin").cloned().collect();
    }
    let all = reading.publisher_words(&publisher, &Section::default());
    for long in ["plugin", "plugin-arg", "zone"] {
        let start = format!("--{long}=");
        let words: Vec<String> = all.iter().filter(|word| word.starts_with(&start)).cloned().collect();
        // Parameters of the file are for the plugin of the file.
        if !words.is_empty() && !typed.iter().any(|typed| typed == "plugin") {
            add(long, &words);
        }
    }
    words
}

/// The options that were typed, or are in the environment.
fn typed(command: &Command, leaf: &ArgMatches) -> Vec<String> {
    let options = command.get_arguments().filter(|arg| arg.get_long().is_some());
    let given = options.filter(|arg| {
        let source = leaf
            .try_contains_id(arg.get_id().as_str())
            .ok()
            .and_then(|_| leaf.value_source(arg.get_id().as_str()));
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    });
    given.filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
}

/// Whether an option can be given in the environment, too.
fn has_variable(path: &[String], long: &str) -> bool {
    use clap::CommandFactory;
    let root = crate::arguments::Arguments::command();
    let command = path.iter().try_fold(&root, |command, word| command.find_subcommand(word));
    command.and_then(|command| option(command, long)).is_some_and(|arg| arg.get_env().is_some())
}

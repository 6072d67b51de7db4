//! What can be written in the file, out of clap's description of the commands.

use std::any::TypeId;

use clap::builder::{OsStr, Resettable};
use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::arguments::Arguments;

/// Options that say what one run does, or where the file is: they have no place in it.
const NOT_IN_A_FILE: [&str; 7] = ["help", "version", "config", "json", "force", "dry-run", "plan"];
/// Commands that are told what a certificate is to be, so that the defaults of certificates count for them.
const TOLD: [&str; 3] = ["issue", "check", "plan"];
/// Options of `issue` that are of one certificate, and no defaults.
const OF_ONE: [&str; 2] = ["csr", "subject"];

/// The description of all commands. No option looks into the environment.
pub(super) struct Vocabulary {
    root: Command,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// True, or not given.
    Switch,
    /// How many times it is given.
    Count,
    /// True or false.
    Truth,
    /// A whole number.
    Number,
    /// A text.
    Text,
}

/// Where options are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'p> {
    /// `[defaults]`.
    Defaults,
    /// `[[certificate]]`.
    Certificate,
    /// The table of a command.
    Command(&'p [String]),
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        fn apart(command: Command) -> Command {
            command.mut_args(|arg| arg.env(Resettable::<OsStr>::Reset)).mut_subcommands(apart)
        }
        let mut root = Arguments::command();
        root.build();
        Vocabulary { root: apart(root) }
    }

    pub(super) fn root(&self) -> &Command {
        &self.root
    }

    /// The command with this path.
    pub(super) fn command(&self, path: &[String]) -> Option<&Command> {
        path.iter().try_fold(&self.root, |command, word| command.find_subcommand(word))
    }

    /// The command whose options are written there.
    pub(super) fn command_of(&self, place: Place<'_>) -> Option<&Command> {
        match place {
            Place::Defaults | Place::Certificate => self.root.find_subcommand("issue"),
            Place::Command(path) => self.command(path),
        }
    }

    /// The options that can be written there.
    pub(super) fn options(&self, place: Place<'_>) -> Vec<&Arg> {
        let fits = |arg: &&Arg| match place {
            Place::Defaults => {
                !arg.get_long().is_some_and(|long| OF_ONE.contains(&long) || long == "cert-name")
            }
            Place::Certificate => !arg.is_global_set() && arg.get_long() != Some("cert-name"),
            Place::Command(_) => true,
        };
        let command = self.command_of(place);
        command
            .into_iter()
            .flat_map(Command::get_arguments)
            .filter(|arg| is_writable(arg))
            .filter(fits)
            .collect()
    }
}

/// Whether an option can be written in a file at all.
fn is_writable(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| !NOT_IN_A_FILE.contains(&long)) && !arg.is_hide_set()
}

/// The subcommands that can have a table.
pub(super) fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

/// Whether a command is told what a certificate is to be.
pub(super) fn is_told(path: &[String]) -> bool {
    matches!(path, [one] if TOLD.contains(&one.as_str()))
}

/// What an option takes.
pub(super) fn kind(arg: &Arg) -> Kind {
    let parser = arg.get_value_parser().type_id();
    let is = |of: TypeId| parser == of;
    let numbers = [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<std::num::NonZeroUsize>(),
        TypeId::of::<std::num::NonZeroU16>(),
        TypeId::of::<std::num::NonZeroU32>(),
    ];
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Kind::Switch,
        ArgAction::Count => Kind::Count,
        _ if is(TypeId::of::<bool>()) => Kind::Truth,
        _ if numbers.into_iter().any(is) => Kind::Number,
        _ => Kind::Text,
    }
}

/// Whether it can be given several times.
pub(super) fn is_repeatable(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// The words that it can be, where there are only a few.
pub(super) fn words(arg: &Arg) -> Vec<String> {
    match kind(arg) {
        Kind::Text => arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// What its value is called in the help, such as `DURATION`.
pub(super) fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str())
}

//! The tables of options: each key is an option of a command, each value is looked at by the parser of that option.

use std::collections::BTreeMap;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use super::broken;
use super::credential::{self, Argument, Credential};
use super::document::{Document, Entry, Node, Span, elements, entries, number, table, what};
use super::mistake::{Mistake, Report};
use super::vocabulary::{Kind, Place, Vocabulary, is_repeatable, is_told, kind, subcommands, value_name};
use crate::arguments::Globals;

/// An option that is written down.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) long: String,
    pub(super) span: Span,
    /// The words that it stands for.
    pub(super) words: Vec<String>,
}

/// The options of one table.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) given: Vec<Given>,
    /// `plugin-arg`, which means something with a plugin only.
    pub(super) arguments: Option<(Span, Vec<Argument>)>,
    /// `credential`: by their names.
    pub(super) credentials: Vec<(Span, String)>,
}

impl Section {
    pub(super) fn get(&self, long: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.long == long)
    }

    /// The plugins that are named here, for whatever names.
    pub(super) fn plugins(&self) -> Vec<String> {
        let words = self.get("plugin").into_iter().flat_map(|given| &given.words);
        let publishers = words.filter_map(|word| word.rsplit_once('=')).map(|(_, publisher)| publisher);
        publishers.filter_map(|publisher| publisher.split('@').next().map(str::to_owned)).collect()
    }

    /// The labels that are named here.
    pub(super) fn labels(&self) -> Vec<String> {
        let words = self.get("plugin").into_iter().flat_map(|given| &given.words);
        words.filter_map(|word| word.rsplit_once('@')).map(|(_, label)| label.to_owned()).collect()
    }

    /// Whether it is said what publishes the proofs.
    pub(super) fn names_publisher(&self) -> bool {
        !self.credentials.is_empty() || self.get("plugin").is_some()
    }
}

/// A file that is being looked at.
pub(super) struct Reading<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) document: &'a Document<'a>,
    /// Where the file is.
    pub(super) folder: Option<&'a Path>,
    pub(super) globals: &'a Globals,
    pub(super) mistakes: Vec<Mistake>,
    /// What must not be shown, because it may be a secret.
    pub(super) hidden: Vec<Span>,
    pub(super) defaults: Section,
    pub(super) credentials: BTreeMap<String, Credential>,
    parsers: BTreeMap<String, Command>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        vocabulary: &'a Vocabulary,
        document: &'a Document<'a>,
        folder: Option<&'a Path>,
        globals: &'a Globals,
    ) -> Self {
        let no_toml = |(span, message): &(Span, String)| Mistake::new(span.clone(), message.clone()).syntax();
        Reading {
            vocabulary,
            document,
            folder,
            globals,
            mistakes: document.errors.iter().map(no_toml).collect(),
            hidden: broken::hidden(document, vocabulary),
            defaults: Section::default(),
            credentials: BTreeMap::new(),
            parsers: BTreeMap::new(),
        }
    }

    pub(super) fn report(self, path: &Path) -> Report {
        Report::new(path, self.document.text, &self.hidden, self.mistakes)
    }

    /// Looks at `[defaults]`, the credentials and the tables of the commands; of these at `only` one where that is all that
    /// is wanted, whose options it gives.
    pub(super) fn commands(&mut self, only: Option<&[String]>) -> Section {
        let document = self.document;
        let commands: Vec<_> = subcommands(self.vocabulary.root()).map(Command::get_name).collect();
        let options = self.vocabulary.options(Place::Defaults);
        let is_loose = |entry: &Entry<'_, '_>| {
            table(entry.value).is_none() && options.iter().any(|arg| arg.get_long() == Some(entry.key))
        };
        for entry in document.entries() {
            match entry.key {
                "defaults" | "credential" | "certificate" => {}
                key if is_loose(&entry) => {
                    self.hidden.push(entry.value.span());
                    let message = format!("'{key}' is an option, and stands in no table");
                    let help = "write [defaults] above it, if it is for all certificates".to_owned();
                    self.mistakes.push(Mistake::new(entry.key_span.clone(), message).help(Some(help)));
                }
                key if commands.contains(&key) => {}
                key => self.unknown(
                    &entry,
                    key,
                    &[commands.as_slice(), &["defaults", "credential", "certificate"]].concat(),
                    "table",
                ),
            }
        }
        self.read_credentials();
        if let Some(value) = document.entries().into_iter().find(|entry| entry.key == "defaults")
            && let Some(table) = self.must_be_table(&value)
        {
            self.defaults = self.section(Place::Defaults, table);
            self.check_publisher(&self.defaults.clone(), None);
        }
        let mut own = Section::default();
        for entry in document.entries() {
            if commands.contains(&entry.key)
                && !is_loose(&entry)
                && only.is_none_or(|path| path.first().is_some_and(|first| first == entry.key))
            {
                let mut path = vec![entry.key.to_owned()];
                self.command(&mut path, &entry, only, &mut own);
            }
        }
        own
    }

    fn command(
        &mut self,
        path: &mut Vec<String>,
        entry: &Entry<'_, '_>,
        only: Option<&[String]>,
        own: &mut Section,
    ) {
        let Some(table) = self.must_be_table(entry) else { return };
        let vocabulary = self.vocabulary;
        let Some(command) = vocabulary.command(path) else { return };
        let below: Vec<_> = subcommands(command).map(Command::get_name).collect();
        if below.is_empty() {
            let section = self.section(Place::Command(path), table);
            self.check_publisher(&section, None);
            if only.is_some_and(|only| only == path.as_slice()) {
                *own = section;
            }
            return;
        }
        for entry in entries(table) {
            if below.contains(&entry.key) {
                path.push(entry.key.to_owned());
                if only.is_none_or(|only| only.starts_with(path)) {
                    self.command(path, &entry, only, own);
                }
                path.pop();
            } else {
                self.unknown(&entry, entry.key, &below, "command");
            }
        }
    }

    pub(super) fn must_be_table<'d, 't>(&mut self, entry: &Entry<'d, 't>) -> Option<&'d DeTable<'t>> {
        let found = table(entry.value);
        if found.is_none() {
            let message = format!("'{}' is a table, and not {}", entry.key, what(entry.value.get_ref()));
            let header = format!("write [{}] on a line of its own, and the options below it", entry.key);
            self.hidden.push(entry.value.span());
            self.mistakes.push(Mistake::new(entry.key_span.clone(), message).help(Some(header)));
        }
        found
    }

    /// A key that nobody knows. What it has may be a secret whose key was mistyped.
    pub(super) fn unknown(&mut self, entry: &Entry<'_, '_>, key: &str, known: &[&str], noun: &str) {
        self.hidden.push(entry.value.span());
        let help = similar(key, known).map(|meant| format!("did you mean '{meant}'?"));
        let message = format!("there is no {noun} '{key}'");
        self.mistakes.push(Mistake::new(entry.key_span.clone(), message).label("not known here").help(help));
    }

    /// Looks at the options of a table.
    pub(super) fn section(&mut self, place: Place<'_>, table: &DeTable<'_>) -> Section {
        let options = self.vocabulary.options(place);
        let mut section = Section::default();
        for entry in entries(table) {
            let has_credential = place == Place::Defaults || place == Place::Certificate;
            if place == Place::Certificate && matches!(entry.key, "name" | "names") {
                continue;
            }
            if entry.key == "credential" && has_credential {
                for element in elements(entry.value) {
                    let name = self.text(&entry, element);
                    section.credentials.extend(name.map(|name| (element.span(), name)));
                }
                continue;
            }
            let Some(arg) = options.iter().copied().find(|arg| arg.get_long() == Some(entry.key)) else {
                self.no_option(place, &entry, &options, has_credential);
                continue;
            };
            if entry.key == "plugin-arg" {
                let arguments = self.arguments(&entry);
                section.arguments = Some((entry.key_span.clone(), arguments));
                continue;
            }
            if let Some(given) = self.option(place, arg, &entry) {
                section.given.push(given);
            }
        }
        section
    }

    fn no_option(&mut self, place: Place<'_>, entry: &Entry<'_, '_>, options: &[&Arg], credential: bool) {
        let mut known: Vec<_> = options.iter().filter_map(|arg| arg.get_long()).collect();
        known.extend(credential.then_some("credential"));
        known.extend((place == Place::Certificate).then_some(["name", "names"]).into_iter().flatten());
        let dashed = entry.key.replace('_', "-");
        let plain = known.iter().find(|known| **known == dashed).copied();
        let meant = plain.map(str::to_owned).or_else(|| similar(entry.key, &known));
        let meant = meant.and_then(|meant| options.iter().find(|arg| arg.get_long() == Some(&meant)));
        let is_harmless = meant.is_some_and(|arg| !value_name(arg).contains("SOURCE"));
        if let Some(plain) = plain {
            if !is_harmless {
                self.hidden.push(entry.value.span());
            }
            let help = Some(format!("as on the command line: '{plain}'"));
            let message = format!("there is no option '{}'", entry.key);
            self.mistakes.push(Mistake::new(entry.key_span.clone(), message).help(help));
            return;
        }
        if place == Place::Certificate
            && self.vocabulary.options(Place::Defaults).iter().any(|arg| arg.get_long() == Some(entry.key))
        {
            let message = format!("'{}' is the same for all certificates", entry.key);
            let help = Some("write it in [defaults]".to_owned());
            self.mistakes.push(Mistake::new(entry.key_span.clone(), message).help(help));
            return;
        }
        self.unknown(entry, entry.key, &known, "option");
        if is_harmless {
            self.hidden.pop();
        }
    }

    fn option(&mut self, place: Place<'_>, arg: &Arg, entry: &Entry<'_, '_>) -> Option<Given> {
        let long = entry.key;
        let value = entry.value.get_ref();
        let before = self.mistakes.len();
        let word = |text: &str| format!("--{long}={text}");
        let words = match (kind(arg), value) {
            (Kind::Switch, DeValue::Boolean(on)) => {
                if *on {
                    vec![format!("--{long}")]
                } else {
                    Vec::new()
                }
            }
            (Kind::Truth, DeValue::Boolean(on)) => vec![word(&on.to_string())],
            (Kind::Switch | Kind::Truth, _) => {
                self.wrong_type(entry.value, "true or false", arg);
                return None;
            }
            (Kind::Count, value) if number(value).is_some_and(|times| times <= 9) => {
                let times = number(value).unwrap_or_default();
                (0..times).map(|_| format!("--{long}")).collect()
            }
            (Kind::Number, value) if number(value).is_some() => {
                let text = number(value).unwrap_or_default().to_string();
                self.value(place, arg, &text, &entry.value.span());
                vec![word(&text)]
            }
            (Kind::Count | Kind::Number, _) => {
                self.wrong_type(entry.value, "a whole number", arg);
                return None;
            }
            (Kind::Text, DeValue::Array(_)) if !is_repeatable(arg) => {
                self.wrong_type(entry.value, "one text", arg);
                return None;
            }
            (Kind::Text, _) => {
                let mut words = Vec::new();
                for element in elements(entry.value) {
                    let DeValue::String(text) = element.get_ref() else {
                        self.wrong_type(element, "a text", arg);
                        continue;
                    };
                    self.value(place, arg, text, &element.span());
                    words.push(word(text));
                }
                words
            }
        };
        (self.mistakes.len() == before || self.mistakes[before..].iter().all(|mistake| mistake.is_warning))
            .then(|| Given { long: long.to_owned(), span: entry.key_span.clone(), words })
    }

    /// A text that has to be one.
    pub(super) fn text(&mut self, entry: &Entry<'_, '_>, value: &Node<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => {
                let message = format!("'{}' is a text, and not {}", entry.key, what(other));
                self.mistakes.push(Mistake::new(value.span(), message));
                None
            }
        }
    }

    fn wrong_type(&mut self, value: &Node<'_>, wanted: &str, arg: &Arg) {
        let long = arg.get_long().unwrap_or_default();
        let message = format!("'{long}' is {wanted}, and not {}", what(value.get_ref()));
        let written = self.document.text.get(value.span()).unwrap_or_default();
        let is_secret = value_name(arg).contains("SOURCE");
        let help = match (kind(arg), value.get_ref()) {
            // It may be the secret itself.
            _ if is_secret => None,
            (Kind::Text, DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => {
                Some(format!("put it into quotes: \"{written}\""))
            }
            (Kind::Switch | Kind::Truth, DeValue::String(text)) if matches!(&**text, "true" | "false") => {
                Some(format!("without quotes: {text}"))
            }
            (Kind::Number, DeValue::String(text)) if text.parse::<u64>().is_ok() => {
                Some(format!("without quotes: {text}"))
            }
            _ => None,
        };
        if is_secret {
            self.hidden.push(value.span());
        }
        self.mistakes.push(Mistake::new(value.span(), message).help(help));
    }

    /// The command whose parser looks at the options there.
    pub(super) fn parser(&mut self, place: Place<'_>) -> &mut Command {
        let path = match place {
            Place::Defaults | Place::Certificate => vec!["issue".to_owned()],
            Place::Command(path) => path.to_vec(),
        };
        let vocabulary = self.vocabulary;
        self.parsers
            .entry(path.join(" "))
            .or_insert_with(|| vocabulary.command(&path).cloned().unwrap_or_else(|| Command::new("livecert")))
    }

    fn arguments(&mut self, entry: &Entry<'_, '_>) -> Vec<Argument> {
        credential::arguments(self, entry)
    }

    /// Looks at the plugin's arguments of a table, with its own plugins, those of its credentials, or those of `[defaults]`.
    pub(super) fn check_publisher(&mut self, section: &Section, outer: Option<&Section>) {
        for (span, name) in &section.credentials {
            self.known_credential(name, span);
        }
        let Some((span, arguments)) = &section.arguments else { return };
        let of = |section: &Section| {
            let credentials = section.credentials.iter().filter_map(|(_, name)| self.credentials.get(name));
            let mut plugins = section.plugins();
            plugins.extend(credentials.map(|credential| credential.plugin.name.to_owned()));
            plugins
        };
        let mut plugins = of(section);
        if !section.names_publisher() {
            plugins = outer.map(of).unwrap_or_default();
        }
        credential::check(self, &plugins, span, arguments);
    }

    fn known_credential(&mut self, name: &str, span: &Span) {
        if self.credentials.contains_key(name) || self.has_credential_table(name) {
            return;
        }
        // Also those that have mistakes.
        let known = self.document.table("credential").map(entries).unwrap_or_default();
        let known: Vec<_> = known.iter().map(|entry| entry.key).collect();
        let help = match similar(name, &known) {
            Some(meant) => Some(format!("did you mean \"{meant}\"?")),
            None => Some(format!("write [credential.{name}] with its plugin and parameters")),
        };
        let message = format!("there is no credential '{name}'");
        self.mistakes.push(Mistake::new(span.clone(), message).help(help));
    }

    /// Whether there is such a credential, with whatever mistakes.
    fn has_credential_table(&self, name: &str) -> bool {
        self.document.table("credential").is_some_and(|all| all.contains_key(name))
    }
}

/// Whether the command is told what a certificate is to be, so that `[defaults]` counts for it as a whole.
pub(super) fn takes_defaults(path: &[String]) -> bool {
    is_told(path)
}

/// The word that was meant, if one is alike.
pub(super) fn similar(word: &str, known: &[&str]) -> Option<String> {
    livecert::plugin::similar(word, known.iter().copied())
}

/// The options that clap's error is about.
pub(super) fn options_in(error: &clap::Error) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, value) in error.context() {
        if !matches!(kind, ContextKind::InvalidArg | ContextKind::PriorArg) {
            continue;
        }
        let texts = match value {
            ContextValue::String(text) => vec![text.clone()],
            ContextValue::Strings(texts) => texts.clone(),
            _ => continue,
        };
        found.extend(texts.iter().filter_map(|text| {
            let long = text.strip_prefix("--")?;
            long.split([' ', '=', '[']).next().map(str::to_owned)
        }));
    }
    found
}

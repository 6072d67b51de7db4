//! `[[certificate]]`: what an `issue` would be told, written down.

use std::collections::BTreeMap;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};
use livecert::certificate::{CertificateError, Declared, IssueRequest, SubjectName};
use livecert::store::CertName;
use toml::de::{DeTable, DeValue};

use super::check::{Reading, Section, options_in};
use super::document::{Span, elements, entries, table, what};
use super::mistake::Mistake;
use super::vocabulary::Place;
use crate::command;
use crate::failure::Failure;

/// The options that are about one thing: who names one of them names what publishes the proofs.
pub(super) const PUBLISHER: [&str; 2] = ["plugin", "zone"];

impl Reading<'_> {
    /// The certificates that are declared, without those that have a mistake. `path` is that of the file.
    pub(super) fn certificates(&mut self, path: &Path) -> Vec<Declared> {
        let document = self.document;
        let Some(entry) = document.entries().into_iter().find(|entry| entry.key == "certificate") else {
            return Vec::new();
        };
        let (mut found, mut known) = (Vec::new(), BTreeMap::new());
        if !matches!(entry.value.get_ref(), DeValue::Array(_)) {
            let message =
                format!("certificates are a list of tables, and not {}", what(entry.value.get_ref()));
            let help = Some("write [[certificate]] with two brackets, for each one anew".to_owned());
            self.mistakes.push(Mistake::new(entry.key_span, message).help(help));
            return found;
        }
        for element in elements(entry.value) {
            let Some(table) = table(element) else {
                let message = format!("a certificate is a table, and not {}", what(element.get_ref()));
                self.mistakes.push(Mistake::new(element.span(), message));
                continue;
            };
            let Some((declared, span)) = self.certificate(table, &element.span(), path) else { continue };
            if let Some(line) = known.get(&declared.cert) {
                let message = format!("there is a certificate '{}' in line {line} already", declared.cert);
                let help = "give one of them another name = \"…\"".to_owned();
                self.mistakes.push(Mistake::new(span, message).help(Some(help)));
                continue;
            }
            let line = document.text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
            known.insert(declared.cert.clone(), line);
            found.push(declared);
        }
        found
    }

    fn certificate(&mut self, table: &DeTable<'_>, at: &Span, path: &Path) -> Option<(Declared, Span)> {
        let before = self.mistakes.len();
        let name = self.name(table);
        let names = self.names(table);
        let own = self.section(Place::Certificate, table);
        let defaults = self.defaults.clone();
        self.check_publisher(&own, Some(&defaults));
        if names.is_none() && own.get("csr").is_none() && self.fine_since(before) {
            let help = Some("add names = [\"example.com\"]".to_owned());
            self.mistakes.push(
                Mistake::new(header(self.document.text, at), "the certificate has no names").help(help),
            );
        }
        if !self.fine_since(before) {
            return None;
        }
        let key =
            |key: &str| entries(table).into_iter().find(|entry| entry.key == key).map(|entry| entry.key_span);
        let span = key("name")
            .or_else(|| key("names"))
            .or_else(|| key("csr"))
            .unwrap_or_else(|| header(self.document.text, at));
        let words = self.issue_words(&own, &defaults);
        if !self.has_all_parameters(&own, &defaults, &span) || !self.fine_since(before) {
            return None;
        }
        let mut all = vec!["issue".to_owned()];
        all.extend(words);
        all.extend(name.as_ref().map(|name| format!("--cert-name={name}")));
        all.push("--".to_owned());
        all.extend(names.iter().flatten().cloned());
        let matches = match self.parser(Place::Certificate).try_get_matches_from_mut(&all) {
            Ok(matches) => matches,
            Err(error) => {
                self.contradiction(&error, &own, &span);
                return None;
            }
        };
        let request = self.request(&matches, &own, &span)?;
        let cert = match (&request, name) {
            (_, Some(name)) => name,
            (Ok(request), None) => CertName::from(request.names.first()?),
            (Err(_), None) if names.is_some() => {
                let first = names.iter().flatten().next()?.parse::<SubjectName>().ok()?;
                CertName::from(&first)
            }
            (Err(_), None) => {
                // Its names are in the file that cannot be read.
                let help = Some("give it a name = \"…\"".to_owned());
                self.mistakes
                    .push(Mistake::new(span, "the names of this certificate are not known").help(help));
                return None;
            }
        };
        let request = request.map(|request| IssueRequest { declared_in: Some(path.to_owned()), ..request });
        Some((Declared { cert, request }, span))
    }

    fn fine_since(&self, before: usize) -> bool {
        self.mistakes[before..].iter().all(|mistake| mistake.is_warning)
    }

    /// What the words ask for, after all that can be known about it has been looked at.
    fn request(
        &mut self,
        matches: &ArgMatches,
        own: &Section,
        span: &Span,
    ) -> Option<Result<IssueRequest, Box<CertificateError>>> {
        let asked = match command::issue_request(matches, self.globals) {
            Ok(asked) => asked,
            Err(error) => {
                self.contradiction(&error, own, span);
                return None;
            }
        };
        let checked = asked.and_then(|request| {
            request.check_alone()?;
            Ok(request)
        });
        match checked {
            Ok(request) => Some(Ok(request)),
            // It may be there when it is needed.
            Err(Failure::Certificate(error)) if matches!(*error, CertificateError::File { .. }) => {
                Some(Err(error))
            }
            Err(failure) => {
                self.failed(&failure, span);
                None
            }
        }
    }

    fn contradiction(&mut self, error: &clap::Error, own: &Section, span: &Span) {
        let options = options_in(error);
        let written = options.iter().filter_map(|long| own.get(long)).max_by_key(|given| given.span.start);
        let span = written.map_or_else(|| span.clone(), |given| given.span.clone());
        let all = options.iter().map(|long| format!("'{long}'")).collect::<Vec<_>>();
        let message = match error.kind() {
            ErrorKind::ArgumentConflict => format!("{} contradict each other", all.join(" and ")),
            ErrorKind::MissingRequiredArgument => format!("{} is needed too", all.join(" and ")),
            _ => error
                .render()
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        };
        self.mistakes.push(Mistake::new(span, message));
    }

    fn name(&mut self, table: &DeTable<'_>) -> Option<CertName> {
        let entry = entries(table).into_iter().find(|entry| entry.key == "name")?;
        let text = self.text(&entry, entry.value)?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.refused(&CertificateError::CertName(error), &entry.value.span());
                None
            }
        }
    }

    fn names(&mut self, table: &DeTable<'_>) -> Option<Vec<String>> {
        let entry = entries(table).into_iter().find(|entry| entry.key == "names")?;
        let mut names = Vec::new();
        if !matches!(entry.value.get_ref(), DeValue::Array(_)) {
            let message = format!("'names' is a list, and not {}", what(entry.value.get_ref()));
            let written = self.document.text.get(entry.value.span()).unwrap_or_default();
            let help =
                matches!(entry.value.get_ref(), DeValue::String(_)).then(|| format!("write [{written}]"));
            self.mistakes.push(Mistake::new(entry.value.span(), message).help(help));
            return Some(names);
        }
        for element in elements(entry.value) {
            let DeValue::String(text) = element.get_ref() else {
                let message = format!("a name is a text, and not {}", what(element.get_ref()));
                self.mistakes.push(Mistake::new(element.span(), message));
                continue;
            };
            match text.parse::<SubjectName>() {
                Ok(_) => names.push(text.clone().into_owned()),
                Err(error) => self.refused(&CertificateError::Name(error), &element.span()),
            }
        }
        if names.is_empty() && elements(entry.value).is_empty() {
            let help = Some("add at least one, as in names = [\"example.com\"]".to_owned());
            self.mistakes.push(Mistake::new(entry.value.span(), "there is no name in it").help(help));
        }
        Some(names)
    }

    /// The words of the options, with the defaults that they leave, and with what publishes the proofs.
    fn issue_words(&mut self, own: &Section, defaults: &Section) -> Vec<String> {
        let vocabulary = self.vocabulary;
        let Some(command) = vocabulary.command_of(Place::Certificate) else { return Vec::new() };
        // Whoever names a plugin or a credential means nothing of the default one.
        let names_one = own.names_publisher();
        let chosen: Vec<&str> = own.given.iter().map(|given| given.long.as_str()).collect();
        let mut words: Vec<String> = own.given.iter().flat_map(|given| given.words.clone()).collect();
        for given in &defaults.given {
            let Some(arg) = option(command, &given.long).filter(|arg| !arg.is_global_set()) else { continue };
            let is_replaced = chosen.contains(&given.long.as_str())
                || (names_one && PUBLISHER.contains(&given.long.as_str()))
                || chosen.iter().any(|other| contradict(command, arg, other));
            if !is_replaced {
                words.extend(given.words.iter().cloned());
            }
        }
        words.extend(self.publisher_words(own, defaults));
        words
    }
}

/// The option of a command with this name.
pub(super) fn option<'c>(command: &'c Command, long: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

/// Whether an option and another one cannot both be given.
pub(super) fn contradict(command: &Command, arg: &Arg, other: &str) -> bool {
    let Some(other) = option(command, other) else { return false };
    let has = |one: &Arg, two: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|conflict| conflict.get_id() == two.get_id())
    };
    has(arg, other) || has(other, arg)
}

/// The first line of a table.
fn header(text: &str, at: &Span) -> Span {
    let line = text.get(at.clone()).unwrap_or_default().split('\n').next().unwrap_or_default();
    at.start..at.start + line.trim_end().len()
}

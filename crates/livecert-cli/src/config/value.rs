//! The values of options: each is looked at by whatever reads it on the command line.

use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches};
use livecert::certificate::CertificateError;
use livecert::secret::Source;
use livecert::store::CertName;

use super::check::{Reading, similar};
use super::document::Span;
use super::mistake::Mistake;
use super::vocabulary::{Place, value_name, words};
use crate::failure::{Failure, one_line};
use crate::hint;
use crate::{command, context};

/// Options whose file is read, so that it should be there.
const READ: [&str; 3] = ["ca-bundle", "csr", "key-file"];

impl Reading<'_> {
    /// Looks at one value of an option.
    pub(super) fn value(&mut self, place: Place<'_>, arg: &Arg, text: &str, span: &Span) {
        let long = arg.get_long().unwrap_or_default();
        let mut all = words(arg);
        if !all.is_empty() && !all.iter().any(|word| word == text) {
            let known: Vec<_> = all.iter().map(String::as_str).collect();
            let help = similar(text, &known).map(|meant| format!("did you mean \"{meant}\"?"));
            all.sort();
            let message = format!("'{text}' is none of {}", all.join(", "));
            self.mistakes.push(Mistake::new(span.clone(), message).help(help));
            return;
        }
        if !text.is_empty() && !self.named_value(arg, text, span) {
            return;
        }
        let parser = self.parser(place);
        match parser.try_get_matches_from_mut([parser.get_name().to_owned(), format!("--{long}={text}")]) {
            Ok(matches) => self.issue_value(place, long, &matches, span),
            Err(error) if is_about_the_value(&error) => {
                let message = reason(&error);
                self.mistakes.push(Mistake::new(span.clone(), message));
            }
            // That something else is missing beside it is looked at when all is there.
            Err(_) => {}
        }
    }

    /// What the name of the value says about it; whether that is all right.
    fn named_value(&mut self, arg: &Arg, text: &str, span: &Span) -> bool {
        let long = arg.get_long().unwrap_or_default();
        match value_name(arg) {
            "SOURCE" => return self.source(long, text, span).is_some(),
            "FILE" | "DIR" | "PATH" => {
                if !self.must_be_absolute(text, span) {
                    return false;
                }
                if READ.contains(&long) {
                    self.should_be_there(Path::new(text), span);
                }
            }
            "CODE|URL" | "SERVER" => {
                if let Err(failure) = context::server(Some(text), self.globals) {
                    self.failed(&failure, span);
                    return false;
                }
            }
            "CERT" => {
                if let Err(error) = text.parse::<CertName>() {
                    self.refused(&error.into(), span);
                    return false;
                }
            }
            _ => {}
        }
        true
    }

    /// Looks at the place of a secret. What is none may be the secret itself, and is not shown.
    pub(super) fn source(&mut self, what: &str, text: &str, span: &Span) -> Option<Source> {
        let source = match text.parse::<Source>() {
            Ok(source) => source,
            Err(error) => {
                self.hidden.push(span.clone());
                let ways = "write the place where it is: \"file:/etc/livecert/secret\", \"env:VAR\", \"cmd:COMMAND\", \
                            \"systemd-cred:NAME\" or \"keyring:SERVICE/USER\"";
                let message = match error {
                    livecert::secret::SecretError::Literal => {
                        format!("'{what}' takes the place where the secret is, not the secret itself")
                    }
                    error => format!("'{what}': {error}"),
                };
                self.mistakes.push(Mistake::new(span.clone(), message).help(Some(ways.to_owned())));
                return None;
            }
        };
        if let Source::File(path) = &source {
            if !self.must_be_absolute(&path.to_string_lossy(), span) {
                return None;
            }
            self.should_be_there(path, span);
        }
        Some(source)
    }

    /// Whoever reads the file next may be in another folder.
    pub(super) fn must_be_absolute(&mut self, path: &str, span: &Span) -> bool {
        let absolute = Path::new(path).is_absolute();
        if !absolute {
            let message = format!("the path '{path}' depends on the folder in which livecert is run");
            let whole = self.folder.map(|folder| folder.join(path).display().to_string());
            let help = whole.map(|whole| format!("write the whole path, such as {whole}"));
            self.mistakes.push(Mistake::new(span.clone(), message).help(help));
        }
        absolute
    }

    fn should_be_there(&mut self, path: &Path, span: &Span) {
        if !path.exists() {
            let message = format!("there is no file {}", path.display());
            self.mistakes.push(Mistake::new(span.clone(), message).warning());
        }
    }

    /// What `issue` says about one of its options alone.
    fn issue_value(&mut self, place: Place<'_>, long: &str, matches: &ArgMatches, span: &Span) {
        let told = match place {
            Place::Command(path) => path == ["issue"],
            Place::Defaults | Place::Certificate => true,
        };
        // What a zone or a parameter is for is known only with the plugins.
        if !told || long == "zone" {
            return;
        }
        match command::issue_request(matches, self.globals) {
            Ok(Err(failure)) if long == "csr" && is_about_a_file(&failure) => {}
            Ok(Err(failure)) => self.failed(&failure, span),
            Ok(Ok(_)) | Err(_) => {}
        }
    }

    /// The same for a failure of whatever kind.
    pub(super) fn failed(&mut self, failure: &Failure, span: &Span) {
        match failure {
            Failure::Certificate(error) => self.refused(error, span),
            Failure::Plain { message, .. } => self.mistakes.push(Mistake::new(span.clone(), message.clone())),
            // Of this file there is one report.
            Failure::Config(_) => {}
        }
    }

    /// What the library says about a value.
    pub(super) fn refused(&mut self, error: &CertificateError, span: &Span) {
        self.mistakes.push(Mistake::new(span.clone(), one_line(error)).help(hint::hint(error)));
    }
}

/// Whether a file cannot be read that may be there later.
fn is_about_a_file(failure: &Failure) -> bool {
    matches!(failure, Failure::Certificate(error) if matches!(**error, CertificateError::File { .. }))
}

fn is_about_the_value(error: &clap::Error) -> bool {
    use ErrorKind::{
        InvalidUtf8, InvalidValue, NoEquals, TooFewValues, TooManyValues, ValueValidation,
        WrongNumberOfValues,
    };
    matches!(
        error.kind(),
        InvalidUtf8
            | InvalidValue
            | NoEquals
            | TooFewValues
            | TooManyValues
            | ValueValidation
            | WrongNumberOfValues
    )
}

/// Clap's reason, without the words around it.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(error) {
        return source.to_string();
    }
    let text = error.render().to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

//! Lines that are no TOML: what is written beside the name of a secret is not shown, whatever it is.

use clap::Command;
use livecert::plugin::{self, ParameterKind};

use super::document::{Document, Span};
use super::vocabulary::{Vocabulary, subcommands, value_name};

/// The parts of lines that cannot be read which may be a secret.
pub(super) fn hidden(document: &Document<'_>, vocabulary: &Vocabulary) -> Vec<Span> {
    if document.errors.is_empty() {
        return Vec::new();
    }
    let mut names = Vec::new();
    of_options(vocabulary.root(), &mut names);
    for parameter in plugin::ALL.iter().flat_map(|plugin| plugin.parameters) {
        if matches!(parameter.kind, ParameterKind::Secret | ParameterKind::Insecure { .. }) {
            names.push(parameter.name.to_ascii_lowercase());
        }
    }
    let lines = document.errors.iter().map(|(span, _)| line(document.text, span.start));
    lines.filter_map(|line| beside(document.text, line, &names)).collect()
}

fn of_options(command: &Command, names: &mut Vec<String>) {
    let secret = command.get_arguments().filter(|arg| value_name(arg).contains("SOURCE"));
    names.extend(secret.filter_map(|arg| arg.get_long()).map(str::to_ascii_lowercase));
    for below in subcommands(command) {
        of_options(below, names);
    }
}

fn line(text: &str, at: usize) -> Span {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    start..end
}

/// All of a line that comes after the first of the names.
fn beside(text: &str, line: Span, names: &[String]) -> Option<Span> {
    let lower = text[line.clone()].to_ascii_lowercase();
    let ends = names.iter().filter_map(|name| Some(lower.find(name.as_str())? + name.len()));
    Some(line.start + ends.min()?..line.end)
}

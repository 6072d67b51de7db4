//! Mistakes in the file, shown as `rustc` shows them: where, what, and what was meant.

use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::document::Span;
use crate::slip;

/// Something that is wrong with the file.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) span: Span,
    pub(super) message: String,
    /// What is said at the place itself.
    pub(super) label: Option<String>,
    pub(super) help: Option<String>,
    /// It is no TOML.
    pub(super) is_syntax: bool,
    /// The file can be used all the same.
    pub(super) is_warning: bool,
}

impl Mistake {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Mistake {
            span,
            message: message.into(),
            label: None,
            help: None,
            is_syntax: false,
            is_warning: false,
        }
    }

    pub(super) fn syntax(mut self) -> Self {
        self.is_syntax = true;
        self
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(super) fn warning(mut self) -> Self {
        self.is_warning = true;
        self
    }
}

/// All that is wrong with a file.
#[derive(Debug)]
pub(crate) struct Report {
    path: PathBuf,
    /// The file, with stars where something must not be shown.
    shown: String,
    mistakes: Vec<Mistake>,
}

impl Report {
    /// The mistakes in the order of the file; what is at `hidden` is not shown.
    pub(super) fn new(path: &Path, text: &str, hidden: &[Span], mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| (mistake.span.start, mistake.span.end));
        // What is no TOML may be told of again, and better, as a wrong value at the same place.
        mistakes.dedup_by(|next, one| {
            one.span.start == next.span.start && one.is_syntax && {
                std::mem::swap(one, next);
                true
            }
        });
        let mut shown = slip::stars(text);
        for span in hidden {
            if let Some(part) = shown.get(span.clone()) {
                let stars: String = part.chars().flat_map(starred).collect();
                shown.replace_range(span.clone(), &stars);
            }
        }
        Report { path: path.to_owned(), shown, mistakes }
    }

    /// How many mistakes there are that keep the file from being used.
    pub(crate) fn errors(&self) -> usize {
        self.mistakes.iter().filter(|mistake| !mistake.is_warning).count()
    }

    /// How many there are that do not.
    pub(crate) fn warnings(&self) -> usize {
        self.mistakes.len() - self.errors()
    }

    /// What is wrong, in one line.
    pub(crate) fn summary(&self) -> String {
        let mistakes = match self.errors() {
            1 => "1 mistake".to_owned(),
            several => format!("{several} mistakes"),
        };
        format!("{} has {mistakes}, and nothing was done", self.path.display())
    }

    /// Each mistake with its line, for people.
    pub(crate) fn text(&self) -> String {
        let renderer = Renderer::styled();
        let path = self.path.display().to_string();
        let one = |mistake: &Mistake| {
            let level = if mistake.is_warning { Level::WARNING } else { Level::ERROR };
            let mut annotation = AnnotationKind::Primary.span(self.visible(&mistake.span));
            if let Some(label) = &mistake.label {
                annotation = annotation.label(slip::hide_tokens(label));
            }
            let snippet = Snippet::source(&self.shown).path(&path).annotation(annotation);
            let mut group = level.primary_title(slip::hide_tokens(&mistake.message)).element(snippet);
            if let Some(help) = &mistake.help {
                group = group.element(Level::HELP.message(slip::hide_tokens(help)));
            }
            format!("{}\n\n", renderer.render(&[group]))
        };
        self.mistakes.iter().map(one).collect()
    }

    /// The same for programs.
    pub(crate) fn documents(&self) -> Vec<Value> {
        let one = |mistake: &Mistake| {
            let (line, column) = position(&self.shown, mistake.span.start);
            let mut document = json!({
                "level": if mistake.is_warning { "warning" } else { "error" },
                "file": self.path,
                "line": line,
                "column": column,
                "message": slip::hide_tokens(&mistake.message),
            });
            if let Some(help) = &mistake.help {
                document["hint"] = slip::hide_tokens(help).into();
            }
            document
        };
        self.mistakes.iter().map(one).collect()
    }

    /// The part that is underlined: never more than the first line of it.
    fn visible(&self, span: &Span) -> Span {
        let part = self.shown.get(span.clone()).unwrap_or_default();
        let first = part.split('\n').next().unwrap_or_default().trim_end().len();
        span.start.min(self.shown.len())..span.start.min(self.shown.len()) + first
    }
}

/// As many bytes as the character has, so that positions stay what they are.
fn starred(c: char) -> impl Iterator<Item = char> {
    let (shown, times) = if c == '\n' { ('\n', 1) } else { ('*', c.len_utf8()) };
    std::iter::repeat_n(shown, times)
}

/// Line and column of a byte, from 1; columns are counted in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

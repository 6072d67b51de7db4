//! Results on stdout: text for people, or exactly one JSON document.

use std::cell::Cell;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::screen;
use crate::terminal::write_err;

/// Where results go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    /// A result could not be written.
    is_lost: Cell<bool>,
}

/// What the process tells whoever called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Done, or nothing was due.
    Done,
    /// It failed.
    Failed,
    /// The words or the input were wrong, and nothing was done.
    Wrong,
    /// Some certificates succeeded, and some failed.
    Partly,
    /// Everything works, but something needs a person soon.
    Soon,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(match status {
            Status::Done => 0,
            Status::Failed => 1,
            Status::Wrong => 2,
            Status::Partly => 3,
            Status::Soon => 4,
        })
    }
}

impl Status {
    /// The status of several pieces of work.
    pub(crate) fn of(succeeded: usize, failed: usize) -> Self {
        match (succeeded, failed) {
            (_, 0) => Status::Done,
            (0, _) => Status::Failed,
            _ => Status::Partly,
        }
    }
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json, is_lost: Cell::new(false) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Shows a result. A reader that has gone away (`livecert list | head`) is no failure of ours; a full disk is one.
    pub(crate) fn show(&self, document: &impl Serialize, text: impl FnOnce() -> String) {
        let written = if self.json { write_json(document) } else { write_text(&text()) };
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            write_err(&format!("error: the result cannot be written to standard output: {error}\n"));
            self.is_lost.set(true);
        }
    }

    /// The status of a command that went well: none does whose result nobody got.
    pub(crate) fn status(&self, status: Status) -> Status {
        if self.is_lost.get() { Status::Failed } else { status }
    }
}

/// A document is written while it is made: it may be a large one.
fn write_json(document: &impl Serialize) -> std::io::Result<()> {
    let mut stdout = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    serde_json::to_writer_pretty(&mut stdout, document).map_err(std::io::Error::from)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Colours are taken off first where there is no place for them: piece by piece, each line would be a call of the system.
fn write_text(text: &str) -> std::io::Result<()> {
    let choice = anstream::stdout().current_choice();
    let mut shown = anstream::AutoStream::new(Vec::with_capacity(text.len()), choice);
    shown.write_all(text.as_bytes())?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&shown.into_inner())?;
    stdout.flush()
}

/// A document as it is printed.
pub(crate) fn to_json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    text.unwrap_or_else(|error| format!(r#"{{"error":{{"kind":"internal","message":"{error}"}}}}"#)) + "\n"
}

/// Columns as wide as their widest cell.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| screen::width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell}{:1$}  ", "", width - screen::width(cell)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "bb".into()], vec!["ccc".into(), "d".into()]];
        assert_eq!(table(&rows), "a    bb\nccc  d\n");
    }

    #[test]
    fn several_pieces_of_work_have_one_status() {
        assert_eq!(Status::of(2, 0), Status::Done);
        assert_eq!(Status::of(0, 0), Status::Done);
        assert_eq!(Status::of(0, 1), Status::Failed);
        assert_eq!(Status::of(1, 1), Status::Partly);
    }
}

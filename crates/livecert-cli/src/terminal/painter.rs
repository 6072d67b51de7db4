//! The lower edge of the terminal: a few lines that live, and everything else, which is written above them and so never
//! cut through.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::screen::width;

/// There is one stderr, and so one of these.
static STDERR: Mutex<Painter> = Mutex::new(Painter { lines: Vec::new(), drawn: Vec::new(), held: false });

struct Painter {
    /// What is to be seen.
    lines: Vec<String>,
    /// How wide the lines are that the terminal shows now.
    drawn: Vec<usize>,
    /// Whether somebody is asked something, so that nothing may move.
    held: bool,
}

/// Writes to stderr, above what lives there; that nobody reads it is no failure.
pub(crate) fn write_err(text: &str) {
    let mut painter = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    if painter.drawn.is_empty() {
        let mut stderr = anstream::stderr();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
        return;
    }
    let erased = painter.erase();
    let drawn = painter.draw();
    put(&format!("{erased}{}{drawn}", coloured(text)));
}

/// Shows these lines in the place of those before. Each must fit the terminal's width.
pub(super) fn paint(lines: Vec<String>) {
    let mut painter = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    if painter.lines == lines && painter.drawn.len() == lines.len() {
        return;
    }
    painter.lines = lines;
    if painter.held {
        return;
    }
    let erased = painter.erase();
    let drawn = painter.draw();
    put(&format!("{erased}{drawn}"));
}

/// Takes away what lives.
pub(crate) fn clear() {
    paint(Vec::new());
}

/// Nothing moves while this is set: somebody is asked something.
pub(super) fn hold(held: bool) {
    let mut painter = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    painter.held = held;
    let text = if held { painter.erase() } else { painter.draw() };
    if !text.is_empty() {
        put(&text);
    }
}

impl Painter {
    /// The signs that take away what is drawn: up to its first row, and nothing from there on. Where the terminal has become
    /// narrower meanwhile, a line takes several rows.
    fn erase(&mut self) -> String {
        let columns = super::progress::size().width.max(1);
        let rows: usize = self.drawn.drain(..).map(|width| width.div_ceil(columns).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\x1b[{rows}A\x1b[J") }
    }

    fn draw(&mut self) -> String {
        self.drawn =
            self.lines.iter().map(|line| width(&anstream::adapter::strip_str(line).to_string())).collect();
        self.lines.iter().map(|line| format!("{}\n", coloured(line))).collect()
    }
}

/// The text with its colours, where stderr is to have any.
fn coloured(text: &str) -> String {
    match anstream::AutoStream::choice(&std::io::stderr()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

/// Signs that move the cursor are no colours, and go to the terminal as they are.
fn put(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Where the log goes: above what lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        write_err(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! What a screen can show: its width, its letters, and text that fits in.

mod bar;
mod grid;

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(crate) use bar::life;
pub(crate) use grid::{Cell, Column, grid};

/// Narrower than this nothing can be told; then lines are longer than the screen.
const NARROWEST: usize = 40;

/// Where something is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Screen {
    /// How many columns it has; `None` where lines may be as long as they like, as in a file.
    pub(crate) width: Option<usize>,
    /// Whether it shows more than ASCII.
    pub(crate) unicode: bool,
}

impl Screen {
    /// The one behind stdout.
    pub(crate) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let width = if stdout.is_terminal() { columns(&stdout) } else { None };
        Screen { width, unicode: is_unicode() }
    }

    /// The sign that stands for what was left out.
    pub(crate) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { ".." }
    }

    /// A name as it is read here: an internationalised one in its letters, where the screen has them.
    pub(crate) fn name(self, name: &str) -> String {
        if self.unicode { livecert::certificate::readable(name) } else { name.to_owned() }
    }
}

/// How wide the terminal is; 80 where it does not tell.
fn columns(terminal: &std::io::Stdout) -> Option<usize> {
    let told = rustix::termios::tcgetwinsize(terminal).ok().map(|size| usize::from(size.ws_col));
    Some(told.filter(|width| *width > 0).unwrap_or(80).max(NARROWEST))
}

/// Whether the locale has more than ASCII (POSIX: the first of these three that is set counts).
pub(crate) fn is_unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os);
    let locale = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    (locale.contains("utf-8") || locale.contains("utf8"))
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A text in one line, without what a terminal would obey: error messages hold words of servers.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    clean.retain(|c| !turns(c));
    clean
}

/// Whether a sign turns the direction of what follows, and so lets a text seem another one.
pub(crate) fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in at most so many columns, its end left out where it is too long.
pub(crate) fn cut_end(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    format!("{}{ellipsis}", first(text, columns.saturating_sub(width(ellipsis))))
}

/// The text in at most so many columns, its middle left out where it is too long: names differ at both ends.
pub(crate) fn cut_middle(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let head = first(text, room.div_ceil(2));
    let reversed: String = text.chars().rev().collect();
    let tail: String = first(&reversed, room - width(&head).min(room)).chars().rev().collect();
    format!("{head}{ellipsis}{tail}")
}

fn first(text: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle_and_never_too_long() {
        let name = "a-very-long-name.of-a-service.example.com";
        assert_eq!(cut_middle(name, 60, "…"), name);
        assert_eq!(cut_middle(name, 21, "…"), "a-very-lon…xample.com");
        assert_eq!(cut_middle(name, 21, ".."), "a-very-lon..ample.com");
        assert_eq!(cut_end(name, 8, "…"), "a-very-…");
        for columns in 1..50 {
            for text in [name, "日本語の名前.example", "e\u{301}e\u{301}e\u{301}.example"] {
                assert!(width(&cut_middle(text, columns, "…")) <= columns, "{text} {columns}");
                assert!(width(&cut_end(text, columns, "…")) <= columns, "{text} {columns}");
            }
        }
    }

    #[test]
    fn words_of_a_server_cannot_give_the_terminal_orders() {
        assert_eq!(harmless("no\r\n  \u{1b}[2Jway \u{202e}out\u{7}"), "no [2Jway out");
    }
}

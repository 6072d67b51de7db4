//! A table that fits the screen.

use std::borrow::Cow;
use std::fmt::Write;

use anstyle::Style;

use super::{Screen, cut_end, cut_middle, harmless, width};

/// Between two columns.
const GAP: usize = 2;

/// What stands in one place of a table, in one line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Cell { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::styled(text, Style::new())
    }
}

/// How a column is set, and what happens to it where there is little room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    /// The fewest columns that it is cut to; `None` if it is never cut.
    narrowest: Option<usize>,
    middle: bool,
}

impl Column {
    /// One that is as wide as it has to be.
    pub(crate) const fn fixed(title: &'static str) -> Self {
        Column { title, right: false, narrowest: None, middle: false }
    }

    /// Numbers.
    pub(crate) const fn right(title: &'static str) -> Self {
        Column { right: true, ..Column::fixed(title) }
    }

    /// One whose ends are left out, down to so many columns.
    pub(crate) const fn text(title: &'static str, narrowest: usize) -> Self {
        Column { narrowest: Some(narrowest), ..Column::fixed(title) }
    }

    /// One whose middles are left out, down to so many columns.
    pub(crate) const fn name(title: &'static str, narrowest: usize) -> Self {
        Column { middle: true, ..Column::text(title, narrowest) }
    }
}

/// A table. What is too wide is cut, the widest column first, and never wrapped.
pub(crate) fn grid(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> String {
    let widths = widths(columns, rows, screen);
    let bold = Style::new().bold();
    let head: Vec<Cell> = columns.iter().map(|column| Cell::styled(column.title, bold)).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let last = row.iter().rposition(|cell| !cell.text.is_empty());
        for (index, cell) in row.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
            let (column, room) = (columns[index], widths[index]);
            let shown = shown(cell, column, room, screen);
            let pad = " ".repeat(room.saturating_sub(width(&shown)));
            let style = cell.style;
            let (before, after) = if column.right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let after = if Some(index) == last { "" } else { after };
            let gap = if index == 0 { 0 } else { GAP };
            // Writing to memory cannot fail.
            let _ = write!(text, "{:gap$}{before}{style}{shown}{style:#}{after}", "");
        }
        text.push('\n');
    }
    text
}

fn shown<'a>(cell: &'a Cell, column: Column, room: usize, screen: Screen) -> Cow<'a, str> {
    if width(&cell.text) <= room {
        return Cow::Borrowed(&cell.text);
    }
    let cut = if column.middle { cut_middle } else { cut_end };
    Cow::Owned(cut(&harmless(&cell.text), room, screen.ellipsis()))
}

/// How wide each column is.
fn widths(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> Vec<usize> {
    let widest = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| width(&cell.text));
        cells.max().unwrap_or(0).max(width(columns[index].title))
    };
    let mut widths: Vec<usize> = (0..columns.len()).map(widest).collect();
    let Some(screen) = screen.width else { return widths };
    let mut over =
        (widths.iter().sum::<usize>() + GAP * columns.len().saturating_sub(1)).saturating_sub(screen);
    while over > 0 {
        let can =
            |index: &usize| columns[*index].narrowest.is_some_and(|narrowest| widths[*index] > narrowest);
        let Some(most) = (0..columns.len()).filter(can).max_by_key(|index| widths[*index]) else { break };
        widths[most] -= 1;
        over -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_wide_is_cut_the_widest_first() {
        let columns = [Column::name("NAME", 6), Column::right("DAYS"), Column::text("WHY", 3)];
        let row = |name: &str, days: &str, why: &str| vec![name.into(), days.into(), why.into()];
        let rows = [row("www.example.com", "7", "because"), row("a.example", "120", "")];
        let at = |width| grid(&columns, &rows, Screen { width, unicode: true });
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            plain(at(None)),
            "NAME             DAYS  WHY\nwww.example.com     7  because\na.example         120\n"
        );
        assert_eq!(plain(at(Some(22))), "NAME     DAYS  WHY\nwww…com     7  because\na.e…ple   120\n");
    }
}

//! The life of a certificate as a bar.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use livecert::certificate::Standing;

use super::{Cell, Screen};

/// How many columns the bar takes.
const CELLS: usize = 12;

/// The share of its life that a certificate has left, with a mark where it is due: what is filled shrinks to the left, and
/// when it has come to the mark, the certificate is to be renewed.
pub(crate) fn life(standing: &Standing, now: Timestamp, screen: Screen) -> Cell {
    let Some(left) = standing.share_left(now) else {
        return Cell::styled(
            if screen.unicode { "·".repeat(CELLS) } else { ".".repeat(CELLS) },
            Style::new().dimmed(),
        );
    };
    let mark = standing.renew_at.and_then(|at| standing.share_left(at)).map(cells);
    let (full, empty, due) = if screen.unicode { ('█', '░', '│') } else { ('#', '-', '|') };
    // Some life is left until it has ended.
    let filled = if left > 0.0 { cells(left).max(1) } else { 0 };
    let sign = |cell: usize| match cell {
        cell if mark == Some(cell) => due,
        cell if cell < filled => full,
        _ => empty,
    };
    Cell::styled((0..CELLS).map(sign).collect::<String>(), colour(standing, now))
}

/// How many cells a share fills.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
fn cells(share: f64) -> usize {
    ((share * 12.0).round() as usize).min(CELLS)
}

/// Red for what is past its end or near it, yellow for what is due, green for the rest.
pub(crate) fn colour(standing: &Standing, now: Timestamp) -> Style {
    let is_due = standing.renew_at.is_none_or(|at| now >= at);
    let due_at = standing.renew_at.and_then(|at| standing.share_left(at)).unwrap_or(0.0);
    let colour = match standing.share_left(now) {
        None => AnsiColor::Red,
        Some(left) if left <= due_at / 2.0 => AnsiColor::Red,
        Some(_) if is_due => AnsiColor::Yellow,
        Some(_) => AnsiColor::Green,
    };
    colour.on_default()
}

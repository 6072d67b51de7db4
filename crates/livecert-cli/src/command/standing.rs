//! How certificates stand, as a table: what `list` and `status` show.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use livecert::certificate::{Standing, TroubleKind};

use crate::screen::{Cell, Column, Screen, cut_end, grid, harmless, life};

/// From so many columns on, names and errors have columns of their own.
const WIDE: usize = 140;

/// A table of certificates, in the order that they have.
pub(crate) fn table<'a>(
    standings: impl IntoIterator<Item = &'a Standing> + Clone,
    now: Timestamp,
    screen: Screen,
) -> String {
    let wide = screen.width.is_none_or(|width| width >= WIDE);
    let mut columns = vec![
        Column::name("NAME", 12),
        Column::fixed("LIFE LEFT"),
        Column::right("ENDS IN"),
        Column::fixed("DUE"),
        Column::right("TOKEN"),
        Column::text("STATE", 8),
    ];
    if wide {
        columns.extend([Column::text("NAMES", 20), Column::text("LAST ERROR", 20)]);
    }
    let row = |one: &Standing| row(one, now, screen, wide);
    let rows: Vec<Vec<Cell>> = standings.clone().into_iter().map(row).collect();
    let table = grid(&columns, &rows, screen);
    if wide {
        return table;
    }
    let mut text = String::new();
    let mut lines = table.lines();
    text.extend(lines.next().map(|line| format!("{line}\n")));
    for (line, standing) in lines.zip(standings) {
        text.push_str(&format!("{line}\n"));
        if let Some(error) = last_error(standing) {
            let room = screen.width.unwrap_or(usize::MAX).saturating_sub(2);
            let dim = Style::new().dimmed();
            text.push_str(&format!("  {dim}{}{dim:#}\n", cut_end(&error, room, screen.ellipsis())));
        }
    }
    text
}

fn row(one: &Standing, now: Timestamp, screen: Screen, wide: bool) -> Vec<Cell> {
    let life = life(one, now, screen);
    let ends = one.not_after.map_or_else(String::new, |end| short(end, now));
    let due = match one.renew_at {
        Some(at) if at > now => day(at),
        _ => "now".to_owned(),
    };
    let token = one.credential.as_ref().map_or_else(Cell::default, |credential| {
        let style = if is_token_trouble(one, now) { AnsiColor::Red.on_default() } else { Style::new() };
        Cell::styled(short(credential.ends, now), style)
    });
    let mut cells = vec![
        screen.name(one.cert.as_str()).into(),
        life,
        ends.into(),
        due.into(),
        token,
        Cell::styled(state(one, now), state_colour(one)),
    ];
    if wide {
        let names: Vec<String> = one.names.iter().map(|name| screen.name(name)).collect();
        cells.push(shortened(&names).into());
        cells.push(last_error(one).unwrap_or_default().into());
    }
    cells
}

/// Whether the token ends before it is needed, as `status` finds it.
fn is_token_trouble(one: &Standing, now: Timestamp) -> bool {
    one.credential.as_ref().is_some_and(|credential| credential.ends <= one.renew_at.unwrap_or(now).max(now))
}

/// How it stands, in a few words.
pub(crate) fn state(one: &Standing, now: Timestamp) -> String {
    let mut state = match (one.not_after, one.renew_at) {
        (None, _) => "missing",
        (Some(end), _) if now >= end => "expired",
        _ if one.revoked.is_some() => "revoked",
        (_, Some(at)) if now < at => "valid",
        _ => "due",
    }
    .to_owned();
    if one.failures > 0 {
        state.push_str(", failing");
    }
    if one.worst == Some(TroubleKind::Held) {
        state.push_str(", held");
    }
    if one.post_owed {
        state.push_str(", hook owed");
    } else if !one.deployed {
        let not_served = one.error.as_ref().is_some_and(|error| error.kind == "not-served");
        state.push_str(if not_served { ", not served" } else { ", not deployed" });
    }
    state
}

fn state_colour(one: &Standing) -> Style {
    match one.worst {
        None => Style::new(),
        Some(TroubleKind::Due | TroubleKind::CredentialEnds | TroubleKind::NoRun | TroubleKind::Held) => {
            AnsiColor::Yellow.on_default()
        }
        Some(_) => AnsiColor::Red.on_default().bold(),
    }
}

fn last_error(one: &Standing) -> Option<String> {
    one.error.as_ref().map(|error| format!("{}: {}", error.kind, harmless(&error.message)))
}

/// How long it is until a moment: days, or hours where there are not two days left.
pub(crate) fn left(at: Timestamp, now: Timestamp) -> String {
    match at.duration_since(now).as_hours() {
        48.. => format!("{} days", at.duration_since(now).as_hours() / 24),
        hours @ 1..48 => format!("{hours} h"),
        _ if at > now => "< 1 h".to_owned(),
        _ => "ended".to_owned(),
    }
}

/// The same where there is little room.
fn short(at: Timestamp, now: Timestamp) -> String {
    left(at, now).replace(" days", " d")
}

/// A day of this place.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d").to_string()
}

/// A certificate may have a hundred names; a table has room for some.
fn shortened(names: &[String]) -> String {
    match names {
        [first, second, third, _, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", names.len() - 3)
        }
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::screen::width;

    #[test]
    fn a_table_fits_its_screen() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::report(&sample::fill(folder.path()));
        let drawn = |width, unicode| {
            let coloured = table(&report.certificates, sample::now(), Screen { width, unicode });
            anstream::adapter::strip_str(&coloured).to_string()
        };
        insta::assert_snapshot!("list_80", drawn(Some(80), true));
        insta::assert_snapshot!("list_200", drawn(Some(200), true));
        insta::assert_snapshot!("list_ascii", drawn(None, false));
        for columns in 72..260 {
            let drawn = drawn(Some(columns), true);
            for line in drawn.lines() {
                assert!(width(line) <= columns, "{columns}: {line}");
            }
        }
    }

    #[test]
    fn what_is_left_is_told_in_days_and_near_the_end_in_hours() {
        let now = sample::now();
        let after = |hours: i64| left(now + jiff::SignedDuration::from_mins(hours * 60 + 1), now);
        assert_eq!(
            [71 * 24, 48, 47, 1, 0, -1].map(after),
            ["71 days", "2 days", "47 h", "1 h", "< 1 h", "ended"]
        );
    }
}

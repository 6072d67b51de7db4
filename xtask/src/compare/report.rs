//! The tables of docs/performance.md that are made by the comparison.

use std::path::Path;

use super::case::Case;
use super::faults::Days;
use super::peer::Waits;
use super::stopwatch::Taken;
use super::{CHART, chart};
use crate::Failure;
use crate::document::Marks;

const MARKS: Marks = Marks {
    begin: "<!-- begin: written by `cargo xtask compare` -->",
    end: "<!-- end: written by `cargo xtask compare` -->",
};

/// One run of one client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) taken: Taken,
    pub(super) acme: usize,
    pub(super) gandi: usize,
}

/// All runs of one client in one case.
#[derive(Debug)]
pub(super) struct Row {
    title: &'static str,
    version: String,
    samples: Vec<Sample>,
}

impl Row {
    pub(super) fn new(title: &'static str, version: String) -> Self {
        Row { title, version, samples: Vec::new() }
    }

    pub(super) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The median of what is looked at, and its spread.
    fn spread(&self, look: impl Fn(&Sample) -> f64) -> [f64; 3] {
        let mut all: Vec<f64> = self.samples.iter().map(look).collect();
        all.sort_by(f64::total_cmp);
        let at = |index: usize| all.get(index).copied().unwrap_or_default();
        [at(0), at(all.len() / 2), at(all.len().saturating_sub(1))]
    }

    /// The median of the wall time, in seconds.
    pub(super) fn wall(&self) -> f64 {
        self.spread(|sample| sample.taken.wall)[1]
    }

    fn markdown(&self, ours: f64) -> String {
        let [least, median, most] = self.spread(|sample| sample.taken.wall);
        let whole = |look: fn(&Sample) -> usize| self.spread(|sample| look(sample) as f64)[1] as usize;
        format!(
            "| {} {} | {} | {} ({} to {}) | {:.1} | {:.2} s | {:.0} MiB | {} | {} |",
            self.title,
            self.version,
            self.samples.len(),
            seconds(median),
            seconds(least),
            seconds(most),
            median / ours,
            self.spread(|sample| sample.taken.cpu)[1],
            self.spread(|sample| sample.taken.memory)[1],
            whole(|sample| sample.acme),
            whole(|sample| sample.gandi),
        )
    }
}

/// What the comparison came to: a table for each case, under its heading.
#[derive(Debug)]
pub(super) struct Report {
    waits: Waits,
    tables: Vec<Table>,
}

/// A table, as it is in the document.
#[derive(Debug, PartialEq, Clone)]
struct Table {
    title: String,
    text: String,
}

impl Report {
    pub(super) fn new(waits: Waits) -> Self {
        Report { waits, tables: Vec::new() }
    }

    /// Adds a case, and gives its table. `halts` is how often a run was begun anew, `too_long` who was left out.
    pub(super) fn add(&mut self, case: &Case, rows: &[Row], halts: u32, too_long: &[&str]) -> String {
        let ours = rows.iter().find(|row| row.title == "livecert").map_or(f64::NAN, Row::wall);
        let mut text = WALL_HEADS.to_owned();
        text += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
        text += &rows.iter().map(|row| row.markdown(ours) + "\n").collect::<String>();
        if halts > 0 {
            let runs = if halts == 1 { "A run was".to_owned() } else { format!("{halts} runs were") };
            text += &format!("\n{runs} begun anew after Pebble had come to a halt.\n");
        }
        if !too_long.is_empty() {
            text +=
                &format!("\nLeft out, because of the time that it would take: {}.\n", too_long.join(", "));
        }
        self.push(&heading(case, self.waits), text)
    }

    /// Adds days on which not everything goes well, and gives their table.
    pub(super) fn add_days(&mut self, days: &Days, rows: &[(&'static str, Vec<String>)]) -> String {
        let mut text = format!("| client | {} |\n", days.heads.join(" | "));
        text += &format!("| --- |{}\n", " --- |".repeat(days.heads.len()));
        text += &rows
            .iter()
            .map(|(title, cells)| format!("| {title} | {} |\n", cells.join(" | ")))
            .collect::<String>();
        self.push(days.title, text)
    }

    fn push(&mut self, title: &str, text: String) -> String {
        let shown = format!("### {title}\n\n{text}");
        self.tables.push(Table { title: title.to_owned(), text });
        shown
    }

    /// Writes the tables into the document, beside those of cases that were not run, and the chart of all of them.
    pub(super) fn write(&self, document: &Path, picture: &Path) -> Result<(), Failure> {
        let chart = CHART.trim_start_matches("docs/");
        let words = format!(
            "Medians with spreads; livecert with its defaults, the others told to wait as little as they can, \
             without any check of propagation, where nothing else is said.\n\n![{}]({chart})\n",
            "Wall time of each client in each case"
        );
        let tables = merged(tables_in(&MARKS.read(document)?), self.tables.clone());
        let shown: String =
            tables.iter().map(|table| format!("\n### {}\n\n{}", table.title, table.text)).collect();
        MARKS.fill(document, &format!("{words}{shown}"))?;
        let bars: Vec<_> =
            tables.iter().filter_map(|table| Some((table.title.as_str(), bars(table)?))).collect();
        Ok(std::fs::write(picture, chart::svg(&bars))?)
    }
}

const WALL_HEADS: &str =
    "| client | runs | wall time | times livecert's | CPU | memory | ACME requests | Gandi requests |\n";

/// The tables that a document has.
fn tables_in(text: &str) -> Vec<Table> {
    let parts = text.split("\n### ").skip(1);
    let table = |part: &str| {
        let (title, text) = part.split_once('\n')?;
        Some(Table { title: title.to_owned(), text: text.trim().to_owned() + "\n" })
    };
    parts.filter_map(table).collect()
}

/// The new tables in the place of the old ones, in the order of the cases.
fn merged(old: Vec<Table>, new: Vec<Table>) -> Vec<Table> {
    let mut all = new;
    for table in old {
        if all.iter().all(|other| other.title != table.title) {
            all.push(table);
        }
    }
    let of = |case: &Case| [heading(case, Waits::Least), heading(case, Waits::Default)];
    let titles: Vec<String> = Case::ALL.iter().flat_map(of).collect();
    all.sort_by_key(|table| titles.iter().position(|title| *title == table.title).unwrap_or(titles.len()));
    all
}

/// The wall times of a table: who, and seconds; `None` for one without.
fn bars(table: &Table) -> Option<Vec<(String, f64)>> {
    let rows = table.text.strip_prefix(WALL_HEADS)?.lines().skip(1);
    let bar = |row: &str| {
        let mut cells = row.split('|').map(str::trim);
        let client = cells.nth(1)?;
        let name = client.rsplit_once(' ').map_or(client, |(name, _)| name);
        let mut wall = cells.nth(1)?.split(' ');
        let number: f64 = wall.next()?.parse().ok()?;
        Some((name.to_owned(), if wall.next()? == "ms" { number / 1000.0 } else { number }))
    };
    Some(rows.filter_map(bar).collect())
}

/// What a case is called over its table. With the waits that the others have by themselves it is another one.
fn heading(case: &Case, waits: Waits) -> String {
    let title = capital(case.title);
    match waits {
        Waits::Least => title,
        Waits::Default => format!("{title}, everybody's own waits"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

fn seconds(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{:.0} ms", value * 1000.0),
        value if value < 10.0 => format!("{value:.2} s"),
        value => format!("{value:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_one_case_leaves_the_others() {
        let table = |title: &str, text: &str| Table { title: title.to_owned(), text: text.to_owned() };
        let old = "\n\nwords\n\n### One name\n\n| old |\n\n### Bad days\n\n| bad |\n\n";
        let old = tables_in(old);
        assert_eq!(old, [table("One name", "| old |\n"), table("Bad days", "| bad |\n")]);
        let new = vec![table("Apex + wildcard", "| b |\n"), table("One name", "| a |\n")];
        let all = merged(old, new);
        let texts: Vec<_> = all.iter().map(|table| table.text.as_str()).collect();
        assert_eq!(texts, ["| a |\n", "| b |\n", "| bad |\n"]);
    }

    #[test]
    fn a_chart_is_drawn_from_what_is_in_the_table() {
        let taken = |wall: f64| Taken { wall, cpu: 0.1, memory: 20.0 };
        let row = |title, wall: f64| {
            let mut row = Row::new(title, "1.0".to_owned());
            row.add(Sample { taken: taken(wall), acme: 9, gandi: 5 });
            row
        };
        let mut report = Report::new(Waits::Least);
        report.add(&Case::ALL[0], &[row("livecert", 0.075), row("some other client", 5.75)], 1, &["lego"]);
        let bars = bars(&report.tables[0]).unwrap();
        assert_eq!(bars, [("livecert".to_owned(), 0.075), ("some other client".to_owned(), 5.75)]);
    }
}

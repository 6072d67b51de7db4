//! The tables of docs/performance.md that are made by the comparison.

use std::path::Path;

use super::case::Case;
use super::peer::Waits;
use super::stopwatch::Taken;
use super::{CHART, chart};
use crate::Failure;

const BEGIN: &str = "<!-- begin: written by `cargo xtask compare` -->";
const END: &str = "<!-- end: written by `cargo xtask compare` -->";

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

    pub(super) fn title(&self) -> &'static str {
        self.title
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

/// What the whole comparison came to.
#[derive(Debug)]
pub(super) struct Report {
    runs: u32,
    waits: Waits,
    text: String,
    cases: Vec<(&'static str, Vec<Row>)>,
}

impl Report {
    pub(super) fn new(runs: u32, waits: Waits) -> Self {
        Report { runs, waits, text: String::new(), cases: Vec::new() }
    }

    /// Adds a case, and gives its table.
    pub(super) fn add(&mut self, case: &Case, rows: Vec<Row>) -> String {
        let ours = rows.iter().find(|row| row.title == "livecert").map_or(f64::NAN, Row::wall);
        let mut text = format!("### {}\n\n", capital(case.title));
        text += "| client | runs | wall time | times livecert's | CPU | memory | ACME requests | Gandi requests |\n";
        text += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
        text += &rows.iter().map(|row| row.markdown(ours) + "\n").collect::<String>();
        self.text += &format!("{text}\n");
        self.cases.push((case.title, rows));
        text
    }

    /// Adds the bad days, and gives their table.
    pub(super) fn add_faults(&mut self, heads: &[&str], rows: &[(&'static str, Vec<String>)]) -> String {
        let mut text = format!("### Bad days\n\n| client | {} |\n", heads.join(" | "));
        text += &format!("| --- |{}\n", " --- |".repeat(heads.len()));
        text += &rows
            .iter()
            .map(|(title, cells)| format!("| {title} | {} |\n", cells.join(" | ")))
            .collect::<String>();
        self.text += &text;
        text
    }

    /// Writes the tables into the document, and the chart beside it.
    pub(super) fn write(&self, document: &Path, picture: &Path) -> Result<(), Failure> {
        let text = std::fs::read_to_string(document)?;
        let (head, rest) = text.split_once(BEGIN).ok_or("no place for the tables in the document")?;
        let (_, tail) = rest.split_once(END).ok_or("no place for the tables in the document")?;
        let waits = match self.waits {
            Waits::Least => "the others told to wait as little as they can, without any check of propagation",
            Waits::Default => "the others with the waits that they have by themselves",
        };
        let chart = CHART.trim_start_matches("docs/");
        let words = format!(
            "Up to {} runs each, medians with spreads; livecert with its defaults, {waits}.\n\n![{}]({chart})\n",
            self.runs, "Wall time of each client in each case"
        );
        std::fs::write(document, format!("{head}{BEGIN}\n\n{words}\n{}{END}{tail}", self.text))?;
        Ok(std::fs::write(picture, chart::svg(&self.cases))?)
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

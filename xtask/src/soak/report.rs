//! What the soak came to.

use std::path::Path;
use std::time::Duration;

use testbed::ca::Status;

use super::check;
use super::service::Sample;
use super::storm::Storm;
use super::world::World;
use crate::Failure;
use crate::document::Marks;

const MARKS: Marks = Marks {
    begin: "<!-- begin: written by `cargo xtask soak` -->",
    end: "<!-- end: written by `cargo xtask soak` -->",
};
/// What the memory of the long-lived process may differ by at the end from what it was in the middle: a part of it, and some
/// pages of the allocator.
const GROWTH: f64 = 0.10;
const PAGES: u64 = 2048;
/// So many more files may be open: connections that are kept for a while.
const CONNECTIONS: usize = 16;

/// The report, and what was found.
pub(super) struct Report {
    text: String,
    findings: Vec<String>,
}

impl Report {
    pub(super) fn of(storm: Storm<'_>, world: &World, seed: u64, took: Duration) -> Result<Self, Failure> {
        let mut findings = storm.tally.findings.clone();
        findings.extend(check::findings(world, storm.neighbours(), &storm.fresh)?);
        findings.extend(growth(&storm.samples));
        let mut text = String::new();
        let mut row = |what: &str, value: String| text += &format!("| {what} | {value} |\n");
        let hours = storm.clock().passed().as_hours();
        row("seed", format!("`{seed}`"));
        row(
            "time",
            format!(
                "{:.0} s, in which {hours} h of simulated time passed, in {} rounds",
                took.as_secs_f64(),
                storm.rounds
            ),
        );
        row(
            "certificates",
            format!(
                "{}, {} of them new in the storm",
                world.certificates.len() + storm.fresh.len(),
                storm.fresh.len()
            ),
        );
        row("renewals and issues", storm.tally.renewed.to_string());
        row("processes", list(&storm.tally.processes));
        row("failures that were reported", list(&storm.tally.failures));
        row("changes by other writers", storm.neighbours().changes.to_string());
        row("faults", storm.weather().counts.values().sum::<usize>().to_string());
        let [acme, gandi] = storm.requests;
        row(
            "requests",
            format!("{acme} of ACME, {gandi} to LiveDNS, {} of them in the busiest minute", storm.busiest),
        );
        for (name, watch) in ["saying what is due", "not saying it"].iter().zip(storm.watches()) {
            row(&format!("counted for limits by the CA {name}"), list(&watch.counts()));
        }
        row("given by a CA and lost on the way", storm.lost.to_string());
        row("authorizations left pending", pending(world).to_string());
        row(
            "memory of the long-lived process",
            series(&storm.samples, |one| format!("{:.1} MiB", one.memory as f64 / 1024.0)),
        );
        row("open files of it", series(&storm.samples, |one| one.files.to_string()));
        let head = "| | |\n| --- | --- |\n".to_owned();
        let mut faults = "\n| fault | times |\n| --- | --- |\n".to_owned();
        for (what, count) in &storm.weather().counts {
            faults += &format!("| {what} | {count} |\n");
        }
        Ok(Report { text: head + &text + &faults, findings })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Writes it into the document.
    pub(super) fn write(&self, document: &Path) -> Result<(), Failure> {
        MARKS.fill(document, &self.text)
    }
}

fn list<K: std::fmt::Display>(counts: &std::collections::BTreeMap<K, usize>) -> String {
    match counts.is_empty() {
        true => "none".to_owned(),
        false => counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", "),
    }
}

/// After the first round, in the middle, and at the end.
fn series(samples: &[Sample], show: impl Fn(&Sample) -> String) -> String {
    let at = |index: usize| samples.get(index).map(&show).unwrap_or_default();
    let last = samples.len().saturating_sub(1);
    format!("{} after the first round, {} in the middle, {} at the end", at(0), at(last / 2), at(last))
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> u64) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Memory and open files are flat over the second half.
fn growth(samples: &[Sample]) -> Vec<String> {
    let quarter = samples.len() / 4;
    if quarter < 2 {
        return Vec::new();
    }
    let (third, last) = (&samples[2 * quarter..3 * quarter], &samples[samples.len() - quarter..]);
    let mut findings = Vec::new();
    let memory = |samples: &[Sample]| median(samples, |one| one.memory);
    let (before, after) = (memory(third), memory(last));
    if after as f64 > before as f64 * (1.0 + GROWTH) && after > before + PAGES {
        findings.push(format!("memory grows: {before} KiB, then {after} KiB"));
    }
    let files = |samples: &[Sample]| median(samples, |one| one.files as u64);
    let (before, after) = (files(third), files(last));
    if after > before + CONNECTIONS as u64 {
        findings.push(format!("open files grow: {before}, then {after}"));
    }
    findings
}

/// Authorizations that nobody will use: those of orders whose answer never came.
fn pending(world: &World) -> usize {
    let all = [&world.kind, &world.strict].map(|ca| ca.control().authorizations());
    all.iter().flatten().filter(|one| one.status == Status::Pending).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_found() {
        let samples = |step: u64| {
            let one = |at: u64| Sample { memory: 30_000 + at * step, files: 12 };
            (0..40).map(one).collect::<Vec<_>>()
        };
        assert!(growth(&samples(0)).is_empty());
        assert_eq!(growth(&samples(500)).len(), 1);
        assert!(growth(&samples(500)[..6]).is_empty());
    }
}

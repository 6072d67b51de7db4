//! `cargo xtask interop`: the table of docs/acme-servers.md. The cases themselves are the test `interop` of livecert-cli.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde_json::Value;

use crate::document::Marks;
use crate::setup::{self, cargo_command, root, target};
use crate::{Failure, say};

const DOCUMENT: &str = "docs/acme-servers.md";
const MARKS: Marks = Marks { begin: "<!-- begin: written by `cargo xtask interop` -->", end: "<!-- end -->" };

#[derive(Debug, Args)]
pub(crate) struct Words {
    /// How often each server is taken through all cases; what they do at random differs each time
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Leave docs/acme-servers.md as it is
    #[arg(long)]
    dry_run: bool,
}

/// What a case came to at one server, in all runs.
#[derive(Debug, Default)]
struct Cell {
    passed: usize,
    /// What the server said that it does not do.
    not_offered: Vec<String>,
    failed: Vec<String>,
}

/// Servers, and for each case in order its title and its cells by server.
#[derive(Debug, Default)]
struct Table {
    servers: Vec<String>,
    cases: Vec<(String, BTreeMap<String, Cell>)>,
}

pub(crate) fn run(words: &Words) -> Result<(), Failure> {
    setup::run()?;
    let results = target().join("interop-results");
    let mut table = Table::default();
    let mut succeeded = true;
    for number in 1..=words.runs {
        say(&format!("Run {number} of {} …", words.runs));
        if results.exists() {
            std::fs::remove_dir_all(&results)?;
        }
        std::fs::create_dir_all(&results)?;
        // One server after the other, for equal conditions.
        let mut tests = cargo_command();
        tests.args(["test", "--locked", "--quiet", "-p", "livecert-cli", "--test", "interop"]);
        tests.args(["--", "--test-threads=1"]).current_dir(root());
        tests.env("LIVECERT_INTEROP_RESULTS", std::path::absolute(&results)?);
        succeeded &= tests.status()?.success();
        table.read(&results)?;
    }
    let text = table.markdown(words.runs);
    say(&text);
    if !words.dry_run {
        MARKS.fill(&root().join(DOCUMENT), &text)?;
    }
    if succeeded { Ok(()) } else { Err("a case is not as it has to be: see above".into()) }
}

impl Table {
    /// Adds the results of one run.
    fn read(&mut self, folder: &Path) -> Result<(), Failure> {
        let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in files {
            let document: Value = serde_json::from_slice(&std::fs::read(file.path())?)?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let server = text(&document["server"]);
            if !self.servers.contains(&server) {
                self.servers.push(server.clone());
            }
            for result in document["cases"].as_array().into_iter().flatten() {
                let said = text(&result["text"]);
                let cell = self.cell(&text(&result["title"]), &server);
                match result["verdict"].as_str() {
                    Some("passed") => cell.passed += 1,
                    Some("not offered") => cell.not_offered.push(said),
                    _ => cell.failed.push(said),
                }
            }
        }
        Ok(())
    }

    fn cell(&mut self, title: &str, server: &str) -> &mut Cell {
        let at = self.cases.iter().position(|(known, _)| known == title).unwrap_or_else(|| {
            self.cases.push((title.to_owned(), BTreeMap::new()));
            self.cases.len() - 1
        });
        self.cases[at].1.entry(server.to_owned()).or_default()
    }

    fn markdown(&self, runs: u32) -> String {
        let mut notes: Vec<String> = Vec::new();
        let mut lines = vec![
            format!("| case | {} |", self.servers.join(" | ")),
            format!("| --- |{}", " --- |".repeat(self.servers.len())),
        ];
        for (title, cells) in &self.cases {
            let cells = self.servers.iter().map(|server| match cells.get(server) {
                Some(cell) => cell.markdown(&mut notes),
                None => "not run".to_owned(),
            });
            lines.push(format!("| {title} | {} |", cells.collect::<Vec<_>>().join(" | ")));
        }
        let times = if runs == 1 { "once".to_owned() } else { format!("{runs} times") };
        lines.push(format!("\nEach case was run {times} at each server.\n"));
        lines.extend(notes.iter().enumerate().map(|(index, note)| format!("{}. {note}", index + 1)));
        lines.join("\n")
    }
}

impl Cell {
    fn markdown(&self, notes: &mut Vec<String>) -> String {
        let mut note = |texts: &[String]| {
            let text = texts.first().map(|text| text.replace(['\n', '|'], " ")).unwrap_or_default();
            let index = notes.iter().position(|known| *known == text).unwrap_or_else(|| {
                notes.push(text);
                notes.len() - 1
            });
            format!("({})", index + 1)
        };
        let count = self.passed + self.not_offered.len() + self.failed.len();
        if !self.failed.is_empty() {
            format!("**failed** {} of {count} {}", self.failed.len(), note(&self.failed))
        } else if !self.not_offered.is_empty() {
            format!("not offered {}", note(&self.not_offered))
        } else {
            "yes".to_owned()
        }
    }
}

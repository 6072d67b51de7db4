//! The documents, held to what they say: every command that they show is run as it stands there, pages are found from the
//! table of contents, and links lead somewhere. `page.rs` tells what a page can say to these tests.

#![allow(clippy::panic, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod container;
mod links;
mod page;
mod posh_acme;
mod sandbox;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use page::Page;
use sandbox::Sandbox;
use testbed::{Alone, alone_with};

/// Which run of which page is for the program inside.
const RUN: &str = "LIVECERT_DOCUMENT_RUN";
/// A part of a page's path: only pages with it are run, to try one out.
const ONLY: &str = "LIVECERT_DOCUMENTS";
/// How many pages are run side by side.
const LANES: usize = 3;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_command_that_is_shown_works() {
    if let Ok(run) = std::env::var(RUN) {
        return inside(&run);
    }
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut waiting = Vec::new();
    for page in page::all(&root()) {
        let name = page.path.display().to_string();
        let runs = page.runs.iter().enumerate().filter(|(_, run)| !run.steps.is_empty());
        waiting.extend(
            runs.map(|(at, run)| (run.steps.len(), format!("{name} {at}"))).filter(|_| name.contains(&only)),
        );
    }
    assert!(!waiting.is_empty(), "no page has a command");
    // The longest first.
    waiting.sort();
    let (waiting, failed) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((steps, run)) = waiting.lock().expect("no panic").pop() {
                    let begun = Instant::now();
                    let words = ["every_command_that_is_shown_works", "--exact", "--nocapture"];
                    let said = match alone_with(&words, &[(RUN, &run), ("RUST_BACKTRACE", "0")]) {
                        Ok(Alone::Ended(output)) if output.status.success() => None,
                        Ok(Alone::Ended(output)) => Some([output.stdout, output.stderr].concat()),
                        Ok(Alone::Inside) => panic!("inside without a page"),
                        Err(error) => Some(format!("no network of its own: {error}").into_bytes()),
                    };
                    println!("{run}: {steps} steps, {:.1?}", begun.elapsed());
                    if let Some(said) = said {
                        let said = String::from_utf8_lossy(&said).into_owned();
                        failed.lock().expect("no panic").push(format!("{run}\n{said}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Takes the steps of one run, to the first one that fails.
fn inside(run: &str) {
    let (path, at) = run.rsplit_once(' ').expect("a page and a number");
    let text = std::fs::read_to_string(root().join(path)).expect("a page");
    let page = Page::parse(Path::new(path), &text);
    let run = &page.runs[at.parse::<usize>().expect("a number")];
    let sandbox = Sandbox::start(Path::new(env!("CARGO_BIN_EXE_livecert")), run.own_ca);
    for step in &run.steps {
        if let Err(wrong) = sandbox.take(step) {
            panic!("{path}:{}: {wrong}", step.line);
        }
    }
}

//! Fuzz targets as ordinary tests: the corpus and a fixed number of mutations of it, the same ones each time. Long runs
//! with coverage guidance are `cargo xtask fuzz`.
//!
//! A crate with parsers lists its targets in a module `fuzz`, which exists in its tests and with its feature `fuzzing`.
//! Each target has a folder of its name in `fuzz/corpus`.

mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::mutate::Mutator;

/// A name, and what is done with an input: it panics on a finding.
pub type Target = (&'static str, fn(&[u8]));

/// Mutations of each target's corpus in an ordinary test.
const MUTATIONS: u32 = 400;
/// The largest file of a corpus, in bytes: it is there to be read.
const MAX_SEED: usize = 16 * 1024;
/// Set by `cargo xtask fuzz` where there is no coverage guidance: a target, and how many seconds it runs.
const TARGET: &str = "LIVECERT_FUZZ_TARGET";
const SECONDS: &str = "LIVECERT_FUZZ_SECONDS";

/// The folder of a target's corpus.
fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// Runs each target on its corpus and on mutations of it.
///
/// # Panics
/// A target finds something; the input is shown. A target has no corpus.
pub fn short_run(targets: &[Target]) {
    let wanted = std::env::var(TARGET).ok();
    let length = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    for &(name, run) in targets {
        let seeds = seeds(name);
        for seed in &seeds {
            checked(name, run, seed);
        }
        match length {
            None => mutations(name, run, Mutator::new(seeds, 0), |count| count < MUTATIONS),
            Some(length) if wanted.as_deref().is_none_or(|wanted| wanted == name) => {
                let begun = Instant::now();
                let mutator = Mutator::new(seeds, fastrand::u64(..));
                mutations(name, run, mutator, |_| begun.elapsed() < length);
            }
            Some(_) => {}
        }
    }
}

fn mutations(name: &str, run: fn(&[u8]), mut mutator: Mutator, more: impl Fn(u32) -> bool) {
    let mut count = 0;
    while more(count) {
        checked(name, run, &mutator.next_input());
        count = count.saturating_add(1);
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = corpus(target);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().flat_map(std::fs::read).collect();
    assert!(!seeds.is_empty(), "{} is empty, or not there", folder.display());
    assert!(seeds.iter().all(|seed| seed.len() <= MAX_SEED), "{}: a file is too large", folder.display());
    seeds
}

#[expect(clippy::print_stderr, reason = "the input that makes a test fail")]
fn checked(name: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("the fuzz target {name} fails on b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "found")]
    fn what_a_target_finds_makes_the_test_fail() {
        checked("none", |input| assert!(input != b"x", "found"), b"x");
    }
}

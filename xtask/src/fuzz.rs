//! `cargo xtask fuzz`: long runs of the fuzz targets. Short ones are ordinary tests.
//!
//! libFuzzer guides by coverage on the stable toolchain: LLVM's instrumentation is asked for by stable options; only the
//! address sanitizer would need a nightly, and there is no unsafe code here. Without a C++ compiler, which libFuzzer
//! needs, inputs are made at random.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::{cargo_command, found, root, target};
use crate::{Failure, say};

/// What tells libFuzzer where a run has been, and what is compared with what.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Longer inputs than this are rarely what finds something, in bytes.
const MAX_LENGTH: &str = "-max_len=65536";
/// One input may take this long, in seconds.
const TIMEOUT: &str = "-timeout=10";
/// A run may use this much memory, in MiB.
const MEMORY: &str = "-rss_limit_mb=1024";
/// The crates that have targets.
const CRATES: [&str; 3] = ["livecert-acme", "gandi-livedns", "livecert"];

#[derive(Debug, clap::Args)]
pub(crate) struct Words {
    /// The target, by the name of its folder in fuzz/corpus [default: all, one after the other]
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: u64,
}

pub(crate) fn run(words: &Words) -> Result<(), Failure> {
    let corpus = root().join("fuzz/corpus");
    let all = targets(&corpus)?;
    let wanted: Vec<&String> =
        all.iter().filter(|name| words.target.as_ref().is_none_or(|wanted| wanted == *name)).collect();
    if wanted.is_empty() {
        return Err(format!("there is no such target; there are: {}", all.join(", ")).into());
    }
    let seconds = words.minutes * 60;
    let guided = ["c++", "g++", "clang++"].iter().any(|compiler| found(compiler));
    if !guided {
        say("There is no C++ compiler, and so no coverage guidance: inputs are made at random.");
    }
    let program = if guided { Some(build()?) } else { None };
    let mut failed = Vec::new();
    for name in wanted {
        say(&format!("{name}: {} min", words.minutes));
        let passed = match &program {
            Some(program) => with_guidance(program, name, &corpus.join(name), seconds)?,
            None => at_random(name, seconds)?,
        };
        if !passed {
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("there are findings: {}", failed.join(", ")).into()) }
}

fn targets(corpus: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(corpus)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Gives the program with all targets.
fn build() -> Result<PathBuf, Failure> {
    let folder = target().join("fuzz");
    // With --target, build scripts and macros are not instrumented; they would not link.
    let host = host()?;
    let status = cargo_command()
        .args(["build", "--release", "--locked", "--target", &host, "--manifest-path"])
        .arg(root().join("fuzz/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", INSTRUMENTATION)
        .status()?;
    if !status.success() {
        return Err("the fuzz targets do not build".into());
    }
    Ok(folder.join(host).join("release/livecert-fuzz"))
}

fn host() -> Result<String, Failure> {
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8(version.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` names no host")?.to_owned())
}

/// What is found new goes below the target folder, and inputs that fail beside it; the corpus is left as it is.
fn with_guidance(program: &Path, name: &str, corpus: &Path, seconds: u64) -> Result<bool, Failure> {
    let found = target().join("fuzz/found").join(name);
    let failing = target().join("fuzz/failing");
    for folder in [&found, &failing] {
        std::fs::create_dir_all(folder)?;
    }
    let status = Command::new(program)
        .args([MAX_LENGTH, TIMEOUT, MEMORY, "-print_final_stats=1", "-verbosity=0"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{name}-", failing.display()))
        .args([&found, corpus])
        .env("LIVECERT_FUZZ_TARGET", name)
        .status()?;
    Ok(status.success())
}

fn at_random(name: &str, seconds: u64) -> Result<bool, Failure> {
    let packages = CRATES.iter().flat_map(|package| ["-p", package]);
    let status = cargo_command()
        .args(["test", "--locked", "--release", "--lib"])
        .args(packages)
        .args(["fuzz::tests", "--", "--nocapture"])
        .current_dir(root())
        .env("LIVECERT_FUZZ_TARGET", name)
        .env("LIVECERT_FUZZ_SECONDS", seconds.to_string())
        .status()?;
    Ok(status.success())
}

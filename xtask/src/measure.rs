//! `cargo xtask measure`: the figures of docs/performance.md, with release binaries against local parts.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use testbed::{Livecert, Options, PAT, PebbleOptions, Testbed};

use crate::setup::{build, pebble};
use crate::{Failure, say};

const RUNS: usize = 11;

/// One figure with its spread.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

pub(crate) fn run() -> Result<(), Failure> {
    pebble()?;
    let binary = build(&["--release", "-p", "livecert-cli"])?.join("livecert");
    let size = std::fs::metadata(&binary)?.len();
    let start =
        spread((0..50).map(|_| time(Command::new(&binary).arg("--version"))).collect::<Result<_, _>>()?);
    say(&format!("release binary, stripped: {:.1} MB", size as f64 / 1e6));
    say(&format!("`livecert --version`: {}", milliseconds(&start)));
    say("");
    say("| case | wall time | ACME requests | LiveDNS requests | TCP connections to LiveDNS | peak memory |");
    say("| --- | --- | --- | --- | --- | --- |");
    case(&binary, "one name", &["www.example.com"])?;
    case(&binary, "apex + wildcard", &["example.com", "*.example.com"])?;
    let twenty: Vec<String> = (1..=20).map(|number| format!("host{number}.example.com")).collect();
    case(&binary, "20 names, one zone", &twenty.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Issues by force again and again with an account in place, each time for names that were never proved before
/// (Pebble is told to use no authorization again).
fn case(binary: &Path, title: &str, names: &[&str]) -> Result<(), Failure> {
    let pebble = PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() };
    let testbed = Testbed::start(&Options { pebble, ..Options::default() })?;
    let token = testbed.secret_file("gandi.pat", PAT)?;
    let livecert = testbed.livecert(binary);
    let mut words = vec!["issue".to_owned(), "--force".to_owned()];
    words.extend(names.iter().map(|&name| name.to_owned()));
    words.extend(testbed.issue_words());
    words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", token.display())]);
    succeed(&livecert, &words)?;
    let (mut times, mut acme, mut gandi, mut connections) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        testbed.gandi().clear_requests();
        let before = testbed.pebble().requests().len();
        let begun = Instant::now();
        succeed(&livecert, &words)?;
        times.push(begun.elapsed().as_secs_f64());
        acme.push(testbed.pebble().requests().len() - before);
        let requests = testbed.gandi().requests();
        let mut clients: Vec<_> = requests.iter().map(|request| &request.client).collect();
        clients.sort();
        clients.dedup();
        connections.push(clients.len());
        gandi.push(requests.len());
    }
    let memory = memory(&livecert, &words)?;
    say(&format!(
        "| {title} | {} | {} | {} | {} | {memory} |",
        milliseconds(&spread(times)),
        range(&acme),
        range(&gandi),
        range(&connections),
    ));
    Ok(())
}

fn succeed(livecert: &Livecert, words: &[String]) -> Result<(), Failure> {
    let outcome = livecert.run(words)?;
    if outcome.status == Some(0) { Ok(()) } else { Err(outcome.stderr.into()) }
}

/// Peak resident memory as the kernel counted it.
fn memory(livecert: &Livecert, words: &[String]) -> Result<String, Failure> {
    let mut child = livecert.spawn(words)?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    // The high-water mark only grows, so the last look before the end is the one that counts.
    while child.try_wait()?.is_none() {
        if let Ok(text) = std::fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
            && let Ok(kilobytes) = line.trim().trim_end_matches(" kB").parse::<u64>()
        {
            most = most.max(kilobytes);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Ok(format!("{:.1} MB", most as f64 / 1024.0))
}

fn time(command: &mut Command) -> Result<f64, Failure> {
    let begun = Instant::now();
    command.stdout(std::process::Stdio::null()).status()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn spread(mut times: Vec<f64>) -> Spread {
    times.sort_by(f64::total_cmp);
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Spread { median: at(times.len() / 2), least: at(0), most: at(times.len().saturating_sub(1)) }
}

fn milliseconds(spread: &Spread) -> String {
    let [median, least, most] = [spread.median, spread.least, spread.most].map(|seconds| seconds * 1000.0);
    format!("{median:.1} ms ({least:.1} to {most:.1})")
}

fn range(counts: &[usize]) -> String {
    match (counts.iter().min(), counts.iter().max()) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (Some(least), _) => least.to_string(),
        _ => "none".to_owned(),
    }
}

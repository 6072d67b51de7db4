//! `cargo xtask measure`: the first figures of docs/performance.md, with release binaries against local parts.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use testbed::sim::{Behaviour, Patch};
use testbed::{Livecert, Options, PAT, PebbleOptions, Testbed};

use crate::document::Marks;
use crate::setup::{build, pebble, root};
use crate::{Failure, say};

const RUNS: usize = 11;
const DOCUMENT: &str = "docs/performance.md";
const MARKS: Marks = Marks {
    begin: "<!-- begin: written by `cargo xtask measure` -->",
    end: "<!-- end: written by `cargo xtask measure` -->",
};

/// One figure with its spread.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

pub(crate) fn run() -> Result<(), Failure> {
    pebble()?;
    let binary = build(&["--release", "-p", "livecert-cli"])?.join("livecert");
    let mut tables = String::new();
    let mut tell = |line: &str| {
        say(line);
        tables.push_str(line);
        tables.push('\n');
    };
    tell(
        "| case | wall time | ACME requests | LiveDNS requests | TCP connections to LiveDNS | peak memory |",
    );
    tell("| --- | --- | --- | --- | --- | --- |");
    let twenty: Vec<String> = (1..=20).map(|number| format!("host{number}.example.com")).collect();
    let twenty: Vec<&str> = twenty.iter().map(String::as_str).collect();
    for way in [Way { patch: true, neighbour: false }, Way { patch: false, neighbour: false }] {
        tell(&case(&binary, "one name", &["www.example.com"], &way)?);
        tell(&case(&binary, "apex + wildcard", &["example.com", "*.example.com"], &way)?);
        tell(&case(&binary, "20 names, one zone", &twenty, &way)?);
    }
    for way in [Way { patch: true, neighbour: true }, Way { patch: false, neighbour: true }] {
        tell(&case(&binary, "one name beside a neighbour", &["example.com"], &way)?);
    }
    tell("\n| publication delay | seen everywhere after the write | overhead |");
    tell("| --- | --- | --- |");
    for seconds in [0, 2, 30] {
        tell(&publication(&binary, seconds)?);
    }
    let size = std::fs::metadata(&binary)?.len();
    let start =
        spread((0..50).map(|_| time(Command::new(&binary).arg("--version"))).collect::<Result<_, _>>()?);
    tell("\n| | |\n| --- | --- |");
    tell(&format!("| release binary, stripped | {:.1} MB |", size as f64 / 1e6));
    tell(&format!("| `livecert --version` (process start to end) | {} |", milliseconds(&start)));
    MARKS.fill(&root().join(DOCUMENT), &tables)
}

/// How the records are written.
struct Way {
    patch: bool,
    neighbour: bool,
}

/// The time from the write to "seen everywhere", with one of three name servers so far behind.
fn publication(binary: &Path, seconds: u64) -> Result<String, Failure> {
    let testbed = Testbed::start(&Options { name_servers: 3, ..Options::default() })?;
    let token = testbed.secret_file("gandi.pat", PAT)?;
    let livecert = testbed.livecert(binary);
    // Only a server that Pebble does not ask is behind, so that nothing but livecert waits for it.
    testbed.gandi().set_publication_delay(2, std::time::Duration::from_secs(seconds));
    let mut words =
        vec!["dns".to_owned(), "add".into(), "_acme-challenge.example.com".into(), "value".into()];
    words.extend(testbed.dns_words());
    words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", token.display()), "--json".into()]);
    let outcome = livecert.run(&words)?;
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout)?;
    let took = document["visible_after_ms"].as_f64().ok_or("dns add did not tell how long it took")? / 1000.0;
    let over = took - seconds as f64;
    Ok(format!("| {seconds} s | {took:.2} s | {over:.2} s |"))
}

/// Issues by force again and again with an account in place, each time for names that were never proved before
/// (Pebble is told to use no authorization again).
fn case(binary: &Path, title: &str, names: &[&str], way: &Way) -> Result<String, Failure> {
    let pebble = PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() };
    let testbed = Testbed::start(&Options { pebble, ..Options::default() })?;
    let patch = if way.patch { Patch::Offered } else { Patch::NotAllowed };
    let behaviour = Behaviour { patch, ..Behaviour::default() };
    testbed.gandi().set_behaviour(behaviour);
    if way.neighbour {
        testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour", 3600);
    }
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
        // The pace below Gandi's limit is not what is measured, and these runs together are above it.
        let _ = std::fs::remove_file(testbed.home().join("locks/gandi.pace"));
        let before = testbed.pebble().requests().len();
        let begun = Instant::now();
        succeed(&livecert, &words)?;
        times.push(begun.elapsed().as_secs_f64());
        acme.push(testbed.pebble().requests().len() - before);
        // The token service is another host, and is asked beside the rest.
        let mut requests = testbed.gandi().requests();
        requests.retain(|request| request.path != "/tokeninfo");
        let mut clients: Vec<_> = requests.iter().map(|request| &request.client).collect();
        clients.sort();
        clients.dedup();
        connections.push(clients.len());
        gandi.push(requests.len());
    }
    let memory = memory(&livecert, &words)?;
    Ok(format!(
        "| {title}, {} | {} | {} | {} | {} | {memory} |",
        if way.patch { "PATCH" } else { "PUT" },
        milliseconds(&spread(times)),
        range(&acme),
        range(&gandi),
        range(&connections),
    ))
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

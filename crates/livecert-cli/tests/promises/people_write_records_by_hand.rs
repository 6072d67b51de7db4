use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr};

use serde_json::Value;
use testbed::ca::Targets;
use testbed::{AtTerminal, Outcome};

use super::every_challenge_is_solved::web_server;
use super::{Bench, document, expect, says};

/// An issue by hand.
fn words(bench: &Bench, names: &[&str], more: &[&str]) -> Vec<String> {
    let words = ["issue"].iter().chain(names).chain(&["--plugin", "manual"]).chain(more);
    let mut words: Vec<String> = words.map(|&word| word.to_owned()).collect();
    words.extend(["--server".to_owned(), bench.testbed.pebble().directory(), "--accept-tos".to_owned()]);
    words.extend(["--authoritative".to_owned(), bench.testbed.simulator().dns_addrs()[0].to_string()]);
    words
}

/// A person, or a program in the place of one.
fn write(bench: &Bench, fqdn: &str, value: &str) {
    let name = fqdn.strip_suffix(".example.com").unwrap();
    bench.testbed.gandi().add_value("example.com", name, value, 300);
}

/// The records of a zone file.
fn records(text: &str) -> Vec<(String, String)> {
    let parse = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let value = rest.trim().strip_prefix("300 IN TXT \"")?.strip_suffix('"')?;
        Some((name.strip_suffix('.')?.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}

/// The next line of JSON that it says.
fn task(said: &mut BufReader<ChildStderr>) -> Value {
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "it says no more");
        if line.starts_with('{') {
            return serde_json::from_str(&line).unwrap();
        }
    }
}

fn end(mut child: Child, mut said: BufReader<ChildStderr>) -> Outcome {
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut said, &mut stderr).unwrap();
    let stdout = child.stdout.take().map(|stdout| std::io::read_to_string(stdout).unwrap());
    Outcome { status: child.wait().unwrap().code(), stdout: stdout.unwrap_or_default(), stderr }
}

#[test]
fn at_a_terminal_all_at_once() {
    let bench = Bench::new();
    let words = words(&bench, &["example.com", "*.example.com", "www.example.com"], &[]);
    let mut terminal = AtTerminal::start(bench.livecert.command(words)).unwrap();
    assert!(terminal.until_shown("Press Enter", 1).unwrap(), "{}", terminal.screen());
    let shown = records(&terminal.screen());
    assert_eq!(shown.len(), 3, "{}", terminal.screen());
    shown.iter().for_each(|(fqdn, value)| write(&bench, fqdn, value));
    terminal.enter("").unwrap();
    assert!(terminal.until_shown("Press Enter", 2).unwrap(), "{}", terminal.screen());
    assert!(terminal.screen().contains("have done their work; remove them"), "{}", terminal.screen());
    terminal.enter("").unwrap();
    let outcome = terminal.end().unwrap();
    expect(&outcome, 0);
    assert!(bench.cert("example.com").join("current/cert.pem").exists());
}

#[test]
fn or_a_program_does_that_reads_json() {
    let bench = Bench::new();
    let words = words(&bench, &["example.com", "www.example.com"], &["--non-interactive", "--json"]);
    let mut child = bench.livecert.spawn(&words).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let add = task(&mut said);
    assert_eq!((&add["task"], &add["schema"]), (&"add".into(), &1.into()));
    let shown = add["records"].as_array().unwrap();
    assert_eq!(shown.len(), 2, "{add}");
    for record in shown {
        write(&bench, record["fqdn"].as_str().unwrap(), record["value"].as_str().unwrap());
    }
    let remove = task(&mut said);
    assert_eq!((&remove["task"], &remove["records"]), (&"remove".into(), &add["records"]));
    let outcome = end(child, said);
    expect(&outcome, 0);
    assert_eq!(document(&outcome)["result"], "new");
}

#[test]
fn or_somebody_does_days_later() {
    let bench = Bench::new();
    let all = words(&bench, &["example.com", "*.example.com"], &["--propagation-timeout", "1s"]);
    let new = ["order", "new"].map(str::to_owned).into_iter().chain(all.into_iter().skip(1));
    let made = bench.livecert.run(new).unwrap();
    expect(&made, 0);
    let shown = records(&made.stdout);
    assert_eq!(shown.len(), 2, "{}", made.stdout);
    assert_eq!(records(&bench.run(&["order", "show", "example.com"]).stdout), shown);
    // Too early: they are still to be written, and not to be removed.
    let early = bench.run(&["order", "solve", "example.com"]);
    expect(&early, 1);
    says(&early, &["Add these TXT records", "not visible at every name server"]);
    assert!(!early.stderr.contains("remove them"), "{}", early.stderr);
    shown.iter().for_each(|(fqdn, value)| write(&bench, fqdn, value));
    // Nobody is at a terminal, and nobody is asked.
    let solved = bench.run(&["order", "solve", "example.com"]);
    expect(&solved, 0);
    says(&solved, &["have done their work; remove them", "next: livecert order finalize example.com"]);
    expect(&bench.run(&["order", "finalize", "example.com"]), 0);
    expect(&bench.run(&["order", "download", "example.com"]), 0);
    assert!(bench.cert("example.com").join("current/cert.pem").exists());
}

#[test]
fn but_nobody_is_there_to_be_asked() {
    let bench = Bench::new();
    let outcome = bench.livecert.run(words(&bench, &["example.com"], &[])).unwrap();
    expect(&outcome, 2);
    says(&outcome, &["needs a person at a terminal", "--non-interactive", "livecert order new"]);
    assert!(bench.testbed.pebble().requests().is_empty());
}

#[test]
fn files_too() {
    let bench = Bench::new();
    let folder = bench.testbed.folder().join("www");
    let challenges = folder.join(".well-known/acme-challenge");
    std::fs::create_dir_all(&challenges).unwrap();
    let port = web_server(folder).port();
    let server = bench.testbed.acme_sim("files").unwrap();
    let here = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    server.control().set_targets(Targets { dns: None, http: here, tls: None });
    let port = format!("ManualHttpPort={port}");
    let more = ["--non-interactive", "--json", "--challenge", "http-01", "--plugin-arg", &port];
    let mut words = words(&bench, &["127.0.0.1"], &more);
    let at = words.iter().position(|word| *word == bench.testbed.pebble().directory()).unwrap();
    words[at] = server.directory();
    let mut child = bench.livecert.spawn(&words).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let add = task(&mut said);
    let file = &add["files"][0];
    let name = file["path"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(file["url"], format!("http://127.0.0.1/.well-known/acme-challenge/{name}"));
    // The CA does not hear of it before it is there.
    assert_eq!(super::sent(&server.control(), "/finalize"), 0);
    std::fs::write(challenges.join(name), format!("{}\n", file["content"].as_str().unwrap())).unwrap();
    assert_eq!(task(&mut said)["task"], "remove");
    let outcome = end(child, said);
    expect(&outcome, 0);
    assert_eq!(server.control().certificates().len(), 1);

    // Nobody puts it there.
    words.extend(["--force", "--plugin-arg", "ManualHttpWait=100ms"].map(str::to_owned));
    words.retain(|word| word != "--json");
    let outcome = bench.livecert.run(&words).unwrap();
    expect(&outcome, 1);
    says(&outcome, &["does not show its file: it answers 404", "livecert order new", "ManualHttpWait"]);
}

#[test]
fn and_a_renewal_that_nobody_asked_for_passes_them_over() {
    let bench = Bench::new();
    let issue = words(&bench, &["example.com"], &[]);
    let mut terminal = AtTerminal::start(bench.livecert.command(issue)).unwrap();
    assert!(terminal.until_shown("Press Enter", 1).unwrap());
    records(&terminal.screen()).iter().for_each(|(fqdn, value)| write(&bench, fqdn, value));
    terminal.enter("").unwrap();
    assert!(terminal.until_shown("Press Enter", 2).unwrap());
    terminal.enter("").unwrap();
    expect(&terminal.end().unwrap(), 0);

    expect(&bench.issue(&["www.example.org"], &[]), 0);
    bench.age("example.com", 90, 20);
    bench.age("www.example.org", 90, 20);
    let outcome = bench.run(&["renew"]);
    expect(&outcome, 0);
    says(
        &outcome,
        &["example.com      passed over", "1 renewed", "1 passed over (a person is needed), 0 failed"],
    );
    let status = bench.run(&["status", "--json"]);
    expect(&status, 4);
    says(&status, &["needs-person", "a person puts its proofs there", "livecert renew example.com"]);
    // Named, it is tried.
    bench.prove_anew();
    let named = bench.run(&["renew", "example.com"]);
    expect(&named, 1);
    says(&named, &["needs a person at a terminal"]);
    // And a program may be at the other end.
    let mut child = bench.livecert.spawn(["renew", "--non-interactive", "--json"]).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let add = task(&mut said);
    for record in add["records"].as_array().unwrap() {
        write(&bench, record["fqdn"].as_str().unwrap(), record["value"].as_str().unwrap());
    }
    let outcome = end(child, said);
    expect(&outcome, 0);
    assert_eq!(document(&outcome)["totals"]["renewed"], 1);
}

#[test]
fn of_some_names_and_a_program_writes_the_others() {
    let bench = Bench::new();
    let mut all = bench.words(&["example.com", "www.example.com"], &[]);
    // The second plugin is for the second name.
    all.extend(["--plugin", "manual", "--json"].map(str::to_owned));
    let new = ["order", "new"].map(str::to_owned).into_iter().chain(all.into_iter().skip(1));
    let made = bench.livecert.run(new).unwrap();
    expect(&made, 0);
    let made = document(&made);
    let by_hand = &made["order"]["authorizations"][1]["show"];
    assert_eq!(by_hand["fqdn"], "_acme-challenge.www.example.com", "{made}");
    write(&bench, by_hand["fqdn"].as_str().unwrap(), by_hand["value"].as_str().unwrap());
    let solved = bench.run(&["order", "solve", "example.com"]);
    expect(&solved, 0);
    let removed = records(&solved.stderr);
    assert!(removed.iter().all(|(fqdn, _)| fqdn == "_acme-challenge.www.example.com"), "{removed:?}");
    assert!(bench.txt("_acme-challenge").is_none() && bench.txt("_acme-challenge.www").is_some());
    expect(&bench.run(&["order", "finalize", "example.com"]), 0);
    expect(&bench.run(&["order", "download", "example.com"]), 0);
}

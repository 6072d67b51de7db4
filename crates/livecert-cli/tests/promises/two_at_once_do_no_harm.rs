use std::io::{BufRead, BufReader};
use std::time::Duration;

use testbed::Outcome;

use super::{Bench, document, expect, says, signal};

#[test]
fn on_one_certificate_the_second_waits_and_finds_it_done() {
    let bench = Bench::new();
    // The first one has to wait until the second one has said that it does.
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    let words = bench.words(&["example.com", "*.example.com"], &[]);
    let mut first = bench.livecert.spawn(&words).unwrap();
    bench.until_something_is_written(&mut first);
    let mut second = bench.livecert.spawn(&words).unwrap();
    let mut said = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waiting = said.by_ref().find(|line| line.contains("waiting: process")).unwrap();
    bench.testbed.gandi().set_publication_delay(0, Duration::ZERO);
    let holder = format!("waiting: process {} on ", first.id());
    expect(&first.wait_with_output().unwrap().into(), 0);
    let rest: Vec<String> = said.collect();
    let second: Outcome = second.wait_with_output().unwrap().into();
    assert_eq!(second.status, Some(0), "{rest:?}");
    assert!(waiting.contains(&holder) && waiting.contains("(livecert issue, since 2"), "{waiting}");
    assert!(second.stdout.contains("Nothing to do"), "{}", second.stdout);
    assert!(!bench.cert("example.com").join("generations/2").exists());
}

#[test]
fn for_two_certificates_at_one_name_both_succeed_and_one_account_is_made() {
    let bench = Bench::counting();
    bench.testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour", 3600);
    let before = bench.txt("_acme-challenge");
    let spawn =
        |name: &str, cert: &str| bench.livecert.spawn(bench.words(&[name], &["--cert-name", cert])).unwrap();
    let children = [spawn("example.com", "apex"), spawn("*.example.com", "wildcard")];
    for child in children {
        expect(&child.wait_with_output().unwrap().into(), 0);
    }
    assert_eq!(bench.txt("_acme-challenge"), before);
    let accounts = bench.testbed.pebble().requests().iter().filter(|one| one.contains("sign-me-up")).count();
    assert_eq!(accounts, 1);
}

#[test]
fn of_a_crowd_on_one_certificate_one_orders_and_on_many_all_do() {
    let bench = Bench::counting();
    let spawn = |name: &str| bench.livecert.spawn(bench.words(&[name], &[])).unwrap();
    let names = (0..8).map(|number| format!("host{number}.example.com"));
    let same: Vec<_> = (0..16).map(|_| spawn("www.example.com")).collect();
    let others: Vec<_> = names.map(|name| spawn(&name)).collect();
    let done: Vec<Outcome> =
        same.into_iter().chain(others).map(|child| child.wait_with_output().unwrap().into()).collect();
    for outcome in &done {
        expect(outcome, 0);
    }
    let idle = done[..16].iter().filter(|outcome| outcome.stdout.contains("Nothing to do")).count();
    assert_eq!(idle, 15);
    let orders = bench.testbed.pebble().requests().iter().filter(|one| one.contains("order-plz")).count();
    assert_eq!(orders, 9);
}

#[test]
fn the_lock_of_a_killed_process_is_free_at_once() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let forever = ["--propagation", "sleep", "--dns-sleep", "1h"];
    // One more name, which the CA has not seen proved yet.
    let names = ["www.example.com", "mail.example.com"];
    let mut holder = bench.livecert.spawn(bench.words(&names, &forever)).unwrap();
    bench.until_something_is_written_at("_acme-challenge.mail", &mut holder);

    let refused = bench.run(&["renew", "www.example.com", "--force", "--lock-timeout", "0s", "--json"]);
    expect(&refused, 1);
    let error = &document(&refused)["certificates"][0]["error"];
    assert_eq!(error["kind"], "locked");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&format!("process {} on ", holder.id())), "{message}");

    // Longer than the work takes, and shorter than the holder's hour.
    let words = ["renew", "www.example.com", "--force", "--lock-timeout", "5m"];
    let waiting = bench.livecert.spawn(words).unwrap();
    signal(&holder, "KILL");
    holder.wait().unwrap();
    expect(&waiting.wait_with_output().unwrap().into(), 0);
}

#[test]
fn a_lock_that_another_host_did_not_give_back_is_told_of() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let lock = bench.testbed.home().join("locks/www.example.com.lock");
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), "");
    std::fs::write(&lock, "process 12 on mail2 (livecert renew, since 2026-11-01T04:00:00Z)\n").unwrap();
    let renewed = bench.run(&["renew", "www.example.com", "--force"]);
    expect(&renewed, 0);
    says(&renewed, &["another host did not give this lock back", "process 12 on mail2"]);
    assert!(!bench.run(&["renew", "www.example.com", "--force"]).stderr.contains("another host"));
}

use std::time::Duration;

use serde_json::Value;
use testbed::{AcmeSim, Options};

use super::{Bench, document, expect, read, says, sent};

/// A certificate that is due, and a CA that sees no record from now on, though livecert does.
fn broken() -> (Bench, AcmeSim) {
    let bench = Bench::with(&Options { name_servers: 2, ..Options::default() });
    let server = bench.testbed.acme_sim("patient").unwrap();
    expect(&bench.livecert.run(words(&bench, &server, "example.com")).unwrap(), 0);
    bench.age("example.com", 90, 20);
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    (bench, server)
}

/// The words of an issue that looks at the second name server alone; the CA asks the first.
fn words(bench: &Bench, server: &AcmeSim, name: &str) -> Vec<String> {
    let first = bench.testbed.simulator().dns_addrs()[0].to_string();
    let mut words = bench.words_at(server, &[name], &[]);
    let at = words.iter().position(|word| *word == first).unwrap();
    words.drain(at - 1..=at);
    words
}

fn orders(server: &AcmeSim) -> usize {
    sent(&server.control(), "/order")
}

fn failures(bench: &Bench) -> Value {
    serde_json::from_str(&read(&bench.cert("example.com").join("failures.json"))).unwrap()
}

#[test]
fn it_waits_longer_from_failure_to_failure_and_says_until_when() {
    let (bench, server) = broken();
    expect(&bench.run(&["renew"]), 1);
    let before = orders(&server);
    // The next runs of a timer try nothing, and are no success.
    let waiting = bench.run(&["renew"]);
    expect(&waiting, 1);
    says(&waiting, &["WAITING", "waiting after 1 failure until", "refused", "livecert renew example.com"]);
    let json = bench.run(&["renew", "--json"]);
    expect(&json, 1);
    assert_eq!(document(&json)["certificates"][0]["result"], "waiting");
    assert_eq!(document(&json)["totals"]["waiting"], 1);
    assert_eq!(orders(&server), before);
    says(&bench.run(&["show", "example.com"]), &["last error", "next try"]);

    // Somebody who names it may have mended it; from the third order in vain on that is not believed.
    for failed in 2..=3 {
        expect(&bench.run(&["renew", "example.com"]), 1);
        assert_eq!(failures(&bench)["count"], failed);
    }
    let before = orders(&server);
    let waiting = bench.run(&["renew", "example.com"]);
    expect(&waiting, 1);
    says(&waiting, &["waiting after 3 failures", "livecert renew example.com --force"]);
    assert_eq!(orders(&server), before);
    expect(&bench.run(&["renew", "example.com", "--force"]), 1);
    assert_eq!(orders(&server), before + 1);

    // Once it works, all of that is forgotten.
    bench.testbed.gandi().set_publication_delay(0, Duration::ZERO);
    expect(&bench.run(&["renew", "example.com", "--force"]), 0);
    assert!(!bench.cert("example.com").join("failures.json").exists());
}

#[test]
fn a_first_issue_in_a_container_that_starts_for_ever_is_slowed_down_too() {
    let (bench, server) = broken();
    let mut words = words(&bench, &server, "www.example.com");
    for _ in 0..3 {
        expect(&bench.livecert.run(&words).unwrap(), 1);
    }
    let before = orders(&server);
    let waiting = bench.livecert.run(&words).unwrap();
    expect(&waiting, 1);
    says(&waiting, &["waiting after 3 failures"]);
    assert_eq!(orders(&server), before);
    // Other settings have another chance.
    words.extend(["--propagation-timeout".to_owned(), "9m".to_owned()]);
    expect(&bench.livecert.run(&words).unwrap(), 1);
    assert_eq!(orders(&server), before + 1);
}

#[test]
fn what_costs_the_ca_nothing_can_be_tried_by_name_at_any_time() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    bench.age("example.com", 90, 20);
    bench.testbed.secret_file("gandi.pat", &"0".repeat(40)).unwrap();
    expect(&bench.run(&["renew"]), 1);
    for _ in 0..4 {
        says(&bench.run(&["renew"]), &["waiting after"]);
        says(&bench.run(&["renew", "example.com"]), &["gandi-forbidden"]);
    }
    assert_eq!(failures(&bench)["kind"], "gandi-forbidden");
    bench.testbed.secret_file("gandi.pat", testbed::PAT).unwrap();
    expect(&bench.run(&["renew", "example.com"]), 0);
}

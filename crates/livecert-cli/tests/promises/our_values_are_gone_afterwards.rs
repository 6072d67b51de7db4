use std::time::Duration;

use testbed::Options;

use super::{Bench, document, expect};

/// Pebble asks the first name server; livecert is told to look at the second one only.
fn split() -> Bench {
    let bench = Bench::with(&Options { name_servers: 2, ..Options::default() });
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    bench
}

fn words(bench: &Bench, names: &[&str]) -> Vec<String> {
    let first = bench.testbed.simulator().dns_addrs()[0].to_string();
    let mut words = bench.words(names, &["--json"]);
    let at = words.iter().position(|word| *word == first).unwrap();
    words.drain(at - 1..=at);
    words
}

#[test]
fn after_a_refusal_which_is_told_in_the_cas_words_with_what_dns_showed() {
    let bench = split();
    let outcome = bench.livecert.run(words(&bench, &["example.com", "www.example.com"])).unwrap();
    expect(&outcome, 1);
    let error = document(&outcome)["error"].clone();
    assert_eq!(error["kind"], "refused");
    let failures = error["failures"].as_array().unwrap();
    assert!(!failures.is_empty());
    for failure in failures {
        assert!(failure["problem"].as_str().unwrap().contains("TXT"), "{failure}");
        let seen = failure["seen"][0].as_str().unwrap();
        assert!(seen.contains("127.0.0.2") && seen.contains("shows"), "{seen}");
    }
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert!(!bench.cert("example.com").join("current").exists());
}

#[test]
fn after_a_record_that_never_appears_and_the_server_is_named() {
    let bench = Bench::with(&Options { name_servers: 3, ..Options::default() });
    bench.testbed.gandi().set_publication_delay(2, Duration::from_secs(3600));
    let outcome = bench.issue(&["example.com"], &["--propagation-timeout", "400ms"]);
    expect(&outcome, 1);
    assert!(outcome.stderr.contains("127.0.0.3"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("127.0.0.2"), "{}", outcome.stderr);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    // The CA was never asked.
    assert!(!bench.testbed.pebble().requests().iter().any(|request| request.contains("chalZ")));
}

#[test]
fn after_a_dead_name_server_is_passed_over() {
    let bench = Bench::with(&Options { name_servers: 3, ..Options::default() });
    // Nobody listens there: known at once, as for an address family that this machine does not have.
    let nobody = std::net::UdpSocket::bind("127.0.0.9:0").unwrap().local_addr().unwrap().to_string();
    expect(&bench.issue(&["example.com"], &["--authoritative", &nobody]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn after_ctrl_c_and_sigterm() {
    for signal in ["INT", "TERM"] {
        let bench = Bench::new();
        bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
        let mut child = bench.livecert.spawn(bench.words(&["example.com", "*.example.com"], &[])).unwrap();
        bench.until_something_is_written(&mut child);
        super::signal(&child, signal);
        let outcome = child.wait_with_output().unwrap().into();
        expect(&outcome, 1);
        assert!(outcome.stderr.contains("interrupted"), "{}", outcome.stderr);
        assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0, "SIG{signal}");
    }
}

#[test]
fn what_cannot_be_removed_is_told_and_the_certificate_is_there() {
    use testbed::sim::{Behaviour, Fault, FaultRule, Patch};
    let bench = Bench::new();
    bench.testbed.gandi().set_behaviour(Behaviour { patch: Patch::NotAllowed, ..Behaviour::default() });
    bench.testbed.gandi().fail(FaultRule {
        method: Some("DELETE".into()),
        path: "/TXT".into(),
        after: 0,
        times: 1,
        fault: Fault::Answer { status: 403, body: "{}".into(), retry_after: None },
    });
    let outcome = bench.issue(&["example.com"], &[]);
    expect(&outcome, 0);
    assert!(outcome.stderr.contains("could not be removed"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("_acme-challenge.example.com. TXT"), "{}", outcome.stderr);
    assert!(bench.cert("example.com").join("current/cert.pem").exists());
    // The journal knows of it.
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

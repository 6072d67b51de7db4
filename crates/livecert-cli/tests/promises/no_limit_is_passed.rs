use serde_json::Value;
use testbed::ca::{Fault, FaultRule};

use super::{Bench, document, expect, says, sent};

/// What is used of a kind of limit, all together.
fn used(bench: &Bench, limit: &str) -> u64 {
    uses(bench).iter().filter(|one| one["limit"] == limit).map(|one| one["used"].as_u64().unwrap()).sum()
}

fn uses(bench: &Bench) -> Vec<Value> {
    let report = bench.run(&["limits", "--json"]);
    expect(&report, 0);
    let servers = document(&report)["servers"].as_array().unwrap().clone();
    servers.iter().flat_map(|server| server["uses"].as_array().unwrap().clone()).collect()
}

fn rule(path: &str, fault: Fault) -> FaultRule {
    FaultRule { method: Some("POST".into()), path: path.into(), after: 0, times: 1, fault }
}

#[test]
fn of_the_same_names_five_are_got_and_the_sixth_is_not_asked_for() {
    let bench = Bench::new();
    let url = bench.testbed.pebble().directory();
    expect(&bench.run(&["server", "add", &url, "--limits", "letsencrypt", "--renewal-info", "false"]), 0);
    for got in 1..=5 {
        expect(&bench.issue(&["same.example.com"], &["--force"]), 0);
        assert_eq!((used(&bench, "set"), used(&bench, "domain"), used(&bench, "orders")), (got, 1, 1));
    }
    let set = uses(&bench).into_iter().find(|one| one["limit"] == "set").unwrap();
    assert_eq!(
        (&set["about"], &set["left"], &set["allowed"]),
        (&"same.example.com".into(), &0.into(), &5.into())
    );
    assert_eq!(set["period"], 7 * 86_400);

    let before = bench.testbed.pebble().requests().len();
    let refused = bench.issue(&["same.example.com"], &["--force", "--json"]);
    expect(&refused, 1);
    let error = &document(&refused)["error"];
    assert_eq!(error["kind"], "rate-limit-reached");
    assert_eq!(error["until"], set["next"]);
    // A week has five, so one comes back after a fifth of it.
    let until: jiff::Timestamp = error["until"].as_str().unwrap().parse().unwrap();
    let hours = until.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((32..=33).contains(&hours), "{hours}");
    assert_eq!(bench.testbed.pebble().requests().len(), before, "nothing is asked");
    let told = bench.issue(&["same.example.com"], &["--force"]);
    says(
        &told,
        &["certificates for same.example.com are used up (5/7d)", "livecert limits", "--limits none"],
    );
    says(&bench.run(&["limits"]), &["(letsencrypt)", "5 of 5/7d", "(in 33 hours)"]);

    let mut words = bench.words(&["same.example.com"], &[]);
    words[0] = "check".into();
    words.retain(|word| word != "--accept-tos");
    let check = bench.livecert.run(&words).unwrap();
    expect(&check, 1);
    says(&check, &["BAD     rate-limit", "are used up"]);
    // Other names are not concerned, nor is what the owner leaves to the CA.
    expect(&bench.issue(&["other.example.com"], &[]), 0);
    assert_eq!((used(&bench, "set"), used(&bench, "domain"), used(&bench, "orders")), (6, 2, 2));
    expect(&bench.run(&["server", "update", &url, "--limits", "none"]), 0);
    expect(&bench.issue(&["same.example.com"], &["--force"]), 0);
    says(&bench.run(&["limits"]), &["its limits are not known", "6 in 7 days"]);
    expect(&bench.run(&["server", "update", &url, "--limits", "set=5/week"]), 2);
}

#[test]
fn a_renewal_that_says_what_it_replaces_is_not_counted_and_not_held_back() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("counting").unwrap();
    let url = server.directory();
    expect(&bench.run(&["server", "add", &url, "--limits", "orders=1/1h,domain=1/1h,set=1/1h"]), 0);
    expect(&bench.issue_at(&server, &["a.example.com"], &[]), 0);
    expect(&bench.run(&["renew", "a.example.com", "--force"]), 0);
    assert_eq!((used(&bench, "orders"), used(&bench, "domain"), used(&bench, "set")), (1, 1, 1));
    // A rehearsal or a word of the CA aside, this is a new one.
    let control = server.control();
    control.clear_requests();
    let refused = bench.issue_at(&server, &["b.example.com"], &[]);
    expect(&refused, 1);
    says(&refused, &["are used up (1/1h)"]);
    assert_eq!(control.requests(), []);
}

#[test]
fn a_run_that_is_killed_counts_one_too_many_at_most_and_a_refused_order_not_at_all() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("dying").unwrap();
    let control = server.control();
    expect(&bench.issue_at(&server, &["a.example.com"], &[]), 0);
    let (orders, certificates) = (control.orders().len(), control.certificates().len());
    assert_eq!((used(&bench, "orders"), used(&bench, "set")), (1, 1));
    control.fail(rule("/order", Fault::HoldBefore));
    let words = bench.words_at(&server, &["b.example.com"], &[]);
    let mut child = bench.livecert.spawn(&words).unwrap();
    assert!(control.until_held(|| child.try_wait().unwrap().is_none()));
    child.kill().unwrap();
    child.wait().unwrap();
    control.release();
    assert_eq!(used(&bench, "orders"), 2);
    assert!(control.orders().len() <= orders + 1);

    let (status, kind, detail) = (400, "rejectedIdentifier".into(), "no".into());
    control.fail(rule("/order", Fault::Problem { status, kind, detail, retry_after: None }));
    expect(&bench.livecert.run(&words).unwrap(), 1);
    assert_eq!(used(&bench, "orders"), 2);
    // One that is killed before it has its certificate in place gets it again, and it counts once.
    control.fail(rule("/cert", Fault::HoldAfter));
    let words = bench.words_at(&server, &["b.example.com"], &["--force"]);
    let mut child = bench.livecert.spawn(&words).unwrap();
    assert!(control.until_held(|| child.try_wait().unwrap().is_none()));
    child.kill().unwrap();
    child.wait().unwrap();
    control.release();
    expect(&bench.livecert.run(&words).unwrap(), 0);
    assert_eq!(control.certificates().len(), certificates + 1);
    assert_eq!(used(&bench, "set"), 2);
    assert!(sent(&control, "/order") >= 3);
}

#[test]
fn names_that_fail_are_left_alone_before_the_ca_says_so() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("failing").unwrap();
    expect(&bench.run(&["server", "add", &server.directory(), "--limits", "failures=1/1h"]), 0);
    bench.testbed.gandi().set_publication_delay(0, std::time::Duration::from_secs(3600));
    let words = ["--propagation", "sleep", "--dns-sleep", "1s"];
    expect(&bench.issue_at(&server, &["a.example.com"], &words), 1);
    assert_eq!(used(&bench, "failures"), 1);
    let control = server.control();
    control.clear_requests();
    let refused = bench.issue_at(&server, &["a.example.com"], &[&words[..], &["--force"]].concat());
    expect(&refused, 1);
    says(&refused, &["failed validations of a.example.com are used up (1/1h)"]);
    assert_eq!(control.requests(), []);
}

#[test]
fn orders_at_once_do_not_all_take_the_last_place_and_one_that_fails_gives_it_back() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("crowded").unwrap();
    let control = server.control();
    expect(&bench.run(&["server", "add", &server.directory(), "--limits", "domain=1/1h"]), 0);
    let (status, kind, detail) = (403, "unauthorized".into(), "no".into());
    control.fail(rule("/finalize", Fault::Problem { status, kind, detail, retry_after: None }));
    expect(&bench.issue_at(&server, &["failing.example.com"], &[]), 1);
    assert_eq!((used(&bench, "orders"), used(&bench, "domain")), (1, 0));

    control.fail(rule("/finalize", Fault::HoldBefore));
    let mut first = bench.livecert.spawn(bench.words_at(&server, &["a.example.com"], &[])).unwrap();
    assert!(control.until_held(|| first.try_wait().unwrap().is_none()));
    assert_eq!(used(&bench, "domain"), 1);
    let second = bench.issue_at(&server, &["b.example.com"], &[]);
    control.release();
    expect(&second, 1);
    says(&second, &["new certificates below example.com are used up (1/1h)"]);
    assert!(first.wait().unwrap().success());
    assert_eq!((control.certificates().len(), used(&bench, "domain")), (1, 1));
}

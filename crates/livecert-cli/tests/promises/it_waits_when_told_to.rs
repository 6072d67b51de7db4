use serde_json::Value;
use testbed::ca::{Control, Fault, NewOrder, RetryAfter};

use super::{Bench, document, expect, read, says};

fn holds(bench: &Bench, cert: &str) -> Vec<Value> {
    let text = read(&bench.cert(cert).join("holds.json"));
    serde_json::from_str::<Value>(&text).unwrap()["holds"].as_array().unwrap().clone()
}

/// For how many seconds a certificate is held back, from now.
fn held_for(bench: &Bench, cert: &str) -> i64 {
    let [hold] = &holds(bench, cert)[..] else { panic!("{:?}", holds(bench, cert)) };
    let until: jiff::Timestamp = hold["until"].as_str().unwrap().parse().unwrap();
    until.duration_since(jiff::Timestamp::now()).as_secs()
}

/// For how many seconds the one server of the store holds everything back, from now.
fn everything_held_for(bench: &Bench) -> i64 {
    let servers = std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap();
    let files = servers.map(|server| server.unwrap().path().join("holds.json"));
    let [file] = &files.filter(|file| file.exists()).collect::<Vec<_>>()[..] else { panic!("not one file") };
    let holds: Value = serde_json::from_str(&read(file)).unwrap();
    let until: jiff::Timestamp = holds["holds"][0]["until"].as_str().unwrap().parse().unwrap();
    until.duration_since(jiff::Timestamp::now()).as_secs()
}

fn let_time_pass(bench: &Bench, cert: &str) {
    let path = bench.cert(cert).join("holds.json");
    let mut holds: Value = serde_json::from_str(&read(&path)).unwrap();
    holds["holds"][0]["until"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&path, holds.to_string()).unwrap();
}

fn limit(control: &Control, retry_after: RetryAfter) {
    control.change(|behaviour| {
        behaviour.new_order = NewOrder::RateLimited;
        behaviour.rate_limit_retry_after = retry_after;
    });
}

#[test]
fn and_asks_again_when_it_may() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("limited").unwrap();
    let control = server.control();
    for (number, (retry_after, seconds)) in [
        (RetryAfter::Seconds(7200), 7200),
        (RetryAfter::Date(7200), 7200),
        (RetryAfter::None, 3600),
        (RetryAfter::Seconds(u32::MAX), 7 * 86_400),
    ]
    .into_iter()
    .enumerate()
    {
        let cert = format!("limited-{number}");
        let words = bench.words_at(&server, &["example.com"], &["--cert-name", &cert]);
        limit(&control, retry_after);
        let outcome = bench.livecert.run(&words).unwrap();
        expect(&outcome, 1);
        says(&outcome, &["the order failed at", "rateLimited", "next: wait until"]);
        let held = held_for(&bench, &cert);
        assert!((seconds - 60..=seconds).contains(&held), "{retry_after:?}: {held} s");

        // The next run keeps to it, although the CA would take the order by now.
        control.change(|behaviour| behaviour.new_order = NewOrder::Accept);
        control.clear_requests();
        let outcome = bench.livecert.run(&words).unwrap();
        expect(&outcome, 1);
        says(&outcome, &["does not want to be asked for this certificate before", "rateLimited", "--force"]);
        assert_eq!(control.requests(), []);
        let json = document(&bench.livecert.run([&words[..], &["--json".to_owned()]].concat()).unwrap());
        assert_eq!(json["error"]["kind"], "rate-limited");

        if number % 2 == 0 {
            let_time_pass(&bench, &cert);
            expect(&bench.livecert.run(&words).unwrap(), 0);
        } else {
            expect(&bench.livecert.run([&words[..], &["--force".to_owned()]].concat()).unwrap(), 0);
        }
    }
}

#[test]
fn for_that_certificate_and_that_server() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("limited").unwrap();
    let other = bench.testbed.acme_sim("other").unwrap();
    limit(&server.control(), RetryAfter::Seconds(7200));
    expect(&bench.issue_at(&server, &["example.com"], &[]), 1);
    server.control().change(|behaviour| behaviour.new_order = NewOrder::Accept);
    expect(&bench.issue_at(&server, &["example.org"], &[]), 0);
    expect(&bench.issue_at(&other, &["example.com"], &[]), 0);
    expect(&bench.issue_at(&server, &["example.com"], &[]), 1);
}

#[test]
fn for_all_certificates_where_it_is_the_accounts_limit() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("account-limited").unwrap();
    let other = bench.testbed.acme_sim("other").unwrap();
    let control = server.control();
    // One that is due, and has less to live than twice what the server will ask for.
    control.change(|behaviour| {
        (behaviour.validity, behaviour.backdate) = (3 * 3600, 6 * 3600);
        behaviour.renewal_info = false;
    });
    expect(&bench.issue_at(&server, &["short.example.com"], &[]), 0);
    let detail = "too many new orders (300) from this account in the last 3h0m0s".to_owned();
    let limited = |retry_after: &str| {
        let (detail, retry_after) = (detail.clone(), Some(retry_after.to_owned()));
        Fault::Problem { status: 429, kind: "rateLimited".into(), detail, retry_after }
    };
    control.fail(limited("7200").of("POST", "/order", 1));
    expect(&bench.issue_at(&server, &["example.com"], &[]), 1);
    assert!(everything_held_for(&bench) > 7000);

    control.clear_requests();
    let outcome = bench.issue_at(&server, &["example.org"], &[]);
    expect(&outcome, 1);
    says(&outcome, &["does not want to be asked", "from this account", "next: wait until then"]);
    assert_eq!(control.requests(), []);
    expect(&bench.issue_at(&other, &["example.org"], &[]), 0);
    // A certificate that would end before is asked for all the same.
    expect(&bench.run(&["renew", "short.example.com"]), 0);
    // And once the server has given one, the others need not wait either.
    expect(&bench.issue_at(&server, &["example.org"], &[]), 0);
}

#[test]
fn when_a_person_has_to_act_first() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("pausing").unwrap();
    let control = server.control();
    control.change(|behaviour| behaviour.new_order = NewOrder::Paused);
    let outcome = bench.issue_at(&server, &["example.com"], &[]);
    expect(&outcome, 1);
    says(&outcome, &["next: the CA has paused this account for these names: open https://", "--force"]);
    assert!(held_for(&bench, "example.com") > 23 * 3600);
    control.change(|behaviour| behaviour.new_order = NewOrder::Accept);
    control.clear_requests();
    let outcome = bench.issue_at(&server, &["example.com"], &[]);
    expect(&outcome, 1);
    says(&outcome, &["unpause", "next: do at the CA's URL above", "--force"]);
    assert_eq!(control.requests(), []);
    expect(&bench.issue_at(&server, &["example.com"], &["--force"]), 0);
}

#[test]
fn at_a_renewal_too_which_then_costs_nothing() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("limited").unwrap();
    let control = server.control();
    // Half of its life is over from the start.
    control.change(|behaviour| {
        (behaviour.validity, behaviour.backdate) = (3 * 86_400, 6 * 86_400);
        behaviour.renewal_info = false;
    });
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    limit(&control, RetryAfter::Seconds(7200));
    let outcome = bench.run(&["renew"]);
    expect(&outcome, 1);
    says(&outcome, &["rateLimited"]);
    control.clear_requests();
    expect(&bench.run(&["renew"]), 1);
    let asked = control.requests();
    assert!(asked.iter().all(|request| request.method == "GET"), "{asked:#?}");
    says(&bench.run(&["show", "example.com"]), &["last error", "rateLimited"]);
}

#[test]
fn before_there_is_an_account_or_a_directory() {
    let answer = Fault::Answer {
        status: 503,
        content_type: "text/html".into(),
        body: "<h1>Maintenance</h1>".into(),
        retry_after: Some("7200".into()),
    };
    let detail = "too many new accounts".to_owned();
    let retry_after = Some("7200".to_owned());
    let limited = Fault::Problem { status: 429, kind: "rateLimited".into(), detail, retry_after };
    for (cert, rule) in
        [("directory", answer.of("GET", "/directory", 1)), ("account", limited.of("POST", "/account", 1))]
    {
        let bench = Bench::new();
        let server = bench.testbed.acme_sim(cert).unwrap();
        let control = server.control();
        let words = bench.words_at(&server, &["example.com"], &["--cert-name", cert]);
        control.fail(rule);
        let outcome = bench.livecert.run(&words).unwrap();
        expect(&outcome, 1);
        says(&outcome, &["again from", "next: wait until then"]);
        assert!(everything_held_for(&bench) > 7000);
        control.clear_requests();
        expect(&bench.livecert.run(&words).unwrap(), 1);
        assert_eq!(control.requests(), []);
    }
}

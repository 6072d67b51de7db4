use serde_json::Value;
use testbed::ca::{Control, Fault, RenewalWindow, RetryAfter};
use testbed::{AcmeSim, Outcome};

use super::{Bench, document, expect, read, says, sent};

fn at(text: &Value) -> jiff::Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

fn hours(number: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_hours(number)
}

/// `renewal.json` of a certificate.
fn kept(bench: &Bench, cert: &str) -> Value {
    serde_json::from_str(&read(&bench.cert(cert).join("renewal.json"))).unwrap()
}

/// Lets it be time to ask again.
fn let_time_pass(bench: &Bench, cert: &str) {
    let mut renewal = kept(bench, cert);
    renewal["ask_again"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(bench.cert(cert).join("renewal.json"), renewal.to_string()).unwrap();
}

/// The CA wants its last certificate to be renewed between these hours from now.
fn set_window(control: &Control, from: i64, to: i64) {
    let now = jiff::Timestamp::now();
    let id = control.certificates().last().unwrap().renewal_id.clone();
    let explanation = Some("https://acme-sim.example/incident/7".to_owned());
    let window = RenewalWindow { start: now + hours(from), end: now + hours(to), explanation };
    assert!(control.set_renewal_window(&id, Some(window)));
}

fn renew(bench: &Bench, words: &[&str]) -> Value {
    let outcome = bench.run(&[&["renew", "--json"], words].concat());
    expect(&outcome, 0);
    document(&outcome)["certificates"][0].clone()
}

fn one_certificate(bench: &Bench) -> (AcmeSim, Control) {
    let server = bench.testbed.acme_sim("timely").unwrap();
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    let control = server.control();
    control.clear_requests();
    (server, control)
}

#[test]
fn it_is_asked_once_and_the_moment_stays() {
    let bench = Bench::new();
    let (_server, control) = one_certificate(&bench);
    let window = control.certificates()[0].renewal_window();
    let first = renew(&bench, &[]);
    assert_eq!(first["result"], "not-due");
    assert!((window.start..=window.end).contains(&at(&first["renew_at"])), "{first} {window:?}");
    assert_eq!(control.requests().iter().filter(|one| one.path.starts_with("/renewal-info/")).count(), 1);
    assert_eq!(document(&bench.run(&["show", "example.com", "--json"]))["renew_at"], first["renew_at"]);

    control.clear_requests();
    assert_eq!(renew(&bench, &[])["renew_at"], first["renew_at"]);
    assert_eq!(control.requests().len(), 0);
    // Also when it is asked again, and when the window is the same.
    let_time_pass(&bench, "example.com");
    assert_eq!(renew(&bench, &[])["renew_at"], first["renew_at"]);
    assert_eq!(control.requests().len(), 2);
}

#[test]
fn who_only_looks_fetches_no_nonce() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    let nonces = || control.requests().iter().filter(|one| one.method == "HEAD").count();
    let mut plan = bench.words_at(&server, &["example.com"], &["--force"]);
    plan[0] = "plan".to_owned();
    let url = plan[plan.iter().position(|word| word == "--server").unwrap() + 1].clone();
    expect(&bench.livecert.run(plan).unwrap(), 0);
    expect(&bench.run(&["check", "example.com"]), 0);
    expect(&bench.run(&["server", "show", &url]), 0);
    expect(&bench.run(&["server", "profiles", &url]), 0);
    assert!(control.requests().len() >= 4);
    assert_eq!(nonces(), 0, "{:#?}", control.requests());
}

#[test]
fn it_is_asked_again_when_it_says_so_within_reason() {
    let bench = Bench::new();
    let (_server, control) = one_certificate(&bench);
    for (asked, seconds) in [
        (RetryAfter::Seconds(7200), 7200),
        (RetryAfter::Date(7200), 7200),
        (RetryAfter::Seconds(1), 60),
        (RetryAfter::Seconds(u32::MAX), 24 * 3600),
        (RetryAfter::None, 6 * 3600),
    ] {
        control.change(|behaviour| behaviour.renewal_retry_after = asked);
        let before = jiff::Timestamp::now();
        renew(&bench, &[]);
        let wait = at(&kept(&bench, "example.com")["ask_again"]).duration_since(before).as_secs();
        assert!((seconds - 2..=seconds + 60).contains(&wait), "{asked:?}: {wait} s");
        let_time_pass(&bench, "example.com");
    }
}

#[test]
fn it_is_renewed_at_once_when_the_window_moves_to_the_past() {
    let bench = Bench::new();
    let (_server, control) = one_certificate(&bench);
    let replaced = control.certificates()[0].renewal_id.clone();
    assert_eq!(renew(&bench, &[])["result"], "not-due");
    set_window(&control, -48, -24);
    // The new window is not known before it is time to ask.
    assert_eq!(renew(&bench, &[])["result"], "not-due");
    let_time_pass(&bench, "example.com");
    let outcome = bench.run(&["renew"]);
    expect(&outcome, 0);
    says(&outcome, &["renewed", "https://acme-sim.example/incident/7"]);
    assert_eq!(control.orders().last().unwrap().replaces, Some(replaced));
    assert_eq!(renew(&bench, &[])["result"], "not-due");
}

#[test]
fn a_certificate_that_cannot_be_replaced_is_ordered_all_the_same() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    let ordered = |outcome: &Outcome, replaces: bool, tries: usize| {
        expect(outcome, 0);
        assert_eq!(control.orders().last().unwrap().replaces.is_some(), replaces);
        assert_eq!(sent(&control, "/order"), tries);
        control.clear_requests();
    };
    ordered(&bench.run(&["renew", "--force"]), true, 1);

    // 409 alreadyReplaced: the state is from a backup.
    let current = bench.cert("example.com").join("current");
    std::fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink("generations/1", &current).unwrap();
    ordered(&bench.run(&["renew", "--force"]), false, 2);

    let detail = "no such certificate".to_owned();
    let not_found = Fault::Problem { status: 404, kind: "malformed".into(), detail, retry_after: None };
    control.fail(not_found.of("POST", "/order", 1));
    ordered(&bench.run(&["renew", "--force"]), false, 2);

    // It has none of the names, which we know as well as the server.
    ordered(&bench.issue_at(&server, &["example.org"], &["--cert-name", "example.com"]), false, 1);

    // It is another account's: once for the account that is gone, and once more without.
    control.forget_accounts();
    ordered(&bench.run(&["renew", "--force"]), false, 2);
}

#[test]
fn a_server_that_does_not_say_or_does_not_answer_is_no_failure() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    let detail = "no such certificate".to_owned();
    let not_found = Fault::Problem { status: 404, kind: "malformed".into(), detail, retry_after: None };
    control.fail(not_found.of("GET", "/renewal-info/", 1));
    assert_eq!(renew(&bench, &[])["result"], "not-due");
    control.change(|behaviour| behaviour.renewal_info = false);
    assert_eq!(renew(&bench, &[])["result"], "not-due");
    assert_eq!(kept(&bench, "example.com")["window"], serde_json::Value::Null);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(control.orders().last().unwrap().replaces, None);
    drop(server);
    assert_eq!(renew(&bench, &[])["result"], "not-due");
}

#[test]
fn without_its_word_a_third_of_the_life_counts_or_half_of_a_short_one() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("silent").unwrap();
    for (days, part) in [(90, 3), (10, 3), (9, 2), (6, 2)] {
        server.control().change(|behaviour| {
            behaviour.renewal_info = false;
            (behaviour.validity, behaviour.backdate) = (days * 86_400, 0);
        });
        let cert = format!("days-{days}");
        expect(&bench.issue_at(&server, &["example.com"], &["--cert-name", &cert]), 0);
        let shown = document(&bench.run(&["show", &cert, "--json"]));
        let left = at(&shown["not_after"]).duration_since(at(&shown["renew_at"]));
        assert_eq!(left.as_secs(), i64::from(days) * 86_400 / part, "{days} days");
    }
}

use testbed::ca::{Control, Fault, FaultRule, Finalize, RetryAfter};
use testbed::{AcmeSim, Outcome};

use super::{Bench, expect, says};

fn server(bench: &Bench) -> (AcmeSim, Control) {
    let server = bench.testbed.acme_sim("wild").unwrap();
    let control = server.control();
    (server, control)
}

fn answer(status: u16, body: impl Into<String>) -> Fault {
    let content_type = "application/json".to_owned();
    Fault::Answer { status, content_type, body: body.into(), retry_after: None }
}

#[test]
fn with_things_that_nobody_knows_and_others_missing() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    control.change(|behaviour| {
        behaviour.nonce_reject = 20;
        behaviour.missing_expires = true;
        behaviour.missing_challenge_status = true;
        behaviour.shuffled_challenges = true;
        behaviour.unknown_things = true;
        behaviour.authz_reuse = true;
        behaviour.retry_after = RetryAfter::Date(0);
        behaviour.finalize = Finalize::Processing(3);
    });
    for (cert, challenge) in [("one", "dns-01"), ("two", "auto"), ("three", "dns-account-01")] {
        let more = ["--challenge", challenge, "--cert-name", cert];
        expect(&bench.issue_at(&server, &["example.com", "*.example.com"], &more), 0);
    }
    control.change(|behaviour| behaviour.ready_at_once = true);
    let outcome = bench.issue_at(&server, &["example.net"], &[]);
    expect(&outcome, 0);
    says(&outcome, &["already proved"]);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(control.certificates().len(), 8);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn with_tokens_that_are_paths() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let folder = bench.testbed.folder().join("www");
    std::fs::create_dir_all(&folder).unwrap();
    let base = server.directory().replace("/directory", "");
    for token in ["../../../../stolen", "..", "", "a/b", "a%2fb", "a b", "ü", "x\\u0000y"] {
        let body = format!(
            r#"{{"status":"pending","identifier":{{"type":"dns","value":"example.com"}},"challenges":[
                {{"type":"http-01","url":"{base}/challenge/a/b","token":"{token}"}}]}}"#
        );
        control.fail(answer(200, body).of("POST", "/authorization/", 1));
        let mut words =
            ["issue", "example.com", "--accept-tos", "--plugin", "webroot"].map(str::to_owned).to_vec();
        words.extend(["--server".to_owned(), server.directory()]);
        words.extend(["--plugin-arg".to_owned(), format!("WRPath={}", folder.display())]);
        words.extend(["--authoritative".to_owned(), bench.testbed.simulator().dns_addrs()[0].to_string()]);
        let outcome = bench.livecert.run(words).unwrap();
        expect(&outcome, 1);
        says(&outcome, &["token", "next:"]);
    }
    assert!(!bench.testbed.folder().join("stolen").exists());
    let files = std::fs::read_dir(folder.join(".well-known/acme-challenge")).map_or(0, Iterator::count);
    assert_eq!(files, 0);
    assert!(control.requests().iter().all(|request| !request.path.starts_with("/challenge/")));
}

#[test]
fn with_urls_without_tls_and_answers_of_another_kind() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let directory = |url: &str| {
        format!(r#"{{"newNonce":"{url}/nonce","newAccount":"{url}/account","newOrder":"{url}/order"}}"#)
    };
    let issue = |rule: FaultRule, said: &[&str]| -> Outcome {
        control.fail(rule);
        let outcome = bench.issue_at(&server, &["example.com"], &["--force"]);
        expect(&outcome, 1);
        says(&outcome, said);
        says(&outcome, &["next:"]);
        outcome
    };
    let plain = directory("http://127.0.0.1:9");
    issue(answer(200, plain).of("GET", "/directory", 1), &["without TLS: http://127.0.0.1:9/"]);
    issue(answer(200, "{}").of("GET", "/directory", 1), &["is not an ACME directory"]);
    let page = "<html>\u{1b}[31mhello\u{7}</html>";
    let outcome = issue(answer(404, page).of("GET", "/directory", 1), &["is not an ACME directory"]);
    assert!(!outcome.stderr.contains(['\u{1b}', '\u{7}']), "{:?}", outcome.stderr);
    let huge = " ".repeat(20 << 20);
    issue(answer(200, huge.clone()).of("GET", "/directory", 1), &["larger than"]);
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);

    issue(answer(201, huge.clone()).of("POST", "/order", 1), &["larger than"]);
    issue(answer(200, huge).of("POST", "/certificate/", 1), &["larger than"]);
    expect(&bench.run(&["renew", "--force"]), 0);
    issue(answer(201, "{}").of("POST", "/order", 1), &["is not understood"]);
    issue(answer(200, "[1]").of("POST", "/authorization/", 1), &["is not understood"]);
    issue(answer(200, "no certificate").of("POST", "/certificate/", 1), &["not"]);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn with_moments_that_are_none() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let odd = ["soon", "-5", "1e9", "99999999999999999999999", "Thu, 99 Foo 2026 00:00:00 GMT"];
    for (number, moment) in odd.into_iter().enumerate() {
        let (kind, detail) = ("rateLimited".to_owned(), "too many".to_owned());
        let retry_after = Some(moment.to_owned());
        control.fail(Fault::Problem { status: 429, kind, detail, retry_after }.of("POST", "/order", 1));
        let cert = format!("odd-{number}");
        let outcome = bench.issue_at(&server, &["example.com"], &["--cert-name", &cert]);
        expect(&outcome, 1);
        says(&outcome, &["too many (rateLimited)", "next: wait until"]);
    }
}

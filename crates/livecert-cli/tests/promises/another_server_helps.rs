use std::num::NonZeroUsize;
use std::time::Duration;

use livecert::certificate::{CertificateError, RenewRequest, RenewalResult};
use serde_json::Value;
use testbed::ca::{Fault, NewOrder, RetryAfter, Targets};
use testbed::{AcmeSim, Outcome};

use super::certificates_share_what_they_can::service;
use super::{Bench, document, expect, read, says, sent};

/// A home, and another server.
fn servers(bench: &Bench) -> (AcmeSim, AcmeSim) {
    (bench.testbed.acme_sim("home").unwrap(), bench.testbed.acme_sim("other").unwrap())
}

fn words(bench: &Bench, home: &str, other: &AcmeSim, cert: &str) -> Vec<String> {
    let mut words = bench.words_at(other, &["example.com"], &["--server", home, "--cert-name", cert]);
    // Nothing else is asked before the servers are.
    words.push("--force".to_owned());
    words
}

fn issue(bench: &Bench, home: &AcmeSim, other: &AcmeSim, cert: &str) -> Outcome {
    bench.livecert.run(words(bench, &home.directory(), other, cert)).unwrap()
}

#[track_caller]
fn is_from(bench: &Bench, cert: &str, server: &AcmeSim) {
    let shown = document(&bench.run(&["show", cert, "--json"]));
    let generation = super::read(&bench.cert(cert).join("current/generation.json"));
    assert!(generation.contains(&server.directory()), "{generation}");
    assert!(shown["issuer"].is_string(), "{shown}");
}

#[test]
fn when_the_home_is_down_or_busy_or_broken() {
    let bench = Bench::new();
    let (home, other) = servers(&bench);
    let control = home.control();
    let mut numbers = 1..;
    let mut helps = |reason: &str, said: &str| {
        let cert = format!("cert-{}", numbers.next().unwrap());
        let outcome = issue(&bench, &home, &other, &cert);
        expect(&outcome, 0);
        says(&outcome, &["cannot give it now", said, "the next renewal goes back"]);
        is_from(&bench, &cert, &other);
        let shown = document(&bench.run(&["show", &cert, "--json"]));
        assert_eq!(shown["server"], home.directory(), "{reason}");
        assert_eq!(shown["fallbacks"][0], other.directory(), "{reason}");
        cert
    };
    control.fail(Fault::page(502).of("POST", "/order", 1));
    helps("a page of a proxy", "HTTP 502");
    let busy = Fault::Answer {
        status: 503,
        content_type: "text/html".into(),
        body: "<h1>Maintenance</h1>".into(),
        retry_after: Some("3600".into()),
    };
    control.fail(busy.of("GET", "/directory", 1));
    helps("maintenance", "Service Unavailable");
    control.change(|behaviour| behaviour.new_order = NewOrder::RateLimited);
    helps("a rate limit", "rateLimited");
    control.change(|behaviour| behaviour.new_order = NewOrder::ServerInternal);
    let cert = helps("an internal error", "serverInternal");

    control.change(|behaviour| behaviour.new_order = NewOrder::Accept);
    expect(&bench.run(&["renew", &cert, "--force"]), 0);
    is_from(&bench, &cert, &home);
    assert_eq!(document(&bench.run(&["show", &cert, "--json"]))["fallbacks"][0], other.directory());
}

#[test]
fn when_nobody_is_at_home_and_nobody_at_the_others_is_told() {
    let bench = Bench::new();
    let (home, other) = servers(&bench);
    let home_url = home.directory();
    drop(home);
    let outcome = bench.livecert.run(words(&bench, &home_url, &other, "alone")).unwrap();
    expect(&outcome, 0);
    is_from(&bench, "alone", &other);

    other.control().change(|behaviour| behaviour.new_order = NewOrder::ServerInternal);
    let outcome = bench.livecert.run(words(&bench, &home_url, &other, "alone")).unwrap();
    expect(&outcome, 1);
    let line = outcome.stderr.lines().find(|line| line.starts_with("error[")).unwrap();
    assert!(line.contains(&home_url) && line.contains(&other.directory()), "{line}");
    says(&outcome, &["no server gives the certificate", "serverInternal", "next: the CA is out of order"]);
}

#[test]
fn but_not_when_every_server_would_refuse() {
    let bench = Bench::new();
    let (home, other) = servers(&bench);
    let control = home.control();
    control.change(|behaviour| behaviour.rejected = vec!["example.com".to_owned()]);
    let outcome = issue(&bench, &home, &other, "rejected");
    expect(&outcome, 1);
    says(&outcome, &["rejectedIdentifier", "next: this CA does not give certificates for that name"]);

    control.change(|behaviour| behaviour.rejected.clear());
    control.set_targets(Targets::default());
    let outcome = issue(&bench, &home, &other, "unproved");
    expect(&outcome, 1);
    says(&outcome, &["refused example.com", "next:"]);
    assert_eq!(other.control().requests(), []);
}

#[test]
fn and_ends_what_it_has_begun() {
    let bench = Bench::new();
    let (home, other) = servers(&bench);
    home.control().change(|behaviour| {
        behaviour.new_order = NewOrder::RateLimited;
        behaviour.rate_limit_retry_after = RetryAfter::Seconds(7200);
    });
    let detail = "Certificate not found".to_owned();
    let fault = Fault::Problem { status: 404, kind: "malformed".into(), detail, retry_after: None };
    other.control().fail(fault.of("POST", "/certificate", 1));
    let home_url = home.directory();
    let words = bench.words_at(&other, &["example.com"], &["--server", &home_url, "--cert-name", "begun"]);
    let outcome = bench.livecert.run(&words).unwrap();
    expect(&outcome, 1);
    says(&outcome, &["Certificate not found"]);
    // The home still wants to be left alone; the order is at the other one.
    expect(&bench.livecert.run(&words).unwrap(), 0);
    is_from(&bench, "begun", &other);
    assert_eq!((sent(&home.control(), "/order"), sent(&other.control(), "/order")), (1, 1));
}

/// Whoever asks a server that answers nobody waits for it as long as the first one did.
#[test]
fn and_one_that_answers_nobody_is_not_waited_for_by_all() {
    let bench = Bench::new();
    let (home, other) = servers(&bench);
    let certs = ["c1", "c2", "c3", "c4", "c5"];
    for cert in certs {
        let words = bench.words_at(&home, &[&format!("{cert}.example.com")], &["--cert-name", cert]);
        expect(&bench.livecert.run(words).unwrap(), 0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime.block_on(async { service(&bench).with_server_patience(Duration::ZERO) });
    let request = RenewRequest { force: true, parallel: NonZeroUsize::MIN, ..RenewRequest::default() };
    // The orders that were asked for, and what those are told that were not asked for.
    let renew = || -> ([usize; 2], Vec<String>) {
        home.control().fail(Fault::page(502).of("POST", "/order", 3));
        let orders = || [&home, &other].map(|server| sent(&server.control(), "/order"));
        let before = orders();
        let renewals = runtime.block_on(service.renew(&request)).unwrap();
        let told = renewals.iter().filter_map(|one| match &one.result {
            RenewalResult::Failed(error) => Some(error),
            _ => None,
        });
        let told = told.filter(|error| matches!(***error, CertificateError::Outage { .. }));
        let after = orders();
        ([after[0] - before[0], after[1] - before[1]], told.map(ToString::to_string).collect())
    };
    // Twice, because each run asks for itself.
    for _ in 0..2 {
        let (orders, told) = renew();
        assert_eq!((orders, told.len()), ([3, 0], 2), "{told:?}");
        assert!(
            told.iter().all(|error| error.contains("none of 3 certificates") && error.contains("HTTP 502"))
        );
    }
    let mut failures = certs.map(|cert| {
        let record: Value = serde_json::from_str(&read(&bench.cert(cert).join("failures.json"))).unwrap();
        record["count"].as_u64().unwrap()
    });
    failures.sort_unstable();
    assert_eq!(failures, [0, 0, 2, 2, 2], "who was not asked for has not failed");
    // Where there are servers to fall back to, they are asked at once.
    expect(&bench.run(&["account", "new", "--server", &other.directory(), "--accept-tos"]), 0);
    for cert in certs {
        expect(&bench.run(&["set", cert, "--server", &home.directory(), "--server", &other.directory()]), 0);
    }
    assert_eq!(renew(), ([3, 5], Vec::new()));
}

#[test]
fn that_the_domain_allows() {
    let bench = Bench::new();
    let (home, other) = servers(&bench);
    other.control().change(|behaviour| behaviour.caa_identities = vec!["other.example".to_owned()]);
    home.control().change(|behaviour| {
        behaviour.new_order = NewOrder::RateLimited;
        behaviour.rate_limit_retry_after = RetryAfter::Seconds(7200);
    });
    super::it_is_known_before_there_is_an_order::caa(&bench, &["0 issue \"acme-sim.example\""]);
    let outcome = issue(&bench, &home, &other, "forbidden");
    expect(&outcome, 1);
    says(&outcome, &["CAA records do not allow other.example", "next: add", "rateLimited"]);
    assert_eq!(sent(&other.control(), "/order"), 0);
}

use testbed::ca::{Finalize, RetryAfter, Status};

use super::{Bench, expect, read};

#[test]
fn with_any_request() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("strict").unwrap();
    expect(&bench.issue_at(&server, &["example.com", "*.example.com", "www.example.org"], &[]), 0);

    let control = server.control();
    let problems: Vec<_> = control.requests().into_iter().filter(|request| request.status >= 400).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let [certificate] = &control.certificates()[..] else { panic!("{:#?}", control.certificates()) };
    let names: Vec<&str> =
        certificate.identifiers.iter().map(|identifier| identifier.value.as_str()).collect();
    assert_eq!(names, ["example.com", "*.example.com", "www.example.org"]);
    assert!(read(&bench.cert("example.com").join("current/fullchain.pem")).contains("BEGIN CERTIFICATE"));
    assert!(!bench.testbed.gandi().zone("example.com").contains_key("_acme-challenge/TXT"));
}

#[test]
fn when_things_come_as_they_need_not() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("odd").unwrap();
    server.control().change(|behaviour| {
        behaviour.nonce_reject = 20;
        behaviour.missing_expires = true;
        behaviour.missing_challenge_status = true;
        behaviour.shuffled_challenges = true;
        behaviour.unknown_things = true;
        behaviour.finalize = Finalize::Processing(2);
    });
    expect(&bench.issue_at(&server, &["example.com", "www.example.com"], &[]), 0);
    assert_eq!(server.control().certificates().len(), 1);
}

#[test]
fn when_the_certificate_takes_its_time() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("slow").unwrap();
    let control = server.control();
    control.change(|behaviour| {
        behaviour.finalize = Finalize::Held;
        behaviour.retry_after = RetryAfter::Date(1);
    });
    let mut child = bench.livecert.spawn(bench.words_at(&server, &["example.com"], &[])).unwrap();
    while !control.orders().iter().any(|order| order.status == Status::Processing) {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("livecert has ended before the order was finalized: {status}");
        }
        std::thread::yield_now();
    }
    control.release_orders();
    expect(&child.wait_with_output().unwrap().into(), 0);
    assert_eq!(control.certificates().len(), 1);
}

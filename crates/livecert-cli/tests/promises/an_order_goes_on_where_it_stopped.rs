use std::path::PathBuf;
use std::process::Child;

use testbed::ca::{Control, Fault, FaultRule, Finalize, Status, WrongCertificate};
use testbed::{AcmeSim, Side};

use super::{Bench, expect, read, says, sent};

/// The draft of the first generation.
fn draft(bench: &Bench, cert: &str) -> PathBuf {
    bench.cert(cert).join("generations/1.partial")
}

fn key(bench: &Bench, cert: &str) -> String {
    read(&bench.cert(cert).join("current/privkey.pem"))
}

/// A rule for the request after this many others.
fn after(number: u32, fault: Fault) -> FaultRule {
    FaultRule { method: None, path: String::new(), after: number, times: 1, fault }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until an order is `processing`.
#[track_caller]
fn until_processing(control: &Control, child: &mut Child) {
    while !control.orders().iter().any(|order| order.status == Status::Processing) {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("livecert has ended before the order was finalized: {status}");
        }
        std::thread::yield_now();
    }
}

/// A server that has an account of ours already.
fn with_account(bench: &Bench) -> (AcmeSim, Control) {
    let server = bench.testbed.acme_sim("stopped").unwrap();
    expect(&bench.issue_at(&server, &["example.com"], &["--cert-name", "first"]), 0);
    let control = server.control();
    (server, control)
}

#[test]
fn wherever_it_was_killed() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    control.clear_requests();
    expect(&bench.issue_at(&server, &["example.com"], &["--cert-name", "second"]), 0);
    let requests = u32::try_from(control.requests().len()).unwrap();
    assert!(requests >= 8, "{requests}");
    let mut resumed = 0;
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        for number in 0..requests {
            let cert = format!("{fault:?}-{number}");
            let words = bench.words_at(&server, &["example.com"], &["--cert-name", &cert]);
            let (orders, certificates) = (control.orders().len(), control.certificates().len());
            control.fail(after(number, fault.clone()));
            let mut child = bench.livecert.spawn(&words).unwrap();
            let held = control.until_held(|| child.try_wait().unwrap().is_none());
            assert!(held, "{cert}");
            kill(child);
            let ordered = draft(&bench, &cert).join("order.json").exists();
            let draft_key = ordered.then(|| read(&draft(&bench, &cert).join("privkey.pem")));
            let made = control.orders().len() - orders;
            control.release();

            let outcome = bench.livecert.run(&words).unwrap();
            expect(&outcome, 0);
            assert_eq!(control.certificates().len() - certificates, 1, "{cert}");
            let left = bench.testbed.gandi().zone("example.com");
            let requests = bench.testbed.gandi().requests();
            assert!(left.is_empty(), "{cert}: {left:?}\n{}\n{requests:#?}", outcome.stderr);
            bench.testbed.gandi().clear_requests();
            if let Some(draft_key) = draft_key {
                says(&outcome, &["going on with the order of an earlier run"]);
                assert_eq!(control.orders().len() - orders, made, "{cert}");
                assert_eq!(key(&bench, &cert), draft_key, "{cert}");
                resumed += 1;
            }
        }
    }
    assert!(resumed >= requests, "{resumed} of {} were taken up again", 2 * requests);
    super::a_killed_run_is_swept::let_time_pass(&bench);
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(super::a_killed_run_is_swept::journals(&bench), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn wherever_it_was_killed_at_the_dns_api() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    let (gate, api) = bench.testbed.gate_before(&bench.testbed.simulator().api_base_url()).unwrap();
    let words = |cert: &str| {
        let mut words = bench.words_at(&server, &["example.com", "*.example.com"], &["--cert-name", cert]);
        let url = words.iter_mut().find(|word| word.starts_with("GandiApiBaseUrl=")).unwrap();
        *url = format!("GandiApiBaseUrl={api}");
        words
    };
    gate.open();
    expect(&bench.livecert.run(words("whole")).unwrap(), 0);
    let requests = gate.count();
    assert!(requests >= 3, "{requests}");
    for side in [Side::Before, Side::After] {
        for number in 1..=requests {
            let cert = format!("{side:?}-{number}");
            let certificates = control.certificates().len();
            gate.hold(number, side);
            let mut child = bench.livecert.spawn(words(&cert)).unwrap();
            assert!(gate.until_held(&mut child).unwrap(), "{cert}");
            kill(child);
            gate.open();
            let orders = control.orders().len();
            let ordered = draft(&bench, &cert).join("order.json").exists();
            expect(&bench.livecert.run(words(&cert)).unwrap(), 0);
            assert_eq!(control.orders().len() - orders, usize::from(!ordered), "{cert}");
            assert_eq!(control.certificates().len() - certificates, 1, "{cert}");
            assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0, "{cert}");
        }
    }
}

#[test]
fn when_it_died_between_the_last_writes() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    let words = bench.words_at(&server, &["example.com"], &["--cert-name", "last"]);
    expect(&bench.livecert.run(&words).unwrap(), 0);
    let orders = control.orders().len();
    let (folder, generation) = (bench.cert("last"), bench.cert("last").join("generations/1"));

    // The generation is complete, and not the current one yet; its settings are not noted either.
    std::fs::write(generation.join("order.json"), "{}").unwrap();
    std::fs::remove_file(folder.join("current")).unwrap();
    std::fs::remove_file(folder.join("certificate.json")).unwrap();
    let outcome = bench.livecert.run(&words).unwrap();
    expect(&outcome, 0);
    says(&outcome, &["Nothing to do"]);
    assert_eq!(control.orders().len(), orders);
    assert!(!generation.join("order.json").exists());
    expect(&bench.run(&["renew", "last", "--force"]), 0);

    // What is there without settings may be for other names.
    std::fs::remove_file(folder.join("certificate.json")).unwrap();
    expect(&bench.issue_at(&server, &["example.org"], &["--cert-name", "last"]), 0);
    assert_eq!(control.orders().len(), orders + 2);
}

#[test]
fn when_it_is_interrupted_while_the_ca_works() {
    for signal in ["INT", "TERM"] {
        let bench = Bench::new();
        let (server, control) = with_account(&bench);
        control.change(|behaviour| behaviour.finalize = Finalize::Held);
        let words = bench.words_at(&server, &["example.com"], &[]);
        let mut child = bench.livecert.spawn(&words).unwrap();
        until_processing(&control, &mut child);
        super::signal(&child, signal);
        let outcome = child.wait_with_output().unwrap().into();
        expect(&outcome, 1);
        says(&outcome, &["interrupted", "next: run the same command again"]);
        assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
        assert_eq!(super::a_killed_run_is_swept::journals(&bench), 0);

        // The CA is not ready yet when the next run comes, and that one is killed.
        let child = bench.livecert.spawn(&words).unwrap();
        let looks = sent(&control, "/finalize");
        control.clear_requests();
        while control.requests().iter().filter(|request| request.path.contains("/order/")).count() < 2 {
            std::thread::yield_now();
        }
        kill(child);
        assert_eq!((looks, sent(&control, "/finalize")), (2, 0));

        control.release_orders();
        let key_before = read(&draft(&bench, "example.com").join("privkey.pem"));
        expect(&bench.livecert.run(&words).unwrap(), 0);
        assert_eq!((control.orders().len(), control.certificates().len()), (2, 2));
        assert_eq!(key(&bench, "example.com"), key_before);
    }
}

#[test]
fn when_an_answer_is_lost() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    for (number, (fault, path, orders, finalized)) in [
        (Fault::CutAfter, "/finalize", 1, 1),
        (Fault::CutBefore, "/finalize", 1, 2),
        (Fault::page(502), "/finalize", 1, 1),
        (Fault::CutAfter, "/order", 2, 1),
        (Fault::CutBefore, "/order", 1, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let cert = format!("lost-{number}");
        control.clear_requests();
        let before = (control.orders().len(), control.certificates().len());
        control.fail(fault.of("POST", path, 1));
        let words = bench.words_at(&server, &["example.com"], &["--cert-name", &cert]);
        let outcome = bench.livecert.run(&words).unwrap();
        if outcome.status != Some(0) {
            says(&outcome, &["error[", "because:", "next:"]);
            expect(&bench.livecert.run(&words).unwrap(), 0);
        }
        let made = (control.orders().len() - before.0, control.certificates().len() - before.1);
        assert_eq!(made, (orders, 1), "{cert}");
        assert!(sent(&control, "/finalize") <= finalized + 1, "{cert}");
    }
}

#[test]
fn when_the_certificate_cannot_be_downloaded_at_first() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    let not_found = |times| {
        let detail = "Certificate not found".to_owned();
        let fault = Fault::Problem { status: 404, kind: "malformed".into(), detail, retry_after: None };
        control.fail(fault.of("POST", "/certificate", times));
    };
    // Once: the next run has it. One that stays away is given up, and ordered anew.
    for (times, orders) in [(1, 1), (2, 2)] {
        let cert = format!("away-{times}");
        let words = bench.words_at(&server, &["example.com"], &["--cert-name", &cert]);
        let before = control.orders().len();
        not_found(times);
        for _ in 0..times {
            let outcome = bench.livecert.run(&words).unwrap();
            expect(&outcome, 1);
            says(&outcome, &["downloading the certificate failed", "Certificate not found", "next:"]);
        }
        expect(&bench.livecert.run(&words).unwrap(), 0);
        assert_eq!(control.orders().len() - before, orders);
    }
}

#[test]
fn but_a_wrong_certificate_is_not_kept_and_not_waited_for() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    for (wrong, said) in [
        (WrongCertificate::OtherKey, "for another key"),
        (WrongCertificate::MissingName, "missing: www.example.com"),
    ] {
        let cert = format!("{wrong:?}");
        let names = ["example.com", "www.example.com"];
        control.change(|behaviour| behaviour.wrong_certificate = Some(wrong));
        let outcome = bench.issue_at(&server, &names, &["--cert-name", &cert]);
        expect(&outcome, 1);
        says(&outcome, &["the CA's certificate was not taken", said, "next:"]);
        assert!(!bench.cert(&cert).join("current").exists());
        control.change(|behaviour| behaviour.wrong_certificate = None);
        expect(&bench.issue_at(&server, &names, &["--cert-name", &cert]), 0);
    }
}

#[test]
fn but_not_for_another_key_or_profile_or_when_the_server_has_forgotten_it() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    let stop = |cert: &str, more: &[&str]| {
        control.change(|behaviour| behaviour.finalize = Finalize::Held);
        let more: Vec<&str> = [&["--cert-name", cert], more].concat();
        let mut child = bench.livecert.spawn(bench.words_at(&server, &["example.com"], &more)).unwrap();
        until_processing(&control, &mut child);
        kill(child);
        control.release_orders();
        control.change(|behaviour| behaviour.finalize = Finalize::AtOnce);
        control.orders().len()
    };
    for (cert, first, second) in [
        ("key", ["--key-type", "ec-256"], ["--key-type", "ec-384"]),
        ("profile", ["--profile", "classic"], ["--profile", "shortlived"]),
    ] {
        let orders = stop(cert, &first);
        let more: Vec<&str> = [&["--cert-name", cert][..], &second].concat();
        expect(&bench.issue_at(&server, &["example.com"], &more), 0);
        assert_eq!(control.orders().len(), orders + 1, "{cert}");
    }
    stop("forgotten", &[]);
    control.forget_accounts();
    expect(&bench.issue_at(&server, &["example.com"], &["--cert-name", "forgotten"]), 0);

    // Some say it with a page.
    let orders = stop("page", &[]);
    control.fail(Fault::page(404).of("POST", "/order/", 1));
    expect(&bench.issue_at(&server, &["example.com"], &["--cert-name", "page"]), 0);
    assert_eq!(control.orders().len(), orders + 1);

    // A server that is only out of order has not forgotten it.
    let orders = stop("busy", &[]);
    let fault = Fault::Problem {
        status: 429,
        kind: "rateLimited".into(),
        detail: "too many reads".into(),
        retry_after: None,
    };
    control.fail(fault.of("POST", "/order/", 1));
    let words = bench.words_at(&server, &["example.com"], &["--cert-name", "busy", "--force"]);
    expect(&bench.livecert.run(&words).unwrap(), 1);
    expect(&bench.livecert.run(&words).unwrap(), 0);
    assert_eq!(control.orders().len(), orders);
}

#[test]
fn whatever_others_are_refused_and_although_no_record_could_be_written() {
    let bench = Bench::new();
    let (server, control) = with_account(&bench);
    control.change(|behaviour| behaviour.finalize = Finalize::Held);
    let mut child = bench.livecert.spawn(bench.words_at(&server, &["example.com"], &[])).unwrap();
    until_processing(&control, &mut child);
    kill(child);
    control.release_orders();
    let orders = control.orders().len();

    let fault = Fault::Problem {
        status: 429,
        kind: "rateLimited".into(),
        detail: "too many new orders (300) from this account in the last 3h0m0s".into(),
        retry_after: Some("7200".into()),
    };
    control.fail(fault.of("POST", "/order", 1));
    expect(&bench.issue_at(&server, &["example.org"], &[]), 1);
    says(&bench.issue_at(&server, &["example.org"], &[]), &["does not want to be asked"]);

    std::fs::write(&bench.token, "token-that-has-ended-meanwhile").unwrap();
    // The value that the dead run published cannot be removed with that token; the certificate comes all the same.
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    assert_eq!(control.orders().len(), orders);
}

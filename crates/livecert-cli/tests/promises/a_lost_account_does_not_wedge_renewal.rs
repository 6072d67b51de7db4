use serde_json::Value;
use testbed::ca::{Control, Fault, Status};
use testbed::{AcmeSim, Outcome};

use super::{Bench, document, expect, says};

fn one_certificate(bench: &Bench) -> (AcmeSim, Control) {
    let server = bench.testbed.acme_sim("forgetful").unwrap();
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    let control = server.control();
    control.clear_requests();
    (server, control)
}

/// The account files in the store, those that were kept aside with them.
fn account_files(bench: &Bench) -> Vec<String> {
    let servers = std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap();
    let files = servers.flat_map(|server| std::fs::read_dir(server.unwrap().path().join("1")).unwrap());
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn account(bench: &Bench, server: &AcmeSim, words: &[&str]) -> Outcome {
    bench.run(&[&["account"], words, &["--server", &server.directory()]].concat())
}

fn shown(bench: &Bench, server: &AcmeSim) -> Value {
    let outcome = account(bench, server, &["show", "--json"]);
    expect(&outcome, 0);
    document(&outcome)
}

#[test]
fn that_the_server_has_forgotten() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    let old = control.accounts().remove(0);
    control.forget_accounts();
    let gone = account(&bench, &server, &["show"]);
    expect(&gone, 1);
    says(&gone, &["next: the CA does not know this account any more"]);

    let outcome = bench.run(&["renew", "--force"]);
    expect(&outcome, 0);
    let new = control.accounts().remove(0);
    assert_eq!(new.thumbprint(), old.thumbprint());
    says(&outcome, &["does not take the account", &old.url, "the new one is", &new.url]);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(control.accounts().len(), 1);
    assert_eq!(shown(&bench, &server)["url"], new.url);
}

#[test]
fn that_was_deactivated_and_what_names_it_in_dns_is_told() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    let old = control.accounts().remove(0);
    let standing = format!("acme-sim.example; accounturi={}", old.url);
    let caa = format!("0 issue \"{standing}\"");
    super::it_is_known_before_there_is_an_order::caa(&bench, &[&caa]);
    bench.testbed.gandi().add_value("example.com", "_validation-persist", &standing, 300);
    assert!(control.deactivate_account(&old.url));

    let outcome = bench.run(&["renew", "--force"]);
    expect(&outcome, 0);
    let new = control.accounts().remove(1);
    assert_ne!(new.thumbprint(), old.thumbprint());
    let standing_at = format!("_validation-persist.example.com TXT \"{standing}\"");
    says(
        &outcome,
        &["These records name the old account", &standing_at, "example.com CAA 0 issue", &new.url],
    );
    let files = account_files(&bench);
    assert!(files.len() == 2 && files[0].starts_with("account-") && files[1] == "account.json", "{files:?}");
    assert_eq!(shown(&bench, &server)["url"], new.url);
    assert_eq!(control.accounts().iter().filter(|account| account.status == Status::Valid).count(), 1);
}

#[test]
fn although_the_server_wants_to_know_its_customers_by_now() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    control.forget_accounts();
    control.change(|behaviour| behaviour.external_account_required = true);
    control.set_external_account("kid-1", Some("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"));
    let outcome = bench.run(&["renew", "--force"]);
    expect(&outcome, 1);
    says(&outcome, &["only with an external account binding", "next: give --eab-kid"]);
    let file = bench.testbed.secret_file("eab", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA").unwrap();
    let source = format!("file:{}", file.display());
    let more = ["--force", "--eab-kid", "kid-1", "--eab-hmac-key", &source];
    expect(&bench.issue_at(&server, &["example.com"], &more), 0);
    assert_eq!(control.accounts()[0].external_account.as_deref(), Some("kid-1"));
    expect(&bench.run(&["renew", "--force"]), 0);
}

#[test]
fn nor_do_terms_that_have_changed() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    let terms = |version: &str| format!("https://acme-sim.example/terms/{version}");
    let refused = |version: &str| {
        control.change(|behaviour| behaviour.terms = Some(terms(version)));
        let outcome = bench.run(&["renew", "--force"]);
        expect(&outcome, 1);
        says(
            &outcome,
            &["userActionRequired", "https://", "next: the CA's terms have changed", "--accept-tos"],
        );
        outcome
    };
    says(&refused("v2"), &[&terms("v2")]);
    let updated = account(&bench, &server, &["update", "--accept-tos"]);
    expect(&updated, 0);
    says(&updated, &[&terms("v2")]);
    expect(&bench.run(&["renew", "--force"]), 0);

    refused("v3");
    expect(&bench.issue_at(&server, &["example.com"], &["--force"]), 0);
    assert_eq!(control.accounts()[0].agreed, Some(terms("v3")));
    expect(&bench.run(&["renew", "--force"]), 0);
    // They are accepted once.
    control.clear_requests();
    expect(&bench.issue_at(&server, &["example.com"], &["--force"]), 0);
    assert!(!control.requests().iter().any(|request| request.path.contains("/account")));

    // Lost, and the terms have changed.
    control.change(|behaviour| behaviour.terms = Some(terms("v4")));
    control.forget_accounts();
    let outcome = bench.run(&["renew", "--force"]);
    expect(&outcome, 1);
    says(&outcome, &[&terms("v4"), "next: read the terms, then give --accept-tos"]);
    expect(&bench.issue_at(&server, &["example.com"], &["--force"]), 0);
    assert_eq!(control.accounts()[0].agreed, Some(terms("v4")));
}

#[test]
fn nor_does_a_roll_over_whose_answer_was_lost() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        control.fail(fault.clone().of("POST", "/key-change", 1));
        let outcome = account(&bench, &server, &["rollover", "--account-key-type", "ec-384"]);
        // The new key tells at once how it went.
        assert_eq!(outcome.status, Some(if fault == Fault::CutAfter { 0 } else { 1 }), "{outcome:?}");
        expect(&bench.run(&["renew", "--force"]), 0);
    }
    assert_eq!(control.accounts().len(), 1);
}

#[test]
fn nor_does_a_roll_over_that_was_killed() {
    let bench = Bench::new();
    let (server, control) = one_certificate(&bench);
    for (fault, taken) in [(Fault::HoldAfter, true), (Fault::HoldBefore, false)] {
        let before = control.accounts()[0].thumbprint();
        control.fail(fault.of("POST", "/key-change", 1));
        let words = ["account", "rollover", "--server", &server.directory()];
        let mut child = bench.livecert.spawn(words).unwrap();
        assert!(control.until_held(|| child.try_wait().unwrap().is_none()));
        child.kill().unwrap();
        child.wait().unwrap();
        // What is held before it is applied never arrives.
        if taken {
            control.release();
        }
        assert_eq!(control.accounts()[0].thumbprint() != before, taken);

        // Which key is in force is not decided by a server that is out of order.
        let (kind, detail) = ("unauthorized".to_owned(), "not at this moment".to_owned());
        let fault = Fault::Problem { status: 403, kind, detail, retry_after: None };
        control.fail(fault.of("POST", "/account", 1));
        let outcome = bench.run(&["renew", "--force"]);
        expect(&outcome, 1);
        says(&outcome, &["finding out which account key is in force failed", "not at this moment", "next:"]);

        expect(&bench.run(&["renew", "--force"]), 0);
        expect(&account(&bench, &server, &["rollover"]), 0);
        expect(&bench.run(&["renew", "--force"]), 0);
    }
    assert_eq!(control.accounts().len(), 1);
}

use std::time::Duration;

use serde_json::{Value, json};
use testbed::ca::Status;
use testbed::{AcmeSim, Outcome};

use super::a_killed_run_is_swept::{journals, let_time_pass};
use super::{Bench, document, expect, read, says, sent};

/// `order new` with the words of an issue.
fn order(bench: &Bench, names: &[&str], more: &[&str]) -> Outcome {
    new(bench, bench.words(names, more))
}

fn order_at(bench: &Bench, server: &AcmeSim, names: &[&str], more: &[&str]) -> Outcome {
    new(bench, bench.words_at(server, names, more))
}

fn new(bench: &Bench, words: Vec<String>) -> Outcome {
    let words = ["order", "new"].map(str::to_owned).into_iter().chain(words.into_iter().skip(1));
    bench.livecert.run(words).unwrap()
}

#[track_caller]
fn step(bench: &Bench, step: &str, cert: &str, status: i32) -> Value {
    let outcome = bench.run(&["order", step, cert, "--json"]);
    expect(&outcome, status);
    document(&outcome)
}

/// How the open order of a certificate stands.
fn standing(bench: &Bench, cert: &str) -> Value {
    step(bench, "show", cert, 0)["order"]["status"].clone()
}

#[test]
fn from_the_order_to_the_files() {
    let bench = Bench::counting();
    let deployed = bench.testbed.folder().join("deployed");
    let hook = format!("echo \"$LIVECERT_NAME\" > '{}'", deployed.display());
    let names = ["example.com", "*.example.com"];
    let made = order(&bench, &names, &["--deploy-hook", &hook, "--json"]);
    expect(&made, 0);
    let made = document(&made);
    assert_eq!((&made["result"], &made["order"]["status"]), (&json!("made"), &json!("pending")));
    let shown = made["order"]["authorizations"].as_array().unwrap();
    assert_eq!(shown.len(), 2);
    for one in shown {
        assert_eq!(one["challenge"], "dns-01", "{one}");
        assert_eq!(one["show"]["fqdn"], "_acme-challenge.example.com", "{one}");
        assert_eq!(one["show"]["value"].as_str().map(str::len), Some(43), "{one}");
    }
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    let draft = bench.cert("example.com").join("generations/1.partial");
    let key = read(&draft.join("privkey.pem"));

    // A sweep ends nothing that somebody goes on with, and a second order is not made.
    expect(&bench.run(&["dns", "sweep"]), 0);
    let again = order(&bench, &names, &["--deploy-hook", &hook]);
    expect(&again, 0);
    says(&again, &["Nothing to do: example.com has an order for that already", "300 IN TXT"]);
    let listed = document(&bench.run(&["order", "list", "--json"]));
    assert_eq!(listed["orders"][0]["url"], made["order"]["url"]);
    says(&bench.run(&["order", "list"]), &["example.com  pending", "livecert order solve example.com"]);

    // What comes later says what comes first.
    for early in ["finalize", "download"] {
        let outcome = bench.run(&["order", early, "example.com"]);
        expect(&outcome, 1);
        says(
            &outcome,
            &["is pending", "to be proved", "next: `livecert order solve example.com` comes first"],
        );
    }
    assert_eq!(step(&bench, "solve", "example.com", 0)["result"], "done");
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert_eq!(step(&bench, "solve", "example.com", 0)["result"], "already");
    let outcome = bench.run(&["order", "download", "example.com"]);
    expect(&outcome, 1);
    says(&outcome, &["is ready", "next: `livecert order finalize example.com` comes first"]);
    assert_eq!(step(&bench, "finalize", "example.com", 0)["order"]["status"], "valid");
    assert_eq!(step(&bench, "finalize", "example.com", 0)["result"], "already");
    assert!(!deployed.exists() && !bench.cert("example.com").join("current").exists());
    let downloaded = step(&bench, "download", "example.com", 0);
    assert_eq!(downloaded["certificate"]["generation"], 1, "{downloaded}");
    assert!(deployed.exists());
    assert_eq!(read(&bench.cert("example.com").join("current/privkey.pem")), key);

    // Everything is done.
    for done in ["solve", "finalize", "download"] {
        assert_eq!(step(&bench, done, "example.com", 0)["result"], "already");
    }
    assert_eq!(step(&bench, "remove", "example.com", 0)["result"], "none");
    assert_eq!(step(&bench, "show", "example.com", 0)["order"], Value::Null);
    let orders = bench.testbed.pebble().requests();
    let orders = orders.iter().filter(|request| request.ends_with("/order-plz")).count();
    assert_eq!((orders, journals(&bench)), (1, 0));
    // What is there is as from an issue.
    let outcome = order(&bench, &names, &[]);
    expect(&outcome, 0);
    says(&outcome, &["Nothing to do: the certificate example.com is what you ask for"]);
    expect(&bench.run(&["renew", "--force"]), 0);
}

#[test]
fn or_an_issue_or_a_renewal_takes_the_rest() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("rest").unwrap();
    for (number, rest) in ["issue", "renew"].into_iter().enumerate() {
        let cert = format!("{rest}.example.com");
        expect(&order_at(&bench, &server, &[&cert], &[]), 0);
        let draft = bench.cert(&cert).join("generations/1.partial/privkey.pem");
        let key = read(&draft);
        let outcome = match rest {
            "issue" => bench.issue_at(&server, &[&cert], &[]),
            _ => bench.run(&["renew", &cert]),
        };
        expect(&outcome, 0);
        says(&outcome, &["going on with the order of an earlier run"]);
        assert_eq!(server.control().orders().len(), number + 1);
        assert_eq!(read(&bench.cert(&cert).join("current/privkey.pem")), key);
    }
}

#[test]
fn whose_time_is_over_is_explained_and_replaced_when_asked() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("late").unwrap();
    let control = server.control();
    expect(&order_at(&bench, &server, &["example.com"], &[]), 0);
    control.expire_orders();
    assert_eq!(standing(&bench, "example.com"), "expired");
    for late in ["solve", "finalize", "download"] {
        let outcome = bench.run(&["order", late, "example.com"]);
        expect(&outcome, 1);
        says(&outcome, &["of no use any more: expired", "next:", "--force"]);
    }
    expect(&order_at(&bench, &server, &["example.com"], &[]), 1);
    assert_eq!(control.orders().len(), 1);
    expect(&order_at(&bench, &server, &["example.com"], &["--force"]), 0);
    assert_eq!((control.orders().len(), standing(&bench, "example.com")), (2, "pending".into()));

    // The CA refuses, and the order is over.
    let wrong = std::fs::write(&bench.token, "token-that-nobody-made");
    wrong.unwrap();
    expect(&bench.run(&["order", "solve", "example.com"]), 1);
    assert_eq!(standing(&bench, "example.com"), "pending");
    std::fs::write(&bench.token, testbed::PAT).unwrap();
    control.forget_accounts();
    assert_eq!(standing(&bench, "example.com"), "gone");
    // Nobody has to be asked by a renewal, which would wait for ever.
    let words = bench.words_at(&server, &["example.com"], &[]);
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 0);
    says(&outcome, &["is given up; another one takes its place"]);
    assert_eq!(control.certificates().len(), 1);
}

#[test]
fn and_one_for_other_names_is_not_replaced_unasked() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("others").unwrap();
    expect(&order_at(&bench, &server, &["example.com"], &[]), 0);
    let names = ["example.com", "www.example.com"];
    let outcome = order_at(&bench, &server, &names, &[]);
    expect(&outcome, 1);
    says(&outcome, &["has an open order for example.com", "--force"]);
    expect(&order_at(&bench, &server, &names, &["--force"]), 0);
    let orders = server.control().orders();
    assert_eq!((orders.len(), orders[0].status), (2, Status::Invalid));
    // An issue with other words does not need a second word.
    expect(&bench.issue_at(&server, &["example.com"], &["--key-type", "ec-384"]), 0);
    assert_eq!(server.control().orders()[1].status, Status::Invalid);
}

#[test]
fn and_is_swept_when_a_step_was_killed() {
    let bench = Bench::new();
    expect(&order(&bench, &["www.example.com"], &[]), 0);
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    let mut child = bench.livecert.spawn(["order", "solve", "www.example.com"]).unwrap();
    bench.until_something_is_written_at("_acme-challenge.www", &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(journals(&bench), 1);
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    // The order lives on.
    assert_eq!(standing(&bench, "www.example.com"), "pending");
    bench.testbed.gandi().set_publication_delay(0, Duration::ZERO);
    for each in ["solve", "finalize", "download"] {
        step(&bench, each, "www.example.com", 0);
    }
    let_time_pass(&bench);
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!((journals(&bench), bench.testbed.gandi().zone("example.com").len()), (0, 0));
}

#[test]
fn and_no_name_of_it_is_passed_over_in_silence() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("silent").unwrap();
    expect(&order_at(&bench, &server, &["example.com"], &[]), 0);
    // Without settings nobody knows which challenge is to be answered.
    std::fs::remove_file(bench.cert("example.com").join("certificate.json")).unwrap();
    let outcome = bench.run(&["challenge", "respond", "example.com"]);
    expect(&outcome, 1);
    says(&outcome, &["no challenge to answer for example.com", "settings", "next:"]);
    assert_eq!(sent(&server.control(), "/challenge"), 0);
}

#[test]
fn and_is_given_up_with_what_it_has_changed() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("given-up").unwrap();
    // Nothing was there before.
    expect(&order_at(&bench, &server, &["example.com", "*.example.com"], &[]), 0);
    let removed = step(&bench, "remove", "example.com", 0);
    assert_eq!((&removed["result"], &removed["settings"]), (&json!("removed"), &json!("forgotten")));
    assert_eq!(removed["deactivated_authorizations"], 2);
    let authorizations = server.control().authorizations();
    assert!(authorizations.iter().all(|one| one.status == Status::Deactivated));
    assert!(!bench.cert("example.com").exists());
    expect(&bench.run(&["order", "remove", "example.com"]), 2);

    // A certificate in place stays, and is renewed with its own names.
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    let before = read(&bench.cert("example.com").join("certificate.json"));
    let names = ["example.com", "www.example.com"];
    expect(&order_at(&bench, &server, &names, &[]), 0);
    assert_eq!(step(&bench, "remove", "example.com", 0)["settings"], "restored");
    assert_eq!(read(&bench.cert("example.com").join("certificate.json")), before);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(server.control().certificates()[1].identifiers.len(), 1);

    // Also one whose settings are gone.
    expect(&order_at(&bench, &server, &names, &[]), 0);
    std::fs::remove_file(bench.cert("example.com").join("certificate.json")).unwrap();
    assert_eq!(step(&bench, "remove", "example.com", 0)["settings"], "kept");
    assert!(bench.cert("example.com").join("current/privkey.pem").exists());
    std::fs::write(bench.cert("example.com").join("certificate.json"), before).unwrap();

    // With the certificate goes its order.
    expect(&order_at(&bench, &server, &names, &[]), 0);
    expect(&bench.run(&["remove", "example.com", "--force"]), 0);
    assert_eq!(server.control().orders().last().unwrap().status, Status::Invalid);
    assert_eq!(document(&bench.run(&["order", "list", "--json"]))["orders"], json!([]));
}

#[test]
fn for_a_key_of_its_owner() {
    let bench = Bench::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
    let request = request.serialize_request(&key).unwrap().pem().unwrap();
    let file = bench.testbed.folder().join("request.pem");
    std::fs::write(&file, request).unwrap();
    let words = bench.words(&[], &["--csr", file.to_str().unwrap()]);
    expect(&new(&bench, words), 0);
    std::fs::remove_file(&file).unwrap();
    for each in ["solve", "finalize", "download"] {
        step(&bench, each, "example.com", 0);
    }
    let current = bench.cert("example.com").join("current");
    assert!(current.join("cert.pem").exists() && !current.join("privkey.pem").exists());
    let rehearsed = order(&bench, &["www.example.com"], &["--dry-run"]);
    expect(&rehearsed, 2);
    says(&rehearsed, &["an order is no rehearsal"]);
}

#[test]
fn and_outlives_a_change_of_files() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("files").unwrap();
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    expect(&order_at(&bench, &server, &["example.com"], &["--force"]), 0);
    expect(&bench.run(&["set", "example.com", "--format", "der"]), 0);
    for each in ["solve", "finalize"] {
        step(&bench, each, "example.com", 0);
    }
    let downloaded = step(&bench, "download", "example.com", 0);
    let current = std::fs::read_link(bench.cert("example.com").join("current")).unwrap();
    let number = downloaded["certificate"]["generation"].as_u64().unwrap();
    assert_eq!(current.to_str().unwrap(), format!("generations/{number}"));
    assert!(number > 3 && bench.cert("example.com").join("current/cert.der").exists(), "{number}");
    assert_eq!(server.control().certificates().len(), 2);
    assert_eq!(sent(&server.control(), "/order"), 2);
}

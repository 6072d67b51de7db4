use std::path::Path;

use serde_json::Value;
use testbed::ca::{Control, RequestRecord};
use testbed::{AcmeSim, Outcome};

use super::{Bench, document, expect, read, says};

fn account(bench: &Bench, words: &[&str]) -> Outcome {
    bench.run(&[&["account"], words].concat())
}

fn made(bench: &Bench, server: &AcmeSim, words: &[&str]) -> Value {
    let more = ["new", "--server", &server.directory(), "--accept-tos", "--json"];
    let outcome = account(bench, &[&more, words].concat());
    expect(&outcome, 0);
    document(&outcome)
}

fn record(bench: &Bench, cert: &str) -> Value {
    serde_json::from_str(&read(&bench.cert(cert).join("certificate.json"))).unwrap()
}

fn last_order(control: &Control) -> RequestRecord {
    control.requests().into_iter().rev().find(|one| one.path.ends_with("/order")).unwrap()
}

/// Who made the last order.
fn last_orderer(control: &Control) -> String {
    last_order(control).kid.unwrap()
}

#[test]
fn an_order_that_goes_step_by_step_stays_with_its_own() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("steps").unwrap();
    let control = server.control();
    expect(&bench.issue_at(&server, &["one.example.com"], &[]), 0);
    let first = control.accounts()[0].url.clone();
    made(&bench, &server, &["--name", "second"]);
    let order = |name: &str, more: &[&str]| {
        let words = bench.words_at(&server, &[name], more);
        let words = ["order", "new"].map(str::to_owned).into_iter().chain(words.into_iter().skip(1));
        expect(&bench.livecert.run(words).unwrap(), 0);
    };
    order("two.example.com", &["--account", "second"]);
    let second = last_orderer(&control);
    order("three.example.com", &[]);
    assert_eq!(last_orderer(&control), first);
    expect(&account(&bench, &["use", "second"]), 0);
    let orders = control.orders().len();
    for (cert, own) in [("two.example.com", &second), ("three.example.com", &first)] {
        expect(&bench.run(&["order", "solve", cert]), 0);
        expect(&bench.run(&["renew", cert]), 0);
        assert_eq!(record(&bench, cert)["account"], own.as_str(), "{cert}");
    }
    assert_eq!(control.orders().len(), orders);
}

#[test]
fn each_certificate_is_renewed_with_its_own() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("several").unwrap();
    let control = server.control();
    expect(&bench.issue_at(&server, &["one.example.com"], &[]), 0);
    let first = control.accounts()[0].url.clone();
    // The same words again make no second one.
    let again = account(&bench, &["new", "--server", &server.directory(), "--accept-tos"]);
    expect(&again, 2);
    says(&again, &["--name NAME"]);
    let second = made(&bench, &server, &["--name", "second", "--account-key-type", "ec-384"]);
    assert_eq!((second["id"].as_str(), second["in_use"].as_bool()), (Some("second"), Some(false)));
    let second = second["url"].as_str().unwrap().to_owned();
    assert_ne!(first, second);

    expect(&bench.issue_at(&server, &["two.example.com"], &["--account", "second"]), 0);
    assert_eq!(last_orderer(&control), second);
    assert_eq!(record(&bench, "two.example.com")["account"], second.as_str());

    // Whichever is in use: the CA sees renewals by those that had the certificates before, and is told what is replaced.
    expect(&account(&bench, &["use", "second"]), 0);
    for (cert, own) in [("one.example.com", &first), ("two.example.com", &second)] {
        control.clear_requests();
        expect(&bench.run(&["renew", cert, "--force"]), 0);
        assert_eq!(last_orderer(&control), *own, "{cert}");
        assert!(last_order(&control).payload["replaces"].is_string(), "{cert}");
    }
    expect(&bench.issue_at(&server, &["three.example.com"], &[]), 0);
    assert_eq!(last_orderer(&control), second, "a new one is asked for with the one in use");
    // The one that ordered it may revoke it.
    expect(&bench.run(&["revoke", "one.example.com"]), 0);

    // A name may change, and the certificate may change its account.
    expect(&account(&bench, &["update", "--account", "second", "--name", "work"]), 0);
    expect(&bench.run(&["set", "one.example.com", "--account", "work"]), 0);
    expect(&bench.run(&["renew", "one.example.com", "--force"]), 0);
    assert_eq!(last_orderer(&control), second);
    let id = first.rsplit('/').next().unwrap();
    let other = bench.issue_at(&server, &["two.example.com"], &["--account", id, "--json"]);
    expect(&other, 0);
    assert_eq!(document(&other)["result"], "new", "another account is another certificate");
    assert_eq!(last_orderer(&control), first);
    let unknown = bench.issue_at(&server, &["two.example.com"], &["--account", "nobody"]);
    expect(&unknown, 2);
    says(&unknown, &["no account 'nobody'", "work"]);
}

#[test]
fn an_id_may_begin_with_a_hyphen() {
    let bench = Bench::new();
    let id = "-Zk3hQ_b2";
    for words in [&["account", "show", "--account", id][..], &["account", "use", id]] {
        let outcome = bench.run(words);
        expect(&outcome, 2);
        says(&outcome, &[&format!("'{id}'"), "account"]);
        assert!(!outcome.stderr.contains("Usage"), "{}", outcome.stderr);
    }
    // A value that is missing is told all the same.
    for words in [&["account", "show", "--account", "--json"][..], &["account", "use", "--json"]] {
        let outcome = bench.run(words);
        expect(&outcome, 2);
        assert!(document(&outcome)["error"]["message"].as_str().unwrap().contains("<ACCOUNT>"), "{words:?}");
    }
}

#[test]
fn they_are_listed_chosen_and_forgotten() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("listed").unwrap();
    let control = server.control();
    let weak = made(&bench, &server, &["--contact", "a@example.com"]);
    made(&bench, &server, &["--name", "strong", "--account-key-type", "ec-384", "--use"]);
    let ids = |words: &[&str]| -> Vec<String> {
        let outcome = account(&bench, &[&["list", "--json"], words].concat());
        expect(&outcome, 0);
        let list = document(&outcome);
        list["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = ids(&[]);
    assert_eq!(all.len(), 2);
    assert_eq!(ids(&["--key-type", "ec-384"]), ["strong"]);
    assert_eq!(ids(&["--contact", "a@example.com"]), [all[0].clone()]);
    assert_eq!(ids(&["--server", "LE_PROD"]), Vec::<String>::new());
    assert_eq!(ids(&["--status", "valid"]), all);
    assert!(control.deactivate_account(weak["url"].as_str().unwrap()));
    assert_eq!(ids(&["--status", "valid"]), ["strong"]);
    let shown = account(&bench, &["list", "--refresh"]);
    says(&shown, &["deactivated", "strong", "ec-384"]);

    expect(&bench.issue_at(&server, &["kept.example.com"], &[]), 0);
    let used = account(&bench, &["remove", "strong"]);
    expect(&used, 2);
    says(&used, &["kept.example.com", "livecert set CERT --account"]);
    // Nobody is there to be asked.
    expect(&account(&bench, &["remove", &all[0]]), 2);
    expect(&account(&bench, &["remove", &all[0], "--force"]), 0);
    assert_eq!(ids(&[]), ["strong"]);
    let exported = account(&bench, &["export", "--account", "strong"]);
    expect(&exported, 0);
    let key = bench.testbed.secret_file("strong.pem", &exported.stdout).unwrap();
    let removed = account(&bench, &["remove", "strong", "--force", "--deactivate", "--json"]);
    expect(&removed, 0);
    assert_eq!(document(&removed)["status"], "deactivated");
    assert_eq!(ids(&[]), Vec::<String>::new());
    let found =
        ["new", "--server", &server.directory(), "--only-existing", "--key-file", key.to_str().unwrap()];
    expect(&account(&bench, &found), 1);
    // The certificate is still there, and its next renewal has to have an account.
    expect(&bench.run(&["renew", "kept.example.com", "--force"]), 1);
    expect(&bench.issue_at(&server, &["kept.example.com"], &["--force"]), 0);
}

#[test]
fn one_that_was_being_replaced_when_livecert_was_killed_is_finished() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("replaced").unwrap();
    let control = server.control();
    expect(&bench.issue_at(&server, &["one.example.com"], &[]), 0);
    let first = control.accounts()[0].url.clone();
    made(&bench, &server, &["--name", "second", "--use"]);
    // Killed between the new key and the server's answer; which is the old account, because the server knows it again.
    let folders = std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap();
    let path = folders.map(|entry| entry.unwrap().path().join("1/account.json")).next().unwrap();
    let mut waiting: Value = serde_json::from_str(&read(&path)).unwrap();
    waiting["url"] = Value::Null;
    waiting["former"] = serde_json::json!([first]);
    std::fs::write(&path, waiting.to_string()).unwrap();

    for _ in 0..2 {
        expect(&bench.run(&["renew", "one.example.com", "--force"]), 0);
        assert_eq!(last_orderer(&control), first);
    }
    assert_eq!(control.accounts().len(), 2);
    let stored: Value = serde_json::from_str(&read(&path)).unwrap();
    assert_eq!(stored["url"], first.as_str());
}

#[test]
fn one_of_an_older_livecert_is_where_the_first_of_several_is() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("older").unwrap();
    expect(&bench.issue_at(&server, &["old.example.com"], &[]), 0);
    let folders = std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap();
    let folder = folders.map(|entry| entry.unwrap().path()).next().unwrap();
    // As version 2 had it: one file in the server's own folder, and nothing about it in the certificate's.
    let mut old: Value = serde_json::from_str(&read(&folder.join("1/account.json"))).unwrap();
    old["version"] = 2.into();
    old.as_object_mut().unwrap().remove("key_type");
    std::fs::write(folder.join("account.json"), old.to_string()).unwrap();
    std::fs::remove_dir_all(folder.join("1")).unwrap();
    forget_account(&bench.cert("old.example.com").join("certificate.json"));

    let listed = document(&account(&bench, &["list", "--json"]));
    assert_eq!(listed["accounts"][0]["key_type"], "ec-256", "{listed}");
    assert_eq!(listed["accounts"][0]["certificates"], serde_json::json!(["old.example.com"]));
    let second = made(&bench, &server, &["--name", "new", "--use"]);
    expect(&bench.run(&["renew", "--force"]), 0);
    let control = server.control();
    assert_eq!(control.accounts().len(), 2);
    assert_ne!(last_orderer(&control), second["url"].as_str().unwrap(), "it keeps the one that ordered it");
    assert!(!folder.join("account.json").exists() && folder.join("1/account.json").exists());
}

fn forget_account(path: &Path) {
    let mut record: Value = serde_json::from_str(&read(path)).unwrap();
    record.as_object_mut().unwrap().remove("account");
    std::fs::write(path, record.to_string()).unwrap();
}

#[test]
fn a_standing_record_names_the_account_of_the_certificate() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("standing").unwrap();
    expect(&bench.issue_at(&server, &["one.example.com"], &[]), 0);
    let second = made(&bench, &server, &["--name", "second"]);
    expect(&bench.issue_at(&server, &["two.example.com"], &["--account", "second"]), 0);
    let publish = |names: &[&str], more: &[&str]| {
        let mut words = vec!["persist".to_owned(), "publish".into()];
        words.extend(names.iter().chain(more).map(|&word| word.to_owned()));
        words.extend(["--server".into(), server.directory(), "--json".into()]);
        words.extend(["--plugin-arg".into(), format!("GandiPAT=file:{}", bench.token.display())]);
        words.extend(bench.testbed.dns_words());
        bench.livecert.run(words).unwrap()
    };
    let two = publish(&["two.example.com"], &[]);
    expect(&two, 0);
    let value = document(&two)["records"][0]["value"].as_str().unwrap().to_owned();
    assert!(value.contains(second["url"].as_str().unwrap()), "{value}");
    let both = publish(&["one.example.com", "two.example.com"], &[]);
    expect(&both, 2);
    says(&both, &["different accounts", "--account"]);
    expect(&publish(&["one.example.com", "two.example.com"], &["--account", "second"]), 0);
}

use std::path::Path;

use testbed::{AcmeSim, Livecert};

use super::{Bench, expect, says};

/// The customer's key, as CAs show it.
const KEY: &str = "bGl2ZWNlcnQgdGVzdHMgdXNlIHRoaXMga2V5IGFuZCBubyBvdGhlcg";
const OTHER_KEY: &str = "bm90IHRoZSBrZXkgdGhhdCB0aGUgc2VydmVyIGtub3dzIG9mIHVz";

fn known_customer(bench: &Bench) -> AcmeSim {
    let server = bench.testbed.acme_sim("customers").unwrap();
    server.control().change(|behaviour| behaviour.external_account_required = true);
    server.control().set_external_account("customer-7", Some(KEY));
    server
}

/// Words for the binding, with the key in a file.
fn binding(bench: &Bench, key: &str) -> [String; 4] {
    let file = bench.testbed.secret_file("eab.key", key).unwrap();
    let source = format!("file:{}", file.display());
    ["--eab-kid".to_owned(), "customer-7".to_owned(), "--eab-hmac-key".to_owned(), source]
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(files(&entry)),
            _ => found.push(std::fs::read(&entry).unwrap_or_default()),
        }
    }
    found
}

#[track_caller]
fn is_nowhere(home: &Path) {
    let decoded = b"livecert tests use this key";
    for file in files(home) {
        assert!(!file.windows(KEY.len()).any(|window| window == KEY.as_bytes()));
        assert!(!file.windows(decoded.len()).any(|window| window == decoded));
    }
}

#[test]
fn and_is_then_nowhere() {
    let bench = Bench::new();
    let server = known_customer(&bench);
    let mut words = bench.words_at(&server, &["example.com"], &["-vv"]);
    words.extend(binding(&bench, KEY));
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 0);
    assert!(!outcome.stderr.contains(KEY) && !outcome.stdout.contains(KEY));
    is_nowhere(&bench.testbed.home());
    let control = server.control();
    assert_eq!(control.accounts()[0].external_account.as_deref(), Some("customer-7"));
    // It is not needed again, and the server takes it no more.
    control.set_external_account("customer-7", None);
    expect(&bench.run(&["renew", "--force"]), 0);
    expect(&bench.issue_at(&server, &["www.example.com"], &[]), 0);
    assert_eq!(control.accounts().len(), 1);
}

#[test]
fn with_each_algorithm() {
    let bench = Bench::new();
    let server = known_customer(&bench);
    for algorithm in ["HS256", "HS384", "HS512"] {
        let home = bench.testbed.folder().join(algorithm);
        let livecert: Livecert = bench.livecert.clone().at(&home);
        let mut words =
            ["account", "new", "--accept-tos", "--eab-alg", algorithm].map(str::to_owned).to_vec();
        words.extend(["--server".to_owned(), server.directory()]);
        words.extend(binding(&bench, KEY));
        let outcome = livecert.run(words).unwrap();
        expect(&outcome, 0);
        is_nowhere(&home);
    }
    assert_eq!(server.control().accounts().len(), 3);
}

#[test]
fn or_it_is_said_what_is_missing_or_wrong() {
    let bench = Bench::new();
    let server = known_customer(&bench);
    let outcome = bench.issue_at(&server, &["example.com"], &[]);
    expect(&outcome, 2);
    says(
        &outcome,
        &["only with an external account binding", "next: give --eab-kid ID and --eab-hmac-key SOURCE"],
    );

    let issue = |key: &str| {
        let mut words = bench.words_at(&server, &["example.com"], &[]);
        words.extend(binding(&bench, key));
        bench.livecert.run(words).unwrap()
    };
    let outcome = issue(OTHER_KEY);
    expect(&outcome, 1);
    says(&outcome, &["making the account failed", "next: see that --eab-kid and --eab-hmac-key"]);
    let outcome = issue("this is no key!");
    expect(&outcome, 2);
    says(&outcome, &["the external account binding", "next: give the HMAC key as the CA shows it"]);
    // The key of the account is there by now, and the server has to be told all the same whose it is.
    let outcome = bench.issue_at(&server, &["example.com"], &[]);
    expect(&outcome, 2);
    says(&outcome, &["next: give --eab-kid"]);
    expect(&issue(KEY), 0);
}

use testbed::ca::Control;
use testbed::{AcmeSim, Outcome};

use super::{Bench, document, expect, says};

const NAME: &str = "_validation-persist";
/// Somebody else's record, for another CA.
const NEIGHBOUR: &str = "other-ca.example; accounturi=https://other-ca.example/acct/1";

fn server(bench: &Bench) -> (AcmeSim, Control) {
    let server = bench.testbed.acme_sim("standing").unwrap();
    bench.testbed.gandi().add_value("example.com", NAME, NEIGHBOUR, 600);
    let control = server.control();
    (server, control)
}

/// A host with a token: it writes the records.
fn persist(bench: &Bench, server: &AcmeSim, words: &[&str]) -> Outcome {
    let mut all: Vec<String> = [&["persist"], words].concat().iter().map(|&word| word.to_owned()).collect();
    all.extend(["--server".to_owned(), server.directory()]);
    all.extend(bench.testbed.dns_words());
    all.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", bench.token.display())]);
    bench.livecert.run(all).unwrap()
}

fn publish(bench: &Bench, server: &AcmeSim, words: &[&str]) -> Outcome {
    persist(bench, server, &[&["publish", "--accept-tos"], words].concat())
}

/// A host without: there is no token in its words or its environment.
fn without_token(bench: &Bench, server: &AcmeSim, words: &[&str]) -> Outcome {
    let mut all: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    all.extend(["--server".to_owned(), server.directory()]);
    all.extend(["--challenge".to_owned(), "dns-persist-01".to_owned()]);
    for address in bench.testbed.simulator().dns_addrs() {
        all.extend(["--authoritative".to_owned(), address.to_string()]);
    }
    bench.livecert.run(all).unwrap()
}

fn standing(bench: &Bench) -> Vec<String> {
    let mut values = bench.txt(NAME).map(|(_, values)| values).unwrap_or_default();
    values.retain(|value| !value.contains(NEIGHBOUR));
    values
}

fn neighbour_stands(bench: &Bench) -> bool {
    bench.txt(NAME).is_some_and(|(_, values)| values.iter().any(|value| value.contains(NEIGHBOUR)))
}

/// A day so many days from now, as the words take it.
fn day(days: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    at.to_string()[..10].to_owned()
}

#[test]
fn from_its_publication_to_its_end() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let missing = without_token(&bench, &server, &["issue", "example.com", "--accept-tos"]);
    expect(&missing, 1);
    says(
        &missing,
        &["no TXT record at _validation-persist.example.com", "next: write it once", "persist publish"],
    );

    let published = publish(&bench, &server, &["example.com"]);
    expect(&published, 0);
    let account = control.accounts()[0].url.clone();
    let value = format!("acme-sim.example; accounturi={account}");
    says(&published, &["Published: _validation-persist.example.com. TXT", &value]);
    assert_eq!(standing(&bench).len(), 1);
    says(&publish(&bench, &server, &["example.com"]), &["Stands already"]);

    let mut show = vec!["persist", "show", "example.com", "--json"];
    let addresses: Vec<_> = bench.testbed.simulator().dns_addrs().iter().map(ToString::to_string).collect();
    addresses.iter().for_each(|address| show.extend(["--authoritative", address]));
    let shown = document(&bench.run(&show));
    let records = shown["names"][0]["records"].as_array().unwrap();
    assert_eq!(records.len(), 2, "{shown}");
    assert!(records.iter().any(|record| record["account"] == *account && record["wildcard"] == false));

    // The host that issues and renews has no token.
    bench.testbed.gandi().clear_requests();
    expect(&without_token(&bench, &server, &["check", "example.com"]), 0);
    expect(&without_token(&bench, &server, &["issue", "example.com"]), 0);
    let renewed = bench.run(&["renew", "--force"]);
    expect(&renewed, 0);
    assert!(!renewed.stderr.contains("warning"), "{}", renewed.stderr);
    assert_eq!(bench.testbed.gandi().requests().len(), 0);
    assert_eq!(control.certificates().len(), 2);
    assert_eq!(super::a_killed_run_is_swept::journals(&bench), 0);

    // Written anew, it takes the place of the old one, and of nothing else.
    let replaced = publish(&bench, &server, &["example.com", "--until", &day(400)]);
    expect(&replaced, 0);
    says(&replaced, &["persistUntil=", "in the place of", &value]);
    assert!(standing(&bench).len() == 1 && standing(&bench)[0].contains("persistUntil="));
    assert!(neighbour_stands(&bench));
    let renewed = bench.run(&["renew", "--force"]);
    expect(&renewed, 0);
    assert!(!renewed.stderr.contains("warning"), "{}", renewed.stderr);

    let gone = persist(&bench, &server, &["unpublish", "example.com"]);
    expect(&gone, 0);
    says(&gone, &["Removed: _validation-persist.example.com."]);
    assert_eq!(standing(&bench), [""; 0]);
    assert!(neighbour_stands(&bench));
    says(&persist(&bench, &server, &["unpublish", "example.com"]), &["Nothing of this account stands"]);
    expect(&bench.run(&["renew", "--force"]), 1);
}

#[test]
fn and_its_end_is_told_before_it_comes() {
    let bench = Bench::new();
    let (server, _) = server(&bench);
    expect(&publish(&bench, &server, &["example.com", "--until", &day(5)]), 0);
    let warning = ["standing record at _validation-persist.example.com", "ends in 5 days", "persist publish"];
    let issued = without_token(&bench, &server, &["issue", "example.com"]);
    expect(&issued, 0);
    says(&issued, &warning);
    for words in [&["renew"][..], &["renew", "--force"]] {
        let renewed = bench.run(words);
        expect(&renewed, 0);
        says(&renewed, &warning);
    }
    let checked = without_token(&bench, &server, &["check", "example.com"]);
    expect(&checked, 4);
    says(&checked, &["SOON", "_validation-persist.example.com: ends at", "next: write it anew"]);
    let past = publish(&bench, &server, &["example.com", "--until", "2026-01-01"]);
    expect(&past, 2);
    says(&past, &["--until is in the past"]);
}

#[test]
fn for_wildcards_where_it_says_so() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    expect(&publish(&bench, &server, &["example.com"]), 0);
    let refused = without_token(&bench, &server, &["issue", "example.com", "*.example.com"]);
    expect(&refused, 1);
    says(&refused, &["no TXT record at _validation-persist.example.com", "policy=wildcard"]);
    let published = publish(&bench, &server, &["*.example.com"]);
    expect(&published, 0);
    says(&published, &["policy=wildcard", "in the place of"]);
    expect(&without_token(&bench, &server, &["issue", "example.com", "*.example.com"]), 0);

    // A CA that looks as soon as there is an order.
    control.change(|behaviour| behaviour.persist_just_in_time = true);
    let ready = without_token(&bench, &server, &["issue", "example.com", "*.example.com", "--force"]);
    expect(&ready, 0);
    says(&ready, &["already proved"]);
}

#[test]
fn and_names_an_account_that_lives() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    expect(&publish(&bench, &server, &["example.com"]), 0);
    control.forget_accounts();
    expect(&publish(&bench, &server, &["example.com"]), 0);
    let account = control.accounts()[0].url.clone();
    assert!(standing(&bench).iter().any(|value| value.contains(&account)), "{:?}", standing(&bench));
    expect(&without_token(&bench, &server, &["issue", "example.com", "--accept-tos"]), 0);
    assert!(neighbour_stands(&bench));
}

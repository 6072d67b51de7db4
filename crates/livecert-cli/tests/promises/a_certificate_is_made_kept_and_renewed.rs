use x509_parser::prelude::*;

use super::{Bench, document, expect, read};

#[test]
fn apex_and_wildcard_from_nothing_to_files() {
    let bench = Bench::new();
    expect(&bench.issue(&["Example.com.", "*.example.com", "example.com"], &[]), 0);

    let current = bench.cert("example.com").join("current");
    let (leaf, chain) = (read(&current.join("cert.pem")), read(&current.join("chain.pem")));
    assert_eq!(read(&current.join("fullchain.pem")), format!("{leaf}{chain}"));
    assert!(read(&current.join("privkey.pem")).starts_with("-----BEGIN PRIVATE KEY-----"));
    let (_, pem) = parse_x509_pem(leaf.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let mut names: Vec<_> = names.value.general_names.iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["DNSName(*.example.com)", "DNSName(example.com)"]);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn a_second_issue_does_nothing_and_force_makes_a_generation() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let requests = bench.testbed.pebble().requests().len();

    let again = bench.issue(&["www.example.com"], &[]);
    expect(&again, 0);
    assert!(again.stdout.contains("Nothing to do"), "{}", again.stdout);
    assert_eq!(bench.testbed.pebble().requests().len(), requests);

    let forced = bench.issue(&["www.example.com"], &["--force", "--json"]);
    expect(&forced, 0);
    let forced = document(&forced);
    assert_eq!((&forced["result"], &forced["certificate"]["generation"]), (&"new".into(), &2.into()));
    let current = std::fs::read_link(bench.cert("www.example.com").join("current")).unwrap();
    assert_eq!(current.to_str(), Some("generations/2"));
    assert!(bench.cert("www.example.com").join("generations/1/cert.pem").exists());
}

#[test]
fn other_names_are_another_certificate_in_the_same_place() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    let more = bench.issue(&["example.com", "www.example.com"], &["--json"]);
    expect(&more, 0);
    assert_eq!(document(&more)["names"], serde_json::json!(["example.com", "www.example.com"]));
    let list = document(&bench.run(&["list", "--json"]));
    assert_eq!(list["certificates"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_renewal_needs_no_argument_again() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    expect(&bench.issue(&["mail.example.com"], &["--cert-name", "mail", "--key-type", "rsa-2048"]), 0);

    let none = bench.run(&["renew"]);
    expect(&none, 0);
    assert_eq!(none.stdout.matches("not due  renewal").count(), 2, "{}", none.stdout);

    let forced = bench.run(&["renew", "mail", "--force", "--json"]);
    expect(&forced, 0);
    let forced = document(&forced);
    assert_eq!(forced["certificates"][0]["result"], "renewed");
    let shown = document(&bench.run(&["show", "mail", "--json"]));
    assert_eq!((&shown["generation"], &shown["key_type"]), (&2.into(), &"rsa-2048".into()));
}

#[test]
fn one_failure_does_not_stop_the_other_renewals() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    expect(&bench.issue(&["mail.example.net"], &[]), 0);
    std::fs::write(bench.cert("mail.example.net").join("certificate.json"), "{\"version\": 1, \"na").unwrap();

    let renewed = bench.run(&["renew", "--force", "--json"]);
    expect(&renewed, 3);
    let renewed = document(&renewed);
    assert_eq!(renewed["certificates"][0]["error"]["kind"], "state-damaged");
    assert_eq!(renewed["certificates"][1]["result"], "renewed");

    let list = bench.run(&["list"]);
    expect(&list, 3);
    assert!(list.stdout.contains("www.example.com"), "{}", list.stdout);
    assert!(list.stderr.contains("mail.example.net/certificate.json is damaged"), "{}", list.stderr);
}

#[test]
fn the_key_stays_when_that_is_asked_for() {
    let bench = Bench::new();
    let key = |bench: &Bench| read(&bench.cert("www.example.com").join("current/privkey.pem"));
    expect(&bench.issue(&["www.example.com"], &["--reuse-key"]), 0);
    let first = key(&bench);
    expect(&bench.run(&["renew", "www.example.com", "--force"]), 0);
    assert_eq!(key(&bench), first);
    expect(&bench.issue(&["www.example.com"], &["--force", "--always-new-key"]), 0);
    assert_ne!(key(&bench), first);
}

#[test]
fn what_is_there_is_shown() {
    let bench = Bench::new();
    let empty = bench.run(&["list"]);
    expect(&empty, 0);
    assert!(empty.stdout.contains("no certificates yet"));
    assert!(!bench.testbed.home().exists(), "a command that only reads has made the state folder");

    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let files = document(&bench.run(&["files", "www.example.com", "--json"]));
    for file in ["privkey", "cert", "chain", "fullchain"] {
        let path = files[file].as_str().unwrap();
        assert!(std::path::Path::new(path).exists(), "{path}");
        assert!(bench.run(&["files", "www.example.com"]).stdout.contains(path));
    }
    let show = bench.run(&["show", "www.example.com"]);
    assert!(show.stdout.contains("GandiPAT = file:"), "{}", show.stdout);
    let missing = bench.run(&["show", "ww.example.com"]);
    expect(&missing, 2);
    assert!(missing.stderr.contains("did you mean www.example.com?"), "{}", missing.stderr);
}

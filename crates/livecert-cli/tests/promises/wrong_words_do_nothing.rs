use testbed::PAT;

use super::{Bench, document, expect, says};

/// Words that are wrong, and a part of what is said about them.
const WRONG: [(&[&str], &str); 15] = [
    (&["issue"], "no name"),
    (&["issue", "*.*.example.com"], "whole first label"),
    (&["issue", "foo..com"], "empty label"),
    (&["issue", "192.0.2.1"], "cannot be proved with dns-01"),
    (&["issue", "https://example.com"], "without scheme"),
    (&["issue", "example.com", "--plugin", "gandy"], "did you mean gandi?"),
    (
        &["issue", "example.com", "--plugin", "gandi", "--plugin-arg", "GandiPTA=env:X"],
        "did you mean GandiPAT?",
    ),
    (
        &["issue", "example.com", "--plugin", "gandi", "--plugin-arg", "GandiPAT=keyring:a/b"],
        "cannot be read from the keyring",
    ),
    (&["issue", "example.com", "--plugin-arg", "GandiPAT=env:X"], "--plugin gandi"),
    (&["issue", "example.com", "--server", "LE_PRD"], "did you mean LE_PROD?"),
    (&["issue", "example.com", "--server", "http://localhost/dir"], "https"),
    (&["issue", "example.com", "--key-type", "rsa-1024"], "rsa-1024"),
    (&["issue", "example.com", "--cert-name", "../etc"], "cannot name a certificate"),
    (&["issue", "example.com"], "terminal"),
    (&["renew", "nothing.example"], "no certificate named"),
];

#[test]
fn each_is_explained_with_status_2() {
    let bench = Bench::new();
    for (words, part) in WRONG {
        let outcome = bench.run(words);
        expect(&outcome, 2);
        assert!(outcome.stderr.contains(part), "{words:?}: {}", outcome.stderr);
        let json = bench.livecert.run(words.iter().copied().chain(["--json"])).unwrap();
        expect(&json, 2);
        assert!(document(&json)["error"]["message"].is_string(), "{words:?}");
    }
    let long = format!("{}.example.com", "a".repeat(64));
    let outcome = bench.run(&["issue", &long]);
    expect(&outcome, 2);
    assert!(outcome.stderr.contains("64 octets"), "{}", outcome.stderr);
    assert_eq!(bench.testbed.pebble().requests().len(), 0);
    assert_eq!(bench.testbed.gandi().requests().len(), 0);
}

#[test]
fn two_credentials_or_a_literal_are_refused_and_the_secret_is_not_repeated() {
    let bench = Bench::new();
    let words = |arguments: &[&str]| {
        let mut words = bench.words_without_credential(&["example.com"], &["-vv"]);
        words.extend(
            arguments.iter().flat_map(|argument| ["--plugin-arg".to_owned(), (*argument).to_owned()]),
        );
        words
    };
    let both = bench.livecert.run(words(&["GandiPAT=env:A", "GandiToken=env:B"])).unwrap();
    expect(&both, 2);
    assert!(both.stderr.contains("exactly one credential"), "{}", both.stderr);
    for literal in [format!("GandiPAT={PAT}"), format!("GandiToken={PAT}"), PAT.to_owned()] {
        let outcome = bench.livecert.run(words(&[&literal])).unwrap();
        expect(&outcome, 2);
        assert!(!outcome.stderr.contains(PAT), "{}", outcome.stderr);
    }
    assert_eq!(bench.testbed.pebble().requests().len(), 0);
}

#[test]
fn words_that_nobody_knows_are_a_document_too() {
    let bench = Bench::new();
    let outcome = bench.run(&["issue", "--json", "--no-such-option"]);
    expect(&outcome, 2);
    assert_eq!(document(&outcome)["error"]["kind"], "usage");
    // What is missing, and what would be possible, is a part of the message.
    for (words, part) in
        [(&["show", "--json"][..], "<CERT>"), (&["completions", "bsh", "--json"], "possible values: bash")]
    {
        let message = document(&bench.run(words))["error"]["message"].clone();
        assert!(message.as_str().is_some_and(|message| message.contains(part)), "{message}");
    }
    expect(&bench.run(&["--help"]), 0);
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let bench = Bench::new();
    for words in [&["server", "list"][..], &["server", "list", "--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = bench.livecert.command(words).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be written to standard output"));
    }
}

#[test]
fn a_folder_that_is_not_there_is_not_watched() {
    let bench = Bench::new();
    let nothing = bench.run(&["status", "--json"]);
    expect(&nothing, 2);
    assert_eq!(document(&nothing)["schema"], 1);
    says(&nothing, &["there is no state folder", "--home"]);
}

#[test]
fn a_state_folder_that_is_none_or_of_somebody_else_is_explained() {
    let bench = Bench::new();
    let file = bench.testbed.folder().join("file");
    std::fs::write(&file, "").unwrap();
    for words in [&["list"][..], &["server", "list"], &["show", "www.example.com"]] {
        let outcome = bench.livecert.clone().at(&file).run(words).unwrap();
        expect(&outcome, 1);
        says(&outcome, &["Not a directory", "the state is kept in a folder"]);
    }
    for words in [&["apply"][..], &["config", "check"]] {
        let outcome = bench.run(words);
        expect(&outcome, 2);
        says(&outcome, &["No such file", "--config FILE"]);
    }
}

#[test]
fn a_state_folder_in_which_everybody_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let home = bench.testbed.home();
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = bench.run(&["dns", "sweep"]);
    assert_ne!(refused.status, Some(0));
    says(&refused, &["everybody may write in the state folder", "chmod o-w"]);
}

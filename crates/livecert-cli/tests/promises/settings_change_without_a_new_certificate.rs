use serde_json::Value;

use super::{Bench, document, expect, read, says};

fn record(bench: &Bench) -> Value {
    serde_json::from_str(&read(&bench.cert("www.example.com").join("certificate.json"))).unwrap()
}

#[test]
fn files_are_written_anew_and_the_rest_is_kept_for_the_next_renewal() {
    let bench = Bench::new();
    let password = bench.testbed.secret_file("pfx", "a password").unwrap();
    let password = format!("file:{}", password.display());
    expect(&bench.issue(&["www.example.com"], &["--dns-sleep", "1s"]), 0);
    let asked = bench.testbed.pebble().requests().len();
    let cert = bench.cert("www.example.com");
    let (leaf, key) = (read(&cert.join("current/cert.pem")), read(&cert.join("current/privkey.pem")));
    let set = |words: &[&str]| bench.run(&[&["set", "www.example.com", "--json"], words].concat());

    let files = set(&["--pfx-password", &password, "--format", "bundle", "--group", "4712"]);
    expect(&files, 0);
    let files = document(&files);
    assert_eq!((&files["result"], &files["rewritten"]), (&"changed".into(), &true.into()));
    assert_eq!(files["certificate"]["generation"], 2);
    assert!(
        files["certificate"]["files"]["pfx"].is_string()
            && files["certificate"]["files"]["bundle"].is_string()
    );
    assert_eq!(read(&cert.join("current/cert.pem")), leaf);
    assert_eq!(read(&cert.join("current/privkey.pem")), key);

    // What is no matter of files makes no generation.
    let later = set(&["--validation-timeout", "5m", "--reuse-key", "--plugin-arg", "GandiTTL=600"]);
    expect(&later, 0);
    let later = document(&later);
    assert_eq!((&later["result"], &later["rewritten"]), (&"changed".into(), &false.into()));
    let kept = record(&bench);
    assert_eq!((&kept["validation_timeout"], &kept["reuse_key"]), (&300.into(), &true.into()));
    assert_eq!((&kept["plugin_args"]["GandiTTL"], &kept["propagation"]["sleep"]), (&"600".into(), &1.into()));
    assert!(kept["plugin_args"]["GandiPAT"]["source"].is_string(), "{kept}");
    assert_eq!(kept["output"]["pfx_password"]["source"], password.as_str());
    let again = set(&["--validation-timeout", "5m", "--group", "4712", "--format", "bundle"]);
    expect(&again, 0);
    assert_eq!(document(&again)["result"], "unchanged");

    // A password that is given is written, though its place is the old one.
    let anew = document(&set(&["--pfx-password", &password]));
    assert_eq!((&anew["rewritten"], &anew["certificate"]["generation"]), (&true.into(), &3.into()));
    // Who reads the files is told that there are new ones.
    let told = bench.testbed.folder().join("told");
    let hook = format!("echo $LIVECERT_CERT >> '{}'", told.display());
    expect(&set(&["--deploy-hook", &hook, "--challenge", "dns-01"]), 0);
    assert!(!told.exists() && record(&bench)["challenge"] == "dns-01");
    let none = ["--pfx-password", "", "--format", "", "--group", "", "--challenge", ""];
    let none = document(&set(&none));
    assert_eq!((&none["rewritten"], &none["certificate"]["generation"]), (&true.into(), &4.into()));
    assert_eq!(none["deployment"]["state"], "deployed", "{none}");
    assert_eq!(read(&told), "www.example.com\n");
    assert!(record(&bench)["challenge"].is_null());
    assert!(none["certificate"]["files"]["pfx"].is_null() && record(&bench)["output"].is_null());
    assert_eq!(bench.testbed.pebble().requests().len(), asked);
}

#[test]
fn issue_does_the_same_where_nothing_is_due() {
    let bench = Bench::new();
    let livecert = bench.testbed.livecert(&super::binary()).env("PFX", "a password");
    let issue = |more: &[&str]| {
        let outcome = livecert.run(bench.words(&["www.example.com"], more)).unwrap();
        expect(&outcome, 0);
        document(&outcome)["certificate"]["generation"].clone()
    };
    let words = ["--pfx-password", "env:PFX", "--json"];
    assert_eq!(issue(&["--json"]), 1);
    let asked = bench.testbed.pebble().requests().len();
    assert_eq!(issue(&words), 2);
    let sealed = record(&bench);
    // The same words every night make nothing new.
    assert_eq!(issue(&words), 2);
    assert_eq!(record(&bench), sealed);
    assert_eq!(issue(&["--json"]), 2);
    assert_eq!(issue(&["--json", "--pfx-encryption", "legacy"]), 3);
    assert_eq!(bench.testbed.pebble().requests().len(), asked);
}

#[test]
fn issue_says_that_it_has_changed_the_settings_and_does_so_only_when_they_work() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let before = record(&bench);
    // The next renewal would be the first to notice, with nobody there.
    for words in [&["issue", "www.example.com"][..], &["set", "www.example.com"]] {
        for (plugin, parameter) in [("webroot", "WRPath"), ("exec", "ExecCommand")] {
            let lacking = bench.run(&[words, &["--plugin", plugin]].concat());
            expect(&lacking, 2);
            says(&lacking, &[parameter]);
            assert_eq!(record(&bench), before);
        }
    }
    let slower = bench.issue(&["www.example.com"], &["--dns-sleep", "2s"]);
    expect(&slower, 0);
    says(&slower, &["The settings are changed: the certificate www.example.com is valid"]);
    let again = bench.issue(&["www.example.com"], &["--dns-sleep", "2s"]);
    says(&again, &["Nothing to do: the certificate www.example.com is valid"]);
    for (sleep, changed) in [("3s", true), ("3s", false)] {
        let outcome = bench.issue(&["www.example.com"], &["--dns-sleep", sleep, "--json"]);
        assert_eq!(document(&outcome)["settings_changed"], changed);
    }
}

#[test]
fn what_is_in_the_certificate_is_left_to_issue() {
    let bench = Bench::new();
    let missing = bench.run(&["set", "www.example.com", "--group", "0"]);
    expect(&missing, 2);
    says(&missing, &["no certificate named"]);
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let before = record(&bench);
    for (words, part) in [
        (&["--key-type", "rsa-2048"][..], "--key-type needs another certificate"),
        (&["--profile", "shortlived"], "--profile needs"),
        (&["--subject", "www.example.com"], "--subject needs"),
        (&["--must-staple"], "--must-staple needs"),
        (&["--lifetime-days", "7"], "--lifetime-days needs"),
        (&["mail.example.com"], "a change of names needs"),
        (&["--server", "LE_STAGE"], "another first server needs"),
    ] {
        let refused = bench.run(&[&["set", "www.example.com"], words].concat());
        expect(&refused, 2);
        says(&refused, &[part, "livecert issue"]);
    }
    assert_eq!(record(&bench), before);
    // Servers to fall back to are no matter of the certificate.
    let home = bench.testbed.pebble().directory();
    expect(&bench.run(&["set", "www.example.com", "--server", &home, "--server", "LE_STAGE"]), 0);
    assert!(record(&bench)["fallbacks"][0].as_str().unwrap().contains("staging"));
}

#[test]
fn a_generation_that_is_not_whole_is_not_written_anew() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let cert = bench.cert("www.example.com");
    let (before, key) = (record(&bench), read(&cert.join("current/privkey.pem")));
    std::fs::remove_file(cert.join("current/privkey.pem")).unwrap();
    let refused = bench.run(&["set", "www.example.com", "--group", "4712"]);
    expect(&refused, 1);
    says(&refused, &["generation 1 is not whole: privkey.pem is missing", "livecert renew CERT --force"]);
    assert_eq!((record(&bench), cert.join("generations/2").exists()), (before, false));
    std::fs::write(cert.join("generations/1/privkey.pem"), key).unwrap();
    expect(&bench.run(&["set", "www.example.com", "--group", "4712"]), 0);
}

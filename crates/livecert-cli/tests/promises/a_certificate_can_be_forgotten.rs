use std::io::{BufRead, BufReader};

use super::{Bench, document, expect, says, signal};

const NAME: &str = "www.example.com";

#[test]
fn nobody_is_asked_without_a_terminal_and_nothing_is_done() {
    let bench = Bench::new();
    expect(&bench.issue(&[NAME], &[]), 0);
    let refused = bench.run(&["remove", NAME]);
    expect(&refused, 2);
    says(&refused, &["nobody is there to be asked", "livecert remove www.example.com --force"]);
    assert!(bench.cert(NAME).join("current/cert.pem").exists());
    let missing = bench.run(&["remove", "ww.example.com"]);
    expect(&missing, 2);
    says(&missing, &["did you mean www.example.com?"]);

    let removed = bench.run(&["remove", NAME, "--force", "--json"]);
    expect(&removed, 0);
    let removed = document(&removed);
    assert_eq!((&removed["result"], &removed["revoked"]), (&"removed".into(), &false.into()));
    assert_eq!(std::fs::read_dir(bench.testbed.home().join("certs")).unwrap().count(), 0);
    assert_eq!(document(&bench.run(&["list", "--json"]))["certificates"], serde_json::json!([]));
    expect(&bench.run(&["remove", NAME, "--force"]), 2);
    // The name is free again.
    let anew = document(&bench.issue(&[NAME], &["--json"]));
    assert_eq!(anew["certificate"]["generation"], 1);
}

#[test]
fn it_is_revoked_first_when_that_is_asked_for() {
    let bench = Bench::new();
    expect(&bench.issue(&[NAME], &[]), 0);
    let leaf = bench.testbed.folder().join("leaf.pem");
    std::fs::copy(bench.cert(NAME).join("current/cert.pem"), &leaf).unwrap();
    // A revocation whose answer was lost has happened all the same.
    expect(&bench.run(&["revoke", NAME]), 0);
    let removed = bench.run(&["remove", NAME, "--force", "--revoke"]);
    expect(&removed, 0);
    says(&removed, &["Removed www.example.com, which is revoked."]);

    expect(&bench.issue(&[NAME], &[]), 0);
    std::fs::copy(bench.cert(NAME).join("current/cert.pem"), &leaf).unwrap();
    expect(&bench.run(&["remove", NAME, "--force", "--revoke"]), 0);
    let directory = bench.testbed.pebble().directory();
    let again = bench.run(&["revoke", "--cert-file", leaf.to_str().unwrap(), "--server", &directory]);
    expect(&again, 1);
    says(&again, &["already been revoked"]);
}

#[test]
fn it_stays_when_it_cannot_be_revoked() {
    let mut bench = Bench::new();
    expect(&bench.issue(&[NAME], &[]), 0);
    bench.testbed.pebble_mut().stop();
    expect(&bench.run(&["remove", NAME, "--force", "--revoke"]), 1);
    assert!(bench.cert(NAME).join("current/cert.pem").exists());
}

#[test]
fn what_a_killed_run_left_in_dns_can_be_swept_without_the_certificate() {
    let bench = Bench::new();
    expect(&bench.issue(&[NAME], &[]), 0);
    let forever = ["--force", "--propagation", "sleep", "--dns-sleep", "1h"];
    // One more name, which the CA has not seen proved yet.
    let mut run = bench.livecert.spawn(bench.words(&[NAME, "mail.example.com"], &forever)).unwrap();
    bench.until_something_is_written_at("_acme-challenge.mail", &mut run);
    signal(&run, "KILL");
    run.wait().unwrap();
    let before = std::fs::read_to_string(&bench.token).unwrap();
    // It cannot be removed from DNS now, and is remembered.
    std::fs::write(&bench.token, "f".repeat(40)).unwrap();
    let removed = bench.run(&["remove", NAME, "--force"]);
    expect(&removed, 0);
    says(&removed, &["May still be in DNS: _acme-challenge.mail.example.com", "livecert dns sweep"]);
    assert!(!bench.cert(NAME).exists() && bench.txt("_acme-challenge.mail").is_some());
    std::fs::write(&bench.token, before).unwrap();
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(bench.txt("_acme-challenge.mail"), None);
}

#[test]
fn one_whose_settings_are_damaged_is_asked_about_like_any_other() {
    let bench = Bench::new();
    expect(&bench.issue(&[NAME], &[]), 0);
    std::fs::write(bench.cert(NAME).join("certificate.json"), "{").unwrap();
    let refused = bench.run(&["remove", NAME]);
    expect(&refused, 2);
    says(&refused, &["nobody is there to be asked", "livecert remove www.example.com --force"]);
    expect(&bench.run(&["remove", NAME, "--force"]), 0);
    assert!(!bench.cert(NAME).exists());
}

#[test]
fn one_that_somebody_else_removes_meanwhile_is_not_there() {
    let bench = Bench::new();
    expect(&bench.issue(&[NAME], &[]), 0);
    let lock =
        std::fs::File::options().write(true).open(bench.testbed.home().join("locks/www.example.com.lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    let mut removal = bench.livecert.spawn(["remove", NAME, "--force"]).unwrap();
    let mut lines = BufReader::new(removal.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("waiting:")).unwrap();
    std::fs::remove_dir_all(bench.cert(NAME)).unwrap();
    drop(lock);
    let rest: Vec<String> = lines.collect();
    assert_eq!(removal.wait().unwrap().code(), Some(2), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("no certificate named 'www.example.com'")), "{rest:?}");
}

use std::path::PathBuf;

use testbed::Side;
use testbed::ca::{Finalize, RetryAfter};

use super::{Bench, expect, read, sent};

/// What the one server of the store said last.
fn directory_file(bench: &Bench) -> PathBuf {
    let servers = std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap();
    let files = servers.map(|server| server.unwrap().path().join("directory.json"));
    let [file] = &files.filter(|file| file.exists()).collect::<Vec<_>>()[..] else { panic!("not one file") };
    file.clone()
}

#[test]
fn a_hint_about_the_server_that_is_wrong_is_mended_and_harms_nothing() {
    let bench = Bench::counting();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let file = directory_file(&bench);
    let right = read(&file);
    assert!(right.contains("/nonce-plz\""), "{right}");
    let elsewhere = right.replace("/nonce-plz\"", "/elsewhere\"");
    let nobody = right.replace("https://localhost:", "https://127.0.0.2:");
    let asked = |which: &str| {
        let requests = bench.testbed.pebble().requests();
        requests.iter().filter(|request| request.starts_with("HEAD") && request.ends_with(which)).count()
    };
    for wrong in [elsewhere.as_str(), nobody.as_str(), "{\"version\": 1", "[]", ""] {
        std::fs::write(&file, wrong).unwrap();
        let before = asked("/nonce-plz");
        expect(&bench.issue(&["www.example.com"], &["--force"]), 0);
        assert_eq!(read(&file), right, "{wrong}");
        assert_eq!(asked("/nonce-plz"), before + 1, "{wrong}");
    }
    // With the right one, nothing is asked that would not be asked without.
    let before = bench.testbed.pebble().requests().len();
    expect(&bench.issue(&["www.example.com"], &["--force"]), 0);
    let requests = bench.testbed.pebble().requests().split_off(before);
    for (word, times) in [("GET", 1), ("HEAD", 1)] {
        let found = requests.iter().filter(|request| request.starts_with(word)).count();
        assert_eq!(found, times, "{requests:#?}");
    }
}

#[test]
fn the_certificate_is_there_while_the_proof_is_still_being_removed() {
    let bench = Bench::counting();
    let (gate, directory, api) = bench.testbed.gate().unwrap();
    let mut words = bench.words(&["www.example.com"], &[]);
    for word in &mut words {
        if *word == bench.testbed.pebble().directory() {
            word.clone_from(&directory);
        } else if word.starts_with("GandiApiBaseUrl=") {
            *word = format!("GandiApiBaseUrl={api}");
        }
    }
    gate.hold_at("my-order", Side::After);
    let mut child = bench.livecert.spawn(&words).unwrap();
    assert!(gate.until_held(&mut child).unwrap());
    // The next look at the record is the removal's.
    gate.hold_next("_acme-challenge.www", Side::Before);
    let held = gate.until_held(&mut child).unwrap();
    let current = bench.cert("www.example.com").join("current/fullchain.pem");
    while held && !current.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended without a certificate");
        std::thread::yield_now();
    }
    assert!(held && bench.txt("_acme-challenge.www").is_some());
    gate.open();
    expect(&child.wait_with_output().unwrap().into(), 0);
    assert_eq!(bench.txt("_acme-challenge.www"), None);
}

#[test]
fn an_order_is_not_asked_about_again_before_the_server_wants_it() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("slow").unwrap();
    let control = server.control();
    control.change(|behaviour| {
        behaviour.finalize = Finalize::Processing(1);
        behaviour.retry_after = RetryAfter::Seconds(1);
    });
    expect(&bench.issue_at(&server, &["www.example.com"], &[]), 0);
    let requests = control.requests();
    let finalized = requests.iter().position(|request| request.path.contains("finalize")).unwrap();
    let time = |record: &testbed::ca::RequestRecord| record.time.parse::<jiff::Timestamp>().unwrap();
    let order = requests[finalized].path.trim_end_matches("/finalize");
    let polls: Vec<_> = requests[finalized..].iter().filter(|request| request.path == order).collect();
    let [first, second] = polls[..] else { panic!("{polls:#?}") };
    assert!(time(second).duration_since(time(first)).as_millis() >= 990, "{polls:#?}");

    // Where finalize is answered with the certificate, nobody asks.
    control.change(|behaviour| behaviour.finalize = Finalize::AtOnce);
    let before = control.requests().len();
    expect(&bench.issue_at(&server, &["www.example.com"], &["--force"]), 0);
    let requests = control.requests().split_off(before);
    let finalized = requests.iter().position(|request| request.path.contains("finalize")).unwrap();
    let rest = &requests[finalized + 1..];
    assert!(rest.iter().all(|request| request.path.starts_with("/certificate/")), "{requests:#?}");
    assert_eq!(sent(&control, "/directory"), 2);
}

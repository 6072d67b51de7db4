use std::io::{BufRead, BufReader};
use std::process::Child;

use testbed::Outcome;
use testbed::sim::Rrset;

use super::a_killed_run_is_swept::{journals, let_time_pass};
use super::{Bench, document, expect, says};

/// A bench with an account at Pebble, and the words that name server, plugin and DNS.
fn with_an_account() -> (Bench, Vec<String>) {
    let bench = Bench::new();
    let directory = bench.testbed.pebble().directory();
    expect(&bench.run(&["account", "new", "--server", &directory, "--accept-tos"]), 0);
    let mut words = bench.testbed.dns_words();
    words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", bench.token.display())]);
    words.extend(["--server".to_owned(), directory]);
    (bench, words)
}

fn run(bench: &Bench, first: &[&str], words: &[String]) -> Outcome {
    let first = first.iter().map(|&word| word.to_owned());
    bench.livecert.run(first.chain(words.iter().cloned())).unwrap()
}

#[test]
fn as_a_record_and_taken_away_again() {
    let (bench, words) = with_an_account();
    let directory = bench.testbed.pebble().directory();
    let value = bench.run(&["challenge", "key-auth", "some-token", "--dns", "--server", &directory]);
    let value = value.stdout.trim().to_owned();
    let label = bench.run(&["challenge", "account-label", "--server", &directory]).stdout.trim().to_owned();
    bench.testbed.gandi().add_value("example.com", "_acme-challenge.www", "a neighbour's", 300);
    let before = bench.testbed.gandi().zone("example.com");
    for (more, name) in [
        (vec![], "_acme-challenge.www".to_owned()),
        (vec!["--challenge", "dns-account-01"], format!("{label}.www")),
        (vec!["--dns-alias", "proofs.example.com"], "proofs".to_owned()),
    ] {
        let all = |word: &'static str| {
            [&["challenge", word, "*.www.example.com", "some-token", "--json"], &more[..]].concat()
        };
        let published = run(&bench, &all("publish"), &words);
        expect(&published, 0);
        let shown = document(&published);
        assert_eq!(
            (&shown["at"], &shown["value"]),
            (&format!("{name}.example.com").into(), &value.clone().into())
        );
        assert!(bench.txt(&name).unwrap().1.iter().any(|shown| shown.contains(&value)), "{name}");
        // It is in somebody's care, until that is over.
        expect(&bench.run(&["dns", "sweep"]), 0);
        assert!(bench.txt(&name).unwrap().1.iter().any(|shown| shown.contains(&value)), "{name}");
        expect(&run(&bench, &all("unpublish"), &words), 0);
        expect(&run(&bench, &all("unpublish"), &words), 0);
        assert_eq!(bench.testbed.gandi().zone("example.com"), before, "{name}");
    }
    expect(&run(&bench, &["challenge", "publish", "www.example.com", "t"], &words), 0);
    let_time_pass(&bench);
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
}

#[test]
fn as_a_file_and_swept_when_it_is_forgotten() {
    let (bench, words) = with_an_account();
    let folder = bench.testbed.folder().join("www");
    std::fs::create_dir(&folder).unwrap();
    let path = format!("WRPath={}", folder.display());
    let server = &words[words.len() - 2..];
    let all = |word| {
        ["challenge", word, "www.example.com", "some-token", "--plugin", "webroot", "--plugin-arg", &path]
    };
    let file = folder.join(".well-known/acme-challenge/some-token");
    let published = run(&bench, &all("publish"), server);
    expect(&published, 0);
    says(&published, &["Published: http://www.example.com/.well-known/acme-challenge/some-token"]);
    let content = super::read(&file);
    assert!(content.starts_with("some-token."), "{content}");
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert!(file.exists());
    expect(&run(&bench, &all("unpublish"), server), 0);
    assert!(!file.exists() && journals(&bench) == 0);

    expect(&run(&bench, &all("publish"), server), 0);
    let_time_pass(&bench);
    let swept = bench.run(&["dns", "sweep"]);
    expect(&swept, 0);
    says(&swept, &["Gone: http://www.example.com/.well-known/acme-challenge/some-token"]);
    assert!(!file.exists() && journals(&bench) == 0);
}

#[test]
fn but_not_by_what_cannot_show_it() {
    let (bench, words) = with_an_account();
    let server = &words[words.len() - 2..];
    let publish = ["challenge", "publish", "www.example.com", "t"];
    for (more, said) in [
        (vec!["--plugin", "selfhost"], "livecert challenge listen"),
        (vec!["--plugin", "gandi", "--challenge", "http-01"], "cannot solve http-01"),
        (vec!["--plugin", "gandi", "--challenge", "tls-alpn-01"], "cannot solve tls-alpn-01"),
    ] {
        let outcome = run(&bench, &[&publish[..], &more].concat(), server);
        expect(&outcome, 2);
        says(&outcome, &[said]);
    }
    expect(&run(&bench, &["challenge", "publish", "www.example.com", "no token!"], &words), 2);
}

/// Starts a listener, and waits until it listens.
fn listening(bench: &Bench, words: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = bench.livecert.spawn(["challenge", "listen"].iter().chain(words)).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("listening on") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it has ended: {:?}", child.wait_with_output());
    }
    (child, said)
}

/// Lets the host be this machine.
fn lead_here(bench: &Bench) {
    let here = Rrset { ttl: 300, values: vec!["127.0.0.1".to_owned()] };
    bench.testbed.gandi().set_rrset("example.com", "www", "A", Some(here));
}

/// An order whose file a person shows.
fn order_by_hand(bench: &Bench, more: &[&str]) -> Outcome {
    let directory = bench.testbed.pebble().directory();
    let words = ["order", "new", "www.example.com", "--plugin", "manual", "--challenge", "http-01"];
    bench.run(&[&words[..], &["--server", &directory], more].concat())
}

#[test]
fn a_listener_answers_for_an_order_until_its_names_are_proved() {
    let (bench, _) = with_an_account();
    lead_here(&bench);
    let made = order_by_hand(&bench, &[]);
    expect(&made, 0);
    says(&made, &["http://www.example.com/.well-known/acme-challenge/"]);
    let at = format!("127.0.0.1:{}", bench.testbed.pebble().http_port());
    let (child, _said) = listening(&bench, &["www.example.com", "--listen", &at, "--json"]);
    let responded = bench.run(&["challenge", "respond", "www.example.com", "--json"]);
    expect(&responded, 0);
    assert_eq!(document(&responded)["challenges"][0]["challenge"], "http-01");
    let ended: Outcome = child.wait_with_output().unwrap().into();
    expect(&ended, 0);
    assert_eq!(document(&ended)["result"], "decided");
    let order = document(&bench.run(&["order", "show", "www.example.com", "--json"]));
    assert_eq!(order["order"]["status"], "ready", "{order}");
    expect(&bench.run(&["order", "finalize", "www.example.com"]), 0);
    expect(&bench.run(&["order", "download", "www.example.com"]), 0);
    // There is nothing to be answered any more.
    expect(&bench.run(&["challenge", "respond", "www.example.com"]), 2);
    expect(&bench.run(&["challenge", "listen", "www.example.com", "--listen", &at]), 2);
}

#[test]
fn or_for_every_token_of_an_account_until_it_is_stopped() {
    let (bench, _) = with_an_account();
    lead_here(&bench);
    let directory = bench.testbed.pebble().directory();
    let at = format!("127.0.0.1:{}", bench.testbed.pebble().http_port());
    let (child, _said) = listening(&bench, &["--listen", &at, "--server", &directory]);
    let made = order_by_hand(&bench, &["--json"]);
    expect(&made, 0);
    let url = document(&made)["order"]["authorizations"][0]["challenge_url"].as_str().unwrap().to_owned();
    let responded = bench.run(&["challenge", "respond", &url, "--server", &directory]);
    expect(&responded, 0);
    while document(&bench.run(&["order", "show", "www.example.com", "--json"]))["order"]["status"]
        == "pending"
    {
        std::thread::yield_now();
    }
    super::signal(&child, "INT");
    let ended: Outcome = child.wait_with_output().unwrap().into();
    expect(&ended, 0);
    assert_eq!(ended.stdout, "Stopped.\n");
    expect(&bench.run(&["order", "finalize", "www.example.com"]), 0);
}

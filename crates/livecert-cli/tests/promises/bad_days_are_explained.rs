use super::{Bench, document, expect, read};

fn issue_at(bench: &Bench, server: &str) -> testbed::Outcome {
    let mut words = bench.words(&["example.com"], &["--json"]);
    let at = words.iter().position(|word| word == "--server").unwrap();
    words[at + 1] = server.to_owned();
    bench.livecert.run(words).unwrap()
}

fn kind(outcome: &testbed::Outcome) -> String {
    document(outcome)["error"]["kind"].as_str().unwrap().to_owned()
}

#[test]
fn terms_that_nobody_accepted() {
    let bench = Bench::new();
    let mut words = bench.words(&["example.com"], &[]);
    words.retain(|word| word != "--accept-tos");
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 2);
    assert!(
        outcome.stderr.contains("https://") && outcome.stderr.contains("--accept-tos"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_server_that_is_not_there_not_trusted_or_no_acme_server() {
    let mut bench = Bench::new();
    let directory = bench.testbed.pebble().directory();

    let not_acme = issue_at(&bench, &format!("{}/domains", bench.testbed.simulator().api_base_url()));
    expect(&not_acme, 1);
    assert_eq!(kind(&not_acme), "not-acme");
    let not_acme = issue_at(&bench, &directory.replace("/dir", "/nowhere"));
    assert_eq!(kind(&not_acme), "not-acme");

    let stranger = testbed::sim::pki::TestCa::new("a stranger").unwrap();
    let path = bench.testbed.folder().join("stranger.pem");
    std::fs::write(&path, stranger.pem()).unwrap();
    let trusting = bench.livecert.clone().trusting(&path);
    let untrusted = trusting.run(bench.words(&["example.com"], &["--json"])).unwrap();
    expect(&untrusted, 1);
    assert!(["tls-not-trusted", "gandi-tls"].contains(&kind(&untrusted).as_str()), "{}", untrusted.stdout);
    assert!(document(&untrusted)["error"]["hint"].as_str().unwrap().contains("--ca-bundle"));

    bench.testbed.pebble_mut().stop();
    let gone = issue_at(&bench, &directory);
    expect(&gone, 1);
    assert_eq!(kind(&gone), "server-unreachable");
}

#[test]
fn a_name_in_no_zone_of_the_token() {
    let bench = Bench::new();
    bench.testbed.gandi().set_rrset(
        "example.com",
        "elsewhere",
        "NS",
        Some(testbed::sim::Rrset { ttl: 300, values: vec!["ns.example.org.".into()] }),
    );
    let words = bench.words(&["www.example.edu"], &["--json"]);
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 1);
    assert!(["dns", "gandi-no-zone"].contains(&kind(&outcome).as_str()), "{}", outcome.stdout);
    assert!(!bench.testbed.pebble().requests().iter().any(|request| request.contains("order-plz")));
}

#[test]
fn a_state_folder_that_cannot_be_written() {
    let bench = Bench::new();
    let file = bench.testbed.folder().join("a-file");
    std::fs::write(&file, "").unwrap();
    let outcome = bench.livecert.clone().at(&file).run(bench.words(&["example.com"], &[])).unwrap();
    expect(&outcome, 1);
    assert!(outcome.stderr.contains("a-file"), "{}", outcome.stderr);
    assert_eq!(bench.testbed.pebble().requests().len(), 0);
}

#[test]
fn a_failed_renewal_keeps_the_certificate_and_is_remembered() {
    let mut bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    let current = bench.cert("example.com").join("current");
    let before = read(&current.join("fullchain.pem"));
    bench.testbed.pebble_mut().stop();
    let outcome = bench.run(&["renew", "--force"]);
    expect(&outcome, 1);
    assert!(outcome.stdout.contains("FAILED"), "{}", outcome.stdout);
    // In full once, and in a line of the table.
    for shown in [&outcome.stderr, &outcome.stdout] {
        assert_eq!(shown.matches("reading the directory failed").count(), 1, "{shown}");
    }
    assert_eq!(read(&current.join("fullchain.pem")), before);
    let shown = document(&bench.run(&["show", "example.com", "--json"]));
    assert!(shown["last_error"].as_str().unwrap().contains("cannot connect"), "{shown}");
    assert!(bench.run(&["list"]).stdout.contains("failing"));
}

#[test]
fn a_server_that_forgot_the_account_gets_it_again() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    // The state of one server, brought to another one that has never seen the account.
    let other = Bench::new();
    let folder = |bench: &Bench| {
        let accounts = std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap();
        accounts.map(|entry| entry.unwrap().path()).next().unwrap().join("1/account.json")
    };
    expect(&other.issue(&["example.com"], &[]), 0);
    let path = folder(&other);
    let mut account: serde_json::Value = serde_json::from_str(&read(&path)).unwrap();
    account["url"] = format!("{}nobody", account["url"].as_str().unwrap()).into();
    std::fs::write(&path, account.to_string()).unwrap();
    expect(&other.run(&["renew", "--force"]), 0);
}

#[test]
fn an_api_that_answers_what_no_api_should() {
    use testbed::sim::{Fault, FaultRule};
    let bench = Bench::new();
    let deep = "[".repeat(200_000);
    let bodies = [
        (200, deep.clone(), "gandi-answer"),
        (403, format!("{{\"message\":{deep}"), "gandi-forbidden"),
        (200, "{\"fqdn\":5}".to_owned(), "gandi-answer"),
        (200, "<html>Log in to the hotel's network</html>".to_owned(), "gandi-answer"),
        (401, "\u{1b}[2J<html>".to_owned(), "gandi-unauthorized"),
        (302, String::new(), "gandi-answer"),
        (200, "x".repeat(5 * 1024 * 1024), "gandi-answer"),
    ];
    for (status, body, wanted) in bodies {
        let fault = Fault::Answer { status, body, retry_after: None };
        let path = "/domains/example.com".to_owned();
        bench.testbed.gandi().fail(FaultRule { method: Some("GET".into()), path, after: 0, times: 1, fault });
        let outcome = bench.issue(&["example.com"], &["--json"]);
        expect(&outcome, 1);
        assert_eq!(kind(&outcome), wanted, "{}", outcome.stdout);
        let error = document(&outcome)["error"].clone();
        assert!(error["hint"].is_string(), "{error}");
        assert!(error.to_string().len() < 2000 && !error.to_string().contains('\u{1b}'), "{error}");
        assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    }
    assert!(!bench.testbed.pebble().requests().iter().any(|request| request.contains("order-plz")));
}

#[test]
fn a_machine_without_a_network() {
    let bench = Bench::new();
    let mut words = bench.words(&["example.com"], &["--json"]);
    let at = words.iter().position(|word| word == "--authoritative").unwrap();
    // Nobody listens there.
    words[at + 1] = "127.0.0.1:1".to_owned();
    words.extend(["--resolver".to_owned(), "https://127.0.0.1:1/dns-query".to_owned()]);
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 1);
    assert_eq!(kind(&outcome), "dns");
    let hint = document(&outcome)["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("has a network"), "{hint}");
}

use serde_json::Value;
use testbed::sim::Rrset;

use super::{Bench, document, expect};

fn words(bench: &Bench, command: &str, names: &[&str], more: &[&str]) -> Vec<String> {
    let mut words = bench.words(names, more);
    command.clone_into(&mut words[0]);
    words
}

fn check(bench: &Bench, names: &[&str], more: &[&str]) -> testbed::Outcome {
    bench.livecert.run(words(bench, "check", names, &[more, &["--json"]].concat())).unwrap()
}

#[track_caller]
fn finding(outcome: &testbed::Outcome, kind: &str) -> Value {
    let findings = document(outcome)["findings"].as_array().unwrap().clone();
    let found = findings.iter().find(|finding| finding["kind"] == kind).cloned();
    found.unwrap_or_else(|| panic!("no {kind}: {findings:#?}"))
}

pub(super) fn caa(bench: &Bench, values: &[&str]) {
    let rrset = Rrset { ttl: 300, values: values.iter().map(|&value| value.to_owned()).collect() };
    bench.testbed.gandi().set_rrset("example.com", "@", "CAA", (!values.is_empty()).then_some(rrset));
}

fn nothing_was_ordered(bench: &Bench) -> bool {
    !bench.testbed.pebble().requests().iter().any(|request| request.contains("order-plz"))
}

#[test]
fn that_all_is_well() {
    let bench = Bench::new();
    let outcome = check(&bench, &["example.com", "*.example.com"], &[]);
    expect(&outcome, 0);
    for kind in
        ["state-folder", "acme", "account", "clock", "credential", "credential-end", "resolution", "caa"]
    {
        assert_eq!(finding(&outcome, kind)["level"], "good", "{kind}: {}", outcome.stdout);
    }
    assert!(nothing_was_ordered(&bench));
    let writes = bench.testbed.gandi().requests().into_iter().filter(|one| one.method != "GET").count();
    assert_eq!(writes, 0);
    let probed = check(&bench, &["example.com"], &["--write-probe"]);
    expect(&probed, 0);
    assert_eq!(finding(&probed, "write-probe")["level"], "good");
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn that_caa_forbids_it() {
    let bench = Bench::new();
    let (gate, directory, _) = bench.testbed.gate().unwrap();
    gate.set_caa_identity("pebble.letsencrypt.org");
    let run = |command: &str, name: &str| {
        let mut words = words(&bench, command, &[name], &["--json"]);
        let at = words.iter().position(|word| word == "--server").unwrap();
        words[at + 1].clone_from(&directory);
        bench.livecert.run(words).unwrap()
    };
    caa(&bench, &["0 issue \"other.example\"", "0 issuewild \";\""]);
    let outcome = run("check", "www.example.com");
    expect(&outcome, 1);
    let caa_finding = finding(&outcome, "caa");
    assert!(caa_finding["what"].as_str().unwrap().contains("other.example"), "{caa_finding}");
    assert!(caa_finding["next"].as_str().unwrap().contains("CAA 0 issue \"pebble.letsencrypt.org\""));
    // An issue stops for the same reason.
    let issue = run("issue", "www.example.com");
    expect(&issue, 1);
    assert_eq!(document(&issue)["error"]["kind"], "caa");
    assert!(nothing_was_ordered(&bench));

    caa(&bench, &["0 issue \"pebble.letsencrypt.org\"", "0 issuewild \";\""]);
    expect(&run("check", "www.example.com"), 0);
    expect(&run("check", "*.example.com"), 1);
    expect(&run("issue", "www.example.com"), 0);
    caa(&bench, &["0 issue \"pebble.letsencrypt.org; validationmethods=http-01\""]);
    expect(&run("check", "example.com"), 1);
}

#[test]
fn that_the_credential_or_the_server_or_the_alias_is_wrong() {
    let bench = Bench::new();
    bench.testbed.secret_file("gandi.pat", testbed::LIMITED_PAT).unwrap();
    let limited = check(&bench, &["example.com"], &[]);
    expect(&limited, 1);
    assert_eq!(finding(&limited, "zone")["about"], "_acme-challenge.example.com");
    bench.testbed.secret_file("gandi.pat", &"0".repeat(40)).unwrap();
    assert_eq!(finding(&check(&bench, &["example.com"], &[]), "credential")["level"], "bad");

    bench.testbed.secret_file("gandi.pat", testbed::PAT).unwrap();
    let cname = |target: &str| Some(Rrset { ttl: 300, values: vec![target.to_owned()] });
    bench.testbed.gandi().set_rrset("example.com", "_acme-challenge", "CNAME", cname("proofs.example.net."));
    let alias = check(&bench, &["example.com"], &[]);
    expect(&alias, 0);
    assert!(finding(&alias, "alias")["what"].as_str().unwrap().contains("proofs.example.net"));
    bench.testbed.gandi().set_rrset(
        "example.com",
        "_acme-challenge",
        "CNAME",
        cname("_acme-challenge.example.com."),
    );
    let looped = check(&bench, &["example.com"], &[]);
    expect(&looped, 1);
    assert!(finding(&looped, "dns")["what"].as_str().unwrap().contains("circle"), "{}", looped.stdout);
}

#[test]
fn that_the_server_does_not_answer() {
    let mut bench = Bench::new();
    bench.testbed.pebble_mut().stop();
    let gone = check(&bench, &["example.com"], &[]);
    expect(&gone, 1);
    assert_eq!(finding(&gone, "acme")["level"], "bad");
    assert_eq!(finding(&gone, "credential")["level"], "good");
}

#[test]
fn what_would_be_done() {
    let bench = Bench::new();
    bench.testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour's", 1800);
    let before = bench.testbed.gandi().zone("example.com");
    let names = ["example.com", "*.example.com"];
    let plan = bench.livecert.run(words(&bench, "plan", &names, &["--json"])).unwrap();
    expect(&plan, 0);
    let plan = document(&plan);
    assert_eq!(plan["rrsets"][0]["before"]["values"][0], "\"a neighbour's\"", "{plan}");
    assert_eq!(plan["rrsets"][0]["added_for"].as_array().unwrap().len(), 2);
    assert!(
        plan["acme"].as_array().unwrap().iter().any(|step| step.as_str().unwrap().contains("newAccount"))
    );
    let shown = bench.livecert.run(words(&bench, "plan", &names, &[])).unwrap();
    assert!(shown.stdout.contains("the value that proves *.example.com"), "{}", shown.stdout);
    assert!(nothing_was_ordered(&bench));
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
    assert!(bench.testbed.gandi().requests().iter().all(|one| one.method == "GET"));
}

#[test]
fn that_the_terms_have_changed_which_an_issue_tells_too() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("moody").unwrap();
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    server
        .control()
        .change(|behaviour| behaviour.terms = Some("https://acme-sim.example/terms/v2".to_owned()));
    // No order is made, so that the server has no occasion to insist.
    server.control().change(|behaviour| behaviour.rejected = vec!["example.com".to_owned()]);
    let words = ["issue", "example.com", "--force", "--server", &server.directory()];
    let outcome = bench.run(&words);
    assert!(outcome.stderr.contains("the terms of service have changed: https://acme-sim.example/terms/v2"));
    assert!(outcome.stderr.contains("livecert account update --accept-tos"), "{}", outcome.stderr);
}

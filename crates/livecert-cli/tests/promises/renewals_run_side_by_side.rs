use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use testbed::ca::{Fault, Targets};
use testbed::{Outcome, Side};

use super::{Bench, document, expect, says, sent};

fn generation(bench: &Bench, cert: &str) -> String {
    let current = std::fs::read_link(bench.cert(cert).join("current")).unwrap();
    current.file_name().unwrap().to_string_lossy().into_owned()
}

fn hosts(number: usize) -> Vec<String> {
    (1..=number).map(|number| format!("host{number}.example.com")).collect()
}

/// The certificates in the order in which a run ended them.
fn ended(outcome: &Outcome, words: &str) -> Vec<String> {
    let lines = outcome.stderr.lines().filter(|line| line.contains(words));
    lines.map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn and_none_waits_for_another() {
    let bench = Bench::counting();
    let (gate, directory) = bench.testbed.gate_before(&bench.testbed.pebble().directory()).unwrap();
    let hosts = hosts(4);
    for host in &hosts {
        expect(&bench.issue(&[host], &["--server", &directory]), 0);
    }
    gate.hold_at("finalize", Side::Before);
    let mut run = bench.livecert.spawn(["renew", "--force", "--parallel", "3", "--json"]).unwrap();
    assert!(gate.until_held(&mut run).unwrap());
    // One of them is held, and all the others come to their end.
    while hosts.iter().filter(|host| generation(&bench, host) == "2").count() < 3 {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        std::thread::yield_now();
    }
    gate.open();
    let outcome: Outcome = run.wait_with_output().unwrap().into();
    expect(&outcome, 0);
    assert_eq!(ended(&outcome, "renewed, valid until").len(), 4);
    let document = document(&outcome);
    assert_eq!(
        document["totals"],
        serde_json::json!({"renewed": 4, "not_due": 0, "needs_person": 0, "failed": 0, "waiting": 0})
    );
    let names: Vec<_> = document["certificates"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, hosts.iter().collect::<Vec<_>>());
}

#[test]
fn and_what_ends_first_is_begun_first() {
    let bench = Bench::new();
    for (host, left) in
        [("a.example.com", 20), ("b.example.com", -1), ("c.example.com", 5), ("d.example.com", 80)]
    {
        expect(&bench.issue(&[host], &[]), 0);
        bench.age(host, 90, left);
    }
    let outcome = bench.run(&["renew", "--parallel", "1"]);
    expect(&outcome, 0);
    assert_eq!(ended(&outcome, "renewed"), ["b.example.com", "c.example.com", "a.example.com"]);
    says(&outcome, &["d.example.com  not due", "3 renewed, 1 not due, 0 failed"]);
}

#[test]
fn but_a_plugin_that_works_alone_has_one_at_a_time() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("looking").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dns = Some(bench.testbed.simulator().dns_addrs()[0]);
    let at = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    server.control().set_targets(Targets { dns, http: at, tls: None });
    for host in hosts(4) {
        let mut words = vec!["issue".to_owned(), host, "--server".to_owned(), server.directory()];
        let plugin = ["--accept-tos", "--plugin", "selfhost", "--challenge", "http-01", "--plugin-arg"];
        words.extend(plugin.map(str::to_owned));
        words.push(format!("WSHPort={port}"));
        expect(&bench.livecert.run(words).unwrap(), 0);
    }
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(server.control().certificates().len(), 8);
}

#[test]
fn and_what_a_server_says_to_one_is_heard_by_those_that_come_after() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("limited").unwrap();
    for host in hosts(5) {
        expect(&bench.issue_at(&server, &[&host], &[]), 0);
    }
    let control = server.control();
    let detail = "too many new orders (300) from this account in the last 3h0m0s".to_owned();
    let retry_after = Some("7200".to_owned());
    let limited = Fault::Problem { status: 429, kind: "rateLimited".into(), detail, retry_after };
    control.fail(limited.of("POST", "/order", 5));
    control.clear_requests();
    let outcome = bench.run(&["renew", "--force", "--parallel", "1"]);
    // By force it is asked all the same.
    expect(&outcome, 1);
    assert_eq!(sent(&control, "/order"), 5);

    for host in hosts(5) {
        bench.age(&host, 90, 20);
        for file in ["holds.json", "failures.json"] {
            let _ = std::fs::remove_file(bench.cert(&host).join(file));
        }
    }
    for server in std::fs::read_dir(bench.testbed.home().join("accounts")).unwrap() {
        let _ = std::fs::remove_file(server.unwrap().path().join("holds.json"));
    }
    let detail = "too many new orders (300) from this account in the last 3h0m0s".to_owned();
    let retry_after = Some("7200".to_owned());
    let limited = Fault::Problem { status: 429, kind: "rateLimited".into(), detail, retry_after };
    control.fail(limited.of("POST", "/order", 5));
    control.clear_requests();
    let outcome = bench.run(&["renew", "--parallel", "1"]);
    expect(&outcome, 1);
    assert_eq!(sent(&control, "/order"), 1);
    says(&outcome, &["does not want to be asked", "0 renewed, 0 not due, 5 failed"]);
}

#[test]
fn and_ctrl_c_begins_nothing_more_and_cleans_up() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("stopped").unwrap();
    for host in hosts(5) {
        expect(&bench.issue_at(&server, &[&host], &[]), 0);
    }
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    server.control().clear_requests();
    let mut run = bench.livecert.spawn(["renew", "--force", "--parallel", "2"]).unwrap();
    while bench.testbed.gandi().zone("example.com").len() < 2 {
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        std::thread::yield_now();
    }
    super::signal(&run, "INT");
    let outcome: Outcome = run.wait_with_output().unwrap().into();
    expect(&outcome, 1);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert_eq!(sent(&server.control(), "/order"), 2);
    says(&outcome, &["0 renewed, 0 not due, 5 failed", "interrupted"]);
}

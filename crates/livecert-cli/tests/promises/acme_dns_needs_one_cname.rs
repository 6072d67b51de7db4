use testbed::sim::Rrset;
use testbed::{ACME_DNS_ZONE, AcmeDns, Outcome};

use super::{Bench, document, expect, says};

struct Own {
    bench: Bench,
    server: AcmeDns,
}

impl Own {
    fn new() -> Self {
        let bench = Bench::new();
        let server = bench.testbed.acme_dns().unwrap();
        Own { bench, server }
    }

    fn words(&self, command: &str, names: &[&str], more: &[&str]) -> Vec<String> {
        let (directory, given) =
            (self.bench.testbed.pebble().directory(), format!("ACMEServer={}", self.server.url()));
        let mut words = vec![command];
        words.extend(names);
        words.extend([
            "--server",
            &directory,
            "--accept-tos",
            "--plugin",
            "acme-dns",
            "--plugin-arg",
            &given,
        ]);
        words.extend(more);
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        for address in self.bench.testbed.simulator().dns_addrs() {
            words.extend(["--authoritative".to_owned(), address.to_string()]);
        }
        words
    }

    fn run(&self, command: &str, names: &[&str], more: &[&str]) -> Outcome {
        self.bench.livecert.run(self.words(command, names, more)).unwrap()
    }

    /// Sets the CNAME that the error names.
    fn set_cname(&self, outcome: &Outcome, label: &str) -> String {
        let error = document(outcome)["error"].clone();
        assert_eq!(error["kind"], "acme-dns-cname", "{error:#}");
        let text = error.to_string();
        let (_, rest) = text.split_once(&format!("_acme-challenge.{label}.example.com. CNAME ")).unwrap();
        let target = rest.split_once(&format!(".{ACME_DNS_ZONE}.")).unwrap().0;
        let target = format!("{target}.{ACME_DNS_ZONE}");
        let rrset = Rrset { ttl: 300, values: vec![format!("{target}.")] };
        let name = format!("_acme-challenge.{label}");
        self.bench.testbed.gandi().set_rrset("example.com", &name, "CNAME", Some(rrset));
        target
    }

    fn orders(&self) -> usize {
        let requests = self.bench.testbed.pebble().requests();
        requests.iter().filter(|request| request.ends_with("/order-plz")).count()
    }
}

#[test]
fn and_nothing_else_in_dns_is_touched() {
    let own = Own::new();
    let names = ["one.example.com", "*.one.example.com"];
    // Who only looks registers nothing.
    let checked = own.run("check", &names, &[]);
    expect(&checked, 1);
    says(&checked, &["not registered at https://localhost", "_acme-challenge.one.example.com"]);
    expect(&own.run("plan", &names, &[]), 1);
    assert_eq!(own.server.registered(), 0);

    let first = own.run("issue", &names, &["--json"]);
    expect(&first, 1);
    assert!(document(&first)["error"]["hint"].is_string(), "{first:?}");
    let target = own.set_cname(&first, "one");
    assert_eq!((own.server.registered(), own.orders()), (1, 0));
    let checked = own.run("check", &names, &[]);
    expect(&checked, 0);

    expect(&own.run("issue", &names, &[]), 0);
    assert_eq!(own.server.values(&target).len(), 2);
    // A renewal needs nothing but what is stored, and nobody.
    let before = own.server.values(&target);
    own.bench.prove_anew();
    expect(&own.bench.run(&["renew", "--force"]), 0);
    assert!(own.server.values(&target).iter().all(|value| !before.contains(value)));
    assert_eq!(own.server.registered(), 1);
    assert!(own.server.requests().iter().all(|(_, status)| matches!(status, 200 | 201)));
    let written = own.bench.testbed.gandi().requests();
    assert!(written.is_empty(), "LiveDNS was asked: {written:?}");
}

#[test]
fn whoever_waits_for_its_turn_can_be_stopped() {
    let own = Own::new();
    let names = ["one.example.com"];
    let first = own.run("issue", &names, &["--json"]);
    own.set_cname(&first, "one");
    expect(&own.run("issue", &names, &[]), 0);
    own.bench.prove_anew();
    let locks = own.bench.testbed.home().join("locks");
    let locks = std::fs::read_dir(locks).unwrap().map(|entry| entry.unwrap().path());
    let is_turn = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("txt@");
    let turns: Vec<_> = locks.filter(is_turn).collect();
    assert_eq!(turns.len(), 1);
    let held = std::fs::File::open(&turns[0]).unwrap();
    held.lock().unwrap();

    let mut child = own.bench.livecert.spawn(["renew", "--force"]).unwrap();
    let files = format!("/proc/{}/fd", child.id());
    let is_at_it = || {
        let mut open = std::fs::read_dir(&files).unwrap().flatten();
        open.any(|file| std::fs::read_link(file.path()).is_ok_and(|path| path == turns[0]))
    };
    while !is_at_it() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    super::signal(&child, "INT");
    let outcome: Outcome = child.wait_with_output().unwrap().into();
    expect(&outcome, 1);
    says(&outcome, &["interrupted"]);
}

#[test]
fn and_every_missing_one_is_told_at_once() {
    let own = Own::new();
    let names = ["a.example.com", "b.example.com"];
    let first = own.run("issue", &names, &["--json"]);
    expect(&first, 1);
    own.set_cname(&first, "a");
    let second = own.run("issue", &names, &["--json"]);
    expect(&second, 1);
    let text = second.stdout.clone();
    assert!(
        text.contains("_acme-challenge.b.example.com. CNAME") && !text.contains("challenge.a."),
        "{text}"
    );
    own.set_cname(&second, "b");
    // The sealing key changes, and the passwords with it.
    expect(&own.bench.run(&["secret", "rotate"]), 0);
    expect(&own.run("issue", &names, &[]), 0);
    assert_eq!(own.server.registered(), 2);
}

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use testbed::Options;

use super::{Bench, expect};

fn doh(bench: &Bench) -> String {
    let api = bench.testbed.simulator().api_base_url();
    format!("{}/dns-query", api.strip_suffix("/v5/livedns").unwrap())
}

/// The words of an issue with other name servers than the simulator's.
fn issue_asking(bench: &Bench, servers: &[String], more: &[&str]) -> testbed::Outcome {
    let mut words = bench.words(&["example.com", "*.example.com"], more);
    while let Some(at) = words.iter().position(|word| word == "--authoritative") {
        words.drain(at..=at + 1);
    }
    for server in servers {
        words.extend(["--authoritative".to_owned(), server.clone()]);
    }
    bench.livecert.run(words).unwrap()
}

#[test]
fn by_the_name_servers_the_resolvers_both_or_a_sleep() {
    let bench = Bench::new();
    let (dns, doh) = (bench.testbed.simulator().dns_addrs()[0].to_string(), doh(&bench));
    for resolver in [&dns, &doh] {
        for mode in ["authoritative", "resolver", "both", "sleep"] {
            let more = ["--force", "--propagation", mode, "--dns-sleep", "1ms", "--resolver", resolver];
            expect(&bench.issue(&["example.com"], &more), 0);
            assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
        }
    }
    // A renewal keeps the way.
    expect(&bench.run(&["renew", "--force"]), 0);
    let record = super::read(&bench.cert("example.com").join("certificate.json"));
    assert!(record.contains("\"mode\": \"sleep\""), "{record}");
    expect(&bench.issue(&["example.com"], &["--resolver", "http://dns.example/"]), 2);
}

#[test]
fn over_https_where_no_dns_is_let_out() {
    let bench = Bench::new();
    // They take questions and never answer, as behind a firewall that drops.
    let silent = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let servers = silent.each_ref().map(|socket| socket.local_addr().unwrap().to_string());
    let doh = doh(&bench);
    let outcome = issue_asking(&bench, &servers, &["--resolver", &doh, "--dns-sleep", "1ms"]);
    expect(&outcome, 0);
    assert_eq!(outcome.stderr.matches("is port 53 blocked?").count(), 1, "{}", outcome.stderr);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn or_it_is_told_who_lacks_them() {
    let bench = Bench::with(&Options { name_servers: 3, ..Options::default() });
    bench.testbed.gandi().set_publication_delay(1, Duration::from_secs(3600));
    bench.testbed.gandi().set_down(2, true);
    let outcome = bench.issue(&["example.com"], &["--propagation-timeout", "3500ms", "-v"]);
    expect(&outcome, 1);
    let error = outcome.stderr.lines().find(|line| line.contains("not visible")).unwrap();
    assert!(error.contains("127.0.0.2") && error.contains("127.0.0.3"), "{error}");
    assert!(outcome.stderr.contains("looked") && outcome.stderr.contains("after_ms"), "{}", outcome.stderr);
    // With the second one in order, the silent third one is passed over after the grace, and not when half is too few.
    bench.testbed.gandi().set_publication_delay(1, Duration::ZERO);
    let begun = Instant::now();
    let strict =
        ["--propagation-quorum", "100", "--propagation-grace", "1s", "--propagation-timeout", "3500ms"];
    expect(&bench.issue(&["example.com"], &strict), 1);
    expect(&bench.issue(&["example.com"], &["--propagation-grace", "1s"]), 0);
    assert!(begun.elapsed() > Duration::from_secs(1));
}

#[test]
fn a_name_server_that_goes_back_to_old_records_is_named_and_waited_for() {
    let bench = Bench::with(&Options { name_servers: 3, ..Options::default() });
    let gandi = bench.testbed.gandi();
    gandi.set_flapping(1, true);
    // Something is late as well, as always in the world: then all are asked once more at the end.
    gandi.set_publication_delay(2, Duration::from_millis(300));
    let mut named = false;
    for _ in 0..20 {
        let outcome = bench.issue(&["example.com"], &["--force", "-v"]);
        expect(&outcome, 0);
        named = outcome.stderr.contains("goes back to old records") && outcome.stderr.contains("127.0.0.2");
        if named {
            break;
        }
    }
    assert!(named);
}

#[test]
fn all_name_servers_at_once_may_be_down_and_then_all_are_named() {
    let bench = Bench::with(&Options { name_servers: 3, ..Options::default() });
    let down = |down: bool| (0..3).for_each(|server| bench.testbed.gandi().set_down(server, down));
    // They are found, and go down when the record is written: what has to be asked then does not answer.
    let mut words = bench.words(&["example.com"], &["--propagation-timeout", "4s"]);
    words[0] = "issue".to_owned();
    bench.testbed.gandi().set_latency(Duration::from_millis(200));
    let child = bench.livecert.spawn(words).unwrap();
    while !bench
        .testbed
        .gandi()
        .requests()
        .iter()
        .any(|request| request.path.ends_with("/domains/example.com"))
    {
        std::thread::yield_now();
    }
    down(true);
    let outcome = testbed::Outcome::from(child.wait_with_output().unwrap());
    expect(&outcome, 1);
    let error = outcome.stderr.lines().find(|line| line.contains("not visible")).unwrap();
    assert!(["127.0.0.1", "127.0.0.2", "127.0.0.3"].iter().all(|server| error.contains(server)), "{error}");
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    down(false);
    expect(&bench.issue(&["example.com"], &[]), 0);
}

#[test]
fn a_resolver_is_never_taught_that_there_is_nothing() {
    let bench = Bench::with(&Options { name_servers: 2, ..Options::default() });
    let gandi = bench.testbed.gandi();
    // The second server is the resolver: it remembers that there was nothing; the first one is authoritative, and late.
    gandi.set_caching(1, true);
    gandi.set_publication_delay(0, Duration::from_millis(400));
    gandi.set_publication_delay(1, Duration::from_millis(400));
    let servers = bench.testbed.simulator().dns_addrs();
    let more =
        ["--propagation", "both", "--propagation-timeout", "10s", "--resolver", &servers[1].to_string()];
    expect(&issue_asking(&bench, &[servers[0].to_string()], &more), 0);
    bench.prove_anew();
    // It would have failed if it had been asked too early.
    let taught = issue_asking(&bench, &[servers[1].to_string()], &["--force", "--propagation-timeout", "2s"]);
    expect(&taught, 1);
}

use serde_json::Value;
use testbed::{KEYS, Knot, Options, Outcome, Pebble, PebbleOptions};

use super::{Bench, document, expect, says, signal};

const NAME: &str = "_acme-challenge.example.com";
const ZONE: &str = "example.com";

/// A CA that asks Knot, which has a neighbour's value.
struct Own {
    bench: Bench,
    knot: Knot,
    pebble: Pebble,
}

impl Own {
    fn new() -> Self {
        let bench = Bench::with(&Options::default());
        let knot = Knot::start(&[ZONE]).unwrap();
        knot.put(ZONE, NAME, 1800, "TXT", "\"a neighbour's\"").unwrap();
        let pebble = bench.testbed.pebble_over(knot.address(), &PebbleOptions::default()).unwrap();
        bench.testbed.secret_file("tsig", KEYS[0].2).unwrap();
        Own { bench, knot, pebble }
    }

    fn plugin_words(&self, more: &[&str]) -> Vec<String> {
        let dns = self.knot.address().to_string();
        let secret = format!("RFC2136TSIGSecret=file:{}", self.bench.testbed.folder().join("tsig").display());
        let server = format!("RFC2136Nameserver={dns}");
        let mut words = ["--plugin", "rfc2136", "--authoritative", &dns].map(str::to_owned).to_vec();
        for argument in [server.as_str(), "RFC2136TSIGKey=livecert", &secret] {
            // What is given again takes the place of this.
            let key = argument.split('=').next().unwrap_or_default();
            if !more.iter().any(|other| other.starts_with(key)) {
                words.extend(["--plugin-arg".to_owned(), argument.to_owned()]);
            }
        }
        words.extend(more.iter().flat_map(|other| ["--plugin-arg".to_owned(), (*other).to_owned()]));
        words
    }

    fn words(&self, more: &[&str]) -> Vec<String> {
        let directory = self.pebble.directory();
        let issue =
            ["issue", ZONE, "*.example.com", "--server", &directory, "--accept-tos", "--force", "--json"];
        issue.map(str::to_owned).into_iter().chain(self.plugin_words(more)).collect()
    }

    fn issue(&self, more: &[&str]) -> Outcome {
        self.bench.livecert.run(self.words(more)).unwrap()
    }

    #[track_caller]
    fn only_the_neighbour_is_left(&self) {
        assert_eq!(self.knot.txt(ZONE, NAME), Some((1800, vec!["a neighbour's".to_owned()])));
    }
}

#[track_caller]
fn error(outcome: &Outcome, status: i32) -> Value {
    expect(outcome, status);
    document(outcome)["error"].clone()
}

#[test]
fn and_a_neighbours_value_survives() {
    let own = Own::new();
    expect(&own.issue(&[]), 0);
    own.only_the_neighbour_is_left();
    // One update for both values, and one for their removal.
    let updates = |own: &Own| own.knot.log().iter().filter(|line| line.contains("DDNS, finished")).count();
    assert_eq!(updates(&own), 2, "{:#?}", own.knot.log());

    // A renewal needs nothing but what is stored.
    let renewed = own.bench.run(&["renew", "--force", ZONE]);
    expect(&renewed, 0);
    own.only_the_neighbour_is_left();
    assert_eq!(updates(&own), 4);
    let stored = own.bench.run(&["plugin", "args", ZONE]);
    says(&stored, &["rfc2136", "RFC2136TSIGSecret", "file:/"]);
    assert!(!stored.stdout.contains(KEYS[0].2), "{}", stored.stdout);
}

#[test]
fn or_it_is_said_why_not_before_there_is_an_order() {
    let own = Own::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("RFC2136Nameserver={closed}");
    own.bench.testbed.secret_file("wrong", "d3Jvbmc=").unwrap();
    let wrong = format!("RFC2136TSIGSecret=file:{}", own.bench.testbed.folder().join("wrong").display());
    for (given, kind, words) in [
        (nobody.as_str(), "dns-update-unreachable", "cannot be reached over TCP"),
        (wrong.as_str(), "dns-update-key", "BADSIG"),
        ("RFC2136TSIGKey=nobodys", "dns-update-key", "BADKEY"),
        ("RFC2136TSIGAlgorithm=HMAC-SHA512", "dns-update-key", "BADKEY"),
        ("RFC2136Zone=example.org", "dns-update-no-zone", "example.org"),
    ] {
        let outcome = own.issue(&[given]);
        let error = error(&outcome, 1);
        assert_eq!(error["kind"], kind, "{given}: {error:#}");
        assert!(
            error["causes"].to_string().contains(words) && error["hint"].is_string(),
            "{given}: {error:#}"
        );
        assert!(
            !own.pebble.log().iter().any(|line| line.contains("new-order")),
            "{given}: there is an order"
        );
        own.only_the_neighbour_is_left();
    }
    for (given, words) in [
        ("RFC2136TTL=forever", "RFC2136TTL is wrong: 'forever' is not a number of seconds from 0 to 604800"),
        ("RFC2136TSIGAlgorithm=hmac-md5", "none of hmac-sha256, hmac-sha384, hmac-sha512"),
        ("RFC2136TSIGSecret=c2VjcmV0", "takes the place where the secret is"),
    ] {
        let error = error(&own.issue(&[given]), 2);
        assert!(error["message"].to_string().contains(words), "{given}: {error:#}");
    }
    let words =
        ["dns", "add", NAME, "v", "--plugin", "rfc2136", "--json", "--plugin-arg", "rfc2136_tsig_key=k"];
    let missing = error(&own.bench.run(&words), 2);
    assert!(missing["message"].to_string().contains("needs RFC2136Nameserver"), "{missing:#}");
    assert!(missing["hint"].to_string().contains("livecert plugin show rfc2136"), "{missing:#}");
}

#[test]
fn and_a_check_knows_it_before() {
    let own = Own::new();
    own.bench.testbed.secret_file("wrong", "d3Jvbmc=").unwrap();
    let wrong = format!("RFC2136TSIGSecret=file:{}", own.bench.testbed.folder().join("wrong").display());
    let directory = own.pebble.directory();
    for (given, status, words) in [
        (["RFC2136TTL=60"].as_slice(), 0, "TSIG key 'livecert'"),
        (&[&wrong], 1, "(BADSIG)"),
        (&["RFC2136Zone=example.org"], 1, "none of the zones example.org is above it"),
    ] {
        let words_of = |command: &str| {
            let words = [command, ZONE, "--server", &directory, "--accept-tos"];
            words.map(str::to_owned).into_iter().chain(own.plugin_words(given)).collect::<Vec<_>>()
        };
        let checked = own.bench.livecert.run(words_of("check")).unwrap();
        expect(&checked, status);
        says(&checked, &[words]);
        if status == 0 {
            let planned = own.bench.livecert.run(words_of("plan")).unwrap();
            expect(&planned, 0);
            says(&planned, &[NAME, "a neighbour's", "1800"]);
        }
    }
    own.only_the_neighbour_is_left();
}

#[test]
fn and_what_a_killed_run_left_is_swept() {
    let own = Own::new();
    // It waits for a server that shows nothing.
    let mut words = own.words(&[]);
    words.extend(["--authoritative".to_owned(), own.bench.testbed.simulator().dns_addrs()[0].to_string()]);
    let mut child = own.bench.livecert.spawn(words).unwrap();
    while own.knot.txt(ZONE, NAME).is_none_or(|(_, values)| values.len() < 3) {
        assert!(child.try_wait().unwrap().is_none(), "livecert has ended before it wrote its values");
        std::thread::yield_now();
    }
    signal(&child, "KILL");
    child.wait().unwrap();
    expect(&own.bench.run(&["dns", "sweep"]), 0);
    own.only_the_neighbour_is_left();
}

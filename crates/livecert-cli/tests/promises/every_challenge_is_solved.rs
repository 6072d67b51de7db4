use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use testbed::ca::{Fault, Targets};
use testbed::{AcmeSim, Outcome};

use super::a_killed_run_is_swept::journals;
use super::{Bench, expect, says};

/// A port at which nobody listens.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Somebody's web server: it serves the files of a folder for as long as the test runs.
pub(super) fn web_server(folder: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let (status, body) = match std::fs::read(folder.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // A client that has gone is no failure of the server.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

/// A server that looks for what hosts show at these ports.
pub(super) fn server_at(bench: &Bench, http: u16, tls: u16) -> AcmeSim {
    let server = bench.testbed.acme_sim("looking").unwrap();
    let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let dns = Some(bench.testbed.simulator().dns_addrs()[0]);
    server.control().set_targets(Targets { dns, http: at(http), tls: at(tls) });
    server
}

/// An issue with a plugin that needs no credential.
fn issue(bench: &Bench, server: &AcmeSim, names: &[&str], plugin: &[&str]) -> Outcome {
    bench.livecert.run(words(bench, server, names, plugin)).unwrap()
}

fn words(bench: &Bench, server: &AcmeSim, names: &[&str], plugin: &[&str]) -> Vec<String> {
    let mut words = vec!["issue".to_owned()];
    words.extend(names.iter().chain(plugin).map(|&word| word.to_owned()));
    words.extend(["--server".to_owned(), server.directory(), "--accept-tos".to_owned()]);
    for address in bench.testbed.simulator().dns_addrs() {
        words.extend(["--authoritative".to_owned(), address.to_string()]);
    }
    words
}

/// The types of the challenges that were answered last.
pub(super) fn answered(server: &AcmeSim) -> Vec<String> {
    let authorizations = server.control().authorizations();
    let valid = |challenge: &&testbed::ca::Challenge| challenge.validated.is_some();
    let used = authorizations.iter().flat_map(|one| one.challenges.iter().filter(valid));
    used.map(|challenge| challenge.kind.clone()).collect()
}

#[test]
fn http_01_in_the_folder_of_a_web_server() {
    let bench = Bench::new();
    let folder = bench.testbed.folder().join("www");
    std::fs::create_dir_all(&folder).unwrap();
    let server = server_at(&bench, web_server(folder.clone()).port(), 0);
    let path = format!("WRPath={}", folder.display());
    let names = ["example.com", "www.example.org"];
    expect(&issue(&bench, &server, &names, &["--plugin", "webroot", "--plugin-arg", &path]), 0);
    assert_eq!(answered(&server), ["http-01", "http-01"]);
    let left = std::fs::read_dir(folder.join(".well-known/acme-challenge")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(server.control().certificates().len(), 2);
}

#[test]
fn and_the_files_of_a_killed_run_are_swept() {
    let bench = Bench::new();
    let folder = bench.testbed.folder().join("www");
    std::fs::create_dir_all(&folder).unwrap();
    let server = server_at(&bench, web_server(folder.clone()).port(), 0);
    let path = format!("WRPath={}", folder.display());
    let plugin = ["--plugin", "webroot", "--plugin-arg", &path];
    let names = ["example.com", "www.example.org"];
    let files = folder.join(".well-known/acme-challenge");
    let left = || std::fs::read_dir(&files).map_or(0, Iterator::count);
    // The CA is not to look before the run is dead.
    let held = Fault::HoldBefore.of("POST", "/challenge", 1);
    server.control().fail(held);
    let mut child = bench.livecert.spawn(words(&bench, &server, &names, &plugin)).unwrap();
    assert!(server.control().until_held(|| child.try_wait().unwrap().is_none()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(), 2);
    let swept = bench.run(&["dns", "sweep"]);
    expect(&swept, 0);
    says(&swept, &["Gone: http://example.com/.well-known/acme-challenge/"]);
    assert_eq!(left(), 0);
    server.control().release();
    expect(&issue(&bench, &server, &names, &plugin), 0);
    assert_eq!((left(), journals(&bench)), (0, 0));
}

#[test]
fn http_01_and_tls_alpn_01_by_ourselves() {
    let bench = Bench::new();
    for challenge in ["http-01", "tls-alpn-01"] {
        let (http, tls) = (free_port(), free_port());
        let server = server_at(&bench, http, tls);
        let (http, tls) = (format!("WSHPort={http}"), format!("WSHTlsPort={tls}"));
        let plugin =
            ["--plugin", "selfhost", "--challenge", challenge, "--plugin-arg", &http, "--plugin-arg", &tls];
        // Names, and addresses of both kinds.
        let names = ["example.com", "www.example.com", "127.0.0.1", "::1"];
        let more = [&plugin[..], &["--cert-name", challenge]].concat();
        expect(&issue(&bench, &server, &names, &more), 0);
        assert_eq!(answered(&server), [challenge; 4]);
        let certificate = server.control().certificates().remove(0);
        let kinds: Vec<&str> = certificate.identifiers.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, ["dns", "dns", "ip", "ip"]);
        expect(&bench.run(&["renew", challenge, "--force"]), 0);
    }
}

#[test]
fn dns_account_01_at_the_accounts_own_name() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("labels").unwrap();
    for account in ["new", "known"] {
        bench.testbed.gandi().clear_requests();
        let more = ["--challenge", "dns-account-01", "--cert-name", account];
        expect(&bench.issue_at(&server, &["example.com", "*.example.com"], &more), 0);
        let label = bench.run(&["challenge", "account-label", "--server", &server.directory()]);
        expect(&label, 0);
        let name = label.stdout.trim();
        assert!(name.starts_with('_') && name.ends_with("._acme-challenge"), "{name}");
        let requests = bench.testbed.gandi().requests();
        let written: Vec<_> = requests.iter().filter(|request| request.method != "GET").collect();
        assert!(
            !written.is_empty() && written.iter().all(|one| one.path.contains(name)),
            "{name} {written:#?}"
        );
        assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    }
    assert!(answered(&server).iter().all(|kind| kind == "dns-account-01"));
    expect(&bench.run(&["renew", "known", "--force"]), 0);
}

#[test]
fn a_choice_that_cannot_be_written_is_seen_before_an_order() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("choice-unseen").unwrap();
    let control = server.control();
    let auto = |names: &[&str]| bench.issue_at(&server, names, &["--challenge", "auto", "--force"]);
    let ordered = || {
        let requests = control.requests();
        control.clear_requests();
        requests.iter().any(|request| request.path == "/order")
    };
    expect(&auto(&["example.com", "*.example.com"]), 0);
    assert!(ordered());

    std::fs::write(&bench.token, "token-that-nobody-made").unwrap();
    let refused = auto(&["example.com", "*.example.com"]);
    expect(&refused, 1);
    says(&refused, &["the zones to write in could not be looked up"]);
    assert!(!ordered(), "an order was made for names whose zone cannot be written in");

    // A record that covers only one of the names leaves the other one to be written.
    let account = &control.accounts()[0].url;
    let standing = |more: &str| format!("acme-sim.example; accounturi={account}{more}");
    bench.testbed.gandi().add_value("example.com", "_validation-persist", &standing(""), 300);
    expect(&auto(&["example.com", "*.example.com"]), 1);
    assert!(!ordered());
    bench.testbed.gandi().add_value(
        "example.com",
        "_validation-persist",
        &standing("; policy=wildcard"),
        300,
    );
    expect(&auto(&["example.com", "*.example.com"]), 0);
    assert!(ordered());
}

#[test]
fn the_best_one_is_taken_and_told() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("choice").unwrap();
    let control = server.control();
    let offer = |challenges: &[&str]| {
        control.change(|behaviour| {
            behaviour.challenges = challenges.iter().map(|&kind| kind.to_owned()).collect();
        });
    };
    let with_gandi =
        |cert: &str| bench.issue_at(&server, &["example.com"], &["--challenge", "auto", "--cert-name", cert]);
    let chosen = |outcome: &Outcome, challenge: &str| {
        expect(outcome, 0);
        says(outcome, &[&format!("example.com is proved with {challenge}")]);
    };
    chosen(&with_gandi("account"), "dns-account-01");
    offer(&["http-01", "dns-01", "tls-alpn-01", "dns-persist-01"]);
    chosen(&with_gandi("dns"), "dns-01");
    chosen(&bench.run(&["renew", "dns", "--force"]), "dns-01");

    let standing = format!("acme-sim.example; accounturi={}", control.accounts()[0].url);
    bench.testbed.gandi().add_value("example.com", "_validation-persist", &standing, 300);
    bench.testbed.gandi().clear_requests();
    chosen(&with_gandi("standing"), "dns-persist-01");
    assert!(bench.testbed.gandi().requests().iter().all(|request| request.method == "GET"));
    bench.testbed.gandi().remove_value("example.com", "_validation-persist", &standing);

    let (http, tls) = (free_port(), free_port());
    let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let dns = Some(bench.testbed.simulator().dns_addrs()[0]);
    control.set_targets(Targets { dns, http: at(http), tls: at(tls) });
    let (http, tls) = (format!("WSHPort={http}"), format!("WSHTlsPort={tls}"));
    let at_the_host = |cert: &str| {
        let plugin = ["--plugin", "selfhost", "--plugin-arg", &http, "--plugin-arg", &tls];
        let more = ["--challenge", "auto", "--cert-name", cert];
        issue(&bench, &server, &["example.com"], &[&plugin[..], &more].concat())
    };
    chosen(&at_the_host("http"), "http-01");
    offer(&["dns-01", "tls-alpn-01"]);
    chosen(&at_the_host("tls"), "tls-alpn-01");
    // Nothing that both can do.
    offer(&["http-01", "tls-alpn-01"]);
    let outcome = with_gandi("nothing");
    expect(&outcome, 1);
    says(&outcome, &["offers no", "for example.com (it offers: http-01, tls-alpn-01)", "next: use another"]);
}

//! Clients of other people get certificates from acme-sim: it is an ACME server, and not just our idea of one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use testbed::ca::{RenewalWindow, Status, Targets};
use testbed::{AcmeSim, Options, Testbed};

fn bench() -> (Testbed, AcmeSim) {
    let testbed = Testbed::start(&Options::default()).unwrap();
    let server = testbed.acme_sim("real").unwrap();
    (testbed, server)
}

fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn client(testbed: &Testbed, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("REQUESTS_CA_BUNDLE", testbed.ca()).env("LEGO_CA_CERTIFICATES", testbed.ca());
    command.current_dir(testbed.folder());
    command
}

#[track_caller]
fn succeeds(command: &mut Command, server: &AcmeSim) {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}\n{:#?}", server.control().requests());
}

#[test]
fn certbot_by_http_01() {
    let (testbed, server) = bench();
    let http = free_port();
    server.control().set_targets(Targets { http: Some(http), ..Targets::default() });
    let certbot = || {
        let mut certbot = client(&testbed, "certbot");
        for folder in ["config", "work", "logs"] {
            certbot.arg(format!("--{folder}-dir")).arg(testbed.folder().join(folder));
        }
        certbot.args(["--non-interactive", "--server", &server.directory()]);
        certbot
    };
    let port = http.port().to_string();
    let mut issue = certbot();
    issue.args(["certonly", "--agree-tos", "-m", "you@example.com", "--standalone", "-d", "example.com"]);
    issue.args(["-d", "www.example.com", "--http-01-port", &port, "--http-01-address", "127.0.0.1"]);
    succeeds(&mut issue, &server);
    assert!(testbed.folder().join("config/live/example.com/fullchain.pem").exists());

    succeeds(certbot().args(["revoke", "--cert-name", "example.com", "--reason", "superseded"]), &server);
    assert_eq!(server.control().certificates()[0].revoked, Some(4));
    succeeds(certbot().arg("unregister"), &server);
    assert_eq!(server.control().accounts()[0].status, Status::Deactivated);
}

#[test]
fn lego_by_tls_alpn_01_with_a_bound_account() {
    let (testbed, server) = bench();
    let tls = free_port();
    server.control().set_targets(Targets { tls: Some(tls), ..Targets::default() });
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    server.control().set_external_account("kid-1", Some(key));
    server.control().change(|behaviour| behaviour.external_account_required = true);
    let mut lego = client(&testbed, "lego");
    lego.args(["--accept-tos", "--email", "you@example.com", "--eab", "--kid", "kid-1", "--hmac", key]);
    lego.args(["--server", &server.directory(), "--domains", "example.com", "--tls", "--tls.port"]);
    lego.arg(tls.to_string()).arg("--path").arg(testbed.folder().join("lego")).arg("run");
    succeeds(&mut lego, &server);
    assert!(testbed.folder().join("lego/certificates/example.com.crt").exists());
    assert_eq!(server.control().accounts()[0].external_account.as_deref(), Some("kid-1"));
}

#[test]
fn lego_hears_what_has_become_of_its_account() {
    let (testbed, server) = bench();
    let (control, tls) = (server.control(), free_port());
    control.set_targets(Targets { tls: Some(tls), ..Targets::default() });
    let run = |name: &str| {
        let mut lego = client(&testbed, "lego");
        lego.args(["--accept-tos", "--email", "you@example.com", "--server", &server.directory()]);
        lego.args(["--domains", name, "--tls", "--tls.port", &tls.to_string(), "--path"]);
        lego.arg(testbed.folder().join("lego")).arg("run");
        lego
    };
    succeeds(&mut run("example.com"), &server);
    let account = control.accounts()[0].url.clone();
    let last_problem =
        || control.requests().into_iter().rev().find_map(|request| request.problem).unwrap_or_default();

    control.change(|behaviour| behaviour.terms = Some("https://acme-sim.example/terms/v2".to_owned()));
    assert!(!run("a.example.com").status().unwrap().success());
    assert_eq!(last_problem(), "userActionRequired");
    assert!(control.agree(&account));
    succeeds(&mut run("a.example.com"), &server);

    assert!(control.deactivate_account(&account));
    assert!(!run("b.example.com").status().unwrap().success());
    assert_eq!(last_problem(), "unauthorized");
    control.forget_accounts();
    assert!(!run("c.example.com").status().unwrap().success());
    assert_eq!(last_problem(), "accountDoesNotExist");
    assert!(!control.deactivate_account(&account) && !control.agree(&account));

    let certificate = control.certificates()[1].clone();
    let (start, end) = (certificate.not_before, certificate.not_before);
    let window = RenewalWindow { start, end, explanation: None };
    assert!(control.set_renewal_window(&certificate.renewal_id, Some(window.clone())));
    assert_eq!(control.certificates()[1].renewal_window(), window);
    assert!(control.revoke(&certificate.renewal_id, 1));
    assert_eq!(control.certificates()[1].revoked, Some(1));
    assert!(!control.revoke("AAAA.AAAA", 1) && !control.set_renewal_window("AAAA.AAAA", None));
}

#[test]
fn a_lasting_record_leaves_lego_nothing_to_do() {
    let (testbed, server) = bench();
    let (control, tls, dns) = (server.control(), free_port(), testbed.simulator().dns_addrs()[0]);
    let lego = |name: &str| {
        let mut lego = client(&testbed, "lego");
        lego.args(["--accept-tos", "--email", "you@example.com", "--server", &server.directory()]);
        lego.args(["--domains", name, "--tls", "--tls.port", &tls.to_string(), "--path"]);
        lego.arg(testbed.folder().join("lego")).arg("run");
        lego
    };
    control.change(|behaviour| behaviour.persist_just_in_time = true);
    control.set_targets(Targets { tls: Some(tls), dns: Some(dns), ..Targets::default() });
    succeeds(&mut lego("example.com"), &server);
    let account = control.accounts()[0].url.clone();
    let value = format!("acme-sim.example; accounturi={account}; policy=wildcard");
    testbed.gandi().add_value("example.com", "_validation-persist", &value, 300);
    control.clear_requests();
    succeeds(&mut lego("www.example.com"), &server);
    let answered = |path: &str| control.requests().iter().any(|request| request.path.starts_with(path));
    assert!(answered("/order") && !answered("/challenge"), "{:#?}", control.requests());
    let authorization = control.authorizations().pop().unwrap();
    let valid = authorization.challenges.iter().find(|challenge| challenge.status == Status::Valid);
    assert_eq!(valid.map(|challenge| challenge.kind.as_str()), Some("dns-persist-01"));
}

#[test]
fn any_number_of_servers_have_nothing_in_common() {
    let (testbed, first) = bench();
    let second = testbed.acme_sim_with("second", |config| config.roots = 3).unwrap();
    assert_ne!(first.directory(), second.directory());
    let roots = |server: &AcmeSim| std::fs::read_to_string(server.roots()).unwrap();
    assert_eq!(roots(&first).matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(roots(&second).matches("BEGIN CERTIFICATE").count(), 3);
}

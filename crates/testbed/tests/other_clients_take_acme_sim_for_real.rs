//! Clients of other people get certificates from acme-sim: it is an ACME server, and not just our idea of one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use testbed::ca::Targets;
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
    assert_eq!(server.control().accounts()[0].status, testbed::ca::Status::Deactivated);
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

//! Faults, seen from the other end of a TLS connection.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use acme_sim::{AcmeSim, Config, Fault};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use sim_server::pki::TestCa;

struct Bench {
    server: AcmeSim,
    tls: tokio_rustls::TlsConnector,
}

async fn bench() -> Bench {
    let ca = TestCa::new("test").unwrap();
    let nowhere = ([127, 0, 0, 1], 1).into();
    let config = Config::small("test", nowhere, ca.issue(&["localhost"]).unwrap());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Bench { server: AcmeSim::start(config).await.unwrap(), tls: Arc::new(client).into() }
}

impl Bench {
    /// Status, `Retry-After` and body; none if the connection is cut.
    async fn get(&self, method: &str, path: &str) -> Option<(u16, Option<String>, String)> {
        let directory = self.server.directory();
        let host = directory.strip_prefix("https://").unwrap().split('/').next().unwrap();
        let port: u16 = host.rsplit(':').next().unwrap().parse().unwrap();
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let stream = self.tls.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::builder().method(method).uri(path).header("host", host);
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.ok()?;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, retry_after) = (answer.status().as_u16(), header("retry-after"));
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, retry_after, String::from_utf8(body.to_vec()).unwrap()))
    }
}

#[tokio::test]
async fn pages_problems_and_cuts() {
    let bench = bench().await;
    let control = bench.server.control();
    control.fail(Fault::page(503).of("GET", "/directory", 1));
    let (status, _, page) = bench.get("GET", "/directory").await.unwrap();
    assert!(status == 503 && page.starts_with("<html>"), "{status} {page}");
    let problem = Fault::Problem {
        status: 429,
        kind: "rateLimited".to_owned(),
        detail: "slow down".to_owned(),
        retry_after: Some("7".to_owned()),
    };
    control.fail(problem.of("GET", "/directory", 1));
    let (status, retry_after, page) = bench.get("GET", "/directory").await.unwrap();
    assert_eq!((status, retry_after.as_deref()), (429, Some("7")));
    assert!(page.contains("urn:ietf:params:acme:error:rateLimited"), "{page}");
    for cut in [Fault::CutBefore, Fault::CutAfter] {
        control.fail(cut.of("GET", "/directory", 1));
        assert_eq!(bench.get("GET", "/directory").await, None);
    }
    assert_eq!(bench.get("GET", "/directory").await.unwrap().0, 200);
    let states: Vec<u16> = control.requests().iter().map(|request| request.status).collect();
    assert_eq!(states, [503, 429, 0, 0, 200]);
    control.clear_requests();
    assert_eq!(control.requests(), []);
}

#[tokio::test]
async fn a_held_request_waits_for_its_release() {
    let bench = Arc::new(bench().await);
    let control = bench.server.control();
    assert!(!control.until_held(|| false));
    for hold in [Fault::HoldBefore, Fault::HoldAfter] {
        control.fail(hold.of("HEAD", "/nonce", 1));
        let client = bench.clone();
        let request = tokio::spawn(async move { client.get("HEAD", "/nonce").await });
        let watched = control.clone();
        assert!(tokio::task::spawn_blocking(move || watched.until_held(|| true)).await.unwrap());
        assert!(!request.is_finished());
        control.release();
        assert_eq!(request.await.unwrap().unwrap().0, 200);
    }
}

#[tokio::test]
async fn answers_are_late_where_it_is_asked_for() {
    let bench = bench().await;
    let control = bench.server.control();
    control.set_latency(Duration::from_millis(30));
    control.fail(Fault::Late(20).of("GET", "/directory", 1));
    assert_eq!(bench.get("GET", "/directory").await.unwrap().0, 200);
    assert!(control.requests()[0].ms >= 50.0, "{:?}", control.requests());
}

//! Validation against real servers on loopback.

use std::net::{Ipv4Addr, SocketAddr};

use livedns_sim::pki::TestCa;
use livedns_sim::{Control, Rrset, Simulator};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const ACCOUNT: &str = "https://example.com/acme/acct/ExampleAccount";

fn task(kind: &str, domain: &str, targets: Targets) -> Task {
    Task {
        kind: kind.to_owned(),
        identifier: Identifier { kind: "dns".to_owned(), value: domain.to_owned() },
        wildcard: false,
        token: "token".to_owned(),
        key_authorization: "token.thumbprint".to_owned(),
        account_url: ACCOUNT.to_owned(),
        issuers: vec!["ca.example".to_owned()],
        targets,
    }
}

fn proof_value() -> String {
    encode(digest(&SHA256, b"token.thumbprint"))
}

async fn dns() -> (Simulator, Control, Targets) {
    let tls = TestCa::new("test").unwrap().issue(&["localhost"]).unwrap();
    let simulator = Simulator::start(livedns_sim::Config::small("example.com", "token", tls)).await.unwrap();
    let targets = Targets { dns: Some(simulator.dns_addrs()[0]), ..Targets::default() };
    let control = simulator.control();
    (simulator, control, targets)
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn kind(result: Result<(), Problem>) -> String {
    result.map_or_else(|problem| problem.kind, |()| "good".to_owned())
}

#[test]
fn the_account_label_is_that_of_the_draft() {
    assert_eq!(account_label(ACCOUNT), "_ujmmovf2vn55tgye");
}

#[tokio::test]
async fn dns_01_looks_at_all_values_and_through_cnames() {
    let (_simulator, control, targets) = dns().await;
    let task = task("dns-01", "www.example.com", targets);
    assert_eq!(kind(look(&task).await), "dns");
    control.add_value("example.com", "_acme-challenge.www", "another", 300);
    assert_eq!(kind(look(&task).await), "unauthorized");
    control.add_value("example.com", "_acme-challenge.www", &proof_value(), 300);
    assert_eq!(look(&task).await, Ok(()));

    control.set_rrset("example.com", "_acme-challenge.www", "TXT", None);
    let alias = Rrset { ttl: 300, values: vec!["elsewhere.example.com.".to_owned()] };
    control.set_rrset("example.com", "_acme-challenge.www", "CNAME", Some(alias));
    assert_eq!(kind(look(&task).await), "dns");
    control.add_value("example.com", "elsewhere", &proof_value(), 300);
    assert_eq!(look(&task).await, Ok(()));
    // What does not fit into a datagram comes over TCP.
    for number in 0..60 {
        control.add_value("example.com", "elsewhere", &format!("{number}-{}", "x".repeat(60)), 300);
    }
    assert_eq!(look(&task).await, Ok(()));
    let own = Rrset { ttl: 300, values: vec!["_acme-challenge.www.example.com.".to_owned()] };
    control.set_rrset("example.com", "_acme-challenge.www", "CNAME", Some(own));
    assert_eq!(kind(look(&task).await), "dns");
}

#[tokio::test]
async fn dns_account_01_looks_below_the_accounts_label() {
    let (_simulator, control, targets) = dns().await;
    let task = task("dns-account-01", "example.com", targets);
    control.add_value("example.com", "_acme-challenge", &proof_value(), 300);
    assert_eq!(kind(look(&task).await), "dns");
    control.add_value("example.com", "_ujmmovf2vn55tgye._acme-challenge", &proof_value(), 300);
    assert_eq!(look(&task).await, Ok(()));
}

#[tokio::test]
async fn dns_persist_01_takes_a_record_of_the_name_or_a_wide_one_above() {
    let (_simulator, control, targets) = dns().await;
    let mut task = task("dns-persist-01", "www.example.com", targets);
    assert_eq!(kind(look(&task).await), "unauthorized");
    let record = format!("ca.example; accounturi={ACCOUNT}");
    control.add_value("example.com", "_validation-persist", &record, 300);
    assert_eq!(kind(look(&task).await), "unauthorized");
    let wide = format!("CA.example; accounturi={ACCOUNT}; policy=wildcard");
    control.add_value("example.com", "_validation-persist", &wide, 300);
    assert_eq!(look(&task).await, Ok(()));
    task.wildcard = true;
    assert_eq!(look(&task).await, Ok(()));

    control.remove_value("example.com", "_validation-persist", &wide);
    control.add_value("example.com", "_validation-persist.www", &record, 300);
    assert_eq!(kind(look(&task).await), "unauthorized");
    task.wildcard = false;
    assert_eq!(look(&task).await, Ok(()));
    task.issuers = vec!["other.example".to_owned()];
    assert_eq!(kind(look(&task).await), "unauthorized");
    task.issuers = vec!["other.example".to_owned(), "ca.example".to_owned()];
    task.account_url += "x";
    assert_eq!(kind(look(&task).await), "unauthorized");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure() {
    let (listener, address) = listener().await;
    drop(listener);
    let targets = Targets { dns: Some(address), http: Some(address), tls: Some(address) };
    assert_eq!(kind(look(&task("dns-01", "example.com", targets)).await), "dns");
    assert_eq!(kind(look(&task("http-01", "example.com", targets)).await), "connection");
    assert_eq!(kind(look(&task("tls-alpn-01", "example.com", targets)).await), "connection");
    assert_eq!(kind(look(&task("http-01", "example.com", Targets::default())).await), "connection");
    assert_eq!(kind(look(&task("pigeon-01", "example.com", targets)).await), "malformed");
}

/// Answers each connection with this, and gives what was asked.
fn answer_with(listener: TcpListener, answer: String) -> tokio::task::JoinHandle<String> {
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    })
}

#[tokio::test]
async fn http_01_asks_for_the_token_and_reads_the_answer() {
    let page = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let cases = [
        (page("200 OK", "token.thumbprint\r\n"), "good"),
        (page("200 OK", "token.another"), "unauthorized"),
        (page("404 Not Found", "token.thumbprint"), "unauthorized"),
        ("nonsense".to_owned(), "connection"),
    ];
    for (answer, expected) in cases {
        let (listener, address) = listener().await;
        let server = answer_with(listener, answer);
        let mut task = task("http-01", "example.com", Targets { http: Some(address), ..Targets::default() });
        task.identifier.value = "2001:db8::1".to_owned();
        assert_eq!(kind(look(&task).await), expected);
        let asked = server.await.unwrap();
        assert!(asked.starts_with("GET /.well-known/acme-challenge/token HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("host: [2001:db8::1]\r\n"), "{asked}");
    }
}

/// How tls-alpn-01 is answered for this name with this digest.
async fn tls_answer(name: &str, extension: Option<CustomExtension>, protocol: &[u8], domain: &str) -> String {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.custom_extensions.extend(extension);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    // `with_single_cert` reads the certificate and falls over the critical extension.
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![protocol.to_vec()];
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    });
    kind(look(&task("tls-alpn-01", domain, Targets { tls: Some(address), ..Targets::default() })).await)
}

#[tokio::test]
async fn tls_alpn_01_reads_the_certificate_to_its_end() {
    let right = || {
        let digest = digest(&SHA256, b"token.thumbprint");
        Some(CustomExtension::new_acme_identifier(digest.as_ref()))
    };
    let (protocol, name) = (&b"acme-tls/1"[..], "example.com");
    assert_eq!(tls_answer(name, right(), protocol, name).await, "good");
    assert_eq!(tls_answer("192.0.2.1", right(), protocol, "192.0.2.1").await, "good");
    assert_eq!(tls_answer("www.example.com", right(), protocol, name).await, "unauthorized");
    assert_eq!(tls_answer(name, None, protocol, name).await, "unauthorized");
    assert_eq!(tls_answer(name, right(), b"h2", name).await, "tls");
    let mut lax = right().unwrap();
    lax.set_criticality(false);
    assert_eq!(tls_answer(name, Some(lax), protocol, name).await, "unauthorized");
    let other = CustomExtension::new_acme_identifier(&[7; 32]);
    assert_eq!(tls_answer(name, Some(other), protocol, name).await, "unauthorized");
}

//! The listeners, from outside: real sockets, a real TLS client.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use x509_parser::prelude::*;

use super::*;

/// Long enough to be no reason for anything.
const PATIENT: Limits = Limits { connection_time: Duration::from_secs(3600), connections: CONNECTIONS };

fn selfhost(addresses: &[&str], limits: Limits) -> SelfHost {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    SelfHost::new(Settings { addresses, http_port: 0, tls_port: 0, limits })
}

fn file(token: &str) -> WebProof {
    WebProof::HttpFile { host: "a.example".into(), token: token.into(), body: format!("{token}.thumb") }
}

fn alpn(host: &str, digest: u8) -> WebProof {
    WebProof::AlpnCertificate { host: host.into(), digest: [digest; 32] }
}

/// Publishes `proofs` and gives the first address for their kind.
async fn publish(plugin: &SelfHost, proofs: &[WebProof]) -> SocketAddr {
    plugin.publish(proofs).await.unwrap();
    plugin.addresses(proofs[0].kind()).await[0]
}

/// All that comes back for these octets, until the other side closes.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await
}

const TOKEN_PATH: &str = "/.well-known/acme-challenge/token";

#[tokio::test]
async fn the_file_is_there_and_nothing_else() {
    let plugin = selfhost(&["127.0.0.1"], PATIENT);
    let address = publish(&plugin, &[file("token"), file("other")]).await;
    let answer = get(address, TOKEN_PATH).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ntoken.thumb"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("content-type: text/plain\r\n"), "{answer}");
    for path in
        ["/", "/token", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/tok", "/../token"]
    {
        assert!(get(address, path).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    for path in [&format!("{TOKEN_PATH}/"), "/.well-known/acme-challenge/x/../token"] {
        assert!(get(address, path).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    let post =
        format!("POST {TOKEN_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(exchange(address, post.as_bytes()).await.starts_with("HTTP/1.1 404 "));

    // Several requests on one connection, whatever their host is called.
    let both = format!(
        "GET {TOKEN_PATH} HTTP/1.1\r\nHost: a.example\r\n\r\nGET {TOKEN_PATH} HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(exchange(address, both.as_bytes()).await.matches("token.thumb").count(), 2);
    let old = format!("GET {TOKEN_PATH} HTTP/1.0\r\n\r\n");
    assert!(exchange(address, old.as_bytes()).await.ends_with("token.thumb"));

    assert!(plugin.withdraw(&[file("token")]).await.is_empty());
    assert!(get(address, TOKEN_PATH).await.starts_with("HTTP/1.1 404 "));
    assert!(get(address, "/.well-known/acme-challenge/other").await.ends_with("other.thumb"));
}

#[tokio::test]
async fn both_families_are_answered() {
    let plugin = selfhost(&[], PATIENT);
    publish(&plugin, &[file("token")]).await;
    let addresses = plugin.addresses(WebProofKind::HttpFile).await;
    for address in &addresses {
        let local: IpAddr = if address.is_ipv4() { [127, 0, 0, 1].into() } else { "::1".parse().unwrap() };
        assert!(get((local, address.port()).into(), TOKEN_PATH).await.ends_with("token.thumb"), "{address}");
    }
}

#[tokio::test]
async fn the_port_is_free_before_and_afterwards() {
    let plugin = selfhost(&["127.0.0.1"], PATIENT);
    let kinds = [WebProofKind::HttpFile, WebProofKind::AlpnCertificate];
    plugin.prepare(&kinds).await.unwrap();
    assert!(plugin.addresses(kinds[0]).await.is_empty());
    let proofs = [file("token"), alpn("a.example", 1)];
    for _ in 0..2 {
        plugin.publish(&proofs).await.unwrap();
    }
    let mut used = Vec::new();
    for kind in kinds {
        used.extend(plugin.addresses(kind).await);
    }
    assert_eq!(used.len(), 2);
    // An open connection keeps nothing open.
    let mut idle = TcpStream::connect(used[0]).await.unwrap();
    for address in &used {
        assert!(TcpListener::bind(address).await.is_err());
    }
    for _ in 0..2 {
        assert!(plugin.withdraw(&proofs).await.is_empty());
    }
    assert!(!matches!(idle.read(&mut [0]).await, Ok(1..)));
    for address in &used {
        socket::listen(&[address.ip()], address.port()).unwrap();
    }

    let address = publish(&plugin, &[file("token")]).await;
    drop(plugin);
    let free = || socket::listen(&[address.ip()], address.port()).is_ok();
    for _ in 0..1000 {
        if free() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still in use");
}

#[tokio::test]
async fn a_port_in_use_is_told_before_there_is_an_order() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plugin = selfhost(&["127.0.0.1"], PATIENT);
    plugin.settings.http_port = taken.local_addr().unwrap().port();
    for error in [
        plugin.prepare(&[WebProofKind::HttpFile]).await.unwrap_err(),
        plugin.publish(&[file("token")]).await.unwrap_err(),
    ] {
        assert!(matches!(error, PluginError::Web(WebError::PortInUse { .. })), "{error}");
    }
    plugin.prepare(&[WebProofKind::AlpnCertificate]).await.unwrap();
    assert!(plugin.withdraw(&[file("token")]).await.is_empty());
}

#[tokio::test]
async fn garbage_and_half_requests_are_cut_and_harm_nobody() {
    let short = Limits { connection_time: Duration::from_millis(50), connections: CONNECTIONS };
    let plugin = selfhost(&["127.0.0.1"], short);
    let proofs = [file("token"), alpn("a.example", 1)];
    let http = publish(&plugin, &proofs).await;
    let tls = plugin.addresses(WebProofKind::AlpnCertificate).await[0];
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000));
    let headers = format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(20_000));
    let rest: [&[u8]; 8] = [
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nhalf",
        long.as_bytes(),
        headers.as_bytes(),
    ];
    for address in [http, tls] {
        // All of them end: none waits for its client.
        let answers = join_all(rest.iter().map(|garbage| exchange(address, garbage))).await;
        assert!(answers.iter().all(|answer| !answer.contains(" 200 ")), "{answers:?}");
    }
    assert!(get(http, TOKEN_PATH).await.ends_with("token.thumb"));
    assert!(shake(tls, "a.example", &[b"acme-tls/1"], &rustls::version::TLS13).await.is_ok());
}

#[tokio::test]
async fn many_at_once_are_answered() {
    let plugin = selfhost(&["127.0.0.1"], PATIENT);
    let address = publish(&plugin, &[file("token")]).await;
    let answers = join_all((0..100).map(|_| get(address, TOKEN_PATH))).await;
    assert!(answers.iter().all(|answer| answer.ends_with("token.thumb")));
}

#[tokio::test]
async fn idle_connections_do_not_keep_others_out() {
    let plugin = selfhost(&["127.0.0.1"], Limits { connections: 4, ..PATIENT });
    let address = publish(&plugin, &[file("token")]).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /").await.unwrap();
        idle.push(stream);
    }
    assert!(get(address, TOKEN_PATH).await.ends_with("token.thumb"));
    // The oldest are gone.
    assert!(!matches!(idle[0].read(&mut [0]).await, Ok(1..)));
}

/// Takes whatever certificate comes: it is looked at afterwards.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        signed_by(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        signed_by(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// rustls itself refuses a certificate with a critical extension that it does not know.
fn signed_by(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    assert_eq!(signed.scheme, SignatureScheme::ECDSA_NISTP256_SHA256);
    let (_, certificate) = X509Certificate::from_der(certificate).unwrap();
    let key =
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &certificate.public_key().subject_public_key.data);
    let signature = key.verify(message, signed.signature());
    signature.map_err(|_| rustls::Error::General("signature".into()))?;
    Ok(HandshakeSignatureValid::assertion())
}

/// A handshake as a validating server does it: the certificate, if it comes to that and the protocol is agreed on.
async fn shake(
    address: SocketAddr,
    name: &str,
    protocols: &[&[u8]],
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    Ok(session.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn the_certificate_is_shown_to_those_who_ask_for_it() {
    let plugin = selfhost(&["127.0.0.1"], PATIENT);
    let proofs = [alpn("A.example", 7), alpn("192.0.2.7", 8), alpn("2001:db8::7", 9)];
    let address = publish(&plugin, &proofs).await;
    let v6 = format!("7.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23));
    let asked = [
        ("a.example", GeneralName::DNSName("A.example"), 7),
        ("7.2.0.192.in-addr.arpa", GeneralName::IPAddress(&[192, 0, 2, 7]), 8),
        (v6.as_str(), GeneralName::IPAddress(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), 9),
    ];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (name, expected, digest) in &asked {
            let der = shake(address, name, &[b"acme-tls/1"], version).await.unwrap();
            let (_, certificate) = X509Certificate::from_der(&der).unwrap();
            let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(names, std::slice::from_ref(expected));
            let id = oid_registry::Oid::from(&[1, 3, 6, 1, 5, 5, 7, 1, 31]).unwrap();
            let extension = certificate.get_extension_unique(&id).unwrap().unwrap();
            assert!(extension.critical);
            assert_eq!(extension.value, [&[4, 32][..], &[*digest; 32]].concat());
            assert_eq!(certificate.issuer(), certificate.subject());
        }
        for (name, protocols) in [
            ("a.example", &[][..]),
            ("a.example", &[&b"http/1.1"[..]]),
            ("a.example", &[b"acme-tls/1", b"http/1.1"]),
            ("b.example", &[b"acme-tls/1"]),
            ("x.a.example", &[b"acme-tls/1"]),
        ] {
            assert!(shake(address, name, protocols, version).await.is_err(), "{name} {protocols:?}");
        }
    }
    // Another proof for the same name is not ours to remove.
    assert!(plugin.withdraw(&[alpn("a.example", 1), proofs[1].clone()]).await.is_empty());
    let shown = |name: &'static str| shake(address, name, &[b"acme-tls/1"], &rustls::version::TLS13);
    assert!(shown("a.example").await.is_ok());
    assert!(shown("7.2.0.192.in-addr.arpa").await.is_err());
}

#[test]
fn arguments_are_checked() {
    let parse = |given: &[(&str, &'static str)]| {
        Settings::new(|name| given.iter().find(|(other, _)| *other == name).map(|(_, value)| *value))
    };
    let default = parse(&[]).unwrap();
    assert_eq!((default.http_port, default.tls_port, default.addresses.len()), (80, 443, 0));
    let all = [(PORT, "8080"), (TLS_PORT, "8443"), (ADDRESS, "192.0.2.1, [::1]"), (TIMEOUT, "120")];
    let settings = parse(&all).unwrap();
    assert_eq!((settings.http_port, settings.tls_port, settings.addresses.len()), (8080, 8443, 2));
    assert_eq!(settings.limits.connection_time, Duration::from_secs(120));
    assert_eq!(parse(&[(TIMEOUT, "30s")]).unwrap().limits.connection_time, Duration::from_secs(30));
    for wrong in
        [(PORT, "65536"), (TLS_PORT, "https"), (ADDRESS, "localhost"), (TIMEOUT, "0"), (TIMEOUT, "1h")]
    {
        let refused = parse(&[wrong]);
        assert!(matches!(&refused, Err(ArgumentError::Invalid { parameter, .. }) if *parameter == wrong.0));
    }
}

/// The variable that tells the test below that it is the inner process, with this socket passed to it.
#[cfg(target_os = "linux")]
const INNER: &str = "LIVECERT_TEST_PASSED_SOCKET";

/// As systemd does it: the socket is descriptor 3 of a process that never opened it.
#[cfg(target_os = "linux")]
#[test]
fn a_socket_that_is_passed_in_is_used() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Ok(address) = std::env::var(INNER) {
        runtime.block_on(async {
            // Nothing can listen on these ports but what was passed in.
            let mut plugin = selfhost(&["192.0.2.1"], PATIENT);
            (plugin.settings.http_port, plugin.settings.tls_port) = (80, 443);
            for _ in 0..2 {
                assert_eq!(publish(&plugin, &[file("token")]).await.to_string(), address);
                assert!(get(address.parse().unwrap(), TOKEN_PATH).await.ends_with("token.thumb"));
                assert!(plugin.withdraw(&[file("token")]).await.is_empty());
            }
        });
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let pass = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http exec \"$0\" \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", pass])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "plugin::selfhost::tests::a_socket_that_is_passed_in_is_used"])
        .env(INNER, address)
        .stdin(std::os::fd::OwnedFd::from(listener))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

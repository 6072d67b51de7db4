use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use testbed::AcmeSim;
use testbed::ca::Control;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::{Bench, document, expect, read, says, sent};

fn server(bench: &Bench) -> (AcmeSim, Control) {
    let server = bench.testbed.acme_sim("wished").unwrap();
    let control = server.control();
    (server, control)
}

/// The certificate request that was sent last, DER.
fn last_request(control: &Control) -> Vec<u8> {
    let requests = control.requests();
    let finalize = requests.iter().rev().find(|request| request.path.ends_with("/finalize")).unwrap();
    URL_SAFE_NO_PAD.decode(finalize.payload["csr"].as_str().unwrap()).unwrap()
}

/// The key of the current certificate, as `EC BITS` or `RSA BITS`.
fn key_of(bench: &Bench, cert: &str) -> String {
    let pem = read(&bench.cert(cert).join("current/cert.pem"));
    let (pem, _) = Pem::read(std::io::Cursor::new(pem.as_bytes())).unwrap();
    let certificate = pem.parse_x509().unwrap();
    match certificate.public_key().parsed().unwrap() {
        PublicKey::RSA(key) => format!("RSA {}", key.key_size()),
        PublicKey::EC(key) => format!("EC {}", key.key_size()),
        _ => panic!("another key"),
    }
}

#[test]
fn keys_of_every_type() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    for (kind, shown) in [
        ("ec-256", "EC 256"),
        ("ec-384", "EC 384"),
        ("rsa-2048", "RSA 2048"),
        ("rsa-2176", "RSA 2176"),
        ("rsa-3072", "RSA 3072"),
    ] {
        expect(&bench.issue_at(&server, &["example.com"], &["--key-type", kind]), 0);
        assert_eq!(key_of(&bench, "example.com"), shown);
    }
    // The server of our own does not know that curve.
    expect(&bench.issue(&["example.org"], &["--key-type", "ec-521"]), 0);
    assert!(key_of(&bench, "example.org").starts_with("EC 52"), "{}", key_of(&bench, "example.org"));

    // Each in a state folder of its own: one account each.
    for kind in ["ec-256", "ec-384", "ec-521", "rsa-2048", "rsa-2176"] {
        let livecert = bench.livecert.clone().at(&bench.testbed.folder().join(kind));
        let words = bench.words_at(&server, &["example.com"], &["--account-key-type", kind]);
        expect(&livecert.run(words).unwrap(), 0);
        expect(&livecert.run(["renew", "--force"]).unwrap(), 0);
        let outcome = livecert.run(["account", "rollover", "--server", &server.directory()]).unwrap();
        expect(&outcome, 0);
    }
    assert_eq!(control.accounts().len(), 6);
    for wrong in ["rsa-1024", "rsa-8192", "rsa-2049", "ec-224"] {
        let outcome = bench.issue_at(&server, &["example.com"], &["--key-type", wrong]);
        expect(&outcome, 2);
        says(&outcome, &[wrong, "rsa-2048 to rsa-4096"]);
    }
}

#[test]
fn requests_of_the_users_own() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["example.com".to_owned(), "www.example.com".to_owned()];
    let mut wish = rcgen::CertificateParams::new(names).unwrap();
    wish.distinguished_name = rcgen::DistinguishedName::new();
    let request = wish.serialize_request(&key).unwrap();
    let (pem, der) = (bench.testbed.folder().join("own.pem"), bench.testbed.folder().join("own.der"));
    std::fs::write(&pem, request.pem().unwrap()).unwrap();
    std::fs::write(&der, request.der()).unwrap();
    for (cert, file) in [("pem", &pem), ("der", &der)] {
        let file = file.display().to_string();
        let issued = bench.issue_at(&server, &[], &["--csr", &file, "--cert-name", cert]);
        expect(&issued, 0);
        assert_eq!(last_request(&control), request.der().as_ref());
        assert!(!bench.cert(cert).join("current/privkey.pem").exists());
        assert!(!issued.stdout.contains("privkey"), "{}", issued.stdout);
        let before = control.certificates().len();
        expect(&bench.run(&["renew", cert, "--force"]), 0);
        assert_eq!(control.certificates().len(), before + 1);
        assert_eq!(last_request(&control), request.der().as_ref());
    }
    control.clear_requests();
    let file = pem.display().to_string();
    for names in [&["example.com"][..], &["example.com", "other.example.com"]] {
        let outcome = bench.issue_at(&server, names, &["--csr", &file, "--cert-name", "other"]);
        expect(&outcome, 2);
        says(&outcome, &["is for example.com, www.example.com, not for", "next: leave the names out"]);
    }
    std::fs::write(&pem, "nothing of the kind").unwrap();
    let outcome = bench.issue_at(&server, &[], &["--csr", &file]);
    expect(&outcome, 2);
    says(&outcome, &["the certificate request cannot be used", "because:"]);
    assert_eq!(control.requests(), []);
}

#[test]
fn what_else_is_in_the_request() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    // RFC 7633: id-pe-tlsfeature.
    let tls_feature = [0x2b, 6, 1, 5, 5, 7, 1, 0x18];
    let has_feature = |der: &[u8]| der.windows(8).any(|window| window == tls_feature);
    let subject = |der: &[u8]| {
        let (_, csr) = x509_parser::certification_request::X509CertificationRequest::from_der(der).unwrap();
        csr.certification_request_info.subject.to_string()
    };
    expect(&bench.issue_at(&server, &["example.com"], &[]), 0);
    let plain = last_request(&control);
    assert!(!has_feature(&plain) && subject(&plain).is_empty());
    let more = ["--must-staple", "--subject", "example.com", "--lifetime-days", "30"];
    expect(&bench.issue_at(&server, &["example.com"], &more), 0);
    for _ in 0..2 {
        let wished = last_request(&control);
        assert!(has_feature(&wished));
        assert_eq!(subject(&wished), "CN=example.com");
        let order = control.orders().pop().unwrap();
        let life = order.not_after.unwrap().duration_since(order.not_before.unwrap());
        assert_eq!(life.as_hours(), 30 * 24);
        expect(&bench.run(&["renew", "--force"]), 0);
    }
    control.change(|behaviour| behaviour.refuse_dates = true);
    let outcome = bench.run(&["renew", "--force"]);
    expect(&outcome, 1);
    says(&outcome, &["notBefore and notAfter are not supported", "next: leave out --lifetime-days"]);
    expect(&bench.issue_at(&server, &["example.com"], &["--lifetime-days", "0"]), 0);
}

#[test]
fn profiles() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let last = || control.orders().pop().unwrap().profile;
    expect(&bench.issue_at(&server, &["example.com"], &["--profile", "shortlived"]), 0);
    assert_eq!(last().as_deref(), Some("shortlived"));
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(last().as_deref(), Some("shortlived"));
    control.clear_requests();
    let asked = || document(&bench.run(&["limits", "--json"]))["servers"].clone();
    let before = asked();
    let outcome = bench.issue_at(&server, &["example.org"], &["--profile", "tlsserver"]);
    // It is a wrong word, which costs nothing: neither an account nor what the CA allows.
    expect(&outcome, 2);
    assert_eq!(asked(), before);
    says(&outcome, &["does not offer the profile 'tlsserver' (it offers: classic, shortlived)", "next:"]);
    assert_eq!(sent(&control, "/order"), 0);
    expect(&bench.issue_at(&server, &["example.org"], &["--preferred-profile", "tlsserver"]), 0);
    assert_eq!(last(), None);
    expect(&bench.issue_at(&server, &["example.org"], &["--preferred-profile", "classic"]), 0);
    assert_eq!(last().as_deref(), Some("classic"));
}

#[test]
fn chains() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim_with("chains", |config| config.roots = 3).unwrap();
    let issuer = |cert: &str, file: &str| {
        let pem = read(&bench.cert(cert).join("current").join(file));
        let (pem, _) = Pem::read(std::io::Cursor::new(pem.as_bytes())).unwrap();
        pem.parse_x509().unwrap().issuer().to_string()
    };
    expect(&bench.issue_at(&server, &["example.com"], &["--cert-name", "usual"]), 0);
    assert_eq!(issuer("usual", "chain.pem"), "CN=chains Root 1");
    for number in 0..3 {
        let root = format!("CN=chains Root {}", number + 1);
        assert_eq!(issuer("usual", &format!("chain{number}.pem")), root);
    }
    let preferred = ["--cert-name", "other", "--preferred-chain", "chains Root 3"];
    expect(&bench.issue_at(&server, &["example.com"], &preferred), 0);
    assert_eq!(issuer("other", "chain.pem"), "CN=chains Root 3");
    expect(&bench.run(&["renew", "other", "--force"]), 0);
    assert_eq!(issuer("other", "chain.pem"), "CN=chains Root 3");
    let nobody = ["--cert-name", "nobody", "--preferred-chain", "Nobody's Root"];
    let outcome = bench.issue_at(&server, &["example.com"], &nobody);
    expect(&outcome, 0);
    says(&outcome, &["warning", "no chain is from 'Nobody's Root'", "chains Root 2"]);
    assert_eq!(issuer("nobody", "chain.pem"), "CN=chains Root 1");
}

#[test]
fn revocation_by_the_account_and_by_the_key() {
    let bench = Bench::new();
    let (server, control) = server(&bench);
    let revoked = || control.certificates().pop().unwrap().revoked;
    let reissue = || expect(&bench.issue_at(&server, &["example.com"], &["--force"]), 0);
    reissue();
    let outcome = bench.run(&["revoke", "example.com", "--reason", "because"]);
    expect(&outcome, 2);
    says(&outcome, &["because", "keyCompromise"]);
    expect(&bench.run(&["revoke", "example.com"]), 0);
    assert_eq!(revoked(), Some(0));
    let again = bench.run(&["revoke", "example.com"]);
    expect(&again, 1);
    says(&again, &["alreadyRevoked", "next:"]);
    reissue();
    expect(&bench.run(&["revoke", "example.com", "--reason", "superseded"]), 0);
    assert_eq!(revoked(), Some(4));

    reissue();
    let file = |name: &str| bench.cert("example.com").join("current").join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("privkey.pem"));
    let server_url = server.directory();
    let words = ["revoke", "--cert-file", &cert, "--key-file", &key, "--server", &server_url];
    let stranger = bench.livecert.clone().at(&bench.testbed.folder().join("stranger"));
    let outcome = stranger.run(["revoke", "--cert-file", &cert, "--server", &server_url]).unwrap();
    expect(&outcome, 2);
    says(&outcome, &["there is no account at", "next:"]);
    let more = ["--reason", "keyCompromise"];
    let outcome = stranger.run([&words[..], &more].concat()).unwrap();
    expect(&outcome, 0);
    assert_eq!(revoked(), Some(1));
    // A certificate that was revoked is renewed as any other.
    let shown = bench.run(&["renew", "--force", "--json"]);
    expect(&shown, 0);
    assert_eq!(document(&shown)["certificates"][0]["result"], "renewed");
}

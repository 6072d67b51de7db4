//! Certificates: what they are for, chains, renewal, revocation.

use super::*;

#[test]
fn an_order_becomes_a_certificate_with_alternate_chains() {
    let mut bench = Bench::new();
    let names = ["example.com", "*.example.com", "192.0.2.1", "2001:db8::1"];
    let (url, key) = bench.issue(&names, &[]);
    let reply = bench.look(&url);
    assert_eq!(header(&reply, "content-type"), Some("application/pem-certificate-chain"));
    let alternate = format!("<{url}/1>;rel=\"alternate\"");
    assert!(reply.headers.contains(&("link", alternate)), "{:?}", reply.headers);
    let other = bench.look(&format!("{url}/1"));
    let ends = |reply: &Reply| {
        let chain: Vec<_> = x509_parser::pem::Pem::iter_from_buffer(reply.body.as_bytes()).collect();
        assert_eq!(chain.len(), 2);
        let (leaf, intermediate) = (chain[0].as_ref().unwrap(), chain[1].as_ref().unwrap());
        let (leaf, intermediate) = (leaf.parse_x509().unwrap(), intermediate.parse_x509().unwrap());
        leaf.verify_signature(Some(intermediate.public_key())).unwrap();
        assert_eq!(leaf.public_key().raw, key.subject_public_key_info());
        intermediate.issuer().to_string()
    };
    assert_eq!((ends(&reply).as_str(), ends(&other).as_str()), ("CN=test Root 1", "CN=test Root 2"));
    refused(&bench.look(&format!("{url}/2")), 404, "malformed");
    // RFC 9773 §4.1: the id can be made from the certificate alone.
    let certificate = &bench.world.certificates[0];
    let (_, parsed) = X509Certificate::from_der(&certificate.der).unwrap();
    let identifier = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| encode(id.0)),
        _ => None,
    });
    assert_eq!(certificate.renewal_id, format!("{}.{}", identifier.unwrap(), encode(parsed.raw_serial())));
    let orders = body(&bench.look(&format!("{}/orders", bench.kid.clone())));
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_csr_is_that_of_the_order() {
    let mut bench = Bench::new();
    let order = body(&bench.order(&["example.com", "www.example.com"], &[]));
    let key = KeyPair::generate().unwrap();
    let good = csr(&["example.com", "www.example.com"], &key);
    refused(&bench.finalize(&order, &good), 403, "orderNotReady");
    bench.authorize(&order);
    refused(&bench.finalize(&order, &csr(&["example.com"], &key)), 400, "badCSR");
    refused(
        &bench.finalize(&order, &csr(&["example.com", "www.example.com", "a.example"], &key)),
        400,
        "badCSR",
    );
    refused(&bench.finalize(&order, b"no csr"), 400, "badCSR");
    let mut tampered = good.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    refused(&bench.finalize(&order, &tampered), 400, "badCSR");
    let padded = json!({"csr": URL_SAFE.encode(&good) + "="});
    refused(&bench.post(order["finalize"].as_str().unwrap(), padded), 400, "malformed");
    assert_eq!(body(&bench.finalize(&order, &good))["status"], "valid");
    refused(&bench.finalize(&order, &good), 403, "orderNotReady");
}

#[test]
fn profiles_and_dates_shape_the_certificate() {
    let mut bench = Bench::new();
    refused(&bench.order(&["example.com"], &[("profile", json!("unheard-of"))]), 400, "invalidProfile");
    bench.issue(&["example.com"], &[("profile", json!("shortlived"))]);
    let life = |certificate: &IssuedCertificate| {
        certificate.not_after.as_second() - certificate.not_before.as_second()
    };
    assert!((6 * 86_400 + 3600 - life(&bench.world.certificates[0])).abs() < 60);
    let dates = [("notBefore", json!("2030-01-01T00:00:00Z")), ("notAfter", json!("2030-01-03T00:00:00Z"))];
    bench.issue(&["example.com"], &dates);
    let (_, parsed) = X509Certificate::from_der(&bench.world.certificates[1].der).unwrap();
    assert_eq!(parsed.validity().not_before.timestamp(), 1_893_456_000);
    assert_eq!(life(&bench.world.certificates[1]), 2 * 86_400);
}

#[test]
fn renewals_are_advised_and_counted_once() {
    let mut bench = Bench::new();
    bench.issue(&["example.com"], &[]);
    let old = bench.world.certificates[0].renewal_id.clone();
    let info = bench.get(&format!("/renewal-info/{old}"));
    assert_eq!(header(&info, "retry-after"), Some("21600"));
    let start: Timestamp = body(&info)["suggestedWindow"]["start"].as_str().unwrap().parse().unwrap();
    assert!(start > Timestamp::now());
    let window = RenewalWindow {
        start: "2026-01-02T03:04:05Z".parse().unwrap(),
        end: "2026-01-03T00:00:00Z".parse().unwrap(),
        explanation: Some("https://acme-sim.example/why".into()),
    };
    bench.world.certificates[0].window = Some(window);
    let info = body(&bench.get(&format!("/renewal-info/{old}")));
    assert_eq!(info["suggestedWindow"]["start"], "2026-01-02T03:04:05Z");
    assert_eq!(info["explanationURL"], "https://acme-sim.example/why");
    refused(&bench.get("/renewal-info/AAAA.AAAA"), 404, "malformed");

    refused(&bench.order(&["example.com"], &[("replaces", json!("AAAA.AAAA"))]), 404, "malformed");
    refused(&bench.order(&["example.org"], &[("replaces", json!(old))]), 400, "malformed");
    bench.issue(&["example.com"], &[("replaces", json!(old))]);
    assert!(bench.world.certificates[0].replaced_by.is_some());
    refused(&bench.order(&["example.com"], &[("replaces", json!(old))]), 409, "alreadyReplaced");
    bench.key = Key::p384();
    bench.register(json!({"termsOfServiceAgreed": true}));
    bench.kid = bench.world.accounts[1].url.clone();
    let newer = bench.world.certificates[1].renewal_id.clone();
    refused(&bench.order(&["example.com"], &[("replaces", json!(newer))]), 403, "unauthorized");
}

#[test]
fn a_certificate_is_revoked_by_its_account_or_its_key() {
    let mut bench = Bench::new();
    bench.issue(&["example.com"], &[]);
    let pair = Key::p256();
    let (revoke, of) = (format!("{BASE}/revoke"), |index: usize, bench: &Bench| {
        encode(&bench.world.certificates[index].der)
    });
    let certificate = of(0, &bench);
    let request = |reason: u8| json!({"certificate": certificate, "reason": reason});
    refused(&bench.post(&revoke, request(2)), 400, "badRevocationReason");
    refused(&bench.post(&revoke, json!({"certificate": "AAAA"})), 404, "malformed");
    let by_key = |bench: &mut Bench, key: &Key, payload: &Value| {
        let header = json!({"alg": key.alg(), "nonce": bench.world.nonce(), "url": revoke, "jwk": key.jwk()});
        let jws = key.jws(&header, &payload.to_string());
        bench.send(Method::POST, &revoke, &jws).reply
    };
    refused(&by_key(&mut bench, &pair, &request(1)), 403, "unauthorized");
    assert_eq!(bench.post(&revoke, request(1)).status, 200);
    refused(&bench.post(&revoke, request(1)), 400, "alreadyRevoked");
    assert_eq!(bench.world.certificates[0].revoked, Some(1));

    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (key, subject) = (Key(Pair::Ring("P-256", key)), KeyPair::try_from(pkcs8.as_ref()).unwrap());
    let order = body(&bench.order(&["example.com"], &[]));
    bench.authorize(&order);
    assert_eq!(body(&bench.finalize(&order, &csr(&["example.com"], &subject)))["status"], "valid");
    let certificate = json!({"certificate": of(1, &bench)});
    assert_eq!(by_key(&mut bench, &key, &certificate).status, 200);
    assert_eq!(bench.world.certificates[1].revoked, Some(0));
}

#[test]
fn a_wrong_certificate_is_wrong() {
    let mut bench = Bench::new();
    bench.world.behaviour.wrong_certificate = Some(WrongCertificate::OtherKey);
    let (_, key) = bench.issue(&["example.com", "www.example.com"], &[]);
    bench.world.behaviour.wrong_certificate = Some(WrongCertificate::MissingName);
    bench.issue(&["example.com", "www.example.com"], &[]);
    let (_, other) = X509Certificate::from_der(&bench.world.certificates[0].der).unwrap();
    assert_ne!(other.public_key().raw, key.subject_public_key_info());
    let (_, missing) = X509Certificate::from_der(&bench.world.certificates[1].der).unwrap();
    let names = missing.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 1);
}

//! Requests that are signed wrongly, or by somebody else.

use super::*;

#[test]
fn all_curves_can_sign() {
    for key in [Key::p256(), Key::p384(), Key::p521()] {
        let mut bench = Bench::with_key(key);
        let kid = bench.kid.clone();
        let account = body(&bench.look(&kid));
        assert_eq!(
            (&account["status"], &account["contact"]),
            (&"valid".into(), &json!(["mailto:a@example.com"]))
        );
    }
}

#[test]
fn a_request_has_to_be_signed_right() {
    let mut bench = Bench::new();
    let url = format!("{BASE}/order");
    let payload = json!({"identifiers": [{"type": "dns", "value": "example.com"}]}).to_string();
    let attempt = |bench: &mut Bench, change: &dyn Fn(&mut Value)| {
        let mut header = bench.header(&url);
        change(&mut header);
        let jws = bench.key.jws(&header, &payload);
        bench.send(Method::POST, &url, &jws).reply
    };
    assert_eq!(attempt(&mut bench, &|_| ()).status, 201);
    let jwk = bench.key.jwk();
    refused(&attempt(&mut bench, &|header| header["jwk"] = jwk.clone()), 400, "malformed");
    refused(
        &attempt(&mut bench, &|header| drop(header.as_object_mut().unwrap().remove("kid"))),
        400,
        "malformed",
    );
    refused(
        &attempt(&mut bench, &|header| header["url"] = "https://localhost/order".into()),
        403,
        "unauthorized",
    );
    refused(
        &attempt(&mut bench, &|header| drop(header.as_object_mut().unwrap().remove("url"))),
        400,
        "malformed",
    );
    refused(&attempt(&mut bench, &|header| header["alg"] = "ES384".into()), 400, "malformed");
    refused(&attempt(&mut bench, &|header| header["crit"] = json!(["exp"])), 400, "malformed");
    for alg in ["none", "HS256", "PS256"] {
        let reply = attempt(&mut bench, &|header| header["alg"] = alg.into());
        refused(&reply, 400, "badSignatureAlgorithm");
        assert_eq!(body(&reply)["algorithms"], json!(["ES256", "ES384", "ES512", "RS256"]));
    }
    let unknown = format!("{BASE}/account/nobody");
    refused(
        &attempt(&mut bench, &|header| header["kid"] = unknown.as_str().into()),
        400,
        "accountDoesNotExist",
    );
    refused(
        &attempt(&mut bench, &|header| drop(header.as_object_mut().unwrap().remove("nonce"))),
        400,
        "badNonce",
    );
    refused(&attempt(&mut bench, &|header| header["nonce"] = "AAAA".into()), 400, "badNonce");
    refused(&attempt(&mut bench, &|header| header["nonce"] = "no nonce!".into()), 400, "malformed");
    assert_eq!(bench.world.orders.len(), 1);
}

#[test]
fn a_key_and_an_account_are_one_too_many() {
    let mut bench = Bench::new();
    let url = format!("{BASE}/account");
    let mut header = bench.header(&url);
    header["jwk"] = bench.key.jwk();
    let jws = bench.key.jws(&header, r#"{"onlyReturnExisting":true}"#);
    refused(&bench.send(Method::POST, &url, &jws).reply, 400, "malformed");
    header.as_object_mut().unwrap().remove("kid");
    let jws = bench.key.jws(&header, r#"{"onlyReturnExisting":true}"#);
    // The nonce is still good: it is looked at last.
    assert_eq!(bench.send(Method::POST, &url, &jws).reply.status, 200);
}

#[test]
fn a_nonce_is_good_once() {
    let mut bench = Bench::new();
    let kid = bench.kid.clone();
    let header = bench.header(&kid);
    let jws = bench.key.jws(&header, "");
    assert_eq!(bench.send(Method::POST, &kid, &jws).reply.status, 200);
    refused(&bench.send(Method::POST, &kid, &jws).reply, 400, "badNonce");
    bench.world.behaviour.nonce_reject = 100;
    refused(&bench.look(&kid), 400, "badNonce");
}

#[test]
fn nothing_of_a_jws_can_be_changed() {
    let mut bench = Bench::new();
    let kid = bench.kid.clone();
    let mut attempt = |change: &dyn Fn(&mut Value)| {
        let header = bench.header(&kid);
        let mut jws = bench.key.jws(&header, "{}");
        change(&mut jws);
        bench.send(Method::POST, &kid, &jws).reply
    };
    assert_eq!(attempt(&|_| ()).status, 200);
    refused(&attempt(&|jws| jws["payload"] = encode(r#"{"status":"deactivated"}"#).into()), 400, "malformed");
    refused(&attempt(&|jws| jws["payload"] = "".into()), 400, "malformed");
    refused(&attempt(&|jws| jws["payload"] = URL_SAFE.encode("{}").into()), 400, "malformed");
    refused(&attempt(&|jws| jws["signature"] = "".into()), 400, "malformed");
    refused(&attempt(&|jws| jws["header"] = json!({})), 400, "malformed");
    refused(&attempt(&|jws| jws["signatures"] = json!([])), 400, "malformed");
    let flip = |jws: &mut Value| {
        let mut signature = decode(jws["signature"].as_str().unwrap()).unwrap();
        signature[5] ^= 1;
        jws["signature"] = encode(signature).into();
    };
    refused(&attempt(&flip), 400, "malformed");
    let pad = |jws: &mut Value| jws["signature"] = format!("{}==", jws["signature"].as_str().unwrap()).into();
    refused(&attempt(&pad), 400, "malformed");
}

#[test]
fn the_content_type_is_looked_at() {
    let mut bench = Bench::new();
    let kid = bench.kid.clone();
    let header = bench.header(&kid);
    let body = bench.key.jws(&header, "").to_string();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let path = kid.strip_prefix(BASE).unwrap().to_owned();
    let request =
        Request { method: Method::POST, base: BASE.into(), path, query: None, headers, body: body.into() };
    refused(&bench.world.answer(&request).reply, 415, "malformed");
}

#[test]
fn what_is_read_is_read_with_post() {
    let mut bench = Bench::new();
    let path = bench.kid.strip_prefix(BASE).unwrap().to_owned();
    refused(&bench.get(&path), 405, "malformed");
    let order = body(&bench.order(&["example.com"], &[]));
    let url = order["authorizations"][0].as_str().unwrap();
    refused(&bench.post(url, json!({})), 400, "malformed");
    let directory = bench.get("/directory");
    assert_eq!(body(&directory)["meta"]["caaIdentities"], json!(["acme-sim.example"]));
    assert_eq!(header(&directory, "link"), Some("<https://localhost:14000/directory>;rel=\"index\""));
}

#[test]
fn another_accounts_things_stay_its_own() {
    let mut bench = Bench::new();
    let (certificate, _) = bench.issue(&["example.com"], &[]);
    let order = bench.world.orders[0].id.clone();
    let authorization = bench.world.authorizations[0].id.clone();
    let first = bench.kid.clone();
    bench.key = Key::p384();
    bench.register(json!({"termsOfServiceAgreed": true}));
    bench.kid = bench.world.accounts[1].url.clone();
    let urls = [
        certificate,
        format!("{BASE}/order/{order}"),
        format!("{BASE}/authorization/{authorization}"),
        first.clone(),
        format!("{first}/orders"),
    ];
    for url in urls {
        refused(&bench.look(&url), 403, "unauthorized");
    }
    let revoke = json!({"certificate": encode(&bench.world.certificates[0].der)});
    refused(&bench.post_to("/revoke", revoke), 403, "unauthorized");
}

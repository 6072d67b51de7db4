//! Accounts: found, changed, bound, ended.

use super::*;

#[test]
fn accounts_are_found_changed_and_ended() {
    let mut bench = Bench::new();
    let kid = bench.kid.clone();
    let again = bench.register(json!({"onlyReturnExisting": true}));
    assert_eq!((again.status, header(&again, "location")), (200, Some(kid.as_str())));
    let changed = bench.post(&kid, json!({"contact": []}));
    assert_eq!(body(&changed)["contact"], Value::Null);
    refused(&bench.post(&kid, json!({"contact": ["tel:1"]})), 400, "unsupportedContact");
    refused(&bench.post(&kid, json!({"contact": ["mailto:nobody"]})), 400, "invalidContact");
    bench.world.behaviour.contacts = Contacts::Unsupported;
    refused(&bench.post(&kid, json!({"contact": ["mailto:a@example.com"]})), 400, "unsupportedContact");
    bench.world.behaviour.refuse_account_lookup = true;
    refused(&bench.look(&kid), 405, "malformed");
    assert_eq!(body(&bench.post(&kid, json!({"status": "deactivated"})))["status"], "deactivated");
    refused(&bench.order(&["example.com"], &[]), 403, "unauthorized");
    refused(&bench.register(json!({"onlyReturnExisting": true})), 403, "unauthorized");
    bench.key = Key::p384();
    refused(&bench.register(json!({"onlyReturnExisting": true})), 400, "accountDoesNotExist");
    refused(&bench.register(json!({})), 403, "userActionRequired");
    bench.world.accounts.clear();
    refused(&bench.look(&kid), 400, "accountDoesNotExist");
}

#[test]
fn accounts_are_bound_where_it_is_asked_for() {
    let mut bench = Bench::new();
    bench.world.behaviour.external_account_required = true;
    bench.world.external_accounts.insert("kid-1".into(), encode("a secret"));
    let agreed = json!({"termsOfServiceAgreed": true});
    let url = format!("{BASE}/account");
    for algorithm in
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        bench.key = Key::p256();
        refused(&bench.register(agreed.clone()), 403, "externalAccountRequired");
        let bind = |kid: &str, secret: &str, jwk: &Value, url: &str| {
            let protected = encode(json!({"alg": algorithm.0, "kid": kid, "url": url}).to_string());
            let payload = encode(jwk.to_string());
            let key = hmac::Key::new(algorithm.1, secret.as_bytes());
            let signature = encode(hmac::sign(&key, format!("{protected}.{payload}").as_bytes()));
            let mut request = agreed.clone();
            request["externalAccountBinding"] =
                json!({"protected": protected, "payload": payload, "signature": signature});
            request
        };
        let jwk = bench.key.jwk();
        refused(&bench.register(bind("kid-1", "another", &jwk, &url)), 403, "unauthorized");
        refused(&bench.register(bind("kid-2", "a secret", &jwk, &url)), 403, "unauthorized");
        refused(&bench.register(bind("kid-1", "a secret", &jwk, BASE)), 403, "unauthorized");
        refused(&bench.register(bind("kid-1", "a secret", &Key::p256().jwk(), &url)), 400, "malformed");
        assert_eq!(bench.register(bind("kid-1", "a secret", &jwk, &url)).status, 201);
    }
}

#[test]
fn a_key_is_changed_by_both_keys() {
    let mut bench = Bench::new();
    let (url, kid) = (format!("{BASE}/key-change"), bench.kid.clone());
    let new = Key::p384();
    let change = |old: Value, account: &str, more: Value| {
        let mut header = json!({"alg": new.alg(), "jwk": new.jwk(), "url": url});
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        new.jws(&header, &json!({"account": account, "oldKey": old}).to_string())
    };
    let old = bench.key.jwk();
    refused(&bench.post(&url, change(new.jwk(), &kid, json!({}))), 400, "malformed");
    refused(&bench.post(&url, change(old.clone(), "https://nobody", json!({}))), 400, "accountDoesNotExist");
    refused(&bench.post(&url, change(old.clone(), &kid, json!({"nonce": "AAAA"}))), 400, "malformed");
    refused(&bench.post(&url, change(old.clone(), &kid, json!({"url": BASE}))), 403, "unauthorized");
    assert_eq!(bench.post(&url, change(old.clone(), &kid, json!({}))).status, 200);
    refused(&bench.look(&kid), 400, "malformed");
    let again = change(old, &kid, json!({}));
    bench.key = new;
    assert_eq!(bench.look(&kid).status, 200);
    refused(&bench.post(&url, again), 400, "malformed");
}

#[test]
fn a_key_in_use_is_not_taken() {
    let mut bench = Bench::new();
    let (first, kid) = (std::mem::replace(&mut bench.key, Key::p384()), bench.kid.clone());
    assert_eq!(bench.register(json!({"termsOfServiceAgreed": true})).status, 201);
    let second = std::mem::replace(&mut bench.key, first);
    let url = format!("{BASE}/key-change");
    let protected = json!({"alg": second.alg(), "jwk": second.jwk(), "url": url});
    let inner = second.jws(&protected, &json!({"account": kid, "oldKey": bench.key.jwk()}).to_string());
    let reply = bench.post(&url, inner);
    refused(&reply, 409, "malformed");
    assert_eq!(header(&reply, "location"), Some(bench.world.accounts[1].url.as_str()));
}

#[test]
fn new_terms_are_agreed_to_first() {
    let mut bench = Bench::new();
    let v2 = "https://acme-sim.example/terms/v2";
    bench.world.behaviour.terms = Some(v2.to_owned());
    let reply = bench.order(&["example.com"], &[]);
    refused(&reply, 403, "userActionRequired");
    assert_eq!(header(&reply, "link"), Some("<https://acme-sim.example/terms/v2>;rel=\"terms-of-service\""));
    let instance = body(&reply)["instance"].as_str().unwrap().to_owned();
    assert_eq!(bench.get(instance.strip_prefix(BASE).unwrap()).status, 200);
    assert_eq!(bench.order(&["example.com"], &[]).status, 201);
}

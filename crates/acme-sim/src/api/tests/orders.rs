//! Orders and authorizations, and the switches that shape them.

use super::*;

#[test]
fn identifiers_have_to_be_ones() {
    let mut bench = Bench::new();
    for bad in
        ["Example.com", "example.com.", "example", "-a.example", "*.*.example.com", "a..b", "1.2.3", ""]
    {
        refused(&bench.order(&[bad], &[]), 400, "malformed");
    }
    refused(&bench.order(&["2001:DB8::1"], &[]), 400, "malformed");
    refused(&bench.order(&["example.com", "example.com"], &[]), 400, "malformed");
    refused(&bench.order(&[], &[]), 400, "malformed");
    let email = json!({"identifiers": [{"type": "email", "value": "a@example.com"}]});
    refused(&bench.post_to("/order", email), 400, "unsupportedIdentifier");
    bench.world.behaviour.rejected = vec!["bad.example".into()];
    let reply = bench.order(&["example.com", "bad.example"], &[]);
    refused(&reply, 403, "rejectedIdentifier");
    assert_eq!(body(&reply)["subproblems"][0]["identifier"]["value"], "bad.example");
}

#[test]
fn each_identifier_gets_the_challenges_that_fit() {
    let mut bench = Bench::new();
    let order = body(&bench.order(&["example.com", "*.example.com", "192.0.2.1"], &[]));
    let kinds: Vec<Vec<String>> = (0..3)
        .map(|index| {
            let authorization = body(&bench.look(order["authorizations"][index].as_str().unwrap()));
            let challenges = authorization["challenges"].as_array().unwrap().clone();
            challenges.iter().map(|challenge| challenge["type"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(kinds[0], ["http-01", "dns-01", "tls-alpn-01", "dns-account-01", "dns-persist-01"]);
    assert_eq!(kinds[1], ["dns-01", "dns-account-01", "dns-persist-01"]);
    assert_eq!(kinds[2], ["http-01", "tls-alpn-01"]);
    let wildcard = body(&bench.look(order["authorizations"][1].as_str().unwrap()));
    assert_eq!(
        (&wildcard["wildcard"], &wildcard["identifier"]["value"]),
        (&true.into(), &"example.com".into())
    );
    let persist = &wildcard["challenges"][2];
    assert_eq!(persist["issuer-domain-names"], json!(["acme-sim.example"]));
    assert_eq!((&persist["accounturi"], &persist["token"]), (&bench.kid.as_str().into(), &Value::Null));
}

#[test]
fn what_fails_or_is_given_up_ends_the_order() {
    let mut bench = Bench::new();
    let order = bench.order(&["example.com"], &[]);
    let location = header(&order, "location").unwrap().to_owned();
    let authorization = body(&order)["authorizations"][0].as_str().unwrap().to_owned();
    let challenge = body(&bench.look(&authorization))["challenges"][1]["url"].as_str().unwrap().to_owned();
    let started = bench.outcome(&challenge, "{}").started.unwrap();
    assert_eq!(bench.outcome(&challenge, "{}").started, None);
    bench.world.validated(&started, Err(Problem::new(400, "dns", "nothing there")));
    let shown = body(&bench.look(&authorization));
    assert_eq!(
        (&shown["status"], shown["challenges"].as_array().map(Vec::len)),
        (&"invalid".into(), Some(1))
    );
    assert_eq!(shown["challenges"][0]["error"]["detail"], "nothing there");
    assert_eq!(body(&bench.look(&location))["status"], "invalid");

    let order = bench.order(&["example.com"], &[]);
    let location = header(&order, "location").unwrap().to_owned();
    let authorization = body(&order)["authorizations"][0].as_str().unwrap().to_owned();
    let over = bench.post(&authorization, json!({"status": "deactivated"}));
    assert_eq!(body(&over)["status"], "deactivated");
    assert_eq!(body(&bench.look(&location))["status"], "invalid");
}

#[test]
fn finalization_takes_its_time_or_fails() {
    let mut bench = Bench::new();
    let key = KeyPair::generate().unwrap();
    let request = csr(&["example.com"], &key);
    bench.world.behaviour.ready_at_once = true;
    bench.world.behaviour.retry_after = RetryAfter::Seconds(3);
    let mut finalized = |how: Finalize| {
        bench.world.behaviour.finalize = how;
        let order = bench.order(&["example.com"], &[]);
        assert_eq!(body(&order)["status"], "ready");
        let reply = bench.finalize(&body(&order), &request);
        let location = header(&order, "location").unwrap().to_owned();
        let mut states =
            vec![(reply.status, body(&reply)["status"].clone(), header(&reply, "retry-after").is_some())];
        for _ in 0..3 {
            let reply = bench.look(&location);
            states.push((
                reply.status,
                body(&reply)["status"].clone(),
                header(&reply, "retry-after").is_some(),
            ));
        }
        states
    };
    let (processing, valid) = ((200, json!("processing"), true), (200, json!("valid"), false));
    assert_eq!(finalized(Finalize::AtOnce), vec![valid.clone(); 4]);
    let twice = [processing.clone(), processing.clone(), processing.clone(), valid];
    assert_eq!(finalized(Finalize::Processing(2)), twice);
    assert_eq!(finalized(Finalize::Held), vec![processing; 4]);
    assert_eq!(finalized(Finalize::Fails("serverInternal".into())), vec![(200, json!("invalid"), false); 4]);
    bench.world.behaviour.retry_after = RetryAfter::Date(3);
    let when = retry_after(bench.world.behaviour.retry_after).unwrap().1;
    assert!(httpdate::parse_http_date(&when).unwrap() > std::time::SystemTime::now());
}

#[test]
fn new_orders_are_refused_in_many_ways() {
    let mut bench = Bench::new();
    bench.world.behaviour.new_order = NewOrder::RateLimited;
    let reply = bench.order(&["example.com"], &[]);
    refused(&reply, 429, "rateLimited");
    assert_eq!(header(&reply, "retry-after"), Some("3600"));
    bench.world.behaviour.new_order = NewOrder::Paused;
    let reply = bench.order(&["example.com"], &[]);
    refused(&reply, 429, "rateLimited");
    assert!(body(&reply)["detail"].as_str().unwrap().contains("/sfe/v1/unpause?jwt="));
    bench.world.behaviour.new_order = NewOrder::ServerInternal;
    refused(&bench.order(&["example.com"], &[]), 500, "serverInternal");
    bench.world.behaviour.new_order = NewOrder::Accept;
    bench.world.behaviour.refuse_dates = true;
    let date = ("notAfter", json!("2031-01-01T00:00:00Z"));
    refused(&bench.order(&["example.com"], &[date]), 400, "malformed");
}

#[test]
fn authorizations_are_used_again_where_it_is_the_rule() {
    let mut bench = Bench::new();
    bench.issue(&["example.com"], &[]);
    let fresh = body(&bench.order(&["example.com"], &[]));
    assert_eq!(fresh["status"], "pending");
    bench.world.behaviour.authz_reuse = true;
    let again = body(&bench.order(&["example.com"], &[]));
    assert_eq!(again["status"], "ready");
    assert_eq!(body(&bench.order(&["*.example.com"], &[]))["status"], "pending");
    let of = |authorization: &Authorization| authorization.identifier.value == "example.com";
    assert_eq!(bench.world.authorizations.iter().filter(|authorization| of(authorization)).count(), 3);

    refused(&bench.post_to("/authorization", json!({})), 404, "malformed");
    bench.world.behaviour.new_authz = true;
    let before = json!({"identifier": {"type": "dns", "value": "example.net"}});
    let reply = bench.post_to("/authorization", before);
    assert_eq!((reply.status, &body(&reply)["status"]), (201, &"pending".into()));
    let wildcard = json!({"identifier": {"type": "dns", "value": "*.example.net"}});
    refused(&bench.post_to("/authorization", wildcard), 400, "malformed");
}

#[test]
fn things_nobody_knows_are_mixed_in() {
    let mut bench = Bench::new();
    bench.world.behaviour.unknown_things = true;
    bench.world.behaviour.missing_challenge_status = true;
    bench.world.behaviour.missing_expires = true;
    let order = body(&bench.order(&["example.com"], &[]));
    assert!(order["x-acme-sim"].is_object() && order["expires"].is_null());
    let authorization = body(&bench.look(order["authorizations"][0].as_str().unwrap()));
    assert_eq!(authorization["challenges"].as_array().map(Vec::len), Some(7));
    assert!(authorization["challenges"][1]["status"].is_null());
}

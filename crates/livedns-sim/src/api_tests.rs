use std::time::Instant;

use super::*;
use crate::behaviour::{BesideCname, Patch, Superfluous};
use crate::config::{ApiKeyConfig, TokenConfig};
use crate::state::{Rrset, Zone};

const TXT: &str = "/v5/livedns/domains/example.com/records/_a/TXT";

fn world() -> World {
    let mut limited = TokenConfig::new("limited");
    limited.domains = vec!["example.org".to_owned()];
    let mut reading = TokenConfig::new("reading");
    reading.scopes = vec!["domain:view".to_owned()];
    let mut ended = TokenConfig::new("ended");
    ended.expires_in = -1;
    let zones = ["example.com", "example.org"].map(|zone| (zone.to_owned(), Zone::default()));
    World {
        zones: Zones(zones.into()),
        credentials: Credentials {
            tokens: vec![TokenConfig::new("token"), limited, reading, ended],
            api_keys: vec![ApiKeyConfig { key: "key".to_owned() }],
            since: Instant::now(),
        },
        behaviour: Behaviour::default(),
    }
}

fn ask_as(world: &mut World, authorization: &str, method: Method, path: &str, body: &str) -> (u16, Value) {
    let mut headers = HeaderMap::new();
    if !authorization.is_empty() {
        headers.insert("authorization", authorization.parse().unwrap());
    }
    headers.insert("content-type", "application/json".parse().unwrap());
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let request = Request { method, path, query, headers, body: Bytes::from(body.to_owned()) };
    let reply = world.answer(&request).0;
    (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::Null))
}

fn ask(world: &mut World, method: Method, path: &str, body: &str) -> (u16, Value) {
    ask_as(world, "Bearer token", method, path, body)
}

#[test]
fn credentials_are_refused_as_gandi_does() {
    let world = &mut world();
    let mut get = |authorization: &str| {
        let (status, body) = ask_as(world, authorization, Method::GET, "/v5/livedns/domains/example.com", "");
        (status, body["object"].as_str().map(str::to_owned))
    };
    for nothing in ["", "Bearer ", "Basic x", "token"] {
        assert_eq!(get(nothing), (401, None), "{nothing}");
    }
    assert_eq!(get("Bearer wrong"), (403, Some("HTTPForbidden".into())));
    assert_eq!(get("Apikey wrong"), (401, Some("HTTPUnauthorized".into())));
    assert_eq!(get("Bearer ended"), (401, Some("HTTPUnauthorized".into())));
    assert_eq!(get("Bearer limited"), (404, Some("HTTPNotFound".into())));
    assert_eq!(get("Apikey key").0, 200);
    assert_eq!(ask_as(world, "Bearer reading", Method::DELETE, TXT, "").0, 403);
    assert_eq!(ask_as(world, "Bearer reading", Method::GET, TXT, "").0, 404);
}

#[test]
fn post_creates_and_put_replaces_with_its_ttl() {
    let world = &mut world();
    assert_eq!(ask(world, Method::GET, TXT, "").1["object"], "dns-record");
    let one = r#"{"rrset_ttl":600,"rrset_values":["one"]}"#;
    assert_eq!(ask(world, Method::POST, TXT, one).0, 201);
    assert_eq!(ask(world, Method::POST, TXT, one).0, 200);
    assert_eq!(ask(world, Method::POST, TXT, r#"{"rrset_values":["two"]}"#).0, 409);
    assert_eq!(ask(world, Method::GET, TXT, "").1["rrset_values"], json!(["\"one\""]));
    assert_eq!(ask(world, Method::PUT, TXT, r#"{"rrset_values":["two","\"one\""]}"#).0, 201);
    let there = ask(world, Method::GET, TXT, "").1;
    assert_eq!(
        (&there["rrset_ttl"], &there["rrset_values"]),
        (&json!(10800), &json!(["\"two\"", "\"one\""]))
    );
    assert_eq!(ask(world, Method::DELETE, TXT, "").0, 204);
    assert_eq!(ask(world, Method::GET, TXT, "").0, 404);
}

#[test]
fn wrong_content_is_refused() {
    let world = &mut world();
    for body in [
        r#"{"rrset_ttl":299,"rrset_values":["x"]}"#,
        r#"{"rrset_values":["x","\"x\""]}"#,
        r#"{"rrset_values":["ü"]}"#,
        r#"{"rrset_values":[]}"#,
        "{}",
        "<html>",
    ] {
        let (status, said) = ask(world, Method::POST, TXT, body);
        assert_eq!((status, &said["status"]), (400, &json!("error")), "{body}");
    }
    let trailing = TXT.replace("_a", "_a.");
    assert_eq!(ask(world, Method::POST, &trailing, r#"{"rrset_values":["x"]}"#).0, 400);
    ask(world, Method::POST, TXT, r#"{"rrset_values":["x"]}"#);
    let other_case = TXT.replace("_a", "_A");
    assert_eq!(ask(world, Method::PUT, &other_case, r#"{"rrset_values":["x"]}"#).0, 500);
    let cname = TXT.replace("TXT", "CNAME");
    assert_eq!(ask(world, Method::POST, &cname, r#"{"rrset_values":["a.example."]}"#).0, 409);
}

#[test]
fn patch_adds_and_removes_single_values() {
    let world = &mut world();
    assert_eq!(ask(world, Method::PATCH, TXT, r#"{"add_rrset_values":["x"]}"#).0, 404);
    ask(world, Method::POST, TXT, r#"{"rrset_ttl":600,"rrset_values":["one"]}"#);
    let (status, now) = ask(world, Method::PATCH, TXT, r#"{"add_rrset_values":["two"]}"#);
    assert_eq!((status, &now["rrset_values"]), (200, &json!(["\"one\"", "\"two\""])));
    assert_eq!(now["rrset_ttl"], 600);
    ask(world, Method::PATCH, TXT, r#"{"remove_rrset_values":["one","two"]}"#);
    assert_eq!(ask(world, Method::GET, TXT, "").0, 404);
    for (how, status) in [
        (Patch::BadRequest, 400),
        (Patch::NotFound, 404),
        (Patch::NotAllowed, 405),
        (Patch::NotImplemented, 501),
    ] {
        world.behaviour.patch = how;
        assert_eq!(ask(world, Method::PATCH, TXT, "{}").0, status);
    }
}

#[test]
fn lists_come_in_pages() {
    let world = &mut world();
    for number in 0..3 {
        let path = TXT.replace("_a", &format!("n{number}"));
        ask(world, Method::POST, &path, r#"{"rrset_values":["x"]}"#);
    }
    let records = "/v5/livedns/domains/example.com/records";
    let count = |world: &mut World, query: &str| {
        ask(world, Method::GET, &format!("{records}{query}"), "").1.as_array().map(Vec::len)
    };
    assert_eq!(count(world, ""), Some(3));
    assert_eq!(count(world, "?page=2&per_page=2"), Some(1));
    assert_eq!(count(world, "?page=9"), Some(0));
    assert_eq!(ask(world, Method::GET, "/v5/livedns/domains", "").1.as_array().map(Vec::len), Some(2));
}

#[test]
fn organisations_are_asked_for_and_refused() {
    let world = &mut world();
    let zone = "/v5/livedns/domains/example.com";
    let with = format!("{zone}?sharing_id=0a1b2c3d-0000-1111-2222-0123456789ab");
    world.behaviour.organisation = Organisation::Query;
    let (status, body) = ask(world, Method::GET, zone, "");
    assert_eq!((status, &body["cause"], &body["object"]), (404, &json!("Unknown"), &Value::Null));
    assert_eq!(ask(world, Method::GET, &with, "").0, 200);
    world.behaviour.organisation = Organisation::NotNeeded;
    assert_eq!(ask(world, Method::GET, &with, "").0, 200);
    world.behaviour.refuse_superfluous_organisation = true;
    assert_eq!(ask(world, Method::GET, &with, "").0, 403);
}

#[test]
fn tokens_tell_about_themselves_and_are_renewed_near_their_end() {
    let world = &mut world();
    let renew = "/v5/organization/access-tokens";
    let (status, info) = ask_as(world, "Bearer limited", Method::GET, "/tokeninfo", "");
    assert_eq!((status, &info["entities"][0]["name"]), (200, &json!("example.org")));
    assert!(info["expires_in"].as_i64().unwrap() > 0);
    assert_eq!(ask(world, Method::POST, renew, "").0, 400);
    world.behaviour.renew_only_below = None;
    let (status, renewed) = ask(world, Method::POST, renew, "");
    assert_eq!(status, 201);
    let new = format!("Bearer {}", renewed["access_token"].as_str().unwrap());
    for both in [new.as_str(), "Bearer token"] {
        assert_eq!(ask_as(world, both, Method::GET, "/v5/livedns/domains/example.com", "").0, 200);
    }
    world.behaviour.token_info_down = true;
    assert_eq!(ask(world, Method::GET, "/tokeninfo", "").0, 503);
}

#[test]
fn what_is_not_known_of_patch_is_a_switch() {
    let world = &mut world();
    let values = |world: &mut World| ask(world, Method::GET, TXT, "").1["rrset_values"].clone();
    ask(world, Method::POST, TXT, r#"{"rrset_ttl":600,"rrset_values":["one","two"]}"#);
    for (how, status) in [(Superfluous::Ignore, 200), (Superfluous::Refuse, 400)] {
        (world.behaviour.patch_present, world.behaviour.patch_absent) = (how, how);
        for body in [r#"{"add_rrset_values":["one"]}"#, r#"{"remove_rrset_values":["three"]}"#] {
            assert_eq!(ask(world, Method::PATCH, TXT, body).0, status, "{body}");
        }
    }
    world.behaviour.patch_as_read = true;
    assert_eq!(ask(world, Method::PATCH, TXT, r#"{"remove_rrset_values":["one"]}"#).0, 400);
    assert_eq!(ask(world, Method::PATCH, TXT, r#"{"remove_rrset_values":["\"one\""]}"#).0, 200);
    assert_eq!(values(world), json!(["\"two\""]));
    world.behaviour.patch_resets_ttl = true;
    assert_eq!(ask(world, Method::PATCH, TXT, r#"{"add_rrset_values":["x"]}"#).1["rrset_ttl"], 10_800);
}

#[test]
fn names_values_and_types_are_checked_as_the_switches_say() {
    let world = &mut world();
    world.zones.0.entry("example.com".to_owned()).or_default().set(
        "_b",
        "CNAME",
        Some(Rrset { ttl: 300, values: vec!["a.example.".to_owned()] }),
    );
    let beside = TXT.replace("_a", "_b");
    for (how, status) in
        [(BesideCname::BadRequest, 400), (BesideCname::Conflict, 409), (BesideCname::Unprocessable, 422)]
    {
        world.behaviour.beside_cname = how;
        assert_eq!(ask(world, Method::POST, &beside, r#"{"rrset_values":["x"]}"#).0, status);
    }
    let upper = TXT.replace("_a", "_A");
    ask(world, Method::POST, &upper, r#"{"rrset_values":["x"]}"#);
    assert_eq!(ask(world, Method::GET, TXT, "").1["rrset_name"], "_A");
    for method in [Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
        assert_eq!(ask(world, method, TXT, r#"{"rrset_values":["x"]}"#).0, 500);
    }
    world.behaviour.other_case = OtherCase::NotFound;
    assert_eq!(ask(world, Method::GET, TXT, "").0, 404);
    let long = TXT.replace("_a", "_long");
    let body = json!({"rrset_values": ["x".repeat(300)]}).to_string();
    ask(world, Method::POST, &long, &body);
    let shown =
        |world: &mut World| ask(world, Method::GET, &long, "").1["rrset_values"][0].as_str().unwrap().len();
    assert_eq!(shown(world), 305);
    world.behaviour.split_long_values = false;
    assert_eq!(shown(world), 302);
}

#[test]
fn the_old_host_is_as_it_was_reported() {
    let world = &mut world();
    let zone = "/api/v5/domains/example.com";
    let record = format!("{zone}/records/_a/TXT");
    let new = r#"{"rrset_values":["x"]}"#;
    world.behaviour.legacy = Some(Legacy::NoNewRecords);
    assert_eq!(ask(world, Method::GET, zone, "").0, 200);
    let (status, body) = ask(world, Method::POST, &record, new);
    assert_eq!((status, &body["object"]), (404, &json!("HTTPNotFound")));
    world.behaviour.legacy = Some(Legacy::Gone);
    assert_eq!(ask(world, Method::GET, zone, "").0, 404);
    world.behaviour.legacy = Some(Legacy::KeysOnly);
    let keyed = |world: &mut World, key: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", key.parse().unwrap());
        let (method, path) = (Method::GET, zone.to_owned());
        world.answer(&Request { method, path, query: String::new(), headers, body: Bytes::new() }).0.status
    };
    assert_eq!([keyed(world, "key"), keyed(world, "token"), keyed(world, "wrong")], [200, 500, 401]);
    assert_eq!(ask(world, Method::GET, zone, "").0, 401);
}

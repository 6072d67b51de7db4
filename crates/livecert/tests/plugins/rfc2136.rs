//! Against Knot.

use livecert::plugin::{PluginError, TxtRecord, UpdateError};
use tempfile::TempDir;
use testbed::{KEYS, Knot, POWERLESS};

use super::kit::{DEEP, ZONE, examine};
use super::knot::OnKnot;
use super::{connect, secret};

fn arguments(folder: &TempDir, server: &str, (key, algorithm, value): (&str, &str, &str)) -> Vec<String> {
    vec![
        format!("RFC2136Nameserver={server}"),
        format!("RFC2136TSIGKey={key}"),
        format!("RFC2136TSIGAlgorithm={algorithm}"),
        secret(folder.path(), "RFC2136TSIGSecret", value),
    ]
}

#[tokio::test]
async fn passes_the_examination() {
    let folder = TempDir::new().unwrap();
    let knot = Knot::start(&[ZONE, DEEP]).unwrap();
    let address = knot.address().to_string();
    let (name, algorithm, right) = KEYS[0];
    let wrong = "VGhpcyBpcyBub3QgdGhlIHNlY3JldCBvZiB0aGUga2V5";
    // A port that nobody listens at.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut failing = Vec::new();
    for (what, server, key) in [
        ("nobody there", &closed, KEYS[0]),
        ("an unknown key", &address, ("nobodys", algorithm, right)),
        ("another algorithm", &address, (name, "hmac-sha512", right)),
        ("another secret", &address, (name, algorithm, wrong)),
        ("a key without rights", &address, POWERLESS),
    ] {
        failing.push((what, connect("rfc2136", &arguments(&folder, server, key), folder.path(), None).await));
    }
    let plugin = connect("rfc2136", &arguments(&folder, &address, KEYS[0]), folder.path(), None).await;
    examine(&OnKnot { knot, plugin, failing, is_told_the_zone: false }).await;
}

fn record(fqdn: &str, value: &str) -> TxtRecord {
    TxtRecord { fqdn: fqdn.to_owned(), value: value.to_owned(), apex: None }
}

#[track_caller]
fn source(error: PluginError) -> UpdateError {
    match error {
        PluginError::Update { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_algorithm_and_every_refusal_is_understood() {
    let folder = TempDir::new().unwrap();
    let knot = Knot::start(&[ZONE]).unwrap();
    let address = knot.address().to_string();
    let name = "_acme-challenge.example.com";
    let at = async |key| connect("rfc2136", &arguments(&folder, &address, key), folder.path(), None).await;
    let records = [record(name, "ours")];
    for key in KEYS {
        let plugin = at(key).await;
        plugin.publish(&records).await.unwrap();
        assert_eq!(knot.txt(ZONE, name), Some((60, vec!["ours".to_owned()])));
        let there = plugin.survey(&records).await.unwrap();
        assert_eq!(there[0].there, Some((60, vec!["\"ours\"".to_owned()])));
        assert_eq!(there[0].zone, ZONE);
        assert!(plugin.withdraw(&records).await.leftovers.is_empty());
    }
    let (key, algorithm, secret) = KEYS[0];
    let fails = async |key| source(at(key).await.prepare(&records).await.unwrap_err());
    assert!(matches!(fails(("x", algorithm, secret)).await, UpdateError::BadKey { key, .. } if key == "x"));
    assert!(matches!(fails((key, algorithm, "AAAA")).await, UpdateError::BadSignature { .. }));
    let refused = source(at(POWERLESS).await.publish(&records).await.unwrap_err());
    // Knot's word for a key that it knows, and that may not do it.
    assert!(matches!(refused, UpdateError::BadKey { .. }), "{refused:?}");

    let plugin = at(KEYS[0]).await;
    let elsewhere = [record("_acme-challenge.example.org", "ours")];
    let error = source(plugin.prepare(&elsewhere).await.unwrap_err());
    assert!(matches!(error, UpdateError::NoZone { .. }), "{error:?}");

    // A server would pass an addition over in silence there.
    knot.put(ZONE, "_acme-challenge.alias.example.com", 60, "CNAME", "x.example.net.").unwrap();
    let alias = [record("_acme-challenge.alias.example.com", "ours")];
    let error = source(plugin.publish(&alias).await.unwrap_err());
    assert!(matches!(&error, UpdateError::Alias { target, .. } if target == "x.example.net"), "{error:?}");

    // The zones as they are given: the deepest one that fits, and no question about them.
    let mut words = arguments(&folder, &address, KEYS[0]);
    words.push("RFC2136Zone=com, example.com, other.example".to_owned());
    let plugin = connect("rfc2136", &words, folder.path(), None).await;
    plugin.publish(&records).await.unwrap();
    assert!(plugin.withdraw(&records).await.leftovers.is_empty());
    let error = source(plugin.publish(&elsewhere).await.unwrap_err());
    assert!(matches!(error, UpdateError::OtherZones { .. }), "{error:?}");
}

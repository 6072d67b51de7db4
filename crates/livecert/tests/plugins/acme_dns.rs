//! Against a server with the API of acme-dns. The examination of the others asks for what it cannot do: remove a value, or
//! hold more than two.

use std::path::Path;
use std::sync::Arc;

use livecert::plugin::{AcmeDnsError, Cname, Plugin, PluginError, TxtRecord};
use testbed::{AcmeDns, Options, Testbed};

use super::{connect, secret};

const NAME: &str = "_acme-challenge.example.com";

/// A value as a CA asks for it.
fn value(letter: &str) -> String {
    letter.repeat(43)
}

fn record(fqdn: &str, letter: &str) -> TxtRecord {
    TxtRecord { fqdn: fqdn.to_owned(), value: value(letter), apex: None }
}

#[track_caller]
fn refused(result: Result<(), PluginError>) -> AcmeDnsError {
    match result {
        Err(PluginError::AcmeDns(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn plugin(server: &AcmeDns, testbed: &Testbed, home: &Path, more: &[String]) -> Arc<dyn Plugin> {
    let words = [&[format!("ACMEServer={}", server.url())], more].concat();
    connect("acme-dns", &words, home, Some(&testbed.ca())).await
}

/// Registers the name, and gives where its CNAME has to lead.
async fn registered(plugin: &dyn Plugin, fqdn: &str) -> String {
    match refused(plugin.prepare(&[record(fqdn, "x")]).await) {
        AcmeDnsError::NoCname { missing } => {
            let Cname { name, target } = missing.into_iter().next().unwrap();
            assert_eq!(name, fqdn);
            target
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_registers_once_sets_two_values_and_tells_what_it_cannot_do() {
    let testbed = Testbed::start(&Options::default()).unwrap();
    let server = testbed.acme_dns().unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = plugin(&server, &testbed, home.path(), &[]).await;
        let target = registered(first.as_ref(), NAME).await;
        // The same again, by whichever process.
        let second = plugin(&server, &testbed, home.path(), &[]).await;
        assert_eq!(registered(second.as_ref(), NAME).await, target);
        assert_eq!(server.registered(), 1);
        let kept = std::fs::read_to_string(home.path().join("plugins/acme-dns.json")).unwrap();
        assert!(kept.contains(&target) && kept.contains("livecert-seal-"), "{kept}");
        assert!(matches!(refused(first.publish(&[record(NAME, "a")]).await), AcmeDnsError::NoCname { .. }));

        // Through the CNAME, as the challenge follows it.
        let records = [record(&target, "a"), record(&target, "b")];
        first.prepare(&records).await.unwrap();
        first.publish(&records).await.unwrap();
        // Twice is once: a value that is set again would drop the other one.
        first.publish(&records).await.unwrap();
        first.keep(&records).await.unwrap();
        let mut there = server.values(&target);
        there.sort();
        assert_eq!(there, [value("a"), value("b")]);

        // Who comes next waits until these have been looked at, and does not drop them.
        let next = [record(&target, "c"), record(&target, "d")];
        let waiting = second.publish(&next);
        tokio::pin!(waiting);
        let soon = tokio::time::timeout(std::time::Duration::from_millis(300), &mut waiting).await;
        assert!(soon.is_err(), "it did not wait");
        assert!(server.values(&target).contains(&value("a")) && server.values(&target).contains(&value("b")));
        assert!(first.withdraw(&records).await.leftovers.is_empty());
        waiting.await.unwrap();
        let mut there = server.values(&target);
        there.sort();
        assert_eq!(there, [value("c"), value("d")]);
        second.withdraw(&next).await;

        // Three are refused before one is set.
        let before = server.requests().len();
        let three = ["e", "f", "g"].map(|letter| record(&target, letter));
        assert!(matches!(refused(first.publish(&three).await), AcmeDnsError::TooMany { count: 3, .. }));
        assert_eq!(server.requests().len(), before);
        // A CNAME that leads to somebody else's registration.
        let strange = record("0000.auth.example.net", "a");
        assert!(matches!(refused(first.prepare(&[strange]).await), AcmeDnsError::Unknown { .. }));

        // What the server refuses is told, with its words and without ours.
        let odd = TxtRecord { value: "short".into(), ..record(&target, "a") };
        match refused(first.publish(&[odd]).await) {
            AcmeDnsError::Answer { status: 400, words, .. } => assert!(words.contains("bad_txt"), "{words}"),
            other => panic!("{other:?}"),
        }
        first.withdraw(&records).await;
        server.forget();
        match refused(first.publish(&records).await) {
            AcmeDnsError::Answer { status: 401, action: "update", .. } => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn registrations_of_another_client_are_used_and_networks_are_noted() {
    let testbed = Testbed::start(&Options::default()).unwrap();
    let server = testbed.acme_dns().unwrap();
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let allowed = ["ACMEAllowFrom=127.0.0.0/8".to_owned()];
        let ours = plugin(&server, &testbed, home.path(), &allowed).await;
        let target = registered(ours.as_ref(), NAME).await;
        ours.publish(&[record(&target, "a")]).await.unwrap();
        ours.withdraw(&[record(&target, "a")]).await;
        let shut = ["ACMEAllowFrom=192.0.2.0/24".to_owned()];
        let away = plugin(&server, &testbed, other.path(), &shut).await;
        let far = registered(away.as_ref(), NAME).await;
        let error = refused(away.publish(&[record(&far, "a")]).await);
        assert!(matches!(error, AcmeDnsError::Answer { status: 401, .. }), "{error:?}");

        // A file with what another client has registered: a wrong password is told, and none is shown.
        let file = serde_json::json!({"example.com": {
            "fulldomain": target, "subdomain": target.split('.').next().unwrap(), "username": "u",
            "password": "canary-0123456789",
        }});
        let given = [secret(other.path(), "ACMERegistration", &file.to_string())];
        let foreign = plugin(&server, &testbed, other.path(), &given).await;
        foreign.prepare(&[record(&target, "a")]).await.unwrap();
        let error = refused(foreign.publish(&[record(&target, "b")]).await);
        let text = format!("{error} {error:?}");
        assert!(text.contains("401") && !text.contains("canary"), "{text}");
    });
    // Nobody there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    runtime.block_on(async {
        let words = [format!("ACMEServer={closed}")];
        let silent = connect("acme-dns", &words, home.path(), Some(&testbed.ca())).await;
        let error = refused(silent.prepare(&[record(NAME, "a")]).await);
        assert!(matches!(error, AcmeDnsError::Unreachable { .. }), "{error:?}");
    });
}

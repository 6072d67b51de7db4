//! The client over HTTPS, against the simulator and its switches.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use gandi_livedns::{AddOutcome, Client, Credential, Error, NetworkKind, Options, RemoveOutcome, Zone};
use livedns_sim::pki::TestCa;
use livedns_sim::{
    Behaviour, Config, Control, EmptyList, Fault, FaultRule, MissingRrset, Patch, Refusal, Simulator,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::SecretString;

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
const NAME: &str = "_acme-challenge.example.com";

struct Bench {
    simulator: Simulator,
    ca: TestCa,
}

impl Bench {
    async fn new() -> Self {
        let ca = TestCa::new("test CA").unwrap();
        let identity = ca.issue(&["localhost"]).unwrap();
        let simulator = Simulator::start(Config::small("example.com", TOKEN, identity)).await.unwrap();
        Self { simulator, ca }
    }

    fn control(&self) -> Control {
        self.simulator.control()
    }

    /// A client of its own: it shares no turns with another one, like one on another host.
    fn client(&self) -> Client {
        self.client_with(TOKEN, &self.ca.pem())
    }

    fn client_with(&self, token: &str, trusted: &str) -> Client {
        self.client_that_waits(token, trusted, Options::default().retry_budget)
    }

    fn client_that_waits(&self, token: &str, trusted: &str, retry_budget: Duration) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let credential = Credential::new_personal_access_token(&SecretString::from(token)).unwrap();
        let base_url = self.simulator.api_base_url().parse().unwrap();
        Client::new(http, credential, Options { base_url, retry_budget, ..Options::default() }).unwrap()
    }

    fn fail(&self, method: &str, after: u32, fault: Fault) {
        let path = "/TXT".to_owned();
        self.control().fail(FaultRule { method: Some(method.into()), path, after, times: 1, fault });
    }

    /// TTL and values.
    fn txt(&self) -> Option<(u32, Vec<String>)> {
        let zone = self.control().zone("example.com");
        zone.get("_acme-challenge/TXT").map(|rrset| (rrset.ttl, rrset.values.clone()))
    }
}

async fn zone(client: &Client) -> Zone {
    client.find_zone(NAME, None).await.unwrap()
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

#[tokio::test]
async fn three_requests_for_a_new_rrset_and_five_beside_a_neighbour_read_back() {
    let bench = Bench::new().await;
    let client = bench.client();
    let zone = zone(&client).await;
    let requests = || bench.control().requests().iter().map(|one| one.method.clone()).collect::<Vec<_>>();

    bench.control().clear_requests();
    let ours = values(&["a", "b"]);
    assert_eq!(client.add_txt(&zone, NAME, &ours).await.unwrap().outcome, AddOutcome::Created);
    assert_eq!(bench.txt(), Some((300, values(&["\"a\"", "\"b\""]))));
    let removed = client.remove_txt(&zone, NAME, &ours).await.unwrap();
    assert_eq!((removed.outcome, bench.txt()), (RemoveOutcome::RrsetDeleted, None));
    // That the rrset goes with its last value is seen once.
    assert_eq!(requests(), ["POST", "GET", "PATCH", "GET"]);
    bench.control().clear_requests();
    client.add_txt(&zone, NAME, &ours).await.unwrap();
    client.remove_txt(&zone, NAME, &ours).await.unwrap();
    assert_eq!((requests(), bench.txt()), (vec!["POST".to_owned(), "GET".into(), "PATCH".into()], None));

    bench.control().add_value("example.com", "_acme-challenge", "theirs", 7200);
    bench.control().clear_requests();
    assert_eq!(client.add_txt(&zone, NAME, &ours).await.unwrap().outcome, AddOutcome::Merged);
    let removed = client.remove_txt(&zone, NAME, &ours).await.unwrap();
    assert_eq!(removed.outcome, RemoveOutcome::Kept(1));
    assert_eq!(bench.txt(), Some((7200, values(&["\"theirs\""]))));
    assert_eq!(requests(), ["POST", "GET", "PATCH", "GET", "GET", "PATCH", "GET"]);

    bench.control().set_behaviour(Behaviour { patch: Patch::NotAllowed, ..Behaviour::default() });
    let client = bench.client();
    bench.control().clear_requests();
    assert_eq!(client.add_txt(&zone, NAME, &ours).await.unwrap().outcome, AddOutcome::Merged);
    client.remove_txt(&zone, NAME, &ours).await.unwrap();
    assert_eq!(bench.txt(), Some((7200, values(&["\"theirs\""]))));
    assert_eq!(requests(), ["POST", "GET", "PATCH", "GET", "PUT", "GET", "GET", "PUT", "GET"]);
}

#[tokio::test]
async fn a_service_that_is_out_of_order_for_too_long_still_has_patch() {
    let bench = Bench::new().await;
    let theirs = livedns_sim::Rrset { ttl: 7200, values: values(&["\"theirs\""]) };
    bench.control().set_rrset("example.com", "_acme-challenge", "TXT", Some(theirs));
    let client = bench.client_that_waits(TOKEN, &bench.ca.pem(), Duration::ZERO);
    let (zone, ours) = (zone(&client).await, values(&["ours"]));
    for status in [500, 502, 503, 504] {
        bench.fail("PATCH", 0, Fault::Answer { status, body: "{}".into(), retry_after: None });
        let error = client.add_txt(&zone, NAME, &ours).await.unwrap_err();
        assert!(matches!(error, Error::Server { .. }), "{status}: {error}");
    }
    bench.control().clear_requests();
    client.add_txt(&zone, NAME, &ours).await.unwrap();
    let requests: Vec<_> = bench.control().requests().iter().map(|one| one.method.clone()).collect();
    assert_eq!(requests, ["POST", "GET", "PATCH", "GET"]);
}

#[tokio::test]
async fn every_fault_at_every_request_is_survived_and_a_neighbour_kept() {
    let refused = |status, retry_after: Option<&str>| Fault::Answer {
        status,
        body: "<html>not now</html>".into(),
        retry_after: retry_after.map(str::to_owned),
    };
    let faults = [refused(429, None), refused(502, Some("0")), Fault::CutAfter];
    let bench = Bench::new().await;
    let client = bench.client();
    let zone = zone(&client).await;
    let ours = values(&["ours"]);
    for (patch_offered, neighbour) in [(false, false), (false, true), (true, false), (true, true)] {
        let patch = if patch_offered { Patch::Offered } else { Patch::NotAllowed };
        bench.control().set_behaviour(Behaviour { patch, ..Behaviour::default() });
        let client = bench.client();
        let theirs = livedns_sim::Rrset { ttl: 7200, values: values(&["\"theirs\""]) };
        let rrset = neighbour.then_some(theirs);
        bench.control().set_rrset("example.com", "_acme-challenge", "TXT", rrset);
        let before = bench.txt();
        for fault in &faults {
            let used: &[_] = match (patch_offered, neighbour) {
                (false, false) => &[("POST", 0), ("GET", 0), ("DELETE", 0)],
                (false, true) => &[("POST", 0), ("GET", 0), ("GET", 1), ("PUT", 0), ("PUT", 1)],
                (true, false) => &[("POST", 0), ("GET", 0), ("PATCH", 0)],
                (true, true) => &[("POST", 0), ("GET", 0), ("GET", 1), ("PATCH", 0), ("PATCH", 1)],
            };
            for &(method, after) in used {
                bench.fail(method, after, fault.clone());
                client.add_txt(&zone, NAME, &ours).await.unwrap();
                assert!(bench.txt().unwrap().1.contains(&"\"ours\"".to_owned()));
                client.remove_txt(&zone, NAME, &ours).await.unwrap();
                assert_eq!(bench.txt(), before, "{fault:?} at {method} {after}");
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_comes_while_we_wait_to_write_is_kept() {
    let bench = Bench::new().await;
    bench.control().set_behaviour(Behaviour { patch: Patch::NotAllowed, ..Behaviour::default() });
    let client = bench.client();
    let zone = zone(&client).await;
    let ours = values(&["ours"]);
    for method in ["PUT", "DELETE"] {
        bench.control().set_rrset("example.com", "_acme-challenge", "TXT", None);
        if method == "PUT" {
            bench.control().add_value("example.com", "_acme-challenge", "theirs", 7200);
        } else {
            client.add_txt(&zone, NAME, &ours).await.unwrap();
        }
        let body = "{}".to_owned();
        bench.fail(method, 0, Fault::Answer { status: 503, body, retry_after: Some("1".into()) });
        bench.control().clear_requests();
        let change = async {
            if method == "PUT" {
                client.add_txt(&zone, NAME, &ours).await.map(drop)
            } else {
                client.remove_txt(&zone, NAME, &ours).await.map(drop)
            }
        };
        let other = async {
            let asked = async {
                while !bench.control().requests().iter().any(|one| one.status == 503) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
            bench.control().add_value("example.com", "_acme-challenge", "came meanwhile", 7200);
        };
        let (changed, ()) = tokio::join!(change, other);
        changed.unwrap();
        assert!(bench.txt().unwrap().1.contains(&"\"came meanwhile\"".to_owned()), "lost by {method}");
    }
}

#[tokio::test]
async fn writers_on_many_hosts_all_get_their_value_in() {
    let bench = Bench::new().await;
    bench.control().add_value("example.com", "_acme-challenge", "theirs", 7200);
    bench.control().set_latency(Duration::from_millis(5));
    let mut tasks = tokio::task::JoinSet::new();
    for host in 0..4 {
        let client = bench.client();
        tasks.spawn(async move {
            let zone = zone(&client).await;
            client.add_txt(&zone, NAME, &[format!("host {host}")]).await
        });
    }
    while let Some(added) = tasks.join_next().await {
        // With a writer too many a client may have to give up, but it has to say so.
        assert!(matches!(added.unwrap(), Ok(_) | Err(Error::LostUpdate { .. })));
    }
    assert!(bench.txt().unwrap().1.contains(&"\"theirs\"".to_owned()));
}

#[tokio::test]
async fn the_switches_make_no_difference() {
    let bench = Bench::new().await;
    for delete_missing in [MissingRrset::Accept, MissingRrset::NotFound] {
        for put_empty in [EmptyList::Keep, EmptyList::Delete, EmptyList::Refuse] {
            for refuse_duplicates in [false, true] {
                let behaviour =
                    Behaviour { delete_missing, put_empty, refuse_duplicates, ..Behaviour::default() };
                bench.control().set_behaviour(behaviour);
                let client = bench.client();
                let zone = zone(&client).await;
                // What an other client leaves that empties an rrset by PUT.
                let empty = livedns_sim::Rrset { ttl: 300, values: Vec::new() };
                bench.control().set_rrset("example.com", "_acme-challenge", "TXT", Some(empty));
                let ours = values(&["ours"]);
                client.add_txt(&zone, NAME, &ours).await.unwrap();
                assert_eq!(bench.txt().unwrap().1, ["\"ours\""]);
                client.remove_txt(&zone, NAME, &ours).await.unwrap();
                assert_eq!(bench.txt(), None);
            }
        }
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_is_a_typed_error_without_the_secret() {
    let bench = Bench::new().await;
    let client = bench.client_with("wr0ng-t0ken", &bench.ca.pem());
    for (bad_token, unauthorized) in [(Refusal::Unauthorized, true), (Refusal::Forbidden, false)] {
        bench.control().set_behaviour(Behaviour { bad_token, ..Behaviour::default() });
        let error = client.find_zone(NAME, None).await.unwrap_err();
        assert_eq!(matches!(error, Error::Unauthorized { .. }), unauthorized, "{error:?}");
        assert_eq!(matches!(error, Error::Forbidden { .. }), !unauthorized, "{error:?}");
        assert!(!format!("{error} {error:?} {client:?}").contains("wr0ng"));
    }
}

#[tokio::test]
async fn an_untrusted_server_gets_nothing_and_is_not_asked_twice() {
    let bench = Bench::new().await;
    let other = TestCa::new("another CA").unwrap();
    let client = bench.client_with(TOKEN, &other.pem());
    let begun = std::time::Instant::now();
    let error = client.find_zone(NAME, None).await.unwrap_err();
    assert!(matches!(error, Error::Network { kind: NetworkKind::Tls, .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(bench.control().requests().is_empty());
}

#[tokio::test]
async fn a_cname_in_the_way_is_named() {
    let bench = Bench::new().await;
    let cname = livedns_sim::Rrset { ttl: 300, values: values(&["elsewhere.example.net."]) };
    bench.control().set_rrset("example.com", "_acme-challenge", "CNAME", Some(cname));
    let client = bench.client();
    let zone = zone(&client).await;
    match client.add_txt(&zone, NAME, &values(&["ours"])).await {
        Err(Error::Conflict { cname: Some(target), .. }) => assert_eq!(target, "elsewhere.example.net."),
        other => panic!("{other:?}"),
    }
}

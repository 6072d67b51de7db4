//! Name servers are found through a resolver, referrals and CNAMEs, over the wire; and all their addresses are asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use livecert::dns::{AuthorityError, Expected, Located, Locator, Patience, Resolver, watch};
use livedns_sim::pki::TestCa;
use livedns_sim::{Config, Rrset, Simulator, ZoneConfig};

const NAME: &str = "_acme-challenge.www.example.com";

/// Three name servers at one port of 127.0.0.1 to 127.0.0.3, and IPv6 where there is any.
async fn simulator() -> (Simulator, Locator) {
    let tls = TestCa::new("CA").unwrap().issue(&["localhost"]).unwrap();
    let mut config = Config::small("example.com", "token", tls);
    config.zones.extend(["sub.example.com", "example.net"].map(ZoneConfig::new));
    config.dns_listen = (1..=3).map(|number| SocketAddr::from(([127, 0, 0, number], 0))).collect();
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        config.dns_listen.push("[::1]:0".parse().unwrap());
    }
    let simulator = Simulator::start(config).await.unwrap();
    let first = simulator.dns_addrs()[0];
    let locator = Locator::through(resolver(first)).with_port(first.port());
    (simulator, locator)
}

fn resolver(address: SocketAddr) -> Resolver {
    let http = livecert::network::http_client(None).unwrap();
    Resolver::new(&[address.into()], &http).unwrap()
}

fn cname(simulator: &Simulator, zone: &str, name: &str, target: &str) {
    let rrset = Rrset { ttl: 300, values: vec![target.to_owned()] };
    simulator.control().set_rrset(zone, name, "CNAME", Some(rrset));
}

fn addresses(located: &Located) -> Vec<SocketAddr> {
    let mut all: Vec<_> = located.authority.servers.iter().map(|server| server.address).collect();
    all.sort();
    all
}

#[tokio::test]
async fn the_zones_servers_are_found_with_all_their_addresses() {
    let (simulator, locator) = simulator().await;
    let located = locator.locate(NAME).await.unwrap();
    assert_eq!((located.fqdn.as_str(), located.authority.zone.as_str()), (NAME, "example.com"));
    let mut all = simulator.dns_addrs().to_vec();
    all.sort();
    assert_eq!(addresses(&located), all);
}

#[tokio::test]
async fn the_name_itself_is_never_asked_of_the_resolver() {
    let (simulator, locator) = simulator().await;
    let resolver: SocketAddr = simulator.dns_addrs()[0];
    locator.locate(NAME).await.unwrap();
    // Only questions without recursion may be about it.
    let asked = simulator.control().dns_queries();
    assert!(asked.iter().any(|query| query.name == NAME && !query.recursive), "{asked:?}");
    assert!(!asked.iter().any(|query| query.name == NAME && query.recursive), "{resolver}: {asked:?}");
}

#[tokio::test]
async fn a_zone_below_wins_over_its_parent() {
    let (_simulator, locator) = simulator().await;
    let located = locator.locate("_acme-challenge.a.sub.example.com").await.unwrap();
    assert_eq!(located.authority.zone, "sub.example.com");
}

#[tokio::test]
async fn cnames_are_followed_into_the_zone_where_they_end() {
    let (simulator, locator) = simulator().await;
    cname(&simulator, "example.com", "_acme-challenge.www", "middle.example.com.");
    cname(&simulator, "example.com", "middle", "Proofs.Example.net.");
    let located = locator.locate(NAME).await.unwrap();
    assert_eq!(
        (located.fqdn.as_str(), located.authority.zone.as_str()),
        ("proofs.example.net", "example.net")
    );
}

#[tokio::test]
async fn cnames_in_a_circle_are_named() {
    let (simulator, locator) = simulator().await;
    cname(&simulator, "example.com", "_acme-challenge.www", "a.example.net.");
    cname(&simulator, "example.net", "a", "_acme-challenge.www.example.com.");
    let error = locator.locate(NAME).await.unwrap_err();
    assert!(
        matches!(&error, AuthorityError::Loop { chain, .. } if chain.contains("a.example.net")),
        "{error}"
    );
}

#[tokio::test]
async fn every_server_is_watched_and_the_last_one_decides() {
    let (simulator, locator) = simulator().await;
    let located = locator.locate(NAME).await.unwrap();
    let control = simulator.control();
    control.set_publication_delay(1, Duration::from_millis(300));
    control.add_value("example.com", "_acme-challenge.www", "ours", 300);
    let expected =
        [Expected { fqdn: located.fqdn, values: vec!["ours".into()], authority: located.authority }];
    let begun = std::time::Instant::now();
    let mut looks = Vec::new();
    watch(&expected, &Patience { limit: Duration::from_secs(20), ..Patience::default() }, |seen| {
        looks.push(seen)
    })
    .await
    .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(looks.len() > 1 && looks[0].ready == looks[0].all - 1, "{looks:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_a_datagram_comes_over_tcp() {
    let (simulator, locator) = simulator().await;
    let located = locator.locate(NAME).await.unwrap();
    let values: Vec<String> = (0..40).map(|number| format!("{number:0>100}")).collect();
    for value in &values {
        simulator.control().add_value("example.com", "_acme-challenge.www", value, 300);
    }
    let expected = [Expected { fqdn: located.fqdn, values, authority: located.authority }];
    watch(&expected, &Patience { limit: Duration::from_secs(20), ..Patience::default() }, |_| ())
        .await
        .unwrap();
}

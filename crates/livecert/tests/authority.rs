//! Name servers are found through a resolver, referrals and CNAMEs, over the wire; and all their addresses are asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use livecert::dns::{
    Authority, AuthorityError, Expected, Located, Locator, NameServer, Patience, Resolver, watch,
};
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
        looks.push((seen.ready, seen.all, seen.servers.to_vec()))
    })
    .await
    .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(looks.len() > 1 && looks[0].0 == looks[0].1 - 1, "{looks:?}");
    // Which of the servers it was that was late is told, with the time that each took.
    let late: Vec<_> = looks[0].2.iter().filter(|server| server.after.is_none()).collect();
    let (_, _, servers) = looks.last().unwrap();
    let took = |name: &str| servers.iter().find(|server| server.name == name).unwrap().after.unwrap();
    assert!(late.len() == 1 && took(&late[0].name) >= Duration::from_millis(300), "{looks:?}");
    assert!(servers.iter().any(|server| server.after.unwrap() < took(&late[0].name)), "{looks:?}");
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

/// What the resolver of a company shows: a zone of its own in the place of the public one. Its parent is at another server.
async fn split_horizon(delegated_to: &str) -> Option<Authority> {
    let tls = TestCa::new("CA").unwrap().issue(&["localhost"]).unwrap();
    let mut config = Config::small("example.com", "token", tls.clone());
    config.zones.extend(["com", "inside.test", "parent.test", "public.test"].map(ZoneConfig::new));
    config.dns_listen = vec!["127.0.0.1:0".parse().unwrap()];
    let inside = Simulator::start(config).await.unwrap();
    let port = inside.dns_addrs()[0].port();
    let mut config = Config::small("com", "token", tls);
    config.dns_listen = vec![SocketAddr::from(([127, 0, 0, 2], port))];
    let parent = Simulator::start(config).await.unwrap();
    let set = |at: &Simulator, zone: &str, name: &str, kind: &str, value: &str| {
        let rrset = Rrset { ttl: 300, values: vec![value.to_owned()] };
        at.control().set_rrset(zone, name, kind, Some(rrset));
    };
    set(&inside, "example.com", "@", "NS", "ns.inside.test.");
    set(&inside, "inside.test", "ns", "A", "127.0.0.1");
    set(&inside, "com", "@", "NS", "ns.parent.test.");
    set(&inside, "parent.test", "ns", "A", "127.0.0.2");
    set(&inside, "public.test", "ns", "A", "127.0.0.3");
    set(&parent, "com", "example", "NS", delegated_to);
    let locator = Locator::through(resolver(inside.dns_addrs()[0])).with_port(port);
    let seen = locator.locate(NAME).await.unwrap().authority;
    assert_eq!(seen.servers[0].name, "ns.inside.test");
    locator.public_view(&seen, &["ns.public.test".to_owned()]).await
}

#[tokio::test]
async fn a_private_view_of_a_zone_is_passed_by_where_the_parent_says_so() {
    let public = split_horizon("ns.public.test.").await.unwrap();
    assert_eq!(public.servers[0].address.ip().to_string(), "127.0.0.3");
    // Delegated to somebody else in truth: what the resolver shows is as good as anything.
    assert!(split_horizon("ns.elsewhere.test.").await.is_none());
}

#[tokio::test]
async fn an_address_family_that_leads_nowhere_holds_nothing_up() {
    let (simulator, locator) = simulator().await;
    simulator.control().add_value("example.com", "_acme-challenge.www", "proof", 300);
    let located = locator.locate(NAME).await.unwrap();
    let mut authority = located.authority;
    // A second address of each server, which takes questions and never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.9:0").unwrap();
    let second: Vec<_> = authority
        .servers
        .iter()
        .map(|server| NameServer { name: server.name.clone(), address: silent.local_addr().unwrap() })
        .collect();
    authority.servers.extend(second);
    let expected = [Expected { fqdn: located.fqdn, values: vec!["proof".to_owned()], authority }];
    let hour = Duration::from_secs(3600);
    let patience = Patience { limit: hour, grace: hour, ..Patience::default() };
    tokio::time::timeout(Duration::from_secs(60), watch(&expected, &patience, |_| ()))
        .await
        .unwrap()
        .unwrap();
}

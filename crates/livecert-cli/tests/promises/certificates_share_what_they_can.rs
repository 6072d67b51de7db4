use std::time::Duration;

use testbed::sim::{RequestRecord, Rrset};

use super::{Bench, expect};

const HOSTS: usize = 6;

/// Has a certificate for each of the hosts, and renews all of them at once. Gives what was asked of Gandi for that.
fn renew_all(bench: &Bench) -> Vec<RequestRecord> {
    for number in 1..=HOSTS {
        expect(&bench.issue(&[&format!("host{number}.example.com")], &[]), 0);
    }
    bench.testbed.gandi().clear_requests();
    // So long that all of them have come to the same point meanwhile.
    bench.testbed.gandi().set_latency(Duration::from_millis(400));
    expect(&bench.run(&["renew", "--force", "--parallel", &HOSTS.to_string()]), 0);
    bench.testbed.gandi().set_latency(Duration::ZERO);
    bench.testbed.gandi().requests()
}

#[test]
fn a_zone_is_looked_up_once_for_all() {
    let bench = Bench::counting();
    let requests = renew_all(&bench);
    let zones: Vec<_> = requests.iter().filter(|one| one.path == "/v5/livedns/domains/example.com").collect();
    assert_eq!(zones.len(), 1, "{requests:#?}");
    assert_eq!(requests.iter().filter(|one| one.path == "/tokeninfo").count(), 1);
}

#[test]
fn an_rrset_is_written_once_for_all_who_need_it() {
    let bench = Bench::counting();
    let gandi = bench.testbed.gandi();
    for number in 1..=HOSTS {
        let alias = Rrset { ttl: 300, values: vec!["proofs.example.net.".to_owned()] };
        gandi.set_rrset("example.com", &format!("_acme-challenge.host{number}"), "CNAME", Some(alias));
    }
    let requests = renew_all(&bench);
    let at_alias = requests.iter().filter(|one| one.path.contains("/records/proofs/TXT"));
    let writes = at_alias.filter(|one| one.method != "GET").count();
    // Alone, each of them would write twice at least.
    assert!(writes < HOSTS, "{writes} writes: {requests:#?}");
    assert!(!gandi.zone("example.net").contains_key("proofs/TXT"));
}

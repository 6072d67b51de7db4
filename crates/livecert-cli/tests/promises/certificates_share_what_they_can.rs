use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use livecert::certificate::{RenewRequest, RenewalResult, Service};
use livecert::plugin::Surroundings;
use livecert::progress::Silent;
use livecert::secret::Nobody;
use livecert::store::Store;
use testbed::sim::{Behaviour, Patch, RequestRecord, Rrset};

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

/// In a process that lives long, a run must not believe what an earlier one was told: PATCH may be offered now, and whole
/// lists could drop what others write.
#[test]
fn what_livedns_offers_is_learned_once_in_a_run_and_anew_in_the_next() {
    let bench = Bench::counting();
    let gandi = bench.testbed.gandi();
    for host in ["host1", "host2"] {
        gandi.add_value("example.com", &format!("_acme-challenge.{host}"), "a neighbour's", 300);
        expect(&bench.issue(&[&format!("{host}.example.com")], &[]), 0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime.block_on(async { service(&bench) });
    // One after the other, so that the second one finds what the first one has learned.
    let request = RenewRequest { force: true, parallel: NonZeroUsize::MIN, ..RenewRequest::default() };
    let asked = || -> (usize, usize, usize) {
        bench.prove_anew();
        gandi.clear_requests();
        let renewals = runtime.block_on(service.renew(&request)).unwrap();
        assert_eq!(renewals.len(), 2);
        assert!(renewals.iter().all(|one| matches!(one.result, RenewalResult::Renewed(_))), "{renewals:?}");
        let requests = gandi.requests();
        let count = |method: &str, part: &str| {
            requests.iter().filter(|one| one.method == method && one.path.ends_with(part)).count()
        };
        (count("GET", "/domains/example.com"), count("PATCH", "/TXT"), count("PUT", "/TXT"))
    };
    gandi.set_behaviour(Behaviour { patch: Patch::NotAllowed, ..Behaviour::default() });
    let (zones, patches, whole) = asked();
    assert_eq!((zones, patches), (1, 1), "learned by the first certificate for both");
    assert!(whole > 0);
    gandi.set_behaviour(Behaviour::default());
    let (zones, patches, whole) = asked();
    assert_eq!((zones, whole), (1, 0), "not believed by the next run");
    assert!(patches > 1);
}

/// A service on the bench's store, in this process.
pub(super) fn service(bench: &Bench) -> Service {
    let store = Store::open(&bench.testbed.home()).unwrap();
    let http = livecert::network::http_client(Some(&bench.testbed.ca())).unwrap();
    let surroundings = Surroundings { http, prompter: Arc::new(Nobody), locks: store.locks(), state: None };
    Service::new(store, surroundings, Arc::new(Silent), Default::default()).unwrap()
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

use super::{Bench, expect};

/// What one run asks for with an account in place.
fn force(bench: &Bench, names: &[&str]) -> (Vec<String>, Vec<testbed::sim::RequestRecord>) {
    expect(&bench.issue(names, &[]), 0);
    bench.prove_anew();
    let before = bench.testbed.pebble().requests().len();
    bench.testbed.gandi().clear_requests();
    expect(&bench.issue(names, &["--force"]), 0);
    (bench.testbed.pebble().requests().split_off(before), bench.testbed.gandi().requests())
}

#[test]
fn for_one_name_with_an_account_in_place() {
    let bench = Bench::counting();
    let (acme, gandi) = force(&bench, &["www.example.com"]);
    // Each poll that the server makes necessary is one more.
    let polls = acme.iter().filter(|request| request.contains("my-order")).count();
    assert!(acme.len() <= 9 + polls.saturating_sub(2), "{acme:#?}");
    assert!(polls <= 4, "{acme:#?}");
    // The token service is another host at Gandi, and is asked beside the rest.
    assert_eq!(gandi.iter().filter(|one| one.path == "/tokeninfo").count(), 1);
    let gandi = gandi.iter().filter(|one| one.path != "/tokeninfo");
    let asked: Vec<_> = gandi.map(|one| format!("{} {}", one.method, one.status)).collect();
    assert_eq!(asked, ["GET 200", "POST 201", "GET 200", "PATCH 200", "GET 404"]);
}

#[test]
fn for_twenty_names_in_one_zone() {
    let bench = Bench::counting();
    let names: Vec<String> = (1..=20).map(|number| format!("host{number}.example.com")).collect();
    let (acme, gandi) = force(&bench, &names.iter().map(String::as_str).collect::<Vec<_>>());
    // A nonce for each name, one of which comes with the order; what is above that is polls.
    assert!(acme.len() <= 7 + 2 * 20 + 19 + 4, "{}: {acme:#?}", acme.len());
    let fetches = acme.iter().filter(|request| request.starts_with("HEAD"));
    assert!(fetches.count() <= 20, "{acme:#?}");
    // All of them before the first one is needed.
    let first = acme.iter().position(|request| request.contains("authZ")).unwrap();
    assert!(!acme[first..].iter().any(|request| request.starts_with("HEAD")), "{acme:#?}");
    let gandi: Vec<_> = gandi.into_iter().filter(|one| one.path != "/tokeninfo").collect();
    let zones = gandi.iter().filter(|one| !one.path.contains("/records/")).count();
    assert_eq!(zones, 1, "{gandi:#?}");
    // That an rrset goes with its last value has to be seen once, however many removals are under way.
    assert!(gandi.len() <= 1 + 3 * 20 + 1, "{gandi:#?}");
    let mut clients: Vec<_> = gandi.iter().map(|one| one.client.as_str()).collect();
    clients.sort_unstable();
    clients.dedup();
    assert_eq!(clients.len(), 1, "{clients:?}");
    assert!(gandi.iter().all(|one| one.http == "HTTP/2.0"));
}

#[test]
fn for_certificates_side_by_side_which_read_one_directory() {
    let bench = Bench::counting();
    for number in 1..=4 {
        expect(&bench.issue(&[&format!("host{number}.example.com")], &[]), 0);
    }
    let before = bench.testbed.pebble().requests().len();
    expect(&bench.run(&["renew", "--force", "--parallel", "4"]), 0);
    let acme = bench.testbed.pebble().requests().split_off(before);
    assert_eq!(acme.iter().filter(|request| request.starts_with("GET /dir")).count(), 1, "{acme:#?}");
    // A nonce for each of them, at most: those that come back are shared.
    assert!(acme.iter().filter(|request| request.starts_with("HEAD")).count() <= 4, "{acme:#?}");
}

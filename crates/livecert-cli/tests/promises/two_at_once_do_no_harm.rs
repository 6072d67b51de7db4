use super::{Bench, expect};

#[test]
fn on_one_certificate_the_second_waits_and_finds_it_done() {
    let bench = Bench::new();
    bench.testbed.gandi().set_publication_delay(0, std::time::Duration::from_millis(500));
    let words = bench.words(&["example.com", "*.example.com"], &[]);
    let mut first = bench.livecert.spawn(&words).unwrap();
    bench.until_something_is_written(&mut first);
    let second = bench.livecert.spawn(&words).unwrap();
    let process = first.id();
    let first = first.wait_with_output().unwrap().into();
    let second: testbed::Outcome = second.wait_with_output().unwrap().into();
    expect(&first, 0);
    expect(&second, 0);
    assert!(second.stderr.contains(&format!("livecert process {process}")), "{}", second.stderr);
    assert!(second.stdout.contains("Nothing to do"), "{}", second.stdout);
    assert!(!bench.cert("example.com").join("generations/2").exists());
}

#[test]
fn for_two_certificates_at_one_name_both_succeed_and_one_account_is_made() {
    let bench = Bench::counting();
    bench.testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour", 3600);
    let before = bench.txt("_acme-challenge");
    let spawn =
        |name: &str, cert: &str| bench.livecert.spawn(bench.words(&[name], &["--cert-name", cert])).unwrap();
    let children = [spawn("example.com", "apex"), spawn("*.example.com", "wildcard")];
    for child in children {
        expect(&child.wait_with_output().unwrap().into(), 0);
    }
    assert_eq!(bench.txt("_acme-challenge"), before);
    let accounts = bench.testbed.pebble().requests().iter().filter(|one| one.contains("sign-me-up")).count();
    assert_eq!(accounts, 1);
}

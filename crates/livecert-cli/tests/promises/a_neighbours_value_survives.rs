use std::time::Duration;

use testbed::sim::{Fault, FaultRule};

use super::{Bench, expect};

const NAME: &str = "_acme-challenge";

#[test]
fn values_and_ttl_of_others_stay_as_they_are() {
    // 43 characters like ours, one in another case, one with quotes in it; and one in several strings, by itself,
    // because Pebble does not ask again over TCP.
    let odd = vec![
        "gfj9Xq_Rg85nM0kSgT9aWn2iU1vTqPLPVCZ2h1t4zQk".to_owned(),
        "GFJ9".into(),
        "say \"hi\" \\o/".into(),
    ];
    for values in [odd, vec!["long ".repeat(56)]] {
        let bench = Bench::new();
        for value in values {
            bench.testbed.gandi().add_value("example.com", NAME, &value, 7200);
        }
        let before = bench.txt(NAME).unwrap();
        expect(&bench.issue(&["example.com", "*.example.com"], &[]), 0);
        assert_eq!(bench.txt(NAME), Some(before));
    }
}

#[test]
fn ours_is_put_back_when_another_writer_drops_it() {
    let bench = Bench::new();
    let gandi = bench.testbed.gandi();
    // Not public before it is replaced.
    gandi.set_publication_delay(0, Duration::from_secs(3600));
    let mut child =
        bench.livecert.spawn(bench.words(&["example.com"], &["--propagation-timeout", "30s"])).unwrap();
    bench.until_something_is_written(&mut child);
    // As a client without care does: the whole rrset is replaced.
    let theirs = testbed::sim::Rrset { ttl: 300, values: vec!["\"only mine\"".into()] };
    gandi.set_rrset("example.com", NAME, "TXT", Some(theirs));
    gandi.set_publication_delay(0, Duration::ZERO);
    expect(&child.wait_with_output().unwrap().into(), 0);
    assert_eq!(bench.txt(NAME), Some((300, vec!["\"only mine\"".to_owned()])));
}

#[test]
fn an_error_while_reading_is_never_taken_for_nothing_there() {
    let bench = Bench::new();
    let gandi = bench.testbed.gandi();
    gandi.add_value("example.com", NAME, "a neighbour", 7200);
    let before = bench.txt(NAME);
    let forbidden = Fault::Answer { status: 403, body: "<html>blocked</html>".into(), retry_after: None };
    let rule = |after, times, fault: &Fault| FaultRule {
        method: Some("GET".into()),
        path: "/TXT".into(),
        after,
        times,
        fault: fault.clone(),
    };
    // The read before the first write.
    gandi.fail(rule(0, 1, &forbidden));
    let outcome = bench.issue(&["example.com"], &[]);
    expect(&outcome, 1);
    assert_eq!(bench.txt(NAME), before, "{}", outcome.stderr);

    // Reads that fail for a while, before the write and at the clean-up: tried again until they work.
    let failing = Fault::Answer { status: 502, body: "<html>bad gateway</html>".into(), retry_after: None };
    gandi.fail(rule(0, 1, &failing));
    gandi.fail(rule(2, 1, &failing));
    expect(&bench.issue(&["example.com"], &[]), 0);
    assert_eq!(bench.txt(NAME), before);
}

#[test]
fn a_connection_that_breaks_after_the_write_was_applied_leaves_nothing_behind() {
    let bench = Bench::new();
    let gandi = bench.testbed.gandi();
    for method in ["POST", "DELETE"] {
        gandi.fail(FaultRule {
            method: Some(method.into()),
            path: "/TXT".into(),
            after: 0,
            times: 1,
            fault: Fault::CutAfter,
        });
    }
    expect(&bench.issue(&["example.com"], &[]), 0);
    assert_eq!(bench.txt(NAME), None);
}

#[test]
fn a_value_that_comes_meanwhile_is_kept() {
    let bench = Bench::new();
    let gandi = bench.testbed.gandi();
    gandi.set_publication_delay(0, Duration::from_millis(600));
    let mut child = bench.livecert.spawn(bench.words(&["example.com"], &[])).unwrap();
    // Ours is written and not public yet: another client adds its own now.
    bench.until_something_is_written(&mut child);
    gandi.add_value("example.com", NAME, "came later", 300);
    let outcome = child.wait_with_output().unwrap().into();
    expect(&outcome, 0);
    assert_eq!(bench.txt(NAME), Some((300, vec!["\"came later\"".to_owned()])));
}

use super::{Bench, expect, read, signal};

/// How many TXT values there were at most at a time, by the requests to the API, and how many were published in all.
fn at_a_time(bench: &Bench) -> (usize, usize) {
    let (mut now, mut most, mut all) = (0_usize, 0, 0);
    for request in bench.testbed.gandi().requests() {
        let is_ours =
            request.path.contains("/records/_acme-challenge") && (200..300).contains(&request.status);
        match request.method.as_str() {
            "POST" if is_ours => {
                assert_eq!(request.body.matches("\\\"").count(), 2, "one value: {}", request.body);
                (now, all) = (now + 1, all + 1);
            }
            "PATCH" | "DELETE" if is_ours => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    (most, all)
}

#[test]
fn no_two_values_are_shown_at_a_time() {
    let bench = Bench::counting();
    let names = ["example.com", "*.example.com", "www.example.com"];
    expect(&bench.issue(&names, &["--serial"]), 0);
    assert_eq!(at_a_time(&bench), (1, 3));
    assert!(bench.testbed.gandi().zone("example.com").is_empty());
    assert_eq!(std::fs::read_dir(bench.testbed.home().join("journal")).unwrap().count(), 0);

    // It is kept, and can be taken back.
    let record = bench.cert("example.com").join("certificate.json");
    assert!(read(&record).contains("\"serial\": true"), "{}", read(&record));
    expect(&bench.run(&["set", "example.com", "--serial=false"]), 0);
    assert!(!read(&record).contains("serial"), "{}", read(&record));
    bench.testbed.gandi().clear_requests();
    expect(&bench.issue(&["a.example.com", "b.example.com"], &[]), 0);
    assert_eq!(at_a_time(&bench), (2, 2));
}

#[test]
fn a_neighbour_keeps_its_value_and_a_killed_run_is_swept() {
    let bench = Bench::new();
    bench.testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour's", 1800);
    let before = bench.testbed.gandi().zone("example.com");
    expect(&bench.issue(&["example.com", "*.example.com"], &["--serial"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);

    // The first name is proved when the second one waits.
    let words = bench.words(&["one.example.com", "two.example.com"], &["--serial"]);
    let mut child = bench.livecert.spawn(&words).unwrap();
    bench.until_something_is_written_at("_acme-challenge.two", &mut child);
    signal(&child, "KILL");
    child.wait().unwrap();
    assert!(bench.txt("_acme-challenge.one").is_none());
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
}

#[test]
fn a_name_that_is_refused_ends_it_and_nothing_is_left() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("serial").unwrap();
    expect(&bench.issue_at(&server, &["first.example.com"], &[]), 0);
    bench.testbed.gandi().clear_requests();
    // The CA looks where nothing is shown.
    bench.testbed.gandi().set_publication_delay(0, std::time::Duration::from_secs(3600));
    let words = ["--serial", "--propagation", "sleep", "--dns-sleep", "1s"];
    let outcome = bench.issue_at(&server, &["one.example.com", "two.example.com"], &words);
    expect(&outcome, 1);
    assert_eq!(at_a_time(&bench), (1, 1), "{}", outcome.stderr);
    assert!(bench.testbed.gandi().zone("example.com").is_empty());
}

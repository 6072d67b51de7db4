use testbed::Options;
use testbed::sim::{Behaviour, Legacy};

use super::{Bench, document, expect};

/// Issues at the old host's paths, and gives the error.
fn refused(bench: &Bench, legacy: Option<Legacy>, credential: &str) -> serde_json::Value {
    bench.testbed.gandi().set_behaviour(Behaviour { legacy, ..Behaviour::default() });
    let mut words = bench.words_without_credential(&["example.com"], &["--json", "--plugin-arg", credential]);
    for word in &mut words {
        *word = word.replace("/v5/livedns", "/api/v5");
    }
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 1);
    assert!(!bench.testbed.pebble().requests().iter().any(|request| request.contains("finalize")));
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    document(&outcome)["error"].clone()
}

fn says(error: &serde_json::Value, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{error:#}");
}

#[test]
fn by_its_name_before_anything_is_sent() {
    let bench = Bench::new();
    let mut words = bench.words(&["example.com"], &[]);
    for word in &mut words {
        if word.starts_with("GandiApiBaseUrl=") {
            *word = "GandiApiBaseUrl=https://dns.api.gandi.net/api/v5".to_owned();
        }
    }
    let outcome = bench.livecert.run(words).unwrap();
    expect(&outcome, 2);
    assert!(outcome.stderr.contains("api.gandi.net"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("leave out GandiApiBaseUrl"), "{}", outcome.stderr);
}

#[test]
fn where_everything_is_gone() {
    let bench = Bench::new();
    let error = refused(&bench, Some(Legacy::Gone), &format!("GandiPAT=file:{}", bench.token.display()));
    assert_eq!(error["kind"], "gandi-no-zone");
    says(&error, &["GandiApiBaseUrl"]);
}

#[test]
fn where_a_zone_is_found_and_a_record_is_not_made() {
    let bench = Bench::new();
    let pat = format!("GandiPAT=file:{}", bench.token.display());
    let error = refused(&bench, Some(Legacy::NoNewRecords), &pat);
    assert_eq!(error["kind"], "gandi-no-zone");
    says(&error, &["the zone example.com is not accessible", "GandiApiBaseUrl"]);
}

#[test]
fn where_another_header_is_wanted() {
    let bench = Bench::new();
    let key = bench.testbed.secret_file("gandi.key", testbed::API_KEY).unwrap();
    for credential in
        [format!("GandiPAT=file:{}", bench.token.display()), format!("GandiToken=file:{}", key.display())]
    {
        let error = refused(&bench, Some(Legacy::KeysOnly), &credential);
        assert_eq!(error["kind"], "gandi-unauthorized");
        says(&error, &["You must provide an access token", "GandiApiBaseUrl"]);
    }
}

#[test]
fn where_its_certificate_has_ended() {
    let bench = Bench::with(&Options { expired_api: true, ..Options::default() });
    let error = refused(&bench, None, &format!("GandiPAT=file:{}", bench.token.display()));
    assert_eq!(error["kind"], "gandi-tls");
    says(&error, &["expired", "GandiApiBaseUrl", "clock"]);
    assert_eq!(bench.testbed.gandi().requests().len(), 0);
}

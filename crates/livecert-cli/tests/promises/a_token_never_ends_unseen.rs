use std::path::PathBuf;
use std::time::Duration;

use testbed::sim::{Behaviour, TokenConfig};
use testbed::{API_KEY, Options, PAT};

use super::{Bench, document, expect, read};

const DAY: i64 = 86_400;

/// A bench whose token has so many days left, and the words that name the API.
fn bench(days: i64) -> Bench {
    let bench = Bench::with(&Options::default());
    let mut token = TokenConfig::new(PAT);
    token.expires_in = days * DAY + 600;
    bench.testbed.gandi().set_token(token);
    bench
}

fn api(bench: &Bench) -> String {
    format!("GandiApiBaseUrl={}", bench.testbed.simulator().api_base_url())
}

#[test]
fn it_is_told_by_every_run_that_uses_it() {
    for (days, said) in [(29, Some("ends in 29 days")), (1, Some("TOMORROW")), (0, Some("TODAY")), (60, None)]
    {
        let bench = bench(days);
        let outcome = bench.issue(&["example.com"], &[]);
        expect(&outcome, 0);
        match said {
            Some(said) => assert!(outcome.stderr.contains(said), "{}", outcome.stderr),
            None => assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr),
        }
        let renewed = bench.run(&["renew"]);
        expect(&renewed, 0);
        assert_eq!(renewed.stderr.contains("token renew"), said.is_some(), "{}", renewed.stderr);
    }
}

#[test]
fn a_check_tells_how_it_stands() {
    let bench = bench(100);
    expect(&bench.issue(&["example.com"], &[]), 0);
    let check = bench.run(&["token", "check", "--json"]);
    expect(&check, 0);
    let one = document(&check)["credentials"][0].clone();
    assert_eq!((&one["state"], &one["days_left"]), (&"valid".into(), &100.into()), "{one}");
    assert_eq!(one["permissions"][0], "domain:tech");
    assert_eq!(one["certificates"][0], "example.com");
    expect(&bench.run(&["token", "check", "--warn-days", "200"]), 4);

    // The token service is best effort.
    let down = Behaviour { token_info_down: true, ..Behaviour::default() };
    bench.testbed.gandi().set_behaviour(down);
    let unknown = bench.run(&["token", "check"]);
    expect(&unknown, 0);
    assert!(unknown.stdout.contains("ends         unknown"), "{}", unknown.stdout);
    expect(&bench.issue(&["example.com"], &["--force"]), 0);
    // Unless its owner knows when it ends.
    let date = "GandiExpires=2026-11-30";
    let told = bench.issue(&["example.com"], &["--force", "--plugin-arg", date]);
    expect(&told, 0);
    assert!(told.stderr.contains("warning"), "{}", told.stderr);
}

#[test]
fn a_check_tells_what_is_missing() {
    let bench = bench(100);
    expect(&bench.issue(&["example.com"], &[]), 0);
    let mut token = TokenConfig::new(PAT);
    token.domains = vec!["example.org".to_owned()];
    token.scopes = vec!["domain:view".to_owned()];
    bench.testbed.gandi().set_token(token);
    let check = bench.run(&["token", "check"]);
    expect(&check, 1);
    assert!(check.stdout.contains("MISSING: the permission domain:tech"), "{}", check.stdout);
    assert!(check.stdout.contains("NOT COVERED: _acme-challenge.example.com"), "{}", check.stdout);
    assert!(check.stdout.contains("domains      example.org"), "{}", check.stdout);

    bench.testbed.secret_file("gandi.pat", &"0".repeat(40)).unwrap();
    let dead = bench.run(&["token", "check"]);
    expect(&dead, 1);
    assert!(dead.stdout.contains("refused"), "{}", dead.stdout);

    let key = bench.testbed.secret_file("api.key", API_KEY).unwrap();
    let words = format!("GandiToken=file:{}", key.display());
    let check = bench.run(&["token", "check", "--plugin-arg", &words, "--plugin-arg", &api(&bench)]);
    expect(&check, 0);
    assert!(check.stdout.contains("never"), "{}", check.stdout);

    // Where nobody tells, all may be well or not: that is no success.
    let elsewhere = bench.testbed.pebble().directory().replace("/dir", "/nothing");
    let (words, api) =
        (format!("GandiPAT=file:{}", bench.token.display()), format!("GandiApiBaseUrl={elsewhere}"));
    let untold = bench.run(&["token", "check", "--plugin-arg", &words, "--plugin-arg", &api]);
    expect(&untold, 1);
    assert!(untold.stdout.contains("unknown"), "{}", untold.stdout);
}

#[test]
fn whoever_waits_for_a_check_is_told_what_for() {
    let bench = bench(100);
    expect(&bench.issue(&["example.com"], &[]), 0);
    let check = bench.run(&["token", "check"]);
    expect(&check, 0);
    assert_eq!(check.stderr, "");
    bench.testbed.gandi().set_latency(Duration::from_millis(3500));
    let check = bench.run(&["token", "check"]);
    expect(&check, 0);
    assert!(check.stderr.contains("no answer yet"), "{}", check.stderr);
    assert_eq!(bench.run(&["token", "check", "--quiet"]).stderr, "");
}

#[test]
fn a_renewal_loses_neither_the_old_one_nor_the_new_one() {
    let bench = bench(10);
    expect(&bench.issue(&["example.com"], &[]), 0);
    let old = PathBuf::from(format!("{}.old", bench.token.display()));
    let renewed = bench.run(&["token", "renew"]);
    expect(&renewed, 0);
    let new = read(&bench.token);
    assert_ne!(new.trim(), PAT);
    assert!(!renewed.stdout.contains(new.trim()) && !renewed.stderr.contains(new.trim()));
    assert_eq!(read(&old).trim(), PAT);
    assert!(!bench.token.with_extension("pat.new").exists());
    expect(&bench.run(&["renew", "--force"]), 0);

    // Too early, says Gandi; nothing has changed.
    let early = bench.run(&["token", "renew"]);
    expect(&early, 1);
    assert!(
        early.stderr.contains("cannot be renewed yet") && early.stderr.contains("30 days"),
        "{}",
        early.stderr
    );
    assert_eq!(read(&bench.token), new);
    assert!(!bench.token.with_extension("pat.new").exists());
}

#[test]
fn a_renewed_token_that_cannot_be_written_to_its_source_is_put_aside_or_printed() {
    let bench = bench(10);
    let words = ["token", "renew", "--plugin-arg", "GandiPAT=env:THE_PAT", "--plugin-arg", &api(&bench)];
    let livecert = bench.livecert.clone().env("THE_PAT", PAT);
    let renewed = livecert.run(words).unwrap();
    expect(&renewed, 0);
    let secret = read(&bench.testbed.home().join("renewed-credential"));
    assert!(renewed.stdout.contains("renewed-credential") && !renewed.stdout.contains(&secret));
    let printed = livecert.run([&words[..], &["--print", "--json"]].concat()).unwrap();
    assert_eq!(document(&printed)["renewed"][0]["secret"].as_str().unwrap().len(), 40);

    // An API key has no end, and nothing to renew.
    let key = bench.livecert.clone().env("GANDI_TOKEN", API_KEY);
    let refused = key.run(["token", "renew", "--plugin-arg", &api(&bench)]).unwrap();
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
}

#[test]
fn a_name_that_it_does_not_cover_is_told_with_what_it_says_about_itself() {
    let bench = Bench::new();
    bench.testbed.secret_file("gandi.pat", testbed::LIMITED_PAT).unwrap();
    let outcome = bench.issue(&["example.com"], &[]);
    expect(&outcome, 1);
    assert!(outcome.stderr.contains("says of itself"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("domains example.org"), "{}", outcome.stderr);
}

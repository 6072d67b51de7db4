//! docs/livedns-behaviour.md is the table of what is tried here. Each position of each switch, and hand-picked nasty
//! combinations, go through whole issues; all combinations of what is not known about writing go through `dns add` and
//! `dns remove`, which write in the same way and need no CA.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use testbed::sim::{
    Behaviour, BesideCname, EmptyList, Fault, FaultRule, Json, MissingRrset, Organisation, OtherCase, Patch,
    Refusal, RetryAfter, Rrset, Superfluous, TokenConfig,
};

use super::{Bench, expect};

const NAME: &str = "_acme-challenge";
const FQDN: &str = "_acme-challenge.example.com";
const ORGANISATION: &str = "GandiSharingId=0a1b2c3d-0000-1111-2222-0123456789ab";

const MISSING: [MissingRrset; 2] = [MissingRrset::Accept, MissingRrset::NotFound];
const EMPTY: [EmptyList; 3] = [EmptyList::Keep, EmptyList::Delete, EmptyList::Refuse];
const SUPERFLUOUS: [Superfluous; 2] = [Superfluous::Ignore, Superfluous::Refuse];
const NOT_OFFERED: [Patch; 4] =
    [Patch::BadRequest, Patch::NotFound, Patch::NotAllowed, Patch::NotImplemented];
const REFUSALS: [Refusal; 3] = [Refusal::Unauthorized, Refusal::Forbidden, Refusal::NotFound];

/// Servers side by side: an issue mostly waits.
const BENCHES: usize = 4;

/// Every combination of what is not known for sure about writing. (Duplicates, which are never sent, are refused in every
/// second case.)
fn writing() -> Vec<Behaviour> {
    let mut all = Vec::new();
    for delete_missing in MISSING {
        for put_empty in EMPTY {
            let base = Behaviour { delete_missing, put_empty, ..Behaviour::default() };
            all.extend(NOT_OFFERED.map(|patch| Behaviour { patch, ..base.clone() }));
            for patch_missing in MISSING {
                for patch_last in EMPTY {
                    for patch_absent in SUPERFLUOUS {
                        for patch_as_read in [false, true] {
                            all.push(Behaviour {
                                patch_missing,
                                patch_last,
                                patch_absent,
                                patch_present: patch_absent,
                                patch_as_read,
                                ..base.clone()
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

/// Each position of each switch by itself, where it must not matter to a credential that is right; and combinations in
/// which one could hide the other.
fn single() -> Vec<Behaviour> {
    let default = Behaviour::default;
    let mut all = vec![default()];
    all.extend(NOT_OFFERED.map(|patch| Behaviour { patch, ..default() }));
    all.extend(MISSING.map(|delete_missing| Behaviour { delete_missing, ..default() }));
    all.extend(MISSING.map(|patch_missing| Behaviour { patch_missing, ..default() }));
    all.extend(EMPTY.map(|put_empty| Behaviour { put_empty, patch: Patch::NotAllowed, ..default() }));
    all.extend(EMPTY.map(|patch_last| Behaviour { patch_last, ..default() }));
    all.extend(SUPERFLUOUS.map(|patch_present| Behaviour { patch_present, ..default() }));
    all.extend(SUPERFLUOUS.map(|patch_absent| Behaviour { patch_absent, ..default() }));
    all.extend(
        [BesideCname::BadRequest, BesideCname::Conflict, BesideCname::Unprocessable]
            .map(|beside_cname| Behaviour { beside_cname, ..default() }),
    );
    all.extend(
        [OtherCase::Found, OtherCase::NotFound].map(|other_case| Behaviour { other_case, ..default() }),
    );
    all.extend([Json::Compact, Json::Spaced, Json::Mixed].map(|json| Behaviour { json, ..default() }));
    for on in [false, true] {
        all.push(Behaviour { refuse_duplicates: on, ..default() });
        all.push(Behaviour { patch_as_read: on, ..default() });
        all.push(Behaviour { patch_resets_ttl: on, ..default() });
        all.push(Behaviour { split_long_values: on, ..default() });
        all.push(Behaviour { check_content_type: on, ..default() });
        all.push(Behaviour { hide_domain_list: on, ..default() });
        all.push(Behaviour { token_info_down: on, ..default() });
    }
    for refusal in REFUSALS {
        all.push(Behaviour {
            other_domain: refusal,
            bad_token: refusal,
            expired_token: refusal,
            ..default()
        });
    }
    all.extend([None, Some(0)].map(|renew_only_below| Behaviour { renew_only_below, ..default() }));
    // The server that refuses all it may, and the one that accepts and keeps all it may.
    let strict = Behaviour {
        delete_missing: MissingRrset::NotFound,
        put_empty: EmptyList::Refuse,
        patch_missing: MissingRrset::NotFound,
        patch_last: EmptyList::Refuse,
        patch_present: Superfluous::Refuse,
        patch_absent: Superfluous::Refuse,
        patch_as_read: true,
        hide_domain_list: true,
        token_info_down: true,
        ..default()
    };
    let lax = Behaviour {
        put_empty: EmptyList::Keep,
        refuse_duplicates: false,
        patch_missing: MissingRrset::Accept,
        patch_last: EmptyList::Keep,
        patch_resets_ttl: true,
        split_long_values: false,
        check_content_type: false,
        ..default()
    };
    for base in [strict, lax] {
        all.extend(NOT_OFFERED.map(|patch| Behaviour { patch, ..base.clone() }));
        all.push(base);
    }
    all
}

/// What is at the name before: nothing; somebody else's values, one of them long; what a careless client left.
fn neighbours() -> [Option<Rrset>; 3] {
    let quoted = |text: &str| format!("\"{text}\"");
    let long = format!("{} {}", quoted(&"x".repeat(255)), quoted("the rest; of it"));
    let theirs = Rrset { ttl: 3600, values: vec![quoted("a neighbour's"), long] };
    [None, Some(theirs), Some(Rrset { ttl: 10_800, values: Vec::new() })]
}

/// Tries all of `work` with several benches; each of them takes the next piece.
fn side_by_side<T: Sync>(work: &[T], each: impl Fn(&Bench, &T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..BENCHES {
            scope.spawn(|| {
                let bench = Bench::new();
                while let Some(piece) = work.get(next.fetch_add(1, Relaxed)) {
                    // So many requests are not what one state folder may send in a minute.
                    let _ = std::fs::remove_file(bench.testbed.home().join("locks/gandi.pace"));
                    bench.testbed.gandi().clear_requests();
                    each(&bench, piece);
                }
            });
        }
    });
}

fn cases(behaviours: Vec<Behaviour>) -> Vec<(Behaviour, Option<Rrset>)> {
    let with = |behaviour: Behaviour| neighbours().map(|rrset| (behaviour.clone(), rrset));
    let mut cases: Vec<_> = behaviours.into_iter().flat_map(with).collect();
    for (behaviour, _) in &mut cases {
        behaviour.requests_per_minute = 0;
    }
    cases
}

/// What has to be there afterwards: values of others as they were, and no rrset where there was none.
#[track_caller]
fn only_theirs_is_left(bench: &Bench, case: &(Behaviour, Option<Rrset>)) {
    let theirs = case.1.clone().filter(|rrset| !rrset.values.is_empty());
    let left = bench.testbed.gandi().zone("example.com").remove(&format!("{NAME}/TXT"));
    let left = left.filter(|rrset| !rrset.values.is_empty());
    assert_eq!(left, theirs, "{case:?}");
}

#[test]
fn each_by_itself_and_the_nasty_ones_through_whole_issues() {
    side_by_side(&cases(single()), |bench, case| {
        bench.testbed.gandi().set_behaviour(case.0.clone());
        bench.testbed.gandi().set_rrset("example.com", NAME, "TXT", case.1.clone());
        let issued = bench.issue(&["example.com", "*.example.com"], &["--force"]);
        assert_eq!(issued.status, Some(0), "{case:?}: {}", issued.stderr);
        only_theirs_is_left(bench, case);
    });
}

#[test]
fn all_combinations_of_writing() {
    let mut cases = cases(writing());
    assert_eq!(cases.len(), 2 * 3 * (4 + 2 * 3 * 2 * 2) * 3);
    for (number, (behaviour, _)) in cases.iter_mut().enumerate() {
        behaviour.refuse_duplicates = number % 2 == 0;
    }
    side_by_side(&cases, |bench, case| {
        bench.testbed.gandi().set_behaviour(case.0.clone());
        bench.testbed.gandi().set_rrset("example.com", NAME, "TXT", case.1.clone());
        for command in ["add", "remove"] {
            let mut words = vec!["dns".to_owned(), command.to_owned(), FQDN.to_owned(), "ours".to_owned()];
            if command == "add" {
                words.push("--no-wait".to_owned());
            }
            let issue = bench.words(&[], &[]);
            let at = issue.iter().position(|word| word == "--plugin").unwrap();
            words.extend_from_slice(&issue[at..]);
            let done = bench.livecert.run(words).unwrap();
            assert_eq!(done.status, Some(0), "{case:?}: {}", done.stderr);
            if command == "add" {
                let mut with_ours = case.1.clone().map_or(Vec::new(), |rrset| rrset.values);
                with_ours.push("\"ours\"".to_owned());
                assert_eq!(bench.txt(NAME).unwrap().1, with_ours, "{case:?}");
            }
        }
        only_theirs_is_left(bench, case);
    });
}

#[test]
fn a_wrong_credential_is_told_however_it_is_refused() {
    let bench = Bench::new();
    for refusal in REFUSALS {
        let behaviour = Behaviour {
            bad_token: refusal,
            expired_token: refusal,
            other_domain: refusal,
            ..Behaviour::default()
        };
        bench.testbed.gandi().set_behaviour(behaviour);
        let mut expired = TokenConfig::new(&"e".repeat(40));
        expired.expires_in = -60;
        bench.testbed.gandi().set_token(expired);
        for token in ["0".repeat(40), "e".repeat(40), testbed::LIMITED_PAT.to_owned()] {
            bench.testbed.secret_file("gandi.pat", &token).unwrap();
            let refused = bench.issue(&["example.com"], &["--json"]);
            expect(&refused, 1);
            let error = super::document(&refused)["error"].clone();
            let hint = error["hint"].as_str().unwrap();
            assert!(hint.contains("token") || hint.contains("credential"), "{refusal:?}: {error}");
            assert!(error["kind"].as_str().unwrap().starts_with("gandi-"), "{refusal:?}: {error}");
        }
    }
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert!(!bench.testbed.pebble().requests().iter().any(|request| request.contains("order-plz")));
}

#[test]
fn organisations_are_named_where_that_is_asked_for() {
    let bench = Bench::new();
    for organisation in [Organisation::Query, Organisation::Header] {
        bench.testbed.gandi().set_behaviour(Behaviour { organisation, ..Behaviour::default() });
        let without = bench.issue(&["example.com"], &["--force"]);
        expect(&without, 1);
        assert!(without.stderr.contains("try GandiSharingId"), "{}", without.stderr);
        expect(&bench.issue(&["example.com"], &["--force", "--plugin-arg", ORGANISATION]), 0);
    }
    let behaviour = Behaviour { refuse_superfluous_organisation: true, ..Behaviour::default() };
    bench.testbed.gandi().set_behaviour(behaviour);
    let superfluous = bench.issue(&["example.com"], &["--force", "--plugin-arg", ORGANISATION]);
    expect(&superfluous, 1);
    assert!(superfluous.stderr.contains("leave it out"), "{}", superfluous.stderr);
}

#[test]
fn a_busy_or_broken_api_is_asked_again() {
    let answer = |status, retry_after: Option<&str>| Fault::Answer {
        status,
        body: "<html>not JSON</html>".into(),
        retry_after: retry_after.map(str::to_owned),
    };
    let faults = [
        answer(429, Some("1")),
        answer(429, None),
        answer(503, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
        answer(500, None),
        answer(502, None),
        answer(504, None),
        Fault::CutBefore,
        Fault::CutAfter,
    ];
    side_by_side(&faults, |bench, fault| {
        for method in ["GET", "POST", "DELETE"] {
            let (method, path) = (Some(method.to_owned()), "/livedns/".to_owned());
            bench.testbed.gandi().fail(FaultRule { method, path, after: 0, times: 1, fault: fault.clone() });
        }
        expect(&bench.issue(&["example.com"], &["--force"]), 0);
        assert_eq!(bench.txt(NAME), None, "{fault:?}");
    });
}

#[test]
fn a_limit_of_the_rate_is_kept_or_waited_for_however_it_is_told() {
    let told = [RetryAfter::Nothing, RetryAfter::Seconds(1), RetryAfter::Date(1), RetryAfter::Date(3600)];
    side_by_side(&told, |bench, &retry_after| {
        let limit = Behaviour { requests_per_minute: 1, retry_after, ..Behaviour::default() };
        bench.testbed.gandi().set_behaviour(limit);
        let begun = std::time::Instant::now();
        let limited = bench.issue(&["example.com"], &["--json", "--plugin-arg", "GandiRetryTime=2s"]);
        expect(&limited, 1);
        let error = super::document(&limited)["error"].clone();
        assert_eq!(error["kind"], "gandi-rate-limited", "{error}");
        let says_when = error.to_string().contains("retry at");
        assert_eq!(says_when, retry_after != RetryAfter::Nothing, "{error}");
        // What is asked beyond the time that is given is not waited for.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
        bench.testbed.gandi().set_behaviour(Behaviour { requests_per_minute: 0, ..Behaviour::default() });
        expect(&bench.issue(&["example.com"], &[]), 0);
    });
}

#[test]
fn a_name_in_another_letter_case_is_used_as_it_is_written_or_told() {
    let bench = Bench::new();
    let theirs = Rrset { ttl: 3600, values: vec!["\"a neighbour's\"".to_owned()] };
    bench.testbed.gandi().set_rrset("example.com", "_ACME-Challenge", "TXT", Some(theirs));
    let before = bench.testbed.gandi().zone("example.com");
    expect(&bench.issue(&["example.com"], &[]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
    bench
        .testbed
        .gandi()
        .set_behaviour(Behaviour { other_case: OtherCase::NotFound, ..Behaviour::default() });
    bench.prove_anew();
    let words = ["--force", "--plugin-arg", "GandiRetryTime=1s"];
    let outcome = bench.issue(&["example.com"], &words);
    expect(&outcome, 1);
    assert!(outcome.stderr.contains("letter case"), "{}", outcome.stderr);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
}

#[test]
fn a_cname_in_the_way_is_told_however_it_is_refused() {
    let bench = Bench::new();
    for beside_cname in [BesideCname::BadRequest, BesideCname::Conflict, BesideCname::Unprocessable] {
        bench.testbed.gandi().set_behaviour(Behaviour { beside_cname, ..Behaviour::default() });
        // The name servers do not show it yet, so that nobody follows it.
        bench.testbed.gandi().set_publication_delay(0, std::time::Duration::from_secs(3600));
        let cname = Rrset { ttl: 300, values: vec!["elsewhere.example.net.".to_owned()] };
        bench.testbed.gandi().set_rrset("example.com", NAME, "CNAME", Some(cname));
        let outcome = bench.issue(&["example.com"], &["--json"]);
        expect(&outcome, 1);
        let error = super::document(&outcome)["error"].clone();
        assert_eq!(error["kind"], "gandi-conflict", "{beside_cname:?}: {error}");
        assert!(error["hint"].as_str().unwrap().contains("elsewhere.example.net."), "{error}");
    }
}

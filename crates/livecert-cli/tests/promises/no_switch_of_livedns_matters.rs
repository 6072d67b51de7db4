use testbed::sim::{
    Behaviour, EmptyList, Fault, FaultRule, MissingRrset, Organisation, Refusal, TokenConfig,
};

use super::{Bench, expect};

const NAME: &str = "_acme-challenge";
const ORGANISATION: &str = "GandiSharingId=0a1b2c3d-0000-1111-2222-0123456789ab";

/// Every combination of what is not known for sure about writing.
fn writing() -> Vec<Behaviour> {
    let missing = [MissingRrset::Accept, MissingRrset::NotFound];
    let empty = [EmptyList::Keep, EmptyList::Delete, EmptyList::Refuse];
    let mut all = Vec::new();
    for refuse_duplicates in [false, true] {
        for delete_missing in missing {
            for put_empty in empty {
                let base = Behaviour { refuse_duplicates, delete_missing, put_empty, ..Behaviour::default() };
                all.push(Behaviour { patch_offered: false, ..base.clone() });
                for patch_missing in missing {
                    for patch_last in empty {
                        all.push(Behaviour {
                            patch_offered: true,
                            patch_missing,
                            patch_last,
                            ..base.clone()
                        });
                    }
                }
            }
        }
    }
    all
}

/// What is not known about the rest, where it must not matter to a credential that is right.
fn others() -> Vec<Behaviour> {
    let default = Behaviour::default;
    let mut all = Vec::new();
    for on in [false, true] {
        all.push(Behaviour { hide_domain_list: on, ..default() });
        all.push(Behaviour { token_info_down: on, ..default() });
    }
    for refusal in [Refusal::Unauthorized, Refusal::Forbidden, Refusal::NotFound] {
        all.push(Behaviour {
            other_domain: refusal,
            bad_token: refusal,
            expired_token: refusal,
            ..default()
        });
    }
    all.push(Behaviour { renew_only_below: None, ..default() });
    all
}

#[test]
fn alone_or_beside_a_neighbour() {
    let bench = Bench::new();
    for behaviour in writing().into_iter().chain(others()) {
        for neighbour in [None, Some("a neighbour")] {
            let gandi = bench.testbed.gandi();
            gandi.set_behaviour(behaviour.clone());
            gandi.set_rrset("example.com", NAME, "TXT", None);
            if let Some(value) = neighbour {
                gandi.add_value("example.com", NAME, value, 3600);
            }
            // Thousands of requests are not what one state folder may send in a minute.
            let _ = std::fs::remove_file(bench.testbed.home().join("locks/gandi.pace"));
            let before = bench.txt(NAME);
            expect(&bench.issue(&["example.com", "*.example.com"], &["--force"]), 0);
            assert_eq!(bench.txt(NAME), before, "{behaviour:?}");
        }
    }
}

#[test]
fn a_wrong_credential_is_told_however_it_is_refused() {
    let bench = Bench::new();
    for refusal in [Refusal::Unauthorized, Refusal::Forbidden, Refusal::NotFound] {
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
    let bench = Bench::new();
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
        Fault::CutBefore,
        Fault::CutAfter,
    ];
    for fault in faults {
        for method in ["GET", "POST", "DELETE"] {
            let (method, path) = (Some(method.to_owned()), "/livedns/".to_owned());
            bench.testbed.gandi().fail(FaultRule { method, path, after: 0, times: 1, fault: fault.clone() });
        }
        expect(&bench.issue(&["example.com"], &["--force"]), 0);
        assert_eq!(bench.txt(NAME), None, "{fault:?}");
    }
}

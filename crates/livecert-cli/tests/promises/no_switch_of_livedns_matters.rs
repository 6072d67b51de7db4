use testbed::sim::{Behaviour, EmptyList, Fault, FaultRule, MissingRrset, Organisation, Refusal};

use super::{Bench, expect};

const NAME: &str = "_acme-challenge";
const ORGANISATION: &str = "GandiSharingId=0a1b2c3d-0000-1111-2222-0123456789ab";

/// Positions in which sources about the real service differ, or are silent.
fn positions() -> Vec<Behaviour> {
    let default = Behaviour::default;
    let mut all = vec![default()];
    for missing in [MissingRrset::Accept, MissingRrset::NotFound] {
        all.push(Behaviour { delete_missing: missing, patch_missing: missing, ..default() });
    }
    for empty in [EmptyList::Keep, EmptyList::Delete, EmptyList::Refuse] {
        all.push(Behaviour { put_empty: empty, patch_last: empty, ..default() });
    }
    for on in [false, true] {
        all.push(Behaviour { refuse_duplicates: on, patch_offered: !on, hide_domain_list: on, ..default() });
    }
    for refusal in [Refusal::Unauthorized, Refusal::Forbidden, Refusal::NotFound] {
        all.push(Behaviour { other_domain: refusal, bad_token: refusal, ..default() });
    }
    all
}

#[test]
fn alone_or_beside_a_neighbour() {
    let bench = Bench::new();
    for behaviour in positions() {
        for neighbour in [None, Some("a neighbour")] {
            let gandi = bench.testbed.gandi();
            gandi.set_behaviour(behaviour.clone());
            gandi.set_rrset("example.com", NAME, "TXT", None);
            if let Some(value) = neighbour {
                gandi.add_value("example.com", NAME, value, 3600);
            }
            let before = bench.txt(NAME);
            expect(&bench.issue(&["example.com", "*.example.com"], &["--force"]), 0);
            assert_eq!(bench.txt(NAME), before, "{behaviour:?}");
        }
    }
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

use proptest::prelude::*;

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(minutes * 60).unwrap()
}

fn refused() -> CertificateError {
    CertificateError::Refused { server: "https://ca.example/".into(), failures: Vec::new() }
}

/// The minutes at which it is tried, when a run comes every minute and each try fails.
fn tries(minutes: i64, occasion: Occasion, end: Option<Timestamp>, error: &CertificateError) -> Vec<i64> {
    let mut record: Option<FailureRecord> = None;
    let mut tried = Vec::new();
    for minute in 0..minutes {
        if record.as_ref().is_none_or(|record| !waits(record, occasion, at(minute))) {
            record = Some(one_more(record, error, end, at(minute)));
            tried.push(minute);
        }
    }
    tried
}

const DAY: i64 = 24 * 60;

#[test]
fn a_broken_validation_costs_the_ca_eight_orders_in_a_day_of_runs_every_minute() {
    let end = Some(at(30 * DAY));
    let tried = tries(DAY, Occasion::Due, end, &refused());
    assert_eq!(tried, [0, 10, 30, 70, 150, 310, 630, 1270]);
    // At most five in five hours, and three in one.
    assert_eq!(tried.iter().filter(|minute| **minute < 300).count(), 5);
    assert!(
        tried.iter().all(|from| tried.iter().filter(|one| (*from..from + 60).contains(one)).count() <= 3)
    );
    // Then once a day.
    assert_eq!(tries(10 * DAY, Occasion::Due, end, &refused()).len(), 8 + 9);
}

#[test]
fn a_container_that_starts_again_and_again_is_slowed_down_after_the_third() {
    let tried = tries(DAY, Occasion::Issue, None, &refused());
    assert_eq!(tried, [0, 1, 2, 42, 122, 282, 602, 1242]);
    // What costs the CA nothing may be tried at will by who names it.
    assert_eq!(tries(60, Occasion::Named, None, &CertificateError::NoNames).len(), 60);
    assert_eq!(tries(60, Occasion::Due, None, &CertificateError::NoNames), [0, 10, 30]);
}

#[test]
fn the_nearer_the_end_the_more_often() {
    // Three hours are left: a tenth of that is not waited away, nor less than ten minutes.
    assert_eq!(next_try(9, at(0), Some(at(180))), at(18));
    assert_eq!(next_try(9, at(0), Some(at(20))), at(10));
    assert_eq!(next_try(9, at(60), Some(at(0))), at(120));
    assert_eq!(next_try(9, at(0), None), at(DAY));
}

#[test]
fn what_a_ca_has_said_is_no_failed_try() {
    let outage = CertificateError::Outage {
        server: String::new(),
        certificates: 3,
        waited: std::time::Duration::from_secs(30),
        words: String::new(),
    };
    assert_eq!(tries(60, Occasion::Due, None, &outage).len(), 60, "it was not asked");
    let held = CertificateError::Held { server: String::new(), until: at(DAY), words: "later".into() };
    let tried = tries(60, Occasion::Due, None, &held);
    assert_eq!(tried.len(), 60, "the hold itself says until when");
    let record = one_more(Some(one_more(None, &refused(), None, at(0))), &held, None, at(5));
    assert_eq!((record.count, record.next_try, record.kind.as_str()), (1, at(10), "rate-limited"));
}

proptest! {
    #[test]
    fn waits_are_neither_too_short_nor_too_long(
        count in any::<u32>(), now in 0i64..1_000_000, left in prop::option::of(-100_000i64..1_000_000),
    ) {
        let end = left.map(|left| at(now + left));
        let wait = next_try(count, at(now), end).duration_since(at(now));
        prop_assert!((FIRST..=LONGEST_WAIT).contains(&wait));
        if let Some(left) = left.filter(|left| *left > 100) {
            prop_assert!(wait <= SignedDuration::from_mins(left) / 10);
        }
        prop_assert!(wait <= next_try(count.saturating_add(1), at(now), end).duration_since(at(now)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_it(now in 0i64..1_000_000, count in 1u32..50) {
        let mut record = FailureRecord::new(at(now));
        (record.count, record.next_try) = (count, at(now + 2 * DAY));
        prop_assert!(!waits(&record, Occasion::Due, at(now)));
    }
}

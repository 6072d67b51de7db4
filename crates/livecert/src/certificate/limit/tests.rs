use proptest::prelude::*;

use super::report::uses;
use super::*;

const ACCOUNT: &str = "https://ca.example/acct/1";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn names(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn entry(second: i64, what: AskedFor) -> Asked {
    Asked { at: at(second), account: ACCOUNT.to_owned(), what }
}

fn order(second: i64, id: &str, exemption: Exemption) -> Asked {
    let what = AskedFor::Order { id: id.into(), cert: "a".into(), names: names("a.example.com"), exemption };
    entry(second, what)
}

fn certificate(second: i64, order: &str, of: &str, renewal: bool) -> Asked {
    let what = AskedFor::Certificate { order: order.into(), cert: "a".into(), names: names(of), renewal };
    entry(second, what)
}

fn reached(limits: &str, asked: &[Asked], of: &str, exemption: Exemption) -> Option<LimitKind> {
    let limits: Limits = limits.parse().unwrap();
    limits.reached(asked, Some(ACCOUNT), ("next", &names(of)), exemption, at(100)).map(|reached| reached.kind)
}

#[test]
fn limits_are_written_as_they_are_read() {
    for text in ["letsencrypt", "letsencrypt-staging", "none", "orders=5/7d", "domain=1/90m,failures=2/30s"] {
        assert_eq!(text.parse::<Limits>().unwrap().to_string(), text);
    }
    let spelled: Limits = "orders=300/3h, domain=50/7d,set=5/7d,failures=5/1h".parse().unwrap();
    assert_eq!(spelled, Limits::LETS_ENCRYPT);
    for wrong in
        ["", "LETSENCRYPT", "orders", "orders=", "orders=1/1h,orders=2/1h", "other=1/1h", "orders=1/1h,"]
    {
        assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
    }
}

#[test]
fn a_domain_is_what_was_registered() {
    for (name, registered_as) in [
        ("www.example.com", "example.com"),
        ("*.a.b.example.co.uk", "example.co.uk"),
        ("user.github.io", "user.github.io"),
        ("co.uk", "co.uk"),
        ("host.internal.corp", "internal.corp"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ] {
        assert_eq!(registered(name), registered_as, "{name}");
    }
}

#[test]
fn each_limit_counts_what_is_its_own() {
    let twice = [
        certificate(1, "o1", "b.example.com a.example.com", false),
        certificate(2, "o2", "a.example.com", true),
    ];
    let both = "a.example.com b.example.com";
    assert_eq!(reached("set=1/1h", &twice, both, Exemption::SameNames), Some(LimitKind::Set));
    assert_eq!(reached("set=1/1h", &twice, both, Exemption::Replaces), None);
    assert_eq!(reached("set=1/1h", &twice, "b.example.com", Exemption::None), None);
    // The renewal is not among those of the domain, nor kept back by them.
    assert_eq!(reached("domain=1/1h", &twice, "new.example.com", Exemption::None), Some(LimitKind::Domain));
    assert_eq!(reached("domain=1/1h", &twice, both, Exemption::SameNames), None);
    assert_eq!(reached("domain=2/1h", &twice, "new.example.com", Exemption::None), None);
    // An IPv6 address counts with all of its /64.
    let address = [certificate(1, "o1", "2001:db8:1:2::1", false)];
    assert_eq!(reached("domain=1/1h", &address, "2001:db8:1:2::9", Exemption::None), Some(LimitKind::Domain));
    assert_eq!(reached("domain=1/1h", &address, "2001:db8:1:3::1", Exemption::None), None);
    // Got twice from one order, it is one.
    let resumed = [twice[0].clone(), twice[0].clone()];
    assert_eq!(reached("set=2/1h", &resumed, both, Exemption::None), None);

    let orders = [
        order(1, "1", Exemption::None),
        order(2, "2", Exemption::SameNames),
        order(3, "3", Exemption::Replaces),
    ];
    assert_eq!(reached("orders=1/1h", &orders, "x.example", Exemption::None), Some(LimitKind::Orders));
    assert_eq!(reached("orders=1/1h", &orders, "x.example", Exemption::SameNames), None);
    assert_eq!(reached("orders=2/1h", &orders, "x.example", Exemption::None), None);
    let refused = [order(1, "1", Exemption::None), entry(2, AskedFor::NoOrder { id: "1".into() })];
    assert_eq!(reached("orders=1/1h", &refused, "x.example", Exemption::None), None);
    // Another account has orders of its own.
    let other = [Asked { account: "https://ca.example/acct/2".into(), ..orders[0].clone() }];
    assert_eq!(reached("orders=1/1h", &other, "x.example", Exemption::None), None);

    let failed = [entry(1, AskedFor::Failure { names: names("a.example.com") })];
    assert_eq!(
        reached("failures=1/1h", &failed, "*.a.example.com x.example", Exemption::None),
        Some(LimitKind::Failures)
    );
    assert_eq!(reached("failures=1/1h", &failed, "b.example.com", Exemption::None), None);
    assert_eq!(reached("none", &failed, "a.example.com", Exemption::None), None);
}

#[test]
fn what_is_shown_is_what_counts() {
    let asked = [order(1, "1", Exemption::None), certificate(1, "o1", "a.example.com", false)];
    let shown = uses(&"set=2/1h".parse().unwrap(), &asked, at(2));
    let rows: Vec<_> = shown.iter().map(|one| (one.kind, one.about.as_str(), one.used)).collect();
    let expected = [
        (LimitKind::Orders, "", 1),
        (LimitKind::Domain, "example.com", 1),
        (LimitKind::Set, "a.example.com", 1),
    ];
    assert_eq!(rows, expected);
    assert_eq!(shown[2].fill.unwrap().left, 1);
    assert_eq!(shown[0].fill, None);
    // A week later no limit and nobody cares.
    assert_eq!(uses(&"set=2/1h".parse().unwrap(), &asked, at(8 * 86_400)), []);
    let limits: Limits = "set=2/30d".parse().unwrap();
    assert!(limits.needs(&asked[1], at(200 * 86_400)) && !limits.needs(&asked[0], at(8 * 86_400)));
}

#[test]
fn an_order_takes_its_place_until_it_can_give_no_certificate() {
    let of = |second, id: &str, exemption| order(second, id, exemption);
    let open = [of(1, "1", Exemption::None)];
    let limits: Limits = "set=1/9h,domain=1/9h".parse().unwrap();
    let holds_back = |asked: &[Asked], cert: &str, second| {
        let names = names("b.example.com");
        limits.reached(asked, Some(ACCOUNT), (cert, &names), Exemption::None, at(second)).is_some()
    };
    assert!(holds_back(&open, "b", 2));
    assert_eq!(reached("set=1/9h", &open, "a.example.com", Exemption::SameNames), Some(LimitKind::Set));
    assert_eq!(reached("set=1/9h", &open, "b.example.com", Exemption::None), None);
    assert_eq!(uses(&limits, &open, at(2)).iter().filter(|one| one.used == 1).count(), 3);
    // The next one for the same certificate is made in its stead.
    assert!(!holds_back(&open, "a", 2));
    // With its certificate it is one, not two.
    let got = [open[0].clone(), certificate(5, "o1", "a.example.com", false)];
    assert!(holds_back(&got, "b", 6));
    assert_eq!(reached("domain=2/9h", &got, "b.example.com", Exemption::None), None);
    // It can give none any more.
    let no_certificate = |cert: &str| entry(5, AskedFor::NoCertificate { cert: cert.into() });
    assert!(!holds_back(&[open[0].clone(), no_certificate("a")], "b", 6));
    assert!(holds_back(&[open[0].clone(), no_certificate("other")], "b", 6));
    assert!(!holds_back(&[open[0].clone(), entry(5, AskedFor::NoOrder { id: "1".into() })], "b", 6));
    let again = [open[0].clone(), of(5, "2", Exemption::None)];
    assert_eq!(reached("domain=2/9h", &again, "b.example.com", Exemption::None), None);
    // Nobody said what became of it.
    let chance = ORDER_CHANCE.as_secs();
    assert!(holds_back(&open, "b", chance));
    assert!(!holds_back(&open, "b", chance + 1));
    // A renewal takes no place of the domain, and one that is late counts from now on, as its certificate will.
    assert_eq!(
        reached("domain=1/9h", &[of(1, "1", Exemption::SameNames)], "b.example.com", Exemption::None),
        None
    );
    assert_eq!(
        limits.reached(&open, None, ("b", &names("b.example.com")), Exemption::None, at(3000)).unwrap().until,
        at(3000 + 9 * 3600)
    );
}

proptest! {
    /// Orders side by side, each of which may give its certificate late, or none: of those that came, no more came in any time
    /// than the limit gives.
    #[test]
    fn orders_side_by_side_pass_no_limit(
        steps in prop::collection::vec((0_i64..900, 0_usize..6, 0_u8..4), 1..120),
        count in 1_u32..5,
    ) {
        let limits: Limits = format!("domain={count}/3h").parse().unwrap();
        let (mut clock, mut asked) = (0, Vec::<Asked>::new());
        let mut open: [Option<i64>; 6] = [None; 6];
        let mut came = Vec::new();
        for (number, (step, which, ends)) in steps.into_iter().enumerate() {
            clock += step;
            // Before its hour is over, each ends by itself.
            let last = |since: i64| clock - since >= ORDER_CHANCE.as_secs() - 900;
            for (which_one, since) in open.iter_mut().enumerate() {
                let due = since.is_some_and(last);
                if since.is_none() || !(due || which_one == which) {
                    continue;
                }
                let cert = format!("c{which_one}");
                let what = match ends {
                    0 => AskedFor::NoCertificate { cert },
                    _ => AskedFor::Certificate {
                        order: format!("o{number}-{which_one}"),
                        cert,
                        names: names(&format!("h{which_one}.example.com")),
                        renewal: false,
                    },
                };
                if ends > 0 {
                    came.push(clock);
                }
                asked.push(entry(clock, what));
                *since = None;
            }
            let (cert, of) = (format!("c{which}"), names(&format!("h{which}.example.com")));
            if limits.reached(&asked, Some(ACCOUNT), (&cert, &of), Exemption::None, at(clock)).is_none() {
                let (id, exemption) = (number.to_string(), Exemption::None);
                asked.push(entry(clock, AskedFor::Order { id, cert, names: of, exemption }));
                open[which] = Some(clock);
            }
        }
        let each = 3 * 3600 / i64::from(count);
        for (first, begin) in came.iter().enumerate() {
            for (last, end) in came.iter().enumerate().skip(first) {
                prop_assert!(i64::try_from(last - first).unwrap() < i64::from(count) + (end - begin) / each);
            }
        }
    }

    /// Whatever is asked for in whatever order, with other limits or none: of what was let through, no more came at once than
    /// the limit has, and in any time no more than that and what came back.
    #[test]
    fn no_order_passes_a_limit(
        tries in prop::collection::vec((0_i64..40_000, 0_usize..3, 0_usize..3), 1..80),
        count in 1_u32..6,
    ) {
        let all = [names("a.example.com"), names("b.example.com a.example.com"), names("a.example.org")];
        let kinds = [Exemption::None, Exemption::SameNames, Exemption::Replaces];
        let limits: Limits = format!("set={count}/2h,domain=7/3h,orders=9/1h").parse().unwrap();
        let (mut clock, mut asked) = (0, Vec::<Asked>::new());
        for (number, (step, of, exemption)) in tries.into_iter().enumerate() {
            clock += step % 1500;
            let (of, exemption, now) = (&all[of], kinds[exemption], at(clock));
            if limits.reached(&asked, Some(ACCOUNT), ("a", of), exemption, now).is_none() {
                asked.push(order(clock, &number.to_string(), exemption));
                let renewal = exemption != Exemption::None;
                asked.push(certificate(clock, &number.to_string(), &of.join(" "), renewal));
            }
        }
        // Of each limit by itself, without those that it lets pass.
        let allowed = |limit: u32, seconds: i64, times: &[i64]| {
            let each = seconds / i64::from(limit);
            times.iter().enumerate().all(|(first, begin)| {
                let window = times.iter().enumerate().skip(first);
                window.into_iter().all(|(last, end)| {
                    i64::try_from(last - first).unwrap() < i64::from(limit) + (end - begin) / each
                })
            })
        };
        let orders: Vec<i64> = asked.iter().filter_map(|entry| match &entry.what {
            AskedFor::Order { exemption: Exemption::None, .. } => Some(entry.at.as_second()),
            _ => None,
        }).collect();
        prop_assert!(allowed(9, 3600, &orders));
        let domain: Vec<i64> = asked.iter().filter_map(|entry| match &entry.what {
            AskedFor::Certificate { names, renewal: false, .. } if names[0].ends_with(".com") => Some(entry.at.as_second()),
            _ => None,
        }).collect();
        prop_assert!(allowed(7, 3 * 3600, &domain));
    }
}

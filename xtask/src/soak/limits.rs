//! What the CAs count for their rate limits, from what they gave and when: the other side of livecert's own ledger.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use testbed::ca::{Control, Identifier, Status};

use super::clock::{Clock, now};
use crate::Failure;

/// An order lives so long at our CA: its end tells when it was made.
const ORDER_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// What is noted before a request comes to the CA somewhat later, so that two of them may come closer together.
const SLACK: SignedDuration = SignedDuration::from_secs(60);

/// So many in such a time, as livecert is told: a bucket that is refilled at a steady rate.
#[derive(Debug, Clone, Copy)]
struct Limit {
    count: usize,
    period: SignedDuration,
}

/// One CA, and what it counted.
pub(super) struct Watch {
    title: &'static str,
    control: Control,
    limits: BTreeMap<String, Limit>,
    orders: usize,
    certificates: usize,
    failed: BTreeSet<String>,
    /// Sets of names that there was a certificate for.
    known: BTreeSet<Vec<String>>,
    /// When something counted, by the kind of limit and what it is about.
    counted: BTreeMap<(&'static str, String), Vec<Timestamp>>,
}

/// The names of a certificate, sorted.
pub(super) fn names(identifiers: &[Identifier]) -> Vec<String> {
    let mut names: Vec<String> = identifiers.iter().map(|identifier| identifier.value.clone()).collect();
    names.sort();
    names
}

fn domain(name: &str) -> String {
    let labels: Vec<&str> = name.rsplitn(3, '.').take(2).collect();
    labels.into_iter().rev().collect::<Vec<_>>().join(".")
}

impl Watch {
    /// Begins to count: what is there already does not.
    pub(super) fn begin(title: &'static str, control: Control, limits: &str) -> Result<Self, Failure> {
        let limit = |text: &str| {
            let (kind, limit) = text.split_once('=')?;
            let (count, hours) = limit.split_once('/')?;
            let hours = hours.strip_suffix('h')?.parse().ok()?;
            let period = SignedDuration::from_hours(hours);
            Some((kind.to_owned(), Limit { count: count.parse().ok()?, period }))
        };
        let limits = limits.split(',').map(limit).collect::<Option<_>>().ok_or("limits that are none")?;
        let mut watch = Watch {
            title,
            control,
            limits,
            orders: 0,
            certificates: 0,
            failed: BTreeSet::new(),
            known: BTreeSet::new(),
            counted: BTreeMap::new(),
        };
        watch.look(&Clock::new(std::path::Path::new("")));
        watch.counted.clear();
        Ok(watch)
    }

    /// Counts what has come since the last look.
    pub(super) fn look(&mut self, clock: &Clock) {
        let (orders, certificates) = (self.control.orders(), self.control.certificates());
        // In the order in which the CA gave them, so that it is known what was there before.
        let mut got = certificates.iter().skip(self.certificates).peekable();
        for order in &orders[self.orders..] {
            let made = order.expires.checked_sub(ORDER_LIFE).unwrap_or(order.expires);
            while let Some(certificate) =
                got.next_if(|one| one.not_before + SignedDuration::from_hours(1) < made)
            {
                self.certificate(certificate, &orders, clock);
            }
            let names = names(&order.identifiers);
            if order.replaces.is_none() && !self.known.contains(&names) {
                self.count("orders", order.account.clone(), clock.simulated(made));
            }
        }
        got.for_each(|certificate| self.certificate(certificate, &orders, clock));
        (self.orders, self.certificates) = (orders.len(), certificates.len());
        for one in self.control.authorizations() {
            if one.status == Status::Invalid && self.failed.insert(one.id.clone()) {
                let about = format!("{} {}", one.account, one.identifier.value);
                self.count("failures", about, clock.simulated(now()));
            }
        }
    }

    fn certificate(
        &mut self,
        certificate: &testbed::ca::IssuedCertificate,
        orders: &[testbed::ca::Order],
        clock: &Clock,
    ) {
        let names = names(&certificate.identifiers);
        let order = orders.iter().find(|order| order.id == certificate.order);
        // It begins an hour before it is made.
        let at = clock.simulated(certificate.not_before + SignedDuration::from_hours(1));
        let again = !self.known.insert(names.clone());
        if order.is_some_and(|order| order.replaces.is_some()) {
            return;
        }
        self.count("set", names.join(", "), at);
        if !again {
            let domains: BTreeSet<String> = names.iter().map(|name| domain(name)).collect();
            domains.into_iter().for_each(|domain| self.count("domain", domain, at));
        }
    }

    fn count(&mut self, kind: &'static str, about: String, at: Timestamp) {
        self.counted.entry((kind, about)).or_default().push(at);
    }

    /// How many counted, by the kind of limit.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for ((kind, _), times) in &self.counted {
            *counts.entry(*kind).or_default() += times.len();
        }
        counts
    }

    /// Limits that were passed.
    pub(super) fn passed(&self) -> Vec<String> {
        let mut passed = Vec::new();
        for ((kind, about), times) in &self.counted {
            let Some(limit) = self.limits.get(*kind) else { continue };
            if let Some((from, count)) = limit.passed(times) {
                passed.push(format!(
                    "the {} CA counted {count} {kind} for {about} from {from} on, and {} in {} h are allowed",
                    self.title,
                    limit.count,
                    limit.period.as_hours()
                ));
            }
        }
        passed
    }
}

impl Limit {
    /// The first stretch of time in which there were too many.
    fn passed(self, times: &[Timestamp]) -> Option<(Timestamp, usize)> {
        let mut times = times.to_vec();
        times.sort();
        let each = self.period / i32::try_from(self.count).ok()?;
        for (from, first) in times.iter().enumerate() {
            for (number, last) in times[from..].iter().enumerate() {
                let time = last.duration_since(*first) + SLACK;
                let back = usize::try_from(time.as_nanos() / each.as_nanos()).ok()?;
                if number + 1 > self.count + back {
                    return Some((*first, number + 1));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_is_refilled_is_passed_by_one_more() {
        let limit = Limit { count: 3, period: SignedDuration::from_hours(6) };
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        assert!(limit.passed(&[at(0), at(0), at(0), at(120)]).is_none());
        assert_eq!(limit.passed(&[at(0), at(0), at(0), at(118)]), Some((at(0), 4)));
        assert_eq!(limit.passed(&[at(0), at(200), at(201), at(202), at(203)]), Some((at(0), 5)));
        assert_eq!(domain("*.a.zone1.example"), "zone1.example");
    }
}

//! Other writers at the same rrsets. They take care, as others do who write single values: nothing of theirs may ever be
//! lost, come back, or change its TTL.

use std::collections::{BTreeMap, BTreeSet};

use testbed::sim::Control;

use super::plan;

/// An rrset, and what is theirs in it.
#[derive(Debug, Clone)]
struct Place {
    zone: String,
    name: String,
    values: BTreeSet<String>,
    /// The TTL, where one of their values never goes, so that the rrset stays theirs.
    ttl: Option<u32>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Neighbours {
    gandi: Control,
    places: Vec<Place>,
    next: usize,
    /// How many values came and went.
    pub(super) changes: usize,
}

impl Neighbours {
    /// They are there before anybody else.
    pub(super) fn move_in(gandi: Control) -> Self {
        let mut places = Vec::new();
        let mut add = |zone: &str, name: &str, ttl: Option<u32>| {
            let (zone, name) = (zone.to_owned(), name.to_owned());
            places.push(Place { zone, name, values: BTreeSet::new(), ttl });
        };
        for (number, zone) in plan::zones().iter().enumerate() {
            // At every second zone, they come and go altogether.
            let standing = number % 2 == 0;
            let ttl = standing.then(|| 3600 + u32::try_from(number).unwrap_or_default());
            add(zone, "_acme-challenge", ttl);
            add(zone, "_acme-challenge.sub", (!standing).then_some(1200));
            add(zone, "_acme-challenge.a", standing.then_some(10_800));
        }
        add(plan::SHARED, plan::HUB, Some(5400));
        let mut all = Neighbours { gandi, places, next: 0, changes: 0 };
        for at in 0..all.places.len() {
            if all.places[at].ttl.is_some() {
                all.add(at);
            }
        }
        all
    }

    fn add(&mut self, at: usize) {
        let place = &mut self.places[at];
        let value = format!("neighbour-{}", self.next);
        self.next += 1;
        self.gandi.add_value(&place.zone, &place.name, &value, place.ttl.unwrap_or(300));
        place.values.insert(value);
    }

    /// One of them changes something.
    pub(super) fn stir(&mut self, rng: &mut fastrand::Rng) {
        // The shared rrset is where most happens.
        let at = if rng.u8(..4) == 0 { self.places.len() - 1 } else { rng.usize(..self.places.len()) };
        let place = &self.places[at];
        // Who takes the last of theirs away between a read and the first PATCH of a process cannot be told from a PATCH that
        // replaces: that happens between the rounds alone.
        let standing = 1;
        if place.values.len() > standing && (place.values.len() > 4 || rng.bool()) {
            // The oldest one of a standing rrset is the one that stays.
            let numbered = |value: &&String| value.rsplit('-').next().and_then(|n| n.parse::<usize>().ok());
            let mut values: Vec<&String> = place.values.iter().collect();
            values.sort_by_key(numbered);
            let value = values[standing + rng.usize(..values.len() - standing)].clone();
            self.gandi.remove_value(&place.zone, &place.name, &value);
            self.places[at].values.remove(&value);
        } else {
            self.add(at);
        }
        self.changes += 1;
    }

    /// Some of them leave altogether, with nobody working.
    pub(super) fn leave(&mut self, rng: &mut fastrand::Rng) {
        for place in self.places.iter_mut().filter(|place| place.ttl.is_none() && rng.u8(..3) == 0) {
            for value in std::mem::take(&mut place.values) {
                self.gandi.remove_value(&place.zone, &place.name, &value);
                self.changes += 1;
            }
        }
    }

    /// What is not as they left it. What is not theirs is looked at only where nobody else's may be `left`.
    pub(super) fn complaints(&self, left: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        let zones: BTreeMap<&str, _> =
            self.places.iter().map(|place| (place.zone.as_str(), self.gandi.zone(&place.zone))).collect();
        for place in &self.places {
            let rrset = zones[place.zone.as_str()].get(&format!("{}/TXT", place.name));
            let at = format!("{}.{}", place.name, place.zone);
            let there: Vec<&str> =
                rrset.iter().flat_map(|rrset| &rrset.values).map(|value| value.trim_matches('"')).collect();
            let set: BTreeSet<&str> = there.iter().copied().collect();
            if set.len() < there.len() {
                complaints.push(format!("values twice at {at}: {there:?}"));
            }
            for value in place.values.iter().filter(|value| !set.contains(value.as_str())) {
                complaints.push(format!("{value} is lost at {at}"));
            }
            for value in
                set.iter().filter(|value| value.starts_with("neighbour") && !place.values.contains(**value))
            {
                complaints.push(format!("{value} is back at {at}"));
            }
            let ours = set.iter().filter(|value| !value.starts_with("neighbour")).count();
            if !left && ours > 0 {
                complaints.push(format!("{ours} values of livecert left at {at}"));
            }
            if let (Some(ttl), Some(rrset)) = (place.ttl, rrset)
                && rrset.ttl != ttl
            {
                complaints.push(format!("the TTL at {at} is {} and was {ttl}", rrset.ttl));
            }
        }
        complaints
    }

    /// Whether the rrset is one of theirs.
    pub(super) fn are_at(&self, zone: &str, name: &str) -> bool {
        self.places.iter().any(|place| place.zone == zone && place.name == name && !place.values.is_empty())
    }
}

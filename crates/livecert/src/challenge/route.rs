//! Who writes which proof: the writers of TXT values, and how one of them is chosen for a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dns::NamePattern;
use crate::plugin::Plugin;

/// A plugin that writes TXT values, under the name that it has in the certificate.
#[derive(Clone)]
pub struct Writer {
    /// Its name, such as `gandi` or `gandi@shop`.
    pub name: String,
    /// The plugin.
    pub plugin: Arc<dyn Plugin>,
    /// Whether a later run can remove what a dead one wrote.
    pub sweeps: bool,
}

/// Who may write the proof of a name, and where it is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// What was chosen to publish it, such as `gandi`.
    pub publisher: String,
    /// Those that may write it, by their place among all writers, with the zones that each is for; none for all zones
    /// that the others are not for.
    pub writers: Vec<(usize, Vec<NamePattern>)>,
    /// Where the validation name has to lead.
    pub alias: Option<String>,
}

impl Route {
    /// Who writes a record in a zone, which may be unknown: the one with the most specific pattern that fits, else the one
    /// for all zones. Nobody else is tried: a credential is shown to no service that it was not given for.
    pub fn writer(&self, fqdn: &str, zone: Option<&str>) -> Option<usize> {
        let zones =
            self.writers.iter().flat_map(|(writer, zones)| zones.iter().map(move |zone| (zone, *writer)));
        let by_zone = NamePattern::choose(zones, |pattern| pattern.fits_record(fqdn, zone));
        let for_all = || self.writers.iter().find(|(_, zones)| zones.is_empty()).map(|(writer, _)| *writer);
        by_zone.or_else(for_all)
    }
}

/// The ways of all names.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    by_base: BTreeMap<String, Route>,
    /// For names of which nothing is known.
    other: Option<Route>,
}

impl Routes {
    /// The ways of the names that are proved, without `*.`.
    pub fn new(by_base: BTreeMap<String, Route>) -> Self {
        Routes { by_base, other: None }
    }

    /// One writer for everything.
    pub fn one() -> Self {
        let other = Route { writers: vec![(0, Vec::new())], ..Route::default() };
        Routes { by_base: BTreeMap::new(), other: Some(other) }
    }

    /// The way of the proof at a validation name. One that the CA wants for a name above those of the certificate goes the
    /// way of one of these.
    pub fn of(&self, validation_name: &str) -> Option<&Route> {
        let base = validation_name.split_once("_acme-challenge.").map_or(validation_name, |(_, base)| base);
        let below = NamePattern::Below(base.to_owned());
        let above = || self.by_base.iter().find(|(name, _)| below.fits(name)).map(|(_, route)| route);
        self.by_base.get(base).or_else(above).or(self.other.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_says_who_writes() {
        let zones = |all: &[&str]| all.iter().map(|zone| zone.parse().unwrap()).collect();
        let route = Route {
            writers: vec![
                (0, zones(&[])),
                (1, zones(&["example.org", "*.example.org"])),
                (2, zones(&["b.example.org"])),
            ],
            ..Route::default()
        };
        let writer = |fqdn: &str, zone: &str| route.writer(fqdn, Some(zone)).unwrap();
        assert_eq!(writer("_acme-challenge.example.com", "example.com"), 0);
        assert_eq!(writer("_acme-challenge.a.example.org", "example.org"), 1);
        assert_eq!(writer("_acme-challenge.b.example.org", "example.org"), 1);
        assert_eq!(writer("_acme-challenge.b.example.org", "b.example.org"), 2);
        let strict = Route { writers: vec![(1, zones(&["example.org"]))], ..Route::default() };
        assert_eq!(strict.writer("_acme-challenge.example.com", Some("example.com")), None);
    }

    #[test]
    fn every_validation_name_has_the_way_of_its_name() {
        let route = |publisher: &str| Route { publisher: publisher.to_owned(), ..Route::default() };
        let ways = [("a.example.com", route("a")), ("b.example.com", route("b"))];
        let routes = Routes::new(ways.into_iter().map(|(name, route)| (name.to_owned(), route)).collect());
        let publisher = |name: &str| routes.of(name).map(|route| route.publisher.as_str());
        assert_eq!(publisher("_acme-challenge.b.example.com"), Some("b"));
        assert_eq!(publisher("_label._acme-challenge.a.example.com"), Some("a"));
        assert_eq!(publisher("_acme-challenge.example.com"), Some("a"));
        assert_eq!(publisher("_acme-challenge.c.example.com"), None);
        assert!(Routes::one().of("anything.example").is_some());
    }
}

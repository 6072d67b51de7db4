//! The examination: what every DNS plugin promises, tried on a service with a neighbour in it.

use std::sync::Arc;

use livecert::plugin::{Plugin, TxtRecord};

/// The zone that the service has.
pub(super) const ZONE: &str = "example.com";
/// A zone below it, which the service has too.
pub(super) const DEEP: &str = "deep.example.com";

/// The other side: the service that a plugin writes into.
pub(super) trait Counterpart {
    /// The plugin, connected to it.
    fn plugin(&self) -> Arc<dyn Plugin>;

    /// The same plugin where everything fails: its service is not there, or refuses it. At least one, each with a word for
    /// what is wrong.
    fn failing(&self) -> Vec<(&'static str, Arc<dyn Plugin>)>;

    /// TTL and values (without quotes) at a name of a zone, seen from behind.
    fn there(&self, zone: &str, fqdn: &str) -> Option<(u32, Vec<String>)>;

    /// Somebody else adds a value.
    fn neighbour(&self, zone: &str, fqdn: &str, ttl: u32, value: &str);

    /// Whether the plugin is told the zone of a name, because it does not find that out.
    fn is_told_the_zone(&self) -> bool;
}

/// Tries everything. A test that calls this has to do nothing else.
pub(super) async fn examine(counterpart: &impl Counterpart) {
    let exam = Examination { counterpart, plugin: counterpart.plugin() };
    exam.several_values_at_a_name().await;
    exam.values_of_a_neighbour_stay().await;
    exam.the_deepest_zone_has_it().await;
    exam.twice_is_once().await;
    exam.every_name_and_value_that_there_is().await;
    exam.names_of_two_zones_at_once().await;
    exam.an_error_is_never_taken_for_nothing_there().await;
}

struct Examination<'a, C> {
    counterpart: &'a C,
    plugin: Arc<dyn Plugin>,
}

impl<C: Counterpart> Examination<'_, C> {
    fn record(&self, fqdn: &str, value: &str) -> TxtRecord {
        let zone = if fqdn.ends_with(DEEP) { DEEP } else { ZONE };
        let apex = self.counterpart.is_told_the_zone().then(|| zone.to_owned());
        TxtRecord { fqdn: fqdn.to_owned(), value: value.to_owned(), apex }
    }

    fn values(&self, zone: &str, fqdn: &str) -> Vec<String> {
        let mut values = self.counterpart.there(zone, fqdn).map(|(_, values)| values).unwrap_or_default();
        values.sort();
        values
    }

    async fn publish(&self, records: &[TxtRecord]) {
        self.plugin.prepare(records).await.unwrap();
        self.plugin.publish(records).await.unwrap();
    }

    async fn withdraw(&self, records: &[TxtRecord]) {
        let withdrawn = self.plugin.withdraw(records).await;
        assert!(withdrawn.leftovers.is_empty(), "{:?}", withdrawn.leftovers);
    }

    async fn several_values_at_a_name(&self) {
        let name = "_acme-challenge.several.example.com";
        let records = ["one", "two", "three"].map(|value| self.record(name, value));
        self.publish(&records[..2]).await;
        self.publish(&records[2..]).await;
        assert_eq!(self.values(ZONE, name), ["one", "three", "two"]);
        self.withdraw(&records[1..2]).await;
        assert_eq!(self.values(ZONE, name), ["one", "three"]);
        self.withdraw(&records).await;
        assert_eq!(self.counterpart.there(ZONE, name), None);
    }

    async fn values_of_a_neighbour_stay(&self) {
        let name = "_acme-challenge.shared.example.com";
        self.counterpart.neighbour(ZONE, name, 1800, "a neighbour's");
        let records = [self.record(name, "ours"), self.record(name, "ours too")];
        self.publish(&records).await;
        let (ttl, _) = self.counterpart.there(ZONE, name).unwrap();
        assert_eq!(ttl, 1800, "the TTL of a neighbour's value has changed");
        assert_eq!(self.values(ZONE, name), ["a neighbour's", "ours", "ours too"]);
        // One that came later.
        self.counterpart.neighbour(ZONE, name, 1800, "another");
        self.withdraw(&records).await;
        assert_eq!(self.values(ZONE, name), ["a neighbour's", "another"]);
        assert_eq!(self.counterpart.there(ZONE, name).unwrap().0, 1800);
        // A value that is nearly ours is not ours.
        self.withdraw(&[self.record(name, "A NEIGHBOUR'S"), self.record(name, "a neighbour")]).await;
        assert_eq!(self.values(ZONE, name), ["a neighbour's", "another"]);
    }

    async fn the_deepest_zone_has_it(&self) {
        let name = "_acme-challenge.www.deep.example.com";
        let records = [self.record(name, "deep")];
        self.publish(&records).await;
        assert_eq!(self.values(DEEP, name), ["deep"]);
        assert_eq!(self.counterpart.there(ZONE, name), None);
        self.withdraw(&records).await;
        assert_eq!(self.counterpart.there(DEEP, name), None);
    }

    async fn twice_is_once(&self) {
        let name = "_acme-challenge.twice.example.com";
        let records = [self.record(name, "same"), self.record(name, "other")];
        self.publish(&records).await;
        self.publish(&records).await;
        self.plugin.keep(&records).await.unwrap();
        assert_eq!(self.values(ZONE, name), ["other", "same"]);
        self.withdraw(&records).await;
        self.withdraw(&records).await;
        assert_eq!(self.counterpart.there(ZONE, name), None);
        self.publish(&[]).await;
        self.withdraw(&[]).await;
    }

    async fn every_name_and_value_that_there_is(&self) {
        let label = "a".repeat(63);
        let long = format!("_acme-challenge.{label}.{label}.{label}.example.com");
        let names = [
            "_acme-challenge.example.com",
            // bücher
            "_acme-challenge.xn--bcher-kva.example.com",
            "_b3n5q7xw2lkmzt4a._acme-challenge.example.com",
            &long,
        ];
        let longest = "v".repeat(255);
        let values = [
            "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
            "-begins-with-a-hyphen",
            "letsencrypt.org; accounturi=https://ca.example/acct/1; policy=wildcard",
            &longest,
        ];
        let all = |name: &&str| values.map(|value| self.record(name, value));
        let records: Vec<_> = names.iter().flat_map(all).collect();
        self.publish(&records).await;
        let mut expected = values.map(str::to_owned);
        expected.sort();
        for name in names {
            assert_eq!(self.values(ZONE, name), expected, "{name}");
        }
        self.withdraw(&records).await;
        for name in names {
            assert_eq!(self.counterpart.there(ZONE, name), None, "{name}");
        }
    }

    async fn names_of_two_zones_at_once(&self) {
        let above = "_acme-challenge.both.example.com";
        let below = "_acme-challenge.both.deep.example.com";
        let records = [self.record(above, "1"), self.record(below, "2"), self.record(above, "3")];
        self.publish(&records).await;
        assert_eq!(
            (self.values(ZONE, above), self.values(DEEP, below)),
            (vec!["1".to_owned(), "3".to_owned()], vec!["2".to_owned()])
        );
        self.withdraw(&records).await;
        assert_eq!(self.counterpart.there(ZONE, above), None);
        assert_eq!(self.counterpart.there(DEEP, below), None);
    }

    async fn an_error_is_never_taken_for_nothing_there(&self) {
        let name = "_acme-challenge.refused.example.com";
        let records = [self.record(name, "ours"), self.record(name, "ours too")];
        self.publish(&records).await;
        let failing = self.counterpart.failing();
        assert!(!failing.is_empty(), "nothing was tried that fails");
        for (what, plugin) in failing {
            assert!(plugin.publish(&records).await.is_err(), "{what}: a failure was not told");
            let left = plugin.withdraw(&records).await.leftovers;
            let left: Vec<_> = left.into_iter().map(|leftover| leftover.record).collect();
            assert_eq!(left, records, "{what}: what is still there was not told");
            assert_eq!(self.values(ZONE, name), ["ours", "ours too"], "{what}");
        }
        // When it works again, all is as if nothing had been.
        self.withdraw(&records).await;
        assert_eq!(self.counterpart.there(ZONE, name), None);
    }
}

//! The values of one name, which travel together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::{Leftover, PluginError, TxtRecord};
use crate::digest::sha256;
use crate::store::Lock;

/// Pieces of work under way at a time. LiveDNS takes 0.2 to 0.6 s for a request, and allows 1000 a minute.
const SIDE_BY_SIDE: usize = 8;

/// The values of one name.
pub(super) struct Group<'a> {
    pub(super) fqdn: &'a str,
    pub(super) apex: Option<&'a str>,
    pub(super) records: Vec<&'a TxtRecord>,
}

impl Group<'_> {
    pub(super) fn values(&self) -> Vec<String> {
        self.records.iter().map(|record| record.value.clone()).collect()
    }

    pub(super) fn leftovers(&self, error: PluginError) -> Vec<Leftover> {
        let reason = Arc::new(error);
        let left = |record: &&TxtRecord| Leftover { record: (*record).clone(), reason: reason.clone() };
        self.records.iter().map(left).collect()
    }

    /// The turn at `what` among the processes of this machine.
    pub(super) async fn turn(
        &self,
        locks: &Path,
        what: &str,
        patience: Duration,
    ) -> Result<Lock, PluginError> {
        // It may be longer than a file name; its digest is not.
        let name = &sha256(what.as_bytes())[..32];
        let taken = Lock::take(locks, &format!("txt@{name}"), patience, |_| ()).await;
        taken.map_err(|source| PluginError::Turn { fqdn: self.fqdn.to_owned(), source })
    }
}

/// Awaits all of them, some at a time; the answers are in the order of the questions.
pub(super) async fn side_by_side<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    at_once(SIDE_BY_SIDE, work).await
}

/// The same, `limit` at a time.
pub(super) async fn at_once<T>(limit: usize, work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let work: Vec<_> = work.collect();
    stream::iter(work).buffered(limit).collect().await
}

/// The records by their names.
pub(super) fn group(records: &[TxtRecord]) -> Vec<Group<'_>> {
    let mut groups = BTreeMap::<&str, Group<'_>>::new();
    for record in records {
        let new = || Group { fqdn: &record.fqdn, apex: record.apex.as_deref(), records: Vec::new() };
        groups.entry(&record.fqdn).or_insert_with(new).records.push(record);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_travel_together() {
        let record =
            |fqdn: &str, value: &str| TxtRecord { fqdn: fqdn.into(), value: value.into(), apex: None };
        let records = [record("b.example", "1"), record("a.example", "2"), record("b.example", "3")];
        let groups = group(&records);
        let shown: Vec<_> = groups.iter().map(|group| (group.fqdn, group.values())).collect();
        assert_eq!(shown, [("a.example", vec!["2".to_owned()]), ("b.example", vec!["1".into(), "3".into()])]);
    }
}

//! What was found in DNS already: names that need the same, of whatever certificates, ask for it once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::rr::Name;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long it is believed: for the names of a run. A resolver remembers most of it for hours.
const LIFE: Duration = Duration::from_secs(60);

type Cell<V> = Arc<OnceCell<V>>;

/// What was found, by the domain.
#[derive(Debug)]
pub(super) struct Known<V>(Mutex<HashMap<Name, (Instant, Cell<V>)>>);

impl<V> Default for Known<V> {
    fn default() -> Self {
        Known(Mutex::default())
    }
}

impl<V: Clone> Known<V> {
    /// What is known of the domain, or what `find` finds: those that need the same at the same time wait for one answer.
    pub(super) async fn of(&self, domain: &Name, find: impl Future<Output = V>) -> V {
        self.cell(domain).get_or_init(|| find).await.clone()
    }

    /// The same, where an error is kept as little as that nothing was found.
    pub(super) async fn if_found<E>(
        &self,
        domain: &Name,
        find: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        let cell = self.cell(domain);
        let found = cell.get_or_try_init(|| async { find.await.map_err(Some)?.ok_or(None) }).await;
        match found {
            Ok(known) => Ok(Some(known.clone())),
            Err(Some(error)) => Err(error),
            Err(None) => Ok(None),
        }
    }

    /// Forgets what is known of the domain.
    pub(super) fn forget(&self, domain: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(domain);
    }

    fn cell(&self, domain: &Name) -> Cell<V> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One look at the clock: there may be thousands of domains.
        let now = Instant::now();
        cells.retain(|_, (since, _)| now.duration_since(*since) < LIFE);
        cells.entry(domain.clone()).or_insert_with(|| (now, Cell::default())).1.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::super::authority::{Authority, AuthorityError, NameServer};
    use super::*;

    fn example() -> Name {
        Name::from_ascii("example.com.").unwrap()
    }

    fn authority() -> Authority {
        let server = NameServer { name: "ns1.example".into(), address: ([192, 0, 2, 1], 53).into() };
        Authority { zone: "example.com".into(), servers: vec![server] }
    }

    #[tokio::test(start_paused = true)]
    async fn names_of_a_zone_ask_once_until_it_is_forgotten() {
        let (known, asked, apex) = (Known::default(), AtomicU32::new(0), example());
        let asked = &asked;
        let find = || async move {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, AuthorityError>(Some(authority()))
        };
        let all = join_all((0..50).map(|_| known.if_found(&apex, find()))).await;
        assert!(all.into_iter().all(|found| found.unwrap() == Some(authority())));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(LIFE).await;
        known.if_found(&apex, find()).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_was_not_found_is_looked_for_again() {
        let known = Known::default();
        assert_eq!(known.if_found(&example(), async { Ok::<_, AuthorityError>(None) }).await.unwrap(), None);
        let error = || AuthorityError::NoZone { name: "example.com".into() };
        assert!(known.if_found(&example(), async { Err(error()) }).await.is_err());
        assert_eq!(
            known.if_found(&example(), async { Ok::<_, AuthorityError>(Some(authority())) }).await.unwrap(),
            Some(authority())
        );
    }
}

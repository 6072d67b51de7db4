//! Work on many certificates side by side.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use futures_util::future::{join, join_all};
use futures_util::{StreamExt, stream};

/// The sets without those that have something in common: these are one.
fn joined(sets: impl Iterator<Item = BTreeSet<&'static str>>) -> Vec<BTreeSet<&'static str>> {
    let mut joined: Vec<BTreeSet<&'static str>> = Vec::new();
    for mut set in sets.filter(|set| !set.is_empty()) {
        joined.retain(|other| {
            let apart = other.is_disjoint(&set);
            if !apart {
                set.extend(other);
            }
            apart
        });
        joined.push(set);
    }
    joined
}

/// Does all `jobs`, so many at a time; those that have something in common in their lanes follow one another, and are not
/// counted.
pub(super) async fn in_lanes<J, T, F: Future<Output = T>>(
    jobs: Vec<(BTreeSet<&'static str>, J)>,
    parallel: NonZeroUsize,
    work: impl Fn(J) -> F,
) -> Vec<T> {
    let mut free = Vec::new();
    let ways = joined(jobs.iter().map(|(lane, _)| lane.clone()));
    let mut lanes: Vec<Vec<J>> = ways.iter().map(|_| Vec::new()).collect();
    for (lane, job) in jobs {
        match ways.iter().position(|way| !way.is_disjoint(&lane)) {
            Some(way) => lanes[way].push(job),
            None => free.push(job),
        }
    }
    let work = &work;
    let free = stream::iter(free).map(work).buffer_unordered(parallel.get()).collect::<Vec<_>>();
    let lanes = lanes.into_iter().map(|jobs| stream::iter(jobs).then(work).collect::<Vec<_>>());
    let (mut done, lanes) = join(free, join_all(lanes)).await;
    done.extend(lanes.into_iter().flatten());
    done
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn plugins_of_one_certificate_share_a_lane() {
        let sets = [&["a"][..], &["b"], &[], &["c"], &["b", "a"], &["c"]];
        let joined = joined(sets.into_iter().map(|set| set.iter().copied().collect()));
        assert_eq!(joined, [BTreeSet::from(["a", "b"]), BTreeSet::from(["c"])]);
    }

    /// Whoever works alone, and how many work at a time.
    #[derive(Default)]
    struct Seen {
        alone: AtomicUsize,
        working: AtomicUsize,
        most: AtomicUsize,
    }

    async fn check() {
        let seen = &Seen::default();
        let lane = |number: usize| {
            if number.is_multiple_of(5) { BTreeSet::from(["alone"]) } else { BTreeSet::new() }
        };
        let jobs = (0..50).map(|number| (lane(number), number)).collect();
        let work = |number: usize| async move {
            let alone = number.is_multiple_of(5);
            let now = if alone { &seen.alone } else { &seen.working };
            let most = now.fetch_add(1, Ordering::SeqCst) + 1;
            if alone {
                assert_eq!(most, 1);
            } else {
                seen.most.fetch_max(most, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            number
        };
        let mut done = in_lanes(jobs, NonZeroUsize::new(4).unwrap(), work).await;
        done.sort_unstable();
        assert_eq!(done, (0..50).collect::<Vec<_>>());
        assert!(seen.most.load(Ordering::SeqCst) <= 4);
    }

    #[tokio::test]
    async fn all_is_done_and_no_more_at_a_time_than_wanted() {
        check().await;
    }
}

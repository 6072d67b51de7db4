//! Work on many certificates side by side.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use futures_util::future::{join, join_all};
use futures_util::{StreamExt, stream};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Address space of a thread that works on a certificate, as much as a main thread has; what is not used costs nothing.
const STACK: usize = 8 * 1024 * 1024;

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
///
/// To wait for the disk blocks a thread, and a certificate waits for it thirty times. So where the runtime has threads of its
/// own for the network, each of the jobs under way has one for itself, and the disk serves them together. Otherwise they
/// share the one that there is.
pub(super) async fn in_lanes<J: Send, T: Send, F: Future<Output = T>>(
    jobs: Vec<(BTreeSet<&'static str>, J)>,
    parallel: NonZeroUsize,
    work: impl Fn(J) -> F + Sync,
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
    let several = parallel.get().min(free.len()) + lanes.len() > 1;
    let runtime = Handle::current();
    match runtime.runtime_flavor() {
        RuntimeFlavor::MultiThread if several => {
            tokio::task::block_in_place(|| on_threads(&runtime, free, lanes, parallel, &work))
        }
        _ => on_one_thread(free, lanes, parallel, &work).await,
    }
}

async fn on_one_thread<J, T, F: Future<Output = T>>(
    free: Vec<J>,
    lanes: Vec<Vec<J>>,
    parallel: NonZeroUsize,
    work: &impl Fn(J) -> F,
) -> Vec<T> {
    let free = stream::iter(free).map(work).buffer_unordered(parallel.get()).collect::<Vec<_>>();
    let lanes = lanes.into_iter().map(|jobs| stream::iter(jobs).then(work).collect::<Vec<_>>());
    let (mut done, lanes) = join(free, join_all(lanes)).await;
    done.extend(lanes.into_iter().flatten());
    done
}

fn on_threads<J: Send, T: Send, F: Future<Output = T>>(
    runtime: &Handle,
    free: Vec<J>,
    lanes: Vec<Vec<J>>,
    parallel: NonZeroUsize,
    work: &(impl Fn(J) -> F + Sync),
) -> Vec<T> {
    let threads = parallel.get().min(free.len());
    let free = Mutex::new(free.into_iter());
    let lanes: Vec<_> = lanes.into_iter().map(|jobs| Mutex::new(jobs.into_iter())).collect();
    let done = Mutex::new(Vec::new());
    let finish = |job: J| {
        let one = runtime.block_on(work(job));
        done.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    };
    let serve_free = || {
        loop {
            // Not held while the job is done.
            let job = free.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(job) = job else { return };
            finish(job);
        }
    };
    // Held from the first to the last: whoever comes second finds nothing left.
    let serve_lane = |lane: &Mutex<std::vec::IntoIter<J>>| {
        lane.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(&finish);
    };
    std::thread::scope(|scope| {
        let (serve_free, serve_lane) = (&serve_free, &serve_lane);
        // Where there can be no more threads, there are fewer.
        let thread = || std::thread::Builder::new().name("certificate".to_owned()).stack_size(STACK);
        for lane in &lanes {
            let _ = thread().spawn_scoped(scope, move || serve_lane(lane));
        }
        for _ in 1..threads {
            let _ = thread().spawn_scoped(scope, serve_free);
        }
        // This one works too, and sees to it that nothing is left even where it is the only one.
        serve_free();
        lanes.iter().for_each(serve_lane);
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
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
    async fn all_is_done_on_one_thread() {
        check().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn all_is_done_on_several_threads() {
        check().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_job_that_blocks_its_thread_keeps_no_other_from_working() {
        let (told, hears) = std::sync::mpsc::channel();
        let hears = Mutex::new(hears);
        let work = |number: usize| {
            let (told, hears) = (told.clone(), &hears);
            async move {
                match number {
                    // It blocks until the other one has been at work.
                    0 => hears.lock().unwrap().recv().unwrap(),
                    _ => told.send(()).unwrap(),
                }
            }
        };
        let jobs = vec![(BTreeSet::new(), 0), (BTreeSet::new(), 1)];
        assert_eq!(in_lanes(jobs, NonZeroUsize::new(2).unwrap(), work).await.len(), 2);
    }
}

//! Changes of one name by several certificates, made together: whoever has the turn makes what all who wait want, with
//! one read and one write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// All who wait, by name. `T` is what a change comes to.
pub(super) struct Together<T>(Mutex<HashMap<String, Arc<Line<T>>>>);

impl<T> Default for Together<T> {
    fn default() -> Self {
        Together(Mutex::default())
    }
}

/// All who wait at one name.
struct Line<T> {
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting<T>>>,
}

/// One who waits.
struct Waiting<T> {
    kind: Kind,
    values: Vec<String>,
    done: oneshot::Sender<T>,
}

/// What is wanted of the values. Only wishes of one kind are made together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Add,
    Remove,
}

impl<T: Clone> Together<T> {
    /// Makes a change of `name`, with nobody else of this process at that name: `work` is given the values of all who want
    /// the same at this moment, and they are told what it came to. An error is for the one who met it; the others try for
    /// themselves, so that nobody fails for somebody else's value.
    ///
    /// Like any write, it must not be dropped halfway. If it is, the others go on without it.
    pub(super) async fn change<E>(
        &self,
        name: &str,
        kind: Kind,
        values: Vec<String>,
        work: impl AsyncFnOnce(&[String]) -> Result<T, E>,
    ) -> Result<T, E> {
        let line = self.line(name);
        let (done, mut served) = oneshot::channel();
        line.waiting().push(Waiting { kind, values: values.clone(), done });
        let _turn = line.turn.lock().await;
        if let Ok(outcome) = served.try_recv() {
            return Ok(outcome);
        }
        let group = line.take(kind);
        // This one is among them, unless somebody had taken it along who was dropped halfway.
        let mut all = values;
        all.extend(group.iter().flat_map(|waiting| waiting.values.clone()));
        all.sort();
        all.dedup();
        let outcome = work(&all).await;
        served.close();
        match &outcome {
            Ok(outcome) => group.into_iter().for_each(|waiting| drop(waiting.done.send(outcome.clone()))),
            Err(_) => line.waiting().extend(group),
        }
        outcome
    }

    fn line(&self, name: &str) -> Arc<Line<T>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Lines in which nobody stands are forgotten.
        lines.retain(|_, line| Arc::strong_count(line) > 1);
        let new = || Arc::new(Line { turn: tokio::sync::Mutex::default(), waiting: Mutex::default() });
        lines.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

impl<T> Line<T> {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<T>>> {
        // The list is never left half-changed, so a panic elsewhere does it no harm.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who wait for this, without those who have gone away.
    fn take(&self, kind: Kind) -> Vec<Waiting<T>> {
        let mut waiting = self.waiting();
        waiting.retain(|one| !one.done.is_closed());
        let (taken, left) = std::mem::take(&mut *waiting).into_iter().partition(|one| one.kind == kind);
        *waiting = left;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::{join, join_all};

    use super::*;

    /// What was asked of the service, in its order.
    #[derive(Default)]
    struct Calls(Mutex<Vec<(Kind, Vec<String>)>>);

    impl Calls {
        async fn make(&self, kind: Kind, values: &[String], bad: &str) -> Result<usize, String> {
            self.0.lock().unwrap().push((kind, values.to_vec()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            if values.iter().any(|value| value == bad) { Err(bad.to_owned()) } else { Ok(values.len()) }
        }

        fn seen(&self) -> Vec<(Kind, Vec<String>)> {
            self.0.lock().unwrap().clone()
        }
    }

    fn one(number: usize) -> Vec<String> {
        vec![format!("v{number}")]
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_are_served_by_one_change() {
        let (together, calls) = (Together::default(), Calls::default());
        let add = |number| {
            together.change("a.example", Kind::Add, one(number), async |values| {
                calls.make(Kind::Add, values, "").await
            })
        };
        // The first one does not know of the others yet when it begins.
        let (_, others) = join(add(0), join_all((1..20).map(add))).await;
        assert!(others.iter().all(|outcome| *outcome == Ok(19)), "{others:?}");
        let sizes: Vec<_> = calls.seen().iter().map(|(_, values)| values.len()).collect();
        assert_eq!(sizes, [1, 19]);
        assert!(together.line("a.example").waiting().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn wishes_of_two_kinds_and_of_two_names_stay_apart() {
        let (together, calls) = (Together::default(), Calls::default());
        let change = |name, kind, number| {
            let calls = &calls;
            together.change(name, kind, one(number), async move |values| calls.make(kind, values, "").await)
        };
        let wishes = [
            change("a.example", Kind::Add, 0),
            change("a.example", Kind::Remove, 1),
            change("a.example", Kind::Add, 2),
            change("a.example", Kind::Remove, 3),
            change("b.example", Kind::Add, 4),
        ];
        let outcomes = join_all(wishes).await;
        assert!(outcomes.iter().all(Result::is_ok));
        // All at one name were there when the first of them had its turn.
        let mut seen = calls.seen();
        seen.sort_by_key(|(_, values)| values.clone());
        let values = |numbers: &[usize]| numbers.iter().flat_map(|&number| one(number)).collect::<Vec<_>>();
        let apart = [(Kind::Add, values(&[0])), (Kind::Remove, values(&[1, 3])), (Kind::Add, values(&[2]))];
        assert_eq!(seen[..3], apart);
        assert_eq!(seen[3], (Kind::Add, values(&[4])));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_for_the_one_who_met_it() {
        let (together, calls) = (Together::default(), Calls::default());
        let add = |number| {
            together.change("a.example", Kind::Add, one(number), async |values| {
                calls.make(Kind::Add, values, "v1").await
            })
        };
        let outcomes = join_all((0..4).map(add)).await;
        assert_eq!(outcomes[1], Err("v1".to_owned()));
        assert!([0, 2, 3].iter().all(|&index| outcomes[index].is_ok()), "{outcomes:?}");
        assert!(together.line("a.example").waiting().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_is_dropped_halfway_takes_nobody_along() {
        let (together, calls) = (Together::default(), Calls::default());
        let add = |number| {
            together.change("a.example", Kind::Add, one(number), async |values| {
                calls.make(Kind::Add, values, "").await
            })
        };
        let first = add(0);
        let cut = async {
            // It is served with the third, and gone before the answer.
            let _ = tokio::time::timeout(Duration::from_millis(75), add(1)).await;
        };
        let (_, (), third) = futures_util::join!(first, cut, add(2));
        assert!(third.is_ok());
        assert!(calls.seen().last().unwrap().1.contains(&"v2".to_owned()));
    }
}

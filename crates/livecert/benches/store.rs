//! The store as a whole: how all certificates stand, and a renewal run that finds nothing to do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on is none")]

#[path = "../tests/many/mod.rs"]
mod many;

use divan::Bencher;
use jiff::Timestamp;
use livecert::certificate::{StatusRequest, status};
use livecert::store::Store;
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn filled(count: usize) -> (TempDir, Store) {
    let folder = many::folder();
    let store = many::fill(&folder.path().join("home"), count);
    (folder, store)
}

/// Reading everything about each certificate.
#[divan::bench(args = [1, 100, 1000], sample_count = 30)]
fn scan(bencher: Bencher<'_, '_>, count: usize) {
    let (_folder, store) = filled(count);
    bencher.bench(|| {
        let names = store.cert_names().unwrap();
        store.look_at(&names, |_, snapshot| snapshot.unwrap().record.version)
    });
}

/// How all of them stand.
#[divan::bench(args = [1, 100, 1000], sample_count = 30)]
fn standing(bencher: Bencher<'_, '_>, count: usize) {
    let (_folder, store) = filled(count);
    bencher.bench(|| status(&store, &StatusRequest::default(), Timestamp::now()).unwrap());
}

/// A renewal run is planned: nothing is due, or all of it by force.
#[divan::bench(args = [false, true], sample_count = 30)]
fn plan_of_1000(bencher: Bencher<'_, '_>, force: bool) {
    let (_folder, store) = filled(1000);
    let (service, names) = (many::service(&store), store.cert_names().unwrap());
    bencher.bench(|| livecert::bench::planned(&service, &names, force));
}

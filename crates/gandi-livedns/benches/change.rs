//! What a change costs beside the requests.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on is none")]

use divan::Bencher;
use gandi_livedns::bench::{candidates, merged};

fn main() {
    divan::main();
}

/// Two values of our own are merged into an rrset with so many of others.
#[divan::bench(args = [0, 10, 1000])]
fn txt_merge(bencher: Bencher<'_, '_>, others: usize) {
    let value = |number: usize| format!("ev{number:04}Lr1QzVv0jR3ZyJ3rYz2r0n7zUqV5mXo9c8s");
    let existing: Vec<String> = (0..others).map(|number| format!("\"{}\"", value(number))).collect();
    let ours = [value(others), value(others + 1)];
    bencher.bench(|| merged(&existing, &ours));
}

/// The names that LiveDNS is asked for when a zone is looked up.
#[divan::bench]
fn zone_search(bencher: Bencher<'_, '_>) {
    bencher.bench(|| candidates("_acme-challenge.a.b.c.www.example.co.uk", Some("example.co.uk")));
}

//! All fuzz targets under libFuzzer, which brings its own `main`. The target's name is in `LIVECERT_FUZZ_TARGET`.
#![no_main]

use std::sync::LazyLock;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("LIVECERT_FUZZ_TARGET").unwrap_or_default();
    let all = [livecert_acme::fuzz::TARGETS, gandi_livedns::fuzz::TARGETS, livecert::fuzz::TARGETS];
    match all.into_iter().flatten().find(|(name, _)| *name == wanted) {
        Some((_, run)) => *run,
        None => panic!("LIVECERT_FUZZ_TARGET names no target: '{wanted}'"),
    }
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| RUN(input));

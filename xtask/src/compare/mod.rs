//! `cargo xtask compare`: livecert beside other clients, unmodified, against the same real parts, in one run.
//!
//! Everything happens in a network of its own, where Gandi's host names lead to the simulator, and the system trusts its
//! certificate. Each peer gets a certificate first, so that accounts are in place; then the cases are run in turns, so that
//! a busy minute of the machine hits all of them.

mod case;
mod chart;
mod distance;
mod faults;
mod peer;
mod report;
mod stopwatch;
mod world;

use std::time::Duration;

use clap::Args;

use self::case::Case;
use self::peer::{Order, Peer, Waits};
use self::report::{Report, Row};
use self::world::World;
use crate::setup::{self, root};
use crate::{Failure, say};

/// So often one client's way through a case is begun anew because Pebble came to a halt: two new orders wait for each other's lock,
/// and all other requests for them.
const MOST_HALTS: u32 = 8;
const DOCUMENT: &str = "docs/performance.md";
const CHART: &str = "docs/performance.svg";

#[derive(Debug, Args)]
pub(crate) struct Words {
    /// How often each client is taken through each case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only these cases: one, wildcard, twenty, hundred, renewals, thousand,
    /// thousand-in-memory, far-one, far-twenty, bad-days. What is not among them stays in the document
    /// as it is
    #[arg(long, value_name = "CASE")]
    case: Vec<String>,
    /// Only these clients: livecert, floor, floor-on-disk, lego, certbot, uacme, dehydrated
    #[arg(long, value_name = "CLIENT")]
    client: Vec<String>,
    /// Let the others wait as they do by themselves; this takes a quarter of an hour
    #[arg(long)]
    default_waits: bool,
    /// Leave the documents as they are
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(words: &Words) -> Result<(), Failure> {
    let all: Vec<String> = std::env::args().skip(1).collect();
    if !testbed::is_alone() {
        prepare()?;
    }
    match testbed::alone_on_disk(&all.iter().map(String::as_str).collect::<Vec<_>>())? {
        testbed::Alone::Inside => inside(words),
        testbed::Alone::Ended(output) if output.status.success() => Ok(()),
        testbed::Alone::Ended(_) => Err("the comparison did not come to its end: see above".into()),
    }
}

/// What is needed from outside: the network inside leads nowhere.
fn prepare() -> Result<(), Failure> {
    setup::programs(&["pebble", "lego", "uacme", "dehydrated", "curl", "jq", "time"])?;
    setup::programs_of(&[("unshare", "util-linux"), ("ip", "iproute2")])?;
    peer::set_up()?;
    setup::build(&["--release", "-p", "livecert-cli"])?;
    Ok(())
}

fn inside(words: &Words) -> Result<(), Failure> {
    let waits = if words.default_waits { Waits::Default } else { Waits::Least };
    let mut report = Report::new(waits);
    let wanted = |all: &[String], one: &str| all.is_empty() || all.iter().any(|word| word == one);
    let mut peers = peer::all();
    peers.retain(|peer| wanted(&words.client, peer.id()));
    let write = |report: &Report| match words.dry_run {
        true => Ok(()),
        false => report.write(&root().join(DOCUMENT), &root().join(CHART)),
    };
    for case in Case::ALL.iter().filter(|case| wanted(&words.case, case.id)) {
        let mut world = World::start(case.distance, case.in_memory)?;
        warm_up(&world, &peers)?;
        let mut halts = 0;
        let mut rows: Vec<Row> = peers.iter().map(|peer| Row::new(peer.title(), peer.version())).collect();
        for round in 0..words.runs {
            for (peer, row) in peers.iter().zip(&mut rows) {
                let is_left_out = !case.is_for(peer.id()) || case.is_too_long_for(peer.id(), waits);
                if is_left_out || round >= case.rounds(peer.as_ref(), waits) {
                    continue;
                }
                let before = halts;
                let sample = loop {
                    match measure(&world, peer.as_ref(), case, round, waits)? {
                        Some(sample) => break sample,
                        None if halts - before >= MOST_HALTS => {
                            return Err("Pebble comes to a halt again and again".into());
                        }
                        None => halts += 1,
                    }
                    // Both would have the same addresses.
                    drop(world);
                    world = World::start(case.distance, case.in_memory)?;
                    warm_up(&world, &peers)?;
                };
                row.add(sample);
            }
        }
        rows.retain(|row| !row.is_empty());
        let too_long = peers.iter().filter(|peer| {
            let client = peer.id();
            case.is_for(client) && case.is_too_long_for(client, waits)
        });
        let too_long: Vec<&str> = too_long.map(|peer| peer.title()).collect();
        say(&report.add(case, &rows, halts, &too_long));
        // What was measured is not lost with what comes next.
        write(&report)?;
    }
    if wanted(&words.case, "bad-days") {
        peers.retain(|peer| !peer.id().starts_with("floor"));
        for days in faults::ALL {
            // A lock that a killed client left would keep it from everything that comes after.
            let world = World::start(Duration::ZERO, false)?;
            warm_up(&world, &peers)?;
            let row = |peer: &dyn Peer| Ok((peer.title(), days.row(&world, peer)?));
            let rows = peers.iter().map(AsRef::as_ref).map(row).collect::<Result<Vec<_>, Failure>>()?;
            say(&report.add_days(&days, &rows));
            write(&report)?;
        }
    }
    Ok(())
}

/// Has each client make its account and a first certificate.
fn warm_up(world: &World, peers: &[Box<dyn Peer>]) -> Result<(), Failure> {
    for peer in peers {
        world.settle_for(peer.as_ref());
        stopwatch::succeed_all(peer.warm_up(world)?).map_err(|error| format!("{}: {error}", peer.id()))?;
    }
    Ok(())
}

/// One client through one case; `None` if Pebble came to a halt.
fn measure(
    world: &World,
    peer: &dyn Peer,
    case: &Case,
    round: u32,
    waits: Waits,
) -> Result<Option<report::Sample>, Failure> {
    world.settle_for(peer);
    let certificates = case.certificates(peer.id(), round);
    let order = Order { certificates: &certificates, again: case.renewals, waits };
    let patience = Case::patience(peer.id());
    let first = peer.issue(world, &Order { again: false, waits: Waits::Least, ..order });
    if case.renewals && stopwatch::take(world, first, patience)?.is_none() {
        return Ok(None);
    }
    let before = world.counts();
    let taken = stopwatch::take(world, peer.issue(world, &order), patience)?;
    let after = world.counts();
    let sample =
        |taken| report::Sample { taken, acme: after.acme - before.acme, gandi: after.gandi - before.gandi };
    Ok(taken.map(sample))
}

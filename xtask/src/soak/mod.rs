//! `cargo xtask soak`: thousands of renewals in minutes, while everything that can go wrong does, on both sides.
//!
//! Two ACME servers of our own and the LiveDNS simulator run here. One state folder is worked on by a process that lives as
//! long as the soak and by short ones, which are killed, stopped, given a full disk, or left alone. A round of this is an hour
//! of simulated time: when all has ended, every moment that livecert has noted is moved an hour back. The CA decides what is
//! due, by the windows of RFC 9773. Meanwhile other writers come and go at the same rrsets. After the last round the weather
//! is fair, and what is there is compared with what has to be there.
//!
//! One seed draws everything; what happens at the same time is not drawn, so that a seed finds the same kind of day again, and
//! not the same day.

mod check;
mod clock;
mod crew;
mod limits;
mod neighbours;
mod plan;
mod report;
pub(crate) mod service;
mod storm;
mod tally;
mod weather;
mod world;

use std::time::{Duration, Instant};

use clap::Args;

use self::report::Report;
use self::storm::Storm;
use self::world::World;
use crate::setup::{build, pebble, root};
use crate::{Failure, say};

const DOCUMENT: &str = "docs/reliability.md";

#[derive(Debug, Args)]
pub(crate) struct Words {
    /// How long the storm lasts
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    minutes: f64,
    /// What draws the faults and all else [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Leave docs/reliability.md as it is
    #[arg(long)]
    dry_run: bool,
    /// Leave the state folder and all that livecert said where they are, and tell where
    #[arg(long)]
    keep: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if minutes > 0.0 && minutes <= 10_000.0 => Ok(minutes),
        _ => Err("a number of minutes above 0".to_owned()),
    }
}

pub(crate) fn run(words: &Words) -> Result<(), Failure> {
    pebble()?;
    let programs = build(&["-p", "livecert-cli"])?;
    let seed = words.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    say(&format!("Seed {seed}: `cargo xtask soak --seed {seed}` draws the same faults again."));
    say("Starting the servers, and getting all certificates …");
    let world = World::start(&programs.join("livecert"))?;
    let begun = Instant::now();
    let mut storm = Storm::begin(&world, seed)?;
    while begun.elapsed() < Duration::from_secs_f64(words.minutes * 60.0) {
        storm.round()?;
    }
    storm.calm_down()?;
    let report = Report::of(storm, &world, seed, begun.elapsed())?;
    say(report.text());
    if words.keep {
        say(&format!("The state folder and what was said: {}", world.keep()?.display()));
    }
    if !report.findings().is_empty() {
        return Err(format!("seed {seed}: {}", report.findings().join("; ")).into());
    }
    if !words.dry_run {
        report.write(&root().join(DOCUMENT))?;
    }
    Ok(())
}

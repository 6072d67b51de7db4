//! The log on stderr. Foreign crates are held at warnings: at deeper levels some of them print what they send.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::{Globals, LogFormat};
use crate::failure::Failure;
use crate::terminal::Log;

/// Crates of this project.
const OURS: [&str; 3] = ["livecert", "livecert_acme", "gandi_livedns"];

pub(crate) fn start(globals: &Globals) -> Result<(), Failure> {
    let level = match (globals.quiet, globals.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let foreign = level.min(LevelFilter::WARN);
    let filter = Targets::new().with_default(foreign).with_targets(OURS.map(|target| (target, level)));
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Log);
    let started = match globals.log_format {
        LogFormat::Json => tracing_subscriber::registry().with(layer.json().with_filter(filter)).try_init(),
        LogFormat::Text => {
            let colour = anstream::stderr().current_choice() != anstream::ColorChoice::Never;
            tracing_subscriber::registry().with(layer.with_ansi(colour).with_filter(filter)).try_init()
        }
    };
    started.map_err(|error| Failure::internal(&format!("the log cannot be started: {error}")))
}

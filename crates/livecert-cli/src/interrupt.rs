//! Ctrl-C and SIGTERM: the first one cleans up and ends, the second one ends at once.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::terminal::{Terminal, write_err};

/// What shells report for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Cancels `token` at the first signal. Must be called in the runtime.
pub(crate) fn listen(token: CancellationToken, terminal: Arc<Terminal>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::internal(&format!("signals cannot be heard: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                write_err("ended at once; TXT values of ours may be left in DNS\n");
                std::process::exit(INTERRUPTED);
            }
            token.cancel();
            terminal.leave();
            write_err("interrupted: cleaning up (once more ends at once)\n");
        }
    });
    Ok(())
}

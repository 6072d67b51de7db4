//! One process with all that it starts, from its begin to its end or to the end of its time.

use std::convert::Infallible;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ProcessFailure;
use super::tail::Tail;

/// How long a process may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// To do its work.
    pub(crate) work: Duration,
    /// To end when it is told to, before it is killed.
    pub(crate) grace: Duration,
}

/// Between two looks at whether the processes of a group have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long the rest is read of what an ended process printed, where another one holds the pipe open. It is in the pipe
/// already: this is for a busy machine.
const REST: Duration = Duration::from_millis(250);

/// Runs `command` in a process group of its own with `input` on its standard input. Gives how it ended, and the last part
/// of what it printed.
pub(crate) async fn run(
    mut command: Command,
    input: &[u8],
    limits: Limits,
    interrupt: &CancellationToken,
) -> (Result<(), ProcessFailure>, String) {
    let mut tail = Tail::default();
    let started = start(&mut command);
    // The command holds the pipe's other end: it would never come to its end.
    drop(command);
    let (mut running, mut output) = match started {
        Ok(started) => started,
        Err(error) => return (Err(ProcessFailure::CannotStart(error)), String::new()),
    };
    let stdin = running.child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // Whoever does not read it does not want it.
            let _ = stdin.write_all(input).await;
        }
    };
    let traffic = async {
        tokio::join!(feed, tail.fill(&mut output));
        pending::<Infallible>().await
    };
    let ended = tokio::select! {
        biased;
        ended = running.end(limits, interrupt) => ended,
        never = traffic => match never {},
    };
    // What the process left running in the background may print for ever.
    let _ = timeout(REST, tail.fill(&mut output)).await;
    (ended.and_then(judge), tail.text())
}

fn start(command: &mut Command) -> std::io::Result<(Running, pipe::Receiver)> {
    // One pipe for both, so that lines stay in their order.
    let (reader, writer) = std::io::pipe()?;
    let output = pipe::Receiver::from_owned_fd(reader.into())?;
    command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok((Running { child, group }, output))
}

fn judge(status: ExitStatus) -> Result<(), ProcessFailure> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ProcessFailure::Status(code)),
        (None, signal) => Err(ProcessFailure::Signal(signal.unwrap_or(0))),
    }
}

/// A process that leads a group. What is still in the group when this value goes before the end is killed.
struct Running {
    child: Child,
    /// `None` once the process has ended by itself: what it left in the background is meant to stay.
    group: Option<Pid>,
}

impl Running {
    async fn end(
        &mut self,
        limits: Limits,
        interrupt: &CancellationToken,
    ) -> Result<ExitStatus, ProcessFailure> {
        let why = tokio::select! {
            biased;
            status = self.child.wait() => {
                self.group = None;
                return status.map_err(ProcessFailure::CannotStart);
            }
            () = interrupt.cancelled() => ProcessFailure::Interrupted,
            () = sleep(limits.work) => ProcessFailure::TooLong(limits.work),
        };
        self.terminate(limits.grace).await;
        Err(why)
    }

    async fn terminate(&mut self, grace: Duration) {
        let Some(group) = self.group else { return };
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + grace;
        // The first one may have gone where its children have not.
        while !matches!(self.child.try_wait(), Ok(Some(_))) || test_kill_process_group(group).is_ok() {
            if Instant::now() >= deadline {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
        self.group = None;
        let _ = self.child.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

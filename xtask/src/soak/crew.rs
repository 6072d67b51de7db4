//! Short processes on the same state folder, each with a fate.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tally::Tally;
use super::world::World;
use crate::Failure;

/// How long a process may take before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(240);

/// What becomes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It comes to its end.
    Ends,
    /// It is killed (SIGKILL) after this time.
    Killed(Duration),
    /// It is asked to stop (SIGTERM) after this time.
    Stopped(Duration),
    /// It cannot write more than so many blocks of 512 octets to a file, as on a disk that is nearly full.
    DiskFull(u32),
}

impl Fate {
    pub(super) fn draw(rng: &mut fastrand::Rng) -> Self {
        let after = Duration::from_millis(rng.u64(30..4000));
        match rng.u8(..10) {
            0..4 => Fate::Ends,
            4..7 => Fate::Killed(after),
            7..9 => Fate::Stopped(after),
            _ => Fate::DiskFull(rng.u32(..6)),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Fate::Ends => "left alone",
            Fate::Killed(_) => "killed (SIGKILL)",
            Fate::Stopped(_) => "asked to stop (SIGTERM)",
            Fate::DiskFull(_) => "with a full disk",
        }
    }
}

/// What a process is asked to do.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) words: Vec<String>,
    pub(super) fate: Fate,
}

impl Job {
    /// Does it, and tells what came of it.
    pub(super) fn run(&self, world: &World) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        let plain = world.livecert.command(&self.words);
        let mut command = match self.fate {
            Fate::DiskFull(blocks) => limited(&plain, blocks),
            _ => plain,
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (out, err) = (reader(out), reader(err));
        let ended = self.see_through(&mut child)?;
        let join = |text: std::thread::JoinHandle<String>| text.join().unwrap_or_default();
        let (out, err) = (join(out), join(err));
        tally.process(self.fate.word());
        let what = self.words.join(" ");
        tally.words(&what, &err);
        if !ended {
            tally.findings.push(format!("`livecert {what}` hangs: {err}"));
        } else if !out.is_empty() {
            tally.report(&out);
        } else if self.fate == Fate::Ends {
            tally.findings.push(format!("`livecert {what}` ended without a word: {err}"));
        }
        Ok(tally)
    }

    /// Waits for its end, which may be brought about; `false` if it does not come.
    fn see_through(&self, child: &mut Child) -> Result<bool, Failure> {
        let begun = Instant::now();
        let mut fate = Some(self.fate);
        loop {
            if child.try_wait()?.is_some() {
                return Ok(true);
            }
            let past = |after: Duration| begun.elapsed() >= after;
            match fate {
                Some(Fate::Killed(after)) if past(after) => {
                    fate = None;
                    child.kill()?;
                }
                Some(Fate::Stopped(after)) if past(after) => {
                    fate = None;
                    // It may have come to its end just now.
                    let _ =
                        Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status()?;
                }
                _ if begun.elapsed() > PATIENCE => {
                    child.kill()?;
                    child.wait()?;
                    return Ok(false);
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// The same command where no file can become longer than that: the system refuses to write on, as a full disk does.
fn limited(command: &Command, blocks: u32) -> Command {
    let mut limited = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was said before an error is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

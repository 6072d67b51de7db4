//! What happens on a bad day: somebody else's value at the name, two clients at once, a kill midway, an API that is busy.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testbed::sim::{Fault, FaultRule, Rrset};

use super::peer::{Order, Peer, Waits};
use super::stopwatch;
use super::world::World;
use crate::Failure;

const ZONE: &str = "example.com";
const NEIGHBOUR: &str = "a neighbour's value";
const TTL: u32 = 3600;
/// How long a client may take before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(90);

/// A table of days on which not everything goes well.
pub(super) struct Days {
    pub(super) title: &'static str,
    pub(super) heads: &'static [&'static str],
    row: fn(&Bed<'_>) -> Result<Vec<String>, Failure>,
}

/// All of them.
pub(super) const ALL: [Days; 2] = [
    Days {
        title: "Bad days",
        heads: &["a neighbour's value", "two at once, with a neighbour", "killed after the write, run again"],
        row: |bed| Ok(vec![bed.neighbour()?, bed.two_at_once()?, bed.killed()?]),
    },
    Days {
        title: "Busy days",
        heads: &[
            "503 once at the first read",
            "503 once at the first write",
            "503 once at the clean-up",
            "429 once at the first read",
            "429 once at the first write",
            "429 once at the clean-up",
        ],
        row: |bed| {
            let mut cells = Vec::new();
            for status in [503, 429] {
                for moment in [READ, WRITE, CLEAN_UP] {
                    cells.push(bed.busy(status, moment)?);
                }
            }
            Ok(cells)
        },
    },
];

impl Days {
    /// A row of the table: how a client came through.
    pub(super) fn row(&self, world: &World, peer: &dyn Peer) -> Result<Vec<String>, Failure> {
        world.settle_for(peer);
        (self.row)(&Bed { world, peer })
    }
}

/// When LiveDNS is busy.
#[derive(Clone, Copy)]
struct Moment {
    name: &'static str,
    /// Methods, and how many such requests come before.
    requests: &'static [(&'static str, u32)],
    path: &'static str,
}

const READ: Moment = Moment { name: "read", requests: &[("GET", 0)], path: "/records/" };
const WRITE: Moment = Moment { name: "write", requests: &[("POST", 0), ("PUT", 0)], path: "/TXT" };
/// The removal is a DELETE, a PATCH, or the second PUT of those who add with the first.
const CLEAN_UP: Moment =
    Moment { name: "clean-up", requests: &[("DELETE", 0), ("PATCH", 0), ("PUT", 1)], path: "/records/" };

struct Bed<'a> {
    world: &'a World,
    peer: &'a dyn Peer,
}

/// The record at which a host proves itself, below the zone.
fn record(host: &str) -> String {
    format!("_acme-challenge.{}", host.trim_end_matches(ZONE).trim_end_matches('.'))
}

impl Bed<'_> {
    fn host(&self, what: &str) -> String {
        format!("{what}.{}.bad.{ZONE}", self.peer.id())
    }

    fn commands(&self, names: &[String]) -> Vec<Command> {
        let certificates = [names.to_vec()];
        self.peer.issue(self.world, &Order { certificates: &certificates, again: false, waits: Waits::Least })
    }

    fn rrset(&self, host: &str) -> Option<Rrset> {
        self.world.gandi().zone(ZONE).remove(&format!("{}/TXT", record(host)))
    }

    /// What is left at the name, in words.
    fn left(&self, host: &str, neighbour: bool) -> String {
        let rrset = self.rrset(host);
        let values = rrset.as_ref().map(|rrset| rrset.values.clone()).unwrap_or_default();
        let kept = values.iter().any(|value| value.trim_matches('"') == NEIGHBOUR);
        let own = values.len() - usize::from(kept);
        let mut words = Vec::new();
        if neighbour {
            words.push(if kept { "value kept".to_owned() } else { "**value lost**".to_owned() });
            if kept && rrset.as_ref().is_some_and(|rrset| rrset.ttl != TTL) {
                words.push("its TTL changed".to_owned());
            }
        }
        match own {
            0 if !neighbour && rrset.is_some() => words.push("an empty rrset left".to_owned()),
            0 if !neighbour => words.push("nothing left".to_owned()),
            0 => {}
            own => words.push(format!("**{own} of its own left**")),
        }
        words.join(", ")
    }

    fn neighbour(&self) -> Result<String, Failure> {
        let host = self.host("neighbour");
        self.world.gandi().add_value(ZONE, &record(&host), NEIGHBOUR, TTL);
        let ended = self.ended(&mut self.start(&host)?)?;
        Ok(format!("{ended}, {}", self.left(&host, true)))
    }

    fn two_at_once(&self) -> Result<String, Failure> {
        let host = self.host("pair");
        self.world.gandi().add_value(ZONE, &record(&host), NEIGHBOUR, TTL);
        self.world.gandi().set_latency(Duration::from_millis(100));
        let mut both = [self.start(&host)?, self.start(&format!("*.{host}"))?];
        let [first, second] = &mut both;
        let ended = [self.ended(first)?, self.ended(second)?];
        self.world.gandi().set_latency(Duration::ZERO);
        Ok(format!("{} and {}, {}", ended[0], ended[1], self.left(&host, true)))
    }

    fn killed(&self) -> Result<String, Failure> {
        let host = self.host("killed");
        self.world.gandi().set_latency(Duration::from_millis(100));
        let mut child = self.start(&host)?;
        let begun = Instant::now();
        while self.rrset(&host).is_none() && child.try_wait()?.is_none() && begun.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        kill(&mut child)?;
        self.world.gandi().set_latency(Duration::ZERO);
        let then = self.left(&host, false);
        let ended = self.ended(&mut self.start(&host)?)?;
        Ok(format!("{then}; then {ended}, {}", self.left(&host, false)))
    }

    /// How it goes when one request of that moment is answered with an error that says to come back in a second.
    fn busy(&self, status: u16, moment: Moment) -> Result<String, Failure> {
        let host = self.host(&format!("{}-{status}", moment.name));
        for (method, before) in moment.requests {
            let answer = Fault::Answer { status, body: "busy".to_owned(), retry_after: Some("1".to_owned()) };
            let rule = FaultRule {
                method: Some((*method).to_owned()),
                path: moment.path.to_owned(),
                after: *before,
                times: 1,
                fault: answer,
            };
            self.world.gandi().fail(rule);
        }
        let met = || self.world.gandi().requests().iter().filter(|request| request.status == status).count();
        let before = met();
        let ended = self.ended(&mut self.start(&host)?)?;
        self.world.gandi().heal();
        let not_met = if met() == before { " (it made no such request)" } else { "" };
        Ok(format!("{ended}, {}{not_met}", self.left(&host, false)))
    }

    /// Starts a client in a process group of its own, so that its scripts die with it.
    fn start(&self, host: &str) -> Result<Child, Failure> {
        let mut commands = self.commands(&[host.to_owned()]);
        let mut command = commands.pop().ok_or("a client without a command")?;
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    fn ended(&self, child: &mut Child) -> Result<String, Failure> {
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(match status.code() {
                    Some(0) => "ok".to_owned(),
                    Some(code) => format!("**exit {code}**"),
                    None => "**died**".to_owned(),
                });
            }
            if begun.elapsed() > PATIENCE {
                kill(child)?;
                return Ok("**hangs**".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn kill(child: &mut Child) -> Result<(), Failure> {
    stopwatch::succeed(Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]))?;
    child.wait()?;
    Ok(())
}

//! Pebble, the simulator under Gandi's names, and a system that trusts both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testbed::sim::{Behaviour, Legacy};
use testbed::{Options, PebbleOptions, Testbed};

use super::distance::Distance;
use super::peer::Peer;
use crate::Failure;

/// The hosts of Gandi that clients know, with the old one.
const GANDI: [&str; 3] = ["api.gandi.net", "dns.api.gandi.net", "id.gandi.net"];
/// The addresses of the three name servers that each zone has, as at Gandi: who looks whether a record is there asks all of
/// them. The first one is the system's resolver too.
const NAME_SERVERS: [[u8; 4]; 3] = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]];
/// Where Debian's programs find the roots that they trust.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// A folder in memory, on every Linux.
const MEMORY: &str = "/dev/shm";

/// The servers, and a folder for what the clients keep.
#[derive(Debug)]
pub(super) struct World {
    // Dropped first: the files that are shown are in the testbed's folder.
    mounts: Vec<Mount>,
    testbed: Testbed,
    directory: String,
    // Dropped after the rest: the clients' ways to the servers.
    _ways: Vec<Distance>,
}

/// A file that is shown in the place of one of the system.
#[derive(Debug)]
struct Mount(&'static str);

impl Drop for Mount {
    fn drop(&mut self) {
        // The network of its own ends with the process in any case.
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// The zones of the cases.
fn zones() -> Vec<String> {
    let numbered = (0..100).map(|number| format!("zone{number}.example"));
    numbered.chain(["example.com".to_owned()]).collect()
}

/// Requests so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) acme: usize,
    pub(super) gandi: usize,
}

impl World {
    /// In memory, nothing that anybody writes waits for a disk.
    pub(super) fn start(distance: Duration, in_memory: bool) -> Result<Self, Failure> {
        let far = !distance.is_zero();
        let front = SocketAddr::from(([127, 0, 0, 1], 443));
        let testbed = Testbed::start(&Options {
            zones: zones(),
            dns_listen: NAME_SERVERS.map(|server| SocketAddr::from((server, 53))).to_vec(),
            api_listen: Some(if far { SocketAddr::from(([127, 0, 0, 2], 443)) } else { front }),
            // The peers are not to pay for nonces that Pebble refuses at random, which some of them do not survive.
            pebble: PebbleOptions { nonce_reject: 0, strict: false, ..PebbleOptions::default() },
            hosts: GANDI.map(str::to_owned).to_vec(),
            place: in_memory.then(|| MEMORY.into()),
            ..Options::default()
        })?;
        let mut directory = testbed.pebble().directory();
        let mut ways = Vec::new();
        if far {
            let port =
                directory.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap_or_default();
            let pebble = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
            let way = Distance::start(SocketAddr::from(([127, 0, 0, 1], 0)), pebble, distance)?;
            directory = format!("https://localhost:{}/dir", way.address().port());
            ways.push(way);
            ways.push(Distance::start(front, SocketAddr::from(([127, 0, 0, 2], 443)), distance)?);
        }
        let mut world = World { mounts: Vec::new(), testbed, directory, _ways: ways };
        world.mount("/etc/hosts", &format!("127.0.0.1 localhost {}\n", GANDI.join(" ")))?;
        let roots = std::fs::read_to_string(ROOTS).unwrap_or_default();
        world.mount(ROOTS, &(roots + &std::fs::read_to_string(world.testbed.ca())?))?;
        Ok(world)
    }

    /// Puts a file with this text in the place of a file of the system; only this network's processes see it.
    fn mount(&mut self, place: &'static str, text: &str) -> Result<(), Failure> {
        let file = self.folder().join(place.trim_start_matches('/').replace('/', "-"));
        std::fs::write(&file, text)?;
        let status = Command::new("mount").arg("--bind").arg(&file).arg(place).status()?;
        if !status.success() {
            return Err(format!("{place} could not be mounted").into());
        }
        self.mounts.push(Mount(place));
        Ok(())
    }

    /// The directory of the ACME server, as the clients reach it.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// The root certificate of all servers.
    pub(super) fn ca(&self) -> PathBuf {
        self.testbed.ca()
    }

    /// A folder for whatever a client keeps.
    pub(super) fn folder(&self) -> &Path {
        self.testbed.folder()
    }

    /// The zones, with commas between.
    pub(super) fn zones(&self) -> String {
        zones().join(",")
    }

    /// A file with this secret.
    pub(super) fn secret(&self, name: &str, secret: &str) -> Result<PathBuf, Failure> {
        Ok(self.testbed.secret_file(name, secret)?)
    }

    /// Makes Gandi be what this client expects, and forgets how many requests there were in the last minute.
    pub(super) fn settle_for(&self, peer: &dyn Peer) {
        let legacy = peer.wants_legacy_host().then_some(Legacy::KeysOnly);
        self.testbed.gandi().set_behaviour(Behaviour {
            legacy,
            requests_per_minute: 0,
            ..Behaviour::default()
        });
    }

    /// The simulator's inside.
    pub(super) fn gandi(&self) -> testbed::sim::Control {
        self.testbed.gandi()
    }

    /// Requests so far.
    pub(super) fn counts(&self) -> Counts {
        let gandi = self.testbed.gandi().requests();
        // The token service is another host, and is asked beside the rest.
        let gandi = gandi.iter().filter(|request| request.path != "/tokeninfo").count();
        Counts { acme: self.testbed.pebble().requests().len(), gandi }
    }
}

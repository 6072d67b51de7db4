//! Knot: a real authoritative name server that takes dynamic updates, and whose zones can be written by others too.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Process, at_free_ports};
use crate::{Error, io};

const INSTALL: &str = "on Debian: apt-get install knot";

/// How long it may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keys that may change TXT records: name, algorithm, and secret (base64).
pub const KEYS: [(&str, &str, &str); 3] = [
    ("livecert", "hmac-sha256", "bGl2ZWNlcnQgbWF5IGNoYW5nZSBUWFQgcmVjb3JkcyE="),
    (
        "livecert-384",
        "hmac-sha384",
        "TG9uZ2VyIHNlY3JldHMgYXJlIGZvciBsb25nZXIgZGlnZXN0cywgYXMgUkZDIDg5NDUgd2lzaGVz",
    ),
    (
        "livecert-512",
        "hmac-sha512",
        "VGhlIGxvbmdlc3Qgb2YgdGhlIHRocmVlIGtleXMgZ29lcyB3aXRoIHRoZSBsb25nZXN0IG9mIGRpZ2VzdHMh",
    ),
];
/// A key that it knows, and that may change nothing.
pub const POWERLESS: (&str, &str, &str) =
    ("stranger", "hmac-sha256", "VGhpcyBrZXkgaXMga25vd24sIGFuZCBtYXkgbm90aGk=");

/// A running Knot; it is ended when this is dropped, and its zones go.
#[derive(Debug)]
pub struct Knot {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Knot {
    /// Starts it with these zones. A zone below another one is delegated to it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(zones: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("livecert-knot-").tempdir().map_err(io("a folder"))?;
        for zone in zones {
            let below = zones.iter().filter_map(|other| other.strip_suffix(&format!(".{zone}")));
            let delegations = below.map(|label| format!("{label} NS ns1.{label}\nns1.{label} A 127.0.0.1\n"));
            let text = format!(
                "$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n\
                 @ A 127.0.0.1\n{}",
                delegations.collect::<String>()
            );
            std::fs::write(folder.path().join(format!("{zone}.zone")), text).map_err(io("a zone file"))?;
        }
        let (process, address) = at_free_ports(|[address]| {
            let path = folder.path().join("knot.conf");
            std::fs::write(&path, configuration(folder.path(), address, zones)).map_err(io("Knot's file"))?;
            let mut command = program("knotd");
            command.arg("-c").arg(path);
            Ok((Process::start(command, INSTALL, address)?, address))
        })?;
        let knot = Knot { process, address, folder };
        knot.until_it_listens()?;
        Ok(knot)
    }

    /// It answers questions a moment before it listens on its socket.
    fn until_it_listens(&self) -> Result<(), Error> {
        let begun = Instant::now();
        while let Err(error) = UnixStream::connect(self.control()) {
            if begun.elapsed() > PATIENCE {
                return Err(Error::Silent { program: "knotd".to_owned(), said: error.to_string() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket on which `knotc` talks to it.
    pub fn control(&self) -> PathBuf {
        self.folder.path().join("knot.sock")
    }

    /// The TXT rrset at a name: TTL, and values without quotes, in their order there.
    pub fn txt(&self, zone: &str, fqdn: &str) -> Option<(u32, Vec<String>)> {
        let output = self.knotc(&["zone-read", zone, &format!("{fqdn}."), "TXT"]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // [example.com.] _acme-challenge.example.com. 60 TXT "value"
        let line = |line: &str| {
            let (head, value) = line.split_once(" TXT ")?;
            let ttl = head.rsplit(' ').next()?.parse::<u32>().ok()?;
            Some((ttl, value.trim().trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\")))
        };
        let records: Vec<_> = text.lines().filter_map(line).collect();
        let ttl = records.first()?.0;
        Some((ttl, records.into_iter().map(|(_, value)| value).collect()))
    }

    /// Somebody else adds a TXT value, or another record.
    ///
    /// # Errors
    /// Knot does not take it.
    pub fn put(&self, zone: &str, fqdn: &str, ttl: u32, kind: &str, value: &str) -> Result<(), Error> {
        let (name, ttl) = (format!("{fqdn}."), ttl.to_string());
        for words in [
            ["zone-begin", zone].as_slice(),
            &["zone-set", zone, &name, &ttl, kind, value],
            &["zone-commit", zone],
        ] {
            let output = self.knotc(words).output().map_err(io("running knotc"))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Error::Silent { program: "knotc".to_owned(), said });
            }
        }
        Ok(())
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    fn knotc(&self, words: &[&str]) -> Command {
        let mut command = program("knotc");
        command.arg("-s").arg(self.control()).args(words);
        command
    }
}

/// Debian keeps it where not everybody looks.
fn program(name: &str) -> Command {
    let system = Path::new("/usr/sbin").join(name);
    Command::new(if system.is_file() { system } else { PathBuf::from(name) })
}

fn configuration(folder: &Path, address: SocketAddr, zones: &[&str]) -> String {
    let folder = folder.display();
    let key = |(name, algorithm, secret): &(&str, &str, &str)| {
        format!("  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n")
    };
    let keys: String = KEYS.iter().chain([&POWERLESS]).map(key).collect();
    let names: Vec<&str> = KEYS.iter().map(|(name, ..)| *name).collect();
    let zones: String = zones.iter().map(|zone| format!("  - domain: {zone}\n")).collect();
    format!(
        "server:
    rundir: \"{folder}\"
    listen: {}@{}
log:
  - target: stderr
    any: info
key:
{keys}acl:
  - id: livecert
    key: [{}]
    action: update
    update-type: TXT
database:
    storage: \"{folder}\"
template:
  - id: default
    storage: \"{folder}\"
    file: \"%s.zone\"
    semantic-checks: off
    acl: livecert
zone:
{zones}",
        address.ip(),
        address.port(),
        names.join(", "),
    )
}

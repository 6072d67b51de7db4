//! A network of one's own, for servers that want the ports 53, 80 and 443: Linux gives a process one, and nothing outside
//! is touched or seen.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::{Error, io};

/// Set in the program that runs inside.
const MARK: &str = "LIVECERT_TESTBED_ALONE";
const NEEDED: &str = "Linux with unshare, mount (util-linux) and ip (iproute2), and namespaces allowed";

/// Temporary files are in memory: a server that writes each of its steps to a disk is as slow as that disk.
const SET_UP: &str = "ip link set lo up && mount --bind \"$0\" /etc/resolv.conf \
    && mount -t tmpfs livecert \"$1\" && shift && exec \"$@\"";
const SET_UP_ON_DISK: &str =
    "ip link set lo up && mount --bind \"$0\" /etc/resolv.conf && shift && exec \"$@\"";

/// On which side of the wall this program is.
#[derive(Debug)]
pub enum Alone {
    /// Inside: there is loopback, and the system's resolver is 127.0.0.1 port 53.
    Inside,
    /// Outside: the program ran inside, and this is how it ended.
    Ended(Output),
}

/// Runs this program again with these words in a network of its own, and waits for its end; inside, says so.
///
/// # Errors
/// The system gives no such network.
pub fn alone(words: &[&str]) -> Result<Alone, Error> {
    alone_with(words, &[])
}

/// The same with these variables in the environment.
///
/// # Errors
/// The system gives no such network.
pub fn alone_with(words: &[&str], environment: &[(&str, &str)]) -> Result<Alone, Error> {
    run(words, environment, SET_UP, Stdio::piped)
}

/// Like [`alone`], with temporary files where they always are, and all that is said inside seen at once.
///
/// # Errors
/// The system gives no such network.
pub fn alone_on_disk(words: &[&str]) -> Result<Alone, Error> {
    run(words, &[], SET_UP_ON_DISK, Stdio::inherit)
}

/// Whether this program is inside.
pub fn is_alone() -> bool {
    std::env::var_os(MARK).is_some()
}

fn run(
    words: &[&str],
    environment: &[(&str, &str)],
    set_up: &str,
    said: fn() -> Stdio,
) -> Result<Alone, Error> {
    if is_alone() {
        return Ok(Alone::Inside);
    }
    let mut resolver = tempfile::NamedTempFile::new().map_err(io("a file for the resolver's address"))?;
    resolver.write_all(b"nameserver 127.0.0.1\n").map_err(io("a file for the resolver's address"))?;
    let folder = tempfile::Builder::new().prefix("livecert-alone-").tempdir().map_err(io("a folder"))?;
    let program = std::env::current_exe().map_err(io("finding this program"))?;
    let mut command = Command::new("unshare");
    command.args(namespaces()?);
    command.args(["sh", "-c", set_up]).arg(resolver.path()).arg(folder.path()).arg(program).args(words);
    command.env(MARK, "1").env("TMPDIR", folder.path()).envs(environment.iter().copied());
    // `ip` is no program of plain users, but inside they are root.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command.stdin(Stdio::null()).stdout(said()).stderr(said());
    Ok(Alone::Ended(command.output().map_err(needed)?))
}

/// Root makes the namespaces as it is; anybody else, and a root without rights, becomes root of a user namespace first.
fn namespaces() -> Result<&'static [&'static str], Error> {
    // With a process namespace too: nothing that was started inside outlives the program.
    let kinds: [&'static [&'static str]; 2] = [
        &["--net", "--mount", "--pid", "--fork", "--kill-child"],
        &["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"],
    ];
    let mut said = String::new();
    for words in kinds {
        let tried = Command::new("unshare").args(words).arg("true").output().map_err(needed)?;
        if tried.status.success() {
            return Ok(words);
        }
        said = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
    }
    Err(Error::Silent { program: "unshare".to_owned(), said: format!("{said} (needed: {NEEDED})") })
}

fn needed(source: std::io::Error) -> Error {
    Error::Program { program: "unshare".to_owned(), hint: NEEDED, source }
}

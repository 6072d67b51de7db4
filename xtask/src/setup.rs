//! What the tasks need on the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, say};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Sees to it that Pebble is there: installs Debian's package where that is possible, else says what to do.
pub(crate) fn pebble() -> Result<(), Failure> {
    programs(&["pebble"])
}

/// Sees to it that programs are there, which Debian has in packages of the same name.
pub(crate) fn programs(names: &[&str]) -> Result<(), Failure> {
    programs_of(&names.iter().map(|&name| (name, name)).collect::<Vec<_>>())
}

/// Sees to it that programs are there, by their names in PATH or by their paths, each with Debian's package that it is in.
pub(crate) fn programs_of(all: &[(&str, &str)]) -> Result<(), Failure> {
    let missing: Vec<_> = all.iter().copied().filter(|(program, _)| !found(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    install(&packages)?;
    match missing.iter().find(|(program, _)| !found(program)) {
        None => Ok(()),
        Some((program, package)) => {
            Err(format!("apt-get has installed '{package}', but '{program}' cannot be found").into())
        }
    }
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    let list = packages.join(", ");
    if !found("apt-get") {
        return Err(format!("missing: {list}. Install them so that they are in PATH, and try again").into());
    }
    say(&format!("Installing Debian's packages, for tests on this machine only: {list} …"));
    let elevate: &[&str] = if is_root()? { &[] } else { &["sudo"] };
    // The lists may be old or missing; that an update fails is told by the installation.
    let _ = apt(elevate, &["update", "-qq"]);
    apt(elevate, &[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

fn apt(elevate: &[&str], words: &[&str]) -> Result<(), Failure> {
    let all: Vec<&str> = elevate.iter().copied().chain(["apt-get"]).chain(words.iter().copied()).collect();
    let status = Command::new(all[0]).args(&all[1..]).env("DEBIAN_FRONTEND", "noninteractive").status()?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: run it by hand", all.join(" ")).into()) }
}

pub(crate) fn found(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps programs for the system apart, and does not name that folder to all.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&paths).chain(system).any(|folder| folder.join(program).is_file())
}

fn is_root() -> Result<bool, Failure> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(id.stdout.trim_ascii() == b"0")
}

/// Everything that the tests need beside Rust: `cargo xtask setup`.
pub(crate) fn run() -> Result<(), Failure> {
    // The CA, and the ACME clients that have livecert as their hook.
    programs(&["pebble", "certbot", "lego"])?;
    // What the commands in the documents are tried with.
    programs(&["curl"])?;
    // Debian's own, whatever else is in PATH: what is installed for it is of no use to another one.
    programs_of(&[("/usr/bin/python3", "python3")])?;
    // Readers of PFX files.
    programs_of(&[("openssl", "openssl"), ("keytool", "default-jre-headless")])?;
    // The server that a deploy hook reloads.
    programs(&["nginx"])?;
    // The browser that reads the page of `livecert status --html`.
    programs(&["chromium"])?;
    // Shells that complete livecert's words.
    programs(&["fish", "zsh"])?;
    // Networks of their own for tests of DNS, and of servers that ask at port 53.
    programs_of(&[("unshare", "util-linux"), ("ip", "iproute2"), ("nft", "nftables")])?;
    // Kills the store's writer before each of its system calls, or lets one fail.
    programs(&["strace"])?;
    // Looks at livecert.toml with the schema that is made for editors.
    programs_of(&[("/usr/bin/jsonschema", "python3-jsonschema")])?;
    // A real keyring, on a message bus of its own.
    programs_of(&[
        ("dbus-daemon", "dbus-daemon"),
        ("dbus-send", "dbus-bin"),
        ("gnome-keyring-daemon", "gnome-keyring"),
        ("secret-tool", "libsecret-tools"),
    ])?;
    // Looks at the units that the timer is made of; it need not run.
    programs_of(&[("systemd-analyze", "systemd")])?;
    // A name server that takes dynamic updates.
    programs_of(&[("knotd", "knot"), ("knotc", "knot")])?;
    python_servers()
}

/// The ACME servers that are Python packages.
fn python_servers() -> Result<(), Failure> {
    python_environment(
        "interop-venv",
        "xtask/interop-requirements.txt",
        "ACME servers: Caddy, acme2certifier",
    )
}

/// Python packages in an environment of their own below the target folder. What is there already, with the same versions,
/// is left as it is.
pub(crate) fn python_environment(folder: &str, requirements: &str, what: &str) -> Result<(), Failure> {
    let environment = target().join(folder);
    let requirements = root().join(requirements);
    let wanted = std::fs::read_to_string(&requirements)?;
    // Written last, so that it says what is complete.
    let stamp = environment.join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    say(&format!("Installing below the target folder: {what} …"));
    if environment.exists() {
        std::fs::remove_dir_all(&environment)?;
    }
    let mut python = "python3";
    if !succeeds(Command::new(python).args(["-c", "import ensurepip, venv"])) {
        if !found("apt-get") {
            return Err("missing: Python 3 with its modules venv and ensurepip".into());
        }
        install(&["python3-venv"])?;
        // It is for Debian's own, which need not be the first in PATH.
        python = "/usr/bin/python3";
    }
    let mut commands = [Command::new(python), Command::new(environment.join("bin/pip"))];
    commands[0].args(["-m", "venv"]).arg(&environment);
    commands[1].args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
    commands[1].arg(&requirements);
    for mut command in commands {
        if !command.status()?.success() {
            return Err(format!("{command:?} failed: run it by hand").into());
        }
    }
    Ok(std::fs::write(stamp, wanted)?)
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Builds with cargo, and gives the folder of the programs.
pub(crate) fn build(words: &[&str]) -> Result<PathBuf, Failure> {
    cargo(&[&["build", "--locked"], words].concat())?;
    Ok(target().join(if words.contains(&"--release") { "release" } else { "debug" }))
}

/// The cargo that runs this.
pub(crate) fn cargo_command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs cargo in the workspace.
pub(crate) fn cargo(words: &[&str]) -> Result<(), Failure> {
    let status = cargo_command().args(words).current_dir(root()).status()?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` failed", words.join(" ")).into()) }
}

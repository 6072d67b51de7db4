//! A real keyring: GNOME Keyring on a message bus of its own, unlocked, and filled by `secret-tool`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, io};

const HINT: &str = "Debian has it in the packages dbus-daemon, dbus-bin, gnome-keyring and libsecret-tools";
/// How long it may take until the keyring is on the bus.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The keyring; it is ended when this is dropped.
#[derive(Debug)]
pub struct Keyring {
    // Dropped first: without its bus, the daemon would end with complaints.
    _daemon: Ended,
    _bus: Ended,
    address: String,
}

#[derive(Debug)]
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Keyring {
    /// Starts it, with its files in `folder`.
    ///
    /// # Errors
    /// A program is not installed, or the keyring does not come up.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let home = folder.join("keyring");
        std::fs::create_dir_all(&home).map_err(io("a folder for the keyring"))?;
        let (bus, address) = bus(&home)?;
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--components=secrets", "--unlock"]);
        daemon.env("HOME", &home).env("XDG_DATA_HOME", &home).env("XDG_RUNTIME_DIR", &home);
        daemon.env("DBUS_SESSION_BUS_ADDRESS", &address).env_remove("DISPLAY");
        daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Ended(daemon.spawn().map_err(program("gnome-keyring-daemon"))?);
        if let Some(mut input) = daemon.0.stdin.take() {
            input.write_all(b"password of the keyring").map_err(io("unlocking the keyring"))?;
        }
        let keyring = Keyring { _daemon: daemon, _bus: bus, address };
        keyring.wait()?;
        Ok(keyring)
    }

    /// What `DBUS_SESSION_BUS_ADDRESS` has to be.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn wait(&self) -> Result<(), Error> {
        let begun = Instant::now();
        while self.secret_tool(&["search", "service", "nothing"], b"")?.0 != Some(0) {
            if begun.elapsed() > START_LIMIT {
                let said = "it is not on the bus".to_owned();
                return Err(Error::Silent { program: "gnome-keyring-daemon".to_owned(), said });
            }
        }
        Ok(())
    }

    /// Stores a secret as a person would.
    ///
    /// # Errors
    /// It is not stored.
    pub fn store(&self, service: &str, user: &str, secret: &str) -> Result<(), Error> {
        let words = ["store", "--label=a test", "service", service, "username", user];
        match self.secret_tool(&words, secret.as_bytes())? {
            (Some(0), _) => Ok(()),
            (_, said) => Err(Error::Silent { program: "secret-tool".to_owned(), said }),
        }
    }

    /// What the keyring has; nothing if it has nothing.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn lookup(&self, service: &str, user: &str) -> Result<Option<String>, Error> {
        let (status, said) = self.secret_tool(&["lookup", "service", service, "username", user], b"")?;
        Ok((status == Some(0)).then_some(said))
    }

    /// Locks it, as the end of a session does.
    ///
    /// # Errors
    /// It is not locked.
    pub fn lock(&self) -> Result<(), Error> {
        // Not by `secret-tool lock`: Debian 12's locks it, and then crashes.
        let mut command = Command::new("dbus-send");
        command.args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
            "/org/freedesktop/secrets",
        ]);
        command.arg("org.freedesktop.Secret.Service.Lock");
        command.arg("array:objpath:/org/freedesktop/secrets/collection/login");
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        let output = command.output().map_err(program("dbus-send"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let failed = Error::Silent { program: "dbus-send".to_owned(), said };
        output.status.success().then_some(()).ok_or(failed)
    }

    fn secret_tool(&self, words: &[&str], input: &[u8]) -> Result<(Option<i32>, String), Error> {
        let mut command = Command::new("secret-tool");
        command.args(words).env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = command.spawn().map_err(program("secret-tool"))?;
        if let Some(mut stdin) = running.stdin.take() {
            // One that reads nothing may have ended already.
            let _ = stdin.write_all(input);
        }
        let output = running.wait_with_output().map_err(io("running secret-tool"))?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// A message bus that starts no services by itself, and its address.
fn bus(home: &Path) -> Result<(Ended, String), Error> {
    let configuration: PathBuf = home.join("bus.conf");
    let text = format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        home.display()
    );
    std::fs::write(&configuration, text).map_err(io("the bus's configuration"))?;
    let mut command = Command::new("dbus-daemon");
    command.arg("--nofork").arg("--print-address").arg("--config-file").arg(&configuration);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut bus = Ended(command.spawn().map_err(program("dbus-daemon"))?);
    let mut address = String::new();
    if let Some(output) = bus.0.stdout.take() {
        BufReader::new(output).read_line(&mut address).map_err(io("the address of the bus"))?;
    }
    let address = address.trim().to_owned();
    if address.is_empty() {
        return Err(Error::Silent { program: "dbus-daemon".to_owned(), said: address });
    }
    Ok((bus, address))
}

fn program(program: &str) -> impl FnOnce(std::io::Error) -> Error {
    let program = program.to_owned();
    move |source| Error::Program { program, hint: HINT, source }
}

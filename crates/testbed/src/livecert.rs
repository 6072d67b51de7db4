//! The command `livecert`, as a user runs it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::{Error, io};

/// A way to run the command with one state folder and one trusted root. The environment holds nothing else that the
/// command looks at.
#[derive(Debug, Clone)]
pub struct Livecert {
    binary: PathBuf,
    home: PathBuf,
    ca: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Livecert {
    pub(crate) fn new(binary: &Path, home: &Path, ca: &Path) -> Self {
        Livecert {
            binary: binary.to_owned(),
            home: home.to_owned(),
            ca: ca.to_owned(),
            environment: Vec::new(),
        }
    }

    /// With another state folder.
    #[must_use]
    pub fn at(mut self, home: &Path) -> Self {
        home.clone_into(&mut self.home);
        self
    }

    /// With another trusted root.
    #[must_use]
    pub fn trusting(mut self, ca: &Path) -> Self {
        ca.clone_into(&mut self.ca);
        self
    }

    /// With this variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// The command, ready to be changed or started; nobody is at its terminal.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).env_clear().env("LIVECERT_HOME", &self.home).env("LIVECERT_CA_BUNDLE", &self.ca);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TZ", "UTC").env("RUST_BACKTRACE", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Outcome, Error> {
        Ok(self.command(words).output().map_err(io("running livecert"))?.into())
    }

    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Child, Error> {
        self.command(words).spawn().map_err(io("running livecert"))
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

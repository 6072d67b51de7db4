//! The process that lives as long as the soak: the library in one program, which renews in rounds.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use livecert::certificate::{CertificateError, RenewRequest, Renewal, RenewalResult, Service};
use livecert::plugin::Surroundings;
use livecert::progress::Silent;
use livecert::secret::Nobody;
use livecert::store::Store;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Failure, say};

/// Most of the time of a bad day is spent waiting.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(32).unwrap();

#[derive(Debug, clap::Args)]
pub(crate) struct Words {
    home: PathBuf,
    ca_bundle: PathBuf,
}

/// The inside of the process: a round for each line that comes in, and a report of it as a line.
pub(crate) fn run(words: &Words) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let http = livecert::network::http_client(Some(&words.ca_bundle))?;
    let store = Store::open(&words.home)?;
    let surroundings = Surroundings { http, prompter: Arc::new(Nobody), locks: store.locks(), state: None };
    let service = Service::new(store, surroundings, Arc::new(Silent), CancellationToken::new())?;
    let request = RenewRequest { parallel: SIDE_BY_SIDE, ..RenewRequest::default() };
    for line in std::io::stdin().lock().lines() {
        line?;
        let report = match runtime.block_on(service.renew(&request)) {
            Ok(renewals) => json!({"certificates": renewals.iter().map(document).collect::<Vec<_>>()}),
            Err(error) => json!({"error": problem(&error)}),
        };
        say(&report.to_string());
    }
    Ok(())
}

fn document(renewal: &Renewal) -> Value {
    let name = renewal.cert.as_str();
    match &renewal.result {
        RenewalResult::NotDue(_) => json!({"name": name, "result": "not-due"}),
        RenewalResult::Renewed(_) => json!({"name": name, "result": "renewed"}),
        RenewalResult::Failed(error) => json!({"name": name, "result": "failed", "error": problem(error)}),
        _ => json!({"name": name, "result": "else"}),
    }
}

fn problem(error: &CertificateError) -> Value {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    json!({"kind": error.kind(), "message": text})
}

/// The process, from outside.
#[derive(Debug)]
pub(super) struct LongLived {
    child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
    said: PathBuf,
}

/// What the process has of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Resident memory, in KiB.
    pub(super) memory: u64,
    /// Open files.
    pub(super) files: usize,
}

impl LongLived {
    pub(super) fn start(home: &Path, ca_bundle: &Path, said: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("soak-service")
            .args([home, ca_bundle])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(said)?)
            .spawn()?;
        let (ask, told) = (child.stdin.take(), child.stdout.take());
        let ask = ask.ok_or("the long-lived process has no input")?;
        let told = BufReader::new(told.ok_or("the long-lived process has no output")?);
        Ok(LongLived { child, ask, told, said: said.to_owned() })
    }

    /// Lets it renew what is due, and gives its report.
    pub(super) fn round(&mut self) -> Result<String, Failure> {
        writeln!(self.ask)?;
        let mut line = String::new();
        if self.told.read_line(&mut line)? == 0 {
            return Err(format!("the long-lived process has ended: {}", self.words()).into());
        }
        Ok(line)
    }

    /// What it said to people.
    pub(super) fn words(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub(super) fn sample(&self) -> Result<Sample, Failure> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(folder.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = line.map(|line| line.trim().trim_end_matches(" kB").parse()).transpose()?;
        Ok(Sample {
            memory: memory.unwrap_or_default(),
            files: std::fs::read_dir(folder.join("fd"))?.count(),
        })
    }
}

impl Drop for LongLived {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

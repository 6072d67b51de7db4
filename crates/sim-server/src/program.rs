//! What the programs around the simulators have in common: the words of their command lines, and their end.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

use crate::pki::{TestCa, TlsIdentity};

/// The words that both programs take.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// Where the server listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where the control endpoint listens (plain HTTP)
    #[arg(long, value_name = "ADDR:PORT")]
    pub control: Option<SocketAddr>,
    /// The certificate that the server shows (PEM); made afresh if none is given
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where the certificate of the CA that was made afresh for the server itself is written
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    pub ca_out: Option<PathBuf>,
    /// A file that gets a JSON line for each request
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// A JSON file with the switches (see README.md)
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
}

impl ServerArgs {
    /// The identity that was given, or a fresh one for `localhost` and `names`, whose CA is written to `--ca-out`.
    ///
    /// # Errors
    /// A file that cannot be read or written; a name that is none.
    pub fn identity(&self, names: &[&str]) -> Result<TlsIdentity, Box<dyn Error>> {
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            return Ok(TlsIdentity {
                cert_chain_pem: fs::read_to_string(cert).map_err(named(cert))?,
                key_pem: fs::read_to_string(key).map_err(named(key))?,
            });
        }
        let ca = TestCa::new("simulator test CA")?;
        if let Some(path) = &self.ca_out {
            fs::write(path, ca.pem()).map_err(named(path))?;
        }
        Ok(ca.issue(&[&["localhost", "127.0.0.1", "::1"], names].concat())?)
    }

    /// The switches of `--behaviour`, or those that are usual.
    ///
    /// # Errors
    /// A file that cannot be read, or does not hold switches.
    pub fn behaviour<B: DeserializeOwned + Default>(&self) -> Result<B, Box<dyn Error>> {
        let Some(path) = &self.behaviour else { return Ok(B::default()) };
        let text = fs::read(path).map_err(named(path))?;
        Ok(serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }
}

/// The error with the file that it is about.
fn named(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// The system gives no signals.
pub async fn until_stopped() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        done = tokio::signal::ctrl_c() => done,
    }
}

/// The status that a program ends with; an error is shown with its causes.
#[expect(clippy::print_stderr, reason = "a program's message to the person who called it")]
pub fn end(result: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}

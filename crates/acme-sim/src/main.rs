//! `acme-sim`: the server as a program, for tests of any ACME client.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use acme_sim::{AcmeSim, Config, Targets};
use clap::Parser;
use serde_json::json;
use sim_server::pki::{TestCa, TlsIdentity};

/// A strict ACME server for tests, with switches for what other test servers cannot show.
///
/// Prints one line of JSON with its addresses when it is ready, and runs until SIGINT or SIGTERM. All it knows is in
/// memory; nobody trusts its certificates.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:
  acme-sim --dns 127.0.0.1:5353 --http 127.0.0.1:5002 --ca-out ca.pem --control 127.0.0.1:0 --log requests.jsonl"
)]
struct Words {
    /// The CA's name, in the subjects of its certificates
    #[arg(long, default_value = "acme-sim")]
    name: String,
    /// How many roots it has; each one after the first is an alternate chain
    #[arg(long, default_value_t = 2)]
    roots: u8,
    /// Where the server listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The DNS server that is asked for TXT records
    #[arg(long, value_name = "ADDR:PORT")]
    dns: Option<SocketAddr>,
    /// Where http-01 is looked for, whatever the name
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// Where tls-alpn-01 is looked for, whatever the name
    #[arg(long, value_name = "ADDR:PORT")]
    tls: Option<SocketAddr>,
    /// An external account and its key (base64url); repeatable
    #[arg(long, value_name = "KID=KEY", value_parser = external_account)]
    external_account: Vec<(String, String)>,
    /// Where the control endpoint listens (plain HTTP)
    #[arg(long, value_name = "ADDR:PORT")]
    control: Option<SocketAddr>,
    /// The certificate that the server shows (PEM); made afresh if none is given
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where the certificate of the CA that was made afresh for the server itself is written
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    ca_out: Option<PathBuf>,
    /// Where the roots of the certificates it issues are written
    #[arg(long, value_name = "FILE")]
    roots_out: Option<PathBuf>,
    /// A file that gets a JSON line for each request
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// A JSON file with the switches (see README.md)
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
}

fn external_account(text: &str) -> Result<(String, String), String> {
    let (kid, key) = text.split_once('=').ok_or("it is not KID=KEY")?;
    Ok((kid.to_owned(), key.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Words::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show_error(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a program's message to the person who called it")]
fn show_error(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}

#[expect(clippy::print_stdout, reason = "the line of addresses is this program's result")]
async fn run(words: Words) -> Result<(), Box<dyn std::error::Error>> {
    let tls = identity(&words)?;
    let behaviour = match &words.behaviour {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => acme_sim::Behaviour::default(),
    };
    let server = AcmeSim::start(Config {
        name: words.name,
        roots: words.roots,
        behaviour,
        external_accounts: words.external_account.into_iter().collect(),
        targets: Targets { dns: words.dns, http: words.http, tls: words.tls },
        listen: words.listen,
        control_listen: words.control,
        tls,
        request_log: words.log,
    })
    .await?;
    if let Some(path) = &words.roots_out {
        std::fs::write(path, server.roots().concat())?;
    }
    println!(
        "{}",
        json!({"directory": server.directory(), "control": server.control_url(), "ca": words.ca_out})
    );
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        done = tokio::signal::ctrl_c() => Ok(done?),
    }
}

fn identity(words: &Words) -> Result<TlsIdentity, Box<dyn std::error::Error>> {
    if let (Some(cert), Some(key)) = (&words.tls_cert, &words.tls_key) {
        let (cert_chain_pem, key_pem) = (std::fs::read_to_string(cert)?, std::fs::read_to_string(key)?);
        return Ok(TlsIdentity { cert_chain_pem, key_pem });
    }
    let ca = TestCa::new("acme-sim test CA")?;
    if let Some(path) = &words.ca_out {
        std::fs::write(path, ca.pem())?;
    }
    Ok(ca.issue(&["localhost", "127.0.0.1", "::1"])?)
}

//! `livedns-sim`: the simulator as a program, for tests of any Gandi tool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use livedns_sim::pki::{TestCa, TlsIdentity};
use livedns_sim::{ApiKeyConfig, Config, Simulator, TokenConfig, ZoneConfig};
use serde_json::json;

/// Simulates Gandi's LiveDNS: the HTTPS API and authoritative DNS over the same zones.
///
/// Prints one line of JSON with its addresses when it is ready, and runs until SIGINT or SIGTERM. The tokens are
/// simulated ones; never give it real ones.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:
  livedns-sim --zone example.com --pat test-token --ca-out ca.pem --control 127.0.0.1:0 --log requests.jsonl"
)]
struct Words {
    /// A zone; repeatable
    #[arg(long, value_name = "NAME", required = true)]
    zone: Vec<String>,
    /// A personal access token, for all domains or for those named; repeatable
    #[arg(long, value_name = "TOKEN[=DOMAIN,…]")]
    pat: Vec<String>,
    /// A legacy API key; repeatable
    #[arg(long, value_name = "KEY")]
    api_key: Vec<String>,
    /// Where the API listens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where a name server listens (UDP and TCP); repeatable
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    dns: Vec<SocketAddr>,
    /// Where the control endpoint listens (plain HTTP)
    #[arg(long, value_name = "ADDR:PORT")]
    control: Option<SocketAddr>,
    /// The certificate that the API shows (PEM); made afresh if none is given
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where the certificate of the CA that was made afresh is written
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert")]
    ca_out: Option<PathBuf>,
    /// A file that gets a JSON line for each request
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// A JSON file with the switches (see README.md)
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
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
        None => livedns_sim::Behaviour::default(),
    };
    let simulator = Simulator::start(Config {
        zones: words.zone.iter().map(|name| ZoneConfig::new(name)).collect(),
        tokens: words.pat.iter().map(|text| token(text)).collect(),
        api_keys: words.api_key.into_iter().map(|key| ApiKeyConfig { key }).collect(),
        behaviour,
        api_listen: words.listen,
        dns_listen: words.dns,
        control_listen: words.control,
        tls,
        request_log: words.log,
    })
    .await?;
    println!(
        "{}",
        json!({
            "api": simulator.api_base_url(),
            "dns": simulator.dns_addrs(),
            "control": simulator.control_url(),
            "ca": words.ca_out,
        })
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
    let ca = TestCa::new("livedns-sim test CA")?;
    if let Some(path) = &words.ca_out {
        std::fs::write(path, ca.pem())?;
    }
    Ok(ca.issue(&["localhost", "127.0.0.1", "::1", "api.gandi.net", "id.gandi.net"])?)
}

fn token(text: &str) -> TokenConfig {
    let (token, domains) = text.split_once('=').unwrap_or((text, ""));
    let mut config = TokenConfig::new(token);
    config.domains = domains.split(',').filter(|domain| !domain.is_empty()).map(str::to_owned).collect();
    config
}

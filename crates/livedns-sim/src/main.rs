//! `livedns-sim`: the simulator as a program, for tests of any Gandi tool.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use livedns_sim::{ApiKeyConfig, Config, Simulator, TokenConfig, ZoneConfig};
use serde_json::json;
use sim_server::program::{ServerArgs, end, until_stopped};

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
    /// Where a name server listens (UDP and TCP); repeatable
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    dns: Vec<SocketAddr>,
    #[command(flatten)]
    server: ServerArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(Words::parse()).await)
}

#[expect(clippy::print_stdout, reason = "the line of addresses is this program's result")]
async fn run(words: Words) -> Result<(), Box<dyn std::error::Error>> {
    let tls = words.server.identity(&["api.gandi.net", "id.gandi.net"])?;
    let simulator = Simulator::start(Config {
        zones: words.zone.iter().map(|name| ZoneConfig::new(name)).collect(),
        tokens: words.pat.iter().map(|text| token(text)).collect(),
        api_keys: words.api_key.into_iter().map(|key| ApiKeyConfig { key }).collect(),
        behaviour: words.server.behaviour()?,
        api_listen: words.server.listen,
        dns_listen: words.dns,
        control_listen: words.server.control,
        tls,
        request_log: words.server.log,
    })
    .await?;
    println!(
        "{}",
        json!({
            "api": simulator.api_base_url(),
            "dns": simulator.dns_addrs(),
            "control": simulator.control_url(),
            "ca": words.server.ca_out,
        })
    );
    Ok(until_stopped().await?)
}

fn token(text: &str) -> TokenConfig {
    let (token, domains) = text.split_once('=').unwrap_or((text, ""));
    let mut config = TokenConfig::new(token);
    config.domains = domains.split(',').filter(|domain| !domain.is_empty()).map(str::to_owned).collect();
    config
}

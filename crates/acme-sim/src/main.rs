//! `acme-sim`: the server as a program, for tests of any ACME client.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use acme_sim::{AcmeSim, Config, Targets};
use clap::Parser;
use serde_json::json;
use sim_server::program::{ServerArgs, end, until_stopped};

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
    /// Where the roots of the certificates it issues are written
    #[arg(long, value_name = "FILE")]
    roots_out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

fn external_account(text: &str) -> Result<(String, String), String> {
    let (kid, key) = text.split_once('=').ok_or("it is not KID=KEY")?;
    Ok((kid.to_owned(), key.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(Words::parse()).await)
}

#[expect(clippy::print_stdout, reason = "the line of addresses is this program's result")]
async fn run(words: Words) -> Result<(), Box<dyn std::error::Error>> {
    let tls = words.server.identity(&[])?;
    let server = AcmeSim::start(Config {
        name: words.name,
        roots: words.roots,
        behaviour: words.server.behaviour()?,
        external_accounts: words.external_account.into_iter().collect(),
        targets: Targets { dns: words.dns, http: words.http, tls: words.tls },
        listen: words.server.listen,
        control_listen: words.server.control,
        tls,
        request_log: words.server.log,
    })
    .await?;
    if let Some(path) = &words.roots_out {
        std::fs::write(path, server.roots().concat())?;
    }
    println!(
        "{}",
        json!({"directory": server.directory(), "control": server.control_url(), "ca": words.server.ca_out})
    );
    Ok(until_stopped().await?)
}

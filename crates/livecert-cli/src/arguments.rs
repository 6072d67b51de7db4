//! The words of the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use livecert::dns::ResolverAddress;

use crate::command::Command;

/// Certificates from any ACME server, proved by TXT records that are written through Gandi's API.
#[derive(Debug, Parser)]
#[command(name = "livecert", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// State folder [default: /var/lib/livecert for root, else the user's data folder]
    #[arg(long, global = true, env = "LIVECERT_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// File with defaults and with the certificates that are to be (docs/livecert-toml.md) [default: livecert.toml in the
    /// state folder, if it is there]
    #[arg(long, global = true, env = "LIVECERT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// PEM file with trusted roots, beside the system's
    #[arg(long, global = true, env = "LIVECERT_CA_BUNDLE", value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Where the key is that stored secrets are sealed with: file:PATH, systemd-cred:NAME or keyring:SERVICE/USER; it is
    /// remembered [default: HOME/sealing.key]
    #[arg(long, global = true, env = "LIVECERT_SEALING_KEY", hide_env_values = true, value_name = "SOURCE")]
    pub(crate) sealing_key: Option<String>,
    /// How long another livecert process may work on the same certificate before this one gives up, such as 30s, or 0s for
    /// not at all [default: 15m]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration_or_none)]
    pub(crate) lock_timeout: Option<Duration>,
    /// Ask nobody: what a person has to do is printed, and gone on without an answer
    #[arg(long, global = true)]
    pub(crate) non_interactive: bool,
    /// Print exactly one JSON document on stdout, also on failure
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more (-v: what is done, -vv: every request)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Form of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PropagationMode {
    /// At every address of every name server of the zone
    Authoritative,
    /// At the resolvers alone
    Resolver,
    /// At the name servers, then at the resolvers
    Both,
    /// Nowhere: wait a time
    Sleep,
}

impl Propagation {
    /// The request that the words make.
    pub(crate) fn request(self) -> livecert::certificate::PropagationRequest {
        use livecert::challenge::PropagationMode as Mode;
        livecert::certificate::PropagationRequest {
            mode: self.propagation.map(|mode| match mode {
                PropagationMode::Authoritative => Mode::Authoritative,
                PropagationMode::Resolver => Mode::Resolver,
                PropagationMode::Both => Mode::Both,
                PropagationMode::Sleep => Mode::Sleep,
            }),
            sleep: self.dns_sleep,
            grace: self.propagation_grace,
            quorum: self.propagation_quorum,
            resolvers: self.resolver,
            authoritative: self.authoritative,
            limit: self.propagation_timeout,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// An ACME server.
#[derive(Debug, Args)]
pub(crate) struct OneServer {
    /// ACME server [default: the one in use, else LE_PROD]
    #[arg(long, env = "LIVECERT_SERVER", value_name = "CODE|URL")]
    pub(crate) server: Option<String>,
}

/// An account at an ACME server.
#[derive(Debug, Args)]
pub(crate) struct OneAccount {
    /// Account: your name for it, its id or its URL (see `livecert account list`) [default: the one in use]
    #[arg(long, value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = account)]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) server: OneServer,
}

/// A certificate in the store.
#[derive(Debug, Args)]
pub(crate) struct Cert {
    /// Its name in the store (see `livecert list`)
    #[arg(value_name = "CERT")]
    pub(crate) cert: String,
}

/// What a server knows its customer by. Used when the account is made, and not kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExternalAccount {
    /// External account binding: the key's id, from your account at the CA
    #[arg(long, value_name = "ID", requires = "eab_hmac_key", help_heading = "ACME")]
    pub(crate) eab_kid: Option<String>,
    /// External account binding: where the HMAC key is (prompt, env:VAR, file:PATH, cmd:COMMAND, systemd-cred:NAME, keyring:SERVICE/USER)
    #[arg(long, value_name = "SOURCE", requires = "eab_kid", help_heading = "ACME")]
    pub(crate) eab_hmac_key: Option<String>,
    /// External account binding: the algorithm
    #[arg(long, value_name = "ALG", default_value = "HS256", value_parser = ["HS256", "HS384", "HS512"], help_heading = "ACME")]
    pub(crate) eab_alg: String,
}

/// How it is found out that the records are public.
#[derive(Debug, Args)]
#[command(next_help_heading = "DNS")]
pub(crate) struct Propagation {
    /// Where to look whether the records are public [default: authoritative]
    #[arg(long, value_enum, value_name = "MODE", help_heading = "DNS")]
    pub(crate) propagation: Option<PropagationMode>,
    /// Wait this long before the first look, or with `--propagation sleep` instead of it [default: 0s; resolver: 1m;
    /// sleep: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "DNS")]
    pub(crate) dns_sleep: Option<Duration>,
    /// Pass over a name server that has been silent for this long [default: 8s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "DNS")]
    pub(crate) propagation_grace: Option<Duration>,
    /// Pass silent ones over only when this share of the name servers shows the records [default: 50]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100), help_heading = "DNS")]
    pub(crate) propagation_quorum: Option<u8>,
    /// Resolver for all look-ups, also over HTTPS; repeatable [default: the system's]
    #[arg(long, value_name = "ADDR[:PORT]|URL", help_heading = "DNS")]
    pub(crate) resolver: Vec<ResolverAddress>,
    /// Ask this server instead of the zone's own name servers; repeatable (split horizon, tests)
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server, help_heading = "DNS")]
    pub(crate) authoritative: Vec<SocketAddr>,
    /// How long the records may take to be at every name server [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "DNS")]
    pub(crate) propagation_timeout: Option<Duration>,
}

/// Nothing is waited for longer; a slip must not become a wait without an end.
const LONGEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(365 * 24);

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    duration_or_none(text).ok().filter(|duration| !duration.is_zero()).ok_or_else(|| no_duration(text))
}

/// A duration that may be zero.
pub(crate) fn duration_or_none(text: &str) -> Result<Duration, String> {
    // A day is one of 24 hours: nobody asks whether the clocks change meanwhile.
    let span: jiff::Span = text.parse().map_err(|_| no_duration(text))?;
    let parsed =
        span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| no_duration(text))?;
    if parsed > LONGEST {
        return Err(format!("'{text}' is longer than a year"));
    }
    Duration::try_from(parsed).map_err(|_| no_duration(text))
}

fn no_duration(text: &str) -> String {
    format!("'{text}' is not a duration such as 90s, 5m, 1h30m or 2d")
}

/// An account, as the words name it. The ids of some servers begin with a hyphen, so a hyphen does not tell an option from
/// them; but they are long, and made of all kinds of signs.
pub(crate) fn account(text: &str) -> Result<String, String> {
    let is_option = match text.strip_prefix("--") {
        Some(word) => {
            let word = word.split_once('=').map_or(word, |(word, _)| word);
            word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-'))
        }
        None => text.starts_with('-') && text.len() <= "-vvv".len(),
    };
    if is_option { Err("that is an option, and no account".to_owned()) } else { Ok(text.to_owned()) }
}

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip: IpAddr =
        bare.parse().map_err(|_| format!("'{text}' is not an address such as 192.0.2.1 or [::1]:5353"))?;
    Ok(SocketAddr::new(ip, 53))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declarations_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_account_may_begin_with_a_hyphen_and_is_no_option() {
        for there in ["work", "-Zk3hQ_b2", "--9xQe-Zk3hQ_b2tTs", "https://ca.example/acct/-1"] {
            assert_eq!(account(there).as_deref(), Ok(there));
        }
        for option in ["-v", "-vv", "-", "--", "--json", "--accept-tos", "--server=LE_PROD"] {
            assert!(account(option).is_err(), "{option}");
        }
    }

    #[test]
    fn durations_and_servers_are_parsed() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(2 * 86_400)));
        for wrong in ["", "5", "0s", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration_or_none("0s"), Ok(Duration::ZERO));
        assert!(duration_or_none("-1s").is_err());
        assert!(duration("8760h").is_ok());
        for endless in ["8761h", "2000000000000000h"] {
            assert!(duration(endless).is_err() && duration_or_none(endless).is_err(), "{endless}");
        }
        assert_eq!(dns_server("192.0.2.1").unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(dns_server("::1").unwrap().to_string(), "[::1]:53");
        assert_eq!(dns_server("[::1]:5353").unwrap().to_string(), "[::1]:5353");
        assert!(dns_server("localhost").is_err());
    }
}

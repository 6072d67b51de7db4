//! The words of the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use livecert::dns::ResolverAddress;

/// Certificates from any ACME server, proved by TXT records that are written through Gandi's API.
#[derive(Debug, Parser)]
#[command(name = "livecert", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  livecert issue example.com '*.example.com' --plugin gandi \\
      --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat --accept-tos --contact you@example.com
  livecert renew          renew what is due; meant to run daily
  livecert list           what is there, and until when")]
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
    /// PEM file with trusted roots, beside the system's
    #[arg(long, global = true, env = "LIVECERT_CA_BUNDLE", value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get a certificate, or do nothing when the stored one is not due
    Issue(Box<Issue>),
    /// Renew the named certificates, or all that are due
    Renew(Renew),
    /// Look at everything that an issue needs, before there is an order; exit status 1 if it would fail, 4 if something
    /// needs a person soon
    Check(Box<Check>),
    /// Show every ACME request and every change in DNS that an issue would make; changes nothing
    Plan(Box<Issue>),
    /// List the certificates in the store
    List,
    /// Show a certificate
    Show(Cert),
    /// Print the paths of a certificate's files
    Files(Cert),
    /// Write TXT values for another ACME client, or remove what an interrupted run left behind
    #[command(subcommand)]
    Dns(Dns),
    /// The credential of the DNS plugin: how it stands, and a new one before it ends
    #[command(subcommand)]
    Token(Token),
    /// Revoke a certificate of the store, or one in a file
    Revoke(Revoke),
    /// ACME servers: which there are, and what they offer
    #[command(subcommand)]
    Server(ServerWords),
    /// Accounts at ACME servers
    #[command(subcommand)]
    Account(Account),
    /// Authorizations: prove names before there is an order, look at them, give them up
    #[command(subcommand)]
    Authz(Authz),
    /// What challenges want shown
    #[command(subcommand)]
    Challenge(Challenge),
    /// The standing records of dns-persist-01: certificates without a token on the host
    #[command(subcommand)]
    Persist(Persist),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["cert", "cert_file"])))]
pub(crate) struct Revoke {
    /// The certificate's name in the store
    #[arg(value_name = "CERT")]
    pub(crate) cert: Option<String>,
    /// Revoke the certificate in this file (PEM or DER) instead
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Prove the right to do so with the certificate's own private key in this file, without any account
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Why: keyCompromise, affiliationChanged, superseded, cessationOfOperation and others of RFC 5280
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
    /// The server that issued it [default: the one that issued the certificate of the store]
    #[arg(long, value_name = "CODE|URL")]
    pub(crate) server: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServerWords {
    /// The servers that have a short code, and those that were used
    List,
    /// What a server offers
    Show(OneServer),
    /// The certificate profiles of a server
    Profiles(OneServer),
}

/// An ACME server.
#[derive(Debug, Args)]
pub(crate) struct OneServer {
    /// ACME server [default: LE_PROD]
    #[arg(long, env = "LIVECERT_SERVER", value_name = "CODE|URL")]
    pub(crate) server: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// The accounts in the store
    List,
    /// The account at a server, as the server sees it
    Show(OneServer),
    /// Make an account
    New {
        #[command(flatten)]
        server: OneServer,
        /// Accept the server's terms of service
        #[arg(long)]
        accept_tos: bool,
        /// Mail address; repeatable
        #[arg(long, value_name = "MAIL")]
        contact: Vec<String>,
        /// Key type: ec-256, ec-384, ec-521, rsa-2048 to rsa-4096 [default: ec-256]
        #[arg(long, value_name = "TYPE", conflicts_with = "key_file")]
        account_key_type: Option<String>,
        /// Use the private key in this file: PEM (PKCS#8, SEC1, PKCS#1) or JWK
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Only find the account that the key has already
        #[arg(long, requires = "key_file")]
        only_existing: bool,
        #[command(flatten)]
        external: ExternalAccount,
    },
    /// Change the contacts, or accept the server's present terms
    Update {
        #[command(flatten)]
        server: OneServer,
        /// Mail address instead of the old ones; repeatable; "" for none
        #[arg(long, value_name = "MAIL")]
        contact: Vec<String>,
        /// Accept the server's present terms of service
        #[arg(long)]
        accept_tos: bool,
    },
    /// Give the account another key
    Rollover {
        #[command(flatten)]
        server: OneServer,
        /// Type of the new key [default: ec-256]
        #[arg(long, value_name = "TYPE", conflicts_with = "key_file")]
        account_key_type: Option<String>,
        /// Use the private key in this file
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Print the account's private key, PEM
    Export {
        #[command(flatten)]
        server: OneServer,
        /// Write it to this file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// End the account at the server, for good
    Deactivate {
        #[command(flatten)]
        server: OneServer,
        /// Do not ask
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Authz {
    /// Ask for an authorization before there is an order, where the server offers that
    New {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        server: OneServer,
    },
    /// Show authorizations
    List {
        /// Their URLs
        #[arg(value_name = "URL", required = true)]
        urls: Vec<url::Url>,
        #[command(flatten)]
        server: OneServer,
    },
    /// Give authorizations up
    Deactivate {
        /// Their URLs
        #[arg(value_name = "URL", required = true)]
        urls: Vec<url::Url>,
        #[command(flatten)]
        server: OneServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Challenge {
    /// The key authorization for a token
    KeyAuth {
        /// The challenge's token
        #[arg(value_name = "TOKEN")]
        token: String,
        /// As the value of a TXT record
        #[arg(long)]
        dns: bool,
        #[command(flatten)]
        server: OneServer,
    },
    /// The label of an account in the names of dns-account-01
    AccountLabel {
        /// The account's URL [default: the account at the server]
        #[arg(value_name = "URL")]
        account: Option<String>,
        #[command(flatten)]
        server: OneServer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Persist {
    /// Write the standing record of each name, and remove the ones that it replaces
    Publish {
        #[command(flatten)]
        words: PersistWords,
        /// Cover wildcards and the names below too (also for names that are given as '*.NAME')
        #[arg(long)]
        allow_wildcard: bool,
        /// The day on which the records end, such as 2027-06-30
        #[arg(long, value_name = "DAY")]
        until: Option<jiff::civil::Date>,
        /// Accept the server's terms of service (if the account is made now)
        #[arg(long)]
        accept_tos: bool,
        /// Mail address (if the account is made now); repeatable
        #[arg(long, value_name = "MAIL")]
        contact: Vec<String>,
    },
    /// Remove the standing records of this account
    Unpublish {
        #[command(flatten)]
        words: PersistWords,
    },
    /// Show the standing records of names, whoever's they are
    Show {
        /// The names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        propagation: Propagation,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PersistWords {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) server: OneServer,
    /// The CA's name in such records [default: what its directory tells]
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) issuer: Option<String>,
    /// What writes the records
    #[arg(long, value_name = "NAME", default_value = "gandi", help_heading = "DNS")]
    pub(crate) plugin: String,
    /// Parameter of the plugin; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    pub(crate) plugin_arg: Vec<String>,
    #[command(flatten)]
    pub(crate) propagation: Propagation,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Show whether it works, until when, and for what; exit status 4 when it ends soon
    Check {
        #[command(flatten)]
        credential: TokenCredential,
        /// Fewer days left than this are soon
        #[arg(long, value_name = "DAYS", default_value_t = livecert::certificate::WARN_DAYS)]
        warn_days: i64,
    },
    /// Ask Gandi for a new token, prove it, and write it where the old one is
    Renew {
        #[command(flatten)]
        credential: TokenCredential,
        /// Print the new token on stdout too
        #[arg(long)]
        print: bool,
    },
}

/// The credential that is meant.
#[derive(Debug, Args)]
pub(crate) struct TokenCredential {
    /// The plugin that it is for
    #[arg(long, value_name = "NAME", default_value = "gandi")]
    pub(crate) plugin: String,
    /// The credential, as for `issue`; repeatable [default: those of the certificates in the store]
    #[arg(long, value_name = "KEY=SOURCE")]
    pub(crate) plugin_arg: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dns {
    /// Add a TXT value, and wait until every name server shows it
    Add {
        #[command(flatten)]
        record: DnsRecord,
        /// Do not wait until the name servers show the value
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        propagation: Propagation,
    },
    /// Remove a TXT value, and nothing else
    Remove {
        #[command(flatten)]
        record: DnsRecord,
        #[command(flatten)]
        propagation: Propagation,
    },
    /// Remove what interrupted runs left behind: exactly the values that the journal knows
    Sweep(DnsSweep),
}

#[derive(Debug, Args)]
pub(crate) struct DnsSweep {
    /// Remove values that were added with `dns add` too, if they are older than this [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
}

/// A TXT value, and the plugin that writes it.
#[derive(Debug, Args)]
pub(crate) struct DnsRecord {
    /// Full name of the record, such as _acme-challenge.example.com; CNAMEs are followed
    #[arg(value_name = "FQDN")]
    pub(crate) fqdn: String,
    /// The value, without quotes
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: String,
    /// What writes it
    #[arg(long, value_name = "NAME", default_value = "gandi", help_heading = "DNS")]
    pub(crate) plugin: String,
    /// Parameter of the plugin; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    pub(crate) plugin_arg: Vec<String>,
}

/// A certificate in the store.
#[derive(Debug, Args)]
pub(crate) struct Cert {
    /// Its name in the store (see `livecert list`)
    #[arg(value_name = "CERT")]
    pub(crate) cert: String,
}

#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// Names in the store; all that are due if there is none
    #[arg(value_name = "CERT")]
    pub(crate) certs: Vec<String>,
    /// Renew even if not due
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) issue: Issue,
    /// Write a TXT value that nobody looks for, and remove it
    #[arg(long)]
    pub(crate) write_probe: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  livecert issue example.com '*.example.com' --plugin gandi --accept-tos \\
      --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat --contact you@example.com
  livecert issue example.com --plugin gandi --server LE_STAGE --accept-tos   (token from GANDI_PAT)

A secret parameter takes the place where the secret is: prompt, env:VAR, file:PATH, cmd:COMMAND, systemd-cred:NAME.
Parameters of the plugin gandi: GandiPAT, GandiToken, GandiTokenInsecure, GandiApiBaseUrl, GandiSharingId, GandiTTL,
GandiRetryTime, GandiExpires.")]
pub(crate) struct Issue {
    /// Names for the certificate, such as example.com and '*.example.com'
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The certificate's name in the store [default: the first name, '*' written as '!']
    #[arg(long, value_name = "CERT")]
    pub(crate) cert_name: Option<String>,
    /// Issue even if the stored certificate is not due
    #[arg(long)]
    pub(crate) force: bool,

    /// ACME server: LE_PROD, LE_STAGE, ZEROSSL_PROD, GOOGLE_PROD, GOOGLE_STAGE, SSLCOM_RSA, SSLCOM_ECC, ACTALIS_PROD
    /// or the https URL of a directory; repeat it for servers to fall back to when the first one is down or does not
    /// want to be asked [default: the certificate's, else LE_PROD]
    #[arg(
        long,
        env = "LIVECERT_SERVER",
        value_name = "CODE|URL",
        value_delimiter = ' ',
        help_heading = "ACME"
    )]
    pub(crate) server: Vec<String>,
    /// Accept the server's terms of service (once, when the account is made)
    #[arg(long, help_heading = "ACME")]
    pub(crate) accept_tos: bool,
    /// Mail address for a new account; repeatable
    #[arg(long, value_name = "MAIL", help_heading = "ACME")]
    pub(crate) contact: Vec<String>,
    /// Key type of a new account: ec-256, ec-384, ec-521, rsa-2048 to rsa-4096 [default: ec-256]
    #[arg(long, value_name = "TYPE", help_heading = "ACME")]
    pub(crate) account_key_type: Option<String>,
    #[command(flatten)]
    pub(crate) external: ExternalAccount,
    /// Certificate profile that the server must offer (see `livecert server profiles`); "" for none
    #[arg(long, value_name = "PROFILE", help_heading = "ACME")]
    pub(crate) profile: Option<String>,
    /// Certificate profile that is used where the server offers it
    #[arg(long, value_name = "PROFILE", conflicts_with = "profile", help_heading = "ACME")]
    pub(crate) preferred_profile: Option<String>,
    /// How many days the certificate is asked to live (notBefore and notAfter of the order); 0 for the CA's choice
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(0..=3650), help_heading = "ACME")]
    pub(crate) lifetime_days: Option<u16>,
    /// Take the chain with a certificate that this issuer (common name) made
    #[arg(long, value_name = "CN", help_heading = "ACME")]
    pub(crate) preferred_chain: Option<String>,
    /// How long the CA may take to validate, such as 90s or 5m [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "ACME")]
    pub(crate) validation_timeout: Option<Duration>,

    /// Key type of the certificate: ec-256, ec-384, ec-521, rsa-2048 to rsa-4096 [default: ec-256]
    #[arg(long, value_name = "TYPE", help_heading = "Key")]
    pub(crate) key_type: Option<String>,
    /// Make a new key at each renewal (the default)
    #[arg(long, conflicts_with = "reuse_key", help_heading = "Key")]
    pub(crate) always_new_key: bool,
    /// Keep the key at renewals
    #[arg(long, help_heading = "Key")]
    pub(crate) reuse_key: bool,
    /// Send this certificate request (PEM or DER); the key stays with its owner, and the names are those in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_type", "reuse_key", "must_staple", "subject"], help_heading = "Key")]
    pub(crate) csr: Option<PathBuf>,
    /// Common name in the request, one of the names [default: none]
    #[arg(long, value_name = "CN", help_heading = "Key")]
    pub(crate) subject: Option<String>,
    /// Ask for a certificate that needs a stapled OCSP answer (RFC 7633); most CAs refuse that by now
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Key")]
    pub(crate) must_staple: Option<bool>,

    /// How the names are proved: dns-01, dns-account-01, dns-persist-01, http-01, tls-alpn-01, or auto for the best that
    /// server, DNS and plugin allow [default: what the plugin is made for]
    #[arg(long, value_name = "TYPE", help_heading = "Proof")]
    pub(crate) challenge: Option<String>,
    /// What publishes the proofs: gandi, manual, webroot or selfhost [default: manual]
    #[arg(long, value_name = "NAME", help_heading = "DNS")]
    pub(crate) plugin: Option<String>,
    /// Parameter of the plugin; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    pub(crate) plugin_arg: Vec<String>,
    #[command(flatten)]
    pub(crate) propagation: Propagation,
}

/// What a server knows its customer by. Used when the account is made, and not kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExternalAccount {
    /// External account binding: the key's id, from your account at the CA
    #[arg(long, value_name = "ID", requires = "eab_hmac_key", help_heading = "ACME")]
    pub(crate) eab_kid: Option<String>,
    /// External account binding: where the HMAC key is (prompt, env:VAR, file:PATH, cmd:COMMAND, systemd-cred:NAME)
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

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration such as 90s, 5m or 1h30m");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).ok().filter(|duration| !duration.is_zero()).ok_or_else(wrong)
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
    fn durations_and_servers_are_parsed() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "5", "0s", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(dns_server("192.0.2.1").unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(dns_server("::1").unwrap().to_string(), "[::1]:53");
        assert_eq!(dns_server("[::1]:5353").unwrap().to_string(), "[::1]:5353");
        assert!(dns_server("localhost").is_err());
    }
}

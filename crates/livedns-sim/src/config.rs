//! What a simulator is started with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::behaviour::Behaviour;
use crate::pki::TlsIdentity;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The zones.
    pub zones: Vec<ZoneConfig>,
    /// Personal access tokens.
    pub tokens: Vec<TokenConfig>,
    /// Legacy API keys.
    pub api_keys: Vec<ApiKeyConfig>,
    /// The switches.
    pub behaviour: Behaviour,
    /// Where the API listens; port 0 takes a free one.
    pub api_listen: SocketAddr,
    /// Where each of the name servers listens (UDP and TCP). Port 0 takes one free port for all of them.
    pub dns_listen: Vec<SocketAddr>,
    /// Where the control endpoint listens (plain HTTP), if it is wanted.
    pub control_listen: Option<SocketAddr>,
    /// The certificate that the API shows.
    pub tls: TlsIdentity,
    /// A file that gets a JSON line for each request.
    pub request_log: Option<PathBuf>,
}

impl Config {
    /// One zone, one token for it, one name server; everything on free loopback ports.
    pub fn small(zone: &str, token: &str, tls: TlsIdentity) -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Config {
            zones: vec![ZoneConfig::new(zone)],
            tokens: vec![TokenConfig::new(token)],
            api_keys: Vec::new(),
            behaviour: Behaviour::default(),
            api_listen: loopback,
            dns_listen: vec![loopback],
            control_listen: None,
            tls,
            request_log: None,
        }
    }
}

/// A zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ZoneConfig {
    /// Its apex.
    pub name: String,
}

impl ZoneConfig {
    /// An empty zone.
    pub fn new(name: &str) -> Self {
        ZoneConfig { name: name.to_ascii_lowercase() }
    }
}

/// A personal access token (not a real one).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenConfig {
    /// Its text.
    pub token: String,
    /// The domains it may see; all if empty.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Its scopes.
    #[serde(default = "all_scopes")]
    pub scopes: Vec<String>,
    /// Seconds until it ends, from the start; negative if it has ended.
    #[serde(default = "a_year")]
    pub expires_in: i64,
}

fn all_scopes() -> Vec<String> {
    ["domain:tech", "domain:view", "domain:renew"].map(str::to_owned).to_vec()
}

fn a_year() -> i64 {
    365 * 86_400
}

impl TokenConfig {
    /// A token for all domains, with a year to live.
    pub fn new(token: &str) -> Self {
        TokenConfig {
            token: token.to_owned(),
            domains: Vec::new(),
            scopes: all_scopes(),
            expires_in: a_year(),
        }
    }
}

/// A legacy API key (not a real one): no scopes, no end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKeyConfig {
    /// Its text.
    pub key: String,
}

//! What a server is started with.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sim_server::pki::TlsIdentity;

use crate::behaviour::Behaviour;

/// Where validation looks. Nothing is ever asked outside these addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Targets {
    /// A resolver, or the authoritative server of all zones.
    pub dns: Option<SocketAddr>,
    /// What answers http-01 for every name.
    pub http: Option<SocketAddr>,
    /// What answers tls-alpn-01 for every name.
    pub tls: Option<SocketAddr>,
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The CA's name, in the subjects of its certificates.
    pub name: String,
    /// How many roots it has; each one after the first is an alternate chain.
    pub roots: u8,
    /// The switches.
    pub behaviour: Behaviour,
    /// Keys of external accounts by their `kid`, base64url.
    pub external_accounts: BTreeMap<String, String>,
    /// Where validation looks.
    pub targets: Targets,
    /// Where the server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control endpoint listens (plain HTTP), if it is wanted.
    pub control_listen: Option<SocketAddr>,
    /// The certificate that the server shows.
    pub tls: TlsIdentity,
    /// A file that gets a JSON line for each request.
    pub request_log: Option<PathBuf>,
}

impl Config {
    /// A friendly CA with two roots at a free loopback port, that asks this DNS server.
    pub fn small(name: &str, dns: SocketAddr, tls: TlsIdentity) -> Self {
        Config {
            name: name.to_owned(),
            roots: 2,
            behaviour: Behaviour::default(),
            external_accounts: BTreeMap::new(),
            targets: Targets { dns: Some(dns), ..Targets::default() },
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            control_listen: None,
            tls,
            request_log: None,
        }
    }
}

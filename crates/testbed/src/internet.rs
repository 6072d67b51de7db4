//! The hosts of the internet that livecert talks to, at their own names and ports: inside [`alone`](crate::alone) the
//! commands that a document shows run as they are.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use crate::gate::{Behind, Gate};
use crate::{Error, Testbed, io};

/// The hosts of Gandi.
pub const GANDI_HOSTS: [&str; 2] = ["api.gandi.net", "id.gandi.net"];

impl Testbed {
    /// Leads these hosts to the ACME server with this directory, wherever their own directory is. `address` is one that
    /// nobody has; each call takes another one.
    ///
    /// # Errors
    /// No port is free, or this is not a network of one's own.
    pub fn lead_to_ca(&self, hosts: &[&str], address: Ipv4Addr, directory: &str) -> Result<(), Error> {
        let (to, path) = place(directory);
        let trusted = std::fs::read_to_string(self.ca()).map_err(io("reading the CA"))?;
        let behind = Behind { address: to, directory: Some(path) };
        let front = self.runtime.block_on(Gate::new().front(behind, &self.tls, &trusted))?;
        lead(hosts, address, front)
    }

    /// Leads the hosts of Gandi to the simulator.
    ///
    /// # Errors
    /// This is not a network of one's own.
    pub fn lead_to_gandi(&self, address: Ipv4Addr) -> Result<(), Error> {
        lead(&GANDI_HOSTS, address, place(&self.simulator.api_base_url()).0)
    }
}

/// Address and path of a server on this machine.
fn place(url: &str) -> (SocketAddr, String) {
    let (host, path) = url.trim_start_matches("https://").split_once('/').unwrap_or((url, ""));
    let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(443);
    (SocketAddr::from(([127, 0, 0, 1], port)), format!("/{path}"))
}

/// Names the hosts in `/etc/hosts`, and leads port 443 of their address there. A listener at 443 would be in the way of
/// whoever listens there at all addresses.
fn lead(hosts: &[&str], address: Ipv4Addr, to: SocketAddr) -> Result<(), Error> {
    let what = "leading hosts to this machine";
    let mut file = std::fs::OpenOptions::new().append(true).open("/etc/hosts").map_err(io(what))?;
    file.write_all(format!("{address} {}\n", hosts.join(" ")).as_bytes()).map_err(io(what))?;
    let script = format!(
        "ip address add {address}/32 dev lo
        nft add table ip internet
        nft add chain ip internet out '{{ type nat hook output priority -100; }}'
        nft add rule ip internet out ip daddr {address} tcp dport 443 dnat to {to}"
    );
    let done = Command::new("sh").args(["-ec", &script]).output().map_err(io(what))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(Error::Silent { program: "ip and nft (iproute2, nftables)".to_owned(), said })
}

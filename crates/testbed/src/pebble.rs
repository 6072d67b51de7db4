//! Pebble, the ACME test server that Let's Encrypt makes: a real CA that looks into real DNS.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use sim_server::pki::TlsIdentity;

use crate::process::{Process, at_free_ports};
use crate::{Error, ExternalAccount, io};

const INSTALL: &str = "on Debian: apt-get install pebble; elsewhere see github.com/letsencrypt/pebble";

/// Settings of Pebble. Nonces, and which authorizations it uses again, are random at each start; there is no seed.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// Percentage of nonces that it refuses; Pebble's own default is 5.
    pub nonce_reject: u32,
    /// Percentage of valid authorizations that it uses again; Pebble's own default is 50. With 0 it is still one in a
    /// hundred (seen in Pebble 2.4: 4 of 400 orders), so a test that has to prove something orders a name that is new, or
    /// gives up what is proved.
    pub authz_reuse: u32,
    /// Whether it demands an external account binding, which [`Pebble::external_account`] satisfies.
    pub external_account: bool,
    /// Whether it refuses what a later version may refuse.
    pub strict: bool,
    /// Number of alternate chains beside the default one.
    pub alternate_roots: u32,
    /// Number of certificates between a certificate and its root.
    pub chain_length: u32,
    /// Seconds of `Retry-After` with an authorization and an order; Pebble's own defaults (3 and 5) if none.
    pub retry_after: Option<(u32, u32)>,
    /// How long its certificates are valid, in seconds; Pebble's own default (five years) if none.
    pub validity: Option<u64>,
    /// The ports where it looks for proofs of http-01 and tls-alpn-01; free ones if none.
    pub proof_ports: Option<(u16, u16)>,
}

impl Default for PebbleOptions {
    /// Nothing left to chance but nonces.
    fn default() -> Self {
        PebbleOptions {
            nonce_reject: 5,
            authz_reuse: 0,
            external_account: false,
            strict: true,
            alternate_roots: 0,
            chain_length: 1,
            retry_after: None,
            validity: None,
            proof_ports: None,
        }
    }
}

/// A running Pebble; it is ended when this is dropped.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    address: SocketAddr,
    management: SocketAddr,
    http: SocketAddr,
    tls: SocketAddr,
}

impl Pebble {
    pub(crate) fn start(
        folder: &Path,
        tls: &TlsIdentity,
        dns: SocketAddr,
        options: &PebbleOptions,
    ) -> Result<Self, Error> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map(|()| path).map_err(io("writing Pebble's files"))
        };
        let certificate = write("pebble-cert.pem", &tls.cert_chain_pem)?;
        let key = write("pebble-key.pem", &tls.key_pem)?;
        at_free_ports(|[address, management, mut http, mut tls]| {
            if let Some((for_http, for_tls)) = options.proof_ports {
                http.set_port(for_http);
                tls.set_port(for_tls);
            }
            let account = Self::external_account();
            let mut settings = json!({
                "listenAddress": address.to_string(),
                "managementListenAddress": management.to_string(),
                "certificate": certificate,
                "privateKey": key,
                "httpPort": http.port(),
                "tlsPort": tls.port(),
                "externalAccountBindingRequired": options.external_account,
                "externalAccountMACKeys": {account.kid: account.hmac_key},
            });
            if let Some((authz, order)) = options.retry_after {
                settings["retryAfter"] = json!({"authz": authz, "order": order});
            }
            if let Some(seconds) = options.validity {
                settings["certificateValidityPeriod"] = json!(seconds);
            }
            let config = write("pebble.json", &json!({"pebble": settings}).to_string())?;
            let mut command = Command::new("pebble");
            command.arg("-config").arg(config).args(["-dnsserver", &dns.to_string()]);
            if options.strict {
                command.arg("-strict");
            }
            let numbers = [
                ("PEBBLE_VA_NOSLEEP", 1),
                ("PEBBLE_WFE_NONCEREJECT", options.nonce_reject),
                ("PEBBLE_AUTHZREUSE", options.authz_reuse),
                ("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots),
                ("PEBBLE_CHAIN_LENGTH", options.chain_length),
            ];
            command.envs(numbers.map(|(name, number)| (name, number.to_string())));
            let process = Process::start(command, INSTALL, address)?;
            Ok(Pebble { process, address, management, http, tls })
        })
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.address.port())
    }

    /// The external account that it knows, whether it demands one or not.
    pub fn external_account() -> ExternalAccount {
        ExternalAccount {
            kid: "kid-1".to_owned(),
            hmac_key: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".to_owned(),
        }
    }

    /// The port where it looks for proofs of http-01.
    pub fn http_port(&self) -> u16 {
        self.http.port()
    }

    /// The port where it looks for proofs of tls-alpn-01.
    pub fn tls_port(&self) -> u16 {
        self.tls.port()
    }

    /// The base URL of its management interface: below it are `/roots/N`, `/intermediates/N` (N = 0 for the default
    /// chain, then the alternates) and `/cert-status-by-serial/HEX`.
    pub fn management(&self) -> String {
        format!("https://localhost:{}", self.management.port())
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// The requests that it logged, as `METHOD path`, without those of the management interface.
    pub fn requests(&self) -> Vec<String> {
        let request = |line: &String| {
            let (_, rest) = line.split_once(" -> calling handler()").map(|(head, _)| (head, head))?;
            let mut words = rest.split_whitespace().rev();
            let path = words.next()?;
            let method = words.next()?;
            Some(format!("{method} {path}"))
        };
        self.log().iter().filter_map(request).collect()
    }

    /// The URLs of the authorizations that were proved, also of those that were given up since.
    pub fn proved(&self) -> Vec<String> {
        let id = |line: &String| {
            let (_, rest) = line.split_once("authz ")?;
            Some(rest.split_once(" set VALID")?.0.to_owned())
        };
        let url = |id| format!("https://localhost:{}/authZ/{id}", self.address.port());
        self.log().iter().filter_map(id).map(url).collect()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

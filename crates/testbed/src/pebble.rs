//! Pebble, the ACME test server that Let's Encrypt makes: a real CA that looks into real DNS.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use livedns_sim::pki::TlsIdentity;
use serde_json::json;

use crate::{Error, io};

const INSTALL: &str = "on Debian: apt-get install pebble; elsewhere see github.com/letsencrypt/pebble";
/// How long it may take to listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Settings of Pebble.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// Percentage of nonces that it refuses; Pebble's own default is 5.
    pub nonce_reject: u32,
    /// Percentage of valid authorizations that it uses again; Pebble's own default is 50.
    pub authz_reuse: u32,
    /// Whether it demands an external account binding.
    pub external_account: bool,
}

impl Default for PebbleOptions {
    /// Nothing left to chance but nonces.
    fn default() -> Self {
        PebbleOptions { nonce_reject: 5, authz_reuse: 0, external_account: false }
    }
}

/// A running Pebble; it is ended when this is dropped.
#[derive(Debug)]
pub struct Pebble {
    child: Child,
    address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
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
        let mut last = None;
        // A free port may be taken by somebody else between the question and the use; then another one is tried.
        for _ in 0..5 {
            let (address, management) = (free_port()?, free_port()?);
            let config = write(
                "pebble.json",
                &json!({"pebble": {
                    "listenAddress": address.to_string(),
                    "managementListenAddress": management.to_string(),
                    "certificate": certificate,
                    "privateKey": key,
                    "httpPort": 5002,
                    "tlsPort": 5001,
                    "externalAccountBindingRequired": options.external_account,
                    "externalAccountMACKeys": {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
                }})
                .to_string(),
            )?;
            match Self::spawn(&config, address, dns, options) {
                Ok(pebble) => return Ok(pebble),
                Err(error @ Error::Program { .. }) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(Error::Silent { program: "pebble".to_owned(), said: String::new() }))
    }

    fn spawn(
        config: &Path,
        address: SocketAddr,
        dns: SocketAddr,
        options: &PebbleOptions,
    ) -> Result<Self, Error> {
        let mut command = Command::new("pebble");
        command.arg("-config").arg(config).arg("-strict").args(["-dnsserver", &dns.to_string()]);
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject.to_string());
        command.env("PEBBLE_AUTHZREUSE", options.authz_reuse.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|source| Error::Program {
            program: "pebble".to_owned(),
            hint: INSTALL,
            source,
        })?;
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(output) = child.stdout.take() {
            let said = said.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        let mut pebble = Pebble { child, address, said };
        pebble.wait_until_it_listens()?;
        Ok(pebble)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(io("waiting for Pebble"))?;
            if ended.is_some() || begun.elapsed() > START_LIMIT {
                let said = self.log().last().cloned().unwrap_or_default();
                return Err(Error::Silent { program: "pebble".to_owned(), said });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.address.port())
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Ends it.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> Result<SocketAddr, Error> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(io("a free port"))?;
    listener.local_addr().map_err(io("a free port"))
}

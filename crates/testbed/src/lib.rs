//! Real servers for livecert's end-to-end tests and its demo: Pebble as the CA, the LiveDNS simulator as Gandi and as
//! DNS, all on free loopback ports, with a certificate authority of their own. Beside them, where somebody asks: more
//! ACME servers, Caddy and acme2certifier, Knot as a name server, and services that show a certificate: nginx and mail
//! servers.

mod acme2certifier;
mod acme_dns;
mod acme_sim;
mod alone;
mod caddy;
mod gate;
mod internet;
mod keyring;
mod knot;
mod livecert;
mod mail;
mod many;
mod nginx;
mod pebble;
mod process;
mod pty;

use std::path::{Path, PathBuf};

use livedns_sim::{ApiKeyConfig, Config, Control, Simulator, TokenConfig, ZoneConfig};
use sim_server::pki::TestCa;
use tempfile::TempDir;

pub use ::acme_sim as ca;
pub use acme_dns::{ACME_DNS_ZONE, AcmeDns};
pub use acme_sim::AcmeSim;
pub use acme2certifier::{Acme2Certifier, Acme2CertifierOptions};
pub use alone::{Alone, alone, alone_on_disk, alone_with, is_alone};
pub use caddy::Caddy;
pub use gate::{Exchange, Gate, Side};
pub use internet::GANDI_HOSTS;
pub use keyring::Keyring;
pub use knot::{KEYS, Knot, POWERLESS};
pub use livecert::{Livecert, Outcome};
pub use livedns_sim as sim;
pub use mail::{MailProtocol, MailServer};
pub use many::{multiply, name_in_a_thousand_zones};
pub use nginx::Nginx;
pub use pebble::{Pebble, PebbleOptions};
pub use pty::AtTerminal;

/// A token that the simulator knows, for all zones.
pub const PAT: &str = "0123456789abcdef0123456789abcdef01234567";
/// A legacy API key that the simulator knows.
pub const API_KEY: &str = "abcdefghijklmnopqrstuvwx";
/// A token that may see `example.org` only.
pub const LIMITED_PAT: &str = "76543210fedcba9876543210fedcba9876543210";
/// How to get the ACME servers that come from Python's package index.
const SET_UP: &str = "`cargo xtask setup` installs it below target/interop-venv";

/// An account that somebody has with the CA outside ACME (RFC 8555 §7.3.4).
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    /// Its key identifier.
    pub kid: String,
    /// Its key for HMAC, base64url.
    pub hmac_key: String,
}

/// Why the servers could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program could not be started.
    #[error("{program} could not be started ({hint})")]
    Program {
        /// The program.
        program: String,
        /// What to do.
        hint: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A server started, and did not answer.
    #[error("{program} does not answer: {said}")]
    Silent {
        /// The program.
        program: String,
        /// What it said last.
        said: String,
    },
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] livedns_sim::Error),
    /// The ACME server of our own.
    #[error(transparent)]
    AcmeSim(Box<::acme_sim::Error>),
    /// A certificate for the servers.
    #[error("a test certificate could not be made: {0}")]
    Pki(String),
    /// A file or folder.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// What a testbed is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Zones of the simulator.
    pub zones: Vec<String>,
    /// How many name servers answer for them.
    pub name_servers: usize,
    /// Where they listen, where that matters; Pebble asks the first one.
    pub dns_listen: Vec<std::net::SocketAddr>,
    /// Where the API listens, where that matters.
    pub api_listen: Option<std::net::SocketAddr>,
    /// Settings of Pebble.
    pub pebble: PebbleOptions,
    /// Whether the certificate of the API has ended.
    pub expired_api: bool,
    /// Hosts that the servers stand for, beside `localhost`.
    pub hosts: Vec<String>,
    /// Where the testbed's folder is made; where temporary files are, if none.
    pub place: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let zones = ["example.com", "example.org", "example.net"].map(str::to_owned).to_vec();
        Options {
            zones,
            name_servers: 1,
            dns_listen: Vec::new(),
            api_listen: None,
            pebble: PebbleOptions::default(),
            expired_api: false,
            hosts: Vec::new(),
            place: None,
        }
    }
}

/// The running servers, and a folder for state and secrets. All of it goes when this is dropped.
#[derive(Debug)]
pub struct Testbed {
    folder: TempDir,
    simulator: Simulator,
    pebble: Pebble,
    tls: sim_server::pki::TlsIdentity,
    // Dropped last: the simulator's tasks run on it.
    runtime: tokio::runtime::Runtime,
}

impl Testbed {
    /// Starts everything.
    ///
    /// # Errors
    /// Pebble is not installed, or something does not start.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let place = options.place.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("livecert-testbed-").tempdir_in(place);
        let folder = folder.map_err(io("a folder"))?;
        let pki = |error: &dyn std::fmt::Display| Error::Pki(error.to_string());
        let ca = TestCa::new("livecert test CA").map_err(|error| pki(&error))?;
        let names: Vec<&str> =
            ["localhost", "127.0.0.1"].into_iter().chain(options.hosts.iter().map(String::as_str)).collect();
        let tls = ca.issue(&names).map_err(|error| pki(&error))?;
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).map_err(io("writing the CA"))?;

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(io("starting a runtime"))?;
        let api = if options.expired_api { ca.issue_expired(&names) } else { ca.issue(&names) };
        let mut config = Config::small("example.com", PAT, api.map_err(|error| pki(&error))?);
        config.zones = options.zones.iter().map(|zone| ZoneConfig::new(zone)).collect();
        let mut limited = TokenConfig::new(LIMITED_PAT);
        limited.domains = vec!["example.org".to_owned()];
        config.tokens.push(limited);
        config.api_keys.push(ApiKeyConfig { key: API_KEY.to_owned() });
        // 127.0.0.0/8 is all loopback on Linux: each name server has an address of its own, at one port.
        config.dns_listen = (1..=options.name_servers)
            .filter_map(|number| u8::try_from(number).ok())
            .map(|number| std::net::SocketAddr::from(([127, 0, 0, number], 0)))
            .collect();
        if !options.dns_listen.is_empty() {
            config.dns_listen.clone_from(&options.dns_listen);
        }
        if let Some(address) = options.api_listen {
            config.api_listen = address;
        }
        let simulator = runtime.block_on(Simulator::start(config))?;
        let pebble = Pebble::start(folder.path(), &tls, simulator.dns_addrs()[0], &options.pebble)?;
        Ok(Testbed { folder, simulator, pebble, tls, runtime })
    }

    /// A folder for whatever a test wants to keep.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The root certificate of both servers, PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The simulator's inside.
    pub fn gandi(&self) -> Control {
        self.simulator.control()
    }

    /// One more simulator, with the same trusted certificate, in the place of somebody else's servers.
    ///
    /// # Errors
    /// It cannot listen there.
    pub fn other_servers(&self, zone: &str, dns_listen: std::net::SocketAddr) -> Result<Simulator, Error> {
        let mut config = Config::small(zone, PAT, self.tls.clone());
        config.dns_listen = vec![dns_listen];
        Ok(self.runtime.block_on(Simulator::start(config))?)
    }

    /// The simulator.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Pebble.
    pub fn pebble(&self) -> &Pebble {
        &self.pebble
    }

    /// Pebble, to stop it.
    pub fn pebble_mut(&mut self) -> &mut Pebble {
        &mut self.pebble
    }

    /// One more Pebble, with other settings, over the same DNS.
    ///
    /// # Errors
    /// It does not start.
    pub fn another_pebble(&self, options: &PebbleOptions) -> Result<Pebble, Error> {
        Pebble::start(&self.server_folder()?, &self.tls, self.simulator.dns_addrs()[0], options)
    }

    /// One more Pebble, which asks another name server.
    ///
    /// # Errors
    /// It does not start.
    pub fn pebble_over(&self, dns: std::net::SocketAddr, options: &PebbleOptions) -> Result<Pebble, Error> {
        Pebble::start(&self.server_folder()?, &self.tls, dns, options)
    }

    /// A Caddy over the same DNS, from the Python environment at `environment`.
    ///
    /// # Errors
    /// It does not start.
    pub fn caddy(&self, environment: &Path) -> Result<Caddy, Error> {
        let program = environment.join("bin/caddy");
        Caddy::start(&self.server_folder()?, &self.tls, self.simulator.dns_addrs()[0], &program)
    }

    /// An acme2certifier from the Python environment at `environment`; it needs the simulator's DNS at port 53.
    ///
    /// # Errors
    /// It does not start.
    pub fn acme2certifier(
        &self,
        environment: &Path,
        options: &Acme2CertifierOptions,
    ) -> Result<Acme2Certifier, Error> {
        Acme2Certifier::start(&self.server_folder()?, &self.tls, environment, options)
    }

    fn server_folder(&self) -> Result<PathBuf, Error> {
        let folder = tempfile::Builder::new().prefix("server-").tempdir_in(self.folder.path());
        // It goes with the testbed's folder.
        folder.map(TempDir::keep).map_err(io("a folder for a server"))
    }

    /// The state folder that [`livecert`](Self::livecert) uses.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A file with this secret, readable for its owner alone.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn secret_file(&self, name: &str, secret: &str) -> Result<PathBuf, Error> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("{secret}\n")).map_err(io("writing a secret"))?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).map_err(io("writing a secret"))?;
        Ok(path)
    }

    /// The command at `binary`, set up for these servers: state folder, trusted root, and a clean environment.
    pub fn livecert(&self, binary: &Path) -> Livecert {
        Livecert::new(binary, &self.home(), &self.ca())
    }

    /// A gate in front of both HTTP servers, with the directory's URL and the base URL of the API behind it.
    ///
    /// # Errors
    /// No port is free.
    pub fn gate(&self) -> Result<(Gate, String, String), Error> {
        let gate = Gate::new();
        let directory = self.front(&gate, &self.pebble.directory())?;
        let api = self.front(&gate, &self.simulator.api_base_url())?;
        Ok((gate, directory, api))
    }

    /// A gate in front of the server with this URL alone, and the URL in front of it.
    ///
    /// # Errors
    /// No port is free.
    pub fn gate_before(&self, url: &str) -> Result<(Gate, String), Error> {
        let gate = Gate::new();
        let front = self.front(&gate, url)?;
        Ok((gate, front))
    }

    fn front(&self, gate: &Gate, url: &str) -> Result<String, Error> {
        let trusted = std::fs::read_to_string(self.ca()).map_err(io("reading the CA"))?;
        let (host, path) = url.trim_start_matches("https://").split_once('/').unwrap_or((url, ""));
        let port = host.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(443);
        let to =
            gate::Behind { address: std::net::SocketAddr::from(([127, 0, 0, 1], port)), directory: None };
        let at = self.runtime.block_on(gate.front(to, &self.tls, &trusted))?;
        Ok(format!("https://localhost:{}/{path}", at.port()))
    }

    /// What one of the servers answers to a plain GET, such as a directory or Pebble's management interface.
    ///
    /// # Errors
    /// It answers nothing, or with an error.
    pub fn fetch(&self, url: &str) -> Result<String, Error> {
        let trusted = std::fs::read_to_string(self.ca()).map_err(io("reading the CA"))?;
        let client = gate::client(&trusted)?;
        let text = async {
            let answer = client.get(url).send().await?.error_for_status()?;
            answer.text().await
        };
        let silent =
            |error: reqwest::Error| Error::Silent { program: url.to_owned(), said: error.to_string() };
        self.runtime.block_on(text).map_err(silent)
    }

    /// The words of `livecert issue` that point to these servers, after the names.
    pub fn issue_words(&self) -> Vec<String> {
        let mut words = vec!["--server".to_owned(), self.pebble.directory(), "--accept-tos".to_owned()];
        words.extend(self.dns_words());
        words
    }

    /// The words that point to the LiveDNS API and its DNS.
    pub fn dns_words(&self) -> Vec<String> {
        let mut words = vec![
            "--plugin".to_owned(),
            "gandi".to_owned(),
            "--plugin-arg".to_owned(),
            format!("GandiApiBaseUrl={}", self.simulator.api_base_url()),
        ];
        for address in self.simulator.dns_addrs() {
            words.extend(["--authoritative".to_owned(), address.to_string()]);
        }
        words
    }
}

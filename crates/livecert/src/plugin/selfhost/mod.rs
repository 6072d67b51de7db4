//! The plugin `selfhost`: listeners of its own for http-01 and tls-alpn-01, open from the publication to the
//! withdrawal.
//!
//! Low ports need a right that few programs have; a socket that systemd passes in (`LISTEN_FDS`) does without. It is
//! taken if its `FileDescriptorName=` is `http` or `tls-alpn`, or if its port is the one that is wanted.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod http;
mod listen;
mod listener;
mod occupant;
mod socket;
mod tls_alpn;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

pub use self::listen::HttpListener;

use self::http::Files;
use self::listener::{Limits, Running};
use self::tls_alpn::Certificates;
use super::{
    ArgumentError, Arguments, Connected, Parameter, ParameterKind, Pending, PluginError, PluginInfo,
    ProofKind, Surroundings, WebError, WebLeftover, WebPlugin, WebProof, WebProofKind,
};

const PORT: &str = "WSHPort";
const TLS_PORT: &str = "WSHTlsPort";
const ADDRESS: &str = "WSHAddress";
const TIMEOUT: &str = "WSHTimeout";

/// How long one connection may last. CAs give up after about 10 s.
const CONNECTION_TIME: Duration = Duration::from_secs(15);
/// The longest that can be asked for.
const LONGEST: Duration = Duration::from_secs(600);
/// Connections at a time on one socket: four sockets stay far below the usual limit of 1024 open files.
const CONNECTIONS: usize = 128;

const A_PORT: ParameterKind = ParameterKind::Number { of: "", least: 1, most: 65535 };

const GUIDE: &str = "\
Nothing else may listen at port 80 (http-01) or 443 (tls-alpn-01) while the CA looks, or that server
has to lead the path /.well-known/acme-challenge/ to another port, which is then named:

    livecert issue www.example.com --plugin selfhost --accept-tos
    livecert issue www.example.com --plugin selfhost --challenge tls-alpn-01 --accept-tos
    livecert issue www.example.com --plugin selfhost --plugin-arg WSHPort=8080 --accept-tos

Without root, give the program the right to listen at low ports once, or pass it a socket of systemd
with FileDescriptorName=http or tls-alpn:

    setcap cap_net_bind_service=+ep /usr/local/bin/livecert
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "selfhost",
    summary: "answers http-01 and tls-alpn-01 itself, on ports 80 and 443 or a passed socket",
    proofs: &[ProofKind::HttpFile, ProofKind::AlpnCertificate],
    guide: GUIDE,
    parameters: &[
        Parameter::new(PORT, A_PORT, "port for http-01, to which port 80 must lead [default: 80]"),
        Parameter::new(TLS_PORT, A_PORT, "port for tls-alpn-01, to which port 443 must lead [default: 443]"),
        Parameter::new(
            ADDRESS,
            ParameterKind::Plain,
            "addresses to listen on, with commas between them [default: all, IPv4 and IPv6]",
        ),
        Parameter::new(
            TIMEOUT,
            ParameterKind::Duration { longest: LONGEST },
            "the longest time for one connection [default: 15s]",
        ),
    ],
    environment: &[],
    sweeps: false,
    // It listens on a port.
    alone: true,
    shared: false,
    connect,
};

fn connect(arguments: &Arguments, _: &Surroundings) -> Result<Connected, ArgumentError> {
    Ok(Connected::Web(Arc::new(SelfHost::new(Settings::new(|name| arguments.plain(name))?))))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    /// None means all.
    addresses: Vec<IpAddr>,
    http_port: u16,
    tls_port: u16,
    limits: Limits,
}

impl Settings {
    fn new<'a>(argument: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ArgumentError> {
        let invalid = |parameter, reason: String| ArgumentError::Invalid { parameter, reason };
        let port = |parameter, default| {
            let Some(text) = argument(parameter) else { return Ok(default) };
            text.parse().map_err(|_| invalid(parameter, format!("'{text}' is not a port")))
        };
        let address = |text: &str| {
            let parsed = text.trim().trim_matches(['[', ']']).parse();
            parsed.map_err(|_| invalid(ADDRESS, format!("'{text}' is not an IP address")))
        };
        let addresses = match argument(ADDRESS) {
            Some(list) => list.split(',').map(address).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let connection_time = match argument(TIMEOUT) {
            Some(text) => duration(text).ok_or_else(|| {
                invalid(TIMEOUT, format!("'{text}' is not a duration up to 10m, such as 30s"))
            })?,
            None => CONNECTION_TIME,
        };
        let limits = Limits { connection_time, connections: CONNECTIONS };
        Ok(Settings { addresses, http_port: port(PORT, 80)?, tls_port: port(TLS_PORT, 443)?, limits })
    }
}

/// A duration, or a number of seconds as in Posh-ACME.
fn duration(text: &str) -> Option<Duration> {
    super::parameter::duration(text).filter(|time| *time <= LONGEST)
}

struct SelfHost {
    settings: Settings,
    files: Files,
    certificates: Certificates,
    /// Whoever holds this changes what is shown and what listens.
    running: Mutex<HashMap<WebProofKind, Running>>,
}

impl SelfHost {
    fn new(settings: Settings) -> Self {
        let (files, certificates) = (Files::default(), Certificates::default());
        SelfHost { settings, files, certificates, running: Mutex::default() }
    }

    fn sockets(&self, kind: WebProofKind) -> Result<Vec<std::net::TcpListener>, WebError> {
        let (name, port) = match kind {
            WebProofKind::HttpFile => ("http", self.settings.http_port),
            WebProofKind::AlpnCertificate => ("tls-alpn", self.settings.tls_port),
        };
        let passed = socket::passed(name, port)?;
        if passed.is_empty() { socket::listen(&self.settings.addresses, port) } else { Ok(passed) }
    }

    fn start(&self, kind: WebProofKind) -> Result<Running, WebError> {
        let (sockets, limits) = (self.sockets(kind)?, self.settings.limits);
        match kind {
            WebProofKind::HttpFile => {
                let files = self.files.clone();
                Running::start(sockets, limits, move |stream| {
                    http::answer(stream, files.clone(), limits.connection_time)
                })
            }
            WebProofKind::AlpnCertificate => {
                let acceptor = self.certificates.acceptor()?;
                Running::start(sockets, limits, move |stream| tls_alpn::answer(stream, acceptor.clone()))
            }
        }
    }

    fn add(&self, proof: &WebProof) -> Result<(), WebError> {
        match proof {
            WebProof::HttpFile { token, body, .. } => self.files.add(token, body),
            WebProof::AlpnCertificate { host, digest } => self.certificates.add(host, digest),
        }
    }

    fn remove(&self, proof: &WebProof) {
        match proof {
            WebProof::HttpFile { token, body, .. } => self.files.remove(token, body),
            WebProof::AlpnCertificate { host, digest } => self.certificates.remove(host, digest),
        }
    }

    fn shows_any(&self, kind: WebProofKind) -> bool {
        match kind {
            WebProofKind::HttpFile => !self.files.is_empty(),
            WebProofKind::AlpnCertificate => !self.certificates.is_empty(),
        }
    }

    /// Where it listens now.
    #[cfg(test)]
    async fn addresses(&self, kind: WebProofKind) -> Vec<std::net::SocketAddr> {
        self.running.lock().await.get(&kind).map(|running| running.addresses().to_vec()).unwrap_or_default()
    }
}

impl WebPlugin for SelfHost {
    fn offers(&self) -> &'static [WebProofKind] {
        &[WebProofKind::HttpFile, WebProofKind::AlpnCertificate]
    }

    fn prepare<'a>(&'a self, kinds: &'a [WebProofKind]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let running = self.running.lock().await;
            for kind in kinds.iter().filter(|kind| !running.contains_key(kind)) {
                self.sockets(*kind)?;
            }
            Ok(())
        })
    }

    fn publish<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            for proof in proofs {
                self.add(proof)?;
                if let Entry::Vacant(free) = running.entry(proof.kind()) {
                    free.insert(self.start(proof.kind())?);
                }
            }
            Ok(())
        })
    }

    fn withdraw<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Vec<WebLeftover>> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            for proof in proofs {
                self.remove(proof);
            }
            for kind in self.offers() {
                if !self.shows_any(*kind)
                    && let Some(done) = running.remove(kind)
                {
                    done.stop().await;
                }
            }
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests;

//! A running simulator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sim_server::{Error, Faults, HTTP_VERSIONS, RequestLog, listen, start_control, tls};
use tokio::task::JoinSet;

use crate::api::World;
use crate::auth::Credentials;
use crate::config::Config;
use crate::control::Control;
use crate::faults::Fault;
use crate::log::Log;
use crate::state::{NameServer, Zone, Zones};
use crate::{dns, http_server};

/// All that the parts of a simulator share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) servers: Vec<NameServer>,
    pub(crate) dns_addrs: Vec<SocketAddr>,
    /// Server, name and type of which a caching server remembers that there was nothing, with the response code.
    pub(crate) absent: BTreeMap<(usize, String, String), u16>,
    pub(crate) faults: Faults<Fault>,
    pub(crate) log: Log,
    pub(crate) latency: Duration,
    /// Moments of the requests of the last minute.
    pub(crate) recent: Vec<Instant>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulator; it ends when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    api: SocketAddr,
    dns: Vec<SocketAddr>,
    control: Option<SocketAddr>,
    _tasks: JoinSet<()>,
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

impl Simulator {
    /// Starts the API and the name servers in the background of the current runtime.
    ///
    /// # Errors
    /// An address that cannot be listened at, a log that cannot be written, a TLS identity that is none.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let mut tasks = JoinSet::new();
        let requests = RequestLog::open(config.request_log.as_deref())?;
        let zones: BTreeMap<_, _> =
            config.zones.iter().map(|zone| (zone.name.clone(), Zone::default())).collect();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                world: World {
                    zones: Zones(zones),
                    credentials: Credentials {
                        tokens: config.tokens,
                        api_keys: config.api_keys,
                        since: Instant::now(),
                    },
                    behaviour: config.behaviour,
                },
                servers: vec![NameServer::default(); config.dns_listen.len()],
                dns_addrs: Vec::new(),
                absent: BTreeMap::new(),
                faults: Faults::default(),
                log: Log { dns: Vec::new(), requests },
                latency: Duration::ZERO,
                recent: Vec::new(),
            }),
        });
        let dns = dns::start(&config.dns_listen, &shared, &mut tasks).await?;
        shared.lock().dns_addrs.clone_from(&dns);
        let (listener, api) = listen(config.api_listen).await?;
        let tls = tls(&config.tls, HTTP_VERSIONS)?;
        tasks.spawn(http_server::serve_api(listener, tls, shared.clone()));
        let control = Control::new(shared.clone());
        let answer = move |method: &_, path: &_, body: &_| control.answer(method, path, body);
        let control = start_control(&mut tasks, config.control_listen, answer).await?;
        Ok(Simulator { shared, api, dns, control, _tasks: tasks })
    }

    /// The base URL of the API: what `GandiApiBaseUrl` takes.
    pub fn api_base_url(&self) -> String {
        format!("https://localhost:{}/v5/livedns", self.api.port())
    }

    /// Addresses of the name servers.
    pub fn dns_addrs(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// The URL of the control endpoint.
    pub fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    /// The same abilities in this process.
    pub fn control(&self) -> Control {
        Control::new(self.shared.clone())
    }
}

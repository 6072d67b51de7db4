//! A running server.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sim_server::{Faults, HTTP_VERSIONS, RequestLog, listen, start_control, tls};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::api::World;
use crate::ca::Ca;
use crate::config::Config;
use crate::control::Control;
use crate::faults::Fault;
use crate::http_server;
use crate::log::RequestRecord;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address, the log, or the TLS identity.
    #[error(transparent)]
    Server(#[from] sim_server::Error),
    /// The CA could not be made.
    #[error("the CA could not be made")]
    Ca(#[from] rcgen::Error),
}

/// All that the parts of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The number of held requests has changed.
    pub(crate) holding: Condvar,
    pub(crate) released: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) faults: Faults<Fault>,
    pub(crate) log: RequestLog<RequestRecord>,
    pub(crate) latency: Duration,
    /// How many requests are held now.
    pub(crate) held: usize,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server; it ends when it is dropped, and everything it knows goes with it.
#[derive(Debug)]
pub struct AcmeSim {
    shared: Arc<Shared>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    _tasks: JoinSet<()>,
}

impl AcmeSim {
    /// Starts it in the background of the current runtime.
    ///
    /// # Errors
    /// An address that cannot be listened at, a log that cannot be written, a TLS identity that is none.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let log = RequestLog::open(config.request_log.as_deref())?;
        let world = World {
            behaviour: config.behaviour,
            ca: Ca::new(&config.name, config.roots)?,
            targets: config.targets,
            external_accounts: config.external_accounts,
            nonces: HashSet::new(),
            accounts: Vec::new(),
            authorizations: Vec::new(),
            orders: Vec::new(),
            certificates: Vec::new(),
        };
        let state = State { world, faults: Faults::default(), log, latency: Duration::ZERO, held: 0 };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), holding: Condvar::new(), released: Notify::new() });
        let mut tasks = JoinSet::new();
        let tls = tls(&config.tls, HTTP_VERSIONS)?;
        let (listener, address) = listen(config.listen).await?;
        tasks.spawn(http_server::serve(listener, tls, shared.clone()));
        let control = Control::new(shared.clone());
        let answer = move |method: &_, path: &_, body: &_| control.answer(method, path, body);
        let control = start_control(&mut tasks, config.control_listen, answer).await?;
        Ok(AcmeSim { shared, address, control, _tasks: tasks })
    }

    /// The URL of the directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/directory", self.address.port())
    }

    /// The certificates of its roots, PEM, in the order of its chains.
    pub fn roots(&self) -> Vec<String> {
        self.shared.lock().world.ca.roots()
    }

    /// The URL of the control endpoint.
    pub fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    /// What a test may do to it.
    pub fn control(&self) -> Control {
        Control::new(self.shared.clone())
    }
}

//! A running server.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::api::World;
use crate::ca::Ca;
use crate::config::Config;
use crate::control::Control;
use crate::faults::Faults;
use crate::http_server;
use crate::log::Log;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be listened at, or the log cannot be opened.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The TLS certificate or key is not usable.
    #[error("the TLS identity is not usable: {0}")]
    Tls(String),
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
    pub(crate) faults: Faults,
    pub(crate) log: Log,
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

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

impl AcmeSim {
    /// Starts it in the background of the current runtime.
    ///
    /// # Errors
    /// An address that cannot be listened at, a log that cannot be written, a TLS identity that is none.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let file = match &config.request_log {
            Some(path) => {
                let options = std::fs::OpenOptions::new().create(true).append(true).open(path);
                Some(options.map_err(io(format!("opening the log {}", path.display())))?)
            }
            None => None,
        };
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
        let state = State {
            world,
            faults: Faults::default(),
            log: Log { file, ..Log::default() },
            latency: Duration::ZERO,
            held: 0,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), holding: Condvar::new(), released: Notify::new() });
        let mut tasks = JoinSet::new();
        let tls = http_server::tls(&config.tls)?;
        let (listener, address) = listen(config.listen).await?;
        tasks.spawn(http_server::serve(listener, tls, shared.clone()));
        let control = match config.control_listen {
            Some(address) => {
                let (listener, address) = listen(address).await?;
                tasks.spawn(http_server::serve_control(listener, Control::new(shared.clone())));
                Some(address)
            }
            None => None,
        };
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

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind(address).await.map_err(io(format!("listening at {address}")))?;
    let address = listener.local_addr().map_err(io("the server's address"))?;
    Ok((listener, address))
}

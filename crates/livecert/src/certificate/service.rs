//! The service: what all work on certificates shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use livecert_acme::{HttpTransport, Known, Server, Transport};
use tokio_util::sync::CancellationToken;

use super::account::acme;
use super::connections::Connections;
use super::{CertificateError, ServerUrl};
use crate::plugin::{PluginState, Surroundings};
use crate::progress::{Event, Progress};
use crate::secret::{KeyPlace, SealingKey};
use crate::store::{CertLock, CertName, Store};

/// How long another process may work on the same certificate before this one gives up, where nothing else is said.
const LOCK_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How long a server's directory is believed: for the certificates of one run, and not for the life of a process.
const DIRECTORY_LIFE: Duration = Duration::from_secs(10 * 60);

/// Signed requests under way at a time at a server that all the world shares, all orders together. Let's Encrypt lets one
/// address have 20 nonces a second, 10 at once, and 250 of most other requests.
const AT_ONCE_AT_PUBLIC: usize = 8;

/// Makes and renews certificates in one store.
pub struct Service {
    pub(super) store: Store,
    pub(super) sealing_key: Arc<SealingKey>,
    /// Where the sealing key is, if that was said.
    pub(super) sealing_place: Option<KeyPlace>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) surroundings: Surroundings,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) interrupt: CancellationToken,
    /// Nothing is kept, and nothing outside of DNS is to happen, such as a hook.
    pub(super) rehearsing: bool,
    servers: Connected,
    pub(super) connections: Connections,
    pub(super) lock_patience: Duration,
}

/// The servers that were connected to, with their nonces: certificates side by side share them.
#[derive(Default)]
struct Connected(Mutex<BTreeMap<String, Connection>>);

#[derive(Default)]
struct Connection {
    server: Option<(Server, Instant)>,
    /// Whoever connected only looks, so no nonce was fetched ahead.
    without_nonce: bool,
    /// Held by whoever reads the directory.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Connected {
    fn change<T>(&self, url: &ServerUrl, change: impl FnOnce(&mut Connection) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(url.to_string()).or_default())
    }

    /// The server, if its directory was read lately.
    fn find(&self, url: &ServerUrl) -> Option<Server> {
        let known = self.change(url, |connection| connection.server.clone());
        known.filter(|(_, read)| read.elapsed() < DIRECTORY_LIFE).map(|(server, _)| server)
    }
}

impl Service {
    /// A service on `store`. When `interrupt` is cancelled, work in progress cleans up and ends.
    ///
    /// # Errors
    /// None at this time; the sealing key is read when it is needed.
    pub fn new(
        store: Store,
        surroundings: Surroundings,
        progress: Arc<dyn Progress>,
        interrupt: CancellationToken,
    ) -> Result<Self, CertificateError> {
        super::sealing::settle(&store);
        let sealing_key = Arc::new(super::sealing::sealing_key(&store, None));
        let transport = Arc::new(HttpTransport::new(surroundings.http.clone()));
        let mut surroundings = surroundings;
        surroundings.state.get_or_insert_with(|| PluginState::new(store.clone(), sealing_key.clone()));
        let (rehearsing, servers, lock_patience) = (false, Connected::default(), LOCK_PATIENCE);
        Ok(Service {
            store,
            sealing_key,
            sealing_place: None,
            transport,
            surroundings,
            progress,
            interrupt,
            rehearsing,
            servers,
            connections: Connections::default(),
            lock_patience,
        })
    }

    /// The same service for somebody who only looks: plugins change nothing, neither here nor at a service.
    pub(super) fn only_looking(&self) -> Self {
        let mut service = self.rehearsing_in(self.store.clone(), self.progress.clone());
        service.rehearsing = self.rehearsing;
        service.surroundings.state = self.surroundings.state.clone().map(PluginState::for_looking);
        service
    }

    /// The same service for a rehearsal in `store`.
    pub(super) fn rehearsing_in(&self, store: Store, progress: Arc<dyn Progress>) -> Self {
        Service {
            store,
            sealing_key: self.sealing_key.clone(),
            sealing_place: self.sealing_place.clone(),
            transport: self.transport.clone(),
            surroundings: self.surroundings.clone(),
            progress,
            interrupt: self.interrupt.clone(),
            rehearsing: true,
            servers: Connected::default(),
            connections: Connections::default(),
            lock_patience: self.lock_patience,
        }
    }

    /// The server, for requests that are signed: where its directory was not read lately, a nonce is fetched beside that.
    pub(super) async fn connect(&self, url: &ServerUrl) -> Result<Server, CertificateError> {
        let server = self.connect_with(url, false).await?;
        // After somebody who only looked, the first one fetches it, beside what else is prepared for the order.
        if self.servers.change(url, |connection| std::mem::take(&mut connection.without_nonce)) {
            server.fetch_nonces_ahead(1).await;
        }
        Ok(server)
    }

    /// The server, for who signs no request: no nonce is fetched.
    pub(super) async fn connect_to_look(&self, url: &ServerUrl) -> Result<Server, CertificateError> {
        self.connect_with(url, true).await
    }

    /// The server, whose directory is read where that was not done lately. For several certificates at once it is read
    /// once.
    async fn connect_with(&self, url: &ServerUrl, looking: bool) -> Result<Server, CertificateError> {
        if let Some(server) = self.servers.find(url) {
            return Ok(server);
        }
        let reading = self.servers.change(url, |connection| connection.reading.clone());
        let alone = reading.try_lock();
        if alone.is_err() {
            drop(reading.lock().await);
            // Where the first one had no luck, the others do not wait for each other's.
            if let Some(server) = self.servers.find(url) {
                return Ok(server);
            }
        }
        let known = self.before_asking(url, looking);
        let server = Server::connect_knowing(self.transport.clone(), url.as_str(), &known).await;
        let server = server.map_err(acme(url, "reading the directory"))?;
        let read = (server.clone(), Instant::now());
        self.servers.change(url, |connection| {
            connection.server = Some(read);
            connection.without_nonce = looking;
        });
        Ok(server)
    }

    /// What is known of a server before it is asked. Of what its directory said last, nothing counts until it is said again;
    /// where its nonces are is nothing to who only looks.
    fn before_asking(&self, url: &ServerUrl, looking: bool) -> Known {
        let mut known = Known::default();
        if !looking {
            known.new_nonce = self.store.new_nonce(url.as_str()).and_then(|url| url.parse().ok());
        }
        if url.code().is_some() {
            known.at_once = AT_ONCE_AT_PUBLIC;
        }
        known
    }

    /// Notes what helps the next run to be quick at this server; that it cannot be noted costs that run a round trip.
    pub(super) fn note_directory(&self, url: &ServerUrl, server: &Server) {
        let new_nonce = &server.directory().new_nonce;
        if !self.rehearsing
            && let Err(error) = self.store.note_new_nonce(url.as_str(), new_nonce.as_str())
        {
            tracing::debug!(error = super::with_causes(&error), "what the directory says is not noted");
        }
    }

    /// With this much patience for another process that works on the same certificate (15 minutes else); zero for none.
    #[must_use]
    pub fn with_lock_patience(mut self, patience: Duration) -> Self {
        self.lock_patience = patience;
        self
    }

    pub(super) async fn lock(&self, cert: &CertName) -> Result<CertLock, CertificateError> {
        let waiting = |holder: &crate::store::LockHolder| {
            self.progress.event(cert, Event::WaitingForLock { holder: &holder.0 });
        };
        Ok(self.unless_interrupted(self.store.lock(cert, self.lock_patience, waiting)).await??)
    }

    /// Drops `work` where it stands when the service is interrupted: only for work that leaves nothing behind.
    pub(super) async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, CertificateError> {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => Err(CertificateError::Interrupted),
            done = work => Ok(done),
        }
    }
}

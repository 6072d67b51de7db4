//! The service: what all work on certificates shares.

use std::sync::Arc;
use std::time::Duration;

use livecert_acme::{HttpTransport, Transport};
use tokio_util::sync::CancellationToken;

use super::CertificateError;
use super::connect::KnownServers;
use super::connections::Connections;
use super::outage::{self, Outages};
use crate::plugin::{PluginState, Surroundings};
use crate::progress::{Event, Progress};
use crate::secret::{KeyPlace, SealingKey};
use crate::store::{CertLock, CertName, Store};

/// How long another process may work on the same certificate before this one gives up, where nothing else is said.
const LOCK_PATIENCE: Duration = Duration::from_secs(15 * 60);

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
    pub(super) servers: KnownServers,
    pub(super) outages: Outages,
    pub(super) connections: Connections,
    pub(super) lock_patience: Duration,
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
        let (rehearsing, servers, lock_patience) = (false, KnownServers::default(), LOCK_PATIENCE);
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
            outages: Outages::new(outage::PATIENCE),
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
            servers: KnownServers::default(),
            outages: self.outages.afresh(),
            connections: Connections::default(),
            lock_patience: self.lock_patience,
        }
    }

    /// With this much patience for another process that works on the same certificate (15 minutes else); zero for none.
    #[must_use]
    pub fn with_lock_patience(mut self, patience: Duration) -> Self {
        self.lock_patience = patience;
        self
    }

    /// With this much patience for a server that answers nobody (20 seconds else), before those that come later in the same run
    /// are told at once, or go to the next server.
    #[must_use]
    pub fn with_server_patience(mut self, patience: Duration) -> Self {
        self.outages = Outages::new(patience);
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

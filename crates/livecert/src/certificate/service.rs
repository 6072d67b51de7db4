//! The service: what all work on certificates shares.

use std::sync::Arc;
use std::time::Duration;

use livecert_acme::{HttpTransport, Transport};
use tokio_util::sync::CancellationToken;

use super::CertificateError;
use crate::plugin::Surroundings;
use crate::progress::{Event, Progress};
use crate::secret::SealingKey;
use crate::store::{CertLock, CertName, Store};

/// How long another process may work on the same certificate before this one gives up.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Makes and renews certificates in one store.
pub struct Service {
    pub(super) store: Store,
    pub(super) sealing_key: Arc<SealingKey>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) surroundings: Surroundings,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) interrupt: CancellationToken,
    /// Nothing is kept, and nothing outside of DNS is to happen, such as a hook.
    pub(super) rehearsing: bool,
}

impl Service {
    /// A service on `store`. When `interrupt` is cancelled, work in progress cleans up and ends.
    ///
    /// # Errors
    /// The sealing key cannot be read or made.
    pub fn new(
        store: Store,
        surroundings: Surroundings,
        progress: Arc<dyn Progress>,
        interrupt: CancellationToken,
    ) -> Result<Self, CertificateError> {
        let sealing_key = Arc::new(SealingKey::load_or_create(&store.sealing_key())?);
        let transport = Arc::new(HttpTransport::new(surroundings.http.clone()));
        let rehearsing = false;
        Ok(Service { store, sealing_key, transport, surroundings, progress, interrupt, rehearsing })
    }

    /// The same service for a rehearsal in `store`.
    pub(super) fn rehearsing_in(&self, store: Store, progress: Arc<dyn Progress>) -> Self {
        Service {
            store,
            sealing_key: self.sealing_key.clone(),
            transport: self.transport.clone(),
            surroundings: self.surroundings.clone(),
            progress,
            interrupt: self.interrupt.clone(),
            rehearsing: true,
        }
    }

    pub(super) async fn lock(&self, cert: &CertName) -> Result<CertLock, CertificateError> {
        let waiting = |holder: &crate::store::LockHolder| {
            self.progress.event(cert, Event::WaitingForLock { holder: &holder.0 });
        };
        Ok(self.unless_interrupted(self.store.lock(cert, LOCK_PATIENCE, waiting)).await??)
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

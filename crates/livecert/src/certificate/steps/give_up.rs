//! An order that is given up.

use livecert_acme::{AuthorizationStatus, OrderStatus};

use super::super::order::deactivate;
use super::super::sweep::COURTESY;
use super::super::{CertificateError, ServerUrl, Service, with_causes};
use super::new::settings_digest;
use crate::store::{CertLock, CertName, Draft, PendingOrder, StoreError};

/// What became of the settings that were stored with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsAfter {
    /// Those from before the order are stored again.
    Restored,
    /// They stay: they are those from before, or were changed meanwhile.
    Kept,
    /// There is no certificate, and were no settings before: nothing is left of it.
    Forgotten,
}

/// An order that was given up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GivenUp {
    /// The certificate's name in the store.
    pub cert: CertName,
    /// URL of the order; `None` if there was none.
    pub url: Option<String>,
    /// How many of its authorizations were pending, and are deactivated; `None` if the server could not be asked: then
    /// they end by themselves.
    pub deactivated: Option<usize>,
    /// What became of the settings.
    pub settings: SettingsAfter,
}

impl Service {
    /// Gives the open order of a certificate up: what was published for it is removed, pending authorizations are
    /// deactivated, key and order are deleted. The certificate in place stays, with the settings from before the order.
    ///
    /// # Errors
    /// There is no such certificate, or the store cannot be written.
    pub async fn remove_order(&self, cert: &CertName) -> Result<GivenUp, CertificateError> {
        self.store.find_removable(cert)?;
        self.unless_interrupted(self.sweep_first(std::slice::from_ref(cert))).await?;
        let lock = self.lock(cert).await?;
        self.store.finish_left_behind(cert, &lock)?;
        let settings = SettingsAfter::Kept;
        let Some((mut draft, pending)) = self.store.left_behind(cert, &lock)? else {
            return Ok(GivenUp { cert: cert.clone(), url: None, deactivated: None, settings });
        };
        let deactivated = self.unless_interrupted(self.forsake(cert, &pending)).await?;
        if let Ok(server) = pending.server.parse() {
            self.note_no_certificate(&server, &pending.account, cert);
        }
        let settings = self.settings_before(cert, &draft, &pending)?;
        draft.keep(false);
        drop(draft);
        if settings == SettingsAfter::Forgotten {
            self.forget_all(cert, &lock)?;
        }
        Ok(GivenUp { cert: cert.clone(), url: Some(pending.url), deactivated, settings })
    }

    /// Brings the settings from before an order back, unless somebody has changed them since.
    fn settings_before(
        &self,
        cert: &CertName,
        draft: &Draft,
        pending: &PendingOrder,
    ) -> Result<SettingsAfter, StoreError> {
        let Some(now) = self.store.find_record(cert)? else {
            // A certificate whose settings are gone is one all the same.
            return Ok(match self.store.current(cert)? {
                None => SettingsAfter::Forgotten,
                Some(_) => SettingsAfter::Kept,
            });
        };
        if !pending.kept || pending.settings != settings_digest(&now) {
            return Ok(SettingsAfter::Kept);
        }
        match draft.before()? {
            Some(before) if before == now => Ok(SettingsAfter::Kept),
            Some(before) => {
                self.save_settings(cert, &before)?;
                Ok(SettingsAfter::Restored)
            }
            None if self.store.current(cert)?.is_none() => Ok(SettingsAfter::Forgotten),
            None => Ok(SettingsAfter::Kept),
        }
    }

    /// Forgets a certificate of which nothing but an order was ever there.
    fn forget_all(&self, cert: &CertName, lock: &CertLock) -> Result<(), StoreError> {
        if self.store.cert_folder(cert).exists() {
            self.store.remove(cert, lock)?;
            self.store.close_unless_shared();
        }
        Ok(())
    }

    /// Deactivates the pending authorizations of an order that nobody goes on with. A courtesy: nobody waits for it for long,
    /// and a CA ends them by itself. Gives how many there were; `None` if that is not known.
    pub(in crate::certificate) async fn forsake(
        &self,
        cert: &CertName,
        pending: &PendingOrder,
    ) -> Option<usize> {
        let work = async {
            let server: ServerUrl = pending.server.parse()?;
            let Some(placed) = self.find_placed(&server, pending).await? else { return Ok(Some(0)) };
            if placed.order.status != OrderStatus::Pending {
                return Ok(Some(0));
            }
            let authorizations = &placed.order.authorizations;
            let mut open = 0;
            for url in authorizations {
                let read = placed.account.authorization(url).await;
                open += usize::from(read.is_ok_and(|one| one.status == AuthorizationStatus::Pending));
            }
            let left = deactivate(&placed.account, authorizations, &[AuthorizationStatus::Pending]).await;
            Ok::<_, CertificateError>(left.is_empty().then_some(open))
        };
        match tokio::time::timeout(COURTESY, work).await {
            Ok(Ok(deactivated)) => deactivated,
            Ok(Err(error)) => {
                tracing::info!(%cert, error = with_causes(&error), "authorizations may still be pending");
                None
            }
            Err(_) => None,
        }
    }
}

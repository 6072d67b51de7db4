//! A certificate is forgotten: its files, its keys, what a renewal would need.

use jiff::Timestamp;

use super::revoke::is_revoked_already;
use super::{CertificateError, RevocationRequest, Service};
use crate::plugin::TxtRecord;
use crate::store::{CertLock, CertName, JournalName};

/// What became of a certificate that is not in the store any more.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Removed {
    /// The name that it had.
    pub cert: CertName,
    /// It was revoked, now or before.
    pub revoked: bool,
    /// TXT values of ours that may still be in DNS; the journal knows of them, and each sweep tries to remove them.
    pub left: Vec<TxtRecord>,
}

impl Service {
    /// Removes a certificate from the store, with all generations; first it is revoked, if `revoke` says so and it has not
    /// ended. Before that, what dead runs left in DNS is removed; what cannot be is remembered without the certificate.
    ///
    /// # Errors
    /// There is no such certificate, it is worked on, the revocation failed (it is still there then), or its files cannot
    /// be removed.
    pub async fn remove(&self, cert: &CertName, revoke: bool) -> Result<Removed, CertificateError> {
        self.store.find_removable(cert)?;
        self.unless_interrupted(self.sweep_first(&[])).await?;
        let lock = self.lock(cert).await?;
        // Whoever was waited for may have removed it.
        self.store.find_removable(cert)?;
        let revoked = revoke && self.revoke_first(cert, &lock).await?;
        // No journal knows of an order that a person was to go on with.
        if let Some(order) = self.store.pending_order(cert)?.filter(|order| order.kept) {
            self.forsake(cert, &order).await;
        }
        self.store.remove(cert, &lock)?;
        self.store.close_unless_shared();
        let publications = self.store.publications(&JournalName::from(cert))?;
        let records = publications.iter().flat_map(|publication| &publication.records);
        let left = records.map(super::ledger::txt_record).collect();
        Ok(Removed { cert: cert.clone(), revoked, left })
    }

    /// Whether there is a revoked certificate now. That is noted, because it may stay there, if what comes next fails.
    async fn revoke_first(&self, cert: &CertName, lock: &CertLock) -> Result<bool, CertificateError> {
        let current = self.store.current(cert)?.filter(|current| current.info.not_after > Timestamp::now());
        let Some(current) = current else { return Ok(false) };
        let request = RevocationRequest {
            account: None,
            cert: Some(cert.clone()),
            cert_file: None,
            key_file: None,
            server: None,
            reason: None,
        };
        match self.revoke_at_server(&request, Some(&current)).await {
            Err(error) if !is_revoked_already(&error) => return Err(error),
            _ => {}
        }
        self.store.note_revoked(cert, lock, current.number, Timestamp::now())?;
        Ok(true)
    }
}

//! Which account a certificate is asked for with: its own, as long as there is one. A CA counts a renewal as one only for
//! the account that had the certificate before (RFC 9773 §5), and records in DNS may name it (RFC 8657, dns-persist-01).

use super::settings::Settings;
use super::{CertificateError, IssueRequest, ServerUrl, Service};
use crate::store::{AccountRecord, CertName, CertificateRecord, Generation, Store, StoreError};

/// Settles the account of a request at its home: the one that is named, else the stored one. Whether that is another than the
/// certificate has.
pub(super) fn settle_account(
    store: &Store,
    settings: &mut Settings,
    request: &IssueRequest,
    stored: Option<&CertificateRecord>,
) -> Result<bool, CertificateError> {
    let home = settings.home().clone();
    let at_home = stored.filter(|stored| stored.server == home.as_str());
    let Some(called) = &request.account else {
        settings.account = at_home.and_then(|stored| stored.account.clone());
        return Ok(false);
    };
    let missing = || no_account(store, &home, Some(called));
    let record = store.account_called(home.as_str(), Some(called))?.ok_or_else(missing)?;
    let known = match at_home {
        Some(stored) => account_in_store(store, &request.check()?, stored),
        None => None,
    };
    let changed = known.is_some_and(|known| !record.has_url(&known));
    settings.account = Some(record.url.ok_or_else(missing)?);
    Ok(changed)
}

/// URL of the account that a certificate of the store has at its home.
pub(super) fn account_in_store(store: &Store, cert: &CertName, record: &CertificateRecord) -> Option<String> {
    let ordered = || {
        let current = store.current(cert).ok().flatten()?;
        current.info.account.filter(|_| current.info.server == record.server)
    };
    record.account.clone().or_else(ordered)
}

/// There is none, or none that is called so.
pub(super) fn no_account(store: &Store, url: &ServerUrl, called: Option<&str>) -> CertificateError {
    let server = url.to_string();
    let known = store.accounts_at(url.as_str()).unwrap_or_default();
    let known: Vec<_> = known.iter().map(|account| account.id().to_owned()).collect();
    match called {
        Some(called) => CertificateError::NoSuchAccount { server, account: called.to_owned(), known },
        None => CertificateError::NoAccount { server },
    }
}

impl Service {
    /// The account that a certificate is asked for with at a server: its own there, else the one in use. `None` if there is
    /// none yet.
    pub(super) fn account_for(
        &self,
        server: &ServerUrl,
        settings: &Settings,
        current: Option<&Generation>,
    ) -> Result<Option<AccountRecord>, StoreError> {
        let set = settings.account.as_deref().filter(|_| server == settings.home());
        let current = current.filter(|current| current.info.server == server.as_str());
        let ordered = current.and_then(|current| current.info.account.as_deref());
        for url in set.into_iter().chain(ordered) {
            if let Some(account) = self.store.account_called(server.as_str(), Some(url))? {
                return Ok(Some(account));
            }
        }
        self.store.account(server.as_str())
    }

    /// The certificates that are renewed with an account.
    pub(super) fn certificates_with(&self, account: &AccountRecord) -> Result<Vec<String>, StoreError> {
        let in_use = self.store.account(&account.server)?.is_some_and(|in_use| in_use == *account);
        let mut certificates = self.store.cert_names()?;
        certificates.retain(|cert| {
            // One that cannot be read is told elsewhere.
            let record = self.store.find_record(cert).ok().flatten();
            let Some(record) = record.filter(|record| record.server == account.server) else { return false };
            account_in_store(&self.store, cert, &record).map_or(in_use, |url| account.has_url(&url))
        });
        Ok(certificates.iter().map(CertName::to_string).collect())
    }
}

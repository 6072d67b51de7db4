//! An account that its server does not know any more, or has ended: found again by its key, or made anew in its place.

use std::time::Duration;

use futures_util::future::join_all;
use livecert_acme::{Account, AccountStatus, ErrorClass, Server};

use super::account::{AccountRequest, Found, account_info, acme, generate, is_unknown, type_of};
use super::settings::Settings;
use super::{CertificateError, ServerUrl, Service};
use crate::challenge::{StandingRecord, standing_name};
use crate::progress::Event;
use crate::store::CertName;

/// How long it is looked which records in DNS name an account that was replaced.
const STALE_NAMES_LIMIT: Duration = Duration::from_secs(20);

impl Service {
    /// The stored account, or a new one, which the server knows at this moment: for what is written down elsewhere and has
    /// to last.
    pub(super) async fn living_account_at(
        &self,
        cert: &CertName,
        server: &Server,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<Account, CertificateError> {
        let Found { account, made, .. } = self.account_at(server, url, request).await?;
        if made {
            return Ok(account);
        }
        match account_info(&account).await {
            Ok(info) if !matches!(info.status, AccountStatus::Deactivated | AccountStatus::Revoked) => {
                return Ok(account);
            }
            Err(error) if error.class() != ErrorClass::AccountGone && !is_unknown(&error) => {
                return Err(acme(url, "reading the account")(error));
            }
            _ => {}
        }
        let living = self.account_again(&account, url, request).await?;
        if living.url() != account.url() {
            // The next issue tells what else names it.
            let (old, new) = (account.url().as_str(), living.url().as_str());
            self.progress.event(cert, Event::AccountReplaced { old, new, todo: &[] });
        }
        Ok(living)
    }

    /// An account for a server that does not know the old one any more, or has deactivated it: the one that the key has
    /// there, else a new one. The old one is kept aside.
    pub(super) async fn account_again(
        &self,
        account: &Account,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<Account, CertificateError> {
        let _lock = self.store.lock_account(url.as_str()).await?;
        let called = Some(account.url().as_str());
        let Some(mut record) = self.store.account_called(url.as_str(), called)? else {
            return Ok(account.clone());
        };
        let (server, old) = (account.server(), account.url().to_string());
        if let Some(other) = record.url.as_deref().filter(|url| *url != old).and_then(|url| url.parse().ok())
        {
            // Another process was faster.
            return Ok(server.account(self.open_key(&record)?, other));
        }
        let key = match server.find_account_info(account.key().clone()).await {
            Ok((found, info)) if info.status == AccountStatus::Valid => {
                // It lives, whatever the server said a moment ago, or has another URL now.
                if found.url() != account.url() {
                    record.set_url(found.url().to_string());
                    self.store.save_account(&record)?;
                }
                return Ok(found);
            }
            // Its key can never be used again.
            Ok(_) => None,
            Err(error) if is_unknown(&error) => Some(account.key().clone()),
            Err(error) if error.class() == ErrorClass::AccountGone => None,
            Err(error) => return Err(acme(url, "looking for the account")(error)),
        };
        if server.directory().meta.external_account_required && request.external_account.is_none() {
            return Err(CertificateError::ExternalAccountRequired { server: url.to_string() });
        }
        let terms = server.terms_of_service().map(str::to_owned);
        if terms.is_some() && terms != record.terms && !request.accept_tos {
            return Err(CertificateError::TermsNotAccepted { server: url.to_string(), terms });
        }
        let key = match (key, request.key_type) {
            (Some(key), None) => key,
            (_, Some(kind)) => generate(kind).await?,
            (None, None) => generate(type_of(account.key())?).await?,
        };
        let external = self.external_account(request.external_account.as_ref()).await?;
        let mut fresh = self.record(url, terms, record.contact.clone(), &key)?;
        fresh.take_place_of(&record);
        self.store.replace_account(&fresh)?;
        let made = self.create(server, url, key, &record.contact, external).await?;
        fresh.url = Some(made.url().to_string());
        self.store.save_account(&fresh)?;
        Ok(made)
    }

    /// Tells once that an account was replaced, and what names the old one in DNS.
    pub(super) async fn tell_of_replacement(
        &self,
        cert: &CertName,
        account: &Account,
        url: &ServerUrl,
        settings: &Settings,
    ) -> Result<(), CertificateError> {
        let stored = self.store.account_called(url.as_str(), Some(account.url().as_str()))?;
        let Some(old) = stored.and_then(|record| record.replaces) else { return Ok(()) };
        let looking = tokio::time::timeout(STALE_NAMES_LIMIT, self.names_of_account(&old, settings));
        let todo = looking.await.unwrap_or_default();
        let new = account.url().as_str();
        self.progress.event(cert, Event::AccountReplaced { old: &old, new, todo: &todo });
        let _lock = self.store.lock_account(url.as_str()).await?;
        if let Some(mut record) = self.store.account_called(url.as_str(), Some(account.url().as_str()))? {
            record.replaces = None;
            self.store.save_account(&record)?;
        }
        Ok(())
    }

    /// Records in DNS that name an account: CAA with `accounturi` (RFC 8657) and standing records of dns-persist-01. What
    /// cannot be looked up is not told.
    async fn names_of_account(&self, account: &str, settings: &Settings) -> Vec<String> {
        let mut found = Vec::new();
        let Ok(view) = self.view(&settings.propagation) else { return found };
        for (base, set) in self.caa_of(settings, &crate::challenge::Placement::default()).await {
            if let Ok(Some(set)) = set {
                let named = set.records.iter().filter(|record| record.value.contains(account));
                found.extend(named.map(|record| {
                    format!("{} CAA 0 {} \"{}\" (counts for {base})", set.domain, record.tag, record.value)
                }));
            }
        }
        let domains = settings.domains();
        let standing = |base: &String| {
            let (at, view) = (standing_name(base), &view);
            async move {
                let values = view.values(&at).await.unwrap_or_default();
                (at, values)
            }
        };
        for (at, values) in join_all(domains.iter().map(standing)).await {
            let ours =
                |value: &&String| StandingRecord::parse(value).is_ok_and(|record| record.account == account);
            found.extend(values.iter().filter(ours).map(|value| format!("{at} TXT \"{value}\"")));
        }
        found
    }
}

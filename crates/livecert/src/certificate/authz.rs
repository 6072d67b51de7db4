//! Authorizations by themselves, and what proves that an account answers a challenge.

use livecert_acme::Identifier;
use url::Url;

use super::account::acme;
use super::{CertificateError, ServerUrl, Service, SubjectName};

impl Service {
    /// Proves a name before there is an order for it (RFC 8555 §7.4.1): only makes the authorization.
    ///
    /// # Errors
    /// There is no account, the server does not offer it, or refuses.
    pub async fn pre_authorize(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        name: &SubjectName,
    ) -> Result<livecert_acme::Authorization, CertificateError> {
        let account = self.required_account(url, called).await?;
        let identifier: Identifier = name.identifier();
        account.pre_authorize(&identifier).await.map_err(acme(url, "the pre-authorization"))
    }

    /// Reads authorizations.
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn authorizations(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        urls: &[Url],
    ) -> Result<Vec<livecert_acme::Authorization>, CertificateError> {
        let account = self.required_account(url, called).await?;
        let read = each(urls, async |one| account.authorization(one).await).await;
        read.map_err(acme(url, "reading an authorization"))
    }

    /// Gives authorizations up (RFC 8555 §7.5.2).
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn deactivate_authorizations(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        urls: &[Url],
    ) -> Result<Vec<livecert_acme::Authorization>, CertificateError> {
        let account = self.required_account(url, called).await?;
        let read = each(urls, async |one| account.deactivate_authorization(one).await).await;
        read.map_err(acme(url, "deactivating an authorization"))
    }

    /// What proves that an account at a server answers a challenge with `token` (RFC 8555 §8.1). Nobody is asked.
    ///
    /// # Errors
    /// There is no account, or its key cannot be opened.
    pub fn key_authorization(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        token: &livecert_acme::Token,
    ) -> Result<livecert_acme::KeyAuthorization, CertificateError> {
        let key = self.open_key(&self.account_record(url, called)?)?;
        Ok(livecert_acme::KeyAuthorization::new(token, &key))
    }
}

/// Asks for one authorization after the other; the first refusal ends it.
async fn each(
    urls: &[Url],
    ask: impl AsyncFn(&Url) -> Result<livecert_acme::Authorization, livecert_acme::Error>,
) -> Result<Vec<livecert_acme::Authorization>, livecert_acme::Error> {
    let mut all = Vec::new();
    for url in urls {
        all.push(ask(url).await?);
    }
    Ok(all)
}

//! The account at a server: made once, reused after.

use livecert_acme::{Account, AccountKey, AccountKeyType, NewAccount, Server};
use secrecy::ExposeSecret;

use super::{CertificateError, IssueRequest, ServerUrl, Service};
use crate::key::{KeyError, KeyType, PrivateKey};
use crate::progress::Event;
use crate::store::{AccountRecord, CertName};

impl Service {
    pub(super) async fn connect(&self, server: &ServerUrl) -> Result<Server, CertificateError> {
        let connected = Server::connect(self.transport.clone(), server.as_str()).await;
        connected.map_err(acme(server, "reading the directory"))
    }

    /// The stored account, or a new one.
    pub(super) async fn account(
        &self,
        cert: &CertName,
        server: &Server,
        url: &ServerUrl,
        request: &IssueRequest,
    ) -> Result<Account, CertificateError> {
        // Two first certificates at once must not make two accounts.
        let _lock = self.store.lock_account(url.as_str()).await?;
        let stored = self.store.account(url.as_str())?;
        if let Some(stored) = &stored
            && let Some(account_url) = stored.url.as_deref().and_then(|url| url.parse().ok())
        {
            return Ok(server.account(self.open_key(stored)?, account_url));
        }
        // A key without URL is from a run that died before the server's answer: the same key finds that account.
        let (key, mut record) = match stored {
            Some(record) => (self.open_key(&record)?, record),
            None => self.new_key(server, url, request)?,
        };
        let mut new = NewAccount::default();
        new.contact = record.contact.iter().map(|mail| format!("mailto:{mail}")).collect();
        new.terms_of_service_agreed = true;
        let account = server.create_account(key, &new).await.map_err(acme(url, "making the account"))?;
        record.url = Some(account.url().to_string());
        self.store.save_account(&record)?;
        self.progress.event(cert, Event::AccountCreated { url: account.url().as_str() });
        Ok(account)
    }

    /// The account at a server that was used before; `None` if there is none.
    pub(super) async fn known_account(&self, url: &ServerUrl) -> Result<Option<Account>, CertificateError> {
        let Some(stored) = self.store.account(url.as_str())? else { return Ok(None) };
        let Some(account_url) = stored.url.as_deref().and_then(|url| url.parse().ok()) else {
            return Ok(None);
        };
        let server = self.connect(url).await?;
        Ok(Some(server.account(self.open_key(&stored)?, account_url)))
    }

    /// Makes a new account with the same key, for a server that has forgotten the old one.
    pub(super) async fn account_again(
        &self,
        account: &Account,
        url: &ServerUrl,
    ) -> Result<Account, CertificateError> {
        let Some(mut record) = self.store.account(url.as_str())? else { return Ok(account.clone()) };
        let mut new = NewAccount::default();
        new.contact = record.contact.iter().map(|mail| format!("mailto:{mail}")).collect();
        new.terms_of_service_agreed = true;
        let made = account.server().create_account(account.key().clone(), &new).await;
        let made = made.map_err(acme(url, "making the account again"))?;
        record.url = Some(made.url().to_string());
        self.store.save_account(&record)?;
        Ok(made)
    }

    fn new_key(
        &self,
        server: &Server,
        url: &ServerUrl,
        request: &IssueRequest,
    ) -> Result<(AccountKey, AccountRecord), CertificateError> {
        let terms = server.terms_of_service().map(str::to_owned);
        if terms.is_some() && !request.accept_tos {
            return Err(CertificateError::TermsNotAccepted { server: url.to_string(), terms });
        }
        if server.directory().meta.external_account_required {
            return Err(CertificateError::ExternalAccountRequired { server: url.to_string() });
        }
        let key = generate(request.account_key_type.unwrap_or_default())?;
        let place = AccountRecord::sealing_place(url.as_str());
        let sealed = self.sealing_key.seal(&place, &key.to_pkcs8_der())?;
        let record = AccountRecord::new(url.as_str().to_owned(), terms, request.contact.clone(), sealed);
        self.store.save_account(&record)?;
        Ok((key, record))
    }

    fn open_key(&self, record: &AccountRecord) -> Result<AccountKey, CertificateError> {
        let opened = self.sealing_key.open(&AccountRecord::sealing_place(&record.server), &record.key)?;
        AccountKey::from_pkcs8_der(opened.expose_secret())
            .map_err(|_| CertificateError::AccountKey { server: record.server.clone() })
    }
}

fn generate(kind: KeyType) -> Result<AccountKey, CertificateError> {
    let made = match kind {
        KeyType::Ec256 => AccountKey::generate(AccountKeyType::EcdsaP256),
        KeyType::Ec384 => AccountKey::generate(AccountKeyType::EcdsaP384),
        rsa => {
            return AccountKey::from_pkcs8_der(&PrivateKey::generate(rsa)?.pkcs8_der()?)
                .map_err(|_| KeyError::Generation.into());
        }
    };
    made.map_err(|_| KeyError::Generation.into())
}

/// Says at which server and step an ACME error came.
pub(super) fn acme(
    server: &ServerUrl,
    step: &'static str,
) -> impl FnOnce(livecert_acme::Error) -> CertificateError {
    let server = server.to_string();
    move |source| CertificateError::Acme { step, server, source }
}

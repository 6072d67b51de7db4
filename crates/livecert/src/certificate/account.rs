//! The account at a server: made once, reused after, and made anew when the server has lost it.

use jiff::Timestamp;
use livecert_acme::{
    Account, AccountInfo, AccountKey, AccountKeyType, ErrorClass, ExternalAccount, NewAccount, ProblemKind,
    Server,
};
use secrecy::ExposeSecret;

use super::settings::{ExternalAccountRequest, Settings};
use super::{CertificateError, IssueRequest, ServerUrl, Service};
use crate::key::{KeyError, KeyType, PrivateKey};
use crate::progress::Event;
use crate::store::{AccountRecord, CertName, Lock};

/// What an account is made with.
#[derive(Debug, Clone, Default)]
pub struct AccountRequest {
    /// Which one of the store, by its name, id or URL, if there are several at the server; the one in use, if none is named
    /// or there is no such one.
    pub account: Option<String>,
    /// A new one beside those that are there.
    pub another: bool,
    /// The user's own name for a new one.
    pub name: Option<String>,
    /// Whether the server's terms are accepted.
    pub accept_tos: bool,
    /// Mail addresses.
    pub contact: Vec<String>,
    /// Type of the key.
    pub key_type: Option<KeyType>,
    /// A key that is there already, instead of a new one.
    pub key: Option<AccountKey>,
    /// What the server knows its customer by.
    pub external_account: Option<ExternalAccountRequest>,
}

impl From<&IssueRequest> for AccountRequest {
    fn from(request: &IssueRequest) -> Self {
        AccountRequest {
            account: request.account.clone(),
            another: false,
            name: None,
            accept_tos: request.accept_tos,
            contact: request.contact.clone(),
            key_type: request.account_key_type,
            key: None,
            external_account: request.external_account.clone(),
        }
    }
}

/// An account at a server.
pub(super) struct Found {
    pub(super) account: Account,
    /// It was made just now.
    pub(super) made: bool,
    /// It has taken the place of another one, which is still to be told.
    replaces: bool,
}

/// Whether there are terms of the server to be accepted that were not when the account was made.
fn has_changed_terms(server: &Server, record: &AccountRecord, request: &AccountRequest) -> bool {
    let terms = server.terms_of_service();
    request.accept_tos && terms.is_some() && terms != record.terms.as_deref()
}

impl Service {
    /// The stored account, or a new one.
    pub(super) async fn account(
        &self,
        cert: &CertName,
        server: &Server,
        url: &ServerUrl,
        request: &AccountRequest,
        settings: &Settings,
    ) -> Result<Account, CertificateError> {
        let Found { account, made, replaces } = self.account_at(server, url, request).await?;
        if made {
            self.progress.event(cert, Event::AccountCreated { url: account.url().as_str() });
        }
        if replaces {
            self.tell_of_replacement(cert, &account, url, settings).await?;
        }
        Ok(account)
    }

    /// The stored account, or a new one.
    pub(super) async fn account_at(
        &self,
        server: &Server,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<Found, CertificateError> {
        // Mostly there is one, and nothing to be changed about it: a thousand renewals need not take turns to read it.
        if let Some(stored) = self.stored_for(url, request)?
            && stored.next_key.is_none()
            && !has_changed_terms(server, &stored, request)
            && let Some(account) = self.account_of(server, &stored)?
        {
            return Ok(Found { account, made: false, replaces: stored.replaces.is_some() });
        }
        // Two first certificates at once must not make two accounts.
        let _lock = self.store.lock_account(url.as_str()).await?;
        let mut stored = self.stored_for(url, request)?;
        if let Some(stored) = &mut stored {
            self.settle_roll_over(server, url, stored).await?;
        }
        if let Some(stored) = &mut stored
            && let Some(account) = self.account_of(server, stored)?
        {
            self.accept_changed_terms(&account, url, stored, request).await?;
            return Ok(Found { account, made: false, replaces: stored.replaces.is_some() });
        }
        // A key without URL is from a run that died before the server's answer: the same key finds that account. What it
        // was to be made with may have been what was wrong.
        let (key, mut record) = match stored {
            Some(mut record) if request.key.is_none() && request.key_type.is_none() => {
                if !request.contact.is_empty() {
                    record.contact.clone_from(&request.contact);
                }
                (self.open_key(&record)?, record)
            }
            // Its place is for the key that was given.
            Some(waiting) => {
                let made = self.new_key(server, url, request).await?;
                self.store.remove_account(&waiting)?;
                made
            }
            None => self.new_key(server, url, request).await?,
        };
        let external = self.external_account(request.external_account.as_ref()).await?;
        let account = self.create(server, url, key, &record.contact, external).await?;
        let known = self.store.account_called(url.as_str(), Some(account.url().as_str()))?;
        // One that waited for its URL may have that of old times again.
        if known.is_some_and(|known| !known.is_same(&record)) {
            // The key that was given is that of an account which is there already.
            self.store.remove_account(&record)?;
            return Err(account_exists(url, account.url().as_str()));
        }
        record.url = Some(account.url().to_string());
        self.store.save_account(&record)?;
        Ok(Found { account, made: true, replaces: record.replaces.is_some() })
    }

    /// A stored account as the server knows it; `None` while it waits for its URL.
    fn account_of(
        &self,
        server: &Server,
        stored: &AccountRecord,
    ) -> Result<Option<Account>, CertificateError> {
        let Some(url) = stored.url.as_deref().and_then(|url| url.parse().ok()) else { return Ok(None) };
        Ok(Some(server.account(self.open_key(stored)?, url)))
    }

    /// The account of the store that a request means; for another one, the key of a run that died before the server's answer.
    fn stored_for(
        &self,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<Option<AccountRecord>, CertificateError> {
        if request.another {
            let mut waiting = self.store.accounts_at(url.as_str())?;
            waiting.retain(|account| account.url.is_none() && account.name == request.name);
            return Ok(waiting.pop());
        }
        let called = match &request.account {
            Some(called) => self.store.account_called(url.as_str(), Some(called))?,
            None => None,
        };
        Ok(called.map_or_else(|| self.store.account(url.as_str()), |called| Ok(Some(called)))?)
    }

    /// Accepts terms that the server has changed since the account was made, where that is asked for.
    async fn accept_changed_terms(
        &self,
        account: &Account,
        url: &ServerUrl,
        record: &mut AccountRecord,
        request: &AccountRequest,
    ) -> Result<(), CertificateError> {
        if !has_changed_terms(account.server(), record, request) {
            return Ok(());
        }
        match account.agree_to_terms().await {
            Ok(_) => {}
            // The order finds that out too, and knows what to do about it.
            Err(error) if error.class() == ErrorClass::AccountGone => return Ok(()),
            Err(error) => return Err(acme(url, "accepting the terms")(error)),
        }
        record.terms = account.server().terms_of_service().map(str::to_owned);
        Ok(self.store.save_account(record)?)
    }

    /// Asks the server for an account. One that it makes without our contacts is better than none.
    pub(super) async fn create(
        &self,
        server: &Server,
        url: &ServerUrl,
        key: AccountKey,
        contact: &[String],
        external: Option<ExternalAccount>,
    ) -> Result<Account, CertificateError> {
        let mut new = NewAccount::default();
        if self.tells_contacts(url)? {
            new.contact = contact.iter().map(|mail| format!("mailto:{mail}")).collect();
        }
        new.terms_of_service_agreed = true;
        new.external_account = external;
        let made = server.create_account(key, &new).await.map_err(|error| {
            match error.problem().map(livecert_acme::Problem::kind) {
                Some(ProblemKind::ExternalAccountRequired) => {
                    CertificateError::ExternalAccountRequired { server: url.to_string() }
                }
                _ => acme(url, "making the account")(error),
            }
        })?;
        // What was said of the account before is not about this one.
        self.forget_server_hold(url.as_str(), Timestamp::MAX);
        Ok(made)
    }

    /// The account at a server that is called so, or that is in use there; `None` if there is none.
    pub(super) async fn known_account(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
    ) -> Result<Option<Account>, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        self.known_account_under(url, called, &lock).await
    }

    /// The same, for who holds the account's lock.
    pub(super) async fn known_account_under(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        _lock: &Lock,
    ) -> Result<Option<Account>, CertificateError> {
        let Some(mut stored) = self.store.account_called(url.as_str(), called)? else { return Ok(None) };
        if stored.url.is_none() {
            return Ok(None);
        }
        let server = self.connect(url).await?;
        self.settle_roll_over(&server, url, &mut stored).await?;
        self.account_of(&server, &stored)
    }

    /// Finds out which key is in force after a roll-over that was cut off. The account's lock must be held.
    async fn settle_roll_over(
        &self,
        server: &Server,
        url: &ServerUrl,
        record: &mut AccountRecord,
    ) -> Result<(), CertificateError> {
        let Some(next) = record.next_key.take() else { return Ok(()) };
        let mut candidate = record.clone();
        candidate.key = next.clone();
        match server.find_account(self.open_key(&candidate)?).await {
            Ok(_) => record.key = next,
            // The server never took it.
            Err(error) if is_unknown(&error) => {}
            Err(error) => return Err(acme(url, "finding out which account key is in force")(error)),
        }
        Ok(self.store.save_account(record)?)
    }

    async fn new_key(
        &self,
        server: &Server,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<(AccountKey, AccountRecord), CertificateError> {
        let terms = server.terms_of_service().map(str::to_owned);
        if terms.is_some() && !request.accept_tos {
            return Err(CertificateError::TermsNotAccepted { server: url.to_string(), terms });
        }
        if server.directory().meta.external_account_required && request.external_account.is_none() {
            return Err(CertificateError::ExternalAccountRequired { server: url.to_string() });
        }
        let key = match &request.key {
            Some(key) => key.clone(),
            None => generate(request.key_type.unwrap_or_default()).await?,
        };
        let mut record = self.record(url, terms, request.contact.clone(), &key)?;
        record.name.clone_from(&request.name);
        self.store.save_account(&record)?;
        Ok((key, record))
    }

    /// A record for a key that has no account yet, beside those that are there. The account's lock must be held.
    pub(super) fn record(
        &self,
        url: &ServerUrl,
        terms: Option<String>,
        contact: Vec<String>,
        key: &AccountKey,
    ) -> Result<AccountRecord, CertificateError> {
        let place = AccountRecord::sealing_place(url.as_str());
        let sealed = self.sealing_key.seal(&place, &key.to_pkcs8_der())?;
        let mut record = AccountRecord::new(url.as_str().to_owned(), terms, contact, sealed);
        record.key_type = type_of(key).ok();
        self.store.place_account(&mut record)?;
        Ok(record)
    }

    pub(super) fn open_key(&self, record: &AccountRecord) -> Result<AccountKey, CertificateError> {
        let opened = self.sealing_key.open(&AccountRecord::sealing_place(&record.server), &record.key)?;
        AccountKey::from_pkcs8_der(opened.expose_secret())
            .map_err(|_| CertificateError::AccountKey { server: record.server.clone() })
    }

    pub(super) async fn external_account(
        &self,
        request: Option<&ExternalAccountRequest>,
    ) -> Result<Option<ExternalAccount>, CertificateError> {
        let Some(request) = request else { return Ok(None) };
        let what = "the external account binding";
        let secret = request.hmac_key.read(what, &self.surroundings.prompter).await;
        let secret = secret.map_err(|source| CertificateError::Secret { what, source })?;
        let made = ExternalAccount::new(&request.key_id, secret.expose_secret(), request.algorithm);
        made.map(Some).map_err(CertificateError::ExternalAccountKey)
    }
}

/// Makes an account key, where that blocks nobody: RSA takes up to seconds.
pub(super) async fn generate(kind: KeyType) -> Result<AccountKey, CertificateError> {
    let make = move || match kind {
        KeyType::Ec256 => AccountKey::generate(AccountKeyType::EcdsaP256).ok(),
        KeyType::Ec384 => AccountKey::generate(AccountKeyType::EcdsaP384).ok(),
        KeyType::Ec521 => AccountKey::generate(AccountKeyType::EcdsaP521).ok(),
        rsa => {
            let der = PrivateKey::generate(rsa).ok()?.pkcs8_der().ok()?;
            AccountKey::from_pkcs8_der(&der).ok()
        }
    };
    let made = tokio::task::spawn_blocking(make).await.ok().flatten();
    made.ok_or_else(|| KeyError::Generation.into())
}

/// The type of an account's key, for another one like it.
pub(super) fn type_of(key: &AccountKey) -> Result<KeyType, CertificateError> {
    match key.key_type() {
        AccountKeyType::EcdsaP256 => Ok(KeyType::Ec256),
        AccountKeyType::EcdsaP384 => Ok(KeyType::Ec384),
        AccountKeyType::EcdsaP521 => Ok(KeyType::Ec521),
        AccountKeyType::Rsa { bits } => Ok(format!("rsa-{bits}").parse()?),
        _ => Ok(KeyType::default()),
    }
}

/// Whether the server has no account for a key (RFC 8555 §7.3.1).
pub(super) fn is_unknown(error: &livecert_acme::Error) -> bool {
    error.problem().is_some_and(|problem| problem.kind() == ProblemKind::AccountDoesNotExist)
}

/// There is an account at the server already.
pub(super) fn account_exists(server: &ServerUrl, account: &str) -> CertificateError {
    CertificateError::AccountExists { server: server.to_string(), account: account.to_owned() }
}

/// Says at which server and step an ACME error came.
pub(super) fn acme(
    server: &ServerUrl,
    step: &'static str,
) -> impl FnOnce(livecert_acme::Error) -> CertificateError {
    let server = server.to_string();
    move |source| CertificateError::Acme { step, server, source }
}

/// The account as the server tells it at this moment.
pub(super) async fn account_info(account: &Account) -> Result<AccountInfo, livecert_acme::Error> {
    match account.info().await {
        // Some servers (Google, SSL.com, DigiCert) do not let the account's URL be read, and tell all the same who has a
        // key.
        Err(error) if error.problem().is_some() || matches!(error, livecert_acme::Error::Http { .. }) => {
            let found = account.server().find_account_info(account.key().clone()).await;
            Ok(found.map_err(|_| error)?.1)
        }
        told => told,
    }
}

//! The accounts themselves: shown, made, changed, given another key, and ended.

use jiff::Timestamp;
use livecert_acme::{AccountInfo, AccountKey, ErrorClass, Identifier};
use secrecy::SecretString;
use url::Url;

use super::account::{AccountRequest, account_info, acme, generate};
use super::{CertificateError, ServerUrl, Service, SubjectName};
use crate::key::KeyType;
use crate::store::{AccountRecord, Lock};

/// An account as it is known here, and as the server tells it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KnownAccount {
    /// Directory URL of the server.
    pub server: String,
    /// The account's URL; `None` if the server never answered.
    pub url: Option<String>,
    /// Mail addresses that it was made with, or changed to.
    pub contact: Vec<String>,
    /// The terms that were accepted.
    pub terms: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// What the server says about it; `None` if it was not asked.
    pub info: Option<AccountInfo>,
}

impl KnownAccount {
    fn new(record: AccountRecord, info: Option<AccountInfo>) -> Self {
        KnownAccount {
            server: record.server,
            url: record.url,
            contact: record.contact,
            terms: record.terms,
            created: record.created,
            info,
        }
    }
}

impl Service {
    /// The accounts in the store, without asking anybody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn accounts(&self) -> Result<Vec<KnownAccount>, CertificateError> {
        let records = self.store.account_records()?;
        Ok(records.into_iter().map(|record| KnownAccount::new(record, None)).collect())
    }

    /// The account at a server, as the server tells it at this moment.
    ///
    /// # Errors
    /// There is none, or the server's refusal.
    pub async fn show_account(&self, url: &ServerUrl) -> Result<KnownAccount, CertificateError> {
        let account = self.required_account(url).await?;
        let info = account_info(&account).await.map_err(acme(url, "reading the account"))?;
        let record = self.account_record(url)?;
        Ok(KnownAccount::new(record, Some(info)))
    }

    /// Makes an account at a server that has none in the store yet.
    ///
    /// # Errors
    /// There is one already, the terms are not accepted, or the server's refusal.
    pub async fn new_account(
        &self,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<KnownAccount, CertificateError> {
        let work = async {
            if let Some(account) = self.known_account(url).await? {
                // One that the server does not know any more is in nobody's way.
                match account.info().await {
                    Err(error) if error.class() == ErrorClass::AccountGone => {
                        self.account_again(&account, url, request).await?;
                        return Ok(());
                    }
                    _ => {
                        let (server, account) = (url.to_string(), account.url().to_string());
                        return Err(CertificateError::AccountExists { server, account });
                    }
                }
            }
            let server = self.connect(url).await?;
            self.account_at(&server, url, request).await?;
            Ok(())
        };
        self.unless_interrupted(work).await??;
        Ok(KnownAccount::new(self.account_record(url)?, None))
    }

    /// Finds the account that a key has at a server (RFC 8555 §7.3.1), and takes it into the store.
    ///
    /// # Errors
    /// There is one in the store already, or the server knows none for the key.
    pub async fn recover_account(
        &self,
        url: &ServerUrl,
        key: AccountKey,
    ) -> Result<KnownAccount, CertificateError> {
        if let Some(account) = self.store.account(url.as_str())?.and_then(|account| account.url) {
            return Err(CertificateError::AccountExists { server: url.to_string(), account });
        }
        let server = self.unless_interrupted(self.connect(url)).await??;
        let found = server.find_account_info(key.clone()).await;
        let (found, info) = found.map_err(acme(url, "looking for the account"))?;
        let terms = server.terms_of_service().map(str::to_owned);
        let contact = mail_addresses(&info.contact);
        let mut record = self.record(url, terms, contact, &key)?;
        record.url = Some(found.url().to_string());
        self.store.save_account(&record)?;
        Ok(KnownAccount::new(record, None))
    }

    /// Changes the account's contacts, or accepts the server's present terms, or both.
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn update_account(
        &self,
        url: &ServerUrl,
        contact: Option<&[String]>,
        accept_tos: bool,
    ) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let account = self.required_account_under(url, &lock).await?;
        let mut record = self.account_record(url)?;
        let mut info = None;
        if let Some(contact) = contact {
            let urls: Vec<String> = contact.iter().map(|mail| format!("mailto:{mail}")).collect();
            info = Some(account.update_contact(&urls).await.map_err(acme(url, "changing the contacts"))?);
            record.contact = contact.to_vec();
        }
        if accept_tos {
            info = Some(account.agree_to_terms().await.map_err(acme(url, "accepting the terms"))?);
            record.terms = account.server().terms_of_service().map(str::to_owned);
        }
        self.store.save_account(&record)?;
        Ok(KnownAccount::new(record, info))
    }

    /// Gives the account another key (RFC 8555 §7.3.5): a new one, or `key`. The new key is on disk before the server hears
    /// of it, and the old one stays there until the server has taken the new one.
    ///
    /// # Errors
    /// There is no account, or the server's refusal; the old key is still in use then.
    pub async fn roll_over(
        &self,
        url: &ServerUrl,
        kind: Option<KeyType>,
        key: Option<AccountKey>,
    ) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let account = self.required_account_under(url, &lock).await?;
        let mut record = self.account_record(url)?;
        let new = match key {
            Some(key) => key,
            None => generate(kind.unwrap_or_default()).await?,
        };
        let place = AccountRecord::sealing_place(url.as_str());
        record.next_key = Some(self.sealing_key.seal(&place, &new.to_pkcs8_der())?);
        self.store.save_account(&record)?;
        // Not to be interrupted: the answer tells which key is in force.
        account.roll_over(new).await.map_err(acme(url, "the key roll-over"))?;
        if let Some(next) = record.next_key.take() {
            record.key = next;
        }
        self.store.save_account(&record)?;
        Ok(KnownAccount::new(record, None))
    }

    /// Ends the account at the server (RFC 8555 §7.3.6), for good, and keeps its file aside.
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn deactivate_account(&self, url: &ServerUrl) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let account = self.required_account_under(url, &lock).await?;
        let info = account.deactivate().await.map_err(acme(url, "deactivating the account"))?;
        let record = self.account_record(url)?;
        self.store.set_account_aside(url.as_str())?;
        Ok(KnownAccount::new(record, Some(info)))
    }

    /// The account's private key, PEM.
    ///
    /// # Errors
    /// There is no account, or its key cannot be opened.
    pub fn export_account_key(&self, url: &ServerUrl) -> Result<SecretString, CertificateError> {
        let pem = self.open_key(&self.account_record(url)?)?.to_pem();
        Ok(SecretString::from(pem.as_str()))
    }

    /// Proves a name before there is an order for it (RFC 8555 §7.4.1): only makes the authorization.
    ///
    /// # Errors
    /// There is no account, the server does not offer it, or refuses.
    pub async fn pre_authorize(
        &self,
        url: &ServerUrl,
        name: &SubjectName,
    ) -> Result<livecert_acme::Authorization, CertificateError> {
        let account = self.required_account(url).await?;
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
        urls: &[Url],
    ) -> Result<Vec<livecert_acme::Authorization>, CertificateError> {
        let account = self.required_account(url).await?;
        let mut read = Vec::new();
        for authorization in urls {
            let found = account.authorization(authorization).await;
            read.push(found.map_err(acme(url, "reading an authorization"))?);
        }
        Ok(read)
    }

    /// Gives authorizations up (RFC 8555 §7.5.2).
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn deactivate_authorizations(
        &self,
        url: &ServerUrl,
        urls: &[Url],
    ) -> Result<Vec<livecert_acme::Authorization>, CertificateError> {
        let account = self.required_account(url).await?;
        let mut done = Vec::new();
        for authorization in urls {
            let given_up = account.deactivate_authorization(authorization).await;
            done.push(given_up.map_err(acme(url, "deactivating an authorization"))?);
        }
        Ok(done)
    }

    /// What proves that the account at a server answers a challenge with `token` (RFC 8555 §8.1). Nobody is asked.
    ///
    /// # Errors
    /// There is no account, or its key cannot be opened.
    pub fn key_authorization(
        &self,
        url: &ServerUrl,
        token: &livecert_acme::Token,
    ) -> Result<livecert_acme::KeyAuthorization, CertificateError> {
        let key = self.open_key(&self.account_record(url)?)?;
        Ok(livecert_acme::KeyAuthorization::new(token, &key))
    }

    /// The URL of the account at a server. Nobody is asked.
    ///
    /// # Errors
    /// There is no account.
    pub fn account_url(&self, url: &ServerUrl) -> Result<String, CertificateError> {
        let missing = || CertificateError::NoAccount { server: url.to_string() };
        self.account_record(url)?.url.ok_or_else(missing)
    }

    /// What a server tells about itself.
    ///
    /// # Errors
    /// It does not answer, or is no ACME server.
    pub async fn directory(&self, url: &ServerUrl) -> Result<livecert_acme::Directory, CertificateError> {
        Ok(self.unless_interrupted(self.connect(url)).await??.directory().clone())
    }

    pub(super) async fn required_account(
        &self,
        url: &ServerUrl,
    ) -> Result<livecert_acme::Account, CertificateError> {
        let account = self.unless_interrupted(self.known_account(url)).await??;
        account.ok_or_else(|| CertificateError::NoAccount { server: url.to_string() })
    }

    /// URLs of the accounts at a server. Nobody is asked.
    pub(super) fn account_urls(&self, url: &ServerUrl) -> Result<Vec<String>, CertificateError> {
        Ok(self.store.account(url.as_str())?.and_then(|account| account.url).into_iter().collect())
    }

    /// Ends all accounts at a server. Gives their URLs.
    pub(super) async fn deactivate_accounts(&self, url: &ServerUrl) -> Result<Vec<String>, CertificateError> {
        let all = self.account_urls(url)?;
        if !all.is_empty() {
            self.deactivate_account(url).await?;
        }
        Ok(all)
    }

    async fn required_account_under(
        &self,
        url: &ServerUrl,
        lock: &Lock,
    ) -> Result<livecert_acme::Account, CertificateError> {
        let account = self.unless_interrupted(self.known_account_under(url, lock)).await??;
        account.ok_or_else(|| CertificateError::NoAccount { server: url.to_string() })
    }

    fn account_record(&self, url: &ServerUrl) -> Result<AccountRecord, CertificateError> {
        let record = self.store.account(url.as_str())?;
        record.ok_or_else(|| CertificateError::NoAccount { server: url.to_string() })
    }
}

fn mail_addresses(contact: &[String]) -> Vec<String> {
    contact.iter().filter_map(|url| url.strip_prefix("mailto:")).map(str::to_owned).collect()
}

//! The accounts themselves: shown, made, changed, given another key, and ended. `called` is an account's name, id or URL;
//! the one in use at the server is meant where none is named.

use jiff::Timestamp;
use livecert_acme::{AccountInfo, AccountKey, ErrorClass};
use secrecy::SecretString;

use super::account::{AccountRequest, account_exists, account_info, acme, generate, type_of};
use super::account_choice::no_account;
use super::servers::fits_as_name;
use super::{CertificateError, ServerUrl, Service, with_causes};
use crate::key::KeyType;
use crate::store::{AccountRecord, Lock};

/// An account as it is known here, and as the server tells it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KnownAccount {
    /// Directory URL of the server.
    pub server: String,
    /// What it is called: a name of the user's own, else the last part of its URL.
    pub id: String,
    /// The user's own name for it.
    pub name: Option<String>,
    /// Whether it is the one that is meant at its server where none is named.
    pub in_use: bool,
    /// The account's URL; `None` if the server never answered.
    pub url: Option<String>,
    /// Mail addresses that it was made with, or changed to.
    pub contact: Vec<String>,
    /// Type of its key; `None` if the key cannot be opened.
    pub key_type: Option<KeyType>,
    /// The terms that were accepted.
    pub terms: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The certificates that are renewed with it.
    pub certificates: Vec<String>,
    /// What the server says about it; `None` if it was not asked.
    pub info: Option<AccountInfo>,
    /// Why the server does not tell, where it was asked.
    pub problem: Option<String>,
}

impl Service {
    fn known(
        &self,
        record: AccountRecord,
        info: Option<AccountInfo>,
    ) -> Result<KnownAccount, CertificateError> {
        let in_use = self.store.account(&record.server)?;
        // Older records do not tell.
        let opened = || self.open_key(&record).and_then(|key| type_of(&key)).ok();
        Ok(KnownAccount {
            id: record.id().to_owned(),
            in_use: in_use.is_some_and(|other| other == record),
            key_type: record.key_type.or_else(opened),
            certificates: self.certificates_with(&record)?,
            server: record.server,
            name: record.name,
            url: record.url,
            contact: record.contact,
            terms: record.terms,
            created: record.created,
            info,
            problem: None,
        })
    }

    /// The accounts in the store, without asking anybody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn accounts(&self) -> Result<Vec<KnownAccount>, CertificateError> {
        self.store.account_records()?.into_iter().map(|record| self.known(record, None)).collect()
    }

    /// The same accounts, with what their servers tell about them at this moment, or why they do not.
    ///
    /// # Errors
    /// The run is interrupted.
    pub async fn as_told(&self, accounts: Vec<KnownAccount>) -> Result<Vec<KnownAccount>, CertificateError> {
        let mut told = Vec::new();
        for mut account in accounts {
            let asked = async {
                let server: ServerUrl = account.server.parse()?;
                self.show_account(&server, account.url.as_deref()).await
            };
            match asked.await {
                Ok(shown) => account.info = shown.info,
                Err(CertificateError::Interrupted) => return Err(CertificateError::Interrupted),
                Err(error) => account.problem = Some(with_causes(&error)),
            }
            told.push(account);
        }
        Ok(told)
    }

    /// An account at a server, as the server tells it at this moment.
    ///
    /// # Errors
    /// There is none, or the server's refusal.
    pub async fn show_account(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
    ) -> Result<KnownAccount, CertificateError> {
        let account = self.required_account(url, called).await?;
        let info = account_info(&account).await.map_err(acme(url, "reading the account"))?;
        self.known(self.account_record(url, called)?, Some(info))
    }

    /// Makes an account at a server: the first one, or `request.another` beside those that are there.
    ///
    /// # Errors
    /// There is one already and no other is asked for, the name is taken, the terms are not accepted, or the server's
    /// refusal.
    pub async fn new_account(
        &self,
        url: &ServerUrl,
        request: &AccountRequest,
    ) -> Result<KnownAccount, CertificateError> {
        if let Some(name) = &request.name {
            self.check_account_name(url, name, None)?;
        }
        let work = async {
            if !request.another
                && let Some(account) = self.known_account(url, None).await?
            {
                // One that the server does not know any more is in nobody's way.
                return match account.info().await {
                    Err(error) if error.class() == ErrorClass::AccountGone => {
                        self.account_again(&account, url, request).await
                    }
                    _ => Err(account_exists(url, account.url().as_str())),
                };
            }
            let server = self.connect(url).await?;
            Ok(self.account_at(&server, url, request).await?.account)
        };
        let account = self.unless_interrupted(work).await??;
        self.known(self.account_record(url, Some(account.url().as_str()))?, None)
    }

    /// Finds the account that a key has at a server (RFC 8555 §7.3.1), and takes it into the store, with this name if there
    /// is one.
    ///
    /// # Errors
    /// It is in the store already, the name is taken, or the server knows no account for the key.
    pub async fn recover_account(
        &self,
        url: &ServerUrl,
        key: AccountKey,
        name: Option<&str>,
    ) -> Result<KnownAccount, CertificateError> {
        if let Some(name) = name {
            self.check_account_name(url, name, None)?;
        }
        let lock = self.store.lock_account(url.as_str()).await?;
        let server = self.unless_interrupted(self.connect(url)).await??;
        let found = server.find_account_info(key.clone()).await;
        let (found, info) = found.map_err(acme(url, "looking for the account"))?;
        if let Some(known) = self.store.account_called(url.as_str(), Some(found.url().as_str()))? {
            return Err(account_exists(url, known.url.as_deref().unwrap_or(found.url().as_str())));
        }
        let terms = server.terms_of_service().map(str::to_owned);
        let contact = mail_addresses(&info.contact);
        let mut record = self.record(url, terms, contact, &key)?;
        record.url = Some(found.url().to_string());
        record.name = name.map(str::to_owned);
        self.store.save_account(&record)?;
        drop(lock);
        self.known(record, None)
    }

    /// Lets an account be the one that is meant at its server where none is named. Certificates that are there keep theirs.
    ///
    /// # Errors
    /// There is no such account; it cannot be stored.
    pub async fn use_account(&self, url: &ServerUrl, called: &str) -> Result<KnownAccount, CertificateError> {
        let _lock = self.store.lock_account(url.as_str()).await?;
        let mut record = self.account_record(url, Some(called))?;
        self.store.use_account(&mut record)?;
        self.known(record, None)
    }

    /// Gives an account a name of the user's own; an empty one removes what is stored. Nobody is asked.
    ///
    /// # Errors
    /// There is no such account; the name is taken, or cannot be one.
    pub async fn rename_account(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        name: &str,
    ) -> Result<KnownAccount, CertificateError> {
        let _lock = self.store.lock_account(url.as_str()).await?;
        let mut record = self.account_record(url, called)?;
        if !name.is_empty() {
            self.check_account_name(url, name, Some(&record))?;
        }
        record.name = Some(name.to_owned()).filter(|name| !name.is_empty());
        self.store.save_account(&record)?;
        self.known(record, None)
    }

    /// Changes an account's contacts, or accepts the server's present terms, or both.
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn update_account(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        contact: Option<&[String]>,
        accept_tos: bool,
    ) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let account = self.required_account_under(url, called, &lock).await?;
        let mut record = self.account_record(url, called)?;
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
        self.known(record, info)
    }

    /// Gives an account another key (RFC 8555 §7.3.5): a new one, or `key`. The new key is on disk before the server hears
    /// of it, and the old one stays there until the server has taken the new one.
    ///
    /// # Errors
    /// There is no account, or the server's refusal; the old key is still in use then.
    pub async fn roll_over(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        kind: Option<KeyType>,
        key: Option<AccountKey>,
    ) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let account = self.required_account_under(url, called, &lock).await?;
        let mut record = self.account_record(url, called)?;
        let new = match key {
            Some(key) => key,
            None => generate(kind.unwrap_or_default()).await?,
        };
        let (place, kind) = (AccountRecord::sealing_place(url.as_str()), type_of(&new).ok());
        record.next_key = Some(self.sealing_key.seal(&place, &new.to_pkcs8_der())?);
        // Which of the two is in force shows with the answer.
        record.key_type = None;
        self.store.save_account(&record)?;
        // Not to be interrupted: the answer tells which key is in force.
        account.roll_over(new).await.map_err(acme(url, "the key roll-over"))?;
        if let Some(next) = record.next_key.take() {
            (record.key, record.key_type) = (next, kind);
        }
        self.store.save_account(&record)?;
        self.known(record, None)
    }

    /// Ends an account at the server (RFC 8555 §7.3.6), for good, and keeps its file aside.
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn deactivate_account(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
    ) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let account = self.required_account_under(url, called, &lock).await?;
        let info = account.deactivate().await.map_err(acme(url, "deactivating the account"))?;
        let record = self.account_record(url, called)?;
        let known = self.known(record.clone(), Some(info))?;
        self.store.set_account_aside(&record)?;
        Ok(known)
    }

    /// An account that no certificate is renewed with.
    ///
    /// # Errors
    /// There is no such account; certificates use it.
    pub fn unused_account(&self, url: &ServerUrl, called: &str) -> Result<KnownAccount, CertificateError> {
        let known = self.known(self.account_record(url, Some(called))?, None)?;
        match known.certificates.is_empty() {
            true => Ok(known),
            false => {
                let (server, account) = (url.to_string(), known.id);
                Err(CertificateError::AccountInUse { server, account, certificates: known.certificates })
            }
        }
    }

    /// Forgets an account with its key, after it was ended at the server if that is asked for.
    ///
    /// # Errors
    /// There is no such account; certificates use it and `force` is not given; it is still there then. The server's refusal.
    pub async fn remove_account(
        &self,
        url: &ServerUrl,
        called: &str,
        force: bool,
        deactivate: bool,
    ) -> Result<KnownAccount, CertificateError> {
        let lock = self.store.lock_account(url.as_str()).await?;
        let record = self.account_record(url, Some(called))?;
        let mut known = match force {
            true => self.known(record.clone(), None)?,
            false => self.unused_account(url, called)?,
        };
        if deactivate && record.url.is_some() {
            let account = self.required_account_under(url, Some(called), &lock).await?;
            known.info = Some(account.deactivate().await.map_err(acme(url, "deactivating the account"))?);
        }
        self.store.remove_account(&record)?;
        Ok(known)
    }

    /// An account's private key, PEM.
    ///
    /// # Errors
    /// There is no account, or its key cannot be opened.
    pub fn export_account_key(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
    ) -> Result<SecretString, CertificateError> {
        let pem = self.open_key(&self.account_record(url, called)?)?.to_pem();
        Ok(SecretString::from(pem.as_str()))
    }

    /// The URL of an account at a server. Nobody is asked.
    ///
    /// # Errors
    /// There is no account.
    pub fn account_url(&self, url: &ServerUrl, called: Option<&str>) -> Result<String, CertificateError> {
        let missing = || CertificateError::NoAccount { server: url.to_string() };
        self.account_record(url, called)?.url.ok_or_else(missing)
    }

    /// What a server tells about itself.
    ///
    /// # Errors
    /// It does not answer, or is no ACME server.
    pub async fn directory(&self, url: &ServerUrl) -> Result<livecert_acme::Directory, CertificateError> {
        Ok(self.unless_interrupted(self.connect_to_look(url)).await??.directory().clone())
    }

    /// The account that is called so, which has to be there.
    pub(super) async fn required_account(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
    ) -> Result<livecert_acme::Account, CertificateError> {
        let account = self.unless_interrupted(self.known_account(url, called)).await??;
        account.ok_or_else(|| no_account(&self.store, url, called))
    }

    /// URLs of the accounts at a server. Nobody is asked.
    pub(super) fn account_urls(&self, url: &ServerUrl) -> Result<Vec<String>, CertificateError> {
        let all = self.store.accounts_at(url.as_str())?;
        Ok(all.into_iter().filter_map(|account| account.url).collect())
    }

    /// Ends all accounts at a server. Gives their URLs.
    pub(super) async fn deactivate_accounts(&self, url: &ServerUrl) -> Result<Vec<String>, CertificateError> {
        let all = self.account_urls(url)?;
        for account in &all {
            self.deactivate_account(url, Some(account)).await?;
        }
        Ok(all)
    }

    async fn required_account_under(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
        lock: &Lock,
    ) -> Result<livecert_acme::Account, CertificateError> {
        let account = self.unless_interrupted(self.known_account_under(url, called, lock)).await??;
        account.ok_or_else(|| no_account(&self.store, url, called))
    }

    pub(super) fn account_record(
        &self,
        url: &ServerUrl,
        called: Option<&str>,
    ) -> Result<AccountRecord, CertificateError> {
        let record = self.store.account_called(url.as_str(), called)?;
        record.ok_or_else(|| no_account(&self.store, url, called))
    }

    fn check_account_name(
        &self,
        url: &ServerUrl,
        name: &str,
        own: Option<&AccountRecord>,
    ) -> Result<(), CertificateError> {
        if !fits_as_name(name) {
            return Err(CertificateError::AccountName(name.to_owned()));
        }
        let taken = self.store.account_called(url.as_str(), Some(name))?.filter(|other| Some(other) != own);
        // The key of a run that died before the server's answer is taken up.
        match taken.and_then(|other| other.url) {
            Some(account) => Err(account_exists(url, &account)),
            None => Ok(()),
        }
    }
}

fn mail_addresses(contact: &[String]) -> Vec<String> {
    contact.iter().filter_map(|url| url.strip_prefix("mailto:")).map(str::to_owned).collect()
}

//! Accounts (RFC 8555 §7.1.2), and what they can do.

mod manage;
mod order;
mod poll;

use serde_json::{Value, json};
use url::Url;

pub use self::manage::{AccountInfo, AccountStatus};
pub use self::order::PreAuthorization;
use crate::challenge::{KeyAuthorization, Token};
use crate::error::Error;
use crate::external::ExternalAccount;
use crate::key::AccountKey;
use crate::request::{Answer, Repeat, secure};
use crate::server::Server;

/// What a new account is made with (RFC 8555 §7.3).
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Contact URLs, such as `mailto:you@example.com`.
    pub contact: Vec<String>,
    /// Whether the terms of service are agreed to.
    pub terms_of_service_agreed: bool,
    /// The customer's account, for CAs that want one (`externalAccountRequired`, RFC 8555 §7.3.4). Not needed again
    /// once the account is made.
    pub external_account: Option<ExternalAccount>,
}

impl NewAccount {
    pub(crate) fn payload(&self, key: &AccountKey, url: &Url) -> Value {
        let mut payload = json!({"termsOfServiceAgreed": self.terms_of_service_agreed});
        if !self.contact.is_empty() {
            payload["contact"] = json!(self.contact);
        }
        if let Some(external) = &self.external_account {
            payload["externalAccountBinding"] = external.bind(key, url.as_str());
        }
        payload
    }
}

/// An account at a server. Cheap to clone; any number of its requests can be under way at once.
///
/// # Cancellation
///
/// Every future can be dropped at any time; what was sent may have taken effect. Methods that read leave nothing
/// behind. What the others may leave is said with each.
#[derive(Debug, Clone)]
pub struct Account {
    server: Server,
    key: AccountKey,
    url: Url,
}

impl Account {
    pub(crate) fn new(server: Server, key: AccountKey, url: Url) -> Self {
        Account { server, key, url }
    }

    /// The account's URL (`kid`).
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its key.
    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// The server where it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What proves that this account answers a challenge with `token`.
    pub fn key_authorization(&self, token: &Token) -> KeyAuthorization {
        KeyAuthorization::new(token, &self.key)
    }

    async fn post(&self, url: &Url, payload: &[u8], repeat: Repeat) -> Result<Answer, Error> {
        let url = secure(url.clone())?;
        self.server.post(&self.key, Some(self.url.as_str()), &url, payload, repeat).await
    }

    /// POST-as-GET (RFC 8555 §6.3).
    async fn read(&self, url: &Url) -> Result<Answer, Error> {
        self.post(url, b"", Repeat::Harmless).await
    }
}

//! The account itself: reading and changing it, its keys, its orders (RFC 8555 §7.3).

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Account;
use crate::certificate::links;
use crate::error::Error;
use crate::json::{list, optional_parsed};
use crate::key::AccountKey;
use crate::problem::ProblemKind;
use crate::request::{Answer, Repeat};

/// The largest number of pages of an orders list that are read.
const MAX_PAGES: usize = 100;
/// The largest number of orders that are read.
const MAX_ORDERS: usize = 10_000;

/// How far an account is (RFC 8555 §7.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are the RFC's own names, explained there")]
pub enum AccountStatus {
    Valid,
    Deactivated,
    Revoked,
    Other(String),
}

impl From<String> for AccountStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "valid" => AccountStatus::Valid,
            "deactivated" => AccountStatus::Deactivated,
            "revoked" => AccountStatus::Revoked,
            _ => AccountStatus::Other(text),
        }
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AccountStatus::Valid => "valid",
            AccountStatus::Deactivated => "deactivated",
            AccountStatus::Revoked => "revoked",
            AccountStatus::Other(text) => text,
        })
    }
}

/// An account as the server sees it (RFC 8555 §7.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountInfo {
    /// How far it is.
    pub status: AccountStatus,
    /// Contact URLs. Some CAs keep none, and say none.
    pub contact: Vec<String>,
    /// Where its orders are listed, if the server lists them ([`Account::orders`]).
    pub orders: Option<Url>,
    /// Whether the terms of service were agreed to, if the server says so.
    pub terms_of_service_agreed: Option<bool>,
    /// The whole of it as it came, with what is not understood here.
    pub raw: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: AccountStatus,
    #[serde(default, deserialize_with = "list")]
    contact: Vec<String>,
    #[serde(default, deserialize_with = "optional_parsed")]
    orders: Option<Url>,
    #[serde(default)]
    terms_of_service_agreed: Option<bool>,
}

#[derive(Deserialize)]
struct OrdersPage {
    #[serde(default, deserialize_with = "list")]
    orders: Vec<Url>,
}

impl AccountInfo {
    pub(crate) fn read(answer: &Answer) -> Result<Self, Error> {
        answer.read(|raw| {
            let Body { status, contact, orders, terms_of_service_agreed } = Body::deserialize(&raw)?;
            Ok(AccountInfo { status, contact, orders, terms_of_service_agreed, raw })
        })
    }
}

impl Account {
    async fn update(&self, change: &Value) -> Result<AccountInfo, Error> {
        let answer = self.post(&self.url, change.to_string().as_bytes(), Repeat::Harmless).await?;
        AccountInfo::read(&answer)
    }

    /// Reads the account (RFC 8555 §7.3).
    ///
    /// # Errors
    /// The server's refusal (`unauthorized` for an account that is deactivated), or no answer.
    pub async fn info(&self) -> Result<AccountInfo, Error> {
        AccountInfo::read(&self.read(&self.url).await?)
    }

    /// Replaces the contact URLs (RFC 8555 §7.3.2); none removes all.
    ///
    /// Cancellation: the change may have been made.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn update_contact(&self, contact: &[String]) -> Result<AccountInfo, Error> {
        self.update(&json!({"contact": contact})).await
    }

    /// Says that the terms of service which the server has now are agreed to (RFC 8555 §7.3.3).
    ///
    /// The RFC lets servers ignore this (§7.3.2) and want a person to agree on a page instead
    /// ([`Error::terms_of_service`]); a server that calls it an empty change has ignored it, too. Whether it counts is
    /// told by `terms_of_service_agreed`, where servers tell it, and by the next order.
    ///
    /// Cancellation: the change may have been made.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn agree_to_terms(&self) -> Result<AccountInfo, Error> {
        match self.update(&json!({"termsOfServiceAgreed": true})).await {
            Err(Error::Problem(problem)) if problem.kind() == ProblemKind::Malformed => self.info().await,
            answer => answer,
        }
    }

    /// Deactivates the account for good (RFC 8555 §7.3.6). Its certificates stay valid.
    ///
    /// Cancellation: the account may be deactivated.
    ///
    /// # Errors
    /// The server's refusal, or no answer. If an answer was lost and the repetition is refused as `unauthorized`, the
    /// account is deactivated ([`crate::ErrorClass::AccountGone`]).
    pub async fn deactivate(&self) -> Result<AccountInfo, Error> {
        self.update(&json!({"status": "deactivated"})).await
    }

    /// Changes the account's key (RFC 8555 §7.3.5), and gives the account with the new one.
    ///
    /// **Store the new key before calling, and keep the old one until this has succeeded.** After a crash, a dropped
    /// future or an error, either key may be the account's: [`crate::Server::find_account`] with the new key tells. If
    /// the answer is lost or a refusal leaves room for doubt, this is asked here too, and only if the account does not
    /// answer to the new key there is an error. A call that is repeated after the change has happened succeeds.
    ///
    /// # Errors
    /// [`Error::NotOffered`]; the server's refusal; no answer, in which case the change may still have happened.
    pub async fn roll_over(&self, new_key: AccountKey) -> Result<Account, Error> {
        let url = self.server.directory().key_change.as_ref().ok_or(Error::NotOffered("keyChange"))?;
        let inner = new_key.key_change(url.as_str(), self.url.as_str(), &self.key)?.to_string();
        let error = match self.post(url, inner.as_bytes(), Repeat::Doubles).await {
            Ok(_) => return Ok(Account::new(self.server.clone(), new_key, self.url.clone())),
            Err(error) => error,
        };
        tracing::debug!(%error, "whether the key has changed is found out by the new one");
        match self.server.find_account(new_key).await {
            Ok(found) if found.url == self.url => Ok(found),
            _ => Err(error),
        }
    }

    /// The URLs of the account's orders (RFC 8555 §7.1.2.1), all pages of the list, up to ten thousand.
    ///
    /// # Errors
    /// [`Error::NotOffered`] where the account names no list, as with Let's Encrypt; the server's refusal; no answer.
    pub async fn orders(&self) -> Result<Vec<Url>, Error> {
        let mut next = Some(self.info().await?.orders.ok_or(Error::NotOffered("a list of orders"))?);
        let mut seen = Vec::new();
        let mut orders = Vec::new();
        while let Some(url) = next.take() {
            let answer = self.read(&url).await?;
            orders.extend(answer.json::<OrdersPage>()?.orders);
            seen.push(url);
            if orders.len() >= MAX_ORDERS || seen.len() >= MAX_PAGES {
                orders.truncate(MAX_ORDERS);
                tracing::warn!("the account has more orders than are read");
                break;
            }
            let answered = seen.last().unwrap_or(&self.url);
            next = links(&answer.headers, "next", answered).into_iter().find(|link| !seen.contains(link));
        }
        Ok(orders)
    }
}

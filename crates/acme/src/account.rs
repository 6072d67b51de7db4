//! Accounts (RFC 8555 §7.1.2), and what they can do.

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::authorization::{self, Authorization};
use crate::certificate::{Certificate, links};
use crate::challenge::{Challenge, KeyAuthorization, Token};
use crate::error::Error;
use crate::jws::AccountKey;
use crate::order::{self, NewOrder, Order, OrderStatus};
use crate::poll::Poll;
use crate::server::{Answer, Repeat, Server, secure};

/// What a new account is made with (RFC 8555 §7.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAccount {
    /// Contact URLs, such as `mailto:you@example.com`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<String>,
    /// Whether the terms of service are agreed to.
    pub terms_of_service_agreed: bool,
}

/// An account at a server. Cheap to clone; any number of its requests can be under way at once.
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

    /// Makes an order (RFC 8555 §7.4).
    ///
    /// # Errors
    /// The server's refusal, or no answer; in the latter case the order may exist.
    pub async fn new_order(&self, new: &NewOrder) -> Result<Order, Error> {
        let url = self.server.directory().new_order.clone();
        let payload = serde_json::to_vec(new)
            .map_err(|error| Error::Unexpected { url: url.to_string(), reason: error.to_string() })?;
        let answer = self.post(&url, &payload, Repeat::Doubles).await?;
        Ok(Order::new(answer.location()?, answer.json::<order::Body>()?, answer.retry_after()))
    }

    /// Reads an order.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn order(&self, url: &Url) -> Result<Order, Error> {
        let answer = self.read(url).await?;
        Ok(Order::new(url.clone(), answer.json::<order::Body>()?, answer.retry_after()))
    }

    /// Reads an authorization (RFC 8555 §7.5).
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn authorization(&self, url: &Url) -> Result<Authorization, Error> {
        Ok(Authorization::new(url.clone(), self.read(url).await?.json::<authorization::Body>()?))
    }

    /// Gives up an authorization (RFC 8555 §7.5.2).
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn deactivate_authorization(&self, url: &Url) -> Result<Authorization, Error> {
        let answer = self.post(url, br#"{"status":"deactivated"}"#, Repeat::Harmless).await?;
        Ok(Authorization::new(url.clone(), answer.json::<authorization::Body>()?))
    }

    /// Tells the server that a challenge can be looked at (RFC 8555 §7.5.1).
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn respond(&self, challenge: &Url) -> Result<Challenge, Error> {
        let answer = self.post(challenge, b"{}", Repeat::Harmless).await?;
        Challenge::read(&answer.json()?).ok_or_else(|| Error::Unexpected {
            url: challenge.to_string(),
            reason: "it is no challenge".to_owned(),
        })
    }

    /// Sends the certificate request (PKCS#10 DER) of an order that is ready (RFC 8555 §7.4). `order` is the order's
    /// own URL.
    ///
    /// # Errors
    /// The server's refusal, or no answer; in the latter case read the order before trying again.
    pub async fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Order, Error> {
        let payload = serde_json::json!({"csr": crate::jws::base64url(csr)}).to_string();
        let answer = self.post(&order.finalize, payload.as_bytes(), Repeat::Doubles).await?;
        Ok(Order::new(order.url.clone(), answer.json::<order::Body>()?, answer.retry_after()))
    }

    /// Asks about an order until `done` says so, or it is invalid. `last` is the answer before, for its `Retry-After`.
    ///
    /// # Errors
    /// [`Error::Unsettled`] at the limit, with the order as it was seen last; the server's refusal; no answer.
    pub async fn poll_order(
        &self,
        url: &Url,
        poll: &Poll,
        done: impl Fn(&OrderStatus) -> bool,
    ) -> Result<Order, Error> {
        let begun = Instant::now();
        let mut asked = None;
        for round in 0.. {
            tokio::time::sleep(poll.wait(round, asked)).await;
            let order = self.order(url).await?;
            if done(&order.status) || order.status == OrderStatus::Invalid {
                return Ok(order);
            }
            let waited = begun.elapsed();
            asked = order.retry_after.map(crate::RetryAfter::duration);
            if waited + poll.wait(round + 1, asked) > poll.limit {
                return Err(Error::Unsettled { order: Box::new(order), waited });
            }
        }
        // The range has no end.
        Err(Error::Unexpected { url: url.to_string(), reason: "it was polled too often".to_owned() })
    }

    /// Downloads a certificate with its chain.
    ///
    /// # Errors
    /// The server's refusal, no answer, or an answer that is no text.
    pub async fn certificate(&self, url: &Url) -> Result<Certificate, Error> {
        let answer = self.read(url).await?;
        let pem_chain = String::from_utf8(answer.body.to_vec())
            .map_err(|error| Error::Unexpected { url: url.to_string(), reason: error.to_string() })?;
        Ok(Certificate { pem_chain, alternates: links(&answer.headers, "alternate", url) })
    }
}

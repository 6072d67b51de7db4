//! From an order to its certificate, and its end (RFC 8555 §7.4 to §7.6).

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use url::Url;

use super::Account;
use crate::authorization::Authorization;
use crate::certificate::{Certificate, MAX_CHAINS, links};
use crate::challenge::Challenge;
use crate::error::Error;
use crate::identifier::Identifier;
use crate::order::{NewOrder, Order};
use crate::request::{Answer, RETRY_BUDGET, Repeat};
use crate::retry::{Backoff, retry_at};
use crate::revocation::RevocationReason;

/// What a pre-authorization may be wished to be (RFC 9444 §4.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreAuthorization {
    /// Whether it is to be for the names below the identifier too. The directory says whether the server can
    /// ([`crate::Meta::subdomain_auth_allowed`]).
    pub subdomain_auth_allowed: bool,
}

fn unexpected(url: &Url, reason: impl Into<String>) -> Error {
    Error::Unexpected { url: url.to_string(), reason: reason.into() }
}

fn order(url: Url, answer: &Answer) -> Result<Order, Error> {
    answer.read(|raw| Order::read(url, raw, answer.retry_after()))
}

/// The largest authorization in bytes; they have one or two thousand. An order may have a thousand of them, and all are
/// held in memory at once.
const MAX_AUTHORIZATION: usize = 64 * 1024;

fn authorization(url: Url, answer: &Answer) -> Result<Authorization, Error> {
    if answer.body.len() > MAX_AUTHORIZATION {
        return Err(unexpected(&url, format!("it is larger than {MAX_AUTHORIZATION} bytes")));
    }
    answer.read(|raw| Authorization::read(url, raw, answer.retry_after()))
}

fn challenge(url: &Url, answer: &Answer) -> Result<Challenge, Error> {
    let mut challenge =
        Challenge::read(answer.json()?).ok_or_else(|| unexpected(url, "it is no challenge"))?;
    challenge.retry_after = answer.retry_after();
    Ok(challenge)
}

impl Account {
    /// Makes an order (RFC 8555 §7.4). Some servers give an order that is there already and not yet used.
    ///
    /// Cancellation: the order may have been made.
    ///
    /// # Errors
    /// The server's refusal: among others `invalidProfile`; `alreadyReplaced` (HTTP 409) or HTTP 404 for
    /// [`NewOrder::replaces`] (RFC 9773 §5). No answer: then the order may exist, and it is not sent again here.
    pub async fn new_order(&self, new: &NewOrder) -> Result<Order, Error> {
        let url = &self.server.directory().new_order;
        let payload = new.payload().map_err(|error| unexpected(url, error.to_string()))?.to_string();
        let answer = self.post(url, payload.as_bytes(), Repeat::Doubles).await?;
        order(answer.location()?, &answer)
    }

    /// Reads an order, such as one from before a restart.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn order(&self, url: &Url) -> Result<Order, Error> {
        order(url.clone(), &self.read(url).await?)
    }

    /// Authorizes an identifier before there is an order (RFC 8555 §7.4.1). Wildcards cannot be.
    ///
    /// Cancellation: the authorization may have been made.
    ///
    /// # Errors
    /// [`Error::NotOffered`], as by most servers; the server's refusal; no answer.
    pub async fn pre_authorize(&self, identifier: &Identifier) -> Result<Authorization, Error> {
        self.pre_authorize_with(identifier, PreAuthorization::default()).await
    }

    /// Like [`Account::pre_authorize`], with wishes.
    ///
    /// # Errors
    /// The same.
    pub async fn pre_authorize_with(
        &self,
        identifier: &Identifier,
        wishes: PreAuthorization,
    ) -> Result<Authorization, Error> {
        let url = self.server.directory().new_authz.as_ref().ok_or(Error::NotOffered("newAuthz"))?;
        let mut payload = json!({"identifier": identifier});
        if wishes.subdomain_auth_allowed {
            payload["identifier"]["subdomainAuthAllowed"] = Value::Bool(true);
        }
        let answer = self.post(url, payload.to_string().as_bytes(), Repeat::Doubles).await?;
        authorization(answer.location()?, &answer)
    }

    /// Reads an authorization (RFC 8555 §7.5).
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn authorization(&self, url: &Url) -> Result<Authorization, Error> {
        authorization(url.clone(), &self.read(url).await?)
    }

    /// Gives up an authorization (RFC 8555 §7.5.2).
    ///
    /// Cancellation: it may have been given up.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn deactivate_authorization(&self, url: &Url) -> Result<Authorization, Error> {
        let answer = self.post(url, br#"{"status":"deactivated"}"#, Repeat::Harmless).await?;
        authorization(url.clone(), &answer)
    }

    /// Reads a challenge. Servers that follow the RFC closely want its authorization to be read instead.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn challenge(&self, url: &Url) -> Result<Challenge, Error> {
        challenge(url, &self.read(url).await?)
    }

    /// Tells the server that a challenge can be looked at (RFC 8555 §7.5.1).
    ///
    /// Cancellation: the server may look at it.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn respond(&self, url: &Url) -> Result<Challenge, Error> {
        self.respond_with(url, &json!({})).await
    }

    /// Like [`Account::respond`], for challenge types that want something said (an object, empty for all types that
    /// this crate knows).
    ///
    /// # Errors
    /// The same.
    pub async fn respond_with(&self, url: &Url, payload: &Value) -> Result<Challenge, Error> {
        challenge(url, &self.post(url, payload.to_string().as_bytes(), Repeat::Harmless).await?)
    }

    /// Sends the certificate request (PKCS#10 DER) of an order that is ready (RFC 8555 §7.4).
    ///
    /// Cancellation: the certificate may be issued; the order tells.
    ///
    /// # Errors
    /// The server's refusal, or no answer; in the latter case read the order before trying again.
    pub async fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Order, Error> {
        let payload = json!({"csr": crate::jws::base64url(csr)}).to_string();
        let answer = self.post(&order.finalize, payload.as_bytes(), Repeat::Doubles).await?;
        self::order(order.url.clone(), &answer)
    }

    /// Downloads a certificate with its chain (RFC 8555 §7.4.2), as often as wanted.
    ///
    /// # Errors
    /// The server's refusal, no answer, or an answer that is no certificate in PEM.
    pub async fn certificate(&self, url: &Url) -> Result<Certificate, Error> {
        let mut backoff = Backoff::within(RETRY_BUDGET);
        let answer = loop {
            let answer = self.read(url).await?;
            // Not there yet. The RFC has no such answer; servers that issue slowly give it.
            if answer.status != http::StatusCode::ACCEPTED {
                break answer;
            }
            match backoff.wait(answer.retry_after()) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => {
                    return Err(Error::RetryLater { problem: None, retry_at: retry_at(&answer.headers) });
                }
            }
        };
        let pem_chain = std::str::from_utf8(&answer.body).ok().filter(|text| is_pem(text));
        let pem_chain = pem_chain
            .ok_or_else(|| {
                let excerpt = crate::error::excerpt(&answer.body);
                unexpected(url, format!("it is no certificate in PEM: {excerpt}"))
            })?
            .to_owned();
        Ok(Certificate { pem_chain, alternates: links(&answer.headers, "alternate", url) })
    }

    /// Downloads a certificate with each of its chains: the CA's default first, then the others (`Link:
    /// rel="alternate"`), fetched side by side, up to nine. One that cannot be had is left out, with a warning in the
    /// log.
    ///
    /// # Errors
    /// As [`Account::certificate`], for the default chain.
    pub async fn certificate_chains(&self, url: &Url) -> Result<Vec<Certificate>, Error> {
        let first = self.certificate(url).await?;
        let alternates: Vec<Url> = first.alternates.iter().take(MAX_CHAINS - 1).cloned().collect();
        let mut chains = vec![first];
        let fetch = |url: Url| async move {
            let fetched = self.certificate(&url).await;
            (url, fetched)
        };
        let mut others = stream::iter(alternates.into_iter().map(fetch)).buffered(MAX_CHAINS);
        while let Some((url, fetched)) = others.next().await {
            match fetched {
                Ok(chain) => chains.push(chain),
                Err(error) => tracing::warn!(%url, %error, "another chain of the certificate cannot be had"),
            }
        }
        Ok(chains)
    }

    /// Revokes a certificate (DER) of this account, or one for whose names it has authorizations (RFC 8555 §7.6).
    ///
    /// Cancellation: the certificate may have been revoked.
    ///
    /// # Errors
    /// [`Error::NotOffered`]; the server's refusal: `alreadyRevoked` (also when the first answer was lost and the
    /// request was repeated), `badRevocationReason`, `unauthorized`; no answer.
    pub async fn revoke(
        &self,
        certificate_der: &[u8],
        reason: Option<RevocationReason>,
    ) -> Result<(), Error> {
        self.server.revoke(&self.key, Some(self.url.as_str()), certificate_der, reason).await
    }
}

/// A certificate comes first (RFC 8555 §9.1 wants nothing else before it, some servers write text).
fn is_pem(text: &str) -> bool {
    let blocks = text.find("-----BEGIN ").map(|begin| &text[begin..]);
    blocks.is_some_and(|blocks| {
        blocks.starts_with("-----BEGIN CERTIFICATE-----") && blocks.contains("-----END CERTIFICATE-----")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_authorization_is_refused() {
        let read = |padding: usize| {
            let raw = json!({"status": "pending", "identifier": {"type": "dns", "value": "a"}, "x": "x".repeat(padding)});
            let url: Url = "https://ca.example/z/1".parse().unwrap();
            let body = raw.to_string().into();
            let (status, headers) = (http::StatusCode::OK, http::HeaderMap::new());
            authorization(url.clone(), &Answer { url, status, headers, body })
        };
        assert!(read(10_000).is_ok());
        assert!(matches!(read(MAX_AUTHORIZATION), Err(Error::Unexpected { .. })));
    }
}

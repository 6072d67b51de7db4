//! A server: its directory, its nonces, and the one way in which requests are made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use url::Url;

use crate::account::{Account, NewAccount};
use crate::directory::Directory;
use crate::error::{Error, excerpt};
use crate::jws::AccountKey;
use crate::nonce::NoncePool;
use crate::problem::{Problem, ProblemKind};
use crate::retry::{Backoff, RetryAfter};
use crate::transport::{Transport, TransportError};

/// A refused nonce is replaced by that of the refusal, this many times. Test servers refuse a good part of them.
const NONCE_TRIES: u32 = 20;
/// How long waits between tries of one request may be in all.
const RETRY_BUDGET: Duration = Duration::from_secs(30);
const REPLAY_NONCE: &str = "replay-nonce";

/// An ACME server. Cheap to clone; clones share the pool of nonces.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    transport: Arc<dyn Transport>,
    url: String,
    directory: Directory,
    nonces: NoncePool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.0.url).finish_non_exhaustive()
    }
}

/// An answer that was not a refusal.
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What may happen when a request whose fate is not known is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: it reads, or leads to the same state.
    Harmless,
    /// Something may be made twice (a second order).
    Doubles,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Unexpected {
            url: self.url.to_string(),
            reason: format!("{error}: {}", excerpt(&self.body)),
        })
    }

    pub(crate) fn retry_after(&self) -> Option<RetryAfter> {
        RetryAfter::read(&self.headers)
    }

    /// `Location`, which must be there (RFC 8555 §7.3, §7.4).
    pub(crate) fn location(&self) -> Result<Url, Error> {
        let missing =
            || Error::Unexpected { url: self.url.to_string(), reason: "it has no Location".to_owned() };
        let text =
            self.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        secure(self.url.join(text).map_err(|_| missing())?)
    }
}

/// Refuses a URL without TLS (RFC 8555 §6.1).
pub(crate) fn secure(url: Url) -> Result<Url, Error> {
    if url.scheme() == "https" { Ok(url) } else { Err(Error::NotHttps(url.into())) }
}

impl Server {
    /// Reads the directory at `url`.
    ///
    /// # Errors
    /// No answer, or the answer is no directory.
    pub async fn connect(transport: Arc<dyn Transport>, url: &str) -> Result<Self, Error> {
        let parsed = Url::parse(url)
            .map_err(|error| Error::Unexpected { url: url.to_owned(), reason: error.to_string() })?;
        let parsed = secure(parsed)?;
        let response = send_patiently(transport.as_ref(), &Method::GET, &parsed).await?;
        let not_a_directory = || Error::NotADirectory {
            url: url.to_owned(),
            status: response.status().as_u16(),
            excerpt: excerpt(response.body()),
        };
        if !response.status().is_success() {
            return Err(not_a_directory());
        }
        let directory: Directory = serde_json::from_slice(response.body()).map_err(|_| not_a_directory())?;
        for service in directory.urls() {
            secure(service.clone())?;
        }
        let nonces = NoncePool::default();
        keep_nonce(&nonces, response.headers());
        Ok(Server(Arc::new(Inner { transport, url: url.to_owned(), directory, nonces })))
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The directory's URL.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Where the terms of service are, if there are any.
    pub fn terms_of_service(&self) -> Option<&str> {
        self.0.directory.meta.terms_of_service.as_deref()
    }

    /// Fetches a nonce before it is needed, unless there is one.
    ///
    /// # Errors
    /// No answer, or none with a nonce.
    pub async fn fetch_nonce_ahead(&self) -> Result<(), Error> {
        let nonce = self.nonce().await?;
        self.0.nonces.put(&nonce);
        Ok(())
    }

    /// Makes an account, or finds the one that this key has already (RFC 8555 §7.3).
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn create_account(&self, key: AccountKey, new: &NewAccount) -> Result<Account, Error> {
        let payload = serde_json::to_vec(new)
            .map_err(|error| Error::Unexpected { url: self.0.url.clone(), reason: error.to_string() })?;
        let url = &self.0.directory.new_account;
        // The same key gives the same account, so a repetition makes no second one.
        let answer = self.post(&key, None, url, &payload, Repeat::Harmless).await?;
        Ok(Account::new(self.clone(), key, answer.location()?))
    }

    /// Finds the account of a key (RFC 8555 §7.3.1).
    ///
    /// # Errors
    /// There is none (`accountDoesNotExist`), or no answer.
    pub async fn find_account(&self, key: AccountKey) -> Result<Account, Error> {
        let url = &self.0.directory.new_account;
        let answer = self.post(&key, None, url, br#"{"onlyReturnExisting":true}"#, Repeat::Harmless).await?;
        Ok(Account::new(self.clone(), key, answer.location()?))
    }

    /// The account of a key whose URL is known. Nothing is sent.
    pub fn account(&self, key: AccountKey, url: Url) -> Account {
        Account::new(self.clone(), key, url)
    }

    async fn nonce(&self) -> Result<String, Error> {
        if let Some(nonce) = self.0.nonces.take() {
            return Ok(nonce);
        }
        let url = &self.0.directory.new_nonce;
        let response = send_patiently(self.0.transport.as_ref(), &Method::HEAD, url).await?;
        keep_nonce(&self.0.nonces, response.headers());
        self.0.nonces.take().ok_or_else(|| Error::NoNonce(url.to_string()))
    }

    /// Sends a signed request, and deals with all that is no final answer: refused nonces, limits, lost connections.
    pub(crate) async fn post(
        &self,
        key: &AccountKey,
        kid: Option<&str>,
        url: &Url,
        payload: &[u8],
        repeat: Repeat,
    ) -> Result<Answer, Error> {
        let mut backoff = Backoff::within(RETRY_BUDGET);
        let mut nonce_tries = 0;
        loop {
            let nonce = self.nonce().await?;
            let jws = key.request(kid, &nonce, url.as_str(), payload)?;
            let response = match exchange(self.0.transport.as_ref(), &Method::POST, url, jws.into()).await {
                Ok(response) => response,
                Err(error) => {
                    let unsent = matches!(error, TransportError::Connect(_));
                    if may_pass(&error)
                        && (unsent || repeat == Repeat::Harmless)
                        && let Some(wait) = backoff.wait(None)
                    {
                        tokio::time::sleep(wait).await;
                        continue;
                    }
                    return Err(Error::Transport { url: url.to_string(), source: error });
                }
            };
            if response.status().is_success() {
                keep_nonce(&self.0.nonces, response.headers());
                let (parts, body) = response.into_parts();
                return Ok(Answer { url: url.clone(), headers: parts.headers, body });
            }
            let problem = Problem::parse(response.body());
            let refused_nonce =
                problem.as_ref().is_some_and(|problem| problem.kind() == ProblemKind::BadNonce);
            if refused_nonce {
                // The others in the pool are older, and as likely refused; the refusal brings a fresh one.
                self.0.nonces.clear();
            }
            keep_nonce(&self.0.nonces, response.headers());
            if refused_nonce && nonce_tries < NONCE_TRIES {
                nonce_tries += 1;
                continue;
            }
            let busy =
                matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            let failed_read = response.status().is_server_error() && repeat == Repeat::Harmless;
            if (busy || failed_read)
                && let Some(wait) = backoff.wait(RetryAfter::read(response.headers()))
            {
                tokio::time::sleep(wait).await;
                continue;
            }
            return Err(refusal(url, &response, problem, busy));
        }
    }
}

/// A request without signature that does no harm when repeated.
async fn send_patiently(
    transport: &dyn Transport,
    method: &Method,
    url: &Url,
) -> Result<http::Response<Bytes>, Error> {
    let mut backoff = Backoff::within(RETRY_BUDGET);
    let mut tries = 0;
    loop {
        let result = exchange(transport, method, url, Bytes::new()).await;
        tries += 1;
        let asked = match &result {
            // Nobody there at all: some tries tell as much as many, and a person may be waiting.
            Err(error) if may_pass(error) && tries < 4 => None,
            Err(_) => {
                return result.map_err(|source| Error::Transport { url: url.to_string(), source });
            }
            Ok(response) if response.status().is_server_error() || response.status().as_u16() == 429 => {
                RetryAfter::read(response.headers())
            }
            Ok(_) => return result.map_err(|source| Error::Transport { url: url.to_string(), source }),
        };
        match backoff.wait(asked) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return result.map_err(|source| Error::Transport { url: url.to_string(), source }),
        }
    }
}

async fn exchange(
    transport: &dyn Transport,
    method: &Method,
    url: &Url,
    body: Bytes,
) -> Result<http::Response<Bytes>, TransportError> {
    let mut request = http::Request::builder().method(method).uri(url.as_str());
    request = request.header(header::ACCEPT_LANGUAGE, "en");
    if method == Method::POST {
        request = request.header(header::CONTENT_TYPE, "application/jose+json");
    }
    let request = request.body(body).map_err(|error| TransportError::Broken(error.into()))?;
    let begun = Instant::now();
    let result = transport.send(request).await;
    let took = begun.elapsed().as_millis();
    match &result {
        Ok(response) => tracing::debug!(%method, %url, status = response.status().as_u16(), took, "ACME"),
        Err(error) => tracing::debug!(%method, %url, %error, took, "ACME"),
    }
    result
}

/// Whether another try may go better.
fn may_pass(error: &TransportError) -> bool {
    matches!(error, TransportError::Connect(_) | TransportError::Timeout(_) | TransportError::Broken(_))
}

fn keep_nonce(pool: &NoncePool, headers: &HeaderMap) {
    if let Some(nonce) = headers.get(REPLAY_NONCE).and_then(|value| value.to_str().ok()) {
        pool.put(nonce);
    }
}

fn refusal(url: &Url, response: &http::Response<Bytes>, problem: Option<Problem>, busy: bool) -> Error {
    if busy {
        let retry_at = RetryAfter::read(response.headers())
            .and_then(|after| Timestamp::now().checked_add(after.duration()).ok());
        return Error::RetryLater { problem: problem.map(Box::new), retry_at };
    }
    match problem {
        Some(problem) => Error::Problem(Box::new(problem)),
        None => Error::Http {
            url: url.to_string(),
            status: response.status().as_u16(),
            excerpt: excerpt(response.body()),
        },
    }
}

//! The one way in which requests are made, and what is done about all that is no final answer: refused nonces,
//! limits, lost connections.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::certificate::links;
use crate::error::{Error, excerpt};
use crate::jws::is_base64url;
use crate::key::AccountKey;
use crate::nonce::NoncePool;
use crate::problem::{Problem, ProblemKind};
use crate::retry::{Backoff, RetryAfter, retry_at};
use crate::server::Server;
use crate::transport::{MAX_BODY, Transport, TransportError};

/// A refused nonce is replaced by that of the refusal, this many times. Test servers refuse a good part of them.
const NONCE_TRIES: u32 = 20;
/// How long waits between tries of one request may be in all.
pub(crate) const RETRY_BUDGET: Duration = Duration::from_secs(30);
const REPLAY_NONCE: &str = "replay-nonce";
/// The longest URL that is taken from a server, in bytes.
const MAX_URL: usize = 4096;

/// An answer that was not a refusal.
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What may happen when a request whose fate is not known is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: it reads, or leads to the same state.
    Harmless,
    /// Something may be made twice (a second order), or is refused the second time.
    Doubles,
}

impl Answer {
    fn new(url: &Url, response: http::Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        Answer { url: url.clone(), status: parts.status, headers: parts.headers, body }
    }

    fn unexpected(&self, reason: impl std::fmt::Display) -> Error {
        Error::Unexpected { url: self.url.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.unexpected(format_args!("{error}: {}", excerpt(&self.body))))
    }

    /// The body as a value of ours; `read` says what is wrong with it.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(Value) -> Result<T, serde_json::Error>,
    ) -> Result<T, Error> {
        read(self.json()?).map_err(|error| self.unexpected(format_args!("{error}: {}", excerpt(&self.body))))
    }

    pub(crate) fn retry_after(&self) -> Option<RetryAfter> {
        RetryAfter::read(&self.headers)
    }

    /// `Location`, which must be there (RFC 8555 §7.3, §7.4).
    pub(crate) fn location(&self) -> Result<Url, Error> {
        let text = self.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let url = text.filter(|text| text.len() <= MAX_URL).and_then(|text| self.url.join(text).ok());
        secure(url.ok_or_else(|| self.unexpected("it has no Location"))?)
    }
}

/// Refuses a URL without TLS (RFC 8555 §6.1).
pub(crate) fn secure(url: Url) -> Result<Url, Error> {
    if url.scheme() == "https" { Ok(url) } else { Err(Error::NotHttps(url.into())) }
}

impl Server {
    /// A nonce that is there, or a new one; or how long to wait before another try, of which there were so many.
    async fn nonce(&self, backoff: &mut Backoff, tries: u32) -> Result<Result<String, Duration>, Error> {
        if let Some(nonce) = self.nonces().take() {
            return Ok(Ok(nonce));
        }
        let url = &self.directory().new_nonce;
        let result = exchange(self.transport(), &Method::HEAD, url, Bytes::new()).await;
        if let Some(wait) = repeat(&result, tries).and_then(|asked| backoff.wait(asked)) {
            return Ok(Err(wait));
        }
        let response = result.map_err(|source| Error::Transport { url: url.to_string(), source })?;
        // Not by way of the pool: a request beside this one could take it away.
        match new_nonce(&response) {
            Some(nonce) => Ok(Ok(nonce.to_owned())),
            None if response.status().is_success() => Err(Error::NoNonce(url.to_string())),
            None => Err(refusal(url, &response, None)),
        }
    }

    /// Sends a signed request. What is waited for a nonce and for the answer is one budget.
    pub(crate) async fn post(
        &self,
        key: &AccountKey,
        kid: Option<&str>,
        url: &Url,
        payload: &[u8],
        repeat: Repeat,
    ) -> Result<Answer, Error> {
        let mut backoff = Backoff::within(RETRY_BUDGET);
        let (mut nonce_tries, mut fetches) = (0, 0);
        loop {
            // Until the answer's nonce is in the pool, where whoever has the next turn takes it. Nobody keeps a turn for a
            // pause.
            let turn = self.turn().await;
            let nonce = match self.nonce(&mut backoff, fetches).await? {
                Ok(nonce) => nonce,
                Err(wait) => {
                    fetches += 1;
                    drop(turn);
                    tokio::time::sleep(wait).await;
                    continue;
                }
            };
            let jws = key.request(kid, &nonce, url.as_str(), payload)?;
            let begun = tokio::time::Instant::now();
            let response = match exchange(self.transport(), &Method::POST, url, jws.into()).await {
                Ok(response) => response,
                Err(error) => {
                    drop(turn);
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
            self.note_distance(begun.elapsed());
            if response.status().is_success() {
                keep_nonce(self.nonces(), response.headers());
                return Ok(Answer::new(url, response));
            }
            let problem = Problem::parse(response.body());
            let kind = problem.as_ref().map(Problem::kind);
            if kind == Some(ProblemKind::BadNonce) {
                // The others in the pool are older, and as likely refused; the refusal brings a fresh one.
                self.nonces().clear();
            }
            keep_nonce(self.nonces(), response.headers());
            drop(turn);
            if kind == Some(ProblemKind::BadNonce) && nonce_tries < NONCE_TRIES {
                nonce_tries += 1;
                continue;
            }
            let asked = RetryAfter::read(response.headers());
            let failed_read = response.status().is_server_error() && repeat == Repeat::Harmless;
            // A limit that names no moment will not be over in some seconds, and asking makes it longer.
            let endless = kind == Some(ProblemKind::RateLimited) && asked.is_none();
            if (is_busy(response.status()) || failed_read || kind == Some(ProblemKind::RateLimited))
                && !endless
                && let Some(wait) = backoff.wait(asked)
            {
                tokio::time::sleep(wait).await;
                continue;
            }
            return Err(refusal(url, &response, problem));
        }
    }

    /// Reads something that is open to all.
    pub(crate) async fn get(&self, url: &Url) -> Result<Answer, Error> {
        let response = send_patiently(self.transport(), &Method::GET, url).await?;
        keep_nonce(self.nonces(), response.headers());
        if !response.status().is_success() {
            let problem = Problem::parse(response.body());
            return Err(refusal(url, &response, problem));
        }
        Ok(Answer::new(url, response))
    }
}

/// A request without signature that does no harm when repeated.
pub(crate) async fn send_patiently(
    transport: &dyn Transport,
    method: &Method,
    url: &Url,
) -> Result<http::Response<Bytes>, Error> {
    let mut backoff = Backoff::within(RETRY_BUDGET);
    let mut tries = 0;
    loop {
        let result = exchange(transport, method, url, Bytes::new()).await;
        match repeat(&result, tries).and_then(|asked| backoff.wait(asked)) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return result.map_err(|source| Error::Transport { url: url.to_string(), source }),
        }
        tries += 1;
    }
}

/// Whether another try of a request that does no harm may go better, after so many others, with what is asked to be waited.
fn repeat(result: &Result<http::Response<Bytes>, TransportError>, tries: u32) -> Option<Option<RetryAfter>> {
    match result {
        // Nobody there at all: some tries tell as much as many, and a person may be waiting.
        Err(error) if may_pass(error) && tries < 3 => Some(None),
        Ok(response) if response.status().is_server_error() || is_busy(response.status()) => {
            Some(RetryAfter::read(response.headers()))
        }
        _ => None,
    }
}

/// Sends a request once.
pub(crate) async fn exchange(
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
    let request = request.body(body).map_err(|error| TransportError::Unsendable(error.into()))?;
    let begun = Instant::now();
    let result = transport.send(request).await.and_then(|response| {
        if response.body().len() > MAX_BODY { Err(TransportError::TooLarge) } else { Ok(response) }
    });
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

pub(crate) fn keep_nonce(pool: &NoncePool, headers: &HeaderMap) {
    if let Some(nonce) = nonce_of(headers) {
        pool.put(nonce);
    }
}

/// The nonce of an answer that should have brought one.
pub(crate) fn new_nonce(response: &http::Response<Bytes>) -> Option<&str> {
    nonce_of(response.headers()).filter(|nonce| is_base64url(nonce))
}

fn nonce_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(REPLAY_NONCE)?.to_str().ok()
}

pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// What a refusal is: one that passes with time, one in the server's words, or one of somebody in between.
pub(crate) fn refusal(url: &Url, response: &http::Response<Bytes>, problem: Option<Problem>) -> Error {
    let status = response.status();
    let problem = problem.map(|mut problem| {
        problem.status = problem.status.or(Some(status.as_u16()));
        let terms = links(response.headers(), "terms-of-service", url);
        problem.terms_of_service = terms.into_iter().next().map(String::from);
        problem
    });
    let limited = problem.as_ref().is_some_and(|problem| problem.kind() == ProblemKind::RateLimited);
    match problem {
        problem if is_busy(status) || limited => {
            // Without a problem document, the status says it all (RFC 7807 §4.2).
            let problem = problem.unwrap_or_else(|| Problem {
                title: status.canonical_reason().map(str::to_owned),
                status: Some(status.as_u16()),
                ..Problem::default()
            });
            Error::RetryLater { problem: Some(Box::new(problem)), retry_at: retry_at(response.headers()) }
        }
        Some(problem) => Error::Problem(Box::new(problem)),
        None => {
            Error::Http { url: url.to_string(), status: status.as_u16(), excerpt: excerpt(response.body()) }
        }
    }
}

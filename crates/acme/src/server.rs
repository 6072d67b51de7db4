//! A server: its directory, its nonces, and what can be asked of it without an account.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use crate::account::{Account, AccountInfo, NewAccount};
use crate::directory::Directory;
use crate::error::{Error, excerpt};
use crate::key::AccountKey;
use crate::nonce::NoncePool;
use crate::renewal::{self, CertificateId, RenewalInfo};
use crate::request::{
    Answer, Repeat, exchange, is_busy, keep_nonce, new_nonce, refusal, secure, send_patiently,
};
use crate::revocation::RevocationReason;
use crate::transport::Transport;

/// Signed requests to one server that are under way at a time, where nothing else is said: a good part of the 100 that a
/// connection of HTTP/2 should take (RFC 9113 §6.5.2). As many nonces are fetched at most.
const AT_ONCE: usize = 32;

/// An ACME server. Cheap to clone; clones share the pool of nonces, and the bound on what is under way at a time.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    transport: Arc<dyn Transport>,
    url: String,
    directory: Directory,
    clock_skew: Option<SignedDuration>,
    nonces: NoncePool,
    at_once: usize,
    turns: Semaphore,
    /// The shortest time from a request to its answer so far, in microseconds.
    distance: AtomicU64,
}

/// What is known of a server before it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// Where its directory said last that there are nonces. The first one is fetched there beside the directory, and
    /// counts only if the directory still says so.
    pub new_nonce: Option<Url>,
    /// Signed requests that may be under way at a time, all accounts and orders together; at least one.
    pub at_once: usize,
}

impl Default for Known {
    fn default() -> Self {
        Known { new_nonce: None, at_once: AT_ONCE }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.0.url).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the directory at `url` (RFC 8555 §7.1.1).
    ///
    /// # Errors
    /// No answer, the answer is no directory, or a URL in it is not `https`.
    pub async fn connect(transport: Arc<dyn Transport>, url: &str) -> Result<Self, Error> {
        Self::connect_knowing(transport, url, &Known::default()).await
    }

    /// The same, for a server of which something is known: with its nonces' URL, the first request that needs a nonce need
    /// not wait for one.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); what is wrong with the URL of nonces is none.
    pub async fn connect_knowing(
        transport: Arc<dyn Transport>,
        url: &str,
        known: &Known,
    ) -> Result<Self, Error> {
        let parsed = Url::parse(url)
            .map_err(|error| Error::Unexpected { url: url.to_owned(), reason: error.to_string() })?;
        let parsed = secure(parsed)?;
        let said = known.new_nonce.clone().and_then(|said| secure(said).ok());
        let (directory, headers, ahead) = read_both(transport.as_ref(), &parsed, said.as_ref()).await?;
        let nonces = NoncePool::default();
        keep_nonce(&nonces, &headers);
        if let Some(nonce) = ahead.as_ref().and_then(new_nonce) {
            nonces.put(nonce);
        }
        let at_once = known.at_once.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Server(Arc::new(Inner {
            transport,
            url: url.to_owned(),
            directory,
            clock_skew: clock_skew(&headers),
            nonces,
            at_once,
            turns: Semaphore::new(at_once),
            distance: AtomicU64::new(u64::MAX),
        })))
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The directory's URL.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// How far this machine's clock is ahead of the server's (behind it, if negative), to a second, as the directory's
    /// `Date` told (RFC 9110 §6.6.1); `None` without one.
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        self.0.clock_skew
    }

    /// Where the terms of service are, if there are any.
    pub fn terms_of_service(&self) -> Option<&str> {
        self.0.directory.meta.terms_of_service.as_deref()
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        self.0.transport.as_ref()
    }

    pub(crate) fn nonces(&self) -> &NoncePool {
        &self.0.nonces
    }

    /// A turn among the requests that are under way.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.turns.acquire().await.ok()
    }

    /// Takes in how long an answer took.
    pub(crate) fn note_distance(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.distance.fetch_min(took, Ordering::Relaxed);
    }

    /// The shortest time from a signed request to its answer so far; zero before the first one.
    pub(crate) fn distance(&self) -> Duration {
        match self.0.distance.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            micros => Duration::from_micros(micros),
        }
    }

    /// Fetches nonces before they are needed, side by side, until there are `count` (or as many as may be under way at a
    /// time, [`Known::at_once`]). That a server gives none is no error: a request that has none asks again.
    pub async fn fetch_nonces_ahead(&self, count: usize) {
        let wanted = count.min(self.0.at_once).saturating_sub(self.0.nonces.len());
        let fetch = || async {
            let _turn = self.turn().await;
            let url = &self.0.directory.new_nonce;
            let answer = exchange(self.transport(), &Method::HEAD, url, Bytes::new()).await;
            if let Some(nonce) = answer.as_ref().ok().and_then(new_nonce) {
                self.0.nonces.put(nonce);
            }
        };
        join_all((0..wanted).map(|_| fetch())).await;
    }

    /// Makes an account, or finds the one that this key has already (RFC 8555 §7.3), with its external account if
    /// `new` has one (§7.3.4).
    ///
    /// Cancellation: the account may have been made; the same key finds it.
    ///
    /// # Errors
    /// The server's refusal, or no answer.
    pub async fn create_account(&self, key: AccountKey, new: &NewAccount) -> Result<Account, Error> {
        let url = &self.0.directory.new_account;
        let payload = new.payload(&key, url).to_string();
        // The same key gives the same account, so a repetition makes no second one.
        let answer = self.post(&key, None, url, payload.as_bytes(), Repeat::Harmless).await?;
        Ok(Account::new(self.clone(), key, answer.location()?))
    }

    /// Finds the account of a key (RFC 8555 §7.3.1).
    ///
    /// # Errors
    /// There is none (`accountDoesNotExist`), or no answer.
    pub async fn find_account(&self, key: AccountKey) -> Result<Account, Error> {
        let answer = self.find(&key).await?;
        Ok(Account::new(self.clone(), key, answer.location()?))
    }

    /// The same, with what the server says about the account; some servers tell it here and nowhere else.
    ///
    /// # Errors
    /// As [`find_account`](Self::find_account).
    pub async fn find_account_info(&self, key: AccountKey) -> Result<(Account, AccountInfo), Error> {
        let answer = self.find(&key).await?;
        let info = AccountInfo::read(&answer)?;
        Ok((Account::new(self.clone(), key, answer.location()?), info))
    }

    async fn find(&self, key: &AccountKey) -> Result<Answer, Error> {
        let url = &self.0.directory.new_account;
        self.post(key, None, url, br#"{"onlyReturnExisting":true}"#, Repeat::Harmless).await
    }

    /// The account of a key whose URL is known. Nothing is sent.
    pub fn account(&self, key: AccountKey, url: Url) -> Account {
        Account::new(self.clone(), key, url)
    }

    /// Revokes a certificate (DER) with its own key instead of an account's (RFC 8555 §7.6). No account is needed.
    ///
    /// # Errors
    /// As [`Account::revoke`].
    pub async fn revoke_with_certificate_key(
        &self,
        key: &AccountKey,
        certificate_der: &[u8],
        reason: Option<RevocationReason>,
    ) -> Result<(), Error> {
        self.revoke(key, None, certificate_der, reason).await
    }

    pub(crate) async fn revoke(
        &self,
        key: &AccountKey,
        kid: Option<&str>,
        certificate_der: &[u8],
        reason: Option<RevocationReason>,
    ) -> Result<(), Error> {
        let url = self.0.directory.revoke_cert.as_ref().ok_or(Error::NotOffered("revokeCert"))?;
        let mut payload = json!({"certificate": crate::jws::base64url(certificate_der)});
        if let Some(reason) = reason {
            payload["reason"] = Value::from(reason.code());
        }
        self.post(key, kid, url, payload.to_string().as_bytes(), Repeat::Harmless).await?;
        Ok(())
    }

    /// When the CA wants a certificate to be renewed (RFC 9773 §4). Needs no account.
    ///
    /// # Errors
    /// [`Error::NotOffered`] by servers without renewal information; the server's refusal (404 for a certificate that
    /// it does not know); no answer; a window that ends before it begins.
    pub async fn renewal_info(&self, id: &CertificateId) -> Result<RenewalInfo, Error> {
        let base = self.0.directory.renewal_info.as_ref().ok_or(Error::NotOffered("renewalInfo"))?;
        let mut url = base.clone();
        // The identifier becomes one more segment (§4.1), whether or not the URL ends in a slash.
        url.path_segments_mut()
            .map_err(|()| Error::NotHttps(base.to_string()))?
            .pop_if_empty()
            .push(id.as_str());
        let answer = self.get(&url).await?;
        let body: renewal::Body = answer.json()?;
        RenewalInfo::read(body, answer.retry_after()).ok_or_else(|| Error::Unexpected {
            url: url.to_string(),
            reason: "the window ends before it begins".to_owned(),
        })
    }
}

/// Reads the directory, and beside it fetches a nonce where it is `said` to give them. That counts for nothing where the
/// directory does not say so itself.
async fn read_both(
    transport: &dyn Transport,
    url: &Url,
    said: Option<&Url>,
) -> Result<(Directory, HeaderMap, Option<http::Response<Bytes>>), Error> {
    let reading = std::pin::pin!(read_directory(transport, url));
    let fetching =
        std::pin::pin!(async { exchange(transport, &Method::HEAD, said?, Bytes::new()).await.ok() });
    let holds = |directory: &Directory| said == Some(&directory.new_nonce);
    match select(reading, fetching).await {
        Either::Left((read, fetching)) => {
            let (directory, headers) = read?;
            // Elsewhere nobody may answer, and nothing depends on it.
            let ahead = if holds(&directory) { fetching.await } else { None };
            Ok((directory, headers, ahead))
        }
        Either::Right((ahead, reading)) => {
            let (directory, headers) = reading.await?;
            let ahead = ahead.filter(|_| holds(&directory));
            Ok((directory, headers, ahead))
        }
    }
}

async fn read_directory(transport: &dyn Transport, url: &Url) -> Result<(Directory, HeaderMap), Error> {
    let response = send_patiently(transport, &Method::GET, url).await?;
    if is_busy(response.status()) {
        return Err(refusal(url, &response, crate::Problem::parse(response.body())));
    }
    let not_a_directory = || Error::NotADirectory {
        url: url.to_string(),
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
    Ok((directory, response.headers().clone()))
}

fn clock_skew(headers: &HeaderMap) -> Option<SignedDuration> {
    let date = headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let theirs = Timestamp::try_from(theirs).ok()?;
    Some(Timestamp::now().duration_since(theirs))
}

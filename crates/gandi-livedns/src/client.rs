//! The client: one way in which requests are made, retried and refused.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::credential::{Credential, CredentialFacts};
use crate::error::{Error, NetworkKind};
use crate::exchange::{Call, Exchange, Http, NoReply, Reply};
use crate::name::{RecordType, RelativeName};
use crate::options::Options;
use crate::pace::Pace;
use crate::refusal::{NotFoundKind, Refusal, excerpt, says_error};
use crate::retry::{Budget, retry_after, retry_at};
use crate::throttle::{Refused, Throttle};
use crate::zone::{Zone, ZoneCache};

/// A client of LiveDNS. Cheap to clone; clones share what they know about zones, and take turns at one rrset.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    exchange: Box<dyn Exchange>,
    options: Options,
    facts: CredentialFacts,
    zones: ZoneCache,
    turns: Mutex<HashMap<(String, String), Turn>>,
    patch: PatchSupport,
    pace: Pace,
    throttle: Throttle,
    /// The last answer came over HTTP/2.
    multiplexed: AtomicBool,
}

/// What is known of PATCH, the one way to change single values: whether it is offered is not documented for sure, and
/// is found out by use.
#[derive(Debug, Default)]
pub(crate) struct PatchSupport {
    /// It was refused, or did something else than it should.
    pub(crate) unfit: AtomicBool,
    /// It was refused for the last values of an rrset.
    pub(crate) unfit_for_last: AtomicBool,
    /// An rrset was seen to go with its last value.
    pub(crate) last_deletes: AtomicBool,
    /// It was seen to leave values of others and the TTL alone.
    pub(crate) proven: AtomicBool,
    /// Held by whoever looks whether an rrset goes with its last value; whether somebody has looked.
    pub(crate) looking: tokio::sync::Mutex<bool>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("facts", &self.0.facts).finish_non_exhaustive()
    }
}

/// Held while the rrset at one name is changed.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Why a request brought no success.
#[derive(Debug)]
pub(crate) enum Setback {
    /// The same request would end the same way.
    Final(Error),
    /// There are too many requests. This one was not carried out, and nobody asks until `end`.
    Limited { error: Error, end: Instant },
    /// Another try may go better.
    Passing {
        error: Error,
        /// What the server asks to wait.
        asked: Option<Duration>,
        /// Whether it is known that the request was not carried out.
        undone: bool,
    },
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl From<Setback> for Error {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Final(error) | Setback::Limited { error, .. } | Setback::Passing { error, .. } => error,
        }
    }
}

impl Client {
    /// A client that sends through `http`. That client must not follow redirects and must not retry; build it with
    /// `redirect::Policy::none()` and `retry::never()`.
    ///
    /// # Errors
    /// An option or a credential that cannot be used; nothing is sent.
    pub fn new(http: reqwest::Client, credential: Credential, options: Options) -> Result<Self, Error> {
        options.check()?;
        let authorization = credential.authorization()?;
        let sharing_id = options.sharing_id.as_ref().map(|id| HeaderValue::from_str(id.as_str()));
        let exchange = Http {
            client: http,
            authorization,
            secret: credential.secret().clone(),
            sharing_id: sharing_id
                .transpose()
                .map_err(|error| Error::InvalidOption { option: "sharing_id", reason: error.to_string() })?,
            timeout: options.request_timeout,
        };
        let facts = CredentialFacts {
            kind: credential.kind(),
            shape: credential.shape(),
            sharing_id_set: options.sharing_id.is_some(),
            base_url_set: options.base_url != Options::default().base_url,
        };
        Ok(Self::with_exchange(Box::new(exchange), facts, options))
    }

    pub(crate) fn with_exchange(
        exchange: Box<dyn Exchange>,
        facts: CredentialFacts,
        options: Options,
    ) -> Self {
        let (zones, turns, patch) = (ZoneCache::default(), Mutex::default(), PatchSupport::default());
        let pace = Pace::shared(options.requests_per_minute, options.pace.as_deref());
        let (throttle, multiplexed) = (Throttle::default(), AtomicBool::new(false));
        Client(Arc::new(Inner { exchange, options, facts, zones, turns, patch, pace, throttle, multiplexed }))
    }

    /// Whether one connection takes many requests at a time, as the last answer has shown; `false` before the first one.
    /// Without that, each request that is under way beside others has a connection of its own.
    pub fn is_multiplexed(&self) -> bool {
        self.0.multiplexed.load(Relaxed)
    }

    pub(crate) fn facts(&self) -> CredentialFacts {
        self.0.facts
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn zones(&self) -> &ZoneCache {
        &self.0.zones
    }

    pub(crate) fn patch(&self) -> &PatchSupport {
        &self.0.patch
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.0.options.retry_budget)
    }

    /// The turn at one name: inside a process, changes of one rrset go one after the other.
    pub(crate) fn turn(&self, zone: &Zone, name: &RelativeName) -> Turn {
        let key = (zone.fqdn().to_owned(), name.as_str().to_ascii_lowercase());
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Turns that nobody holds or waits for are forgotten.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(key).or_default().clone()
    }

    pub(crate) fn call(
        &self,
        method: Method,
        segments: &[&str],
        body: Option<&Value>,
    ) -> Result<Call, Error> {
        let options = &self.0.options;
        let mut url: Url = options.base_url.clone();
        let no_base =
            || Error::InvalidOption { option: "base_url", reason: "it cannot have a path".to_owned() };
        url.path_segments_mut().map_err(|()| no_base())?.pop_if_empty().extend(segments);
        if let Some(id) = &options.sharing_id {
            url.query_pairs_mut().append_pair("sharing_id", id.as_str());
        }
        let path = format!("/{}", segments.join("/"));
        Ok(Call { method, url, path, body: body.map(|body| Bytes::from(body.to_string())) })
    }

    /// Sends a request until there is an answer that is final, and gives it if it is a success. For reads, and for
    /// writes that do not depend on a read: in the pauses other writers go on.
    pub(crate) async fn send(&self, call: &Call, budget: &mut Budget) -> Result<Reply, Error> {
        loop {
            match self.attempt(call, budget).await {
                Ok(reply) => return Ok(reply),
                Err(setback) => pause(setback, budget).await?,
            }
        }
    }

    /// Sends a request once, when it may be sent; that is waited for within `budget`.
    pub(crate) async fn attempt(&self, call: &Call, budget: &Budget) -> Result<Reply, Setback> {
        let pass = loop {
            let pass = self.0.throttle.pass(budget.limit_deadline()).await;
            let pass = pass.map_err(|refused| limited(call, refused))?;
            self.0.pace.turn().await;
            if pass.is_good() {
                break pass;
            }
        };
        match self.exchange(call).await {
            Ok(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => {
                let refused = pass.refused(asked(&reply));
                // Once may be an odd answer. Again says that the limit of the minute is reached.
                if refused.in_a_row > 1 {
                    self.0.pace.used_up();
                }
                Err(limited(call, refused))
            }
            exchanged => {
                pass.done();
                self.judge(call, exchanged?)
            }
        }
    }

    /// Sends a request once to another service than LiveDNS, which has limits of its own.
    pub(crate) async fn attempt_elsewhere(&self, call: &Call) -> Result<Reply, Setback> {
        self.0.pace.turn().await;
        let reply = self.exchange(call).await?;
        self.judge(call, reply)
    }

    async fn exchange(&self, call: &Call) -> Result<Reply, Setback> {
        let begun = Instant::now();
        let result = self.0.exchange.exchange(call).await;
        let ms = begun.elapsed().as_millis();
        let (method, path) = (&call.method, &call.path);
        match result {
            Ok(reply) => {
                self.0.multiplexed.store(reply.multiplexed, Relaxed);
                tracing::debug!(%method, path, status = reply.status.as_u16(), ms, "LiveDNS");
                Ok(reply)
            }
            Err(failure) => {
                tracing::debug!(%method, path, kind = %failure.kind, ms, "LiveDNS");
                Err(no_reply(call, failure))
            }
        }
    }

    fn judge(&self, call: &Call, reply: Reply) -> Result<Reply, Setback> {
        if reply.status.is_success() && !says_error(&reply.body) {
            return Ok(reply);
        }
        let status = reply.status.as_u16();
        let refusal = Box::new(Refusal::read(call.shown(), reply.status, &reply.body));
        if matches!(status, 500 | 502..=504) {
            let asked = asked(&reply);
            let error = Error::Server { request: call.shown(), refusal, retry_at: asked.and_then(retry_at) };
            return Err(Setback::Passing { error, asked, undone: status == 503 });
        }
        let facts = self.0.facts;
        Err(Setback::Final(match status {
            200..=299 | 400 | 415 | 422 => Error::Invalid { refusal },
            401 => Error::Unauthorized { refusal, facts },
            403 => Error::Forbidden { refusal, denied: Vec::new(), not_found: Vec::new(), facts },
            404 => {
                let zone = call.path.split('/').nth(2).unwrap_or_default().to_owned();
                Error::ZoneNotVisible { zone, kind: refusal.not_found_kind(), refusal, facts }
            }
            409 => {
                let name = call.path.split('/').nth(4).unwrap_or_default().to_owned();
                Error::Conflict { name, cname: None, refusal }
            }
            429 => Error::RateLimited { request: call.shown(), retry_at: asked(&reply).and_then(retry_at) },
            500..=599 => Error::Server { request: call.shown(), refusal, retry_at: None },
            _ => Error::Unexpected { refusal },
        }))
    }
}

impl Error {
    /// Whether this is "the rrset is not there", in a zone that is.
    pub(crate) fn is_missing_record(&self) -> bool {
        matches!(self, Error::ZoneNotVisible { kind: NotFoundKind::Record, .. })
    }

    /// Whether the service failed; that it does not know a method (501) is no failure.
    pub(crate) fn is_out_of_order(&self) -> bool {
        matches!(self, Error::Server { refusal, .. } if refusal.status != 501)
    }
}

/// The path of an rrset.
pub(crate) fn rrset_path<'a>(zone: &'a Zone, name: &'a RelativeName, kind: &'a RecordType) -> [&'a str; 5] {
    ["domains", zone.fqdn(), "records", name.as_str(), kind.as_str()]
}

/// Reads the body of a reply, which a proxy's page is not.
pub(crate) fn parsed<T: DeserializeOwned>(call: &Call, reply: &Reply) -> Result<T, Error> {
    serde_json::from_slice(&reply.body).map_err(|error| malformed(call, &reply.body, &error.to_string()))
}

pub(crate) fn malformed(call: &Call, body: &[u8], reason: &str) -> Error {
    let shown = excerpt(body).unwrap_or_else(|| "an empty body".to_owned());
    Error::Malformed { request: call.shown(), excerpt: format!("{reason}: {shown}") }
}

/// Pauses before another try, or gives up when trying again is of no use or there is no time left.
pub(crate) async fn pause(setback: Setback, budget: &mut Budget) -> Result<(), Error> {
    let (error, pause) = match setback {
        Setback::Final(error) => return Err(error),
        Setback::Limited { error, end } => (error, budget.pause_until(end)),
        Setback::Passing { error, asked, .. } => (error, budget.pause(asked)),
    };
    let Some(pause) = pause else { return Err(error) };
    tokio::time::sleep(pause).await;
    Ok(())
}

fn no_reply(call: &Call, failure: NoReply) -> Setback {
    let NoReply { kind, permanent, source } = failure;
    let error = Error::Network { request: call.shown(), kind, source };
    if permanent {
        return Setback::Final(error);
    }
    let undone = matches!(kind, NetworkKind::Connect | NetworkKind::Tls);
    Setback::Passing { error, asked: None, undone }
}

/// What the server asks to wait.
fn asked(reply: &Reply) -> Option<Duration> {
    reply.retry_after.as_ref().and_then(|value| retry_after(value, SystemTime::now()))
}

fn limited(call: &Call, refused: Refused) -> Setback {
    let end = refused.until;
    let named = refused.named.then(|| end.saturating_duration_since(Instant::now()));
    Setback::Limited {
        error: Error::RateLimited { request: call.shown(), retry_at: named.and_then(retry_at) },
        end,
    }
}

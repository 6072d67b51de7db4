//! A gate in front of HTTP servers: it counts requests, keeps what was asked and answered, and can hold a request while a
//! test kills the client.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use sim_server::pki::TlsIdentity;
use tokio::net::TcpListener;

use crate::{Error, io};

/// How long a server may take for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long what was held may take to be through: longer than the server may.
const THROUGH: Duration = Duration::from_secs(60);
/// How long a client may take until it makes the request that is to be held.
const HELD: Duration = Duration::from_secs(300);

/// On which side of the server a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server has not seen it yet.
    Before,
    /// The server has answered; the client has not.
    After,
}

/// A request to an ACME server, and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The signed payload, for a POST that has one.
    pub payload: Option<Value>,
    /// Status of the answer.
    pub status: u16,
    /// Its `Link` headers.
    pub links: Vec<String>,
    /// Its document, if it is JSON.
    pub document: Option<Value>,
}

impl Exchange {
    /// The problem document of a refusal (RFC 7807), as one line.
    pub fn problem(&self) -> Option<String> {
        let document = self.document.as_ref().filter(|_| self.status >= 400)?;
        let member = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = member("type").rsplit(':').next().unwrap_or_default();
        Some(format!("{} {kind}: {}", self.status, member("detail")).trim_end_matches(": ").to_owned())
    }
}

/// Where the CAs of the short codes have their directories, on their own hosts.
const DIRECTORIES: [&str; 5] =
    ["/directory", "/v2/DV90", "/sslcom-dv-rsa", "/sslcom-dv-ecc", "/acme/directory"];

/// The server behind a front.
#[derive(Debug, Clone)]
pub(crate) struct Behind {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The path of its directory, where it stands in the place of the CAs of the short codes.
    pub(crate) directory: Option<String>,
}

/// A gate; it is open until told otherwise.
#[derive(Debug, Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    released: tokio::sync::Notify,
}

/// Which request is held.
#[derive(Debug)]
enum Which {
    Number(usize),
    /// The first one that has a word in its path, and is not refused.
    Path(String),
}

#[derive(Debug, Default)]
struct State {
    /// Requests so far.
    count: usize,
    hold: Option<(Which, Side)>,
    held: bool,
    /// Requests that are being forwarded, by a number of their own, which goes on when the count begins anew.
    under_way: BTreeMap<usize, String>,
    forwarded: usize,
    /// What the directory says of the CA's name in CAA records; Pebble says nothing.
    caa_identity: Option<String>,
    exchanges: Vec<Exchange>,
}

/// A request that is being forwarded, until this is dropped.
struct UnderWay {
    shared: Arc<Shared>,
    number: usize,
}

impl UnderWay {
    fn new(shared: &Arc<Shared>, what: String) -> Self {
        let mut state = shared.lock();
        state.forwarded += 1;
        let number = state.forwarded;
        state.under_way.insert(number, what);
        UnderWay { shared: shared.clone(), number }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shared.lock().under_way.remove(&self.number);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, number: usize, path: &str, side: Side, refused: bool) {
        let released = self.released.notified();
        tokio::pin!(released);
        released.as_mut().enable();
        {
            let mut state = self.lock();
            let wanted = match &state.hold {
                Some((Which::Number(wanted), at)) => *at == side && *wanted == number,
                Some((Which::Path(word), at)) => {
                    *at == side && path.contains(word) && !refused && !state.held
                }
                None => false,
            };
            if !wanted {
                return;
            }
            state.held = true;
            self.changed.notify_all();
        }
        released.await;
    }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate { shared: Arc::default() }
    }

    /// Starts counting anew, and holds the request with this number (from 1) on this side.
    pub fn hold(&self, number: usize, side: Side) {
        let mut state = self.shared.lock();
        (state.count, state.hold, state.held) = (0, Some((Which::Number(number), side)), false);
    }

    /// Starts counting anew, and holds on this side the first request that has this word in its path; on the far side the
    /// first one that the server does not refuse.
    pub fn hold_at(&self, word: &str, side: Side) {
        let mut state = self.shared.lock();
        (state.count, state.hold, state.held) = (0, Some((Which::Path(word.to_owned()), side)), false);
    }

    /// Lets what is held pass, and holds on this side the next request that has this word in its path.
    pub fn hold_next(&self, word: &str, side: Side) {
        let mut state = self.shared.lock();
        (state.hold, state.held) = (Some((Which::Path(word.to_owned()), side)), false);
        self.shared.released.notify_waiters();
    }

    /// Waits until the request is held; `false` if the client has ended without making it.
    ///
    /// # Errors
    /// The client cannot be watched, or does neither for five minutes.
    pub fn until_held(&self, client: &mut Child) -> Result<bool, Error> {
        let end = Instant::now() + HELD;
        let mut state = self.shared.lock();
        loop {
            if state.held {
                return Ok(true);
            }
            if client.try_wait().map_err(io("watching the client"))?.is_some() {
                return Ok(false);
            }
            if Instant::now() > end {
                let (wanted, under_way) = (&state.hold, &state.under_way);
                let said = format!("no request to hold ({wanted:?}), and under way: {under_way:?}");
                return Err(Error::Silent { program: "the client of a gate".to_owned(), said });
            }
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(5));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets everything pass, and waits until what was held is through.
    ///
    /// # Panics
    /// It is not within a minute.
    pub fn open(&self) {
        self.open_within(THROUGH);
    }

    fn open_within(&self, limit: Duration) {
        let mut state = self.shared.lock();
        (state.hold, state.held) = (None, false);
        self.shared.released.notify_waiters();
        let waiting = |state: &mut State| !state.under_way.is_empty();
        let waited = self.shared.changed.wait_timeout_while(state, limit, waiting);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let under_way: Vec<_> = state.under_way.values().cloned().collect();
        state.count = 0;
        drop(state);
        assert!(under_way.is_empty(), "still under way after {limit:?}: {}", under_way.join(", "));
    }

    /// Lets the directory tell this name of the CA for CAA records, which Pebble's does not.
    pub fn set_caa_identity(&self, name: &str) {
        self.shared.lock().caa_identity = Some(name.to_owned());
    }

    /// What was asked and answered so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.lock().exchanges.clone()
    }

    /// Requests since the count began.
    pub fn count(&self) -> usize {
        self.shared.lock().count
    }

    /// A front for a server.
    pub(crate) async fn front(
        &self,
        to: Behind,
        tls: &TlsIdentity,
        trusted: &str,
    ) -> Result<SocketAddr, Error> {
        let client = client(trusted)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("opening a gate"))?;
        let address = listener.local_addr().map_err(io("opening a gate"))?;
        let acceptor = sim_server::tls(tls, &["http/1.1"]).map_err(|error| Error::Pki(error.to_string()))?;
        let shared = self.shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared, client) = (acceptor.clone(), shared.clone(), client.clone());
                let to = to.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let (shared, client, to) = (shared.clone(), client.clone(), to.clone());
                        async move { Ok::<_, Infallible>(pass(request, to, client, shared).await) }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    // It ends with an error when the client is killed.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(address)
    }
}

/// A client that trusts nobody but the roots in `trusted`, PEM.
pub(crate) fn client(trusted: &str) -> Result<reqwest::Client, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::Pki(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
        roots.add(root.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // HTTP/2 has no `Host`, which servers make their URLs from.
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // A connection that waits for more takes away one of acme2certifier's few threads, and one that the server closes
        // at the moment of its next request is an error that no real network would make as often.
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .map_err(|error| wrong(&error))
}

/// The payload of a JWS.
fn payload(body: &[u8]) -> Option<Value> {
    let jws: Value = serde_json::from_slice(body).ok()?;
    let payload = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, jws["payload"].as_str()?);
    serde_json::from_slice(&payload.ok()?).ok()
}

async fn pass(
    request: Request<Incoming>,
    to: Behind,
    client: reqwest::Client,
    shared: Arc<Shared>,
) -> Response<Full<Bytes>> {
    let number = {
        let mut state = shared.lock();
        state.count += 1;
        state.count
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else { return bad_gateway() };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let path = to.directory.as_deref().filter(|_| DIRECTORIES.contains(&path)).unwrap_or(path).to_owned();
    let (method, payload) = (parts.method.to_string(), payload(&body));
    let url = format!("https://localhost:{}{path}", to.address.port());
    let mut forward = client.request(parts.method, &url).body(body).timeout(ANSWER);
    for (name, value) in &parts.headers {
        // The host stays: servers make their URLs from it.
        if name != "connection" && name != "content-length" {
            forward = forward.header(name, value);
        }
    }
    let caa_identity = shared.lock().caa_identity.clone().filter(|_| path.ends_with("/dir"));
    let under_way = UnderWay::new(&shared, format!("{method} {url}"));
    // On a task of its own: what has been sent is carried out, whether the client is still alive or not.
    let watched = shared.clone();
    let forwarded = tokio::spawn(async move {
        let (shared, _under_way) = (watched, under_way);
        shared.pass(number, &path, Side::Before, false).await;
        let answer = async {
            let answer = forward.send().await.ok()?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Some((status, headers, answer.bytes().await.ok()?))
        };
        let answer = answer.await;
        if let Some((status, headers, body)) = &answer {
            let link = |value: &hyper::header::HeaderValue| value.to_str().ok().map(str::to_owned);
            shared.lock().exchanges.push(Exchange {
                method,
                path: path.clone(),
                payload,
                status: status.as_u16(),
                links: headers.get_all("link").iter().filter_map(link).collect(),
                document: serde_json::from_slice(body).ok(),
            });
        }
        let refused = answer.as_ref().is_none_or(|(status, ..)| !status.is_success());
        shared.pass(number, &path, Side::After, refused).await;
        answer
    });
    let Ok(Some((status, headers, body))) = forwarded.await else { return bad_gateway() };
    let body = match (caa_identity, serde_json::from_slice::<serde_json::Value>(&body)) {
        (Some(name), Ok(mut directory)) => {
            directory["meta"]["caaIdentities"] = serde_json::json!([name]);
            directory.to_string().into()
        }
        _ => body,
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    for (name, value) in &headers {
        if name != "connection" && name != "content-length" && name != "transfer-encoding" {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}

fn bad_gateway() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("the gate could not pass the request on"));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_named() {
        let gate = Gate::new();
        let under_way = UnderWay::new(&gate.shared, "POST https://localhost:1/order".to_owned());
        let opened = std::panic::catch_unwind(|| gate.open_within(Duration::from_millis(1)));
        let said = opened.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("POST https://localhost:1/order"), "{said}");
        drop(under_way);
        gate.open();
    }
}

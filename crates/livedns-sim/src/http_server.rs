//! HTTP around the API (with TLS, HTTP/1.1 and HTTP/2) and around the control endpoint (without).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::api::Request;
use crate::behaviour::RetryAfter;
use crate::control::Control;
use crate::faults::Fault;
use crate::log::RequestRecord;
use crate::pki::TlsIdentity;
use crate::reply::Reply;
use crate::simulator::{Error, Shared};

const MAX_BODY: usize = 1024 * 1024;

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

pub(crate) fn tls(identity: &TlsIdentity) -> Result<TlsAcceptor, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.cert_chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|error| wrong(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(crate) async fn serve_api(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Some((stream, client)) = accept(&listener).await else { continue };
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer_api(request, client, shared.clone()));
            let server = auto::Builder::new(TokioExecutor::new());
            // The connection ends with an error when it is cut on purpose, or the client goes away.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

pub(crate) async fn serve_control(listener: TcpListener, control: Control) {
    loop {
        let Some((stream, _)) = accept(&listener).await else { continue };
        let control = control.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer_control(request, control.clone()));
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, client)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, client))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            // Out of file descriptors, most likely: give the others time to close theirs.
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn answer_api(
    request: hyper::Request<Incoming>,
    client: SocketAddr,
    shared: Arc<Shared>,
) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| Cut)?.to_bytes();
    if parts.uri.path() == "/dns-query" {
        return answer_dns(&body, &shared).await;
    }
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let (reply, credential, pause) = decide(&request, &shared);
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    shared.lock().log.add(RequestRecord {
        time: jiff::Timestamp::now().to_string(),
        method: request.method.to_string(),
        path: format!("{}{query}", request.path),
        status: reply.as_ref().map_or(0, |reply| reply.status),
        credential: credential.to_owned(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
        http: format!("{:?}", parts.version),
        client: client.to_string(),
        ms: begun.elapsed().as_secs_f64() * 1000.0,
    });
    Ok(into_response(reply.ok_or(Cut)?))
}

/// DNS over HTTPS (RFC 8484) in front of the first name server, as a resolver would offer it.
async fn answer_dns(query: &[u8], shared: &Shared) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let address = shared.lock().dns_addrs.first().copied().ok_or(Cut)?;
    let ask = async {
        let socket = tokio::net::UdpSocket::bind((address.ip(), 0)).await?;
        socket.connect(address).await?;
        socket.send(query).await?;
        let mut buffer = vec![0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await??;
        buffer.truncate(length);
        Ok::<_, std::io::Error>(buffer)
    };
    let answer = ask.await.map_err(|_| Cut)?;
    let response = hyper::Response::builder().header("content-type", "application/dns-message");
    response.body(Full::from(answer)).map_err(|_| Cut)
}

/// The answer (none: cut the connection), who asked, and how long the answer waits.
fn decide(request: &Request, shared: &Shared) -> (Option<Reply>, &'static str, Duration) {
    let mut state = shared.lock();
    let latency = state.latency;
    let state = &mut *state;
    state.recent.retain(|moment| moment.elapsed() < Duration::from_secs(60));
    state.recent.push(Instant::now());
    let limit = state.world.behaviour.requests_per_minute;
    if limit > 0 && state.recent.len() > limit as usize {
        let mut reply = Reply::error(429, "HTTPTooManyRequests", "Too Many Requests", "Too many requests.");
        let value = match state.world.behaviour.retry_after {
            RetryAfter::Nothing => None,
            RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
            RetryAfter::Date(seconds) => Some(http_date(seconds)),
        };
        reply.headers.extend(value.map(|value| ("retry-after", value)));
        return (Some(reply), "none", latency);
    }
    match state.faults.hit(request.method.as_str(), &request.path) {
        Some(Fault::Answer { status, body, retry_after }) => {
            let mut headers = Vec::new();
            headers.extend(retry_after.map(|text| ("retry-after", text)));
            (Some(Reply { status, headers, body }), "none", latency)
        }
        Some(Fault::CutBefore) => (None, "none", latency),
        Some(Fault::CutAfter) => {
            let (_, credential) = state.world.answer(request);
            (None, credential, latency)
        }
        Some(Fault::Late(ms)) => {
            let (reply, credential) = state.world.answer(request);
            (Some(reply), credential, latency + Duration::from_millis(ms))
        }
        None => {
            let (reply, credential) = state.world.answer(request);
            (Some(reply), credential, latency)
        }
    }
}

/// The moment in so many seconds, as HTTP writes it (RFC 9110 §5.6.7).
fn http_date(seconds: u32) -> String {
    let moment = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds.into());
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn into_response(reply: Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Full::from(reply.body)).unwrap_or_default()
}

async fn answer_control(
    request: hyper::Request<Incoming>,
    control: Control,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, document) = control.answer(&parts.method, parts.uri.path(), &body);
    let headers = vec![("content-type", "application/json".to_owned())];
    Ok(into_response(Reply { status, headers, body: document.to_string() + "\n" }))
}

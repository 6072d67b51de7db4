//! HTTP around the server (with TLS, HTTP/1.1 and HTTP/2) and around the control endpoint (without).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use livedns_sim::pki::TlsIdentity;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::api::{Outcome, Reply, Request};
use crate::control::Control;
use crate::faults::Fault;
use crate::log::RequestRecord;
use crate::problem::Problem;
use crate::server::{Error, Shared};
use crate::validation;

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

pub(crate) async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Some((stream, client)) = accept(&listener).await else { continue };
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, client, shared.clone()));
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

/// What the log knows of a request before it is answered.
fn record(request: &Request, client: SocketAddr) -> RequestRecord {
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let user_agent = request.headers.get("user-agent").and_then(|value| value.to_str().ok());
    RequestRecord {
        time: jiff::Timestamp::now().to_string(),
        method: request.method.to_string(),
        path: format!("{}{query}", request.path),
        kid: None,
        payload: serde_json::Value::Null,
        user_agent: user_agent.map(str::to_owned),
        status: 0,
        problem: None,
        client: client.to_string(),
        ms: 0.0,
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    client: SocketAddr,
    shared: Arc<Shared>,
) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| Cut)?.to_bytes();
    // HTTP/2 has the host in the URI, HTTP/1.1 in a header.
    let host = parts.uri.authority().map(ToString::to_string);
    let host = host.or_else(|| Some(parts.headers.get("host")?.to_str().ok()?.to_owned()));
    let request = Request {
        base: format!("https://{}", host.unwrap_or_default()),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        method: parts.method,
        headers: parts.headers,
        body,
    };
    let mut record = record(&request, client);
    let fault = shared.lock().faults.hit(request.method.as_str(), &request.path);
    // On a task of its own: what has come is carried out, whether the client is still there or not.
    let task = tokio::spawn(async move {
        let reply = decide(&request, fault, &shared, &mut record).await;
        record.ms = begun.elapsed().as_secs_f64() * 1000.0;
        shared.lock().log.add(record);
        reply
    });
    let reply = task.await.ok().flatten().ok_or(Cut)?;
    Ok(into_response(reply))
}

/// The answer; none if the connection is to be cut.
async fn decide(
    request: &Request,
    fault: Option<Fault>,
    shared: &Arc<Shared>,
    record: &mut RequestRecord,
) -> Option<Reply> {
    let mut pause = shared.lock().latency;
    let mut reply = match &fault {
        Some(Fault::CutBefore) => return None,
        Some(Fault::Answer { status, content_type, body, retry_after }) => {
            let mut headers = vec![("content-type", content_type.clone())];
            headers.extend(retry_after.iter().map(|when| ("retry-after", when.clone())));
            Reply { status: *status, headers, body: body.clone(), problem: None }
        }
        Some(Fault::Problem { status, kind, detail, retry_after }) => {
            let mut problem = Problem::new(*status, kind.as_str(), detail.as_str())
                .header("replay-nonce", shared.lock().world.nonce());
            problem.headers.extend(retry_after.iter().map(|when| ("retry-after", when.clone())));
            Reply::problem(&problem)
        }
        _ => {
            if fault == Some(Fault::HoldBefore) {
                hold(shared).await;
            }
            let Outcome { mut reply, kid, payload, started, ordered } = shared.lock().world.answer(request);
            (record.kid, record.payload) = (kid, payload);
            if let Some(started) = started {
                tokio::spawn(validation::validate(shared.clone(), started));
            }
            if let Some(id) = ordered
                && validation::just_in_time(shared, &id).await
            {
                let world = &shared.lock().world;
                if let Ok(order) = world.find_order(&id) {
                    reply.body = world.show_order(request, order).to_string();
                }
            }
            reply
        }
    };
    match fault {
        Some(Fault::CutAfter) => return None,
        Some(Fault::HoldAfter) => hold(shared).await,
        Some(Fault::Late(ms)) => pause += Duration::from_millis(ms),
        _ => {}
    }
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    if request.method == hyper::Method::HEAD {
        reply.body.clear();
    }
    (record.status, record.problem) = (reply.status, reply.problem.clone());
    Some(reply)
}

async fn hold(shared: &Shared) {
    let released = shared.released.notified();
    tokio::pin!(released);
    released.as_mut().enable();
    shared.lock().held += 1;
    shared.holding.notify_all();
    released.await;
    shared.lock().held -= 1;
    shared.holding.notify_all();
}

fn into_response(reply: Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::from(reply.body));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or_default();
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

async fn answer_control(
    request: hyper::Request<Incoming>,
    control: Control,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, document) = control.answer(&parts.method, parts.uri.path(), &body);
    let headers = vec![("content-type", "application/json".to_owned())];
    Ok(into_response(Reply { status, headers, body: document.to_string() + "\n", problem: None }))
}

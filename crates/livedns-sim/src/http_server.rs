//! HTTP around the API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use sim_server::{Body, Cut, respond, serve};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::api::Request;
use crate::behaviour::RetryAfter;
use crate::faults::Fault;
use crate::log::RequestRecord;
use crate::reply::Reply;
use crate::simulator::Shared;

/// Answers requests to the API, for as long as the task lives.
pub(crate) async fn serve_api(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    serve(listener, Some(tls), move |request, client| answer_api(request, client, shared.clone())).await;
}

async fn answer_api(
    request: hyper::Request<Body>,
    client: SocketAddr,
    shared: Arc<Shared>,
) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let body = body.read().await?;
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
    shared.lock().log.requests.add(RequestRecord {
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
    let reply = reply.ok_or(Cut)?;
    Ok(respond(reply.status, reply.headers, reply.body))
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
    Ok(respond(200, vec![("content-type", "application/dns-message".to_owned())], answer))
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

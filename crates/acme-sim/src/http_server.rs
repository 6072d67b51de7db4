//! HTTP around the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use sim_server::{Body, Cut, respond};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::api::{Outcome, Reply, Request};
use crate::faults::Fault;
use crate::log::RequestRecord;
use crate::problem::Problem;
use crate::server::Shared;
use crate::validation;

/// Answers requests to the server, for as long as the task lives.
pub(crate) async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    sim_server::serve(listener, Some(tls), move |request, client| answer(request, client, shared.clone()))
        .await;
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
    request: hyper::Request<Body>,
    client: SocketAddr,
    shared: Arc<Shared>,
) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let body = body.read().await?;
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
    Ok(respond(reply.status, reply.headers, reply.body))
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

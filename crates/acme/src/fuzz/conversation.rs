//! A server that says anything: whole conversations, from the directory to the revocation, end after a bounded number
//! of requests and a bounded time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};

use super::{KEY, URL};
use crate::account::{Account, NewAccount};
use crate::identifier::Identifier;
use crate::key::AccountKey;
use crate::order::{NewOrder, Order, OrderStatus};
use crate::poll::Poll;
use crate::renewal::CertificateId;
use crate::server::Server;
use crate::transport::{Sending, Transport, TransportError};

/// Between two answers.
const SEPARATOR: &[u8] = b"\n====\n";
/// The largest number of requests that one operation of the library makes for a server which never says anything else
/// than what makes it ask again: growing waits within half a minute, and refused nonces.
const MOST_REQUESTS: u32 = 400;
/// The longest time that one request with all its repetitions takes, if the answers come at once.
const LONGEST: Duration = Duration::from_secs(31);
/// Authorizations of one order that are looked at: it is the same for each.
const AUTHORIZATIONS: usize = 3;

/// Gives one answer after the other, and the last one for ever.
struct Script {
    answers: Mutex<VecDeque<Vec<u8>>>,
    requests: AtomicU32,
}

impl Transport for Script {
    fn send(&self, _: Request<Bytes>) -> Sending<'_> {
        let requests = self.requests.fetch_add(1, Relaxed) + 1;
        assert!(requests <= MOST_REQUESTS, "there are too many requests");
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { read(&answer.unwrap_or_default()) })
    }
}

impl Script {
    /// Runs one operation and sees that it stays within bounds.
    async fn bounded<T>(&self, longest: Duration, operation: impl Future<Output = T>) -> T {
        self.requests.store(0, Relaxed);
        let begun = tokio::time::Instant::now();
        let result = operation.await;
        assert!(begun.elapsed() <= longest, "it takes {:?}", begun.elapsed());
        result
    }
}

/// The status, headers, an empty line, and the body. Without status there is no answer: the connection breaks, or nobody
/// is there.
fn read(text: &[u8]) -> Result<Response<Bytes>, TransportError> {
    let mut rest = text;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    };
    let status = std::str::from_utf8(line()).ok().and_then(|status| status.parse::<u16>().ok());
    let mut response = Response::new(Bytes::new());
    match status.map(|status| (status, http::StatusCode::from_u16(status))) {
        None => return Err(TransportError::Broken("scripted".into())),
        Some((_, Ok(status))) => *response.status_mut() = status,
        Some((0, _)) => return Err(TransportError::Connect("scripted".into())),
        Some(_) => return Err(TransportError::Timeout("scripted".into())),
    }
    loop {
        let header = line();
        let Some(colon) = header.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&header[..colon]);
        let value = HeaderValue::from_bytes(header[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    *response.body_mut() = Bytes::copy_from_slice(rest);
    Ok(response)
}

pub(super) fn conversation(input: &[u8]) {
    // Waits cost no time: the clock goes on to the next one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return };
    let mut answers = VecDeque::new();
    let mut rest = input;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        answers.push_back(rest[..at].to_vec());
        rest = &rest[at + SEPARATOR.len()..];
    }
    answers.push_back(rest.to_vec());
    let script = Arc::new(Script { answers: Mutex::new(answers), requests: AtomicU32::new(0) });
    runtime.block_on(converse(&script));
}

async fn converse(script: &Arc<Script>) {
    let connect = Server::connect(script.clone(), "https://ca.example/directory");
    let Ok(server) = script.bounded(LONGEST, connect).await else { return };
    let new = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let account = script.bounded(LONGEST, server.create_account(KEY.clone(), &new)).await;
    let account = account.unwrap_or_else(|_| server.account(KEY.clone(), URL.clone()));
    let new = NewOrder::new(vec![Identifier::dns("a.example")]);
    let order = match script.bounded(LONGEST, account.new_order(&new)).await {
        Ok(order) => Some(order),
        Err(_) => script.bounded(LONGEST, account.order(&URL)).await.ok(),
    };
    if let Some(order) = order {
        take_through(script, &account, &order).await;
    }
    let id = CertificateId::new(&[1], &[2]);
    let _ = script.bounded(LONGEST, server.renewal_info(&id)).await;
    let _ = script.bounded(LONGEST, account.revoke(&[0], None)).await;
    change_account(script, &account, KEY.clone()).await;
}

/// From the order to its certificate.
async fn take_through(script: &Script, account: &Account, order: &Order) {
    // Each round is one request with its repetitions, and the last one may begin just before the end.
    let poll = Poll::within(Duration::from_secs(20));
    let polling = poll.limit + LONGEST;
    for url in order.authorizations.iter().take(AUTHORIZATIONS) {
        let Ok(authorization) = script.bounded(LONGEST, account.authorization(url)).await else { continue };
        if let Some(challenge) = authorization.challenges.iter().find(|challenge| challenge.is_usable()) {
            let _ = script.bounded(LONGEST, account.respond(&challenge.url)).await;
            let _ = script.bounded(LONGEST, account.challenge(&challenge.url)).await;
        }
        let _ = script.bounded(polling, account.poll_authorization(url, &poll)).await;
        let _ = script.bounded(LONGEST, account.deactivate_authorization(url)).await;
    }
    let ready = |status: &OrderStatus| *status == OrderStatus::Ready;
    let _ = script.bounded(polling, account.poll_order(&order.url, &poll, ready)).await;
    let order =
        script.bounded(LONGEST, account.finalize(order, b"csr")).await.unwrap_or_else(|_| order.clone());
    let url = order.certificate.as_ref().unwrap_or(&URL);
    // Waiting for what is not there yet has a budget of its own, for each chain.
    if let Ok(chains) = script.bounded(4 * LONGEST, account.certificate_chains(url)).await {
        assert!(chains.len() <= crate::certificate::MAX_CHAINS);
    }
}

async fn change_account(script: &Script, account: &Account, key: AccountKey) {
    let _ = script.bounded(2 * LONGEST, account.agree_to_terms()).await;
    let _ = script.bounded(2 * LONGEST, account.roll_over(key)).await;
    // Pages are asked for one after the other.
    let _ =
        tokio::time::timeout(Duration::from_secs(600), script.bounded(Duration::MAX, account.orders())).await;
    let _ = script.bounded(LONGEST, account.pre_authorize(&Identifier::dns("a.example"))).await;
    let _ = script.bounded(LONGEST, account.deactivate()).await;
}

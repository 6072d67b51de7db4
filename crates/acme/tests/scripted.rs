//! The protocol against servers that misbehave, scripted answer by answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use livecert_acme::{
    AccountKey, AccountKeyType, ChallengeType, Error, Identifier, NewOrder, OrderStatus, Poll, ProblemKind,
    Sending, Server, Transport, TransportError,
};

const DIRECTORY: &str = r#"{"newNonce":"https://ca/nonce","newAccount":"https://ca/account",
    "newOrder":"https://ca/order","meta":{"termsOfService":"https://ca/terms","unknown":1},"extra":"https://ca/x"}"#;

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<http::Response<Bytes>, TransportError>>>,
    asked: Mutex<Vec<String>>,
}

impl Transport for Script {
    fn send(&self, request: http::Request<Bytes>) -> Sending<'_> {
        self.asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or_else(|| panic!("no answer is left for {}", request.uri())) })
    }
}

impl Script {
    fn then(&self, status: u16, headers: &[(&str, &str)], body: &str) -> &Self {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.answers.lock().unwrap().push_back(Ok(response.body(Bytes::from(body.to_owned())).unwrap()));
        self
    }

    fn then_lost(&self) -> &Self {
        self.answers.lock().unwrap().push_back(Err(TransportError::Broken("cut".into())));
        self
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn account() -> (Arc<Script>, livecert_acme::Account) {
    let script = Arc::new(Script::default());
    script.then(200, &[("replay-nonce", "n0")], DIRECTORY);
    let server = Server::connect(script.clone(), "https://ca/directory").await.unwrap();
    let key = AccountKey::generate(AccountKeyType::EcdsaP256).unwrap();
    script.asked();
    (script, server.account(key, "https://ca/account/1".parse().unwrap()))
}

fn order(status: &str) -> String {
    format!(
        r#"{{"status":"{status}","identifiers":[],"authorizations":[],"finalize":"https://ca/f","odd":{{}}}}"#
    )
}

fn new_order() -> NewOrder {
    NewOrder::new(vec![Identifier::dns("example.com")])
}

const BAD_NONCE: &str = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"no"}"#;

#[tokio::test]
async fn a_refused_nonce_is_replaced_by_that_of_the_refusal() {
    let (script, account) = account().await;
    for number in 1..=12 {
        script.then(400, &[("replay-nonce", &format!("n{number}"))], BAD_NONCE);
    }
    script.then(201, &[("location", "/order/1"), ("replay-nonce", "n13")], &order("pending"));
    let made = account.new_order(&new_order()).await.unwrap();
    assert_eq!((made.url.as_str(), made.status), ("https://ca/order/1", OrderStatus::Pending));
    // No newNonce was needed at all.
    assert!(script.asked().iter().all(|request| request == "POST https://ca/order"));
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_when_it_says_and_not_for_longer_than_makes_sense() {
    let (script, account) = account().await;
    let begun = tokio::time::Instant::now();
    script.then(503, &[("retry-after", "7"), ("replay-nonce", "n1")], "busy");
    script.then(201, &[("location", "https://ca/order/1")], &order("pending"));
    account.new_order(&new_order()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(7));

    let limited = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#;
    script.then(200, &[("replay-nonce", "n2")], "");
    script.then(429, &[("retry-after", "3600"), ("replay-nonce", "n3")], limited);
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind(), ProblemKind::RateLimited);
    assert!(matches!(error, Error::RetryLater { retry_at: Some(_), .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_repeats_a_read_and_never_an_order() {
    let (script, account) = account().await;
    script.then_lost();
    assert!(matches!(account.new_order(&new_order()).await, Err(Error::Transport { .. })));
    assert_eq!(script.asked().len(), 1);

    script.then(200, &[("replay-nonce", "n1")], "").then_lost();
    script.then(200, &[("replay-nonce", "n2")], "");
    script.then(200, &[], &order("ready"));
    assert_eq!(
        account.order(&"https://ca/order/1".parse().unwrap()).await.unwrap().status,
        OrderStatus::Ready
    );
}

#[tokio::test]
async fn an_error_that_is_no_problem_document_keeps_its_status_and_words() {
    let (script, account) = account().await;
    script.then(403, &[], "<html><h1>Blocked by the proxy</h1></html>");
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Http { status: 403, .. }) && error.to_string().contains("Blocked"),
        "{error}"
    );
}

#[tokio::test]
async fn urls_stay_https() {
    let script = Arc::new(Script::default());
    let plain = Server::connect(script.clone(), "http://ca/directory").await.unwrap_err();
    assert!(matches!(plain, Error::NotHttps(_)) && script.asked().is_empty());
    script.then(200, &[], &DIRECTORY.replace("https://ca/order", "http://ca/order"));
    assert!(matches!(Server::connect(script, "https://ca/directory").await, Err(Error::NotHttps(_))));
    let (script, account) = account().await;
    script.then(201, &[("location", "http://ca/order/1")], &order("pending"));
    assert!(matches!(account.new_order(&new_order()).await, Err(Error::NotHttps(_))));
}

#[tokio::test]
async fn what_is_no_directory_is_said_to_be_none() {
    for (status, body) in [(200, "<html>"), (200, "{}"), (404, "not here")] {
        let script = Arc::new(Script::default());
        script.then(status, &[], body);
        let error = Server::connect(script, "https://ca/directory").await.unwrap_err();
        assert!(matches!(error, Error::NotADirectory { status: said, .. } if said == status), "{error}");
    }
}

#[tokio::test]
async fn challenges_of_every_kind_are_read() {
    let (script, account) = account().await;
    let body = r#"{"identifier":{"type":"weird","value":"x"},"status":"odd","challenges":[
        {"type":"dns-persist-01","url":"https://ca/c/1","issuer-domain-names":["ca"]},
        {"type":"dns-01","url":"https://ca/c/2","token":"abc"},
        {"type":"http-01","url":"https://ca/c/3","token":"../../etc/passwd"}, 7]}"#;
    script.then(200, &[], body);
    let authorization = account.authorization(&"https://ca/authz/1".parse().unwrap()).await.unwrap();
    let kinds: Vec<_> = authorization.challenges.iter().map(|challenge| challenge.kind.clone()).collect();
    assert_eq!(kinds, [ChallengeType::DnsPersist01, ChallengeType::Dns01, ChallengeType::Http01]);
    assert!(authorization.challenges[1].token.is_some());
    assert!(authorization.challenges[2].token.is_none(), "a path became a token");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_polled_soon_and_then_as_the_server_wants() {
    let (script, account) = account().await;
    let nonce = ("replay-nonce", "n");
    script.then(200, &[nonce, ("retry-after", "3")], &order("pending"));
    script.then(200, &[nonce], &order("valid"));
    let begun = tokio::time::Instant::now();
    let url = "https://ca/order/1".parse().unwrap();
    let poll = Poll::within(Duration::from_secs(60));
    let polled = account.poll_order(&url, &poll, |status| *status == OrderStatus::Valid).await.unwrap();
    assert_eq!(polled.status, OrderStatus::Valid);
    assert!(begun.elapsed() >= Duration::from_secs(3) && begun.elapsed() < Duration::from_secs(4));

    // Never settled: the last sight of it comes with the error.
    for _ in 0..30 {
        script.then(200, &[nonce, ("retry-after", "3")], &order("processing"));
    }
    let error = account.poll_order(&url, &poll, |status| *status == OrderStatus::Valid).await.unwrap_err();
    assert!(matches!(error, Error::Unsettled { order, .. } if order.status == OrderStatus::Processing));
}

#[tokio::test]
async fn other_chains_are_known() {
    let (script, account) = account().await;
    let link = r#"<https://ca/dir>;rel="index", </cert/1/1>;rel="alternate""#;
    script.then(200, &[("link", link)], "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    let certificate = account.certificate(&"https://ca/cert/1".parse().unwrap()).await.unwrap();
    assert_eq!(certificate.alternates, ["https://ca/cert/1/1".parse().unwrap()]);
}

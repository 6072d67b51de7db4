//! What is fetched before it is needed, and how much is under way at a time.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use livecert_acme::{Known, OrderStatus, Poll, Sending, Server, Transport, TransportError};

use crate::script::{DIRECTORY, Script, account, key, new_order, order, url};

const SAID: &str = "https://ca/nonce";

/// A server that gives a new nonce with each answer but the directory, some time after it was asked, and notes what was
/// under way at a time.
#[derive(Default)]
struct Far {
    asked: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
    /// The URL that never answers.
    silent: Option<&'static str>,
    /// The status of answers about nonces.
    nonces: u16,
}

impl Far {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Transport for Far {
    fn send(&self, request: http::Request<Bytes>) -> Sending<'_> {
        Box::pin(async move {
            let asked = format!("{} {}", request.method(), request.uri());
            let number = {
                let mut all = self.asked.lock().unwrap();
                all.push(asked.clone());
                all.len()
            };
            if self.silent.is_some_and(|silent| asked.ends_with(silent)) {
                std::future::pending::<()>().await;
            }
            let under_way = self.now.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(under_way, SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.now.fetch_sub(1, SeqCst);
            let answer = http::Response::builder().header("replay-nonce", format!("n{number}"));
            let (answer, body) = match asked.as_str() {
                "GET https://ca/directory" => (http::Response::builder(), DIRECTORY.to_owned()),
                head if head.starts_with("HEAD") => (answer.status(self.nonces), String::new()),
                _ => (answer, order("ready")),
            };
            answer.body(Bytes::from(body)).map_err(|error| TransportError::Broken(error.into()))
        })
    }
}

async fn connect(far: Far, new_nonce: Option<&str>, at_once: usize) -> (Arc<Far>, Server) {
    let far = Arc::new(Far { nonces: if far.nonces == 0 { 200 } else { far.nonces }, ..far });
    let mut known = Known::default();
    (known.new_nonce, known.at_once) = (new_nonce.map(url), at_once);
    let server = Server::connect_knowing(far.clone(), "https://ca/directory", &known).await.unwrap();
    (far, server)
}

#[tokio::test(start_paused = true)]
async fn what_a_directory_said_before_is_a_hint_and_never_an_answer() {
    // What was said before, what happens there, and: the requests of a connection and one read, the round trips.
    let cases = [
        (None, None, 3, 3),
        (Some(SAID), None, 3, 2),
        // The directory says something else now: it is right.
        (Some("https://ca/old-nonce"), None, 4, 3),
        // Nobody is there any more: nobody waits.
        (Some("https://ca/old-nonce"), Some("https://ca/old-nonce"), 4, 3),
        // Nothing is asked without TLS, of nobody.
        (Some("http://ca/nonce"), None, 3, 3),
    ];
    for (said, silent, requests, trips) in cases {
        let begun = tokio::time::Instant::now();
        let (far, server) = connect(Far { silent, ..Far::default() }, said, 8).await;
        assert_eq!(server.directory().new_nonce.as_str(), SAID, "{said:?}");
        let account = server.account(key(), url("https://ca/account/1"));
        account.order(&url("https://ca/order/1")).await.unwrap();
        let asked = far.asked();
        assert_eq!(asked.len(), requests, "{said:?}: {asked:?}");
        let took = begun.elapsed().as_millis() / 50;
        assert_eq!(took, trips, "{said:?}: {asked:?}");
        let counted = asked.iter().filter(|asked| *asked == "HEAD https://ca/nonce").count();
        assert_eq!(counted, 1, "{said:?}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_and_fails_now_is_asked_again_when_it_is_needed() {
    let script = Arc::new(Script::default());
    let mut known = Known::default();
    known.new_nonce = Some(url(SAID));
    for (status, body) in [(404, "gone"), (200, ""), (503, "busy")] {
        script.then(200, &[], DIRECTORY).then(status, &[], body);
        let server = Server::connect_knowing(script.clone(), "https://ca/directory", &known).await.unwrap();
        script.then(200, &[("replay-nonce", "n")], "").then_ok(&order("ready"));
        let account = server.account(key(), url("https://ca/account/1"));
        assert!(account.order(&url("https://ca/order/1")).await.is_ok(), "{status}");
        let heads = script.asked().iter().filter(|asked| asked.starts_with("HEAD")).count();
        assert_eq!(heads, 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn nonces_are_fetched_ahead_side_by_side_and_none_twice() {
    let (far, server) = connect(Far::default(), None, 32).await;
    let account = server.account(key(), url("https://ca/account/1"));
    let begun = tokio::time::Instant::now();
    server.fetch_nonces_ahead(20).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(50));
    let orders = (0..20).map(|number| url(&format!("https://ca/order/{number}")));
    let orders: Vec<_> = orders.collect();
    let read = join_all(orders.iter().map(|url| account.order(url))).await;
    assert!(read.iter().all(Result::is_ok));
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    // As many as there are now.
    server.fetch_nonces_ahead(20).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    assert_eq!(far.asked().iter().filter(|asked| asked.starts_with("HEAD")).count(), 20);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_under_way_than_the_server_is_to_bear_whoever_asks() {
    let (far, server) = connect(Far::default(), None, 8).await;
    let accounts: Vec<_> = (0..5).map(|_| server.account(key(), url("https://ca/account/1"))).collect();
    let read = accounts.iter().flat_map(|account| (0..20).map(move |_| account));
    let at = url("https://ca/order/1");
    let (_, read) =
        tokio::join!(server.fetch_nonces_ahead(100), join_all(read.map(|account| account.order(&at))));
    assert!(read.iter().all(Result::is_ok));
    assert_eq!(far.most.load(SeqCst), 8);
    // Each nonce comes back with its answer: no more than that are needed.
    let heads = far.asked().iter().filter(|asked| asked.starts_with("HEAD")).count();
    assert!(heads <= 8, "{heads}");
}

#[tokio::test(start_paused = true)]
async fn nonces_that_cannot_be_had_ahead_are_no_error() {
    let (far, server) = connect(Far { nonces: 503, ..Far::default() }, None, 8).await;
    server.fetch_nonces_ahead(4).await;
    assert_eq!(far.asked().len(), 1 + 4);
}

#[tokio::test(start_paused = true)]
async fn at_a_server_that_is_far_the_first_question_follows_at_once() {
    let at = url("https://ca/order/1");
    for (takes, whole) in [(0, 20), (8, 8 + 12 + 8), (20, 40), (50, 100)] {
        let (script, account) = account().await;
        *script.takes.lock().unwrap() = Duration::from_millis(takes);
        script.then(201, &[("location", "https://ca/order/1"), ("replay-nonce", "n")], &order("pending"));
        script.then_ok(&order("ready"));
        let begun = tokio::time::Instant::now();
        account.new_order(&new_order()).await.unwrap();
        let ready = |status: &OrderStatus| *status == OrderStatus::Ready;
        account.poll_order(&at, &Poll::within(Duration::from_secs(60)), ready).await.unwrap();
        assert_eq!(begun.elapsed().as_millis(), whole, "{takes}");
    }
}

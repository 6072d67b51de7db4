//! What holds for every request: nonces, limits, lost answers, errors of every kind.

use std::time::{Duration, SystemTime};

use livecert_acme::{Error, ErrorClass, OrderStatus, ProblemKind, TransportError};

use crate::script::{account, new_order, order, url};

const BAD_NONCE: &str = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"no"}"#;
const LIMITED: &str = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#;

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

#[tokio::test]
async fn nonces_that_are_always_refused_end_in_an_error() {
    let (script, account) = account().await;
    for _ in 0..30 {
        script.then(400, &[("replay-nonce", "n")], BAD_NONCE);
    }
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind(), ProblemKind::BadNonce);
    assert_eq!(script.asked().len(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_when_it_says_and_not_for_longer_than_makes_sense() {
    let (script, account) = account().await;
    let begun = tokio::time::Instant::now();
    script.then(503, &[("retry-after", "7"), ("replay-nonce", "n1")], "busy");
    script.then(201, &[("location", "https://ca/order/1")], &order("pending"));
    account.new_order(&new_order()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(7));

    script.then(200, &[("replay-nonce", "n2")], "");
    script.then(429, &[("retry-after", "3600"), ("replay-nonce", "n3")], LIMITED);
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind(), ProblemKind::RateLimited);
    assert!(matches!(error, Error::RetryLater { retry_at: Some(_), .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn the_moment_of_a_limit_is_told_in_both_forms_and_also_when_it_is_days_away() {
    let (script, account) = account().await;
    let week = Duration::from_secs(7 * 86_400);
    let date = httpdate::fmt_http_date(SystemTime::now() + week);
    for text in [date.as_str(), "604800"] {
        script.then(429, &[("retry-after", text), ("replay-nonce", "n")], LIMITED);
        let at = account.new_order(&new_order()).await.unwrap_err().retry_at().unwrap();
        let distance = at.duration_since(jiff::Timestamp::now());
        assert!((604_700..=604_801).contains(&distance.as_secs()), "{text}: {at}");
    }
}

#[tokio::test]
async fn a_limit_is_one_whatever_the_status_and_is_not_hammered() {
    let (script, account) = account().await;
    // Boulder's answer for a paused account has no moment.
    for (status, detail) in [(403, "too many"), (429, "Please visit: https://ca/sfe/v1/unpause?jwt=a.b")] {
        script.then_problem(status, "rateLimited", detail);
        let error = account.new_order(&new_order()).await.unwrap_err();
        assert!(matches!(&error, Error::RetryLater { retry_at: None, .. }), "{error}");
        assert_eq!((error.problem().unwrap().status, script.asked().len()), (Some(status), 1));
        assert_eq!(error.problem().unwrap().is_paused().is_some(), status == 429);
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxys_limit_has_no_words_and_is_known_all_the_same() {
    let (script, account) = account().await;
    script.then(429, &[("retry-after", "60"), ("replay-nonce", "n")], "<html>slow down</html>");
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!((error.class(), error.retry_at().is_some()), (ErrorClass::RateLimited, true));
    script.then(503, &[("retry-after", "60"), ("replay-nonce", "n")], "");
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Outage);
    assert!(error.to_string().starts_with("Service Unavailable (again from "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_read_again_and_nothing_is_made_twice() {
    let (script, account) = account().await;
    script.then_problem(500, "serverInternal", "oops").then_ok(&order("ready"));
    account.order(&url("https://ca/order/1")).await.unwrap();
    assert_eq!(script.asked().len(), 2);
    script.then_problem(500, "serverInternal", "oops");
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!((error.class(), script.asked().len()), (ErrorClass::ServerInternal, 1));
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
    assert_eq!(account.order(&url("https://ca/order/1")).await.unwrap().status, OrderStatus::Ready);
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
async fn a_good_status_with_the_wrong_content_is_not_believed() {
    let (script, account) = account().await;
    for body in ["<html>login</html>", "", "[]", "{}", r#"{"status":"pending"}"#, "\u{0}"] {
        script.then(201, &[("location", "https://ca/order/1"), ("replay-nonce", "n")], body);
        let error = account.new_order(&new_order()).await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected { .. }), "{body}: {error}");
    }
    script.then_ok(&order("pending"));
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert!(error.to_string().contains("no Location"), "{error}");
}

#[tokio::test]
async fn sizes_are_bounded_whatever_the_transport_does() {
    let (script, account) = account().await;
    script.then_ok(&"x".repeat(1024 * 1024 + 1));
    let error = account.order(&url("https://ca/order/1")).await.unwrap_err();
    assert!(matches!(error, Error::Transport { source: TransportError::TooLarge, .. }), "{error}");
    script.then(200, &[("replay-nonce", "n")], "");
    script.then_ok(&"[".repeat(100_000));
    assert!(matches!(account.order(&url("https://ca/order/1")).await, Err(Error::Unexpected { .. })));
    let long = format!("https://ca/{}", "x".repeat(5000));
    script.then(201, &[("location", &long)], &order("pending"));
    assert!(matches!(account.new_order(&new_order()).await, Err(Error::Unexpected { .. })));
}

#[tokio::test(start_paused = true)]
async fn without_a_nonce_the_reason_is_told() {
    let (script, account) = account().await;
    script.then(200, &[], &order("ready"));
    account.order(&url("https://ca/order/1")).await.unwrap();
    script.then(200, &[], "");
    assert!(matches!(account.new_order(&new_order()).await, Err(Error::NoNonce(_))));
    script.then(429, &[("retry-after", "900")], "");
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert!(error.retry_at().is_some(), "{error}");
    script.then(403, &[], "");
    assert!(matches!(account.new_order(&new_order()).await, Err(Error::Http { status: 403, .. })));
}

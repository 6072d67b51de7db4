//! Orders, authorizations and challenges.

use std::time::Duration;

use livecert_acme::{
    AuthorizationStatus, CertificateId, ChallengeStatus, ChallengeType, Error, Identifier, OrderStatus, Poll,
    ProblemKind,
};
use serde_json::json;

use crate::script::{account, new_order, order, url};

#[tokio::test]
async fn an_order_says_all_that_is_wished() {
    let (script, account) = account().await;
    let mut new = new_order();
    new.identifiers.push(Identifier::ip("2001:db8::1".parse().unwrap()));
    new.profile = Some("shortlived".to_owned());
    new.not_before = Some("2026-12-01T00:00:00Z".parse().unwrap());
    new.replaces = Some(CertificateId::new(&[1], &[2]));
    script.then(201, &[("location", "https://ca/order/1")], &order("pending"));
    account.new_order(&new).await.unwrap();
    assert_eq!(
        script.signed()[0].json(),
        json!({"identifiers": [{"type": "dns", "value": "example.com"}, {"type": "ip", "value": "2001:db8::1"}],
            "profile": "shortlived", "notBefore": "2026-12-01T00:00:00Z", "replaces": "AQ.Ag"})
    );
}

#[tokio::test]
async fn refusals_of_an_order_are_typed() {
    let (script, account) = account().await;
    for (status, kind, expected) in [
        (409, "alreadyReplaced", ProblemKind::AlreadyReplaced),
        (404, "malformed", ProblemKind::Malformed),
        (400, "invalidProfile", ProblemKind::InvalidProfile),
        (400, "rejectedIdentifier", ProblemKind::RejectedIdentifier),
    ] {
        script.then_problem(status, kind, "no");
        let error = account.new_order(&new_order()).await.unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!((problem.status, problem.kind()), (Some(status), expected));
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
    let authorization = account.authorization(&url("https://ca/authz/1")).await.unwrap();
    let kinds: Vec<_> = authorization.challenges.iter().map(|challenge| challenge.kind.clone()).collect();
    assert_eq!(kinds, [ChallengeType::DnsPersist01, ChallengeType::Dns01, ChallengeType::Http01]);
    assert!(authorization.challenge(&ChallengeType::Dns01).unwrap().token.is_some());
    let path = authorization.challenge(&ChallengeType::Http01).unwrap();
    assert!(path.token.is_none() && !path.is_usable(), "a path became a token");
    assert!(authorization.challenge(&ChallengeType::TlsAlpn01).is_none());
}

#[tokio::test]
async fn a_challenge_is_answered_and_read_by_itself() {
    let (script, account) = account().await;
    let body = r#"{"type":"dns-01","url":"https://ca/c/2","token":"abc","status":"processing"}"#;
    script.then(200, &[("retry-after", "5"), ("replay-nonce", "n")], body);
    let answered = account.respond(&url("https://ca/c/2")).await.unwrap();
    assert_eq!(
        (answered.status, answered.retry_after.unwrap().duration().as_secs()),
        (ChallengeStatus::Processing, 5)
    );
    script.then_ok(&body.replace("processing", "valid"));
    let read = account.challenge(&url("https://ca/c/2")).await.unwrap();
    assert_eq!(read.status, ChallengeStatus::Valid);
    script.then_ok(body);
    account.respond_with(&url("https://ca/c/2"), &json!({"attObj": "x"})).await.unwrap();
    let sent: Vec<_> = script.signed().into_iter().map(|signed| signed.payload).collect();
    assert_eq!(sent, [b"{}".as_slice(), b"", br#"{"attObj":"x"}"#]);
    script.then_ok("{}");
    assert!(matches!(account.challenge(&url("https://ca/c/2")).await, Err(Error::Unexpected { .. })));
}

const AUTHORIZATION: &str =
    r#"{"identifier":{"type":"dns","value":"a.example"},"status":"pending","challenges":null}"#;

#[tokio::test]
async fn a_name_is_authorized_before_there_is_an_order() {
    let (script, account) = account().await;
    script.then(201, &[("location", "/authz/9"), ("replay-nonce", "n")], AUTHORIZATION);
    let made = account.pre_authorize(&Identifier::dns("a.example")).await.unwrap();
    assert_eq!((made.url.as_str(), made.status), ("https://ca/authz/9", AuthorizationStatus::Pending));
    let mut wishes = livecert_acme::PreAuthorization::default();
    wishes.subdomain_auth_allowed = true;
    let allowed = AUTHORIZATION.replace("null", r#"[],"subdomainAuthAllowed":true"#);
    script.then(201, &[("location", "/authz/9")], &allowed);
    let made = account.pre_authorize_with(&Identifier::dns("a.example"), wishes).await.unwrap();
    assert!(made.subdomain_auth_allowed);
    let sent: Vec<_> = script.signed().iter().map(|signed| signed.json()).collect();
    let identifier = json!({"type": "dns", "value": "a.example"});
    assert_eq!(sent[0], json!({"identifier": identifier}));
    let wished = json!({"type": "dns", "value": "a.example", "subdomainAuthAllowed": true});
    assert_eq!(sent[1], json!({"identifier": wished}));
}

#[tokio::test(start_paused = true)]
async fn an_order_is_polled_soon_and_then_as_the_server_wants() {
    let (script, account) = account().await;
    let nonce = ("replay-nonce", "n");
    script.then(200, &[nonce, ("retry-after", "3")], &order("pending"));
    script.then(200, &[nonce], &order("valid"));
    let begun = tokio::time::Instant::now();
    let url = url("https://ca/order/1");
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

#[tokio::test(start_paused = true)]
async fn an_authorization_is_polled_until_it_is_settled() {
    let (script, account) = account().await;
    let begun = tokio::time::Instant::now();
    script.then(200, &[("replay-nonce", "n"), ("retry-after", "9")], AUTHORIZATION);
    script.then_ok(&AUTHORIZATION.replace("pending", "invalid"));
    let poll = Poll::within(Duration::from_secs(60));
    let polled = account.poll_authorization(&url("https://ca/authz/1"), &poll).await.unwrap();
    assert_eq!(polled.status, AuthorizationStatus::Invalid);
    assert!(begun.elapsed() >= Duration::from_secs(9));

    for _ in 0..100 {
        script.then_ok(AUTHORIZATION);
    }
    let error = account.poll_authorization(&url("https://ca/authz/1"), &poll).await.unwrap_err();
    assert!(matches!(error, Error::UnsettledAuthorization { .. }), "{error}");
}

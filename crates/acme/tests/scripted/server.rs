//! The directory, and what can be asked without an account.

use std::sync::Arc;

use livecert_acme::{CertificateId, Error, ErrorClass, Server};

use crate::script::{DIRECTORY, SMALL, Script, account, new_order, order, server};

#[tokio::test]
async fn urls_stay_https() {
    let script = Arc::new(Script::default());
    let plain = Server::connect(script.clone(), "http://ca/directory").await.unwrap_err();
    assert!(matches!(plain, Error::NotHttps(_)) && script.asked().is_empty());
    for part in ["order", "authz", "ari", "key"] {
        let directory = DIRECTORY.replace(&format!("https://ca/{part}"), &format!("http://ca/{part}"));
        script.then(200, &[], &directory);
        let refused = Server::connect(script.clone(), "https://ca/directory").await;
        assert!(matches!(refused, Err(Error::NotHttps(_))), "{part}");
    }
    let (script, account) = account().await;
    script.then(201, &[("location", "http://ca/order/1"), ("replay-nonce", "n")], &order("pending"));
    assert!(matches!(account.new_order(&new_order()).await, Err(Error::NotHttps(_))));
    let plain = account.order(&"http://ca/order/1".parse().unwrap()).await;
    assert!(matches!(plain, Err(Error::NotHttps(_))) && script.asked().len() == 1);
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

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_limited_says_until_when() {
    let script = Arc::new(Script::default());
    script.then(503, &[("retry-after", "3600")], "maintenance");
    let error = Server::connect(script.clone(), "https://ca/directory").await.unwrap_err();
    assert_eq!((error.class(), error.retry_at().is_some()), (ErrorClass::Outage, true), "{error}");
    for _ in 0..20 {
        script.then(502, &[], "<html>bad gateway</html>");
    }
    let error = Server::connect(script, "https://ca/directory").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Outage, "{error}");
}

#[tokio::test]
async fn unknown_members_are_passed_through() {
    let (_, server) = server(DIRECTORY).await;
    let directory = server.directory();
    assert_eq!(
        (&directory.extra["extra"], &directory.meta.extra["unknown"]),
        (&"https://ca/x".into(), &1.into())
    );
    assert_eq!(server.terms_of_service(), Some("https://ca/terms"));
}

fn id() -> CertificateId {
    CertificateId::new(&[1, 2, 3], &[0, 0x87])
}

#[tokio::test]
async fn the_renewal_window_is_read_without_an_account() {
    let (script, server) = server(DIRECTORY).await;
    let body = r#"{"suggestedWindow":{"start":"2026-12-01T00:00:00Z","end":"2026-12-03T00:00:00Z"},
        "explanationURL":"https://ca/why"}"#;
    script.then(200, &[("retry-after", "21600")], body);
    let info = server.renewal_info(&id()).await.unwrap();
    assert_eq!(
        (info.start.to_string().as_str(), info.end.to_string().as_str()),
        ("2026-12-01T00:00:00Z", "2026-12-03T00:00:00Z")
    );
    assert_eq!(info.explanation_url.as_deref(), Some("https://ca/why"));
    assert_eq!(info.retry_after.unwrap().duration().as_secs(), 21_600);
    assert_eq!(script.asked(), ["GET https://ca/ari/AQID.AIc"]);

    let bare = r#"{"suggestedWindow":{"start":"2026-12-01T00:00:00Z","end":"2026-12-03T00:00:00Z"}}"#;
    let info = {
        script.then(200, &[], bare);
        server.renewal_info(&id()).await.unwrap()
    };
    assert_eq!((info.explanation_url, info.retry_after), (None, None));
}

#[tokio::test]
async fn a_window_that_is_none_is_an_error() {
    let (script, server) = server(&DIRECTORY.replace("https://ca/ari", "https://ca/ari/")).await;
    for body in [
        r#"{"suggestedWindow":{"start":"2026-12-01T00:00:00Z","end":"2026-12-01T00:00:00Z"}}"#,
        r#"{"suggestedWindow":{"start":"soon","end":"2026-12-01T00:00:00Z"}}"#,
        r#"{"suggestedWindow":null}"#,
        "<html>",
    ] {
        script.then(200, &[], body);
        let error = server.renewal_info(&id()).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }), "{body}: {error}");
    }
    script.then_problem(404, "malformed", "no such certificate");
    let error = server.renewal_info(&id()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, Some(404));
    assert!(script.asked().iter().all(|asked| asked == "GET https://ca/ari/AQID.AIc"));
}

#[tokio::test]
async fn what_a_server_does_not_offer_is_not_sent() {
    let (script, server) = server(SMALL).await;
    assert!(matches!(server.renewal_info(&id()).await, Err(Error::NotOffered("renewalInfo"))));
    let account = server.account(crate::script::key(), crate::script::url("https://ca/account/1"));
    assert!(matches!(account.revoke(b"der", None).await, Err(Error::NotOffered("revokeCert"))));
    assert!(matches!(account.roll_over(crate::script::key()).await, Err(Error::NotOffered("keyChange"))));
    let name = livecert_acme::Identifier::dns("a.example");
    assert!(matches!(account.pre_authorize(&name).await, Err(Error::NotOffered("newAuthz"))));
    assert!(script.asked().is_empty());
}

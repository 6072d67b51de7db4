//! Certificates: downloaded with all their chains, and revoked.

use std::time::Duration;

use livecert_acme::{Error, ProblemKind, RevocationReason};
use serde_json::json;

use crate::script::{DIRECTORY, PEM, account, key, server, url};

#[tokio::test]
async fn other_chains_are_known() {
    let (script, account) = account().await;
    let link = r#"<https://ca/dir>;rel="index", </cert/1/1>;rel="alternate", <http://ca/2>;rel="alternate""#;
    script.then(200, &[("link", link)], PEM);
    let certificate = account.certificate(&url("https://ca/cert/1")).await.unwrap();
    assert_eq!(certificate.alternates, [url("https://ca/cert/1/1")]);
}

#[tokio::test(start_paused = true)]
async fn all_chains_are_fetched_side_by_side_and_one_that_fails_is_left_out() {
    let (script, account) = account().await;
    let link = r#"</cert/1/1>;rel="alternate", </cert/1/2>;rel="alternate", </cert/1/3>;rel="alternate""#;
    script.then(200, &[("replay-nonce", "n"), ("link", link)], PEM);
    let third = format!("subject=/CN=x\n{PEM}");
    script.at("https://ca/cert/1/1", 404, "not there").at("https://ca/cert/1/2", 200, "<html>");
    script.at("https://ca/cert/1/3", 200, &third);
    script.at("https://ca/nonce", 200, "").at("https://ca/nonce", 200, "");
    *script.takes.lock().unwrap() = Duration::from_secs(1);
    let begun = tokio::time::Instant::now();
    let chains = account.certificate_chains(&url("https://ca/cert/1")).await.unwrap();
    let texts: Vec<_> = chains.iter().map(|chain| chain.pem_chain.as_str()).collect();
    assert_eq!(texts, [PEM, &third]);
    // The default chain; then the others together, two of which need a nonce first.
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn the_number_of_chains_is_bounded() {
    let (script, account) = account().await;
    let link: Vec<_> = (0..5000).map(|n| format!("</c/{n}>;rel=alternate")).collect();
    script.then(200, &[("replay-nonce", "n"), ("link", &link.join(","))], PEM);
    for _ in 0..40 {
        script.then_ok(PEM);
    }
    assert_eq!(account.certificate_chains(&url("https://ca/cert/1")).await.unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_not_there_yet_is_waited_for() {
    let (script, account) = account().await;
    let begun = tokio::time::Instant::now();
    script.then(202, &[("retry-after", "4"), ("replay-nonce", "n")], "").then_ok(PEM);
    account.certificate(&url("https://ca/cert/1")).await.unwrap();
    assert!(begun.elapsed().as_secs() >= 4);
    script.then(202, &[("retry-after", "3600"), ("replay-nonce", "n")], "");
    let error = account.certificate(&url("https://ca/cert/1")).await.unwrap_err();
    assert!(error.retry_at().is_some(), "{error}");
}

#[tokio::test]
async fn what_is_no_certificate_is_not_taken_for_one() {
    let (script, account) = account().await;
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for body in ["", "<html>login</html>", "-----BEGIN CERTIFICATE-----", &format!("{key}{PEM}")] {
        script.then_ok(body);
        let error = account.certificate(&url("https://ca/cert/1")).await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_certificate_is_revoked_by_the_accounts_key_or_by_its_own() {
    let (script, account) = account().await;
    script.then_ok("").then_ok("");
    account.revoke(&[1, 2, 3], Some(RevocationReason::Superseded)).await.unwrap();
    account.revoke(&[1, 2, 3], None).await.unwrap();
    let signed = script.signed();
    assert_eq!(signed[0].json(), json!({"certificate": "AQID", "reason": 4}));
    assert_eq!(signed[1].json(), json!({"certificate": "AQID"}));
    assert!(
        signed[0].header["kid"] == "https://ca/account/1" && signed[0].header["url"] == "https://ca/revoke"
    );

    let (script, server) = server(DIRECTORY).await;
    let own = key();
    script.then_ok("").then_problem(400, "alreadyRevoked", "long ago");
    let reason = Some(RevocationReason::KeyCompromise);
    server.revoke_with_certificate_key(&own, &[1, 2, 3], reason).await.unwrap();
    let signed = script.signed().remove(0);
    assert!(signed.header["jwk"] == own.jwk() && signed.is_signed_by(&own.jwk()));
    assert_eq!(signed.json()["reason"], 1);
    let error = server.revoke_with_certificate_key(&own, &[1, 2, 3], reason).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind(), ProblemKind::AlreadyRevoked);
}

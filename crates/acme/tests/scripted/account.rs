//! Accounts: made, found, read, changed and ended.

use livecert_acme::{
    AccountStatus, Error, ErrorClass, ExternalAccount, HmacAlgorithm, NewAccount, ProblemKind,
};
use ring::hmac;
use serde_json::json;

use crate::script::{DIRECTORY, account, key, new_order, server, url};
use crate::signed::Signed;

#[tokio::test]
async fn an_account_is_made_with_what_it_needs_and_no_more() {
    let (script, server) = server(DIRECTORY).await;
    script.then(201, &[("location", "/account/7"), ("replay-nonce", "n")], r#"{"status":"valid"}"#);
    let new = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let made = server.create_account(key(), &new).await.unwrap();
    assert_eq!(made.url().as_str(), "https://ca/account/7");
    assert_eq!(script.signed()[0].json(), json!({"termsOfServiceAgreed": true}));

    script.then(200, &[("location", "/account/7")], "");
    let contact = vec!["mailto:a@example.com".to_owned()];
    server.create_account(key(), &NewAccount { contact, ..new }).await.unwrap();
    assert_eq!(script.signed()[0].json()["contact"], json!(["mailto:a@example.com"]));
}

#[tokio::test]
async fn an_account_is_bound_to_the_customers() {
    for (algorithm, name, ring) in [
        (HmacAlgorithm::Hs256, "HS256", hmac::HMAC_SHA256),
        (HmacAlgorithm::Hs384, "HS384", hmac::HMAC_SHA384),
        (HmacAlgorithm::Hs512, "HS512", hmac::HMAC_SHA512),
    ] {
        let (script, server) = server(DIRECTORY).await;
        script.then(201, &[("location", "/account/7")], "{}");
        let external = ExternalAccount::new("customer-1", "c2VjcmV0", algorithm).unwrap();
        let new = NewAccount { external_account: Some(external), ..NewAccount::default() };
        let made = server.create_account(key(), &new).await.unwrap();
        let outer = script.signed().remove(0);
        let binding = Signed::read(&outer.json()["externalAccountBinding"]);
        // RFC 8555 §7.3.4: no nonce, the URL of the outer one, the account's public key inside.
        assert_eq!(binding.header, json!({"alg": name, "kid": "customer-1", "url": outer.header["url"]}));
        assert_eq!(binding.json(), made.key().jwk());
        assert!(binding.has_mac_of(ring, b"secret") && !binding.has_mac_of(ring, b"other"));
    }
}

#[tokio::test]
async fn an_account_is_found_by_its_key_or_there_is_none() {
    let (script, server) = server(DIRECTORY).await;
    script.then(200, &[("location", "/account/7"), ("replay-nonce", "n")], "{}");
    assert_eq!(server.find_account(key()).await.unwrap().url().as_str(), "https://ca/account/7");
    assert_eq!(script.signed()[0].json(), json!({"onlyReturnExisting": true}));
    script.then_problem(400, "accountDoesNotExist", "who?");
    let error = server.find_account(key()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::AccountGone);
    script.then(200, &[], "{}");
    assert!(matches!(server.find_account(key()).await, Err(Error::Unexpected { .. })));
}

#[tokio::test]
async fn an_account_is_read_with_what_is_known_of_it() {
    let (script, account) = account().await;
    script.then_ok(
        r#"{"status":"valid","contact":["mailto:a@b.example"],"orders":"https://ca/orders/1",
        "termsOfServiceAgreed":true,"createdAt":"2026-01-01"}"#,
    );
    let info = account.info().await.unwrap();
    assert_eq!((info.status, info.contact), (AccountStatus::Valid, vec!["mailto:a@b.example".to_owned()]));
    assert_eq!((info.orders, info.terms_of_service_agreed), (Some(url("https://ca/orders/1")), Some(true)));
    assert_eq!(info.raw["createdAt"], "2026-01-01");
    assert_eq!(script.signed()[0].payload, b"");

    script.then_ok(r#"{"status":"on hold","contact":null}"#);
    let info = account.info().await.unwrap();
    assert_eq!((info.status, info.contact), (AccountStatus::Other("on hold".into()), vec![]));
    assert_eq!((info.orders, info.terms_of_service_agreed), (None, None));
}

#[tokio::test]
async fn changes_go_to_the_accounts_own_url() {
    let (script, account) = account().await;
    let valid = r#"{"status":"valid"}"#;
    script.then_ok(valid).then_ok(valid).then_ok(valid).then_ok(r#"{"status":"deactivated"}"#);
    account.update_contact(&["mailto:a@b.example".to_owned()]).await.unwrap();
    account.update_contact(&[]).await.unwrap();
    account.agree_to_terms().await.unwrap();
    assert_eq!(account.deactivate().await.unwrap().status, AccountStatus::Deactivated);
    let signed = script.signed();
    assert!(signed.iter().all(|signed| signed.header["url"] == "https://ca/account/1"));
    let sent: Vec<_> = signed.iter().map(Signed::json).collect();
    assert_eq!(
        sent,
        [
            json!({"contact": ["mailto:a@b.example"]}),
            json!({"contact": []}),
            json!({"termsOfServiceAgreed": true}),
            json!({"status": "deactivated"})
        ]
    );
}

#[tokio::test]
async fn a_server_that_ignores_an_agreement_says_how_the_account_is() {
    let (script, account) = account().await;
    // Pebble's answer.
    script.then_problem(400, "malformed", "use POST-as-GET instead of an empty update");
    script.then_ok(r#"{"status":"valid","termsOfServiceAgreed":false}"#);
    assert_eq!(account.agree_to_terms().await.unwrap().terms_of_service_agreed, Some(false));
    assert_eq!(script.signed()[1].payload, b"");
}

#[tokio::test]
async fn a_dead_account_is_known_by_the_servers_words() {
    let (script, account) = account().await;
    script.then_problem(403, "unauthorized", "Account is not valid, has status \"deactivated\"");
    assert_eq!(account.info().await.unwrap_err().class(), ErrorClass::AccountGone);
}

#[tokio::test]
async fn new_terms_are_told_with_where_they_are() {
    let (script, account) = account().await;
    let problem = r#"{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"new terms"}"#;
    let link = r#"<https://ca/terms/2>; rel="terms-of-service""#;
    script.then(403, &[("link", link), ("replay-nonce", "n")], problem);
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!((error.class(), error.terms_of_service()), (ErrorClass::Terms, Some("https://ca/terms/2")));
    let instance = problem.replace("\"detail\"", "\"instance\":\"https://ca/agree?x=1\",\"detail\"");
    script.then(403, &[("link", link), ("replay-nonce", "n")], &instance);
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!(error.terms_of_service(), Some("https://ca/agree?x=1"));
    script.then_problem(403, "unauthorized", "no");
    let error = account.new_order(&new_order()).await.unwrap_err();
    assert_eq!(
        (error.terms_of_service(), error.problem().unwrap().kind()),
        (None, ProblemKind::Unauthorized)
    );
}

const WITH_ORDERS: &str = r#"{"status":"valid","orders":"https://ca/orders/1"}"#;

#[tokio::test]
async fn orders_are_listed_over_all_pages() {
    let (script, account) = account().await;
    script.then_ok(WITH_ORDERS);
    let next = r#"</orders/1?page=2>;rel="next""#;
    script.then(200, &[("link", next), ("replay-nonce", "n")], r#"{"orders":["https://ca/order/1"]}"#);
    script.then_ok(r#"{"orders":["https://ca/order/2"]}"#);
    assert_eq!(account.orders().await.unwrap(), [url("https://ca/order/1"), url("https://ca/order/2")]);
    assert_eq!(script.asked().last().unwrap(), "POST https://ca/orders/1?page=2");

    script.then_ok(r#"{"status":"valid"}"#);
    assert!(matches!(account.orders().await, Err(Error::NotOffered(_))));
}

#[tokio::test]
async fn a_list_of_orders_without_an_end_is_left() {
    let (script, account) = account().await;
    // The same page again and again.
    script.then_ok(WITH_ORDERS);
    let next = r#"<https://ca/orders/1>;rel="next""#;
    script.then(200, &[("link", next), ("replay-nonce", "n")], r#"{"orders":["https://ca/order/1"]}"#);
    assert_eq!(account.orders().await.unwrap().len(), 1);
    // Always another page.
    script.then_ok(WITH_ORDERS);
    for page in 0..200 {
        let next = format!(r#"</orders/1?page={page}>;rel="next""#);
        script.then(200, &[("link", &next), ("replay-nonce", "n")], r#"{"orders":[]}"#);
    }
    script.asked();
    account.orders().await.unwrap();
    assert_eq!(script.asked().len(), 101);
}

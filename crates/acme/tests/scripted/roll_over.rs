//! The change of an account's key, which must not lose the account.

use livecert_acme::{AccountKey, AccountKeyType, Error, ProblemKind};
use serde_json::json;

use crate::script::{account, key};
use crate::signed::Signed;

const FOUND: &[(&str, &str)] = &[("location", "https://ca/account/1"), ("replay-nonce", "n")];

#[tokio::test]
async fn both_keys_sign_the_change() {
    let (script, account) = account().await;
    let new_key = AccountKey::generate(AccountKeyType::EcdsaP384).unwrap();
    script.then_ok("{}");
    let changed = account.roll_over(new_key.clone()).await.unwrap();
    assert_eq!((changed.url(), changed.key().thumbprint()), (account.url(), new_key.thumbprint()));
    let outer = script.signed().remove(0);
    assert!(outer.is_signed_by(&account.key().jwk()) && outer.header["kid"] == "https://ca/account/1");
    let inner = Signed::read(&outer.json());
    // RFC 8555 §7.3.5: the new key by its JWK, the same URL, no nonce.
    assert_eq!(inner.header, json!({"alg": "ES384", "jwk": new_key.jwk(), "url": "https://ca/key"}));
    assert_eq!(inner.json(), json!({"account": "https://ca/account/1", "oldKey": account.key().jwk()}));
    assert!(inner.is_signed_by(&new_key.jwk()) && !outer.is_signed_by(&key().jwk()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_cleared_up_by_the_new_key() {
    let (script, account) = account().await;
    let new_key = key();
    script.then_lost().then(200, &[("replay-nonce", "n")], "").then(200, FOUND, "{}");
    let changed = account.roll_over(new_key.clone()).await.unwrap();
    assert_eq!(changed.key().thumbprint(), new_key.thumbprint());
    assert_eq!(
        script.asked(),
        ["POST https://ca/key", "HEAD https://ca/nonce", "POST https://ca/new-account"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_leaves_the_old_key() {
    let (script, account) = account().await;
    script.then_lost().then(200, &[("replay-nonce", "n")], "");
    script.then_problem(400, "accountDoesNotExist", "who?");
    assert!(matches!(account.roll_over(key()).await, Err(Error::Transport { .. })));
    // Nothing was sent twice.
    assert_eq!(script.asked().iter().filter(|asked| *asked == "POST https://ca/key").count(), 1);
}

#[tokio::test]
async fn a_change_that_has_happened_before_succeeds() {
    let (script, account) = account().await;
    script.then_problem(403, "unauthorized", "the old key is not the account's").then(200, FOUND, "{}");
    account.roll_over(key()).await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_account_is_refused() {
    let (script, account) = account().await;
    script.then_problem(409, "malformed", "the key is in use");
    script.then(200, &[("location", "https://ca/account/2")], "{}");
    let error = account.roll_over(key()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind(), ProblemKind::Malformed, "{error}");
}

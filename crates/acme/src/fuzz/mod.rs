//! Fuzz targets: whatever a server sends, and whatever a person gives for a key, is read or refused.

mod conversation;

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use crate::account::AccountInfo;
use crate::authorization::Authorization;
use crate::certificate::links;
use crate::challenge::Challenge;
use crate::directory::Directory;
use crate::error::{Error, excerpt};
use crate::external::{ExternalAccount, HmacAlgorithm};
use crate::json::MAX_ITEMS;
use crate::jws::is_base64url;
use crate::key::{AccountKey, AccountKeyType, KeyError};
use crate::order::Order;
use crate::problem::Problem;
use crate::renewal::{self, CertificateId, RenewalInfo};
use crate::request::Answer;
use crate::retry::{RetryAfter, retry_at};

/// The name of a corpus, and what is done with an input: it panics on a finding.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub static TARGETS: &[Target] = &[
    ("acme-problem", problem),
    ("acme-directory", directory),
    ("acme-order", order),
    ("acme-authorization", authorization),
    ("acme-account", account),
    ("acme-renewal", renewal),
    ("acme-key", key),
    ("acme-headers", headers),
    ("acme-external-account", external_account),
    ("acme-conversation", conversation::conversation),
];

#[expect(clippy::expect_used, reason = "no fuzzing without random bytes")]
static KEY: LazyLock<AccountKey> =
    LazyLock::new(|| AccountKey::generate(AccountKeyType::EcdsaP256).expect("the system gives random bytes"));

#[expect(clippy::expect_used, reason = "a constant")]
static URL: LazyLock<Url> = LazyLock::new(|| Url::parse("https://ca.example/x/1").expect("it is a URL"));

fn printable(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

fn answer(body: &[u8]) -> Answer {
    let (headers, body) = (HeaderMap::new(), Bytes::copy_from_slice(body));
    Answer { url: URL.clone(), status: StatusCode::OK, headers, body }
}

fn problem(body: &[u8]) {
    printable(&excerpt(body));
    let Some(problem) = Problem::parse(body) else { return };
    assert!(problem.subproblems.len() <= MAX_ITEMS);
    printable(&problem.to_string());
    if let Some(url) = problem.is_paused() {
        assert!(url.starts_with("https://"));
    }
    let error = Error::Problem(Box::new(problem));
    let _ = (error.class(), error.terms_of_service(), error.retry_at());
}

fn directory(body: &[u8]) {
    let Ok(directory) = serde_json::from_slice::<Directory>(body) else { return };
    assert!((3..=7).contains(&directory.urls().count()));
    assert!(directory.meta.caa_identities.len() <= MAX_ITEMS && directory.meta.profiles.len() <= MAX_ITEMS);
}

fn order(body: &[u8]) {
    let Ok(order) = answer(body).read(|raw| Order::read(URL.clone(), raw, None)) else { return };
    assert!(order.identifiers.len() <= MAX_ITEMS && order.authorizations.len() <= MAX_ITEMS);
    if let Some(problem) = &order.error {
        printable(&problem.to_string());
    }
    let again = answer(order.raw.to_string().as_bytes()).read(|raw| Order::read(URL.clone(), raw, None));
    assert_eq!(again.ok(), Some(order), "what was read is read again as the same");
}

fn authorization(body: &[u8]) {
    let read = answer(body).read(|raw| Authorization::read(URL.clone(), raw, None));
    let challenges = read.map(|authorization| authorization.challenges).unwrap_or_default();
    assert!(challenges.len() <= MAX_ITEMS);
    let alone = answer(body).json().ok().and_then(Challenge::read);
    for challenge in challenges.iter().chain(&alone) {
        if let Some(token) = &challenge.token {
            let harmless = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(!token.as_str().is_empty() && token.as_str().bytes().all(harmless));
        }
        let _ = challenge.is_usable();
        assert_eq!(challenge.kind, challenge.kind.to_string().as_str().into());
    }
}

fn account(body: &[u8]) {
    if let Ok(info) = AccountInfo::read(&answer(body)) {
        assert!(info.contact.len() <= MAX_ITEMS);
    }
}

fn renewal(body: &[u8]) {
    if let Some(info) =
        answer(body).json::<renewal::Body>().ok().and_then(|body| RenewalInfo::read(body, None))
    {
        assert!(info.start < info.end);
    }
    if let Some(id) = text(body).and_then(|text| text.parse::<CertificateId>().ok()) {
        assert!(!id.as_str().contains(['/', '%', '?', '#']), "it becomes a segment of a URL");
    }
}

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

fn key(input: &[u8]) {
    let read = text(input).map(|text| [AccountKey::from_pem(text), AccountKey::from_jwk(text)]);
    let read = read.into_iter().flatten().chain([AccountKey::from_pkcs8_der(input)]);
    for key in read.flatten() {
        // Of RSA keys, some damages show only here.
        let signed = key.sign(b"message").map(drop);
        assert!(matches!(signed, Ok(()) | Err(KeyError::Unreadable)), "{signed:?}");
        let again = AccountKey::from_pem(&key.to_pem()).map(|key| key.thumbprint());
        assert_eq!(again.ok(), Some(key.thumbprint()), "what was read is written so that it is read again");
    }
}

/// Each line is the value of a header.
fn headers(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        for name in [header::LINK, header::RETRY_AFTER, header::LOCATION] {
            if name == header::LINK {
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
        if value.to_str().is_ok_and(is_base64url) {
            assert!(value.len() <= 512);
        }
    }
    for relation in ["alternate", "next", "terms-of-service"] {
        let links = links(&headers, relation, &URL);
        assert!(links.len() <= 100 && links.iter().all(|url| url.scheme() == "https"));
    }
    if let Some(wait) = RetryAfter::read(&headers) {
        assert!(wait.duration().as_secs() <= 86_400);
    }
    let _ = retry_at(&headers);
    let answer = Answer { headers, ..answer(b"") };
    if let Ok(url) = answer.location() {
        assert!(url.scheme() == "https");
    }
}

/// A key identifier, and an HMAC key in the next line.
fn external_account(input: &[u8]) {
    let Some((id, hmac)) = text(input).and_then(|text| text.split_once('\n')) else { return };
    for algorithm in [HmacAlgorithm::Hs256, HmacAlgorithm::Hs384, HmacAlgorithm::Hs512] {
        if let Ok(account) = ExternalAccount::new(id, hmac, algorithm) {
            assert!(account.bind(&KEY, URL.as_str()).is_object());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn no_input_makes_a_panic_or_is_taken_without_bounds() {
        fuzzing::short_run(TARGETS);
    }

    /// Mutations are too short for this.
    #[test]
    fn large_structures_are_refused_or_cut() {
        let url = "https://ca.example/x";
        let many = |item: Value| vec![item; MAX_ITEMS + 1];
        let bytes = |value: Value| value.to_string().into_bytes();
        let order = |member: &str, items: Vec<Value>| {
            let body = bytes(json!({"status": "pending", "finalize": url, member: items}));
            answer(&body).read(|raw| Order::read(URL.clone(), raw, None)).is_ok()
        };
        let name = json!({"type": "dns", "value": "a.example"});
        assert!(order("authorizations", vec![url.into(); MAX_ITEMS]));
        assert!(!order("authorizations", many(url.into())) && !order("identifiers", many(name.clone())));
        let body = json!({"status": "pending", "identifier": name, "challenges": many(Value::Null)});
        let read = answer(&bytes(body)).read(|raw| Authorization::read(URL.clone(), raw, None));
        assert!(read.is_err());
        assert!(
            AccountInfo::read(&answer(&bytes(json!({"status": "valid", "contact": many("a".into())}))))
                .is_err()
        );
        let body = json!({"detail": "x".repeat(100_000), "subproblems": many(json!({}))});
        let problem = Problem::parse(&bytes(body)).unwrap();
        assert_eq!(problem.subproblems.len(), MAX_ITEMS);
        assert!(problem.to_string().len() < 32 * MAX_ITEMS);
        let profiles: serde_json::Map<_, _> = (0..=MAX_ITEMS).map(|n| (n.to_string(), Value::Null)).collect();
        for meta in [json!({"profiles": profiles}), json!({"caaIdentities": many("a".into())})] {
            let body = json!({"newNonce": url, "newAccount": url, "newOrder": url, "meta": meta});
            assert!(serde_json::from_value::<Directory>(body).is_err());
        }
        // Nesting is bounded by serde_json, not by the stack.
        let nested = "[".repeat(500_000);
        for run in [super::problem, directory, super::order, authorization, account, renewal] {
            run(nested.as_bytes());
        }
        let link = format!("<{url}>;rel=alternate,").repeat(10_000);
        headers(link.as_bytes());
    }
}

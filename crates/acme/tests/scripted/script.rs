//! A server that says what a test has written down, and notes what it was asked. Of each signed request it checks
//! what RFC 8555 §6.2 wants: the URL, a nonce that it gave and that was not used before, one of `kid` and `jwk`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use livecert_acme::{
    Account, AccountKey, AccountKeyType, Identifier, NewOrder, Sending, Server, Transport, TransportError,
};

use crate::signed::Signed;

pub(crate) const DIRECTORY: &str = r#"{"newNonce":"https://ca/nonce","newAccount":"https://ca/new-account",
    "newOrder":"https://ca/order","newAuthz":"https://ca/authz","revokeCert":"https://ca/revoke",
    "keyChange":"https://ca/key","renewalInfo":"https://ca/ari",
    "meta":{"termsOfService":"https://ca/terms","unknown":1},"extra":"https://ca/x"}"#;
/// A server that offers no more than it must.
pub(crate) const SMALL: &str = r#"{"newNonce":"https://ca/nonce","newAccount":"https://ca/new-account",
    "newOrder":"https://ca/order"}"#;
pub(crate) const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

type Scripted = Result<http::Response<Bytes>, TransportError>;

#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<Scripted>>,
    /// Answers of single URLs, which go first.
    answers_at: Mutex<Vec<(String, Scripted)>>,
    /// How long each answer takes, on a clock that stands still.
    pub(crate) takes: Mutex<Duration>,
    asked: Mutex<Vec<(String, Option<Signed>)>>,
    nonces: Mutex<Vec<String>>,
}

impl Transport for Script {
    fn send(&self, request: http::Request<Bytes>) -> Sending<'_> {
        let uri = request.uri().to_string();
        let signed = (request.method() == http::Method::POST).then(|| {
            assert_eq!(request.headers()["content-type"], "application/jose+json");
            let signed = Signed::read(&serde_json::from_slice(request.body()).unwrap());
            assert_eq!(signed.header["url"], uri.as_str());
            assert_ne!(signed.header.get("kid").is_some(), signed.header.get("jwk").is_some());
            let nonce = signed.header["nonce"].as_str().unwrap();
            let mut nonces = self.nonces.lock().unwrap();
            let given = nonces.iter().position(|given| given == nonce);
            nonces.remove(given.unwrap_or_else(|| panic!("the nonce {nonce} was not given, or used before")));
            signed
        });
        self.asked.lock().unwrap().push((format!("{} {uri}", request.method()), signed));
        let mut answers_at = self.answers_at.lock().unwrap();
        let here = answers_at.iter().position(|(at, _)| *at == uri).map(|index| answers_at.remove(index).1);
        let answer = here.or_else(|| self.answers.lock().unwrap().pop_front());
        let takes = *self.takes.lock().unwrap();
        if let Some(Ok(response)) = &answer
            && let Some(nonce) = response.headers().get("replay-nonce")
        {
            self.nonces.lock().unwrap().push(nonce.to_str().unwrap().to_owned());
        }
        Box::pin(async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            answer.unwrap_or_else(|| panic!("no answer is left for {uri}"))
        })
    }
}

impl Script {
    pub(crate) fn then(&self, status: u16, headers: &[(&str, &str)], body: &str) -> &Self {
        self.answers.lock().unwrap().push_back(Ok(response(status, headers, body)));
        self
    }

    /// The next answer of this URL, with a nonce, whatever is asked before.
    pub(crate) fn at(&self, url: &str, status: u16, body: &str) -> &Self {
        let answer = Ok(response(status, &[("replay-nonce", "n")], body));
        self.answers_at.lock().unwrap().push((url.to_owned(), answer));
        self
    }

    /// An answer with a nonce, as all of a good server are.
    pub(crate) fn then_ok(&self, body: &str) -> &Self {
        self.then(200, &[("replay-nonce", "n")], body)
    }

    /// A problem document of ACME.
    pub(crate) fn then_problem(&self, status: u16, kind: &str, detail: &str) -> &Self {
        let body =
            serde_json::json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail});
        self.then(status, &[("replay-nonce", "n")], &body.to_string())
    }

    pub(crate) fn then_lost(&self) -> &Self {
        self.answers.lock().unwrap().push_back(Err(TransportError::Broken("cut".into())));
        self
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.take().into_iter().map(|(asked, _)| asked).collect()
    }

    /// The signed requests since the last time.
    pub(crate) fn signed(&self) -> Vec<Signed> {
        self.take().into_iter().filter_map(|(_, signed)| signed).collect()
    }

    fn take(&self) -> Vec<(String, Option<Signed>)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> http::Response<Bytes> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Bytes::from(body.to_owned())).unwrap()
}

pub(crate) async fn server(directory: &str) -> (Arc<Script>, Server) {
    let script = Arc::new(Script::default());
    script.then(200, &[("replay-nonce", "n0")], directory);
    let server = Server::connect(script.clone(), "https://ca/directory").await.unwrap();
    script.asked();
    (script, server)
}

pub(crate) async fn account() -> (Arc<Script>, Account) {
    account_at(DIRECTORY).await
}

pub(crate) async fn account_at(directory: &str) -> (Arc<Script>, Account) {
    let (script, server) = server(directory).await;
    (script, server.account(key(), url("https://ca/account/1")))
}

pub(crate) fn key() -> AccountKey {
    AccountKey::generate(AccountKeyType::EcdsaP256).unwrap()
}

pub(crate) fn url(text: &str) -> url::Url {
    text.parse().unwrap()
}

pub(crate) fn order(status: &str) -> String {
    format!(
        r#"{{"status":"{status}","identifiers":[],"authorizations":[],"finalize":"https://ca/f","odd":{{}}}}"#
    )
}

pub(crate) fn new_order() -> NewOrder {
    NewOrder::new(vec![Identifier::dns("example.com")])
}

//! A LiveDNS that follows a script: each request has to be the next one, and gets the answer that stands there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;

use crate::client::Client;
use crate::credential::{CredentialFacts, CredentialKind, CredentialShape};
use crate::error::NetworkKind;
use crate::exchange::{Call, Exchange, Exchanged, NoReply, Reply};
use crate::options::Options;

pub(crate) const RRSET: &str = "/domains/example.com/records/_a/TXT";
pub(crate) const CNAME: &str = "/domains/example.com/records/_a/CNAME";
pub(crate) const CREATED: &str = r#"{"message":"DNS Record Created"}"#;
pub(crate) const NO_RECORD: &str =
    r#"{"code": 404, "message": "Can't find it", "object": "dns-record", "cause": "Not Found"}"#;
pub(crate) const NO_ZONE: &str = r#"{"code":404,"message":"m","object":"HTTPNotFound","cause":"Not Found"}"#;
pub(crate) const EXISTS: &str = r#"{"code":409,"message":"Record exists","object":"HTTPConflict"}"#;

#[derive(Clone)]
pub(crate) enum Answer {
    Reply(u16, String, Option<&'static str>),
    None(NetworkKind),
    /// No answer until the request timeout is over.
    Hang,
}

pub(crate) fn answer(status: u16, body: &str) -> Answer {
    Answer::Reply(status, body.to_owned(), None)
}

/// An rrset with a TTL of 7200 s as an answer to GET.
pub(crate) fn rrset(values: &[&str]) -> Answer {
    stored("_a", values)
}

pub(crate) fn stored(name: &str, values: &[&str]) -> Answer {
    let body = serde_json::json!({
        "rrset_name": name, "rrset_type": "TXT", "rrset_ttl": 7200, "rrset_values": values,
    });
    answer(200, &body.to_string())
}

pub(crate) fn facts() -> CredentialFacts {
    CredentialFacts {
        kind: CredentialKind::PersonalAccessToken,
        shape: CredentialShape::Unknown,
        sharing_id_set: false,
        base_url_set: false,
    }
}

#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

struct State {
    steps: VecDeque<(String, Answer)>,
    bodies: Vec<serde_json::Value>,
}

impl Script {
    /// Steps are a method and a path, such as `GET /domains/example.com`, and what is answered.
    pub(crate) fn client(steps: Vec<(impl Into<String>, Answer)>) -> (Client, Self) {
        let steps = steps.into_iter().map(|(request, answer)| (request.into(), answer)).collect();
        let script = Script(Arc::new(Mutex::new(State { steps, bodies: Vec::new() })));
        let client = Client::with_exchange(Box::new(script.clone()), facts(), Options::default());
        // Scripts are about reading and writing whole lists, unless they say otherwise.
        client.patch().unfit.store(true, std::sync::atomic::Ordering::Relaxed);
        (client, script)
    }

    /// The bodies that were sent. Fails if the script was not played to its end.
    pub(crate) fn end(&self) -> Vec<serde_json::Value> {
        let state = self.0.lock().unwrap();
        let rest: Vec<&String> = state.steps.iter().map(|(request, _)| request).collect();
        assert!(rest.is_empty(), "not asked: {rest:?}");
        state.bodies.clone()
    }
}

impl Script {
    fn next(&self, call: &Call) -> Answer {
        let mut state = self.0.lock().unwrap();
        let (request, answer) = state.steps.pop_front().unwrap_or_else(|| panic!("{}", call.shown()));
        assert_eq!(call.shown(), request);
        state.bodies.extend(call.body.as_ref().map(|body| serde_json::from_slice(body).unwrap()));
        answer
    }
}

impl Exchange for Script {
    fn exchange<'a>(&'a self, call: &'a Call) -> Exchanged<'a> {
        Box::pin(async move {
            // As with a network, other tasks get to run in between.
            tokio::task::yield_now().await;
            let answer = self.next(call);
            if matches!(answer, Answer::Hang) {
                tokio::time::sleep(Options::default().request_timeout).await;
            }
            match answer {
                Answer::Reply(status, body, retry_after) => Ok(Reply {
                    status: StatusCode::from_u16(status).unwrap(),
                    retry_after: retry_after.map(HeaderValue::from_static),
                    body: Bytes::from(body),
                    multiplexed: false,
                }),
                Answer::None(kind) => Err(NoReply { kind, permanent: false, source: "scripted".into() }),
                Answer::Hang => {
                    Err(NoReply { kind: NetworkKind::Timeout, permanent: false, source: "scripted".into() })
                }
            }
        })
    }
}

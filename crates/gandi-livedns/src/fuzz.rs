//! Fuzz targets: whatever LiveDNS or what stands before it answers, and whatever a name or a value is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::client::Client;
use crate::credential::{CredentialFacts, CredentialKind, CredentialShape};
use crate::error::NetworkKind;
use crate::exchange::{Call, Exchange, Exchanged, NoReply, Reply};
use crate::name::{RecordType, RelativeName, canonical};
use crate::options::Options;
use crate::refusal::{Refusal, excerpt, says_error};
use crate::rrset::Rrset;
use crate::zone::Zone;
use crate::{token, txt};

/// The name of a corpus, and what is done with an input: it panics on a finding.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub static TARGETS: &[Target] = &[
    ("livedns-refusal", refusal),
    ("livedns-token", token_info),
    ("livedns-txt", quoting),
    ("livedns-rrset", merging),
    ("livedns-name", name),
    ("livedns-conversation", conversation),
];

fn printable(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

fn refusal(body: &[u8]) {
    for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
        let refusal = Refusal::read("GET /x".to_owned(), status, body);
        let shown = refusal.to_string();
        printable(&shown);
        assert!(shown.len() <= 256 * 1024, "{} bytes", shown.len());
        let _ = refusal.not_found_kind();
    }
    printable(&excerpt(body).unwrap_or_default());
    let _ = says_error(body);
}

fn token_info(body: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let _ = token::texts(&value);
    }
    let _ = serde_json::from_slice::<token::InfoBody>(body).map(token::InfoBody::read);
}

fn quoting(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = txt::unquote(text);
    assert!(read.len() <= text.len());
    assert!(txt::same(text, text));
    for text in [text, read.as_str()] {
        if let Some(quoted) = txt::quote(text) {
            assert_eq!(txt::unquote(&quoted), text, "what is quoted is read back");
        }
    }
}

/// An rrset as JSON, merged with the last two of its own values and one more.
fn merging(body: &[u8]) {
    let Ok(rrset) = serde_json::from_slice::<Rrset>(body) else { return };
    let values = &rrset.rrset_values;
    let mut texts: Vec<String> = values.iter().rev().take(2).map(|raw| txt::unquote(raw)).collect();
    texts.push("new".to_owned());
    let merged = txt::merged(values, &texts);
    for value in values {
        assert!(merged.iter().any(|kept| txt::same(kept, value)), "a value of others is lost: {value:?}");
    }
    let left = txt::without(&merged, &["new".to_owned()]);
    assert!(left.iter().all(|value| values.contains(value) || texts.contains(&txt::unquote(value))));
}

fn name(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let harmless =
        |text: &str| !text.contains(['/', '?', '#', '%', '\\']) && !text.split('.').any(str::is_empty);
    if let Ok(name) = RelativeName::new(text) {
        assert!(harmless(name.as_str()), "it becomes a segment of a URL");
    }
    if let Ok(name) = canonical(text) {
        assert!(harmless(&name) && canonical(&name).ok().as_ref() == Some(&name));
        for (at, _) in name.match_indices('.') {
            let zone = Zone::at(&name[at + 1..]);
            let relative = zone.relative(&name).map(|relative| relative.to_string());
            assert_eq!(relative.ok().as_deref(), Some(&name[..at]));
        }
    }
    if let Ok(kind) = RecordType::new(text) {
        assert!(kind.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}

/// The largest number of requests of one operation, whatever is answered.
const MOST_REQUESTS: u32 = 400;
/// The longest time of one operation: its budget, and waits that begin before its end.
const LONGEST: Duration = Duration::from_secs(240);

/// Gives one answer after the other, and the last one for ever. An answer is a line: the status and the body. Without
/// status there is no answer.
struct Script {
    answers: Mutex<VecDeque<(Option<StatusCode>, Bytes)>>,
    requests: AtomicU32,
}

impl Exchange for std::sync::Arc<Script> {
    fn exchange<'a>(&'a self, _: &'a Call) -> Exchanged<'a> {
        let requests = self.requests.fetch_add(1, Relaxed) + 1;
        assert!(requests <= MOST_REQUESTS, "there are too many requests");
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move {
            match answer.unwrap_or_default() {
                (Some(status), body) => {
                    let retry_after = body.starts_with(b"0").then(|| HeaderValue::from_static("0"));
                    Ok(Reply { status, retry_after, body, multiplexed: false })
                }
                (None, _) => {
                    Err(NoReply { kind: NetworkKind::Lost, permanent: false, source: "scripted".into() })
                }
            }
        })
    }
}

fn conversation(input: &[u8]) {
    // Waits cost no time: the clock goes on to the next one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return };
    let answer = |line: &[u8]| {
        let (status, body) = line.split_at(line.len().min(3));
        let status = StatusCode::from_bytes(status).ok();
        (status, Bytes::copy_from_slice(body.trim_ascii_start()))
    };
    let answers = input.split(|byte| *byte == b'\n').map(answer).collect();
    let script = std::sync::Arc::new(Script { answers: Mutex::new(answers), requests: AtomicU32::new(0) });
    let facts = CredentialFacts {
        kind: CredentialKind::PersonalAccessToken,
        shape: CredentialShape::Unknown,
        sharing_id_set: false,
        base_url_set: false,
    };
    let client = Client::with_exchange(Box::new(script.clone()), facts, Options::default());
    runtime.block_on(converse(&script, &client));
}

async fn converse(script: &Script, client: &Client) {
    let name = "_acme-challenge.www.example.com";
    let zone = bounded(script, client.find_zone(name, None)).await;
    let zone = zone.unwrap_or_else(|_| Zone::at("example.com"));
    let values = ["a".to_owned(), "b".to_owned()];
    let added = bounded(script, client.add_txt(&zone, name, &values)).await;
    let removed = bounded(script, client.remove_txt(&zone, name, &values)).await;
    for error in [added.err(), removed.err()].into_iter().flatten() {
        printable(&error.to_string());
    }
    if let Ok(relative) = zone.relative(name) {
        let _ = bounded(script, client.rrset(&zone, &relative, &RecordType::TXT)).await;
    }
    let _ = bounded(script, client.name_servers(&zone)).await;
    let _ = bounded(script, client.token_info()).await;
    let _ = bounded(script, client.check_access()).await;
    let _ = bounded(script, client.renew_token()).await;
}

async fn bounded<T>(script: &Script, operation: impl Future<Output = T>) -> T {
    script.requests.store(0, Relaxed);
    let begun = tokio::time::Instant::now();
    let result = operation.await;
    assert!(begun.elapsed() <= LONGEST, "it takes {:?}", begun.elapsed());
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_input_makes_a_panic_or_is_taken_without_bounds() {
        fuzzing::short_run(super::TARGETS);
    }
}

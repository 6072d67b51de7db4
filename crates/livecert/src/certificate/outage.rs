//! Servers that answer nobody. Each certificate that asks such a server waits for it as long as the first ones did, and with
//! thousands of them a run would wait for hours to say the same of all.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use livecert_acme::{Error, ErrorClass, TransportError};

use super::{CertificateError, ServerUrl, with_causes};

/// How long a server may answer nobody before it is left alone, where nothing else is said. What fails sooner holds nobody up.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// So many certificates have to have waited for it in vain: one may have had bad luck.
const ENOUGH: usize = 3;
/// After this long one asks again: a run that gets its certificates elsewhere may take hours.
const REST: Duration = Duration::from_secs(60);

/// What a run knows of the servers that it asks for orders.
pub(super) struct Outages {
    patience: Duration,
    servers: Mutex<BTreeMap<String, Seen>>,
}

/// What was seen of a server.
#[derive(Default)]
struct Seen {
    /// When it took or refused an order last.
    answered: Option<Instant>,
    /// Whom it has not answered since.
    silence: Option<Silence>,
}

struct Silence {
    certificates: usize,
    /// When the first of them began to ask.
    since: Instant,
    /// When the last of them gave up, or somebody went to see whether it is over.
    latest: Instant,
    words: String,
}

impl Outages {
    pub(super) fn new(patience: Duration) -> Self {
        Outages { patience, servers: Mutex::default() }
    }

    /// The same, with this much patience, and nothing known.
    pub(super) fn afresh(&self) -> Self {
        Self::new(self.patience)
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Seen>) -> T) -> T {
        work(&mut self.servers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets all: each run asks for itself.
    pub(super) fn begin_run(&self) {
        self.with(BTreeMap::clear);
    }

    /// The server has taken an order.
    pub(super) fn end(&self, server: &ServerUrl) {
        self.end_at(server, Instant::now());
    }

    fn end_at(&self, server: &ServerUrl, now: Instant) {
        let seen = Seen { answered: Some(now), silence: None };
        self.with(|all| all.insert(server.as_str().to_owned(), seen));
    }

    /// Takes in why a certificate whose attempt began at `begun` got no order.
    pub(super) fn note(&self, server: &ServerUrl, begun: Instant, error: &CertificateError) {
        self.note_at(server, begun, Instant::now(), error);
    }

    fn note_at(&self, server: &ServerUrl, begun: Instant, now: Instant, error: &CertificateError) {
        let CertificateError::Acme { source, .. } = error else { return };
        if !is_silence(source) {
            // A refusal is an answer.
            if source.problem().is_some() {
                self.end_at(server, now);
            }
            return;
        }
        self.with(|all| {
            let seen = all.entry(server.as_str().to_owned()).or_default();
            // Others were answered meanwhile.
            if seen.answered.is_some_and(|answered| answered > begun) {
                return;
            }
            let none = Silence { certificates: 0, since: begun, latest: now, words: String::new() };
            let silence = seen.silence.get_or_insert(none);
            silence.certificates += 1;
            silence.since = silence.since.min(begun);
            (silence.latest, silence.words) = (now, with_causes(source));
        });
    }

    /// Why the server is not to be asked for an order now, if it is not.
    pub(super) fn of(&self, server: &ServerUrl) -> Option<CertificateError> {
        self.of_at(server, Instant::now())
    }

    fn of_at(&self, server: &ServerUrl, now: Instant) -> Option<CertificateError> {
        self.with(|all| {
            let silence = all.get_mut(server.as_str())?.silence.as_mut()?;
            let waited = silence.latest.saturating_duration_since(silence.since);
            if silence.certificates < ENOUGH || waited < self.patience {
                return None;
            }
            if now.saturating_duration_since(silence.latest) >= REST {
                silence.latest = now;
                return None;
            }
            Some(CertificateError::Outage {
                server: server.to_string(),
                certificates: silence.certificates,
                waited,
                words: silence.words.clone(),
            })
        })
    }
}

/// Whether the server did not answer, or something else did for it.
fn is_silence(error: &Error) -> bool {
    match error {
        Error::Transport { source, .. } => matches!(
            source,
            TransportError::Connect(_) | TransportError::Timeout(_) | TransportError::Broken(_)
        ),
        Error::NoNonce(_) => true,
        Error::Http { status, .. } | Error::NotADirectory { status, .. } => *status >= 500,
        Error::RetryLater { .. } => error.class() == ErrorClass::Outage,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(source: Error) -> CertificateError {
        CertificateError::Acme { step: "the order", server: "acme.example".into(), source }
    }

    fn silent() -> CertificateError {
        failed(Error::NoNonce("https://acme.example/nonce".into()))
    }

    fn server() -> ServerUrl {
        "https://acme.example/dir".parse().unwrap()
    }

    /// Three wait from `begun` until `after` that, in vain.
    fn three(outages: &Outages, begun: Instant, after: Duration) {
        (0..ENOUGH).for_each(|_| outages.note_at(&server(), begun, begun + after, &silent()));
    }

    #[test]
    fn one_that_has_answered_nobody_for_long_is_left_alone_and_then_asked_by_one() {
        let (outages, begun) = (Outages::new(PATIENCE), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        for _ in 0..ENOUGH {
            assert!(outages.of_at(&server(), at(30)).is_none());
            outages.note_at(&server(), begun, at(30), &silent());
        }
        let error = outages.of_at(&server(), at(31)).unwrap();
        assert!(error.to_string().contains("answered none of 3 certificates in 30 s"), "{error}");
        assert!(outages.of_at(&"https://b.example/dir".parse().unwrap(), at(31)).is_none());
        assert!(outages.of_at(&server(), at(90)).is_none(), "one goes to see");
        assert!(outages.of_at(&server(), at(90)).is_some(), "and the others do not");
        outages.end(&server());
        assert!(outages.of_at(&server(), at(91)).is_none());
    }

    #[test]
    fn what_fails_at_once_holds_nobody_up() {
        let outages = Outages::new(PATIENCE);
        three(&outages, Instant::now(), Duration::from_secs(1));
        assert!(outages.of(&server()).is_none());
    }

    #[test]
    fn who_was_unlucky_while_others_were_answered_does_not_count() {
        let (outages, begun) = (Outages::new(PATIENCE), Instant::now());
        outages.end(&server());
        three(&outages, begun, Duration::from_secs(30));
        assert!(outages.of_at(&server(), begun + Duration::from_secs(30)).is_none());
        // A later silence counts from its own beginning.
        three(&outages, begun + Duration::from_secs(40), Duration::from_secs(30));
        assert!(outages.of_at(&server(), begun + Duration::from_secs(71)).is_some());
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let (outages, begun) = (Outages::new(Duration::ZERO), Instant::now());
        three(&outages, begun, Duration::from_secs(1));
        assert!(outages.of(&server()).is_some());
        let limited = r#"{"type": "urn:ietf:params:acme:error:rateLimited"}"#;
        outages.note(
            &server(),
            begun,
            &failed(Error::Problem(Box::new(serde_json::from_str(limited).unwrap()))),
        );
        assert!(outages.of(&server()).is_none());
    }

    #[test]
    fn only_silence_counts() {
        let http = |status| Error::Http { url: String::new(), status, excerpt: String::new() };
        let busy = Error::RetryLater { problem: None, retry_at: None };
        assert!(is_silence(&http(502)) && is_silence(&busy));
        assert!(!is_silence(&http(404)));
        let tls = TransportError::Tls("not trusted".into());
        assert!(!is_silence(&Error::Transport { url: String::new(), source: tls }));
        let outages = Outages::new(Duration::ZERO);
        for error in [CertificateError::Interrupted, failed(http(404))] {
            (0..ENOUGH).for_each(|_| outages.note(&server(), Instant::now(), &error));
        }
        assert!(outages.of(&server()).is_none());
    }
}

//! Servers that answer nobody. Each certificate that asks such a server waits for it as long as the first one did, and with
//! thousands of them a run would wait for hours to learn the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use livecert_acme::{Error, ErrorClass};

use super::{CertificateError, ServerUrl, with_causes};

/// So many certificates in a row that a server has not answered are enough to ask no more. One may have had bad luck.
const ENOUGH: usize = 3;
/// After this long somebody tries again: a run that gets its certificates elsewhere may take hours.
const REST: Duration = Duration::from_secs(60);

/// Whom a server has not answered, since it answered anybody.
#[derive(Default)]
pub(super) struct Outages(Mutex<BTreeMap<String, Outage>>);

struct Outage {
    certificates: usize,
    latest: Instant,
    words: String,
}

impl Outages {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Outage>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets all: another run asks for itself.
    pub(super) fn begin_run(&self) {
        self.with(BTreeMap::clear);
    }

    /// The server has taken an order.
    pub(super) fn end(&self, server: &ServerUrl) {
        self.with(|all| all.remove(server.as_str()));
    }

    /// Takes in why a certificate could not be got at a server.
    pub(super) fn note(&self, server: &ServerUrl, error: &CertificateError) {
        let CertificateError::Acme { source, .. } = error else { return };
        // An order or a validation that does not come to its end is looked at by a server that answers.
        let is_answered = matches!(source, Error::Unsettled { .. } | Error::UnsettledAuthorization { .. });
        if is_answered || source.class() != ErrorClass::Outage {
            return;
        }
        self.with(|all| {
            let certificates = all.get(server.as_str()).map_or(0, |outage| outage.certificates) + 1;
            let outage = Outage { certificates, latest: Instant::now(), words: with_causes(source) };
            all.insert(server.as_str().to_owned(), outage);
        });
    }

    /// Why the server is not asked now, if it is not to be.
    pub(super) fn of(&self, server: &ServerUrl) -> Option<CertificateError> {
        self.of_at(server, Instant::now())
    }

    fn of_at(&self, server: &ServerUrl, now: Instant) -> Option<CertificateError> {
        self.with(|all| {
            let outage = all.get(server.as_str()).filter(|outage| outage.certificates >= ENOUGH)?;
            let rests = now.saturating_duration_since(outage.latest) < REST;
            rests.then(|| CertificateError::Outage {
                server: server.to_string(),
                certificates: outage.certificates,
                words: outage.words.clone(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unanswered() -> CertificateError {
        let source = Error::NoNonce("https://acme.example/nonce".into());
        CertificateError::Acme { step: "the order", server: "acme.example".into(), source }
    }

    #[test]
    fn one_that_has_answered_nobody_is_asked_no_more_for_a_while() {
        let (server, other): (ServerUrl, ServerUrl) =
            ("https://acme.example/dir".parse().unwrap(), "https://b.example/dir".parse().unwrap());
        let outages = Outages::default();
        for _ in 0..ENOUGH {
            assert!(outages.of(&server).is_none());
            outages.note(&server, &unanswered());
        }
        assert!(matches!(outages.of(&server), Some(CertificateError::Outage { certificates: ENOUGH, .. })));
        assert!(outages.of(&other).is_none());
        assert!(outages.of_at(&server, Instant::now() + REST).is_none());
        outages.end(&server);
        outages.note(&server, &unanswered());
        assert!(outages.of(&server).is_none(), "what was before it answered does not count");
    }

    #[test]
    fn only_silence_counts() {
        let server: ServerUrl = "https://acme.example/dir".parse().unwrap();
        let outages = Outages::default();
        (0..9).for_each(|_| outages.note(&server, &CertificateError::Interrupted));
        assert!(outages.of(&server).is_none());
    }
}

//! When the CA wants certificates to be renewed (RFC 9773): asked for when it wants to be asked, and kept.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use livecert_acme::{CertificateId, Server};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::bundle::certificate_id_of;
use super::due::{Due, due};
use super::servers::uses_renewal_info;
use super::{CertificateError, ServerUrl, Service, with_causes};
use crate::progress::Event;
use crate::store::{CertName, Generation, RenewalRecord, RenewalWindow, ServersRecord, Snapshot, Store};

/// Windows that are asked for at a time.
const SIDE_BY_SIDE: usize = 16;
/// How long a run waits for them in all: a renewal does not depend on them.
const PATIENCE: Duration = Duration::from_secs(20);
/// `Retry-After` is believed between these limits (RFC 9773 §4.3.2).
const SOONEST: SignedDuration = SignedDuration::from_mins(1);
const LATEST: SignedDuration = SignedDuration::from_hours(24);
/// When the server names no moment, or does not answer.
const USUAL: SignedDuration = SignedDuration::from_hours(6);

impl Service {
    /// When a certificate is to be renewed, with what the CA said last.
    pub fn due(&self, cert: &CertName, generation: &Generation, now: Timestamp) -> Due {
        due(generation, window(&self.store, cert, generation).as_ref(), now)
    }

    /// Asks for the window of a certificate, if it is time to ask. That a server does not tell is no failure.
    pub(super) async fn ask_for_window_of(&self, cert: &CertName) {
        let Ok(Some(generation)) = self.store.current(cert) else { return };
        let Some(id) = id(&generation) else { return };
        let known = self.store.renewal(cert, &id);
        let kept = self.store.servers().unwrap_or_default();
        self.ask_for_windows(
            question(cert, &generation, known, &kept, Timestamp::now()).into_iter().collect(),
        )
        .await;
    }

    /// Asks for windows. That a server does not tell is no failure.
    pub(super) async fn ask_for_windows(&self, questions: Vec<Question>) {
        let mut by_server = BTreeMap::<String, Vec<Question>>::new();
        for question in questions {
            by_server.entry(question.server.clone()).or_default().push(question);
        }
        let work = by_server.into_iter().map(|(server, questions)| self.ask_server(server, questions));
        let asking = stream::iter(work).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>();
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            tracing::info!("not every CA has told when it wants its certificates to be renewed");
        }
    }

    async fn ask_server(&self, server: String, questions: Vec<Question>) {
        let connected = async {
            let url: ServerUrl = server.parse()?;
            self.connect_to_look(&url).await
        };
        let connected = match connected.await {
            Ok(connected) if connected.directory().renewal_info.is_some() => connected,
            Ok(_) => {
                questions.iter().for_each(|question| self.note_no_window(&question.cert, &question.id));
                return;
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::info!(
                    server,
                    error,
                    "the CA cannot be asked when its certificates should be renewed"
                );
                return;
            }
        };
        let ask = |Question { cert, id, known, .. }: Question| {
            let connected = &connected;
            async move {
                if let Err(error) = self.ask_for_window(connected, &cert, &id, known).await {
                    tracing::info!(%cert, error = with_causes(&error), "the CA does not tell when to renew");
                }
            }
        };
        stream::iter(questions).map(ask).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
    }

    async fn ask_for_window(
        &self,
        server: &Server,
        cert: &CertName,
        id: &str,
        known: Option<RenewalRecord>,
    ) -> Result<(), CertificateError> {
        let Ok(certificate_id) = id.parse::<CertificateId>() else { return Ok(()) };
        let now = Timestamp::now();
        let later = |wait: SignedDuration| now.checked_add(wait).unwrap_or(now);
        let info = match server.renewal_info(&certificate_id).await {
            Ok(info) => info,
            Err(source) => {
                if let Some(mut known) = known {
                    known.ask_again = later(USUAL);
                    self.store.save_renewal(cert, &known)?;
                }
                let server = server.url().to_owned();
                return Err(CertificateError::Acme { step: "asking when to renew", server, source });
            }
        };
        let wait = info.retry_after.map(|after| after.duration());
        let wait = wait.and_then(|wait| SignedDuration::try_from(wait).ok()).unwrap_or(USUAL);
        // The share stays when the window moves, so that no look draws a new lot.
        let share = known.as_ref().map_or_else(fastrand::f64, |known| known.share);
        let window = Some(RenewalWindow { start: info.start, end: info.end });
        let mut record = RenewalRecord::new(id.to_owned(), window, share, later(wait.clamp(SOONEST, LATEST)));
        record.explanation_url.clone_from(&info.explanation_url);
        let changed = known.is_none_or(|known| known.window != window);
        self.store.save_renewal(cert, &record)?;
        if changed && let Some(at) = record.moment() {
            let explanation = record.explanation_url.as_deref();
            self.progress.event(cert, Event::RenewalWindow { at, explanation });
        }
        Ok(())
    }

    /// Notes that the CA of the certificate with this id offers no windows, so that it is not asked at each run.
    pub(super) fn note_no_window(&self, cert: &CertName, id: &str) {
        self.note_nothing(cert, id, LATEST);
    }

    /// Notes that another client has asked for the window of the certificate with this id until now.
    pub(super) fn note_unasked(&self, cert: &CertName, id: &str) {
        self.note_nothing(cert, id, USUAL);
    }

    fn note_nothing(&self, cert: &CertName, id: &str, wait: SignedDuration) {
        let now = Timestamp::now();
        let ask_again = now.checked_add(wait).unwrap_or(now);
        let record = RenewalRecord::new(id.to_owned(), None, fastrand::f64(), ask_again);
        if let Err(error) = self.store.save_renewal(cert, &record) {
            tracing::warn!(%cert, %error, "that the CA offers no renewal windows is not noted");
        }
    }
}

/// A certificate whose CA is to be asked when it wants it to be renewed.
#[derive(Debug)]
pub(super) struct Question {
    cert: CertName,
    server: String,
    id: String,
    known: Option<RenewalRecord>,
}

/// What its CA has to be asked about a generation, if it is time to ask; `known` is what it said last.
pub(super) fn question(
    cert: &CertName,
    generation: &Generation,
    known: Option<RenewalRecord>,
    kept: &ServersRecord,
    now: Timestamp,
) -> Option<Question> {
    let info = &generation.info;
    // One that has ended is renewed in any case.
    let is_time = info.not_after > now && known.as_ref().is_none_or(|known| known.ask_again <= now);
    if !is_time || !uses_renewal_info(kept, &info.server) {
        return None;
    }
    Some(Question { cert: cert.clone(), server: info.server.clone(), id: id(generation)?, known })
}

/// What the CA said last about when a generation is to be renewed; `None` if it said nothing, or is not to be asked.
pub fn window(store: &Store, cert: &CertName, generation: &Generation) -> Option<RenewalRecord> {
    let known = store.renewal(cert, &id(generation)?)?;
    uses_renewal_info(&store.servers().unwrap_or_default(), &generation.info.server).then_some(known)
}

/// The same out of what was read; `kept` is what is kept about servers.
pub fn window_in<'a>(snapshot: &'a Snapshot, kept: &ServersRecord) -> Option<&'a RenewalRecord> {
    let known = known_in(snapshot)?;
    let server = &snapshot.current.as_ref()?.info.server;
    uses_renewal_info(kept, server).then_some(known)
}

/// What the CA said last about the generation in place, whether or not it is to be asked.
pub(super) fn known_in(snapshot: &Snapshot) -> Option<&RenewalRecord> {
    let (known, current) = (snapshot.renewal.as_ref()?, snapshot.current.as_ref()?);
    let is_its = match &current.info.certificate_id {
        Some(id) => *id == known.certificate_id,
        None => id(current).is_some_and(|id| id == known.certificate_id),
    };
    is_its.then_some(known)
}

/// The id of a certificate towards its CA; generations of older versions did not note it.
pub(super) fn id(generation: &Generation) -> Option<String> {
    generation.info.certificate_id.clone().or_else(|| {
        let leaf = CertificateDer::from_pem_slice(generation.leaf().ok()?.as_bytes()).ok()?;
        certificate_id_of(&leaf)
    })
}

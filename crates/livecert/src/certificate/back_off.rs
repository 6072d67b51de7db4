//! After failures it is tried less and less often: a broken set-up must cost neither the CA's patience nor its limits.
//! What the CA itself has said is kept elsewhere (`hold.rs`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use livecert_acme::{Error, ErrorClass};

use super::publisher::Publisher;
use super::settings::Settings;
use super::work::Work;
use super::{CertificateError, Service, with_causes};
use crate::challenge::ChallengeError;
use crate::digest;
use crate::plugin::{ArgumentError, ArgumentSource};
use crate::store::{CertName, FailureRecord, LONGEST_WAIT, OutputRecord, wait_after};

/// The wait after the first failure; it doubles with each that follows.
const FIRST: SignedDuration = SignedDuration::from_mins(10);
/// The longest wait once the certificate has ended: each hour counts then.
const LONGEST_AFTER_THE_END: SignedDuration = SignedDuration::from_hours(1);
/// So many failures that cost the CA something are let pass where a person may be behind them.
const FREE: u32 = 3;

/// Why a certificate is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// It was asked for with its names.
    Issue,
    /// It was named for renewal.
    Named,
    /// It is due.
    Due,
    /// It is declared in a file, and not there like that.
    Declared,
}

/// Before which moment a certificate that ends at `end`, and could not be got `count` times in a row, is not tried again by
/// itself after the try that ended at `now`.
fn next_try(count: u32, now: Timestamp, end: Option<Timestamp>) -> Timestamp {
    let left = end.map(|end| end.duration_since(now));
    now.checked_add(wait_after(count, FIRST, left, LONGEST_AFTER_THE_END)).unwrap_or(now)
}

/// The failures with one more.
fn one_more(
    before: Option<FailureRecord>,
    error: &CertificateError,
    end: Option<Timestamp>,
    now: Timestamp,
) -> FailureRecord {
    let mut record = before.unwrap_or_else(|| FailureRecord::new(now));
    record.last = now;
    (record.kind, record.error) = (error.kind().to_owned(), with_causes(error));
    // Where the CA has said until when, nothing was tried.
    if !error.is_held() {
        record.count = record.count.saturating_add(1);
        record.costly = record.costly.saturating_add(u32::from(error.costs_the_ca()));
        record.next_try = next_try(record.count, now, end);
    }
    record
}

/// Whether it is not to be tried now.
fn waits(record: &FailureRecord, occasion: Occasion, now: Timestamp) -> bool {
    let counts = match occasion {
        Occasion::Due | Occasion::Declared => record.count > 0,
        // Whoever names it may have mended it; but what starts again and again by itself names it, too.
        Occasion::Issue | Occasion::Named => record.costly >= FREE,
    };
    // A clock that was set back must not make it wait for longer than any policy does.
    counts && now < record.next_try && record.next_try.duration_since(now) <= LONGEST_WAIT
}

impl CertificateError {
    /// Whether the CA has had an order or a validation for nothing.
    pub fn costs_the_ca(&self) -> bool {
        match self {
            CertificateError::Refused { .. }
            | CertificateError::NoChallenge { .. }
            | CertificateError::Bundle(_)
            // There is an order before anything is written.
            | CertificateError::Challenge(ChallengeError::Propagation(_) | ChallengeError::Plugin(_)) => true,
            CertificateError::Acme { source: Error::Unsettled { .. }, .. } => true,
            CertificateError::Acme { source, .. } => {
                matches!(source.class(), ErrorClass::Dns | ErrorClass::Refused)
            }
            CertificateError::NoServer { source, .. } => source.costs_the_ca(),
            _ => false,
        }
    }

    fn is_held(&self) -> bool {
        match self {
            CertificateError::Held { .. }
            | CertificateError::LimitReached { .. }
            | CertificateError::Outage { .. } => true,
            // The servers before the last one may have been asked, and it has not said until when.
            CertificateError::NoServer { source, .. } => {
                source.is_held() && !matches!(**source, CertificateError::Outage { .. })
            }
            _ => false,
        }
    }
}

impl Service {
    /// Whether earlier failures let it be tried now. Failures with other settings are forgotten.
    pub(super) fn after_failures(
        &self,
        cert: &CertName,
        settings: &Settings,
        occasion: Occasion,
    ) -> Result<(), CertificateError> {
        let Some(record) = self.known_failures(cert) else { return Ok(()) };
        if record.count > 0 && record.settings != digest_of(settings) {
            self.forget_failures(cert);
            return Ok(());
        }
        if !waits(&record, occasion, Timestamp::now()) {
            return Ok(());
        }
        Err(CertificateError::Waiting {
            cert: cert.to_string(),
            failures: record.count,
            until: record.next_try,
            costly: record.costly >= FREE,
            last: record.error,
        })
    }

    /// Keeps that a try has failed. Its own failure (a full disk, say) must not hide the first one.
    pub(super) fn remember_failure(&self, work: &Work<'_>, occasion: Occasion, error: &CertificateError) {
        let wrong_words = occasion == Occasion::Issue && error.is_input();
        // That nobody was there says nothing about the next time.
        let nobody = matches!(error, CertificateError::Argument(ArgumentError::NeedsTerminal { .. }));
        if self.rehearsing || wrong_words || nobody || matches!(error, CertificateError::Interrupted) {
            return;
        }
        let cert = work.cert;
        let end = work.current.map(|current| current.info.not_after);
        let mut record = one_more(self.known_failures(cert), error, end, Timestamp::now());
        record.settings = digest_of(work.settings);
        if let Err(error) = self.store.save_failures(cert, &record) {
            let error = with_causes(&error);
            tracing::warn!(%cert, error, "that the last try failed is not remembered");
        }
    }

    /// Forgets the failures of a certificate that there is now.
    pub(super) fn forget_failures(&self, cert: &CertName) {
        if let Err(error) = self.store.remove_failures(cert) {
            tracing::warn!(%cert, error = with_causes(&error), "failures of the past are still noted");
        }
    }

    /// One try too many does less harm than a renewal that does not come, so damage counts as nothing.
    pub(super) fn known_failures(&self, cert: &CertName) -> Option<FailureRecord> {
        self.store.failures(cert).unwrap_or_else(|error| {
            tracing::warn!(%cert, error = with_causes(&error), "earlier failures are not known");
            None
        })
    }
}

/// What tells settings from others, without a secret in it.
fn digest_of(settings: &Settings) -> String {
    let record = settings.record(&BTreeMap::new(), &OutputRecord::default());
    let of = |publisher: &Publisher| {
        let argument = |(name, source): (&&str, &ArgumentSource)| format!("{name}={}", source.place());
        let arguments: Vec<_> = publisher.arguments.iter().map(argument).collect();
        (publisher.name.to_string(), arguments)
    };
    let arguments: Vec<_> = settings.proofs.publishers.iter().map(of).collect();
    // Nothing in it can fail to be JSON, and if it did, the failures would count for all settings.
    let text = serde_json::to_string(&(record, arguments)).unwrap_or_default();
    digest::sha256(text.as_bytes())[..32].to_owned()
}

#[cfg(test)]
#[path = "back_off_tests.rs"]
mod tests;

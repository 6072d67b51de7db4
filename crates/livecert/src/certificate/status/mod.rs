//! How all certificates stand: what needs a person, from what is on disk alone.

mod look;
mod note;

use look::{Around, look_at};

use jiff::{SignedDuration, Timestamp};

use super::with_causes;
use crate::secret::KeyPlace;
use crate::store::{CertName, CertificateRun, CredentialRecord, FinishedRun, Store, StoreError};

/// A run that ended so much later than now is a sign of a wrong clock, and no proof that renewal works.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What counts as trouble.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatusRequest {
    /// A run over all certificates has to have ended within this time; `None` for any time at all.
    pub max_age: Option<SignedDuration>,
    /// How long after its moment a certificate may wait for its renewal.
    pub grace: SignedDuration,
}

/// A kind of trouble, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TroubleKind {
    /// The certificate has ended.
    Ended,
    /// The certificate was revoked, and is still in use.
    Revoked,
    /// There is no certificate yet.
    Missing,
    /// A state file cannot be used.
    Damaged,
    /// What is sealed cannot be opened: the key is missing, or another one.
    SealingKey,
    /// Its renewals fail.
    Failing,
    /// A CA does not want to be asked.
    Held,
    /// A hook's work is undone, or the service does not show the certificate.
    NotDeployed,
    /// It is due, and a person does the work of its plugin.
    NeedsPerson,
    /// Its moment has passed.
    Due,
    /// The credential ends before the next renewal.
    CredentialEnds,
    /// No run has come to its end in time.
    NoRun,
}

impl TroubleKind {
    /// Its stable name.
    pub fn word(self) -> &'static str {
        match self {
            TroubleKind::Ended => "ended",
            TroubleKind::Revoked => "revoked",
            TroubleKind::Missing => "missing",
            TroubleKind::Damaged => "damaged",
            TroubleKind::SealingKey => "sealing-key",
            TroubleKind::Failing => "failing",
            TroubleKind::Held => "held",
            TroubleKind::NotDeployed => "not-deployed",
            TroubleKind::NeedsPerson => "needs-person",
            TroubleKind::Due => "due",
            TroubleKind::CredentialEnds => "credential-ends",
            TroubleKind::NoRun => "no-run",
        }
    }
}

/// Something that needs a person.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trouble {
    /// Its kind.
    pub kind: TroubleKind,
    /// The certificate; `None` if it is about all of them.
    pub cert: Option<CertName>,
    /// What it is.
    pub what: String,
    /// What to do.
    pub next: String,
}

/// How one certificate stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Standing {
    /// Its name.
    pub cert: CertName,
    /// The names that it is for.
    pub names: Vec<String>,
    /// When its validity begins; `None` if there is none.
    pub not_before: Option<Timestamp>,
    /// When it ends; `None` if there is none.
    pub not_after: Option<Timestamp>,
    /// When it was revoked, or that was heard; `None` if that is not known.
    pub revoked: Option<Timestamp>,
    /// When it is to be renewed.
    pub renew_at: Option<Timestamp>,
    /// When it was got.
    pub issued: Option<Timestamp>,
    /// When a run looked at it last.
    pub looked_at: Option<Timestamp>,
    /// What the last run that looked at it did.
    pub last_run: Option<CertificateRun>,
    /// How many tries have failed since.
    pub failures: u32,
    /// What went wrong last, with its causes: at the renewal, or else at the deployment.
    pub error: Option<StandingError>,
    /// Whether nothing is left to be deployed.
    pub deployed: bool,
    /// Whether a post hook has still to be run.
    pub post_owed: bool,
    /// Its credential, where that has an end.
    pub credential: Option<CredentialRecord>,
    /// The most urgent of its troubles.
    pub worst: Option<TroubleKind>,
}

/// What went wrong last with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandingError {
    /// Its stable name.
    pub kind: String,
    /// The error with its causes.
    pub message: String,
    /// When that was, where it is known.
    pub at: Option<Timestamp>,
}

impl Standing {
    /// How much of its life is left at `at`, from 0 (it has ended) to 1; `None` if there is no certificate.
    pub fn share_left(&self, at: Timestamp) -> Option<f64> {
        let (begin, end) = (self.not_before?.as_second(), self.not_after?.as_second());
        let life = end.saturating_sub(begin).max(1);
        // Seconds of a life are far below 2^53, so nothing is lost.
        #[allow(clippy::cast_precision_loss, reason = "a share for the eye")]
        let share = end.saturating_sub(at.as_second()) as f64 / life as f64;
        Some(share.clamp(0.0, 1.0))
    }
}

/// How everything stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatusReport {
    /// What needs a person, the most urgent first.
    pub troubles: Vec<Trouble>,
    /// The certificates whose state can be read, the most urgent first: those with a trouble by its kind, then those that
    /// are renewed soonest.
    pub certificates: Vec<Standing>,
    /// The last run over all certificates that came to its end.
    pub last_run: Option<FinishedRun>,
}

/// Looks at the store, and at nothing else.
///
/// # Errors
/// The store as a whole cannot be read. A damaged state file is trouble, and no error.
pub fn status(store: &Store, request: &StatusRequest, now: Timestamp) -> Result<StatusReport, StoreError> {
    let mut troubles = Vec::new();
    let mut certificates = Vec::new();
    let run = store.last_run().unwrap_or_else(|error| {
        troubles.push(damaged(None, &error));
        None
    });
    let around = Around { store, kept: store.servers().unwrap_or_default(), run, request, now };
    let survey = store.survey(|cert, snapshot| {
        let mut troubles = Vec::new();
        let standing = match snapshot {
            Ok(snapshot) => Some(look_at(&around, snapshot, &mut troubles)),
            Err(error) => {
                troubles.push(damaged(Some(cert), &error));
                None
            }
        };
        (standing, troubles)
    })?;
    for (standing, own) in survey.there {
        certificates.extend(
            standing
                .map(|standing| Standing { worst: own.iter().map(|trouble| trouble.kind).min(), ..standing }),
        );
        troubles.extend(own);
    }
    let run = around.run;
    if !certificates.is_empty() {
        troubles.extend(sealing_key(store));
    }
    // A first try that was killed between its hooks: there is no certificate that a renewal could look at.
    for cert in survey.unfinished {
        if store.deployment(&cert).is_ok_and(|state| state.post_owed) {
            let what =
                "the post hook that belongs to a pre hook is still to be run; a service may be stopped";
            let next =
                "run the `livecert issue` again that did not come to its end; it runs the post hook too";
            let (kind, cert) = (TroubleKind::NotDeployed, Some(cert));
            troubles.push(Trouble { kind, cert, what: what.to_owned(), next: next.to_owned() });
        }
    }
    let last_run = run.and_then(|run| run.run);
    if !(certificates.is_empty() && troubles.is_empty()) {
        troubles.extend(no_run(last_run, request, now));
    }
    let urgency = |one: &Standing| (one.worst.is_none(), one.worst, one.renew_at, one.cert.clone());
    certificates.sort_by_cached_key(urgency);
    troubles.sort_by(|one, other| (one.kind, &one.cert).cmp(&(other.kind, &other.cert)));
    Ok(StatusReport { troubles, certificates, last_run })
}

fn damaged(cert: Option<&CertName>, error: &StoreError) -> Trouble {
    let (what, next) = (with_causes(error), "bring the file back from a backup, or remove it".to_owned());
    Trouble { kind: TroubleKind::Damaged, cert: cert.cloned(), what, next }
}

/// Whether the sealing key is where it should be, as far as that can be seen without a keyring or a unit's credentials.
fn sealing_key(store: &Store) -> Option<Trouble> {
    let record = match store.sealing_record() {
        Ok(record) => record?,
        Err(error) => return Some(damaged(None, &error)),
    };
    // A rotation that is under way is finished by the next command that needs the key.
    let place @ KeyPlace::File(_) = record.source.parse().ok()? else { return None };
    let wrong = match place.read() {
        Ok(Some(key)) if key.id() == record.key || record.rotation.is_some() => return None,
        Ok(Some(_)) => format!("the key in {place} is not the one that this state folder was sealed with"),
        Ok(None) => format!("there is no sealing key in {place}"),
        Err(error) => with_causes(&error),
    };
    let what = format!("account keys and sealed secrets cannot be opened: {wrong}");
    let next = "bring the key back from a backup, or name its place with --sealing-key".to_owned();
    Some(Trouble { kind: TroubleKind::SealingKey, cert: None, what, next })
}

fn no_run(last: Option<FinishedRun>, request: &StatusRequest, now: Timestamp) -> Option<Trouble> {
    let max_age = request.max_age?;
    let what = match last {
        Some(run) if run.finished.duration_since(now) > SKEW => {
            let next = "see that the clock is right, then run `livecert renew`".to_owned();
            let what = format!("the last run has ended at {:.0}, which is still to come", run.finished);
            return Some(Trouble { kind: TroubleKind::NoRun, cert: None, what, next });
        }
        Some(run) if now.duration_since(run.finished) <= max_age => return None,
        Some(run) => format!("no run over all certificates has ended since {:.0}", run.finished),
        None => "no run over all certificates has ever ended".to_owned(),
    };
    let next = "see that the timer is there and runs `livecert renew`: systemctl list-timers".to_owned();
    Some(Trouble { kind: TroubleKind::NoRun, cert: None, what, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_run_that_is_still_to_come_is_no_sign_of_life() {
        let now = at("2026-06-01T12:00:00Z");
        let request = StatusRequest { max_age: Some(SignedDuration::from_hours(26)), ..Default::default() };
        let told = |finished: &str| {
            let (began, finished) = (at(finished), at(finished));
            let run = FinishedRun { began, finished, renewed: 0, not_due: 1, failed: 0 };
            no_run(Some(run), &request, now).map(|trouble| trouble.what)
        };
        assert_eq!(told("2026-06-01T11:00:00Z"), None);
        assert_eq!(told("2026-06-01T12:04:00Z"), None);
        assert!(told("2026-05-31T09:00:00Z").unwrap().contains("has ended since"));
        assert!(told("2031-01-01T00:00:00Z").unwrap().contains("still to come"));
    }
}

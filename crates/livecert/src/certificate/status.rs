//! How all certificates stand: what needs a person, from what is on disk alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::due::due;
use super::renew::{Renewal, RenewalResult};
use super::{CertificateError, RenewRequest, Service, window, with_causes};
use crate::secret::KeyPlace;
use crate::store::{
    CertName, CertificateRecord, CertificateRun, FailureRecord, FinishedRun, Generation, HoldScope, Lock,
    RunRecord, Store, StoreError,
};

/// A credential has to live so much longer than until the renewal: for tries that fail first.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);
/// How long another run may take to write down what it did.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

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
    /// When it ends; `None` if there is none.
    pub not_after: Option<Timestamp>,
    /// When it is to be renewed.
    pub renew_at: Option<Timestamp>,
    /// When it was got.
    pub issued: Option<Timestamp>,
    /// When a run looked at it last.
    pub looked_at: Option<Timestamp>,
    /// How many tries have failed since.
    pub failures: u32,
    /// Whether nothing is left to be deployed.
    pub deployed: bool,
}

/// How everything stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatusReport {
    /// What needs a person, the most urgent first.
    pub troubles: Vec<Trouble>,
    /// The certificates whose state can be read, in the order of their names.
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
    for cert in store.cert_names()? {
        let found = look_at(store, &cert, run.as_ref(), request, now, &mut troubles);
        match found {
            Ok(standing) => certificates.push(standing),
            Err(error) => troubles.push(damaged(Some(&cert), &error)),
        }
    }
    if !certificates.is_empty() {
        troubles.extend(sealing_key(store));
    }
    // A first try that was killed between its hooks: there is no certificate that a renewal could look at.
    for cert in store.unfinished_names()? {
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

/// What is in a file beside the certificate; that it is damaged hides nothing else.
fn usable<T>(read: Result<Option<T>, StoreError>, cert: &CertName, troubles: &mut Vec<Trouble>) -> Option<T> {
    read.unwrap_or_else(|error| {
        troubles.push(damaged(Some(cert), &error));
        None
    })
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

fn look_at(
    store: &Store,
    cert: &CertName,
    run: Option<&RunRecord>,
    request: &StatusRequest,
    now: Timestamp,
    troubles: &mut Vec<Trouble>,
) -> Result<Standing, StoreError> {
    let record = store.record(cert)?;
    let current = store.current(cert)?;
    let failures = usable(store.failures(cert), cert, troubles);
    let credential = usable(store.credential_end(cert), cert, troubles);
    let state = usable(store.deployment(cert).map(Some), cert, troubles).unwrap_or_default();
    let pending = current.as_ref().and_then(|current| state.waiting(current.number));
    let mut tell = |kind, what, next: String| {
        troubles.push(Trouble { kind, cert: Some(cert.clone()), what, next });
    };
    if let Some(lost) = current.as_ref().and_then(|current| current.lost_file(record.own_request)) {
        let what = format!("{} is missing, or has nothing in it", lost.display());
        let next = format!(
            "`livecert renew {cert} --force` makes a new certificate, `livecert rollback {cert}` goes back"
        );
        tell(TroubleKind::Damaged, what, next);
    }
    let due = current.as_ref().map(|current| due(current, window(store, cert, current).as_ref(), now));
    if due.is_none_or(|due| due.now) {
        let hold = hold(store, cert, &record);
        let (mut kind, mut what) = of_renewal(current.as_ref(), failures.as_ref(), hold.as_ref(), now);
        let late = due.is_none_or(|due| now.duration_since(due.at) >= request.grace);
        let force = if hold.is_some() { " --force" } else { "" };
        let mut next = format!("`livecert renew {cert}{force}` tries now, and says what is wrong");
        if super::renew::needs_person(&record) {
            // No run will do it, so there is nothing to wait for.
            if kind == TroubleKind::Due {
                kind = TroubleKind::NeedsPerson;
            }
            what.push_str("; a person puts its proofs there");
            next = match store.pending_order(cert) {
                Ok(Some(order)) if order.kept => {
                    format!("its order is open: `livecert order show {cert}` says what is to be done")
                }
                _ => format!("`livecert renew {cert}{force}` at a terminal says what is to be done"),
            };
        }
        if late || kind != TroubleKind::Due {
            tell(kind, what, next);
        }
    }
    if let Some(pending) = pending {
        let why = pending.problem.as_ref().map_or_else(String::new, |problem| format!(": {}", problem.error));
        let what =
            format!("generation {} waits to be deployed since {:.0}{why}", pending.generation, pending.since);
        tell(TroubleKind::NotDeployed, what, format!("`livecert renew {cert}` runs the hook again"));
    }
    if state.post_owed {
        let what = "the post hook that belongs to a pre hook is still to be run; a service may be stopped";
        let next = format!("`livecert renew {cert}` runs it again");
        tell(TroubleKind::NotDeployed, what.to_owned(), next);
    }
    if let Some(credential) = credential
        && let Some(due) = due
        && credential.ends < due.at.max(now).checked_add(MARGIN).unwrap_or(Timestamp::MAX)
    {
        let when = if credential.ends <= now { "has ended" } else { "ends before the renewal" };
        let what = format!("the {} {when} ({:.0})", credential.kind, credential.ends);
        let next = "`livecert token renew`, or make a new one and write it to the same place".to_owned();
        tell(TroubleKind::CredentialEnds, what, next);
    }
    Ok(Standing {
        cert: cert.clone(),
        not_after: current.as_ref().map(|current| current.info.not_after),
        renew_at: due.map(|due| due.at),
        issued: current.as_ref().map(|current| current.info.issued),
        looked_at: run.and_then(|run| run.certificates.get(cert.as_str())).map(|one| one.at),
        failures: failures.map_or(0, |failures| failures.count),
        deployed: pending.is_none() && !state.post_owed,
    })
}

/// What holds a certificate back at any of its servers: until when, and in what words.
fn hold(store: &Store, cert: &CertName, record: &CertificateRecord) -> Option<(Timestamp, String)> {
    let at = |server: &String| {
        let own = store.hold(HoldScope::Certificate(cert), server, &record.names);
        own.or_else(|| store.hold(HoldScope::Server, server, &[]))
    };
    let hold = std::iter::once(&record.server).chain(&record.fallbacks).find_map(at)?;
    Some((
        hold.until,
        format!("{} does not want to be asked before {:.0}: {}", hold.server, hold.until, hold.words),
    ))
}

/// The state of a certificate that should be renewed, or got, by now.
fn of_renewal(
    current: Option<&Generation>,
    failures: Option<&FailureRecord>,
    hold: Option<&(Timestamp, String)>,
    now: Timestamp,
) -> (TroubleKind, String) {
    let failed = failures.filter(|failures| failures.count > 0).map(|failures| {
        let times = if failures.count == 1 { "once".to_owned() } else { format!("{} times", failures.count) };
        format!("renewal has failed {times} since {:.0}: {}", failures.first, failures.error)
    });
    let why = hold.map(|(_, words)| words.clone()).or_else(|| failed.clone());
    let with = |text: String| why.iter().fold(text, |text, why| format!("{text}; {why}"));
    match current.map(|current| current.info.not_after) {
        None => (TroubleKind::Missing, with("there is no certificate yet".to_owned())),
        Some(end) if end <= now => (TroubleKind::Ended, with(format!("it has ended ({end:.0})"))),
        Some(end) => {
            let kind = match (&hold, &failed) {
                (Some(_), _) => TroubleKind::Held,
                (None, Some(_)) => TroubleKind::Failing,
                (None, None) => TroubleKind::Due,
            };
            let days = end.duration_since(now).as_hours() / 24;
            (kind, with(format!("it is due, and ends in {days} days ({end:.0})")))
        }
    }
}

/// What is kept about each certificate after a run, `over_all` of them or not. Of one whose turn did not come, or which was
/// given up with the run, the run has nothing to say: what the one before has found still stands.
fn entries(
    mut before: BTreeMap<String, CertificateRun>,
    over_all: bool,
    renewals: &[Renewal],
    found: impl Fn(&Renewal) -> CertificateRun,
) -> BTreeMap<String, CertificateRun> {
    if over_all {
        before.retain(|name, _| renewals.iter().any(|renewal| renewal.cert.as_str() == name));
    }
    for renewal in renewals {
        let interrupted = matches!(&renewal.result, RenewalResult::Failed(error)
            if matches!(**error, CertificateError::Interrupted));
        if !interrupted {
            before.insert(renewal.cert.to_string(), found(renewal));
        }
    }
    before
}

impl Service {
    /// Keeps what a run did, in `status.json`. Its own failure must not hide what was done.
    pub(super) async fn note_run(&self, request: &RenewRequest, began: Timestamp, renewals: &[Renewal]) {
        let noted = async {
            // Two runs at once must not drop each other's results.
            let _lock = Lock::take(&self.store.locks(), "status@run", PATIENCE, |_| ()).await?;
            // A damaged file is made anew.
            let before = self.store.last_run().ok().flatten().unwrap_or_else(|| RunRecord::new(None));
            let mut record = RunRecord::new(before.run);
            let finished = Timestamp::now();
            if request.certs.is_empty() && !self.interrupt.is_cancelled() {
                let count =
                    |is: fn(&RenewalResult) -> bool| renewals.iter().filter(|one| is(&one.result)).count();
                record.run = Some(FinishedRun {
                    began,
                    finished,
                    renewed: count(|result| matches!(result, RenewalResult::Renewed(_))),
                    not_due: count(|result| matches!(result, RenewalResult::NotDue(_))),
                    failed: count(|result| matches!(result, RenewalResult::Failed(_))),
                });
            }
            record.certificates =
                entries(before.certificates, request.certs.is_empty(), renewals, |renewal| {
                    self.result_of(renewal, finished)
                });
            self.store.save_run(&record)
        };
        if let Err(error) = noted.await {
            tracing::warn!(error = with_causes(&error), "what the run did is not noted");
        }
    }

    fn result_of(&self, renewal: &Renewal, at: Timestamp) -> CertificateRun {
        let current = self.store.current(&renewal.cert).ok().flatten();
        let (result, error) = match &renewal.result {
            RenewalResult::NotDue(_) => ("not-due", None),
            RenewalResult::Renewed(_) => ("renewed", None),
            RenewalResult::NeedsPerson => ("needs-person", None),
            RenewalResult::Failed(error) if matches!(**error, CertificateError::Waiting { .. }) => {
                ("waiting", Some(error))
            }
            RenewalResult::Failed(error) => ("failed", Some(error)),
        };
        CertificateRun {
            at,
            result: result.to_owned(),
            kind: error.map(|error| error.kind().to_owned()),
            error: error.map(|error| with_causes(error.as_ref())),
            not_after: current.as_ref().map(|current| current.info.not_after),
            renew_at: current.as_ref().map(|current| self.due(&renewal.cert, current, at).at),
        }
    }
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

    #[test]
    fn an_interrupted_run_leaves_what_is_known_of_those_that_it_did_not_finish() {
        let entry = |result: &str| CertificateRun {
            at: at("2026-06-01T12:00:00Z"),
            result: result.to_owned(),
            kind: None,
            error: None,
            not_after: None,
            renew_at: None,
        };
        let before =
            ["a.example", "b.example", "gone.example"].map(|name| (name.to_owned(), entry("before")));
        let interrupted = || RenewalResult::Failed(Box::new(CertificateError::Interrupted));
        let renewals = [
            ("a.example", interrupted()),
            ("b.example", RenewalResult::NotDue(at("2026-07-01T00:00:00Z"))),
            ("never.example", interrupted()),
        ];
        let renewals = renewals.map(|(cert, result)| Renewal { cert: cert.parse().unwrap(), result });
        let kept = |over_all| {
            let kept = entries(BTreeMap::from(before.clone()), over_all, &renewals, |_| entry("now"));
            kept.into_iter().map(|(name, entry)| format!("{name} {}", entry.result)).collect::<Vec<_>>()
        };
        assert_eq!(kept(true), ["a.example before", "b.example now"]);
        assert_eq!(kept(false), ["a.example before", "b.example now", "gone.example before"]);
    }
}

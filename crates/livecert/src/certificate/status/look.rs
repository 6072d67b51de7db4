//! How one certificate stands.

use jiff::{SignedDuration, Timestamp};

use super::super::due::due;
use super::super::window_in;
use super::{Standing, StandingError, StatusRequest, Trouble, TroubleKind, damaged};
use crate::store::{
    CertName, CertificateRecord, DeploymentState, FailureRecord, Generation, HoldScope, RunRecord,
    ServersRecord, Snapshot, Store, StoreError,
};

/// A credential has to live so much longer than until the renewal: for tries that fail first.
const MARGIN: SignedDuration = SignedDuration::from_hours(24);

/// What is in a file beside the certificate; that it is damaged hides nothing else.
fn usable<T>(read: Result<Option<T>, StoreError>, cert: &CertName, troubles: &mut Vec<Trouble>) -> Option<T> {
    read.unwrap_or_else(|error| {
        troubles.push(damaged(Some(cert), &error));
        None
    })
}

/// What all certificates are looked at with.
pub(super) struct Around<'a> {
    pub(super) store: &'a Store,
    /// What is kept about servers.
    pub(super) kept: ServersRecord,
    pub(super) run: Option<RunRecord>,
    pub(super) request: &'a StatusRequest,
    pub(super) now: Timestamp,
}

/// Looks at one certificate, and adds its troubles to `troubles`.
pub(super) fn look_at(
    Around { store, kept, run, request, now }: &Around<'_>,
    snapshot: Snapshot,
    troubles: &mut Vec<Trouble>,
) -> Standing {
    let now = *now;
    let due = snapshot.current.as_ref().map(|current| due(current, window_in(&snapshot, kept), now));
    let Snapshot { ref cert, record, current, failures, credential, deployment, .. } = snapshot;
    let failures = usable(failures, cert, troubles);
    let credential = usable(credential, cert, troubles);
    let state = usable(deployment.map(Some), cert, troubles).unwrap_or_default();
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
    let info = current.as_ref().map(|current| &current.info);
    if let Some(at) = info.filter(|info| info.not_after > now).and_then(|info| info.revoked) {
        let next =
            format!("`livecert renew {cert} --force` gets a new one, `livecert remove {cert}` forgets it");
        tell(TroubleKind::Revoked, format!("it is revoked (since {at:.0})"), next);
    }
    if due.is_none_or(|due| due.now) {
        let hold = hold(store, cert, &record);
        let (mut kind, mut what) = of_renewal(current.as_ref(), failures.as_ref(), hold.as_ref(), now);
        let late = due.is_none_or(|due| now.duration_since(due.at) >= request.grace);
        let force = if hold.is_some() { " --force" } else { "" };
        let mut next = format!("`livecert renew {cert}{force}` tries now, and says what is wrong");
        if super::super::renew::needs_person(&record) {
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
    if let Some(credential) = &credential
        && let Some(due) = due
        && credential.ends < due.at.max(now).checked_add(MARGIN).unwrap_or(Timestamp::MAX)
    {
        let when = if credential.ends <= now { "has ended" } else { "ends before the renewal" };
        let what = format!("the {} {when} ({:.0})", credential.kind, credential.ends);
        let next = "`livecert token renew`, or make a new one and write it to the same place".to_owned();
        tell(TroubleKind::CredentialEnds, what, next);
    }
    let last_run = run.as_ref().and_then(|run| run.certificates.get(cert.as_str())).cloned();
    Standing {
        cert: cert.clone(),
        names: record.names,
        not_before: info.map(|info| info.not_before),
        not_after: info.map(|info| info.not_after),
        revoked: info.and_then(|info| info.revoked),
        renew_at: due.map(|due| due.at),
        issued: info.map(|info| info.issued),
        looked_at: last_run.as_ref().map(|one| one.at),
        last_run,
        error: last_error(failures.as_ref(), &state, current.as_ref()),
        failures: failures.map_or(0, |failures| failures.count),
        deployed: pending.is_none() && !state.post_owed,
        post_owed: state.post_owed,
        credential,
        worst: None,
    }
}

/// What went wrong last: a renewal comes before the deployment of the one before.
fn last_error(
    failures: Option<&FailureRecord>,
    state: &DeploymentState,
    current: Option<&Generation>,
) -> Option<StandingError> {
    // Where only a failed hook was told, no try to get it has failed.
    if let Some(failures) = failures.filter(|failures| !failures.error.is_empty()) {
        let (kind, message) = (failures.kind.clone(), failures.error.clone());
        return Some(StandingError { kind, message, at: Some(failures.last) });
    }
    let problem = state.waiting(current?.number)?.problem.as_ref()?;
    let kind = if problem.not_served { "not-served" } else { "not-deployed" };
    Some(StandingError { kind: kind.to_owned(), message: problem.error.clone(), at: None })
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

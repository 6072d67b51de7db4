//! What a renewal run leaves behind about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::super::renew::{Renewal, RenewalResult, Seen};
use super::super::{CertificateError, RenewRequest, Service, with_causes};
use crate::store::{CertificateRun, FinishedRun, Lock, RunRecord};

/// How long another run may take to write down what it did.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept about each certificate after a run, `over_all` of them or not. Of one whose turn did not come, or which was
/// given up with the run, the run has nothing to say: what the one before has found still stands.
fn entries(
    mut before: BTreeMap<String, CertificateRun>,
    over_all: bool,
    renewals: &[Renewal],
    found: impl Fn(&Renewal) -> CertificateRun,
) -> BTreeMap<String, CertificateRun> {
    if over_all {
        let there: BTreeSet<&str> = renewals.iter().map(|renewal| renewal.cert.as_str()).collect();
        before.retain(|name, _| there.contains(name.as_str()));
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
    pub(in crate::certificate) async fn note_run(
        &self,
        request: &RenewRequest,
        began: Timestamp,
        renewals: &[Renewal],
        seen: Seen<'_>,
    ) {
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
                    self.result_of(renewal, seen, finished)
                });
            self.store.save_run(&record)
        };
        if let Err(error) = noted.await {
            tracing::warn!(error = with_causes(&error), "what the run did is not noted");
        }
    }

    fn result_of(&self, renewal: &Renewal, seen: Seen<'_>, at: Timestamp) -> CertificateRun {
        let (not_after, renew_at) = match seen.at_rest(&renewal.cert) {
            Some(outlook) => (outlook.end, outlook.due),
            None => {
                let current = self.store.current(&renewal.cert).ok().flatten();
                let due = current.as_ref().map(|current| self.due(&renewal.cert, current, at));
                (current.map(|current| current.info.not_after), due)
            }
        };
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
            not_after,
            renew_at: renew_at.map(|due| due.at),
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

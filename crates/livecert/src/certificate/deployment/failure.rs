//! The failure hook: told of a renewal that fails, once for each step on the way to the end.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::renew::Seen;
use super::super::{CertificateError, Renewal, RenewalResult, Service, with_causes};
use super::facts::{HookFacts, variable};
use crate::deploy::HookKind;
use crate::store::{CertName, FailureRecord, Generation};

/// How near the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There is no certificate yet.
    Missing,
    /// At most half of its life is left.
    Half,
    /// At most a quarter.
    Quarter,
    /// At most a tenth.
    Tenth,
    /// Nothing.
    Ended,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Step::Missing => "missing",
            Step::Half => "half",
            Step::Quarter => "quarter",
            Step::Tenth => "tenth",
            Step::Ended => "ended",
        }
    }

    /// The step at which the certificate `served` is; `None` while more than half of its life is left.
    fn of(served: Option<&Generation>, now: Timestamp) -> Option<Self> {
        let Some(served) = served else { return Some(Step::Missing) };
        let (begin, end) = (served.info.not_before, served.info.not_after);
        let (life, left) = (end.duration_since(begin), end.duration_since(now));
        let at_most = |part: i32| left <= life / part;
        Some(match left {
            left if left <= SignedDuration::ZERO => Step::Ended,
            _ if at_most(10) => Step::Tenth,
            _ if at_most(4) => Step::Quarter,
            _ if at_most(2) => Step::Half,
            _ => return None,
        })
    }
}

/// About a renewal that fails.
struct FailureFacts<'a> {
    cert: &'a CertName,
    step: Step,
    kind: String,
    error: String,
    failures: u32,
    not_after: Option<Timestamp>,
    now: Timestamp,
}

impl FailureFacts<'_> {
    fn days_left(&self) -> Option<i64> {
        Some(self.not_after?.duration_since(self.now).as_hours().div_euclid(24))
    }
}

impl HookFacts for FailureFacts<'_> {
    fn variables(&self) -> Vec<(String, String)> {
        let mut all = vec![
            variable("CERT", self.cert),
            variable("STEP", self.step.word()),
            variable("ERROR_KIND", &self.kind),
            variable("ERROR", &self.error),
            variable("FAILURES", self.failures),
        ];
        all.extend(self.not_after.map(|end| variable("NOT_AFTER", end)));
        all.extend(self.days_left().map(|days| variable("DAYS_LEFT", days)));
        all
    }

    fn document(&self) -> Value {
        json!({
            "cert": self.cert.as_str(),
            "step": self.step.word(),
            "error": {"kind": self.kind, "message": self.error},
            "failures": self.failures,
            "not_after": self.not_after,
            "days_left": self.days_left(),
        })
    }
}

impl Service {
    /// Calls the failure hooks of the renewals that failed, where the end has come a step nearer. One that fails is called
    /// again by the next run.
    pub(in crate::certificate) async fn tell_of_failures(&self, renewals: &[Renewal], seen: Seen<'_>) {
        let mut hidden = None;
        for renewal in renewals {
            match &renewal.result {
                RenewalResult::Failed(error) if !error.is_interrupted() => {
                    let hidden = hidden.get_or_insert_with(|| self.hidden_variables());
                    self.tell_of_failure(&renewal.cert, error, hidden).await;
                }
                RenewalResult::Failed(_) => {}
                _ if seen.at_rest(&renewal.cert).is_some_and(|outlook| !outlook.was_told) => {}
                // What was told of a deployment is not true any more.
                _ => self.forget_told(&renewal.cert),
            }
        }
    }

    async fn tell_of_failure(&self, cert: &CertName, error: &CertificateError, hidden: &[String]) {
        let now = Timestamp::now();
        let served = self.served(cert);
        let Some(step) = Step::of(served.as_ref(), now) else { return };
        let known = self.known_failures(cert);
        let mut record = known.unwrap_or_else(|| FailureRecord::new(now));
        let settings = self.store.find_record(cert).ok().flatten();
        let settings = settings.map(|settings| settings.deployment).unwrap_or_default();
        let word = step.word().to_owned();
        if record.told.contains(&word) || self.commands(HookKind::Failure, &settings).is_empty() {
            return;
        }
        // A certificate that waits has failed for another reason.
        let (kind, error) = match error {
            CertificateError::Waiting { .. } => (record.kind.clone(), record.error.clone()),
            error => (error.kind().to_owned(), with_causes(error)),
        };
        let not_after = served.map(|served| served.info.not_after);
        let failures = record.count;
        let facts = FailureFacts { cert, step, kind, error, failures, not_after, now };
        let called =
            self.call_hooks(cert, HookKind::Failure, &settings, &facts, hidden, &self.interrupt).await;
        if called.is_err() {
            return;
        }
        if record.count == 0 {
            (record.kind, record.error) = (facts.kind, facts.error);
        }
        record.told.push(word);
        if let Err(error) = self.store.save_failures(cert, &record) {
            tracing::warn!(%cert, error = with_causes(&error), "what the failure hook was told is not noted");
        }
    }

    /// What the services show: where the new certificate is not deployed, that is the one before it.
    fn served(&self, cert: &CertName) -> Option<Generation> {
        let current = self.store.current(cert).ok().flatten()?;
        let in_use = self.number_in_use(cert, current.number);
        let all = self.store.generations(cert).unwrap_or_default();
        let found = all.into_iter().find(|found| found.number == in_use);
        Some(found.and_then(|found| found.read.ok()).unwrap_or(current))
    }

    fn forget_told(&self, cert: &CertName) {
        if self.known_failures(cert).is_some_and(|record| record.count == 0) {
            self.forget_failures(cert);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::GenerationInfo;

    #[test]
    fn the_steps_are_half_a_quarter_a_tenth_and_the_end() {
        let day = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        let life = (day(0), day(100));
        let info = GenerationInfo::new(Vec::new(), String::new(), String::new(), life, String::new());
        let served = Generation { number: 1, info, current: "current".into() };
        let at = |days| Step::of(Some(&served), day(days)).map(Step::word);
        assert_eq!(
            [at(49), at(50), at(75), at(90), at(99)],
            [None, Some("half"), Some("quarter"), Some("tenth"), Some("tenth")]
        );
        assert_eq!((at(100), Step::of(None, day(0))), (Some("ended"), Some(Step::Missing)));
    }
}

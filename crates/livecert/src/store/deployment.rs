//! How a certificate is deployed, and how far that is.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::failure::{LONGEST_WAIT, wait_after};
use super::file::{read_json, write_json};
use super::{CertLock, CertName, Store, StoreError};

pub(super) const DEPLOYMENT_VERSION: u32 = 1;
pub(super) const DEPLOYMENT: &str = "deployment.json";
/// After the first failure; doubled with each one.
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// The part of `certificate.json` about the deployment: what a renewal runs, and what it looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRecord {
    /// Run before the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_hook: Option<String>,
    /// Run when a new generation is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_hook: Option<String>,
    /// Run after the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_hook: Option<String>,
    /// Run when something goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_hook: Option<String>,
    /// How long a hook may take, in seconds; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_timeout: Option<u64>,
    /// Where the new certificate has to be seen, as `HOST:PORT[,starttls=PROTOCOL][,sni=NAME]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify_served: Vec<String>,
    /// How long the service may take to show it, in seconds; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_timeout: Option<u64>,
    /// Go back to the former generation when the new one is not deployed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback_on_failure: bool,
}

impl DeploymentRecord {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == DeploymentRecord::default()
    }
}

/// `deployment.json`: which generation is deployed, and what is still to be done. It is written before a generation
/// becomes current, so that a run which dies in between leaves what the next one takes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentState {
    version: u32,
    /// What was deployed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Deployed>,
    /// What is still to be deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingDeployment>,
    /// A pre hook was run, and the post hook that belongs to it was not yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub post_owed: bool,
}

impl Default for DeploymentState {
    fn default() -> Self {
        DeploymentState { version: DEPLOYMENT_VERSION, deployed: None, pending: None, post_owed: false }
    }
}

/// A generation whose hooks have done their work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    /// Its number.
    pub generation: u32,
    /// When they had.
    pub at: Timestamp,
    /// Whether the services were seen to show it.
    pub served: bool,
}

/// A generation that is not deployed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingDeployment {
    /// Its number. If it is not the current one and `returned_to` is none, it never became current.
    pub generation: u32,
    /// The generation that was current before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// Since when it waits.
    pub since: Timestamp,
    /// Somebody went back to this generation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub went_back: bool,
    /// How often it has failed.
    #[serde(default)]
    pub attempts: u32,
    /// When it failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Timestamp>,
    /// When the certificate ends that was in use then; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use_until: Option<Timestamp>,
    /// What went wrong then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<DeploymentProblem>,
    /// The generation that is current instead, until the next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_to: Option<Return>,
}

/// What went wrong with a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentProblem {
    /// The hooks have done their work, and a service does not show the certificate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_served: bool,
    /// What went wrong, with its causes.
    pub error: String,
    /// The last part of what the hook printed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// That the former generation was made current again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// Its number.
    pub generation: u32,
    /// Whether its hooks were run. If not, a run died in between.
    pub done: bool,
}

impl PendingDeployment {
    /// A deployment that is still to begin, in the place of the generation `previous`.
    pub fn new(generation: u32, previous: Option<u32>) -> Self {
        PendingDeployment {
            generation,
            previous,
            since: Timestamp::now(),
            went_back: false,
            attempts: 0,
            last_attempt: None,
            in_use_until: None,
            problem: None,
            returned_to: None,
        }
    }

    /// When a run that nobody has asked for tries again: a minute after the first failure, then twice as long each time, up
    /// to a day, and up to a tenth of the life left of what is in use. `None` for at once.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        let last = self.last_attempt?;
        if self.returned_to.is_some_and(|back| !back.done) {
            return None;
        }
        let left = self.in_use_until.map(|end| end.duration_since(last));
        let wait = wait_after(self.attempts, SHORTEST_WAIT, left, SignedDuration::ZERO);
        last.checked_add(wait).ok()
    }

    /// Whether a run that nobody has asked for has to let it be, at this moment. A clock that was set back must not make it
    /// wait for longer than any policy does.
    pub fn is_too_early(&self, now: Timestamp) -> bool {
        self.next_attempt().is_some_and(|next| now < next && next.duration_since(now) <= LONGEST_WAIT)
    }
}

impl DeploymentState {
    /// What is still to be done, if `current` is the generation that is current now. A generation that never became current
    /// has nothing to be deployed.
    pub fn waiting(&self, current: u32) -> Option<&PendingDeployment> {
        self.pending.as_ref().filter(|pending| {
            let back = pending.returned_to.is_some_and(|back| back.generation == current);
            pending.generation == current || back
        })
    }
}

impl Store {
    fn deployment_path(&self, name: &CertName) -> PathBuf {
        self.cert_folder(name).join(DEPLOYMENT)
    }

    /// How far the deployment of a certificate is; nothing, if none was ever asked for.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn deployment(&self, name: &CertName) -> Result<DeploymentState, StoreError> {
        Ok(read_json(&self.deployment_path(name), DEPLOYMENT_VERSION)?.unwrap_or_default())
    }

    /// Notes how far it is. Call only with the certificate's lock held.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_deployment(
        &self,
        name: &CertName,
        lock: &CertLock,
        state: &DeploymentState,
    ) -> Result<(), StoreError> {
        lock.proves(name);
        write_json(&self.deployment_path(name), state)
    }

    /// The folder with hooks of this kind for all certificates, where there is one.
    pub fn hooks(&self, kind: &str) -> Option<PathBuf> {
        Some(self.home().join("hooks").join(kind)).filter(|folder| folder.is_dir())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_day() {
        let mut pending = PendingDeployment::new(2, Some(1));
        assert_eq!(pending.next_attempt(), None);
        let at = Timestamp::now();
        pending.last_attempt = Some(at);
        let waits = [(1, 1), (2, 2), (3, 4), (11, 1024), (12, 1440), (4_000_000_000, 1440)];
        for (attempts, minutes) in waits {
            pending.attempts = attempts;
            assert_eq!(pending.next_attempt(), Some(at + SignedDuration::from_mins(minutes)), "{attempts}");
        }
        pending.returned_to = Some(Return { generation: 1, done: false });
        assert_eq!(pending.next_attempt(), None);
    }

    #[test]
    fn what_ends_soon_is_not_waited_away_and_a_clock_set_back_does_not_count() {
        let (at, hour) = (Timestamp::now(), SignedDuration::from_hours(1));
        let mut pending = PendingDeployment::new(2, Some(1));
        (pending.last_attempt, pending.attempts) = (Some(at), 20);
        assert!(pending.is_too_early(at + hour * 23) && !pending.is_too_early(at + hour * 24));
        pending.in_use_until = Some(at + hour * 20);
        assert!(pending.is_too_early(at + hour) && !pending.is_too_early(at + hour * 2));
        pending.in_use_until = Some(at - hour);
        assert!(!pending.is_too_early(at));
        pending.in_use_until = None;
        assert!(!pending.is_too_early(at - hour));
    }

    #[test]
    fn a_generation_that_never_became_current_has_nothing_to_be_deployed() {
        let mut pending = PendingDeployment::new(2, Some(1));
        let mut state = DeploymentState { pending: Some(pending.clone()), ..DeploymentState::default() };
        assert_eq!((state.waiting(1), state.waiting(2)), (None, Some(&pending)));
        pending.returned_to = Some(Return { generation: 1, done: true });
        state.pending = Some(pending.clone());
        assert_eq!(state.waiting(1), Some(&pending));
    }
}

//! Why a certificate that is there is not in use.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::{CertificateError, with_causes};
use crate::deploy::{HookError, HookFailure, ServedAtError, ServedError};
use crate::store::{DeploymentProblem, PendingDeployment};

/// Why a certificate that is there is not in use. The next run tries again, without another order.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is issued (generation {generation}), and not {}{}", if failure.is_not_served() { "served" } else { "deployed" }, back(*returned_to))]
#[non_exhaustive]
pub struct DeploymentError {
    /// The generation.
    pub generation: u32,
    /// How often it has failed.
    pub attempts: u32,
    /// When a run that nobody has asked for tries again; `None` for the next one.
    pub next_attempt: Option<Timestamp>,
    /// The generation that is current instead.
    pub returned_to: Option<u32>,
    /// What went wrong.
    #[source]
    pub failure: DeploymentFailure,
}

/// What went wrong with a deployment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentFailure {
    /// A deploy or post hook.
    #[error(transparent)]
    Hook(#[from] Arc<HookError>),
    /// A service does not show the certificate.
    #[error(transparent)]
    NotServed(#[from] ServedError),
    /// Where it should be seen cannot be understood.
    #[error(transparent)]
    Place(#[from] ServedAtError),
    /// It failed in an earlier run, and is not tried again yet.
    #[error("{}", .0.error)]
    Earlier(DeploymentProblem),
    /// Somebody pressed Ctrl-C before its post hooks.
    #[error("it was interrupted")]
    Interrupted,
}

fn back(returned_to: Option<u32>) -> String {
    returned_to.map(|number| format!("; generation {number} is in place again")).unwrap_or_default()
}

impl From<HookError> for DeploymentFailure {
    fn from(error: HookError) -> Self {
        DeploymentFailure::Hook(Arc::new(error))
    }
}

impl From<DeploymentError> for CertificateError {
    fn from(error: DeploymentError) -> Self {
        CertificateError::Deployment(Box::new(error))
    }
}

impl DeploymentError {
    pub(super) fn new(pending: &PendingDeployment, failure: DeploymentFailure) -> Self {
        DeploymentError {
            generation: pending.generation,
            attempts: pending.attempts,
            next_attempt: pending.next_attempt(),
            returned_to: pending.returned_to.map(|back| back.generation),
            failure,
        }
    }
}

impl DeploymentFailure {
    /// Whether the hooks have done their work, and a service does not show the certificate.
    pub fn is_not_served(&self) -> bool {
        match self {
            DeploymentFailure::NotServed(_) => true,
            DeploymentFailure::Hook(_) | DeploymentFailure::Place(_) | DeploymentFailure::Interrupted => {
                false
            }
            DeploymentFailure::Earlier(problem) => problem.not_served,
        }
    }

    /// The last part of what the hook printed.
    pub fn output(&self) -> &str {
        match self {
            DeploymentFailure::Hook(error) => &error.output,
            DeploymentFailure::Earlier(problem) => &problem.output,
            _ => "",
        }
    }

    /// Whether it was stopped rather than failed.
    pub(in crate::certificate) fn is_interrupted(&self) -> bool {
        match self {
            DeploymentFailure::Hook(error) => matches!(error.failure, HookFailure::Interrupted),
            DeploymentFailure::Interrupted => true,
            _ => false,
        }
    }

    /// What is kept of it on disk.
    pub(super) fn problem(&self) -> DeploymentProblem {
        let (not_served, error) = (self.is_not_served(), with_causes(self));
        DeploymentProblem { not_served, error, output: self.output().to_owned() }
    }
}

//! The deployment of certificates: hooks around them, what is still to be done, and who says that it is done.
//!
//! A generation is deployed in steps, each of which may be the last one of this process:
//!
//! 1. That it is to be deployed is noted (`deployment.json`), before it becomes current.
//! 2. It is current; its deploy hooks are run.
//! 3. At the end of the run, the post hooks are run, each command once for all certificates.
//! 4. The services are looked at, where that is wanted.
//! 5. That it is deployed is noted; or what went wrong, and the next run tries again, without another order.

mod back;
mod error;
mod facts;
mod failure;
mod finish;
mod hooks;
mod request;
mod run;
mod verify;

pub use error::{DeploymentError, DeploymentFailure};
pub use request::DeploymentRequest;
pub use run::DeployRun;

use run::Deployment;

use super::{CertificateError, Service, with_causes};
use crate::deploy::HookKind;
use crate::store::{
    CertLock, CertName, DeploymentRecord, DeploymentState, Generation, PendingDeployment, StoreError,
};
use facts::Facts;

impl Service {
    /// Notes that a generation is to be deployed. To be called before it becomes current.
    pub(super) fn intend_deployment(
        &self,
        cert: &CertName,
        lock: &CertLock,
        record: &DeploymentRecord,
        pending: PendingDeployment,
    ) -> Result<(), StoreError> {
        match self.intended_deployment(cert, record, pending)? {
            Some(state) => self.store.save_deployment(cert, lock, &state),
            None => Ok(()),
        }
    }

    /// What is to be stored before a generation becomes current; `None` if there is nothing to deploy and nothing waits.
    pub(super) fn intended_deployment(
        &self,
        cert: &CertName,
        record: &DeploymentRecord,
        pending: PendingDeployment,
    ) -> Result<Option<DeploymentState>, StoreError> {
        let mut state = self.deployment(cert)?;
        let pending = self.has_steps(record).then_some(pending);
        if pending.is_none() && state.pending.is_none() {
            return Ok(None);
        }
        state.pending = pending;
        Ok(Some(state))
    }

    /// Notes that the current generation is wanted as it is: what waits to be put in its place does not any more.
    pub(super) fn stay_with(&self, cert: &CertName, lock: &CertLock, current: u32) -> Result<(), StoreError> {
        let mut state = self.deployment(cert)?;
        if state.pending.take_if(|pending| pending.generation != current).is_some() {
            self.store.save_deployment(cert, lock, &state)?;
        }
        Ok(())
    }

    /// How far the deployment of a certificate is. A damaged file must keep no certificate from being renewed, so it counts as
    /// nothing; `status` tells of it.
    pub(super) fn deployment(&self, cert: &CertName) -> Result<DeploymentState, StoreError> {
        self.store.deployment(cert).or_else(|error| match error {
            StoreError::Damaged { .. } => {
                tracing::warn!(%cert, error = with_causes(&error), "what is still to be deployed is not known");
                Ok(DeploymentState::default())
            }
            error => Err(error),
        })
    }

    /// The generation that the services have, while `current` is the current one: where that one waits to be deployed, the
    /// one before it that was, if it is there and can be read.
    pub(super) fn number_in_use(&self, cert: &CertName, current: u32) -> u32 {
        let state = self.store.deployment(cert).unwrap_or_default();
        let waits = state.pending.as_ref().filter(|pending| pending.generation == current);
        let Some(former) = waits.and_then(|pending| pending.previous) else { return current };
        let all = self.store.generations(cert).unwrap_or_default();
        let found = all.iter().any(|found| found.number == former && found.read.is_ok());
        if found { former } else { current }
    }

    /// Whether something is done with a new generation.
    fn has_steps(&self, record: &DeploymentRecord) -> bool {
        let hooks = [HookKind::Deploy, HookKind::Post];
        hooks.iter().any(|kind| !self.commands(*kind, record).is_empty()) || !record.verify_served.is_empty()
    }

    /// Whether a certificate that is not due needs work all the same: its deployment, or a post hook that is owed.
    pub(super) fn has_work_left(
        &self,
        cert: &CertName,
        current: &Generation,
    ) -> Result<bool, CertificateError> {
        let state = self.deployment(cert)?;
        Ok(state.post_owed || state.waiting(current.number).is_some())
    }

    /// Runs the deploy hooks of the current generation, if its deployment waits. The rest of it is done at the end of the
    /// run, which says what came of it.
    ///
    /// # Errors
    /// It has failed before, and is not tried again yet; or the state cannot be read.
    pub(super) async fn deploy(
        &self,
        cert: &CertName,
        generation: &Generation,
        run: &DeployRun,
    ) -> Result<(), CertificateError> {
        let state = self.deployment(cert)?;
        let Some(pending) = state.waiting(generation.number) else { return Ok(()) };
        if run.is_rehearsal() || pending.generation != generation.number {
            return Ok(());
        }
        wait_or_try(pending, run)?;
        let record = self.store.record(cert)?;
        let facts = Facts::of(cert, &record, generation, pending);
        let hidden = run.hidden(self);
        let turn = run.turn().await;
        let called =
            self.call_hooks(cert, HookKind::Deploy, &record.deployment, &facts, hidden, &self.interrupt);
        let failure = called.await.err().map(DeploymentFailure::from);
        drop(turn);
        let (pending, generation) = (pending.clone(), generation.clone());
        run.add(Deployment { cert: cert.clone(), record, generation, pending, failure });
        Ok(())
    }

    /// Deploys what has become current outside a run of `issue` or `renew`, from the first hook to the verdict. That it is to
    /// be deployed was noted before.
    ///
    /// # Errors
    /// [`CertificateError::Deployment`]: it is in place, and not deployed; the next run tries again.
    pub(super) async fn deploy_alone(
        &self,
        cert: &CertName,
        lock: CertLock,
        generation: &Generation,
    ) -> Result<(), CertificateError> {
        let run = DeployRun::new(true);
        let deployed = self.deploy(cert, generation, &run).await;
        run.end_of(cert, lock, deployed.as_ref().err());
        deployed?;
        match self.finish_deployments(run).await.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

fn wait_or_try(pending: &PendingDeployment, run: &DeployRun) -> Result<(), CertificateError> {
    let early = pending.is_too_early(jiff::Timestamp::now());
    match &pending.problem {
        Some(problem) if early && !run.at_once() => {
            Err(DeploymentError::new(pending, DeploymentFailure::Earlier(problem.clone())).into())
        }
        _ => Ok(()),
    }
}

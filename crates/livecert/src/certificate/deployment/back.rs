//! Back to the former generation when the new one does not come into use, and forth again at the next try.

use super::super::{CertificateError, Service, with_causes};
use super::facts::Facts;
use super::finish::after_post_hooks;
use super::run::{Deployment, Parts};
use super::{DeployRun, DeploymentFailure, wait_or_try};
use crate::deploy::HookKind;
use crate::progress::Event;
use crate::store::{CertLock, CertName, PendingDeployment, Return};

impl Service {
    /// Makes a generation current again that was gone back from, when its next try has come. Nothing is ordered while a
    /// good one waits; one that is due itself is let go.
    ///
    /// # Errors
    /// It is not its time yet.
    pub(in crate::certificate) async fn put_forth(
        &self,
        cert: &CertName,
        lock: &CertLock,
        run: &DeployRun,
    ) -> Result<(), CertificateError> {
        let (state, current) = (self.deployment(cert)?, self.store.current_number(cert)?);
        let waiting = current.and_then(|current| state.waiting(current).map(|pending| (current, pending)));
        let Some((current, pending)) = waiting.filter(|_| !run.is_rehearsal()) else { return Ok(()) };
        if pending.generation == current {
            return Ok(());
        }
        let found =
            self.store.generations(cert)?.into_iter().find(|found| found.number == pending.generation);
        let newer = found.and_then(|found| found.read.ok());
        let Some(newer) = newer.filter(|newer| !self.due(cert, newer, jiff::Timestamp::now()).now) else {
            let generation = pending.generation;
            tracing::warn!(%cert, generation, "what waits to be put in place is damaged or due, and is let go");
            self.stay_with(cert, lock, current)?;
            return Ok(());
        };
        wait_or_try(pending, run)?;
        if let Some(record) = self.store.find_record(cert)? {
            self.refit((cert, lock), &newer, &record.output).await?;
        }
        let newer = self.store.make_current(cert, lock, newer.number)?;
        self.progress.event(cert, Event::Stored { generation: newer.number });
        Ok(())
    }

    /// Goes back to the generation before, and runs its deploy hooks; what is still to be done for it is given. `None` if
    /// there is none, or none that is of use.
    pub(super) async fn go_back(
        &self,
        deployment: &Deployment,
        lock: &CertLock,
        hidden: &[String],
    ) -> Result<Option<Deployment>, CertificateError> {
        let Deployment { cert, record, pending, .. } = deployment;
        let wanted = record.deployment.rollback_on_failure && !pending.went_back;
        let Some(former) = pending.previous.filter(|_| wanted) else {
            return Ok(None);
        };
        let ready = match self.usable(cert, former) {
            Ok(generation) => {
                self.refit((cert, lock), &generation, &record.output).await.map(|()| generation)
            }
            Err(error) => Err(error),
        };
        let generation = match ready {
            Ok(generation) => generation,
            Err(error) => {
                let reason = with_causes(&error);
                self.progress.event(cert, Event::NotReturned { to: former, reason: &reason });
                return Ok(None);
            }
        };
        let mut state = self.deployment(cert)?;
        if let Some(pending) = &mut state.pending {
            pending.returned_to = Some(Return { generation: former, done: false });
        }
        self.store.save_deployment(cert, lock, &state)?;
        self.store.make_current(cert, lock, former)?;
        self.progress.event(cert, Event::Returned { from: pending.generation, to: former });
        let back =
            PendingDeployment { went_back: true, ..PendingDeployment::new(former, Some(pending.generation)) };
        let facts = Facts::of(cert, record, &generation, &back);
        let kind = HookKind::Deploy;
        let called = self.call_hooks(cert, kind, &record.deployment, &facts, hidden, &self.interrupt).await;
        let failure = called.err().map(Into::into);
        Ok(Some(Deployment {
            cert: cert.clone(),
            record: record.clone(),
            generation,
            pending: back,
            failure,
        }))
    }

    /// Runs the post hooks for the generations that were gone back to, and notes that this is done.
    pub(super) async fn settle_returns(&self, mut parts: Parts, hidden: &[String]) {
        let done = self.post_hooks(&parts, hidden).await;
        for deployment in std::mem::take(&mut parts.deployments) {
            let (cert, former) = (deployment.cert.clone(), deployment.generation.number);
            let commands = self.commands(HookKind::Post, &deployment.record.deployment);
            let failure = deployment.failure.or_else(|| after_post_hooks(&commands, &done));
            let interrupted = failure.as_ref().is_some_and(DeploymentFailure::is_interrupted);
            if let Some(failure) = failure {
                let reason = with_causes(&failure);
                self.progress.event(&cert, Event::NotReturned { to: former, reason: &reason });
            }
            // The next run does not wait then, and tries the new one.
            let Some(lock) = parts.locks.get(&cert).filter(|_| !interrupted) else { continue };
            let noted = self.deployment(&cert).and_then(|mut state| {
                if let Some(back) = state.pending.as_mut().and_then(|pending| pending.returned_to.as_mut()) {
                    back.done = true;
                }
                self.store.save_deployment(&cert, lock, &state)
            });
            if let Err(error) = noted {
                tracing::warn!(%cert, error = with_causes(&error), "that it was gone back is not noted");
            }
        }
    }
}

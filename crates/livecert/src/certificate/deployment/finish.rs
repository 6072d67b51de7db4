//! The end of a run: post hooks, each command once for all, and the verdict about each deployment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::super::{CertificateError, Service, with_causes};
use super::facts::{EndFacts, Facts, HookFacts};
use super::hooks::limit;
use super::run::{Deployment, Once, Parts};
use super::{DeployRun, DeploymentError, DeploymentFailure};
use crate::deploy::{HookError, HookKind};
use crate::progress::Event;
use crate::store::{CertLock, CertName, Deployed, DeploymentRecord};

/// Services that are looked at at a time.
const SIDE_BY_SIDE: usize = 16;

/// A post hook with those that it is run for.
struct PostHook {
    command: String,
    limit: Duration,
    certs: Vec<CertName>,
}

impl Service {
    /// Ends a run: the post hooks are run, and it is noted what is deployed. Gives the certificates that are there and not in
    /// use, each with its [`CertificateError::Deployment`], or whose post hook is still owed.
    pub(in crate::certificate) async fn finish_deployments(
        &self,
        run: DeployRun,
    ) -> Vec<(CertName, CertificateError)> {
        // Which variables hooks are not to see is in the records of all certificates.
        if run.is_done() {
            return Vec::new();
        }
        let hidden = run.hidden(self).to_vec();
        let mut parts = run.into_parts();
        let done = self.post_hooks(&parts, &hidden).await;
        let mut errors = Vec::new();
        for (cert, record) in &parts.owed {
            if let Err(error) = self.settle_owed(cert, record, &parts, &done) {
                errors.push((cert.clone(), error));
            }
        }
        let mut deployments = std::mem::take(&mut parts.deployments);
        for deployment in &mut deployments {
            let commands = self.commands(HookKind::Post, &deployment.record.deployment);
            if deployment.failure.is_none() {
                deployment.failure = after_post_hooks(&commands, &done);
            }
        }
        let looks = stream::iter(&mut deployments).map(|one| self.verify(one));
        let looked: Vec<_> = looks.buffered(SIDE_BY_SIDE).collect().await;
        let mut back = Parts::default();
        for (mut deployment, looked) in deployments.into_iter().zip(looked) {
            let cert = deployment.cert.clone();
            let Some(lock) = parts.locks.remove(&cert) else { continue };
            let judged = match looked {
                Ok(()) => self.judge(&mut deployment, &lock),
                Err(error) => Err(error),
            };
            if judged.is_ok() {
                self.prune(&cert, &lock);
            }
            let Err(mut error) = judged else { continue };
            if let CertificateError::Deployment(error) = &mut error
                && !error.failure.is_interrupted()
            {
                match self.go_back(&deployment, &lock, &hidden).await {
                    Ok(Some(former)) => {
                        error.returned_to = Some(former.generation.number);
                        back.deployments.push(former);
                        back.locks.insert(cert.clone(), lock);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let (to, reason) = (deployment.pending.previous.unwrap_or(0), with_causes(&error));
                        self.progress.event(&cert, Event::NotReturned { to, reason: &reason });
                    }
                }
            }
            errors.retain(|(other, _)| *other != cert);
            errors.push((cert, error));
        }
        if !back.deployments.is_empty() {
            self.settle_returns(back, &hidden).await;
        }
        errors
    }

    /// Runs the post hooks, each command once.
    pub(super) async fn post_hooks(&self, parts: &Parts, hidden: &[String]) -> Once {
        // What a pre hook has stopped is started again, also when the rest is given up.
        let (whatever, interrupted) = (CancellationToken::new(), self.interrupt.is_cancelled());
        let owed = parts.owed.iter();
        let deployed = parts.deployments.iter().map(|one| (&one.cert, &one.record.deployment));
        let mut hooks: Vec<PostHook> = Vec::new();
        for (cert, record) in owed.chain(deployed.filter(|_| !interrupted)) {
            for command in self.commands(HookKind::Post, record) {
                let limit = limit(record);
                match hooks.iter_mut().find(|hook| hook.command == command) {
                    Some(hook) => {
                        hook.limit = hook.limit.max(limit);
                        if !hook.certs.contains(cert) {
                            hook.certs.push(cert.clone());
                        }
                    }
                    None => hooks.push(PostHook { command, limit, certs: vec![cert.clone()] }),
                }
            }
        }
        let renewed = || parts.deployments.iter().map(|one| one.cert.clone()).collect();
        let document =
            |one: &Deployment| Facts::of(&one.cert, &one.record, &one.generation, &one.pending).document();
        let mut done = HashMap::new();
        for PostHook { command, limit, mut certs } in hooks {
            certs.sort();
            let is_owed = certs.iter().any(|cert| parts.owed.contains_key(cert));
            let interrupt = if is_owed { &whatever } else { &self.interrupt };
            let facts = EndFacts {
                certs: certs.clone(),
                renewed: renewed(),
                failed: parts.failed.clone(),
                documents: parts.deployments.iter().map(document).collect(),
                went_back: !parts.deployments.is_empty()
                    && parts.deployments.iter().all(|one| one.pending.went_back),
            };
            let what = (HookKind::Post, command.as_str(), limit);
            let called = self.call_hook(&certs[0], what, &facts, hidden, interrupt).await;
            done.insert(command, called.map_err(Arc::new));
        }
        done
    }

    /// Notes that the post hooks of a certificate are not owed any more, if they have done their work.
    ///
    /// # Errors
    /// One failed, and nothing else has for this certificate: a service may still be stopped.
    fn settle_owed(
        &self,
        cert: &CertName,
        record: &DeploymentRecord,
        parts: &Parts,
        done: &Once,
    ) -> Result<(), CertificateError> {
        let Some(lock) = parts.locks.get(cert) else { return Ok(()) };
        if let Some(error) = first_failure(&self.commands(HookKind::Post, record), done) {
            if !parts.failed.contains(cert) {
                return Err(CertificateError::PostHook(error.clone()));
            }
            // What failed first is the one that is told.
            let reason = with_causes(error.as_ref());
            self.progress.event(cert, Event::PostHookFailed { reason: &reason });
            return Ok(());
        }
        let mut state = self.deployment(cert)?;
        state.post_owed = false;
        Ok(self.store.save_deployment(cert, lock, &state)?)
    }

    /// When the generation ends that the services have, if it can be read.
    fn end_of_what_is_in_use(&self, cert: &CertName, previous: Option<u32>) -> Option<Timestamp> {
        let all = self.store.generations(cert).ok()?;
        let former = all.into_iter().find(|found| Some(found.number) == previous)?;
        Some(former.read.ok()?.info.not_after)
    }

    /// Notes what came of a deployment.
    fn judge(&self, deployment: &mut Deployment, lock: &CertLock) -> Result<(), CertificateError> {
        let (cert, number) = (&deployment.cert, deployment.generation.number);
        let served = !deployment.record.deployment.verify_served.is_empty();
        let mut state = self.deployment(cert)?;
        let in_use_until = self.end_of_what_is_in_use(cert, deployment.pending.previous);
        let Some(failure) = deployment.failure.take() else {
            state.pending = None;
            state.deployed = Some(Deployed { generation: number, at: Timestamp::now(), served });
            self.store.save_deployment(cert, lock, &state)?;
            self.progress.event(cert, Event::Deployed { generation: number, served });
            return Ok(());
        };
        let pending = &mut deployment.pending;
        pending.returned_to = None;
        // One that was stopped is no failure of its own, and is taken up by the next run.
        if !failure.is_interrupted() {
            pending.attempts = pending.attempts.saturating_add(1);
            pending.last_attempt = Some(Timestamp::now());
            pending.in_use_until = in_use_until;
            pending.problem = Some(failure.problem());
            state.pending = Some(pending.clone());
            self.store.save_deployment(cert, lock, &state)?;
        }
        Err(DeploymentError::new(pending, failure).into())
    }
}

/// What the post hooks say of a deployment. Those that were not run any more were kept from it by an interruption.
pub(super) fn after_post_hooks(commands: &[String], done: &Once) -> Option<DeploymentFailure> {
    match first_failure(commands, done) {
        Some(error) => Some(error.clone().into()),
        None if commands.iter().all(|command| done.contains_key(command)) => None,
        None => Some(DeploymentFailure::Interrupted),
    }
}

fn first_failure<'a>(commands: &[String], done: &'a Once) -> Option<&'a Arc<HookError>> {
    commands.iter().find_map(|command| done.get(command)?.as_ref().err())
}

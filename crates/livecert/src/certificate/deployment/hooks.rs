//! Which commands are run when, and for whom.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::work::Work;
use super::super::{CertificateError, Service, with_causes};
use super::facts::{Facts, HookFacts, variable, with_kind};
use crate::deploy::{HookCall, HookError, HookFailure, HookKind, run_hook};
use crate::progress::Event;
use crate::store::{CertName, DeploymentRecord};

/// How long a hook may take where nothing else is said.
const LIMIT: Duration = Duration::from_secs(600);

/// Where a credential of ours is looked for when nothing names another place.
const CREDENTIALS: [&str; 2] = ["GANDI_PAT", "GANDI_TOKEN"];

impl Service {
    /// The commands of this kind: those for all certificates first, then the certificate's own.
    pub(super) fn commands(&self, kind: HookKind, record: &DeploymentRecord) -> Vec<String> {
        let own = match kind {
            HookKind::Pre => &record.pre_hook,
            HookKind::Deploy => &record.deploy_hook,
            HookKind::Post => &record.post_hook,
            HookKind::Failure => &record.failure_hook,
        };
        let all = self.store.hooks(kind.word());
        all.map(|folder| folder.to_string_lossy().into_owned()).into_iter().chain(own.clone()).collect()
    }

    /// Runs all commands of this kind, one after the other, also when one fails; the first failure is the one that is told. An
    /// interruption stops them.
    pub(in crate::certificate) async fn call_hooks(
        &self,
        cert: &CertName,
        kind: HookKind,
        record: &DeploymentRecord,
        facts: &impl HookFacts,
        hidden: &[String],
        interrupt: &CancellationToken,
    ) -> Result<(), HookError> {
        let mut first = None;
        for command in self.commands(kind, record) {
            let limit = limit(record);
            if let Err(error) = self.call_hook(cert, (kind, &command, limit), facts, hidden, interrupt).await
            {
                if matches!(error.failure, HookFailure::Interrupted) {
                    return Err(error);
                }
                tracing::warn!(%cert, error = with_causes(&error), "a hook failed");
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Runs one command.
    pub(super) async fn call_hook(
        &self,
        cert: &CertName,
        (kind, command, limit): (HookKind, &str, Duration),
        facts: &impl HookFacts,
        hidden: &[String],
        interrupt: &CancellationToken,
    ) -> Result<(), HookError> {
        let mut variables = facts.variables();
        variables.push(variable("HOOK", kind));
        // So that a livecert that it calls works on the same store.
        let home = std::path::absolute(self.store.home()).unwrap_or_else(|_| self.store.home().to_owned());
        variables.push(variable("HOME", home.display()));
        let document = with_kind(kind, facts.document());
        let folder = self.store.home();
        self.progress.event(cert, Event::HookBegins { kind: kind.word(), command });
        let call = HookCall { kind, command, folder, variables, document, limit, hidden };
        let output = run_hook(&call, interrupt).await?;
        if !output.text.is_empty() {
            tracing::info!(%cert, hook = %kind, output = output.text, "a hook has said");
        }
        Ok(())
    }

    /// Runs the pre hooks, each command once in a run, and notes that the post hooks have to be run whatever comes of the
    /// work: what one has stopped, the other starts again.
    ///
    /// # Errors
    /// One failed, for this certificate or for one before it; or somebody has interrupted it.
    pub(in crate::certificate) async fn before_requests(
        &self,
        work: &Work<'_>,
    ) -> Result<(), CertificateError> {
        let (cert, record, run) = (work.cert, &work.settings.deployment, work.run);
        let commands = self.commands(HookKind::Pre, record);
        if commands.is_empty() || run.is_rehearsal() {
            return Ok(());
        }
        if !self.commands(HookKind::Post, record).is_empty() {
            let mut state = self.deployment(cert)?;
            state.post_owed = true;
            self.store.save_deployment(cert, work.lock, &state)?;
            run.owe(cert, record);
        }
        let names = work.names();
        let facts = Facts::before(cert, &names, work.settings.home().as_str());
        let hidden = run.hidden(self);
        let mut turn = run.turn().await;
        for command in commands {
            if !turn.contains_key(&command) {
                let what = (HookKind::Pre, command.as_str(), limit(record));
                let called = self.call_hook(cert, what, &facts, hidden, &self.interrupt).await;
                if called.as_ref().is_err_and(|error| matches!(error.failure, HookFailure::Interrupted)) {
                    return Err(CertificateError::Interrupted);
                }
                turn.insert(command.clone(), called.map_err(Arc::new));
            }
            if let Some(Err(error)) = turn.get(&command) {
                return Err(CertificateError::PreHook(error.clone()));
            }
        }
        Ok(())
    }

    /// The environment variables that are kept from hooks: those in which we look for credentials, of any certificate.
    pub(super) fn hidden_variables(&self) -> Vec<String> {
        let mut hidden = CREDENTIALS.map(str::to_owned).to_vec();
        for cert in self.store.cert_names().unwrap_or_default() {
            let record = self.store.find_record(&cert).ok().flatten();
            if let Some(Ok(record)) = record.map(serde_json::to_value) {
                add_sources(&record, &mut hidden);
            }
        }
        hidden.sort();
        hidden.dedup();
        hidden
    }
}

/// How long a hook of this certificate may take.
pub(super) fn limit(record: &DeploymentRecord) -> Duration {
    record.hook_timeout.map_or(LIMIT, Duration::from_secs)
}

/// The variables of all sources `env:VAR`, wherever they stand in a record.
fn add_sources(value: &Value, hidden: &mut Vec<String>) {
    match value {
        Value::String(text) => hidden.extend(text.strip_prefix("env:").map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| add_sources(value, hidden)),
        Value::Object(values) => values.values().for_each(|value| add_sources(value, hidden)),
        _ => {}
    }
}

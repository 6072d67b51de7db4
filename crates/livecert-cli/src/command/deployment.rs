//! The words about the deployment, which several commands share, and how far it is.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use livecert::certificate::{CertificateError, DeploymentRequest};
use livecert::deploy::ServedAt;
use livecert::store::DeploymentState;
use serde::Serialize;

use super::view::moment;
use crate::arguments::duration;

#[derive(Debug, Args)]
pub(crate) struct DeploymentWords {
    /// Run this before the first request, where a certificate is going to be made: a command for sh, or a folder of
    /// executables; "" for none
    #[arg(long, value_name = "CMD", help_heading = "Deployment")]
    pub(crate) pre_hook: Option<String>,
    /// Run this when a new certificate is in place, with LIVECERT_* variables (docs/deploy.md); "" for none
    #[arg(long, value_name = "CMD", help_heading = "Deployment")]
    pub(crate) deploy_hook: Option<String>,
    /// Run this at the end of the run, once for all certificates that have the same; "" for none
    #[arg(long, value_name = "CMD", help_heading = "Deployment")]
    pub(crate) post_hook: Option<String>,
    /// Run this when a renewal fails; "" for none
    #[arg(long, value_name = "CMD", help_heading = "Deployment")]
    pub(crate) failure_hook: Option<String>,
    /// How long each hook may take [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Deployment")]
    pub(crate) hook_timeout: Option<Duration>,
    /// After the hooks, look whether this service shows the new certificate; repeatable; "" for none
    #[arg(long, value_name = "HOST:PORT[,starttls=smtp|imap|pop3][,sni=NAME]", help_heading = "Deployment")]
    pub(crate) verify_served: Vec<String>,
    /// How long the services may take to show it [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Deployment")]
    pub(crate) verify_timeout: Option<Duration>,
    /// Go back to the former generation when the new one is not deployed or not served
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Deployment")]
    pub(crate) rollback_on_failure: Option<bool>,
}

impl DeploymentWords {
    /// The request that the words make.
    pub(crate) fn request(self) -> Result<DeploymentRequest, CertificateError> {
        Ok(DeploymentRequest {
            pre_hook: self.pre_hook.map(hook).transpose()?,
            deploy_hook: self.deploy_hook.map(hook).transpose()?,
            post_hook: self.post_hook.map(hook).transpose()?,
            failure_hook: self.failure_hook.map(hook).transpose()?,
            hook_timeout: self.hook_timeout,
            verify_served: places(&self.verify_served)?,
            verify_timeout: self.verify_timeout,
            rollback_on_failure: self.rollback_on_failure,
        })
    }
}

/// A hook; the path of a folder is made absolute, because a renewal begins elsewhere.
fn hook(text: String) -> Result<String, CertificateError> {
    let path = Path::new(&text);
    if !path.is_dir() {
        return Ok(text);
    }
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|source| CertificateError::File { path: path.to_owned(), source })?;
    Ok(absolute.to_string_lossy().into_owned())
}

fn places(texts: &[String]) -> Result<Option<Vec<ServedAt>>, CertificateError> {
    let given = texts.iter().filter(|text| !text.is_empty()).map(|text| text.parse());
    let given = given.collect::<Result<Vec<_>, _>>().map_err(CertificateError::ServedAt)?;
    Ok(if texts.is_empty() { None } else { Some(given) })
}

/// How far the deployment is.
#[derive(Debug, Serialize)]
pub(crate) struct DeploymentView {
    /// `deployed`, `served`, `pending`, `not-deployed` or `not-served`.
    pub(crate) state: &'static str,
    pub(crate) generation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_attempt: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) returned_to: Option<u32>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl DeploymentView {
    /// How far it is; `None` if nothing is to be done with the current generation, and nothing was.
    pub(crate) fn new(state: &DeploymentState, current: u32) -> Option<Self> {
        if let Some(pending) = state.waiting(current) {
            let problem = pending.problem.as_ref();
            return Some(DeploymentView {
                state: problem.map_or("pending", |problem| {
                    if problem.not_served { "not-served" } else { "not-deployed" }
                }),
                generation: pending.generation,
                at: None,
                attempts: pending.attempts,
                error: problem.map(|problem| problem.error.clone()),
                next_attempt: pending.next_attempt(),
                returned_to: pending.returned_to.map(|back| back.generation),
            });
        }
        let deployed = state.deployed.as_ref().filter(|deployed| deployed.generation == current)?;
        Some(DeploymentView {
            state: if deployed.served { "served" } else { "deployed" },
            generation: deployed.generation,
            at: Some(deployed.at),
            attempts: 0,
            error: None,
            next_attempt: None,
            returned_to: None,
        })
    }

    /// The same for people.
    pub(crate) fn text(&self) -> String {
        match (self.at, self.attempts) {
            (Some(at), _) => format!("generation {} {} at {}", self.generation, self.state, moment(at)),
            (None, 0) => format!("generation {} pending", self.generation),
            (None, 1) => format!("generation {} {}, tried once", self.generation, self.word()),
            (None, times) => format!("generation {} {}, tried {times} times", self.generation, self.word()),
        }
    }

    /// The state as it is said in a sentence.
    pub(crate) fn word(&self) -> &'static str {
        match self.state {
            "not-deployed" | "pending" => "not deployed",
            "not-served" => "not served",
            state => state,
        }
    }
}

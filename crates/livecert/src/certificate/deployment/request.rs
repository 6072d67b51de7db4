//! What is asked for about the deployment.

use std::time::Duration;

use crate::deploy::ServedAt;
use crate::store::DeploymentRecord;

/// How a certificate is deployed. What is `None` comes from the store, or else from the defaults; an empty text removes
/// what is stored.
#[derive(Debug, Clone, Default)]
pub struct DeploymentRequest {
    /// Run before the first request for a certificate; a command for `sh -c`, or a folder of executables.
    pub pre_hook: Option<String>,
    /// Run when a new generation is in place.
    pub deploy_hook: Option<String>,
    /// Run after the run.
    pub post_hook: Option<String>,
    /// Run when something goes wrong.
    pub failure_hook: Option<String>,
    /// How long each hook may take.
    pub hook_timeout: Option<Duration>,
    /// Where the new certificate has to be seen; nowhere if it is empty.
    pub verify_served: Option<Vec<ServedAt>>,
    /// How long the services may take to show it.
    pub verify_timeout: Option<Duration>,
    /// Go back to the former generation when the new one is not deployed.
    pub rollback_on_failure: Option<bool>,
}

impl DeploymentRequest {
    /// The request, completed by what is stored.
    pub fn completed(&self, stored: Option<&DeploymentRecord>) -> DeploymentRecord {
        let mut record = stored.cloned().unwrap_or_default();
        let texts = [
            (&self.pre_hook, &mut record.pre_hook),
            (&self.deploy_hook, &mut record.deploy_hook),
            (&self.post_hook, &mut record.post_hook),
            (&self.failure_hook, &mut record.failure_hook),
        ];
        for (asked, stored) in texts {
            if let Some(asked) = asked {
                *stored = Some(asked.clone()).filter(|text| !text.is_empty());
            }
        }
        record.hook_timeout = self.hook_timeout.map(|limit| limit.as_secs().max(1)).or(record.hook_timeout);
        if let Some(places) = &self.verify_served {
            record.verify_served = places.iter().map(ToString::to_string).collect();
        }
        record.verify_timeout =
            self.verify_timeout.map(|limit| limit.as_secs().max(1)).or(record.verify_timeout);
        record.rollback_on_failure = self.rollback_on_failure.unwrap_or(record.rollback_on_failure);
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_stays_and_what_is_empty_goes() {
        let text = |text: &str| Some(text.to_owned());
        let first = DeploymentRequest {
            pre_hook: text("stop"),
            deploy_hook: text("reload"),
            hook_timeout: Some(Duration::from_secs(90)),
            ..DeploymentRequest::default()
        };
        let record = first.completed(None);
        assert_eq!(DeploymentRequest::default().completed(Some(&record)), record);
        let second = DeploymentRequest { pre_hook: text(""), ..DeploymentRequest::default() };
        let record = second.completed(Some(&record));
        assert_eq!(
            (record.pre_hook, record.deploy_hook, record.hook_timeout),
            (None, text("reload"), Some(90))
        );
    }
}

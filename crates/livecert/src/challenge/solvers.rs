//! All that may be needed to solve the challenges of one order.

use std::sync::Arc;

use livecert_acme::ChallengeType;

use super::{ChallengeError, DnsSolver, DnsView, PropagationSettings};
use crate::plugin::{Connected, WebPlugin};

/// What the plugin publishes through, and the view for standing records.
pub struct Solvers {
    /// TXT values, where the plugin writes them.
    pub dns: Option<DnsSolver>,
    /// Files and certificates at the host, where the plugin shows them.
    pub web: Option<Arc<dyn WebPlugin>>,
    /// Where standing records are looked for, where they may be used.
    pub standing: Option<DnsView>,
}

impl Solvers {
    /// Solvers for the challenges that may be used; `plugin` is `None` where none of them needs one.
    ///
    /// # Errors
    /// The system names no resolver, and none was given.
    pub fn new(
        plugin: Option<Connected>,
        candidates: &[ChallengeType],
        settings: &PropagationSettings,
        http: &reqwest::Client,
    ) -> Result<Self, ChallengeError> {
        let standing =
            candidates.contains(&ChallengeType::DnsPersist01).then(|| DnsView::new(settings, http));
        let web = plugin.as_ref().and_then(Connected::web).cloned();
        let dns = plugin.as_ref().and_then(Connected::dns).cloned();
        let dns = dns.map(|plugin| DnsSolver::new(plugin, settings, http)).transpose()?;
        Ok(Solvers { dns, web, standing: standing.transpose()? })
    }
}

//! All that may be needed to solve the challenges of one order.

use super::{ChallengeError, DnsSolver, DnsView, PropagationSettings, Routes, Shower, WebSolver, Writer};

/// What publishes the proofs, and the view for standing records.
pub struct Solvers {
    /// TXT values, where some are written.
    pub dns: Option<DnsSolver>,
    /// Files and certificates at hosts, where some are shown.
    pub web: Option<WebSolver>,
    /// Where standing records are looked for, where they may be used.
    pub standing: Option<DnsView>,
}

impl Solvers {
    /// Solvers with these writers and showers; `standing` where standing records may be used.
    ///
    /// # Errors
    /// The system names no resolver, and none was given.
    pub fn new(
        (writers, routes): (Vec<Writer>, Routes),
        showers: Vec<Shower>,
        standing: bool,
        settings: &PropagationSettings,
        http: &reqwest::Client,
    ) -> Result<Self, ChallengeError> {
        let dns = match writers.is_empty() {
            true => None,
            false => Some(DnsSolver::routed(writers, routes, settings, http)?),
        };
        let standing = standing.then(|| DnsView::new(settings, http)).transpose()?;
        let web = (!showers.is_empty()).then_some(WebSolver { showers });
        Ok(Solvers { dns, web, standing })
    }
}

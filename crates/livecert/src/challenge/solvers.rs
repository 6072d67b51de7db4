//! All that may be needed to solve the challenges of one order.

use std::sync::Arc;

use super::{DnsSolver, DnsView, PropagationSettings, Routes, Shower, WebSolver, Writer};

/// What publishes the proofs, and the view for standing records.
pub struct Solvers {
    /// TXT values, where some are written.
    pub dns: Option<DnsSolver>,
    /// Files and certificates at hosts, where some are shown.
    pub web: Option<WebSolver>,
    /// Where standing records are looked for, where they may be used.
    pub standing: Option<Arc<DnsView>>,
}

impl Solvers {
    /// Solvers with these writers and showers, and a view of the same settings; `standing` where standing records may be
    /// used.
    pub fn new(
        (writers, routes): (Vec<Writer>, Routes),
        showers: Vec<Shower>,
        standing: bool,
        view: Arc<DnsView>,
        settings: &PropagationSettings,
    ) -> Self {
        let dns = (!writers.is_empty()).then(|| DnsSolver::routed(writers, routes, view.clone(), settings));
        let web = (!showers.is_empty()).then_some(WebSolver { showers });
        Solvers { dns, web, standing: standing.then_some(view) }
    }
}

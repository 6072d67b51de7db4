//! Knot as the service that a plugin writes into, whichever way it does so.

use std::sync::Arc;

use livecert::plugin::Plugin;
use testbed::Knot;

use super::kit::Counterpart;

/// A Knot, and a plugin that is connected to it.
pub(super) struct OnKnot {
    pub(super) knot: Knot,
    pub(super) plugin: Arc<dyn Plugin>,
    pub(super) failing: Vec<(&'static str, Arc<dyn Plugin>)>,
    pub(super) is_told_the_zone: bool,
}

impl Counterpart for OnKnot {
    fn plugin(&self) -> Arc<dyn Plugin> {
        self.plugin.clone()
    }

    fn failing(&self) -> Vec<(&'static str, Arc<dyn Plugin>)> {
        self.failing.clone()
    }

    fn there(&self, zone: &str, fqdn: &str) -> Option<(u32, Vec<String>)> {
        self.knot.txt(zone, fqdn)
    }

    fn neighbour(&self, zone: &str, fqdn: &str, ttl: u32, value: &str) {
        self.knot.put(zone, fqdn, ttl, "TXT", &format!("\"{value}\"")).unwrap();
    }

    fn is_told_the_zone(&self) -> bool {
        self.is_told_the_zone
    }
}

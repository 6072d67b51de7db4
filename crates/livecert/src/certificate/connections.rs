//! What certificates side by side share: plugins with the same arguments, and the view of public DNS. What one of them has
//! learned (the zones of a token, the servers of a zone, what a service can do) the others need not ask again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::check::named_resolvers;
use super::settings::Settings;
use super::{CertificateError, Service};
use crate::challenge::{ChallengeError, DnsView, PropagationSettings};
use crate::dns::{CaaView, ResolverAddress};
use crate::plugin::{ArgumentError, Arguments, Connected, PluginInfo};

/// For the certificates of one run, and not for the life of a process: what was learned may have changed.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// A plugin with the arguments of which only a digest is kept.
type Key = (&'static str, Vec<u8>);

type Caa = (Instant, Vec<ResolverAddress>, Arc<CaaView>);

/// Plugins and views that are in use.
#[derive(Default)]
pub(super) struct Connections {
    plugins: Mutex<BTreeMap<Key, (Instant, Connected)>>,
    views: Mutex<Vec<(Instant, PropagationSettings, Arc<DnsView>)>>,
    /// By the resolvers that are asked.
    caa: Mutex<Vec<Caa>>,
}

impl Connections {
    /// Forgets what earlier runs have learned of services: what was refused then may be offered now, and the other way round.
    pub(super) fn begin_run(&self) {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Service {
    /// The plugin with these arguments: the one that another certificate uses, where it can be shared.
    pub(super) fn connected(
        &self,
        plugin: &'static PluginInfo,
        arguments: &Arguments,
    ) -> Result<Connected, ArgumentError> {
        if !plugin.shared {
            return plugin.connect(arguments, &self.surroundings);
        }
        let key = (plugin.name, arguments.identity());
        let mut plugins = self.connections.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.retain(|_, (since, _)| since.elapsed() < LIFE);
        if let Some((_, connected)) = plugins.get(&key) {
            return Ok(connected.clone());
        }
        let connected = plugin.connect(arguments, &self.surroundings)?;
        plugins.insert(key, (Instant::now(), connected.clone()));
        Ok(connected)
    }

    /// The view of public DNS with these settings.
    pub(super) fn view(&self, settings: &PropagationSettings) -> Result<Arc<DnsView>, ChallengeError> {
        let mut views = self.connections.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.retain(|(since, ..)| since.elapsed() < LIFE);
        if let Some((.., view)) = views.iter().find(|(_, of, _)| of.looks_like(settings)) {
            return Ok(view.clone());
        }
        let view = Arc::new(DnsView::new(settings, &self.surroundings.http)?);
        views.push((Instant::now(), settings.clone(), view.clone()));
        Ok(view)
    }

    /// What the resolvers of these settings say about CAA.
    pub(super) fn caa_view(&self, settings: &Settings) -> Result<Arc<CaaView>, CertificateError> {
        let named = named_resolvers(&settings.propagation);
        let mut views = self.connections.caa.lock().unwrap_or_else(PoisonError::into_inner);
        views.retain(|(since, ..)| since.elapsed() < LIFE);
        if let Some((.., view)) = views.iter().find(|(_, of, _)| *of == named) {
            return Ok(view.clone());
        }
        let view = Arc::new(CaaView::new(self.resolver(settings)?));
        views.push((Instant::now(), named, view.clone()));
        Ok(view)
    }
}

//! What a plugin keeps for itself from one run to the next, such as what a service has given it: a file of its own in the
//! state folder, whose form is the plugin's business.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::secret::SealingKey;
use crate::store::{Lock, Store, StoreError};

/// The place where plugins keep their state.
#[derive(Clone)]
pub struct PluginState {
    store: Store,
    key: Arc<SealingKey>,
    read_only: bool,
}

impl PluginState {
    /// In this state folder. Secrets are sealed with `key`.
    pub fn new(store: Store, key: Arc<SealingKey>) -> Self {
        PluginState { store, key, read_only: false }
    }

    /// The same for somebody who only looks.
    #[must_use]
    pub fn for_looking(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Whether nothing may be changed, neither here nor at a service.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// What secrets in it are sealed with.
    pub(super) fn key(&self) -> &SealingKey {
        &self.key
    }

    /// Lets one process at a time change the state of a plugin.
    pub(super) async fn lock(&self, plugin: &str) -> Result<Lock, StoreError> {
        self.store.lock_plugin(plugin).await
    }

    /// What a plugin has kept, of at most this version.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        plugin: &str,
        version: u32,
    ) -> Result<Option<T>, StoreError> {
        self.store.plugin_state(plugin, version)
    }

    /// Keeps it; `state` has a field `version`. Call only with the lock held.
    pub(super) fn write<T: Serialize>(&self, plugin: &str, state: &T) -> Result<(), StoreError> {
        self.store.save_plugin_state(plugin, state)
    }
}

//! Files that belong to plugins: `plugins/PLUGIN.json`. The store knows of their version alone.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::file::{private_folder, read_json, write_json};
use super::{Lock, Store, StoreError};

/// How long another process may change the state of a plugin: it asks the service meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

impl Store {
    fn plugin_path(&self, plugin: &str) -> PathBuf {
        self.home().join("plugins").join(format!("{plugin}.json"))
    }

    /// Takes the lock of a plugin's state.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process keeps it for two minutes.
    pub(crate) async fn lock_plugin(&self, plugin: &str) -> Result<Lock, StoreError> {
        // '@' is in no certificate's name.
        Lock::take(&self.locks(), &format!("plugin@{plugin}"), PATIENCE, |_| ()).await
    }

    /// The state of a plugin, of at most version `known`; `None` if there is none.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub(crate) fn plugin_state<T: DeserializeOwned>(
        &self,
        plugin: &str,
        known: u32,
    ) -> Result<Option<T>, StoreError> {
        read_json(&self.plugin_path(plugin), known)
    }

    /// Stores the state of a plugin, which has a field `version`.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub(crate) fn save_plugin_state<T: Serialize>(&self, plugin: &str, state: &T) -> Result<(), StoreError> {
        let path = self.plugin_path(plugin);
        if let Some(folder) = path.parent() {
            private_folder(folder).map_err(StoreError::write(folder))?;
        }
        write_json(&path, state)
    }
}

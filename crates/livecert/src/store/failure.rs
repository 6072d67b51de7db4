//! What went wrong since the last success: kept, so that tries get rarer and a person is told once and not each hour.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{private_folder, read_json, write_json};
use super::{CertName, Store, StoreError};

const FAILURES_VERSION: u32 = 1;

/// `failures.json`: the tries to get a certificate that have failed since the last one that did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRecord {
    version: u32,
    /// How many tries have failed.
    pub count: u32,
    /// How many of them cost the CA something: an order, or a validation.
    #[serde(default)]
    pub costly: u32,
    /// When the first one failed.
    pub first: Timestamp,
    /// When the last one failed.
    pub last: Timestamp,
    /// The last error's stable name, as `--json` shows it.
    pub kind: String,
    /// The last error with its causes.
    pub error: String,
    /// Before this moment it is not tried again by itself.
    pub next_try: Timestamp,
    /// Digest of the settings that it was tried with: others have another chance.
    #[serde(default)]
    pub settings: String,
    /// What the failure hook was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
}

impl FailureRecord {
    /// A record of no failure yet.
    pub fn new(now: Timestamp) -> Self {
        FailureRecord {
            version: FAILURES_VERSION,
            count: 0,
            costly: 0,
            first: now,
            last: now,
            kind: String::new(),
            error: String::new(),
            next_try: now,
            settings: String::new(),
            told: Vec::new(),
        }
    }
}

impl Store {
    fn failures_path(&self, cert: &CertName) -> PathBuf {
        self.cert_folder(cert).join("failures.json")
    }

    /// The failures since a certificate was last got; `None` if there were none.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn failures(&self, cert: &CertName) -> Result<Option<FailureRecord>, StoreError> {
        read_json(&self.failures_path(cert), FAILURES_VERSION)
    }

    /// Notes failures.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_failures(&self, cert: &CertName, record: &FailureRecord) -> Result<(), StoreError> {
        let folder = self.cert_folder(cert);
        private_folder(&folder).map_err(StoreError::write(&folder))?;
        write_json(&self.failures_path(cert), record)
    }

    /// Forgets the failures of a certificate.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove_failures(&self, cert: &CertName) -> Result<(), StoreError> {
        let path = self.failures_path(cert);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::write(&path)(error))
            }
            _ => Ok(()),
        }
    }
}

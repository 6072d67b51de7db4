//! What went wrong since the last success: kept, so that tries get rarer and a person is told once and not each hour.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::file::{private_folder, read_json, remove, write_json};
use super::{CertName, Store, StoreError};

pub(super) const FAILURES_VERSION: u32 = 1;
pub(super) const FAILURES: &str = "failures.json";
/// The longest wait after failures.
pub(crate) const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// The part of a certificate's remaining life that may be waited away.
const SHARE_OF_THE_REST: i32 = 10;

/// How long it is waited after `count` failures in a row: `first`, then twice as long each time, up to a day, and up to a
/// tenth of the life `left` of the certificate that is in use. One that has ended allows `after_the_end`.
pub(crate) fn wait_after(
    count: u32,
    first: SignedDuration,
    left: Option<SignedDuration>,
    after_the_end: SignedDuration,
) -> SignedDuration {
    // A minute, doubled eleven times, is more than a day.
    let doubled = first * (1 << count.saturating_sub(1).min(11));
    let longest = match left {
        None => LONGEST_WAIT,
        Some(left) if left.is_positive() => (left / SHARE_OF_THE_REST).clamp(first, LONGEST_WAIT),
        Some(_) => after_the_end,
    };
    doubled.min(longest)
}

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
        self.cert_folder(cert).join(FAILURES)
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
        remove(&self.failures_path(cert))
    }
}

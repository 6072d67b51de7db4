//! What the renewal runs did: `status.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::file::{if_whole, read_json, remove, write_json, write_json_unsynced};
use super::{CertName, Store, StoreError};

pub(super) const RUN_VERSION: u32 = 1;
pub(super) const CREDENTIAL: &str = "credential.json";

/// Ends of a credential that are no further apart are the same one.
const SAME_END: SignedDuration = SignedDuration::from_mins(10);

/// `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    version: u32,
    /// The version of livecert that wrote it.
    pub livecert: String,
    /// The last run over all certificates that came to its end; none before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<FinishedRun>,
    /// What the last run that looked at each certificate did.
    #[serde(default)]
    pub certificates: BTreeMap<String, CertificateRun>,
}

/// A run over all certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishedRun {
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Certificates that it renewed.
    pub renewed: usize,
    /// Certificates that were not due.
    pub not_due: usize,
    /// Certificates for which it failed.
    pub failed: usize,
}

/// One certificate in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRun {
    /// When that was.
    pub at: Timestamp,
    /// `renewed`, `not-due`, `needs-person`, `waiting` or `failed`.
    pub result: String,
    /// The error's stable name, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The error with its causes, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the certificate ends; none if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// When it is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<Timestamp>,
}

impl RunRecord {
    /// A record of the current layout, without certificates yet.
    pub fn new(run: Option<FinishedRun>) -> Self {
        let livecert = env!("CARGO_PKG_VERSION").to_owned();
        RunRecord { version: RUN_VERSION, livecert, run, certificates: BTreeMap::new() }
    }
}

impl Store {
    fn run_path(&self) -> PathBuf {
        self.home().join("status.json")
    }

    /// What the renewal runs did; `None` before the first one.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn last_run(&self) -> Result<Option<RunRecord>, StoreError> {
        read_json(&self.run_path(), RUN_VERSION)
    }

    /// Notes what a run did.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_run(&self, record: &RunRecord) -> Result<(), StoreError> {
        write_json(&self.run_path(), record)
    }

    fn credential_path(&self, cert: &CertName) -> PathBuf {
        self.cert_folder(cert).join(CREDENTIAL)
    }

    /// When the credential of a certificate ends, as it was said last; `None` if that was never said.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn credential_end(&self, cert: &CertName) -> Result<Option<CredentialRecord>, StoreError> {
        if_whole(read_json(&self.credential_path(cert), RUN_VERSION))
    }

    /// Notes when the credential of a certificate ends, where that is [news](CredentialRecord::is_news).
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_credential_end(&self, cert: &CertName, record: &CredentialRecord) -> Result<(), StoreError> {
        if !record.is_news(self.credential_end(cert).ok().flatten().as_ref()) {
            return Ok(());
        }
        write_json_unsynced(&self.credential_path(cert), record)
    }

    /// Forgets when the credential of a certificate ends: it has no end, or is another one now.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove_credential_end(&self, cert: &CertName) -> Result<(), StoreError> {
        remove(&self.credential_path(cert))
    }
}

/// `credential.json`: what a certificate's credential said about its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRecord {
    version: u32,
    /// What it is, such as `personal access token`.
    pub kind: String,
    /// When it ends.
    pub ends: Timestamp,
}

impl CredentialRecord {
    /// A record of the current layout.
    pub fn new(kind: &str, ends: Timestamp) -> Self {
        CredentialRecord { version: RUN_VERSION, kind: kind.to_owned(), ends }
    }

    /// Whether it says something else than what was `noted`. Gandi tells how many seconds are left, so that the same end is a
    /// second off at each look; that is not worth a file for each certificate that has the credential.
    pub fn is_news(&self, noted: Option<&Self>) -> bool {
        let same = |noted: &Self| {
            let (version, kind) = (noted.version == self.version, noted.kind == self.kind);
            version && kind && noted.ends.duration_since(self.ends).abs() <= SAME_END
        };
        !noted.is_some_and(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_end_told_again_is_no_news() {
        let at = |seconds| CredentialRecord::new("token", Timestamp::from_second(seconds).unwrap());
        assert!(at(1000).is_news(None));
        assert!(!at(1000).is_news(Some(&at(1002))) && !at(1002).is_news(Some(&at(1000))));
        assert!(at(1000).is_news(Some(&at(2000))) && at(2000).is_news(Some(&at(1000))));
        assert!(CredentialRecord::new("key", at(1000).ends).is_news(Some(&at(1000))));
    }
}

//! When the CA wants a certificate to be renewed (RFC 9773), kept between runs.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::file::{read_json, write_json_unsynced};
use super::{CertName, Store, StoreError};

pub(super) const RENEWAL_VERSION: u32 = 1;
pub(super) const RENEWAL: &str = "renewal.json";

/// `renewal.json`: the window that the CA suggests for one certificate, and the moment in it that was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalRecord {
    version: u32,
    /// The certificate's id (RFC 9773 §4.1).
    pub certificate_id: String,
    /// The window; `None` if the CA does not offer any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<RenewalWindow>,
    /// Where in the window our moment is, from 0 to 1: chosen once, so that every look gives the same one.
    pub share: f64,
    /// Why the CA suggests it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation_url: Option<String>,
    /// The CA wants not to be asked again before this moment.
    pub ask_again: Timestamp,
}

/// When the CA wants a certificate to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalWindow {
    /// Its begin.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl RenewalRecord {
    /// A record of the current layout.
    pub fn new(
        certificate_id: String,
        window: Option<RenewalWindow>,
        share: f64,
        ask_again: Timestamp,
    ) -> Self {
        let (version, explanation_url) = (RENEWAL_VERSION, None);
        RenewalRecord { version, certificate_id, window, share, explanation_url, ask_again }
    }

    /// The moment that was chosen (RFC 9773 §4.2: a uniformly random one in the window).
    pub fn moment(&self) -> Option<Timestamp> {
        let RenewalWindow { start, end } = self.window?;
        let length = end.duration_since(start).as_secs_f64() * self.share.clamp(0.0, 1.0);
        let offset = SignedDuration::try_from_secs_f64(length).unwrap_or_default();
        Some(start.checked_add(offset).unwrap_or(start))
    }
}

/// It can be asked for again at any time, so a damaged one is as good as none.
pub(super) fn usable(read: Result<Option<RenewalRecord>, StoreError>) -> Option<RenewalRecord> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "the CA's renewal window is not readable, and is asked for again");
        None
    })
}

impl Store {
    fn renewal_path(&self, cert: &CertName) -> PathBuf {
        self.cert_folder(cert).join(RENEWAL)
    }

    /// What the CA suggested last for the certificate with this id; `None` if that is not known.
    pub fn renewal(&self, cert: &CertName, certificate_id: &str) -> Option<RenewalRecord> {
        let record = usable(read_json::<RenewalRecord>(&self.renewal_path(cert), RENEWAL_VERSION));
        record.filter(|record| record.certificate_id == certificate_id)
    }

    /// Stores what the CA suggests.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_renewal(&self, cert: &CertName, record: &RenewalRecord) -> Result<(), StoreError> {
        write_json_unsynced(&self.renewal_path(cert), record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_is_in_the_window_and_stays() {
        let time = |seconds| Timestamp::from_second(seconds).unwrap();
        let window = RenewalWindow { start: time(1000), end: time(2000) };
        let at = |share| RenewalRecord::new("id".into(), Some(window), share, time(0)).moment().unwrap();
        assert_eq!((at(0.0), at(0.25), at(1.0)), (time(1000), time(1250), time(2000)));
        assert_eq!((at(7.0), at(f64::NAN)), (time(2000), time(1000)));
        assert_eq!(RenewalRecord::new("id".into(), None, 0.5, time(0)).moment(), None);
    }
}

//! What a renewal run sees of each certificate before it works on any: each file is read once, and what is decided from it
//! is kept.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::due::{Due, due};
use super::proof::Proofs;
use super::publisher::Publisher;
use super::renewal_info::{Question, known_in, question, window_in};
use super::{CertificateError, Service};
use crate::plugin;
use crate::store::{
    CertName, CertificateRecord, CredentialRecord, FailureRecord, ServersRecord, Snapshot, StoreError,
};

/// One certificate, as it was seen before the run's work.
#[derive(Debug)]
pub(super) struct Outlook {
    pub(super) cert: CertName,
    /// When it is to be renewed; `None` where there is nothing in place, or not all of it can be read.
    pub(super) due: Option<Due>,
    /// When the one in place ends.
    pub(super) end: Option<Timestamp>,
    /// It is not due, and nothing else is left to be done about it. Whatever else there is, such as a file that cannot be
    /// read, is for the renewal to find out, which reads again what it depends on.
    pub(super) rests: bool,
    /// The plugins that have to be alone.
    pub(super) lane: BTreeSet<&'static str>,
    /// What its CA is to be asked.
    pub(super) question: Option<Question>,
    /// A failure of its deployment is noted, and none of a renewal.
    pub(super) was_told: bool,
    /// It may be proved by a standing record.
    pub(super) may_stand: bool,
    /// What writes its proofs with a credential.
    pub(super) writers: Result<Vec<Publisher>, CertificateError>,
    /// When its credential ends, as it was said last.
    pub(super) credential_end: Result<Option<CredentialRecord>, StoreError>,
}

impl Outlook {
    /// Whether it is to be renewed, as far as can be seen.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_none_or(|due| due.now)
    }
}

impl Service {
    /// Looks at certificates, in their order.
    pub(super) fn outlooks(&self, certs: &[CertName]) -> Vec<Outlook> {
        self.store.look_at(certs, self.look())
    }

    /// Looks at all certificates, in the order of their names.
    pub(super) fn all_outlooks(&self) -> Result<Vec<Outlook>, StoreError> {
        Ok(self.store.survey(self.look())?.there)
    }

    fn look(&self) -> impl Fn(&CertName, Result<Snapshot, StoreError>) -> Outlook + Sync {
        let kept = self.store.servers().unwrap_or_default();
        let now = Timestamp::now();
        move |cert, snapshot| match snapshot {
            Ok(snapshot) => outlook(snapshot, &kept, now),
            Err(error) => unreadable(cert, error),
        }
    }

    /// How many certificates a run would work on.
    #[cfg(feature = "bench")]
    pub(crate) fn planned(&self, certs: &[CertName], force: bool) -> usize {
        super::renew::Plan::new(&self.outlooks(certs), force).queue.len()
    }
}

fn outlook(snapshot: Snapshot, kept: &ServersRecord, now: Timestamp) -> Outlook {
    let current = snapshot.current.as_ref();
    let due = current.map(|current| due(current, window_in(&snapshot, kept), now));
    let is_deployed = current
        .zip(snapshot.deployment.as_ref().ok())
        .is_some_and(|(current, state)| !state.post_owed && state.waiting(current.number).is_none());
    let rests = is_deployed && due.is_some_and(|due| !due.now);
    // Damage there is told by whoever reads it next.
    let told = |failures: &FailureRecord| failures.count == 0;
    let was_told = snapshot.failures.as_ref().map_or(true, |failures| failures.as_ref().is_some_and(told));
    let ask = |current| question(&snapshot.cert, current, known_in(&snapshot).cloned(), kept, now);
    Outlook {
        due,
        end: current.map(|current| current.info.not_after),
        rests,
        lane: lane(&snapshot.record),
        question: current.and_then(ask),
        was_told,
        may_stand: may_stand(&snapshot.record),
        writers: Proofs::stored(&snapshot.record).map(Proofs::credential_writers),
        credential_end: snapshot.credential,
        cert: snapshot.cert,
    }
}

/// What is seen of a certificate that cannot be read.
fn unreadable(cert: &CertName, error: StoreError) -> Outlook {
    Outlook {
        cert: cert.clone(),
        due: None,
        end: None,
        rests: false,
        lane: BTreeSet::new(),
        question: None,
        was_told: true,
        may_stand: false,
        writers: Err(error.into()),
        credential_end: Ok(None),
    }
}

/// The plugins of a certificate that have to be alone.
fn lane(record: &CertificateRecord) -> BTreeSet<&'static str> {
    let plugins = record.plugins().into_iter().filter_map(|plugin| plugin::find(plugin).ok());
    plugins.filter(|plugin| plugin.alone).map(|plugin| plugin.name).collect()
}

/// Whether a certificate may be proved by a standing record.
pub(super) fn may_stand(record: &CertificateRecord) -> bool {
    let named = record.proofs.iter().filter_map(|proof| proof.challenge.as_deref());
    let mut words = record.challenge.as_deref().into_iter().chain(named);
    words.any(|word| matches!(word, "dns-persist-01" | "auto"))
}

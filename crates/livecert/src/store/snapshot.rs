//! What is on disk about certificates, each file read once.

use std::num::NonZeroUsize;

use super::deployment::{DEPLOYMENT, DEPLOYMENT_VERSION};
use super::failure::{FAILURES, FAILURES_VERSION};
use super::file::{Folder, entries, if_whole};
use super::record::{RECORD, RECORD_VERSION};
use super::renewal::{RENEWAL, RENEWAL_VERSION, usable};
use super::run::{CREDENTIAL, RUN_VERSION};
use super::{
    CertName, CertificateRecord, CredentialRecord, DeploymentState, FailureRecord, Generation, RenewalRecord,
    Store, StoreError,
};

/// What is on disk about one certificate, as it was at one moment. It is for decisions that somebody else may overtake: who
/// changes something reads again what that depends on, with the certificate's lock held.
#[derive(Debug)]
pub struct Snapshot {
    /// The certificate.
    pub cert: CertName,
    /// What is stored about it.
    pub record: CertificateRecord,
    /// The generation in place; `None` before the first one.
    pub current: Option<Generation>,
    /// What the CA suggested last, for whichever of its generations; `None` if that is not known.
    pub renewal: Option<RenewalRecord>,
    /// How far the deployment is.
    pub deployment: Result<DeploymentState, StoreError>,
    /// The failures since it was last got; `None` if there were none.
    pub failures: Result<Option<FailureRecord>, StoreError>,
    /// When its credential ends, as it was said last.
    pub credential: Result<Option<CredentialRecord>, StoreError>,
}

/// What was made of all certificates in the store.
#[derive(Debug)]
pub(crate) struct Survey<T> {
    /// Of those that are there, in the order of their names.
    pub(crate) there: Vec<T>,
    /// Those that are not there yet, and have left something all the same: their first try failed.
    pub(crate) unfinished: Vec<CertName>,
}

/// So many certificates are worth a thread of their own.
const WORTH_A_THREAD: usize = 64;
/// More threads than these would wait for each other in the kernel.
const THREADS: usize = 8;

impl Store {
    /// Reads all that is on disk about one certificate.
    ///
    /// # Errors
    /// There is no such certificate; its record or its current generation cannot be read.
    pub fn snapshot(&self, cert: &CertName) -> Result<Snapshot, StoreError> {
        match self.snapshot_if_there(cert)? {
            Some(snapshot) => Ok(snapshot),
            None => Err(self.no_such_certificate(cert)?),
        }
    }

    /// The same; `None` if there is neither a record nor a generation.
    fn snapshot_if_there(&self, cert: &CertName) -> Result<Option<Snapshot>, StoreError> {
        let Some(folder) = Folder::open(self.cert_folder(cert))? else { return Ok(None) };
        let record = folder.read_json(RECORD, RECORD_VERSION)?;
        let current = Generation::current_in(&folder);
        let record = match (record, &current) {
            (Some(record), _) => record,
            (None, Ok(None)) => return Ok(None),
            (None, _) => return Err(self.no_such_certificate(cert)?),
        };
        Ok(Some(Snapshot {
            cert: cert.clone(),
            record,
            current: current?,
            renewal: usable(folder.read_json(RENEWAL, RENEWAL_VERSION)),
            deployment: folder.read_json(DEPLOYMENT, DEPLOYMENT_VERSION).map(Option::unwrap_or_default),
            failures: folder.read_json(FAILURES, FAILURES_VERSION),
            credential: if_whole(folder.read_json(CREDENTIAL, RUN_VERSION)),
        }))
    }

    /// Reads all that is on disk about each of these certificates, on several threads where there are many of them, and gives
    /// what `look` makes of each, in their order. Of what was read no more is kept than that.
    pub fn look_at<T: Send>(
        &self,
        certs: &[CertName],
        look: impl Fn(&CertName, Result<Snapshot, StoreError>) -> T + Sync,
    ) -> Vec<T> {
        side_by_side(certs, |cert| look(cert, self.snapshot(cert)))
    }

    /// The same for all certificates.
    ///
    /// # Errors
    /// The folder of certificates cannot be read. A store that was never used has none.
    pub(crate) fn survey<T: Send>(
        &self,
        look: impl Fn(&CertName, Result<Snapshot, StoreError>) -> T + Sync,
    ) -> Result<Survey<T>, StoreError> {
        let mut names: Vec<CertName> =
            entries(&self.certs())?.into_iter().filter_map(|(_, name)| name.parse().ok()).collect();
        names.sort();
        let looks = side_by_side(&names, |cert| {
            self.snapshot_if_there(cert).transpose().map(|snapshot| look(cert, snapshot))
        });
        let mut survey = Survey { there: Vec::with_capacity(names.len()), unfinished: Vec::new() };
        for (name, look) in names.into_iter().zip(looks) {
            match look {
                Some(look) => survey.there.push(look),
                None => survey.unfinished.push(name),
            }
        }
        Ok(survey)
    }
}

/// Does `work` for each of `all`, on as many threads as there are processors for and work is worth, and gives what came of it
/// in the order of `all`.
fn side_by_side<A: Sync, T: Send>(all: &[A], work: impl Fn(&A) -> T + Sync) -> Vec<T> {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = processors.min(THREADS).min(all.len() / WORTH_A_THREAD).max(1);
    let (first, rest) = all.split_at(all.len().div_ceil(threads));
    let work = &work;
    std::thread::scope(|scope| {
        // Not one is done before all are begun.
        let rest: Vec<_> = rest
            .chunks(first.len().max(1))
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<T>>()))
            .collect();
        let mut done: Vec<T> = first.iter().map(work).collect();
        for part in rest {
            match part.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_on_several_threads_comes_back_in_order() {
        for count in [0, 1, 63, 64, 65, 128, 1000, 1001] {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(
                side_by_side(&all, |number| number * 2),
                (0..count).map(|number| number * 2).collect::<Vec<_>>()
            );
        }
    }
}

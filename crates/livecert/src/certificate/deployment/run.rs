//! What the certificates of one run share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::super::{CertificateError, Service};
use super::DeploymentFailure;
use crate::deploy::HookError;
use crate::secret::Source;
use crate::store::{CertLock, CertName, CertificateRecord, DeploymentRecord, Generation, PendingDeployment};

/// What became of each command that is run once in a run.
pub(super) type Once = HashMap<String, Result<(), Arc<HookError>>>;

/// One run of `issue` or `renew`: which hooks were run, and what is left for its end. The certificates of a run share it,
/// also side by side; `Service::finish_deployments` is its end.
pub struct DeployRun {
    at_once: bool,
    rehearsal: bool,
    hidden: OnceLock<Vec<String>>,
    /// Variables to be hidden that are in no record yet.
    new: Mutex<Vec<String>>,
    /// Hooks are run one at a time; whoever runs one has this.
    turn: tokio::sync::Mutex<Once>,
    parts: Mutex<Parts>,
}

/// What is left for the end of a run.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) deployments: Vec<Deployment>,
    /// Certificates whose pre hook was run.
    pub(super) owed: BTreeMap<CertName, DeploymentRecord>,
    pub(super) failed: Vec<CertName>,
    /// So that nobody else deploys the same before this run has come to its end.
    pub(super) locks: HashMap<CertName, CertLock>,
}

/// A generation whose deploy hooks were run.
pub(super) struct Deployment {
    pub(super) cert: CertName,
    pub(super) record: CertificateRecord,
    pub(super) generation: Generation,
    pub(super) pending: PendingDeployment,
    pub(super) failure: Option<DeploymentFailure>,
}

impl DeployRun {
    /// A run; `at_once` if a person has named what is to be done, so that a deployment which has failed is tried again now,
    /// and not when its time has come.
    pub(in crate::certificate) fn new(at_once: bool) -> Self {
        DeployRun {
            at_once,
            rehearsal: false,
            hidden: OnceLock::new(),
            new: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            parts: Mutex::default(),
        }
    }

    /// A run in which no hook is run, and nothing is left for the end.
    pub(in crate::certificate) fn rehearsal() -> Self {
        DeployRun { rehearsal: true, ..DeployRun::new(false) }
    }

    pub(in crate::certificate) fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    pub(super) fn at_once(&self) -> bool {
        self.at_once
    }

    /// Keeps the variables with these secrets from hooks. To be called before the first hook; those of certificates that
    /// are in the store are kept from them anyway.
    pub(in crate::certificate) fn hide<'a>(&self, sources: impl Iterator<Item = &'a Source>) {
        let variable = |source: &Source| match source {
            Source::Env(name) => Some(name.clone()),
            _ => None,
        };
        self.new.lock().unwrap_or_else(PoisonError::into_inner).extend(sources.filter_map(variable));
    }

    pub(super) fn hidden(&self, service: &Service) -> &[String] {
        self.hidden.get_or_init(|| {
            let mut hidden = service.hidden_variables();
            hidden.append(&mut self.new.lock().unwrap_or_else(PoisonError::into_inner));
            hidden
        })
    }

    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, Once> {
        self.turn.lock().await
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, deployment: Deployment) {
        self.parts().deployments.push(deployment);
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_done(&self) -> bool {
        let parts = self.parts();
        parts.deployments.is_empty() && parts.owed.is_empty()
    }

    /// Whether something is left to be done for this certificate.
    pub(in crate::certificate) fn has(&self, cert: &CertName) -> bool {
        let parts = self.parts();
        parts.owed.contains_key(cert) || parts.deployments.iter().any(|one| one.cert == *cert)
    }

    /// The post hooks of this certificate have to be run, whatever comes of the work.
    pub(in crate::certificate) fn owe(&self, cert: &CertName, record: &DeploymentRecord) {
        self.parts().owed.insert(cert.clone(), record.clone());
    }

    /// The work on a certificate has come to its end, with this error or well. Its lock stays with the run where something
    /// is left to be done for it.
    pub(in crate::certificate) fn end_of(
        &self,
        cert: &CertName,
        lock: CertLock,
        error: Option<&CertificateError>,
    ) {
        let left = self.has(cert);
        let mut parts = self.parts();
        if error.is_some() {
            parts.failed.push(cert.clone());
        }
        if left {
            parts.locks.insert(cert.clone(), lock.at_rest());
        }
    }

    pub(super) fn into_parts(self) -> Parts {
        self.parts.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

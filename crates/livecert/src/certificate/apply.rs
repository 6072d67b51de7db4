//! The store is made to match the certificates that are declared in a file: what is missing is issued, what is declared
//! otherwise is issued anew or only kept in another way, what is not declared any more is archived.
//!
//! Each of these is what `issue` and `set` do; here is only which of them, and for what.

use std::collections::BTreeSet;
use std::path::Path;

use super::back_off::Occasion;
use super::intention::{ApplyRequest, Intention, Step, intentions};
use super::lanes::in_lanes;
use super::{Amended, CertificateError, DeployRun, IssueRequest, Issued, Outcome, Service, publishers_of};
use crate::progress::Event;
use crate::store::CertName;

/// One certificate, after the store was made to match what is declared.
#[derive(Debug)]
pub struct Applied {
    /// The certificate.
    pub cert: CertName,
    /// It was taken out of the archive.
    pub restored: bool,
    /// What became of it.
    pub result: AppliedResult,
    /// Why something was done.
    pub why: Vec<String>,
}

/// What became of a certificate that is declared, or was.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppliedResult {
    /// It is as declared, and was before.
    Kept,
    /// There is a new one.
    Issued(Box<Issued>),
    /// It is kept in another way.
    Changed(Box<Amended>),
    /// It was moved into the archive.
    Archived,
    /// It failed; what was there before is still in place.
    Failed(Box<CertificateError>),
}

impl Service {
    /// Makes the store match what is declared. Certificates are worked on side by side; where a plugin works alone, its
    /// certificates follow one another. One failure never stops the rest. After an interruption nothing is begun, and what was
    /// under way cleans up.
    ///
    /// What is as declared costs no request. A certificate that is due is left to [`renew`](Self::renew).
    ///
    /// # Errors
    /// As [`intentions`]; nothing was done then.
    pub async fn apply(&self, request: ApplyRequest) -> Result<Vec<Applied>, CertificateError> {
        self.connections.begin_run();
        self.outages.begin_run();
        let (file, parallel, named) = (request.file.clone(), request.parallel, !request.only.is_empty());
        let occasion = if named { Occasion::Issue } else { Occasion::Declared };
        let intentions = intentions(&self.store, request)?;
        let issues = |one: &&Intention| matches!(one.step, Step::Issue(_) | Step::Reissue(_));
        let due: Vec<_> = intentions.iter().filter(issues).map(|one| one.cert.clone()).collect();
        if !due.is_empty() {
            self.unless_interrupted(self.sweep_first(&due)).await?;
        }
        self.progress.begins(intentions.iter().filter(|one| one.is_work()).count());
        let run = DeployRun::new(named);
        let (run_now, file) = (&run, file.as_path());
        let jobs = intentions.into_iter().map(|one| (lane(&one), one)).collect();
        let work = |one: Intention| self.carry_out(one, file, occasion, run_now);
        let mut all = in_lanes(jobs, parallel, work).await;
        all.sort_by(|one, other| one.cert.cmp(&other.cert));
        for (cert, error) in self.finish_deployments(run).await {
            if let Some(applied) = all.iter_mut().find(|applied| applied.cert == cert) {
                self.progress.event(&cert, Event::Settled { error: Some(&error) });
                applied.result = AppliedResult::Failed(Box::new(error));
            }
        }
        Ok(all)
    }

    async fn carry_out(
        &self,
        intention: Intention,
        file: &Path,
        occasion: Occasion,
        run: &DeployRun,
    ) -> Applied {
        let is_work = intention.is_work();
        let Intention { cert, from_archive, step, why } = intention;
        let mut restored = false;
        let result = match self.interrupt.is_cancelled() {
            true => Err(CertificateError::Interrupted),
            false => {
                let work = async {
                    if from_archive {
                        let lock = self.lock(&cert).await?;
                        // Another process may have been faster.
                        if !self.store.cert_names()?.contains(&cert) {
                            self.store.restore(&cert, &lock)?;
                            restored = true;
                        }
                    }
                    self.take_step(&cert, step, file, occasion, run).await
                };
                work.await
            }
        };
        if is_work {
            self.progress.event(&cert, Event::Settled { error: result.as_ref().err() });
        }
        let result = result.unwrap_or_else(|error| AppliedResult::Failed(Box::new(error)));
        Applied { cert, restored, result, why }
    }

    async fn take_step(
        &self,
        cert: &CertName,
        step: Step,
        file: &Path,
        occasion: Occasion,
        run: &DeployRun,
    ) -> Result<AppliedResult, CertificateError> {
        match step {
            Step::Keep => Ok(AppliedResult::Kept),
            Step::Refuse(error) => Err(*error),
            Step::Archive => self.archive(cert, file).await,
            Step::Issue(request) | Step::Reissue(request) => {
                let issued = self.issue_unswept(&request, occasion, run).await?;
                // Somebody was faster.
                let kept = matches!(issued.outcome, Outcome::NotDue(_));
                Ok(if kept { AppliedResult::Kept } else { AppliedResult::Issued(Box::new(issued)) })
            }
            Step::Change(request) => {
                let request = IssueRequest { cert_name: None, ..*request };
                Ok(AppliedResult::Changed(Box::new(self.set(cert, &request).await?)))
            }
        }
    }

    async fn archive(&self, cert: &CertName, file: &Path) -> Result<AppliedResult, CertificateError> {
        let lock = self.lock(cert).await?;
        // Whoever was waited for may have removed it, or taken it into another file's care.
        let record = self.store.find_record(cert)?;
        if record.and_then(|record| record.declared_in).is_none_or(|declared| declared != file) {
            return Ok(AppliedResult::Kept);
        }
        self.store.archive(cert, &lock)?;
        self.store.close_unless_shared();
        Ok(AppliedResult::Archived)
    }
}

/// The plugins of a certificate that is to be issued, of those that have to be alone.
fn lane(intention: &Intention) -> BTreeSet<&'static str> {
    match &intention.step {
        Step::Issue(request) | Step::Reissue(request) => {
            let plugins = publishers_of(&request.plugin).into_iter().map(|name| name.plugin);
            plugins.filter(|plugin| plugin.alone).map(|plugin| plugin.name).collect()
        }
        _ => BTreeSet::new(),
    }
}

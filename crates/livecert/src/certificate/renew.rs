//! The renewal of what is due: from what is stored, without any argument, side by side.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use jiff::Timestamp;

use super::back_off::Occasion;
use super::lanes::in_lanes;
use super::outlook::Outlook;
use super::proof::Proofs;
use super::{CertificateError, DeployRun, IssueRequest, Issued, Service, SubjectName};
use crate::progress::Event;
use crate::store::{CertName, CertificateRecord, StoreError};

/// Certificates that are renewed at a time, unless something else is asked for: enough that waiting for DNS, for the disk and
/// for the CA overlaps, and few enough that no server takes it for a flood (how many requests are under way at a CA is bounded
/// for all of them together). With 16, 1,000 of them take a tenth longer; with 64, no less.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// What a renewal run is asked for.
#[derive(Debug, Clone)]
pub struct RenewRequest {
    /// The certificates; all of the store if there is none.
    pub certs: Vec<CertName>,
    /// Renew them even if they are not due.
    pub force: bool,
    /// How many are renewed at a time. Those whose plugin works alone are not counted.
    pub parallel: NonZeroUsize,
}

impl Default for RenewRequest {
    fn default() -> Self {
        RenewRequest { certs: Vec::new(), force: false, parallel: SIDE_BY_SIDE }
    }
}

/// One certificate of a renewal run.
#[derive(Debug)]
pub struct Renewal {
    /// The certificate.
    pub cert: CertName,
    /// What became of it.
    pub result: RenewalResult,
}

/// What became of a certificate in a renewal run.
#[derive(Debug)]
#[non_exhaustive]
pub enum RenewalResult {
    /// It is not due before this moment.
    NotDue(Timestamp),
    /// There is a new one.
    Renewed(Box<Issued>),
    /// It is due, and was passed over: a person does the work of its plugin, and none has asked for it.
    NeedsPerson,
    /// It failed; the old one is still in place.
    Failed(Box<CertificateError>),
}

/// What a run is going to do.
pub(super) struct Plan<'a> {
    /// Nothing is done about these.
    pub(super) resting: Vec<&'a Outlook>,
    /// In the order in which they are begun: what is due, and there what ends first, comes first.
    pub(super) queue: Vec<&'a Outlook>,
    /// Those of the queue that are due.
    pub(super) due: Vec<CertName>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(outlooks: &'a [Outlook], force: bool) -> Self {
        let (resting, mut queue): (Vec<_>, Vec<_>) = outlooks.iter().partition(|one| one.rests && !force);
        let is_due = |one: &Outlook| force || one.is_due();
        queue.sort_by_key(|one| (!is_due(one), one.end));
        let due = queue.iter().filter(|one| is_due(one)).map(|one| one.cert.clone()).collect();
        Plan { resting, queue, due }
    }
}

/// What a run saw before its work, for what it says in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// In the order of their names.
    outlooks: &'a [Outlook],
    force: bool,
}

impl<'a> Seen<'a> {
    /// What was seen of a certificate that nothing was done about.
    pub(super) fn at_rest(&self, cert: &CertName) -> Option<&'a Outlook> {
        let place = self.outlooks.binary_search_by(|one| one.cert.cmp(cert)).ok()?;
        Some(&self.outlooks[place]).filter(|one| one.rests && !self.force)
    }
}

/// Whether nothing comes of a certificate with nobody there.
pub(super) fn needs_person(record: &CertificateRecord) -> bool {
    Proofs::stored(record).is_ok_and(|proofs| proofs.needs_person())
}

impl Service {
    /// Renews the certificates that are due, of those that are named, or of all. They are renewed side by side, the one
    /// that ends first first; where a plugin works alone, its certificates follow one another. Where a person does a plugin's
    /// work, they are passed over unless they are named, or nobody is to be asked. One failure never stops the rest. After
    /// an interruption nothing is begun, and what was under way cleans up.
    ///
    /// The renewals are in the order of the names. [`Event::Ended`] tells of each when it ends.
    ///
    /// # Errors
    /// A name that is not in the store (nothing was done then), or the store as a whole cannot be read.
    pub async fn renew(&self, request: &RenewRequest) -> Result<Vec<Renewal>, CertificateError> {
        let began = Timestamp::now();
        self.connections.begin_run();
        self.outages.begin_run();
        for cert in &request.certs {
            if let Err(error @ StoreError::NoSuchCertificate { .. }) = self.store.record(cert)
                && !self.store.cert_folder(cert).exists()
            {
                return Err(error.into());
            }
        }
        let mut certs = request.certs.clone();
        certs.sort();
        certs.dedup();
        let outlooks = if certs.is_empty() { self.all_outlooks()? } else { self.outlooks(&certs) };
        let outlooks = self.unless_interrupted(self.asked(outlooks)).await?;
        let Plan { resting, queue, due } = Plan::new(&outlooks, request.force);
        self.unless_interrupted(self.sweep_first(&due)).await?;
        self.progress.begins(due.len());
        let mut renewals: Vec<_> = resting.into_iter().filter_map(|one| self.tell_of_rest(one)).collect();
        // Whoever names a certificate does not want to wait until a failed hook's time has come.
        let run = DeployRun::new(request.force || !request.certs.is_empty());
        renewals.extend(self.renew_all(queue, request, &run).await);
        renewals.sort_by(|one, other| one.cert.cmp(&other.cert));
        for (cert, error) in self.finish_deployments(run).await {
            if let Some(renewal) = renewals.iter_mut().find(|renewal| renewal.cert == cert) {
                renewal.result = RenewalResult::Failed(Box::new(error));
                self.progress.event(&cert, Event::Ended { result: &renewal.result });
            }
        }
        let seen = Seen { outlooks: &outlooks, force: request.force };
        self.note_run(request, began, &renewals, seen).await;
        self.tell_of_failures(&renewals, seen).await;
        // What was done has to be told, also where somebody does not wait for the warnings.
        let _ = self.unless_interrupted(self.warn_of(request, &renewals, &outlooks)).await;
        Ok(renewals)
    }

    /// The outlooks after the CAs have been asked for the windows for which it is time to ask.
    async fn asked(&self, mut outlooks: Vec<Outlook>) -> Vec<Outlook> {
        let mut asked = Vec::new();
        let mut questions = Vec::new();
        for (index, outlook) in outlooks.iter_mut().enumerate() {
            if let Some(question) = outlook.question.take() {
                asked.push((index, outlook.cert.clone()));
                questions.push(question);
            }
        }
        self.ask_for_windows(questions).await;
        let (places, certs): (Vec<usize>, Vec<CertName>) = asked.into_iter().unzip();
        for (place, outlook) in places.into_iter().zip(self.outlooks(&certs)) {
            outlooks[place] = outlook;
        }
        outlooks
    }

    /// Tells that a certificate is not due.
    fn tell_of_rest(&self, outlook: &Outlook) -> Option<Renewal> {
        let renewal = Renewal { cert: outlook.cert.clone(), result: RenewalResult::NotDue(outlook.due?.at) };
        self.progress.event(&renewal.cert, Event::Ended { result: &renewal.result });
        Some(renewal)
    }

    /// Warns of what would keep the certificates that were not due from being renewed another day.
    async fn warn_of(&self, request: &RenewRequest, renewals: &[Renewal], outlooks: &[Outlook]) {
        let names = |is: fn(&RenewalResult) -> bool| -> BTreeSet<CertName> {
            renewals.iter().filter(|one| is(&one.result)).map(|one| one.cert.clone()).collect()
        };
        let silent = names(|result| matches!(result, RenewalResult::NotDue(_)));
        let renewed = names(|result| matches!(result, RenewalResult::Renewed(_)));
        if silent.is_empty() {
            return;
        }
        if request.certs.is_empty() {
            self.warn_of_ends(outlooks, &silent, &renewed).await;
        } else if let Ok(all) = self.all_outlooks() {
            // What a credential says is noted for all that have the same one.
            self.warn_of_ends(&all, &silent, &renewed).await;
        }
        let standing = outlooks.iter().filter(|one| one.may_stand && silent.contains(&one.cert));
        self.warn_of_standings(&standing.map(|one| one.cert.clone()).collect::<Vec<_>>()).await;
    }

    async fn renew_all(&self, queue: Vec<&Outlook>, request: &RenewRequest, run: &DeployRun) -> Vec<Renewal> {
        let jobs = queue.into_iter().map(|one| (one.lane.clone(), one.cert.clone())).collect();
        let work = |cert: CertName| self.renew_told(cert, request, run);
        in_lanes(jobs, request.parallel, work).await
    }

    async fn renew_told(&self, cert: CertName, request: &RenewRequest, run: &DeployRun) -> Renewal {
        let result = match self.interrupt.is_cancelled() {
            true => Err(CertificateError::Interrupted),
            false => self.renew_one(&cert, request, run).await,
        };
        let result = result.unwrap_or_else(|error| RenewalResult::Failed(Box::new(error)));
        self.progress.event(&cert, Event::Ended { result: &result });
        Renewal { cert, result }
    }

    async fn renew_one(
        &self,
        cert: &CertName,
        request: &RenewRequest,
        run: &DeployRun,
    ) -> Result<RenewalResult, CertificateError> {
        let force = request.force;
        let occasion = if request.certs.is_empty() { Occasion::Due } else { Occasion::Named };
        let record = self.store.record(cert)?;
        // Without a lock first: most certificates are not due, and need not wait for anybody.
        let current = self.store.current(cert)?;
        let due = current.as_ref().map(|current| self.due(cert, current, Timestamp::now()));
        if let (Some(generation), Some(due), false) = (&current, due, force)
            && !due.now
            && !self.has_work_left(cert, generation)?
        {
            return Ok(RenewalResult::NotDue(due.at));
        }
        let unasked = request.certs.is_empty() && !self.surroundings.prompter.goes_on();
        if unasked && needs_person(&record) && (force || due.is_none_or(|due| due.now)) {
            if let Some(generation) = &current {
                // What is in place may still have to be deployed.
                let lock = self.lock(cert).await?;
                let deployed = self.deploy(cert, generation, run).await;
                run.end_of(cert, lock, deployed.as_ref().err());
                deployed?;
            }
            return Ok(RenewalResult::NeedsPerson);
        }
        let names = record.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
        let request = IssueRequest {
            names,
            cert_name: Some(cert.clone()),
            // Nobody is there to read terms: an account that is lost is made anew under those that were accepted.
            accept_tos: false,
            force,
            ..IssueRequest::default()
        };
        let issued = self.issue_unswept(&request, occasion, run).await?;
        Ok(match issued.outcome {
            super::Outcome::NotDue(at) => RenewalResult::NotDue(at),
            super::Outcome::New => RenewalResult::Renewed(Box::new(issued)),
        })
    }
}

//! The first step: key and order, kept for the steps that follow.

use jiff::Timestamp;

use super::super::back_off::Occasion;
use super::super::issue::{Begun, Placed};
use super::super::ready::Ready;
use super::super::work::Work;
use super::super::{CertificateError, DeployRun, IssueRequest, Outcome, Service};
use super::look::Chooser;
use super::{OpenOrder, OrderError, OrderStanding};
use crate::digest::sha256;
use crate::progress::Event;
use crate::store::{CertLock, CertName, CertificateRecord};

/// What became of the wish for an order.
#[derive(Debug)]
#[non_exhaustive]
pub enum NewOrderReport {
    /// There is a new order.
    Made(OpenOrder),
    /// There was one already, which is for the same.
    Open(OpenOrder),
    /// The stored certificate is what was asked for, and is not due before this moment.
    NotDue(CertName, Timestamp),
}

/// What tells stored settings from others.
pub(super) fn settings_digest(record: &CertificateRecord) -> String {
    sha256(serde_json::to_string(record).unwrap_or_default().as_bytes())
}

impl Service {
    /// Stores the settings of `request`, makes key and order, and keeps both for the next steps. An order that is open
    /// already is left as it is, if it is for the same; with `force` it is given up, and another one made.
    ///
    /// # Errors
    /// [`OrderError::Over`] and [`OrderError::ForSomethingElse`] where an order is in the way; else as
    /// [`Service::issue`] as far as its order.
    pub async fn new_order(&self, request: &IssueRequest) -> Result<NewOrderReport, CertificateError> {
        let cert = request.check()?;
        let (service, _) = self.unasked();
        service.unless_interrupted(service.sweep_first(std::slice::from_ref(&cert))).await?;
        let run = DeployRun::new(true);
        let lock = service.lock(&cert).await?;
        let made = service.new_order_locked((&cert, &lock), request, &run).await;
        run.end_of(&cert, lock, made.as_ref().err());
        match service.finish_deployments(run).await.into_iter().next() {
            Some((_, error)) => made.and(Err(error)),
            None => made,
        }
    }

    async fn new_order_locked(
        &self,
        (cert, lock): (&CertName, &CertLock),
        request: &IssueRequest,
        run: &DeployRun,
    ) -> Result<NewOrderReport, CertificateError> {
        let in_the_way = self.store.pending_order(cert)?.filter(|order| order.kept);
        // An order that is open is not made anew because the certificate is not due, and the other way round.
        let (settings, current) = match self.begin((cert, lock), request, Occasion::Issue, run).await? {
            Begun::NotDue(issued) if in_the_way.is_none() => {
                let Outcome::NotDue(at) = issued.outcome else { return Err(CertificateError::NoNames) };
                return Ok(NewOrderReport::NotDue(cert.clone(), at));
            }
            Begun::NotDue(issued) => {
                let stored = self.store.find_record(cert)?;
                let settings = self.settings(request, stored.as_ref())?;
                (Box::new(settings), Some(issued.generation))
            }
            Begun::Due(settings, current) => (settings, current),
        };
        let work = Work { cert, lock, request, settings: &settings, current: current.as_ref(), run };
        if let Some(order) = &in_the_way {
            let server = order.server.parse()?;
            let found = self.unless_interrupted(self.find_placed(&server, order)).await??;
            let standing = found.as_ref().map_or(OrderStanding::Gone, |one| OrderStanding::of(&one.order));
            let reason = found.and_then(|one| one.order.error).map(|error| error.to_string());
            if request.force {
                self.progress.event(cert, Event::OrderReplaced { url: &order.url });
                self.forsake(cert, order).await;
                if let Some((mut draft, _)) = self.store.left_behind(cert, lock)? {
                    draft.keep(false);
                }
            } else if standing.is_over() {
                return Err(OrderError::over(cert, order, standing, reason).into());
            } else if order.names != work.names()
                || order.wishes != settings.wishes()
                || order.server != settings.home().as_str()
            {
                let names = order.names.clone();
                return Err(OrderError::ForSomethingElse { cert: cert.to_string(), names }.into());
            }
        }
        let subject = self.subject(&work)?;
        let ready = self.ready(cert, &settings).await?;
        for (parameter, instead) in ready.publishers.iter().flat_map(|one| one.arguments.deprecated()) {
            self.progress.event(cert, Event::Deprecated { parameter, instead });
        }
        let placed = self.place(settings.home(), &work, &subject, &ready, true).await?;
        self.keep(&work, &ready, placed, in_the_way.map(|order| order.url)).await
    }

    /// Stores the settings, and keeps the draft with its order.
    async fn keep(
        &self,
        work: &Work<'_>,
        ready: &Ready,
        placed: Placed<'_>,
        former: Option<String>,
    ) -> Result<NewOrderReport, CertificateError> {
        let Placed { mut draft, mut pending, attempt, .. } = placed;
        draft.keep(true);
        let (cert, settings) = (work.cert, work.settings);
        let is_new = former.is_none_or(|url| url != pending.url);
        let stored = self.store.find_record(cert)?;
        if let Some(stored) = stored.filter(|_| is_new) {
            draft.write_before(&stored)?;
        }
        let mut record = settings.record(&ready.stored(), ready.output.record());
        if pending.server == settings.home().as_str() {
            record.account = Some(pending.account.clone());
        }
        pending.settings = settings_digest(&record);
        draft.write_order(&pending)?;
        if let Some(csr) = &work.request.own_request {
            self.store.save_own_request(cert, csr)?;
        }
        self.save_settings(cert, &record)?;
        self.forget_failures(cert);
        let chooser = Chooser { settings, solvers: &ready.solvers, placement: &attempt.placement };
        let looking = self.look_at(cert, &pending, &attempt.order, Some(&chooser));
        let open = self.unless_interrupted(looking).await??;
        Ok(if is_new { NewOrderReport::Made(open) } else { NewOrderReport::Open(open) })
    }
}

//! The steps after the order: prove its names, finalize it, download the certificate.

use super::super::attempt::Attempt;
use super::super::ledger::Ledger;
use super::super::work::Work;
use super::super::{CertificateError, DeployRun, Service, with_causes};
use super::{OpenOrder, OrderError, OrderStanding, TakenUp};
use crate::plugin::Leftover;
use crate::progress::Event;
use crate::store::{CertLock, CertName, Generation};

/// Whether a step was done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepOutcome {
    /// It was.
    Done,
    /// It had been done before.
    Already,
}

/// What came of a step.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepReport {
    /// The certificate's name in the store.
    pub cert: CertName,
    /// Whether it was done now.
    pub outcome: StepOutcome,
    /// The order as it is now; `None` when the certificate is in place.
    pub order: Option<OpenOrder>,
    /// The certificate in place, where there is one.
    pub generation: Option<Generation>,
    /// TXT values that could not be removed.
    pub leftovers: Vec<Leftover>,
}

/// A step, as a function of the order that is taken up again.
#[derive(Clone, Copy)]
enum Step {
    Solve,
    Finalize,
    Download,
}

impl Service {
    /// Has the names of the open order proved: shows what they want shown, waits until all can see it, answers the
    /// challenges, waits for the CA's word, and takes away what was shown. Whatever fails, the order stays.
    ///
    /// # Errors
    /// [`OrderError`]; else as [`Service::issue`] from the order to the validation.
    pub async fn solve_order(&self, cert: &CertName) -> Result<StepReport, CertificateError> {
        self.order_step(cert, Step::Solve).await
    }

    /// Sends the certificate request of an order whose names are proved, and waits until there is a certificate.
    ///
    /// # Errors
    /// [`OrderError`], or the server's refusal.
    pub async fn finalize_order(&self, cert: &CertName) -> Result<StepReport, CertificateError> {
        self.order_step(cert, Step::Finalize).await
    }

    /// Downloads the certificate of an order, checks it, puts it in place and deploys it.
    ///
    /// # Errors
    /// [`OrderError`]; else as [`Service::issue`] from the download on.
    pub async fn download_order(&self, cert: &CertName) -> Result<StepReport, CertificateError> {
        self.order_step(cert, Step::Download).await
    }

    async fn order_step(&self, cert: &CertName, step: Step) -> Result<StepReport, CertificateError> {
        self.store.find_removable(cert)?;
        let (service, unasked) = self.unasked();
        service.unless_interrupted(service.sweep_first(std::slice::from_ref(cert))).await?;
        let run = DeployRun::new(true);
        let lock = service.lock(cert).await?;
        let taken = service.order_step_locked(cert, &lock, step, &run).await;
        // A record that came too late is still needed.
        if matches!(taken, Ok(_) | Err(CertificateError::Refused { .. })) {
            unasked.let_go();
        }
        if taken.is_ok() && !run.has(cert) {
            service.prune(cert, &lock);
        }
        run.end_of(cert, lock, taken.as_ref().err());
        match service.finish_deployments(run).await.into_iter().next() {
            Some((_, error)) => taken.and(Err(error)),
            None => taken,
        }
    }

    async fn order_step_locked(
        &self,
        cert: &CertName,
        lock: &CertLock,
        step: Step,
        run: &DeployRun,
    ) -> Result<StepReport, CertificateError> {
        let Some(mut up) = self.take_up(cert, lock).await? else {
            let generation = self.store.current(cert)?;
            if generation.is_none() {
                return Err(OrderError::None { cert: cert.to_string() }.into());
            }
            let (outcome, order, leftovers) = (StepOutcome::Already, None, Vec::new());
            return Ok(StepReport { cert: cert.clone(), outcome, order, generation, leftovers });
        };
        match step {
            Step::Solve => {
                let (outcome, leftovers) = match up.standing {
                    OrderStanding::Pending => (StepOutcome::Done, self.solve(cert, lock, &up, run).await?),
                    _ => (StepOutcome::Already, Vec::new()),
                };
                self.report(cert, &mut up, outcome, leftovers).await
            }
            Step::Finalize => {
                let outcome = match up.standing {
                    OrderStanding::Valid => StepOutcome::Already,
                    OrderStanding::Ready | OrderStanding::Processing => {
                        self.finalize(&up).await?;
                        StepOutcome::Done
                    }
                    _ => return Err(self.not_yet(cert, &up).await?),
                };
                self.report(cert, &mut up, outcome, Vec::new()).await
            }
            Step::Download => match up.standing {
                OrderStanding::Valid | OrderStanding::Processing => {
                    let generation = self.download(cert, lock, up, run).await?;
                    let (outcome, leftovers) = (StepOutcome::Done, Vec::new());
                    let generation = Some(generation);
                    Ok(StepReport { cert: cert.clone(), outcome, order: None, generation, leftovers })
                }
                _ => Err(self.not_yet(cert, &up).await?),
            },
        }
    }

    async fn solve(
        &self,
        cert: &CertName,
        lock: &CertLock,
        up: &TakenUp,
        run: &DeployRun,
    ) -> Result<Vec<Leftover>, CertificateError> {
        let (settings, current) = (&up.settings, up.current.as_ref());
        let work = Work { cert, lock, request: &up.request, settings, current, run };
        let ready = self.ready(cert, settings).await?;
        self.before_requests(&work).await?;
        let preparing = self.prepare(&up.server, &work, &ready.solvers, true);
        let (account, placement, caa) = self.unless_interrupted(preparing).await??;
        let reading = self.read_order(&account, &up.server, &up.pending.url);
        let gone = || OrderError::over(cert, &up.pending, OrderStanding::Gone, None);
        let order = self.unless_interrupted(reading).await??.ok_or_else(gone)?;
        let ledger = Ledger::begin(&self.store, cert, lock, ready.publications())?;
        let (records, web) = (Vec::new(), Vec::new());
        let attempt = Attempt {
            service: self,
            cert,
            settings,
            server: &up.server,
            solvers: &ready.solvers,
            placement,
            caa,
            order,
            ledger,
            records,
            web,
            kept: true,
        };
        let end = current.map(|current| current.info.not_after);
        attempt.solve().await.inspect_err(|error| {
            if matches!(error, CertificateError::Refused { .. }) {
                self.note_no_certificate(&up.server, &up.pending.account, cert);
            }
            self.remember_hold(cert, up.server.as_str(), work.names(), end, error);
        })
    }

    async fn finalize(&self, up: &TakenUp) -> Result<(), CertificateError> {
        let csr = up.key.request(&up.settings)?;
        self.unless_interrupted(up.placed.finalize(&csr)).await??;
        Ok(())
    }

    async fn download(
        &self,
        cert: &CertName,
        lock: &CertLock,
        up: TakenUp,
        run: &DeployRun,
    ) -> Result<Generation, CertificateError> {
        let TakenUp { mut draft, key, pending, record, request, settings, current, placed, .. } = up;
        let work =
            Work { cert, lock, request: &request, settings: &settings, current: current.as_ref(), run };
        let output = self.output(cert, &settings.output).await?;
        let csr = key.request(&settings)?;
        let url = self.unless_interrupted(placed.finalize(&csr)).await??;
        let chains = self.unless_interrupted(placed.download(&url)).await??;
        let of = (&mut draft, &key, &pending);
        let generation = self.store_checked(&work, of, (&output, &record), &chains).await?;
        self.forget_failures(cert);
        self.deploy(cert, &generation, run).await?;
        Ok(generation)
    }

    /// The order as it is after a step. That it cannot be looked at any more does not undo the step.
    async fn report(
        &self,
        cert: &CertName,
        up: &mut TakenUp,
        outcome: StepOutcome,
        leftovers: Vec<Leftover>,
    ) -> Result<StepReport, CertificateError> {
        let looking = async {
            if let Some(now) = self.find_placed(&up.server, &up.pending).await? {
                up.placed = now;
            }
            self.look_at(cert, &up.pending, &up.placed, None).await
        };
        let order = match self.unless_interrupted(looking).await.flatten() {
            Ok(order) => Some(order),
            Err(error) => {
                self.progress.event(cert, Event::OrderUnseen { reason: &with_causes(&error) });
                None
            }
        };
        let generation = up.current.clone();
        Ok(StepReport { cert: cert.clone(), outcome, order, generation, leftovers })
    }

    /// Which names are to be proved first.
    async fn not_yet(&self, cert: &CertName, up: &TakenUp) -> Result<CertificateError, CertificateError> {
        let mut open = Vec::new();
        if up.standing == OrderStanding::Pending {
            let looking = self.look_at(cert, &up.pending, &up.placed, None);
            open = self.unless_interrupted(looking).await??.open_names();
        }
        let (cert, standing) = (cert.to_string(), up.standing.clone());
        Ok(OrderError::NotYet { cert, standing, open }.into())
    }
}

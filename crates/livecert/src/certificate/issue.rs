//! From names to a certificate: the ten steps, each a call into one room.
//!
//! Retries, polling and pacing live where they happen (the protocol crate, the LiveDNS crate, the DNS room); here is
//! the order of things, and what has to be undone when one of them fails.

use std::time::Instant;

use jiff::Timestamp;
use livecert_acme::Account;

use super::ledger::{Ledger, publication};
use super::order::{OpenOrder, PlacedOrder, deactivate_pending};
use super::settings::Settings;
use super::sweep::COURTESY;
use super::{CertificateError, IssueRequest, Service, check_bundle, with_causes};
use crate::challenge::{ChallengeError, DnsSolver, Placement};
use crate::key::{KeyError, PrivateKey, certificate_request};
use crate::plugin::{self, Arguments, Leftover, TxtRecord, Withdrawn};
use crate::progress::Event;
use crate::store::{CertLock, CertName, CertificateRecord, Draft, Generation, StoreError};

/// What became of a request.
#[derive(Debug)]
pub struct Issued {
    /// The certificate's name in the store.
    pub cert: CertName,
    /// What was done.
    pub outcome: Outcome,
    /// The generation that is current now.
    pub generation: Generation,
    /// TXT values that could not be removed.
    pub leftovers: Vec<Leftover>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// There is a new certificate.
    New,
    /// The stored one is what was asked for, and is not due before this moment.
    NotDue(Timestamp),
}

impl Service {
    /// Gets a certificate for the names of `request`, or does nothing when the stored one is what was asked for and
    /// is not due.
    ///
    /// Whatever happens, our TXT values are removed at the end, and the certificate that was there before stays in
    /// place until a new one is complete and checked.
    ///
    /// # Errors
    /// See [`CertificateError`]; [`CertificateError::is_input`] tells whether nothing was done.
    pub async fn issue(&self, request: &IssueRequest) -> Result<Issued, CertificateError> {
        request.check()?;
        self.unless_interrupted(self.sweep_first()).await?;
        self.issue_unswept(request).await
    }

    pub(super) async fn issue_unswept(&self, request: &IssueRequest) -> Result<Issued, CertificateError> {
        let cert = request.check()?;
        let lock = self.lock(&cert).await?;
        let stored = self.store.find_record(&cert)?;
        let settings = Settings::new(request, stored.as_ref())?;
        let current = self.store.current(&cert)?;
        if let Some(generation) = &current
            && !request.force
            && !settings.changed
        {
            let due = super::renew::due(generation, Timestamp::now());
            if !due.now {
                let (outcome, generation) = (Outcome::NotDue(due.at), generation.clone());
                self.keep_new_settings(&cert, request, &settings, stored.as_ref()).await?;
                return Ok(Issued { cert, outcome, generation, leftovers: Vec::new() });
            }
        }
        let result = self.make(&cert, &lock, request, settings, current.as_ref()).await;
        if let Err(error) = &result
            && let Some(mut record) = stored
        {
            record.last_error = Some(with_causes(error));
            record.last_attempt = Some(Timestamp::now());
            // Its own failure (a full disk, say) must not hide the first one.
            if let Err(error) = self.store.save_record(&cert, &record) {
                tracing::warn!(%cert, %error, "that the last try failed is not remembered");
            }
        }
        let (generation, leftovers) = result?;
        Ok(Issued { cert, outcome: Outcome::New, generation, leftovers })
    }

    /// Options that a certificate's content does not depend on are stored without a new certificate.
    async fn keep_new_settings(
        &self,
        cert: &CertName,
        request: &IssueRequest,
        settings: &Settings,
        stored: Option<&CertificateRecord>,
    ) -> Result<(), CertificateError> {
        let Some(stored) = stored else { return Ok(()) };
        let mut record = settings.record(&stored.plugin_args);
        if !request.arguments.is_empty() {
            record.plugin_args = self.arguments(cert, settings).await?.stored().clone();
        }
        record.names.clone_from(&stored.names);
        (record.last_error, record.last_attempt) = (stored.last_error.clone(), stored.last_attempt);
        if record != *stored {
            self.store.save_record(cert, &record)?;
        }
        Ok(())
    }

    pub(super) async fn arguments(
        &self,
        cert: &CertName,
        settings: &Settings,
    ) -> Result<Arguments, CertificateError> {
        let sources = plugin::with_default_credential(
            settings.plugin,
            settings.arguments.clone(),
            self.surroundings.prompter.as_ref(),
        )?;
        let (plugin, place) = (settings.plugin, place(cert));
        let reading = Arguments::resolve(plugin, &sources, &place, &self.sealing_key, &self.surroundings);
        Ok(self.unless_interrupted(reading).await??)
    }

    async fn make(
        &self,
        cert: &CertName,
        lock: &CertLock,
        request: &IssueRequest,
        settings: Settings,
        current: Option<&Generation>,
    ) -> Result<(Generation, Vec<Leftover>), CertificateError> {
        // 1. Credentials, before anything goes over the network.
        let arguments = self.arguments(cert, &settings).await?;
        for (parameter, instead) in arguments.deprecated() {
            self.progress.event(cert, Event::Deprecated { parameter, instead });
        }
        let plugin = settings.plugin.connect(&arguments, &self.surroundings)?;
        let watch = self.watch_credential(&plugin);
        let solver = DnsSolver::new(plugin.clone(), &settings.propagation, &self.surroundings.http)?;

        // 2. The key is on disk before the CA hears of it.
        let draft = self.store.begin(cert, lock)?;
        let key = self.key(&settings, current).await?;
        draft.write_key(key.pem())?;

        // 3. and 4. Directory and account; beside them, the zones of the names.
        let prepared = self.unless_interrupted(self.prepare(cert, request, &settings, &solver)).await?;
        if let Err(CertificateError::Challenge(ChallengeError::Prepare(_))) = &prepared {
            self.tell_of_credential(cert, plugin.as_ref()).await;
        }
        let (account, placement) = prepared?;

        // 5. to 9. From the order to the certificate.
        let own = publication(settings.plugin, &arguments, place(cert));
        let ledger = Ledger::begin(&self.store, cert.into(), own)?;
        let order = self.unless_interrupted(self.place_order(account, &settings)).await??;
        let records = Vec::new();
        let attempt =
            Attempt { service: self, cert, settings: &settings, solver, placement, order, ledger, records };
        let (pem, leftovers) = attempt.run(&key).await?;

        // 10. Checked, complete, and current by one rename.
        let generation = self.store_checked(cert, &settings, draft, &key, &pem)?;
        self.store.save_record(cert, &settings.record(arguments.stored()))?;
        self.warn_of_end(cert, watch).await;
        Ok((generation, leftovers))
    }

    async fn key(
        &self,
        settings: &Settings,
        current: Option<&Generation>,
    ) -> Result<PrivateKey, CertificateError> {
        if let Some(current) = current
            && settings.reuse_key
            && !settings.changed
        {
            return Ok(PrivateKey::from_pem(&current.private_key()?)?);
        }
        let kind = settings.key_type;
        // RSA takes up to seconds; timers and signals go on meanwhile.
        let made = tokio::task::spawn_blocking(move || PrivateKey::generate(kind)).await;
        Ok(made.map_err(|_| KeyError::Generation)??)
    }

    async fn prepare(
        &self,
        cert: &CertName,
        request: &IssueRequest,
        settings: &Settings,
        solver: &DnsSolver,
    ) -> Result<(Account, Placement), CertificateError> {
        let account = async {
            let server = self.connect(&settings.server).await?;
            self.account(cert, &server, &settings.server, request).await
        };
        let bases = settings.bases();
        let names = async {
            let placement = solver.prepare(&bases).await?;
            let caa = self.caa_of(settings, &placement).await;
            Ok((placement, caa))
        };
        // What is wrong with the names' DNS or with the credential is known before an order exists.
        let (account, (placement, caa)) = tokio::try_join!(account, names)?;
        self.obey_caa(settings, account.server(), &caa)?;
        Ok((account, placement))
    }

    fn store_checked(
        &self,
        cert: &CertName,
        settings: &Settings,
        draft: Draft,
        key: &PrivateKey,
        pem: &str,
    ) -> Result<Generation, CertificateError> {
        let (public_key, server) = (key.public_key_info(), settings.server.as_str());
        let (bundle, info) = check_bundle(pem, &public_key, &settings.names, server, Timestamp::now())?;
        let generation = draft.complete(&bundle, info)?;
        self.progress.event(cert, Event::Stored { generation: generation.number });
        Ok(generation)
    }
}

/// What a certificate's sealed parameters are bound to.
pub(super) fn place(cert: &CertName) -> String {
    format!("certificate/{cert}")
}

/// One try from an order to its certificate, with what has to be undone when it fails.
struct Attempt<'a> {
    service: &'a Service,
    cert: &'a CertName,
    settings: &'a Settings,
    solver: DnsSolver,
    placement: Placement,
    order: PlacedOrder,
    ledger: Ledger<'a>,
    /// What is published, or may be.
    records: Vec<TxtRecord>,
}

impl Attempt<'_> {
    /// The certificate (PEM), and what could not be removed. Our values are gone in the end, whatever happens.
    async fn run(mut self, key: &PrivateKey) -> Result<(String, Vec<Leftover>), CertificateError> {
        if let Err(error) = self.prove().await {
            self.give_up().await;
            return Err(error);
        }
        // 9. The certificate; beside it, the removal of what was published.
        let limit = self.settings.validation_timeout;
        let certificate = async {
            let csr = certificate_request(key, &self.settings.names)?;
            self.service.unless_interrupted(self.order.certificate(&csr, limit)).await?
        };
        let (pem, withdrawn) = tokio::join!(certificate, self.clean_up());
        settled(self.cert, self.ledger.settle(&withdrawn, &[]));
        Ok((pem?, withdrawn.leftovers))
    }

    async fn prove(&mut self) -> Result<(), CertificateError> {
        let (service, cert) = (self.service, self.cert);
        let event = |event: Event<'_>| service.progress.event(cert, event);
        if self.settings.plugin.sweeps {
            self.ledger.order(&self.settings.server, &self.order.order)?;
        }
        let open: OpenOrder<'_> = service.unless_interrupted(self.order.open()).await??;
        event(Event::Ordered { names: self.settings.names.len(), open: open.open.len() });
        let proofs = open.proofs();
        if proofs.is_empty() {
            return Ok(());
        }

        // 6. Published, after it is noted on disk what will be.
        let records = self.placement.records(&proofs);
        if self.settings.plugin.sweeps {
            self.ledger.records(&records)?;
        }
        self.records = records;
        let begun = Instant::now();
        self.solver.publish(&self.records).await?;
        event(Event::Published { values: self.records.len(), took: begun.elapsed() });

        // 7. Public.
        let begun = Instant::now();
        let report = |watch: crate::dns::Watch| {
            event(Event::Propagating { ready: watch.ready, all: watch.all });
        };
        let stop = service.interrupt.cancelled();
        if !self.solver.propagate(&self.placement, &proofs, report, stop).await? {
            return Err(CertificateError::Interrupted);
        }
        event(Event::Propagated { took: begun.elapsed() });

        // 8. The CA looks.
        let begun = Instant::now();
        let limit = self.settings.validation_timeout;
        service.unless_interrupted(open.validate(limit, &self.solver, &self.placement)).await??;
        event(Event::Validated { took: begun.elapsed() });
        Ok(())
    }

    /// Removes what was published, and takes back what the CA still waits for.
    async fn give_up(self) {
        let urls = &self.order.order.authorizations;
        let deactivation = async {
            let work = deactivate_pending(&self.order.account, urls);
            tokio::time::timeout(COURTESY, work).await.unwrap_or_else(|_| urls.clone())
        };
        let (withdrawn, pending) = tokio::join!(self.clean_up(), deactivation);
        settled(self.cert, self.ledger.settle(&withdrawn, &pending));
    }

    async fn clean_up(&self) -> Withdrawn {
        if self.records.is_empty() {
            return Withdrawn::default();
        }
        let event = |event: Event<'_>| self.service.progress.event(self.cert, event);
        event(Event::CleaningUp);
        let withdrawn = self.solver.withdraw(&self.records).await;
        for leftover in &withdrawn.leftovers {
            let (fqdn, value) = (&leftover.record.fqdn, &leftover.record.value);
            let reason = with_causes(leftover.reason.as_ref());
            event(Event::LeftBehind { fqdn, value, reason: &reason });
        }
        withdrawn
    }
}

/// A journal that cannot be struck off costs a later run a look, and must not fail this one.
fn settled(cert: &CertName, settled: Result<(), StoreError>) {
    if let Err(error) = settled {
        tracing::warn!(%cert, error = with_causes(&error), "that our TXT values are removed could not be noted");
    }
}

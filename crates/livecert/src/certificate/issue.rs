//! From names to a certificate: the ten steps, each a call into one room.
//!
//! Retries, polling and pacing live where they happen (the protocol crate, the LiveDNS crate, the DNS room); here is
//! the order of things, and what has to be undone when one of them fails.

use std::time::Instant;

use jiff::Timestamp;

use super::order::OpenOrder;
use super::settings::Settings;
use super::{CertificateError, IssueRequest, Service, check_bundle};
use crate::challenge::{DnsSolver, Placement, Proof};
use crate::key::{KeyError, PrivateKey, certificate_request};
use crate::plugin::{self, Arguments, Leftover, TxtRecord};
use crate::progress::Event;
use crate::store::{CertLock, CertName, CertificateRecord, Draft, Generation};

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

    async fn arguments(&self, cert: &CertName, settings: &Settings) -> Result<Arguments, CertificateError> {
        let sources = plugin::with_default_credential(
            settings.plugin,
            settings.arguments.clone(),
            self.surroundings.prompter.as_ref(),
        )?;
        let place = format!("certificate/{cert}");
        let reading =
            Arguments::resolve(settings.plugin, &sources, &place, &self.sealing_key, &self.surroundings);
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
        let solver = DnsSolver::new(plugin, &settings.propagation)?;

        // 2. The key is on disk before the CA hears of it.
        let draft = self.store.begin(cert, lock)?;
        let key = self.key(&settings, current).await?;
        draft.write_key(key.pem())?;

        // 3. to 5. Directory, account, order and authorizations; beside them, the zones of the names.
        let (open, placement) =
            self.unless_interrupted(self.prepare(cert, request, &settings, &solver)).await??;
        self.progress.event(cert, Event::Ordered { names: settings.names.len(), open: open.open.len() });

        // 6. to 8. Publish, wait until it is public, let the CA look.
        let proofs = open.proofs();
        let records = placement.records(&proofs);
        if let Err(error) = self.prove(cert, &settings, &solver, &open, &placement, &proofs, &records).await {
            self.clean_up(cert, &solver, &records).await;
            return Err(error);
        }

        // 9. The certificate; beside it, the removal of what was published.
        let csr = certificate_request(&key, &settings.names)?;
        let (pem, leftovers) = tokio::join!(
            self.unless_interrupted(open.certificate(&csr, settings.validation_timeout)),
            self.clean_up(cert, &solver, &records),
        );

        // 10. Checked, complete, and current by one rename.
        let generation = self.store_checked(cert, &settings, draft, &key, &pem??)?;
        self.store.save_record(cert, &settings.record(arguments.stored()))?;
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
    ) -> Result<(OpenOrder, Placement), CertificateError> {
        let order = async {
            let server = self.connect(&settings.server).await?;
            let account = self.account(cert, &server, &settings.server, request).await?;
            Ok::<_, CertificateError>(account)
        };
        let bases = settings.bases();
        // What is wrong with the names' DNS or with the credential is known before an order exists.
        let (account, placement) = tokio::try_join!(order, async { Ok(solver.prepare(&bases).await?) })?;
        Ok((self.new_order(account, settings).await?, placement))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one step, each owned by the caller for its clean-up"
    )]
    async fn prove(
        &self,
        cert: &CertName,
        settings: &Settings,
        solver: &DnsSolver,
        open: &OpenOrder,
        placement: &Placement,
        proofs: &[Proof],
        records: &[TxtRecord],
    ) -> Result<(), CertificateError> {
        if proofs.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        solver.publish(records).await?;
        self.progress.event(cert, Event::Published { values: records.len(), took: begun.elapsed() });

        let begun = Instant::now();
        let report = |watch: crate::dns::Watch| {
            self.progress.event(cert, Event::Propagating { ready: watch.ready, all: watch.all });
        };
        let stop = self.interrupt.cancelled();
        if !solver.propagate(placement, proofs, report, stop).await? {
            return Err(CertificateError::Interrupted);
        }
        self.progress.event(cert, Event::Propagated { took: begun.elapsed() });

        let begun = Instant::now();
        self.unless_interrupted(open.validate(settings.validation_timeout, solver, placement)).await??;
        self.progress.event(cert, Event::Validated { took: begun.elapsed() });
        Ok(())
    }

    async fn clean_up(&self, cert: &CertName, solver: &DnsSolver, records: &[TxtRecord]) -> Vec<Leftover> {
        if records.is_empty() {
            return Vec::new();
        }
        self.progress.event(cert, Event::CleaningUp);
        let leftovers = solver.withdraw(records).await;
        for leftover in &leftovers {
            let (fqdn, value) = (&leftover.record.fqdn, &leftover.record.value);
            let reason = with_causes(leftover.reason.as_ref());
            self.progress.event(cert, Event::LeftBehind { fqdn, value, reason: &reason });
        }
        leftovers
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

/// An error with its causes, in one line.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

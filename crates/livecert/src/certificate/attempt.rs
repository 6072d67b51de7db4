//! One try from an order to its certificate, with what has to be undone when it fails.

use std::time::Instant;

use livecert_acme::{AuthorizationStatus, Certificate, ChallengeType, OrderStatus};

use super::check::CaaSets;
use super::ledger::Ledger;
use super::order::{OpenAuthorization, PlacedOrder, Shown, deactivate, deactivate_pending};
use super::settings::Settings;
use super::sweep::COURTESY;
use super::{CertificateError, ServerUrl, Service, with_causes};
use crate::challenge::{ChallengeError, Placement, Proof, Solvers, Standing};
use crate::plugin::{Leftover, TxtRecord, WebProof, Withdrawn};
use crate::progress::{Event, Step};
use crate::store::{CertName, Draft, Generation, StoreError};

/// One try. What it shows is gone in the end, whatever happens.
pub(super) struct Attempt<'a> {
    pub(super) service: &'a Service,
    pub(super) cert: &'a CertName,
    pub(super) settings: &'a Settings,
    pub(super) server: &'a ServerUrl,
    pub(super) solvers: &'a Solvers,
    pub(super) placement: Placement,
    pub(super) caa: CaaSets,
    pub(super) order: PlacedOrder,
    pub(super) ledger: Ledger<'a>,
    /// TXT values that are published, or may be.
    pub(super) records: Vec<TxtRecord>,
    /// What is shown at hosts, or may be.
    pub(super) web: Vec<WebProof>,
    /// A person goes on with the order step by step: whatever fails, it stays.
    pub(super) kept: bool,
}

impl Attempt<'_> {
    /// What `store` makes of the certificate with its chains, and what could not be removed. The draft is kept for a later
    /// run where the order may still give a certificate.
    pub(super) async fn run(
        mut self,
        draft: &mut Draft,
        csr: &[u8],
        store: impl AsyncFnOnce(&mut Draft, &[Certificate]) -> Result<Generation, CertificateError>,
    ) -> Result<(Generation, Vec<Leftover>), CertificateError> {
        if let Err(error) = self.prove().await {
            draft.keep(self.kept);
            self.give_up().await;
            return Err(error);
        }
        // 9. The certificate; beside it, the removal of what was published. From here on it is proved, and whatever
        // happens to us, the order can give a certificate.
        draft.keep(true);
        self.service.progress.event(self.cert, Event::Begins { step: Step::Finalize });
        // It is on disk as soon as it is here: the removal may take longer.
        let certificate = async {
            let chains = self.certificate(draft, csr).await?;
            store(draft, &chains).await
        };
        let (stored, (withdrawn, shown)) = tokio::join!(certificate, self.clean_up());
        settled(self.cert, self.ledger.settle(&withdrawn, &shown, &[]).await);
        if self.service.rehearsing {
            // What is proved now must not make the next rehearsal easier than it looks.
            let statuses = [AuthorizationStatus::Pending, AuthorizationStatus::Valid];
            let work = deactivate(&self.order.account, &self.order.order.authorizations, &statuses);
            let _ = tokio::time::timeout(COURTESY, work).await;
        }
        Ok((stored?, withdrawn.leftovers))
    }

    /// As far as the CA's word that all names are proved. Gives what could not be removed.
    pub(super) async fn solve(mut self) -> Result<Vec<Leftover>, CertificateError> {
        let proved = self.prove().await;
        let (withdrawn, shown) = self.clean_up().await;
        settled(self.cert, self.ledger.settle(&withdrawn, &shown, &[]).await);
        proved.map(|()| withdrawn.leftovers)
    }

    async fn certificate(&self, draft: &mut Draft, csr: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
        let finalized = self.service.unless_interrupted(self.order.finalize(csr)).await;
        let url = finalized.flatten().inspect_err(|error| draft.keep(!is_final(error)))?;
        let download = self.service.unless_interrupted(self.order.download(&url)).await;
        // Some servers need a moment before they find what they have just made, so one run is not enough to give it up.
        let is_old = self.order.order.status == OrderStatus::Valid;
        download.flatten().inspect_err(|error| draft.keep(!(is_old && is_final(error))))
    }

    async fn prove(&mut self) -> Result<(), CertificateError> {
        let (service, cert) = (self.service, self.cert);
        let event = |event: Event<'_>| service.progress.event(cert, event);
        let noting = async {
            // A sweep must not end what a person goes on with.
            if self.kept {
                return Ok(());
            }
            self.ledger.order(self.server, &self.order.account, &self.order.order);
            self.ledger.save().await
        };
        let account = &self.order.account;
        let allows = |base: &str, wildcard: bool, kind: &ChallengeType| {
            service.caa_allows(account, &self.caa, (base, wildcard), kind)
        };
        let opening = self.order.open(&self.settings.proofs, self.solvers, allows);
        let (noted, open) = tokio::join!(noting, service.unless_interrupted(opening));
        noted?;
        let open = open??;
        event(Event::Ordered { names: self.settings.names.len(), open: open.len() });
        self.order.tell_choice(service, cert, &self.settings.proofs, &open);
        if open.is_empty() && self.order.order.status != OrderStatus::Pending {
            return Ok(());
        }

        if self.settings.serial
            && let [first @ .., last] = open.as_slice()
        {
            for one in first {
                self.prove_together(std::slice::from_ref(one), false).await?;
                self.take_back().await;
            }
            return self.prove_together(std::slice::from_ref(last), true).await;
        }
        self.prove_together(&open, true).await
    }

    /// Proves these names, all at once. With the `last` ones the order is done.
    async fn prove_together(
        &mut self,
        open: &[OpenAuthorization],
        last: bool,
    ) -> Result<(), CertificateError> {
        let (service, cert) = (self.service, self.cert);
        let event = |event: Event<'_>| service.progress.event(cert, event);

        // 6. Published, after it is noted on disk what will be.
        event(Event::Begins { step: Step::Publish });
        let proofs = self.publish(open).await?;

        // 7. Public.
        if !proofs.is_empty()
            && let Some(dns) = &self.solvers.dns
        {
            event(Event::Begins { step: Step::Propagation });
            let begun = Instant::now();
            let report = |watch: crate::dns::Watch<'_>| {
                event(Event::Propagating { ready: watch.ready, all: watch.all, servers: watch.servers });
            };
            let stop = service.interrupt.cancelled();
            if !dns.propagate(&self.placement, &proofs, report, stop).await? {
                return Err(CertificateError::Interrupted);
            }
            event(Event::Propagated { took: begun.elapsed() });
        }

        // 8. The CA looks.
        event(Event::Begins { step: Step::Validation });
        let begun = Instant::now();
        let limit = self.settings.validation_timeout;
        let validation = async {
            match open {
                [one] if !last => self.order.validate_one(one, limit, self.solvers, &self.placement).await,
                open => self.order.validate(open, limit, self.solvers, &self.placement).await,
            }
        };
        service.unless_interrupted(validation).await?.inspect_err(|error| {
            service.note_failures(self.server, self.order.account.url().as_str(), error);
        })?;
        event(Event::Validated { took: begun.elapsed() });
        Ok(())
    }

    /// Shows all that has to be shown. Gives the proofs in DNS.
    async fn publish(&mut self, open: &[OpenAuthorization]) -> Result<Vec<Proof>, CertificateError> {
        let (mut proofs, mut web) = (Vec::new(), Vec::new());
        let mut standings = Vec::<&Standing>::new();
        for one in open {
            match &one.shown {
                Shown::Txt(proof) => proofs.push(proof.clone()),
                Shown::Web(proof) => web.push(proof.clone()),
                // One record may stand for several names.
                Shown::Standing(standing) if standings.contains(&standing) => {}
                Shown::Standing(standing) => standings.push(standing),
            }
        }
        standings.iter().for_each(|standing| self.service.warn_of_standing(self.cert, standing));
        let begun = Instant::now();
        let before = self.records.len();
        if let Some(dns) = &self.solvers.dns
            && !proofs.is_empty()
        {
            let unknown = proofs.iter().map(|proof| proof.name.clone());
            let mut unknown: Vec<_> = unknown.filter(|name| !self.placement.knows(name)).collect();
            unknown.sort();
            unknown.dedup();
            if !unknown.is_empty() {
                let preparing = dns.prepare(&unknown);
                self.placement.extend(self.service.unless_interrupted(preparing).await??);
            }
            let records = self.placement.records(&proofs);
            let turns = dns.take_turns(&self.placement, &records);
            self.service.unless_interrupted(turns).await??;
            // What an earlier name's proof left is noted as long as it is there.
            let mut all = self.records.clone();
            all.extend(records);
            self.ledger.records(&dns.by_writer(&self.placement, &all)?).await?;
            self.records = all;
            // Who is asked at a terminal and goes says no.
            let interrupted = |error: ChallengeError| match self.service.interrupt.is_cancelled() {
                true => CertificateError::Interrupted,
                false => error.into(),
            };
            dns.publish(&self.placement, &self.records[before..]).await.map_err(interrupted)?;
        }
        if let Some(solver) = &self.solvers.web
            && !web.is_empty()
        {
            self.web.extend_from_slice(&web);
            self.ledger.files(&solver.by_shower(&self.web)).await?;
            solver.publish(&web).await?;
        }
        let values = self.records.len() - before + web.len();
        if values > 0 {
            let event = Event::Published { values, took: begun.elapsed() };
            self.service.progress.event(self.cert, event);
        }
        Ok(proofs)
    }

    /// Removes what was published for one name, before the next one is shown. What is left is tried once more in the end.
    async fn take_back(&mut self) {
        let (withdrawn, shown) = self.clean_up().await;
        let left = withdrawn.leftovers.iter().map(|leftover| &leftover.record);
        let kept: Vec<_> = left.chain(&withdrawn.shared).cloned().collect();
        self.records.retain(|record| kept.contains(record));
        self.web = shown;
    }

    /// Removes what was published, and takes back what the CA still waits for, unless somebody goes on with it.
    pub(super) async fn give_up(self) {
        let urls: &[url::Url] = if self.kept { &[] } else { &self.order.order.authorizations };
        let deactivation = async {
            let work = deactivate_pending(&self.order.account, urls);
            tokio::time::timeout(COURTESY, work).await.unwrap_or_else(|_| urls.to_vec())
        };
        let ((withdrawn, shown), pending) = tokio::join!(self.clean_up(), deactivation);
        settled(self.cert, self.ledger.settle(&withdrawn, &shown, &pending).await);
    }

    /// Removes what was published. Gives what may still be there: in DNS, and at hosts.
    async fn clean_up(&self) -> (Withdrawn, Vec<WebProof>) {
        let mut shown = Vec::new();
        if self.records.is_empty() && self.web.is_empty() {
            return (Withdrawn::default(), shown);
        }
        let event = |event: Event<'_>| self.service.progress.event(self.cert, event);
        event(Event::CleaningUp);
        if let Some(web) = &self.solvers.web
            && !self.web.is_empty()
        {
            for left in web.withdraw(&self.web).await {
                let reason = with_causes(left.reason.as_ref());
                event(Event::StillShown { host: left.proof.host(), reason: &reason });
                shown.push(left.proof);
            }
        }
        let withdrawn = match &self.solvers.dns {
            Some(dns) if !self.records.is_empty() => dns.withdraw(&self.placement, &self.records).await,
            _ => Withdrawn::default(),
        };
        for leftover in &withdrawn.leftovers {
            let (fqdn, value) = (&leftover.record.fqdn, &leftover.record.value);
            let reason = with_causes(leftover.reason.as_ref());
            event(Event::LeftBehind { fqdn, value, reason: &reason });
        }
        (withdrawn, shown)
    }
}

/// Whether the order can give no certificate any more.
fn is_final(error: &CertificateError) -> bool {
    match error {
        CertificateError::Refused { .. } => true,
        // A request that the CA does not take will not be taken later either.
        CertificateError::Acme { source, .. } => matches!(
            source.class(),
            livecert_acme::ErrorClass::Refused
                | livecert_acme::ErrorClass::Dns
                | livecert_acme::ErrorClass::AccountGone
        ),
        _ => false,
    }
}

/// A journal that cannot be struck off costs a later run a look, and must not fail this one.
fn settled(cert: &CertName, settled: Result<(), StoreError>) {
    if let Err(error) = settled {
        tracing::warn!(%cert, error = with_causes(&error), "that our TXT values are removed could not be noted");
    }
}

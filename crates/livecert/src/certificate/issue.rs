//! From names to a certificate: the ten steps, each a call into one room.
//!
//! Retries, polling and pacing live where they happen (the protocol crate, the LiveDNS crate, the DNS room); here is
//! the order of things, and what has to be undone when one of them fails.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use livecert_acme::{Account, Certificate, CertificateId, ChallengeType};

use super::amend::Amendment;
use super::attempt::Attempt;
use super::back_off::Occasion;
use super::check::CaaSets;
use super::credential::{forget_end, stage_settings};
use super::ledger::Ledger;
use super::order::{PlacedOrder, profile};
use super::output::ReadyOutput;
use super::proof::NameProof;
use super::ready::Ready;
use super::settings::Settings;
use super::work::{Key, Subject, Work};
use super::{
    BundleError, CertificateError, CheckedBundle, DeployRun, IssueRequest, ServerUrl, Service, check_bundle,
    with_causes,
};
use crate::challenge::{
    ChallengeError, DnsSolver, Placement, Solvers, StandingWish, account_validation_name, validation_name,
};
use crate::plugin::Leftover;
use crate::progress::{Event, Step};
use crate::store::{
    AccountRecord, CertLock, CertName, CertificateRecord, Draft, Generation, KEEP_GENERATIONS,
    PendingDeployment, PendingOrder, Store, StoreError,
};

/// How long an order that may still give a certificate keeps other servers from being asked, and counts for rate limits as if
/// it did.
pub(super) const ORDER_CHANCE: SignedDuration = SignedDuration::from_hours(1);

/// Names whose standing records are looked for at a time.
const SIDE_BY_SIDE: usize = 16;

/// What became of a request.
#[derive(Debug)]
pub struct Issued {
    /// The certificate's name in the store.
    pub cert: CertName,
    /// What was done.
    pub outcome: Outcome,
    /// Whether there are other settings now for the certificate that is not due.
    pub changed: bool,
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

/// What a request comes to before anything is asked of a CA.
pub(super) enum Begun {
    /// The stored certificate is what was asked for.
    NotDue(Issued),
    /// One is to be made with these settings, beside or in the place of this one.
    Due(Box<Settings>, Option<Generation>),
}

/// An order, with all that is needed to go on from it.
pub(super) struct Placed<'a> {
    pub(super) draft: Draft,
    pub(super) key: Key,
    /// The certificate request, DER.
    pub(super) csr: Vec<u8>,
    pub(super) pending: PendingOrder,
    pub(super) attempt: Attempt<'a>,
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
        self.outages.begin_run();
        self.unless_interrupted(self.sweep_first(&[cert])).await?;
        let run = DeployRun::new(true);
        let issued = self.issue_unswept(request, Occasion::Issue, &run).await;
        match self.finish_deployments(run).await.into_iter().next() {
            Some((_, error)) => issued.and(Err(error)),
            None => issued,
        }
    }

    /// The same without a sweep, as a part of `run`. For a renewal the certificate is one of the store, and the CA has been
    /// asked already when it wants it.
    pub(super) async fn issue_unswept(
        &self,
        request: &IssueRequest,
        occasion: Occasion,
        run: &DeployRun,
    ) -> Result<Issued, CertificateError> {
        let cert = request.check()?;
        let lock = self.lock(&cert).await?;
        let issued = self.issue_locked((&cert, &lock), request, occasion, run).await;
        // Last of all: until then there may be a reason to go back.
        if issued.is_ok() && !run.has(&cert) {
            self.prune(&cert, &lock);
        }
        run.end_of(&cert, lock, issued.as_ref().err());
        issued
    }

    async fn issue_locked(
        &self,
        (cert, lock): (&CertName, &CertLock),
        request: &IssueRequest,
        occasion: Occasion,
        run: &DeployRun,
    ) -> Result<Issued, CertificateError> {
        let (settings, current) = match self.begin((cert, lock), request, occasion, run).await? {
            Begun::NotDue(issued) => return Ok(issued),
            Begun::Due(settings, current) => (settings, current),
        };
        let work = Work { cert, lock, request, settings: &settings, current: current.as_ref(), run };
        let result = self.make(&work).await;
        match &result {
            Ok(_) => self.forget_failures(cert),
            Err(error) => self.remember_failure(&work, occasion, error),
        }
        let (generation, leftovers) = result?;
        self.deploy(cert, &generation, run).await?;
        Ok(Issued { cert: cert.clone(), outcome: Outcome::New, changed: false, generation, leftovers })
    }

    /// Finds out what is wanted and whether there is anything to do.
    pub(super) async fn begin(
        &self,
        (cert, lock): (&CertName, &CertLock),
        request: &IssueRequest,
        occasion: Occasion,
        run: &DeployRun,
    ) -> Result<Begun, CertificateError> {
        run.hide(request.sources());
        let renews = matches!(occasion, Occasion::Named | Occasion::Due);
        let stored = match renews && !self.rehearsing {
            // It was there before the lock, and may have been removed while this one waited.
            true => Some(self.store.record(cert)?),
            false => self.store.find_record(cert)?,
        };
        let mut settings = self.settings(request, stored.as_ref())?;
        if let Some(own) = &request.own_request
            && stored.is_some()
        {
            settings.changed |= self.store.own_request(cert).map_or(true, |stored| stored != *own);
        }
        if self.deployment(cert)?.post_owed && !run.is_rehearsal() {
            run.owe(cert, &settings.deployment);
        }
        self.store.finish_left_behind(cert, lock)?;
        if !request.force && !settings.changed {
            self.put_forth(cert, lock, run).await?;
        }
        let current = self.store.current(cert)?;
        // A certificate without a record is of a run that died in between, or of a folder that was damaged.
        let other = |current: &Generation| !settings.made(&current.info);
        settings.changed |= stored.is_none() && current.as_ref().is_some_and(other);
        // What was rolled back to may be for other names than those that are asked for now.
        settings.changed |= current.as_ref().is_some_and(|current| !settings.has_names_of(&current.info));
        if let Some(generation) = &current
            && !request.force
            && !settings.changed
        {
            if occasion == Occasion::Issue {
                self.unless_interrupted(self.ask_for_window_of(cert)).await?;
            }
            let due = self.due(cert, generation, Timestamp::now());
            if !due.now {
                let (stored, current, new_password) = (stored.as_ref(), Some(generation), false);
                let settings = &settings;
                let to = Amendment { cert, lock, settings, stored, current, new_password };
                let amended = self.amend(&to).await?;
                // What a dead run did not come to note is no change that somebody made.
                let changed = amended.changed && stored.is_some();
                let generation = amended.rewritten.unwrap_or_else(|| generation.clone());
                let outcome = Outcome::NotDue(due.at);
                self.deploy(cert, &generation, run).await?;
                let leftovers = Vec::new();
                let issued = Issued { cert: cert.clone(), outcome, changed, generation, leftovers };
                return Ok(Begun::NotDue(issued));
            }
        }
        if !request.force {
            self.after_failures(cert, &settings, occasion)?;
        }
        Ok(Begun::Due(Box::new(settings), current))
    }

    /// Removes generations that are too old to be gone back to; none while a new one waits to be deployed, because services
    /// may have an older one. That it fails costs room on the disk and nothing else.
    pub(super) fn prune(&self, cert: &CertName, lock: &CertLock) {
        if !self.store.deployment(cert).is_ok_and(|state| state.pending.is_none()) {
            return;
        }
        let record = self.store.find_record(cert).ok().flatten();
        let keep = record.and_then(|record| record.keep_generations).unwrap_or(KEEP_GENERATIONS);
        match self.store.prune(cert, lock, keep) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(%cert, ?gone, "removed old generations"),
            Err(error) => {
                tracing::warn!(%cert, error = with_causes(&error), "old generations could not be removed");
            }
        }
    }

    /// Makes the certificate at its home, or at the first of the other servers that does better.
    async fn make(&self, work: &Work<'_>) -> Result<(Generation, Vec<Leftover>), CertificateError> {
        // 1. Credentials, before anything goes over the network.
        let (cert, settings) = (work.cert, work.settings);
        let subject = self.subject(work)?;
        let ready = self.ready(cert, settings).await?;
        for (parameter, instead) in ready.publishers.iter().flat_map(|one| one.arguments.deprecated()) {
            self.progress.event(cert, Event::Deprecated { parameter, instead });
        }
        let watches = ready.writers().iter().map(|writer| self.watch_credential(&writer.plugin)).collect();

        let mut earlier: Vec<(String, String)> = Vec::new();
        let mut servers = settings.servers.iter();
        let made = loop {
            // There is always a home.
            let Some(server) = servers.next() else { return Err(CertificateError::NoNames) };
            let error = match self.make_at(server, work, &subject, &ready).await {
                Ok(made) => break made,
                Err(error) => error,
            };
            // What is wrong with a fallback alone must not keep the next one from helping.
            let leaves =
                error.calls_for_another_server() || (!earlier.is_empty() && error.is_about_the_server());
            let others = servers.as_slice();
            match others.first() {
                Some(next) if leaves && !self.is_ordered(work, others)? => {
                    let (from, to, reason) = (server.to_string(), next.to_string(), with_causes(&error));
                    self.progress.event(cert, Event::Fallback { from: &from, to: &to, reason: &reason });
                    earlier.push((from, reason));
                }
                _ if earlier.is_empty() || !error.is_about_the_server() => return Err(error),
                _ => {
                    let (server, source) = (server.to_string(), Box::new(error));
                    return Err(CertificateError::NoServer { earlier, server, source });
                }
            }
        };
        self.warn_of_own_ends(cert, watches).await;
        Ok(made)
    }

    /// Whether there is an order that may still give a certificate: then it is taken up by the next run, and nobody else is
    /// asked, unless it is one of the `others` that has it. After an hour it has had its chance.
    fn is_ordered(&self, work: &Work<'_>, others: &[ServerUrl]) -> Result<bool, CertificateError> {
        let left = self.store.left_behind(work.cert, work.lock)?;
        let stays = |order: &PendingOrder| {
            let young = Timestamp::now().duration_since(order.made) < ORDER_CHANCE;
            young && !others.iter().any(|other| other.as_str() == order.server)
        };
        Ok(left.is_some_and(|(_, order)| stays(&order)))
    }

    async fn make_at(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        subject: &Subject,
        ready: &Ready,
    ) -> Result<(Generation, Vec<Leftover>), CertificateError> {
        // 2. to 5. To the order.
        let Placed { mut draft, key, csr, pending, attempt } =
            self.place(server, work, subject, ready, false).await?;
        let offers_windows = attempt.order.account.server().directory().renewal_info.is_some();

        // 6. to 9. From the order to the certificate.
        let end = work.current.map(|current| current.info.not_after);
        let held = |error: &CertificateError| {
            self.remember_hold(work.cert, server.as_str(), work.names(), end, error);
        };
        // 10. Checked, complete, and current by one rename, while the proofs are still being removed.
        let record = work.settings.record(&ready.stored(), ready.output.record());
        let store = async |draft: &mut Draft, chains: &[Certificate]| {
            let of = (draft, &key, &pending);
            self.store_checked(work, of, (&ready.output, &record), chains).await
        };
        let made = attempt.run(&mut draft, &csr, store).await.inspect_err(held);
        if made.is_err() && !draft.stays() {
            self.note_no_certificate(server, &pending.account, work.cert);
        }
        let (generation, leftovers) = made?;
        if !offers_windows && let Some(id) = &generation.info.certificate_id {
            self.note_no_window(work.cert, id);
        }
        Ok((generation, leftovers))
    }

    /// From the key to the order: a new one, or the one of an earlier run. `kept` is for an order that a person goes on with,
    /// step by step.
    pub(super) async fn place<'a>(
        &'a self,
        server: &'a ServerUrl,
        work: &Work<'a>,
        subject: &Subject,
        ready: &'a Ready,
        kept: bool,
    ) -> Result<Placed<'a>, CertificateError> {
        let (cert, settings) = (work.cert, work.settings);
        let solvers = &ready.solvers;
        let end = work.current.map(|current| current.info.not_after);
        let left = self.store.left_behind(cert, work.lock)?;
        let is_ours =
            |(_, order): &(Draft, PendingOrder)| order.server == server.as_str() && !order.url.is_empty();
        let hold = match left.as_ref().is_some_and(is_ours) {
            true => self.own_hold(cert, server.as_str(), &work.names()),
            false => self.hold(cert, server.as_str(), &work.names(), end),
        };
        if let Some(hold) = hold.filter(|_| !work.request.force) {
            let (server, until, words) = (server.to_string(), hold.until, hold.words);
            return Err(CertificateError::Held { server, until, words });
        }
        if !left.as_ref().is_some_and(is_ours) {
            self.within_limits(cert, server, settings, work.current)?;
            // Who goes on step by step waits for one order, and nobody for it.
            if !kept && let Some(outage) = self.outages.of(server) {
                return Err(outage);
            }
        }

        // 2. The key. It is synced with its order, before the CA hears of it.
        let former = left.as_ref().map(|(_, order)| order.clone()).filter(|order| order.kept);
        let (mut draft, key, mut pending) = self.draft(server, work, subject, left).await?;
        let csr = key.request(settings)?;

        // What is stopped for a validation runs on until there is one.
        if !kept {
            self.before_requests(work).await?;
        }

        self.progress.event(cert, Event::Begins { step: Step::Order });

        // 3. and 4. Directory and account; beside them, the zones of the names.
        let noted = |begun: Instant| {
            move |error: &CertificateError| {
                self.outages.note(server, begun, error);
                self.remember_hold(cert, server.as_str(), work.names(), end, error);
            }
        };
        let begun = Instant::now();
        let preparing = self.prepare(server, work, solvers, !pending.url.is_empty());
        let prepared = self.unless_interrupted(preparing).await?;
        if let Err(CertificateError::Challenge(ChallengeError::Prepare { publisher, .. })) = &prepared
            && let Some(writer) = ready.writers().iter().find(|writer| writer.name == *publisher)
        {
            self.tell_of_credential(cert, writer.plugin.as_ref()).await;
        }
        let (account, placement, caa) = prepared.inspect_err(noted(begun))?;

        // 5. The order. Not to be interrupted while it is made: one that nobody knows of stays pending at the CA.
        let ledger = Ledger::begin(&self.store, cert, work.lock, ready.publications())?;
        let begun = Instant::now();
        let order = self.order(server, work, account, &pending).await.inspect_err(noted(begun))?;
        self.outages.end(server);
        if pending.url != order.order.url.as_str() {
            pending.account = order.account.url().to_string();
            pending.url = order.order.url.to_string();
            (pending.kept, pending.made) = (false, Timestamp::now());
        }
        pending.kept |= kept;
        let noted = draft.write_order_aside(&self.store, work.lock, &pending).await;
        if noted.is_ok()
            && let Some(former) = former.filter(|former| former.url != pending.url)
        {
            self.progress.event(cert, Event::OrderReplaced { url: &former.url });
            self.forsake(cert, &former).await;
        }
        let (records, web) = (Vec::new(), Vec::new());
        let attempt = Attempt {
            service: self,
            cert,
            settings,
            server,
            solvers,
            placement,
            caa,
            order,
            ledger,
            records,
            web,
            kept: pending.kept && noted.is_ok(),
        };
        if let Err(error) = noted {
            self.note_no_certificate(server, &pending.account, cert);
            attempt.give_up().await;
            return Err(error.into());
        }
        Ok(Placed { draft, key, csr, pending, attempt })
    }

    /// Account, zones of the names, and what CAA says: all that can go wrong before there is an order.
    pub(super) async fn prepare(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        solvers: &Solvers,
        resuming: bool,
    ) -> Result<(Account, Placement, CaaSets), CertificateError> {
        let settings = work.settings;
        let stored = self.account_for(server, settings, work.current)?;
        let wanted = work.account_request(stored.as_ref().and_then(AccountRecord::known_url));
        let account = async {
            let connected = self.connect(server).await?;
            if !resuming {
                profile(&connected, server, settings)?;
            }
            self.account(work.cert, &connected, server, &wanted, settings).await
        };
        // The account's label is in the names of dns-account-01, so an account that is still to be made comes first.
        let known = stored.and_then(|account| account.url);
        let likely = settings.proofs.likely_validation_names(known.as_deref());
        let names = async {
            // An order that is there already may need nothing written; what it needs is looked for again then.
            let placed = match &solvers.dns {
                Some(dns) if !likely.is_empty() => match dns.placement(&likely).await {
                    Err(_) if resuming => Placement::default(),
                    placed => placed?,
                },
                _ => Placement::default(),
            };
            let zones = async {
                let mut placement = placed.clone();
                if let Some(dns) = &solvers.dns {
                    match dns.find_zones(&mut placement).await {
                        Err(_) if resuming => placement = Placement::default(),
                        found => found?,
                    }
                }
                if let Some(web) = &solvers.web {
                    web.prepare().await?;
                }
                Ok::<_, CertificateError>(placement)
            };
            // CAA is DNS alone: nothing that the plugins find is needed for it.
            let caa = async { Ok(self.caa_of(settings, &placed).await) };
            tokio::try_join!(zones, caa)
        };
        // What is wrong with the names' DNS or with the credential is known before an order exists.
        let (account, (mut placement, caa)) = tokio::try_join!(account, names)?;
        self.note_directory(server, account.server());
        self.obey_caa(settings, &account, &caa)?;
        self.tell_of_doubts(work.cert, settings, &account, &caa).await;
        if let Some(dns) = &solvers.dns {
            if known.is_none() {
                let names = settings.proofs.likely_validation_names(Some(account.url().as_str()));
                let late: Vec<_> = names.into_iter().filter(|name| !placement.knows(name)).collect();
                placement.extend(dns.prepare(&late).await?);
            }
            if !resuming {
                placement.extend(prepare_unchosen(settings, solvers, dns, &account).await?);
            }
        }
        Ok((account, placement, caa))
    }

    /// The order of a dead run, if it is still alive, or a new one.
    async fn order(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        account: Account,
        pending: &PendingOrder,
    ) -> Result<PlacedOrder, CertificateError> {
        if !pending.url.is_empty()
            && pending.account == account.url().as_str()
            && let Some(order) = self.resume_order(&account, server, &pending.url).await?
        {
            let status = order.order.status.to_string();
            self.progress.event(work.cert, Event::Resumed { status: &status });
            return Ok(order);
        }
        let replaces = self.replaced(server, work, &account);
        let own = account.url().to_string();
        let new_account = work.account_request(Some(&own));
        let noted = self.note_order(server, &own, work, replaces.is_some())?;
        // Each authorization takes a nonce; one comes with the order.
        let (connected, more) = (account.server().clone(), work.settings.names.len().saturating_sub(1));
        let placing = self.place_order(work.cert, account, server, work.settings, &new_account, replaces);
        let (placed, noted, ()) =
            tokio::join!(placing, self.sync_order(server, noted), connected.fetch_nonces_ahead(more));
        match (noted, &placed) {
            (Some(id), Err(CertificateError::Acme { source, .. })) if source.problem().is_some() => {
                self.note_no_order(server, &own, id);
            }
            // If the CA has made it, nobody knows where it is.
            (Some(_), Err(_)) => self.note_no_certificate(server, &own, work.cert),
            _ => {}
        }
        placed
    }

    /// The certificate that the new one replaces in the server's eyes (RFC 9773 §5): of the same account, and with a name in
    /// common.
    fn replaced(&self, server: &ServerUrl, work: &Work<'_>, account: &Account) -> Option<CertificateId> {
        account.server().directory().renewal_info.as_ref()?;
        let replaces = self.may_replace(server, work.settings, work.current, Some(account.url().as_str()));
        replaces.then(|| super::renewal_info::id(work.current?)?.parse().ok()).flatten()
    }

    /// Whether the new certificate replaces the one that there is, if the server offers that.
    pub(super) fn may_replace(
        &self,
        server: &ServerUrl,
        settings: &Settings,
        current: Option<&Generation>,
        account: Option<&str>,
    ) -> bool {
        let Some(current) = current else { return false };
        let info = &current.info;
        let same_account = info.account.is_none() || account.is_none() || info.account.as_deref() == account;
        let same_name =
            settings.names.iter().any(|name| info.names.iter().any(|other| other == name.as_str()));
        self.uses_renewal_info(server.as_str()) && info.server == server.as_str() && same_account && same_name
    }

    /// Checks what the order has given, and makes it current.
    pub(super) async fn store_checked(
        &self,
        work: &Work<'_>,
        (draft, key, order): (&mut Draft, &Key, &PendingOrder),
        kept: (&ReadyOutput, &CertificateRecord),
        chains: &[Certificate],
    ) -> Result<Generation, CertificateError> {
        let stored = self.store_if_good(work, (draft, key, order), kept, chains).await;
        if let Err(CertificateError::Bundle(error)) = &stored {
            // What the order has given is of no use, and will not be another time; a wrong clock can be set.
            draft.keep(matches!(error, BundleError::NotYet(_)));
        }
        stored
    }

    async fn store_if_good(
        &self,
        work: &Work<'_>,
        (draft, key, order): (&Draft, &Key, &PendingOrder),
        (output, record): (&ReadyOutput, &CertificateRecord),
        chains: &[Certificate],
    ) -> Result<Generation, CertificateError> {
        let (cert, settings) = (work.cert, work.settings);
        let note = self.certificate_note(&order.server, &order.account, &order.url, work);
        let chains: Vec<&str> = chains.iter().map(|chain| chain.pem_chain.as_str()).collect();
        let preferred = settings.preferred_chain.as_deref();
        let (public_key, now) = (key.public_key_info(), Timestamp::now());
        let checked = check_bundle(&chains, preferred, &public_key, &settings.names, &order.server, now);
        let made = checked.map_err(CertificateError::from).and_then(|checked| {
            self.tell_of_chain(cert, preferred, &checked);
            let files = output.files(cert, key.private(), &checked.bundle)?;
            let before = work.current.map(|current| self.number_in_use(cert, current.number));
            let pending = PendingDeployment::new(draft.number(), before);
            let intended = self.intended_deployment(cert, &settings.deployment, pending)?;
            Ok((checked, files, intended))
        });
        let (checked, files, intended) = match made {
            Ok(made) => made,
            Err(error) => {
                // It counts, whatever it is worth.
                self.store.aside(move |store| note.map(|note| note.write(store))).await;
                return Err(error);
            }
        };
        let mut info = checked.info;
        info.account = Some(order.account.clone());
        let mut record = record.clone();
        if order.server == settings.home().as_str() {
            record.account = Some(order.account.clone());
        }
        let own_request = work.request.own_request.clone();
        let (name, making) = (cert.clone(), draft.making());
        let write = move |store: &Store, lock: &CertLock| {
            if let Some(note) = note {
                note.write_beside(store);
            }
            let own_request = own_request.map(|csr| store.stage_own_request(&name, &csr)).transpose()?;
            let settings = stage_settings(store, &name, &record)?;
            if let Some(state) = &intended {
                store.save_deployment(&name, lock, state)?;
            }
            let forget = settings.as_ref().is_some_and(|settings| settings.other_credential);
            let staged = own_request.into_iter().chain(settings.map(|settings| settings.file));
            let generation = making.complete(&checked.bundle, &files, info, staged.collect())?;
            if forget {
                forget_end(store, &name);
            }
            Ok::<_, StoreError>(generation)
        };
        let generation = self.store.aside_under(work.lock, write).await?;
        self.store.close_unless_shared();
        self.forget_hold(cert, &order.server, order.made);
        self.progress.event(cert, Event::Stored { generation: generation.number });
        self.warn_of_obstacles(cert, output, &generation);
        Ok(generation)
    }

    /// Warns where no chain is from the issuer that is preferred.
    pub(super) fn tell_of_chain(&self, cert: &CertName, preferred: Option<&str>, checked: &CheckedBundle) {
        if let (Some(preferred), false) = (preferred, checked.preferred_found) {
            let (offered, used) = (checked.issuers.join(", "), checked.info.issuer.as_str());
            self.progress.event(cert, Event::NoPreferredChain { preferred, offered: &offered, used });
        }
    }
}

/// Looks for the zones of the names that may have standing records, and that none grants to this account. Whatever challenge it will be, that
/// one of its names can be written is known before there is an order.
async fn prepare_unchosen(
    settings: &Settings,
    solvers: &Solvers,
    dns: &DnsSolver,
    account: &Account,
) -> Result<Placement, CertificateError> {
    let bases = without_standing(settings, solvers, account).await;
    let common: Vec<String> = bases.iter().map(|base| validation_name(base)).collect();
    if common.is_empty() {
        return Ok(Placement::default());
    }
    let error = match dns.prepare(&common).await {
        Ok(placement) => return Ok(placement),
        Err(error) => error,
    };
    // The account's own name may be an alias into a zone that can be written in, where the common one is not.
    let own = bases.iter().map(|base| account_validation_name(account.url().as_str(), base));
    dns.prepare(&own.collect::<Vec<_>>()).await.map_err(|_| error.into())
}

/// The names, without `*.`, for which it is certain that no standing record lets this account have them.
async fn without_standing(settings: &Settings, solvers: &Solvers, account: &Account) -> Vec<String> {
    let Some(view) = &solvers.standing else { return Vec::new() };
    let first = |proof: &NameProof| proof.candidates.first() == Some(&ChallengeType::DnsPersist01);
    let unchosen = settings.proofs.names.iter().filter(|proof| proof.may_write() && first(proof));
    let names = unchosen.map(|proof| &proof.name).filter(|name| name.address().is_none());
    let looked = names.map(|name| async {
        let (base, wildcard) = (name.base(), name.is_wildcard());
        // The names of the CA are known for certain with the order.
        let wish = StandingWish { base, wildcard, issuers: None, account: account.url().as_str() };
        (base, view.standing(&wish).await)
    });
    let mut bases: Vec<String> = stream::iter(looked)
        .buffer_unordered(SIDE_BY_SIDE)
        .filter_map(|(base, found)| async move { matches!(found, Ok(None)).then(|| base.to_owned()) })
        .collect()
        .await;
    bases.sort();
    bases.dedup();
    bases
}

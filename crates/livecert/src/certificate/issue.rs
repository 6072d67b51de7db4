//! From names to a certificate: the ten steps, each a call into one room.
//!
//! Retries, polling and pacing live where they happen (the protocol crate, the LiveDNS crate, the DNS room); here is
//! the order of things, and what has to be undone when one of them fails.

use jiff::Timestamp;
use livecert_acme::{Account, Certificate, CertificateId, ChallengeType};

use super::account::AccountRequest;
use super::attempt::Attempt;
use super::ledger::{Ledger, publication};
use super::order::PlacedOrder;
use super::settings::Settings;
use super::{CertificateError, IssueRequest, ServerUrl, Service, check_bundle, with_causes};
use crate::challenge::{ChallengeError, Placement, Solvers};
use crate::key::{CsrOptions, ForeignRequest, KeyError, KeyType, PrivateKey, certificate_request};
use crate::plugin::{self, Arguments, Connected, Leftover};
use crate::progress::Event;
use crate::store::{CertLock, CertName, CertificateRecord, Draft, Generation, Hold, PendingOrder};

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
        self.unless_interrupted(self.sweep_first(&[cert])).await?;
        self.issue_unswept(request).await
    }

    pub(super) async fn issue_unswept(&self, request: &IssueRequest) -> Result<Issued, CertificateError> {
        let cert = request.check()?;
        let lock = self.lock(&cert).await?;
        let stored = self.store.find_record(&cert)?;
        let settings = Settings::new(request, stored.as_ref())?;
        self.store.finish(&cert, &lock)?;
        let current = self.store.current(&cert)?;
        if let Some(generation) = &current
            && !request.force
            && !settings.changed
            // A run that died before it could note its settings has left the certificate alone.
            && (stored.is_some() || settings.made(&generation.info))
        {
            let due = self.due(&cert, generation, Timestamp::now());
            if !due.now {
                let (outcome, generation) = (Outcome::NotDue(due.at), generation.clone());
                self.keep_new_settings(&cert, request, &settings, stored.as_ref()).await?;
                return Ok(Issued { cert, outcome, generation, leftovers: Vec::new() });
            }
        }
        let work = Work { cert: &cert, lock: &lock, request, settings: &settings, current: current.as_ref() };
        let result = self.make(&work).await;
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
        let Some(stored) = stored else {
            let arguments = self.arguments(cert, settings).await?;
            return Ok(self.store.save_record(cert, &settings.record(arguments.stored()))?);
        };
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

    /// Makes the certificate at its home, or at the first of the other servers that does better.
    async fn make(&self, work: &Work<'_>) -> Result<(Generation, Vec<Leftover>), CertificateError> {
        // 1. Credentials, before anything goes over the network.
        let (cert, settings) = (work.cert, work.settings);
        let subject = self.subject(work)?;
        let arguments = self.arguments(cert, settings).await?;
        for (parameter, instead) in arguments.deprecated() {
            self.progress.event(cert, Event::Deprecated { parameter, instead });
        }
        let plugin = match settings.needs_plugin() {
            true => Some(settings.plugin.connect(&arguments, &self.surroundings)?),
            false => None,
        };
        let watch = plugin.as_ref().and_then(Connected::dns).map(|plugin| self.watch_credential(plugin));
        let http = &self.surroundings.http;
        let solvers = Solvers::new(plugin, &settings.candidates, &settings.propagation, http)?;

        let mut servers = settings.servers.iter().peekable();
        let mut earlier = Vec::new();
        let made = loop {
            // There is always a home.
            let Some(server) = servers.next() else { return Err(CertificateError::NoNames) };
            let made = self.make_at(server, work, &subject, &arguments, &solvers).await;
            match (made, servers.peek()) {
                (Err(error), Some(next)) if error.calls_for_another_server() => {
                    let reason = with_causes(&error);
                    let (from, to) = (server.to_string(), next.to_string());
                    self.progress.event(cert, Event::Fallback { from: &from, to: &to, reason: &reason });
                    earlier.push((from, reason));
                }
                (Err(error), _) if !earlier.is_empty() && !matches!(error, CertificateError::Interrupted) => {
                    let (server, source) = (server.to_string(), Box::new(error));
                    return Err(CertificateError::NoServer { earlier, server, source });
                }
                (made, _) => break made?,
            }
        };
        if let Some(csr) = &work.request.own_request {
            self.store.save_own_request(cert, csr)?;
        }
        self.store.save_record(cert, &settings.record(arguments.stored()))?;
        if let Some(watch) = watch {
            self.warn_of_end(cert, watch).await;
        }
        Ok(made)
    }

    async fn make_at(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        subject: &Subject,
        arguments: &Arguments,
        solvers: &Solvers,
    ) -> Result<(Generation, Vec<Leftover>), CertificateError> {
        let (cert, settings) = (work.cert, work.settings);
        if !work.request.force
            && let Some(hold) = self.store.hold(cert, server.as_str())?
        {
            let (server, until, words) = (server.to_string(), hold.until, hold.words);
            return Err(CertificateError::Held { server, until, words });
        }

        // 2. The key is on disk before the CA hears of it.
        let (mut draft, key, pending) = self.draft(server, work, subject).await?;

        // 3. and 4. Directory and account; beside them, the zones of the names.
        let prepared = self.unless_interrupted(self.prepare(server, work, solvers)).await?;
        if let Err(CertificateError::Challenge(ChallengeError::Prepare(_))) = &prepared
            && let Some(dns) = &solvers.dns
        {
            self.tell_of_credential(cert, dns.plugin()).await;
        }
        let (account, placement) = prepared.inspect_err(|error| self.remember_hold(cert, server, error))?;

        // 5. to 9. From the order to the certificate.
        let own = publication(settings.plugin, arguments, place(cert));
        let ledger = Ledger::begin(&self.store, cert.into(), own)?;
        let ordering = self.order(server, work, account, pending);
        let order = self.unless_interrupted(ordering).await?;
        let order = order.inspect_err(|error| self.remember_hold(cert, server, error))?;
        let names = settings.names.iter().map(|name| name.as_str().to_owned()).collect();
        let (account, url) = (order.account.url().to_string(), order.order.url.to_string());
        let public_key = key.public_key_info();
        let pending = PendingOrder::new(server.as_str().to_owned(), account, url, names, &public_key);
        draft.write_order(&pending)?;
        let attempt = Attempt::new(self, cert, settings, server, solvers, placement, order, ledger);
        let made = attempt.run(&mut draft, &key.request(settings)?).await;
        let (chains, leftovers) = made.inspect_err(|error| self.remember_hold(cert, server, error))?;

        // 10. Checked, complete, and current by one rename.
        let stored = self.store_checked(work, server, &draft, &public_key, &chains);
        // A certificate that is wrong once is wrong each time it is downloaded.
        let generation = stored.inspect_err(|error| {
            draft.keep(!matches!(error, CertificateError::Bundle(_)));
        })?;
        Ok((generation, leftovers))
    }

    /// The key's owner: us, or whoever made the request that we are to send.
    fn subject(&self, work: &Work<'_>) -> Result<Subject, CertificateError> {
        if !work.settings.own_request {
            return Ok(Subject::Ours);
        }
        let request = match &work.request.own_request {
            Some(request) => ForeignRequest::read(request)?,
            None => ForeignRequest::read(&self.store.own_request(work.cert)?)?,
        };
        let mut requested: Vec<_> = request.dns_names().to_vec();
        requested.extend(request.ip_addresses().iter().map(ToString::to_string));
        let ours = |name: &String| {
            let parsed = name.parse::<super::SubjectName>();
            parsed.is_ok_and(|name| work.settings.names.contains(&name))
        };
        if requested.len() != work.settings.names.len() || !requested.iter().all(ours) {
            return Err(CertificateError::OtherNamesRequested { requested });
        }
        Ok(Subject::Theirs(Box::new(request)))
    }

    /// The draft that a dead run left with its order and key, or a new one.
    async fn draft(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        subject: &Subject,
    ) -> Result<(Draft, Key, Option<PendingOrder>), CertificateError> {
        if let Some((draft, order)) = self.store.left_behind(work.cert, work.lock)? {
            let key = match subject {
                Subject::Ours => draft.key().and_then(|pem| PrivateKey::from_pem(&pem).ok()).map(Key::Ours),
                Subject::Theirs(request) => Some(Key::Theirs(request.clone())),
            };
            if let Some(key) = key
                && key.is_of_type(work.settings.key_type)
                && order.server == server.as_str()
                && order.is_for_key(&key.public_key_info())
                && work.settings.names.iter().map(super::SubjectName::as_str).eq(order.names.iter())
            {
                return Ok((draft, key, Some(order)));
            }
        }
        let draft = self.store.begin(work.cert, work.lock)?;
        let key = match subject {
            Subject::Theirs(request) => Key::Theirs(request.clone()),
            Subject::Ours => {
                let key = self.key(work.settings, work.current).await?;
                draft.write_key(key.pem())?;
                Key::Ours(key)
            }
        };
        Ok((draft, key, None))
    }

    async fn key(
        &self,
        settings: &Settings,
        current: Option<&Generation>,
    ) -> Result<PrivateKey, CertificateError> {
        if let Some(current) = current
            && settings.reuse_key
            && let Some(key) = current.private_key()?
        {
            let key = PrivateKey::from_pem(&key)?;
            if key.key_type() == Some(settings.key_type) {
                return Ok(key);
            }
        }
        let kind = settings.key_type;
        // RSA takes up to seconds; timers and signals go on meanwhile.
        let made = tokio::task::spawn_blocking(move || PrivateKey::generate(kind)).await;
        Ok(made.map_err(|_| KeyError::Generation)??)
    }

    async fn prepare(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        solvers: &Solvers,
    ) -> Result<(Account, Placement), CertificateError> {
        let settings = work.settings;
        let account = async {
            let connected = self.connect(server).await?;
            self.account(work.cert, &connected, server, &AccountRequest::from(work.request)).await
        };
        // The account's label is in the names of dns-account-01, so an account that is still to be made comes first.
        let known = self.store.account(server.as_str())?.and_then(|account| account.url);
        let likely = settings.likely_validation_names(known.as_deref());
        let names = async {
            let placement = match &solvers.dns {
                Some(dns) if !likely.is_empty() => dns.prepare(&likely).await?,
                _ => Placement::default(),
            };
            if let Some(web) = &solvers.web {
                web.prepare(&settings.web_kinds()).await.map_err(ChallengeError::from)?;
            }
            let caa = self.caa_of(settings, &placement).await;
            Ok((placement, caa))
        };
        // What is wrong with the names' DNS or with the credential is known before an order exists.
        let (account, (mut placement, caa)) = tokio::try_join!(account, names)?;
        self.obey_caa(settings, server, account.server(), &caa)?;
        if known.is_none()
            && settings.candidates.first() == Some(&ChallengeType::DnsAccount01)
            && let Some(dns) = &solvers.dns
        {
            let names = settings.likely_validation_names(Some(account.url().as_str()));
            placement.extend(dns.prepare(&names).await?);
        }
        Ok((account, placement))
    }

    /// The order of a dead run, if it is still alive, or a new one.
    async fn order(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        account: Account,
        pending: Option<PendingOrder>,
    ) -> Result<PlacedOrder, CertificateError> {
        if let Some(pending) = pending.filter(|pending| pending.account == account.url().as_str())
            && let Some(order) = self.resume_order(&account, server, work.settings, &pending.url).await?
        {
            let status = order.order.status.to_string();
            self.progress.event(work.cert, Event::Resumed { status: &status });
            return Ok(order);
        }
        let offers_windows = account.server().directory().renewal_info.is_some();
        let replaced =
            work.current.filter(|current| offers_windows && current.info.server == server.as_str());
        let replaces = replaced.and_then(|current| current.info.certificate_id.as_deref());
        let replaces = replaces.and_then(|id| id.parse::<CertificateId>().ok());
        let new_account = AccountRequest::from(work.request);
        self.place_order(work.cert, account, server, work.settings, &new_account, replaces).await
    }

    fn store_checked(
        &self,
        work: &Work<'_>,
        server: &ServerUrl,
        draft: &Draft,
        public_key: &[u8],
        chains: &[Certificate],
    ) -> Result<Generation, CertificateError> {
        let settings = work.settings;
        let chains: Vec<&str> = chains.iter().map(|chain| chain.pem_chain.as_str()).collect();
        let preferred = settings.preferred_chain.as_deref();
        let now = Timestamp::now();
        let checked = check_bundle(&chains, preferred, public_key, &settings.names, server.as_str(), now)?;
        if let (Some(preferred), false) = (preferred, checked.preferred_found) {
            let (offered, used) = (checked.issuers.join(", "), checked.info.issuer.as_str());
            self.progress.event(work.cert, Event::NoPreferredChain { preferred, offered: &offered, used });
        }
        let generation = draft.complete(&checked.bundle, checked.info)?;
        self.progress.event(work.cert, Event::Stored { generation: generation.number });
        Ok(generation)
    }

    /// Keeps the moment before which the CA does not want to be asked again.
    fn remember_hold(&self, cert: &CertName, server: &ServerUrl, error: &CertificateError) {
        let CertificateError::Acme { source, .. } = error else { return };
        let Some(until) = super::hold::until(source, Timestamp::now()) else { return };
        let hold = Hold { server: server.as_str().to_owned(), until, words: source.to_string() };
        if let Err(error) = self.store.save_hold(cert, &hold) {
            tracing::warn!(%cert, %error, "until when the CA wants to be left alone is not remembered");
        }
    }
}

/// One certificate to be made, with all that was asked for and is there.
struct Work<'a> {
    cert: &'a CertName,
    lock: &'a CertLock,
    request: &'a IssueRequest,
    settings: &'a Settings,
    current: Option<&'a Generation>,
}

/// Whose key the certificate will be for.
enum Subject {
    Ours,
    Theirs(Box<ForeignRequest>),
}

/// The key of one try.
enum Key {
    Ours(PrivateKey),
    Theirs(Box<ForeignRequest>),
}

impl Key {
    fn public_key_info(&self) -> Vec<u8> {
        match self {
            Key::Ours(key) => key.public_key_info(),
            Key::Theirs(request) => request.public_key_info().to_vec(),
        }
    }

    /// Whether it is what is asked for now; a key of its owner's always is.
    fn is_of_type(&self, wanted: KeyType) -> bool {
        match self {
            Key::Ours(key) => key.key_type() == Some(wanted),
            Key::Theirs(_) => true,
        }
    }

    /// The certificate request, DER.
    fn request(&self, settings: &Settings) -> Result<Vec<u8>, CertificateError> {
        let key = match self {
            Key::Ours(key) => key,
            Key::Theirs(request) => return Ok(request.der().to_vec()),
        };
        let (ip, dns): (Vec<_>, Vec<_>) = settings.names.iter().partition(|name| name.address().is_some());
        Ok(certificate_request(
            key,
            &CsrOptions {
                dns: dns.iter().map(|name| name.as_str().to_owned()).collect(),
                ip: ip.iter().filter_map(|name| name.address()).collect(),
                common_name: settings.subject.clone(),
                must_staple: settings.must_staple,
            },
        )?)
    }
}

/// What a certificate's sealed parameters are bound to.
pub(super) fn place(cert: &CertName) -> String {
    format!("certificate/{cert}")
}

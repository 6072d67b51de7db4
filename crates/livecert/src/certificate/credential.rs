//! The credentials that the certificates in the store are proved with: whether they work, when they end, and their
//! renewal.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::outlook::Outlook;
use super::proof::Proofs;
use super::publisher::Publisher;
use super::ready::place;
use super::{CertificateError, Service, with_causes};
use crate::plugin::{
    self, ArgumentSources, Arguments, CredentialEnd, CredentialLife, CredentialReport, CredentialState,
    Plugin, PluginError, PluginInfo, PublisherName,
};
use crate::progress::Event;
use crate::secret::Source;
use crate::store::{
    CertName, CertificateRecord, CredentialRecord, Staged, Store, StoreError, StoredArgument, replace_secret,
    write_secret,
};

/// With fewer days left than this, a run warns.
pub const WARN_DAYS: i64 = 30;
/// How long the last step of a run waits for what the credential says about itself.
const COURTESY: Duration = Duration::from_millis(500);

/// A credential and what is proved with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedCredential {
    /// The plugin.
    pub plugin: &'static str,
    /// The labels that certificates have for it, where they have several of the plugin.
    pub labels: Vec<String>,
    /// Where the credential is, such as `file:/etc/livecert/gandi.pat`.
    pub source: String,
    /// The certificates that use it; none if it was given for the check.
    pub certs: Vec<CertName>,
    /// How it stands.
    pub report: CredentialReport,
}

/// What a look at the credentials has found.
#[derive(Debug)]
#[non_exhaustive]
pub struct CredentialCheck {
    /// The credentials.
    pub checked: Vec<CheckedCredential>,
    /// The certificates whose credential could not be looked at.
    pub unusable: Vec<(CertName, CertificateError)>,
}

/// A credential that was renewed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Renewed {
    /// Where the old one was read from.
    pub source: String,
    /// Where the new one is now.
    pub written: Written,
    /// The new secret.
    pub secret: SecretString,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// Where a new secret was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// In the place of the old one, which is in the file beside it.
    File {
        /// The file.
        path: PathBuf,
        /// The old secret.
        old: PathBuf,
    },
    /// Sealed in the state folder, for these certificates.
    Sealed(Vec<CertName>),
    /// In a file from which it has to be brought to its source by hand.
    Aside(PathBuf),
}

/// The credentials in use, and the certificates for which none can be had.
#[derive(Default)]
struct InUse {
    uses: Vec<Use>,
    unusable: Vec<(CertName, CertificateError)>,
}

/// A credential in use.
struct Use {
    info: &'static PluginInfo,
    plugin: Arc<dyn Plugin>,
    source: String,
    parameter: String,
    stored: BTreeMap<String, StoredArgument>,
    certs: Vec<CertName>,
    /// What it is for in each of the certificates.
    holders: Vec<(CertName, PublisherName)>,
    /// Where it most likely has to write.
    names: Vec<String>,
}

impl Service {
    /// Checks the credential that is given, or else each one that a certificate in the store uses, against the names
    /// of its certificates.
    ///
    /// # Errors
    /// The given one cannot be read, or the store as a whole. What is wrong with a credential is in its report.
    pub async fn check_credentials(
        &self,
        given: Option<(&'static PluginInfo, &ArgumentSources)>,
    ) -> Result<CredentialCheck, CertificateError> {
        let InUse { uses, unusable } = self.credentials_in_use(given).await?;
        let mut checked = Vec::new();
        let mut lives = BTreeMap::<CertName, Vec<CredentialLife>>::new();
        for used in uses {
            let report = self.unless_interrupted(used.plugin.credential(&used.names)).await?;
            let Some(report) = report else { continue };
            let Use { info, source, certs, holders, .. } = used;
            let life = match report.expires {
                Some(at) => {
                    CredentialLife::Ends(CredentialEnd { kind: report.kind, name: report.name.clone(), at })
                }
                None => CredentialLife::Unknown,
            };
            certs.iter().for_each(|cert| lives.entry(cert.clone()).or_default().push(life.clone()));
            let mut labels: Vec<_> = holders.into_iter().filter_map(|(_, name)| name.label).collect();
            labels.sort();
            labels.dedup();
            checked.push(CheckedCredential { plugin: info.name, labels, source, certs, report });
        }
        lives.iter().for_each(|(cert, lives)| self.note_lives(cert, lives));
        Ok(CredentialCheck { checked, unusable })
    }

    /// Renews the credential that is given, or else the one that a certificate in the store uses. The new one is on disk
    /// before it is tried, and takes the place of the old one only after Gandi has let it in; the old one is kept.
    ///
    /// # Errors
    /// See [`CertificateError`]; both credentials are on disk then, if there is a new one.
    pub async fn renew_credentials(
        &self,
        given: Option<(&'static PluginInfo, &ArgumentSources)>,
    ) -> Result<Vec<Renewed>, CertificateError> {
        let InUse { uses, mut unusable } = self.credentials_in_use(given).await?;
        if uses.is_empty() && !unusable.is_empty() {
            return Err(unusable.remove(0).1);
        }
        unusable.iter().for_each(|(cert, error)| warn_of_unusable(cert, error));
        let mut renewed = Vec::new();
        for used in uses {
            renewed.push(self.renew_credential(used).await?);
        }
        Ok(renewed)
    }

    async fn renew_credential(&self, used: Use) -> Result<Renewed, CertificateError> {
        let file = match used.source.parse::<Source>() {
            Ok(Source::File(path)) => Some(path),
            _ => None,
        };
        let aside = match &file {
            Some(path) => beside(path),
            None => self.store.home().join("renewed-credential"),
        };
        // A place that cannot be written is found out before there is a new secret.
        write_secret(&aside, b"")?;
        // Not to be interrupted: an answer that nobody reads is a secret that nobody has.
        let new = match used.plugin.renew_credential().await {
            Ok(new) => new,
            Err(error) => {
                let _ = std::fs::remove_file(&aside);
                return Err(CertificateError::Credential(error));
            }
        };
        write_secret(&aside, new.secret.expose_secret().as_bytes())?;
        let fresh = Arguments::of_secret(new.parameter, new.secret.clone(), &used.stored);
        let proved = used.info.connect_dns(&fresh, &self.surroundings)?.credential(&[]).await;
        let end = proved.as_ref().zip(new.expires).map(|(report, at)| {
            let (kind, name) = (report.kind, report.name.clone());
            CredentialEnd { kind, name, at }
        });
        match proved.map(|report| report.state) {
            Some(CredentialState::Valid) | None => {}
            Some(CredentialState::Refused(error) | CredentialState::Unknown(error)) => {
                return Err(CertificateError::NewCredential { path: aside, source: error });
            }
        }
        let written = match file {
            Some(path) => {
                let old = replace_secret(&path, new.secret.expose_secret().as_bytes())?;
                let _ = std::fs::remove_file(&aside);
                self.note_new_end(&used.certs, end.as_ref());
                Written::File { path, old }
            }
            None if self.seal_anew(&used, &new.secret)? => {
                let _ = std::fs::remove_file(&aside);
                self.note_new_end(&used.certs, end.as_ref());
                Written::Sealed(used.certs)
            }
            None => Written::Aside(aside),
        };
        Ok(Renewed { source: used.source, written, secret: new.secret, expires: new.expires })
    }

    /// The credential of these certificates is a new one: `status` is not to go on about the old one.
    fn note_new_end(&self, certs: &[CertName], end: Option<&CredentialEnd>) {
        for cert in certs {
            match end {
                Some(end) => self.note_end(cert, end),
                None => self.forget_end(cert),
            }
        }
    }

    /// Seals the secret for the certificates whose copy was sealed; `false` if the source itself speaks.
    fn seal_anew(&self, used: &Use, secret: &SecretString) -> Result<bool, CertificateError> {
        if !plugin::is_only_sealed(&used.source) || used.certs.is_empty() {
            return Ok(false);
        }
        for (cert, name) in &used.holders {
            let mut record = self.store.record(cert)?;
            let label = name.label.as_deref();
            let place = format!("{}/{}", place(cert, label), used.parameter);
            let arguments = record.arguments_mut(name.plugin.name, label);
            let argument = arguments.and_then(|arguments| arguments.get_mut(&used.parameter));
            if let Some(StoredArgument::Secret { sealed, .. }) = argument {
                *sealed = Some(self.sealing_key.seal(&place, secret.expose_secret().as_bytes())?);
                self.store.save_record(cert, &record)?;
            }
        }
        Ok(true)
    }

    /// Each credential once, with what is proved with it.
    async fn credentials_in_use(
        &self,
        given: Option<(&'static PluginInfo, &ArgumentSources)>,
    ) -> Result<InUse, CertificateError> {
        let mut uses = BTreeMap::<Vec<u8>, Use>::new();
        if let Some((info, sources)) = given {
            let prompter = self.surroundings.prompter.as_ref();
            let sources = plugin::with_default_credential(info, sources.clone(), prompter)?;
            let arguments =
                Arguments::resolve(info, &sources, "token", &self.sealing_key, &self.surroundings).await?;
            self.add_use(&mut uses, &info.into(), &arguments, None, Vec::new())?;
            return Ok(InUse { uses: uses.into_values().collect(), unusable: Vec::new() });
        }
        let mut unusable = Vec::new();
        for cert in self.store.cert_names()? {
            // One certificate that is broken must not hide the credentials of the others.
            if let Err(error) = self.add_use_of(&cert, &mut uses).await {
                unusable.push((cert, error));
            }
        }
        let mut uses: Vec<Use> = uses.into_values().collect();
        for used in &mut uses {
            used.names.sort();
            used.names.dedup();
        }
        Ok(InUse { uses, unusable })
    }

    /// The credentials of certificates as they were seen. What many of them have from the same source is read once, also where
    /// it cannot be read.
    async fn credentials_seen(&self, outlooks: &[Outlook]) -> Vec<Use> {
        let mut uses = BTreeMap::<Vec<u8>, Use>::new();
        let mut read = BTreeMap::new();
        for outlook in outlooks {
            let cert = &outlook.cert;
            let writers = match &outlook.writers {
                Ok(writers) => writers,
                Err(error) => {
                    warn_of_unusable(cert, error);
                    continue;
                }
            };
            for Publisher { name, arguments, .. } in writers {
                let resolved = match plugin::text_of_shared(arguments) {
                    None => &self.resolved(cert, name, arguments).await,
                    Some(text) => match read.entry((name.plugin.name, &name.label, text)) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(self.resolved(cert, name, arguments).await),
                    },
                };
                let used = match resolved {
                    Ok(arguments) => self.add_use(&mut uses, name, arguments, Some(cert.clone()), Vec::new()),
                    Err(error) => {
                        warn_of_unusable(cert, error);
                        break;
                    }
                };
                if let Err(error) = used {
                    warn_of_unusable(cert, &error);
                    break;
                }
            }
        }
        uses.into_values().collect()
    }

    /// The arguments of a certificate's publisher, read from their sources.
    async fn resolved(
        &self,
        cert: &CertName,
        name: &PublisherName,
        sources: &ArgumentSources,
    ) -> Result<Arguments, CertificateError> {
        let (place, surroundings) = (place(cert, name.label.as_deref()), self.surroundings_of(name));
        Ok(Arguments::resolve(name.plugin, sources, &place, &self.sealing_key, &surroundings).await?)
    }

    /// Adds the credentials of a stored certificate, of those of its plugins that need one.
    async fn add_use_of(
        &self,
        cert: &CertName,
        uses: &mut BTreeMap<Vec<u8>, Use>,
    ) -> Result<(), CertificateError> {
        let record = self.store.record(cert)?;
        let proofs = Proofs::stored(&record)?;
        for (name, own) in proofs.likely_writers() {
            if name.plugin.environment.is_empty() {
                continue;
            }
            let Some(publisher) = proofs.publishers.iter().find(|one| one.name == name) else { continue };
            let arguments = self.resolved(cert, &name, &publisher.arguments).await?;
            self.add_use(uses, &name, &arguments, Some(cert.clone()), own)?;
        }
        Ok(())
    }

    fn add_use(
        &self,
        uses: &mut BTreeMap<Vec<u8>, Use>,
        name: &PublisherName,
        arguments: &Arguments,
        cert: Option<CertName>,
        names: Vec<String>,
    ) -> Result<(), CertificateError> {
        let info = name.plugin;
        let used = match uses.entry(arguments.identity()) {
            Entry::Occupied(used) => used.into_mut(),
            Entry::Vacant(free) => {
                let plugin = self.connected(info, arguments)?.into_dns(info)?;
                let (parameter, source) = arguments.credential_source();
                let stored = arguments.stored().clone();
                free.insert(Use {
                    info,
                    plugin,
                    source,
                    parameter,
                    stored,
                    certs: Vec::new(),
                    holders: Vec::new(),
                    names: Vec::new(),
                })
            }
        };
        if let Some(cert) = cert {
            used.holders.push((cert.clone(), name.clone()));
            if used.certs.last() != Some(&cert) {
                used.certs.push(cert);
            }
        }
        used.names.extend(names);
        Ok(())
    }

    /// Asks when the credential ends, beside other work.
    pub(super) fn watch_credential(&self, plugin: &Arc<dyn Plugin>) -> CredentialWatch {
        let plugin = plugin.clone();
        CredentialWatch(tokio::spawn(async move { plugin.credential_end().await }))
    }

    /// Warns of credentials that end soon. It never delays a run by more than half a second.
    pub(super) async fn warn_of_own_ends(&self, cert: &CertName, watches: Vec<CredentialWatch>) {
        let watching = watches.into_iter().map(|watch| async {
            match tokio::time::timeout(COURTESY, watch.0).await {
                Ok(Ok(life)) => life,
                _ => CredentialLife::Unknown,
            }
        });
        let lives = join_all(watching).await;
        self.note_lives(cert, &lives);
        for life in &lives {
            if let CredentialLife::Ends(end) = life {
                self.warn_if_soon(cert, end);
            }
        }
    }

    /// Keeps which of the credentials of a certificate ends first, for `status`. Where one does not tell, it may be the one
    /// that was noted before.
    fn note_lives(&self, cert: &CertName, lives: &[CredentialLife]) {
        self.note_lives_after(cert, lives, &self.store.credential_end(cert));
    }

    /// The same where it is known what was noted before.
    fn note_lives_after(
        &self,
        cert: &CertName,
        lives: &[CredentialLife],
        noted: &Result<Option<CredentialRecord>, StoreError>,
    ) {
        let end = |life: &CredentialLife| match life {
            CredentialLife::Ends(end) => Some(end.clone()),
            CredentialLife::Endless | CredentialLife::Unknown => None,
        };
        let first = lives.iter().filter_map(end).min_by_key(|end| end.at);
        let silent = lives.iter().any(|life| matches!(life, CredentialLife::Unknown));
        let known = noted.as_ref().ok().and_then(Option::as_ref);
        match first {
            Some(first) if !silent || known.is_none_or(|known| first.at < known.ends) => {
                let record = CredentialRecord::new(first.kind, first.at);
                if record.is_news(known) {
                    self.save_end(cert, &record);
                }
            }
            None if !silent && !lives.is_empty() && !matches!(noted, Ok(None)) => self.forget_end(cert),
            Some(_) | None => {}
        }
    }

    /// Stores the settings of a certificate. What is known of the end of its credential counts no more where the
    /// credential may be another one.
    pub(super) fn save_settings(
        &self,
        cert: &CertName,
        record: &CertificateRecord,
    ) -> Result<(), StoreError> {
        let Some(other_credential) = difference(&self.store, cert, record) else { return Ok(()) };
        self.store.save_record(cert, record)?;
        if other_credential {
            forget_end(&self.store, cert);
        }
        Ok(())
    }

    /// Tells what the credential says about itself, where that may explain why it was refused.
    pub(super) async fn tell_of_credential(&self, cert: &CertName, plugin: &dyn Plugin) {
        if let Ok(Some(report)) = self.unless_interrupted(plugin.credential(&[])).await
            && !(report.permissions.is_empty() && report.domains.is_empty())
        {
            let (kind, name) = (report.kind, report.name.as_deref());
            let (permissions, domains) = (report.permissions.as_slice(), report.domains.as_slice());
            self.progress.event(cert, Event::CredentialSays { kind, name, permissions, domains });
        }
    }

    /// Keeps when the credential ends, for `status`.
    fn note_end(&self, cert: &CertName, end: &CredentialEnd) {
        self.save_end(cert, &CredentialRecord::new(end.kind, end.at));
    }

    fn save_end(&self, cert: &CertName, record: &CredentialRecord) {
        if !self.rehearsing
            && let Err(error) = self.store.save_credential_end(cert, record)
        {
            tracing::warn!(%cert, %error, "when the credential ends is not noted");
        }
    }

    fn forget_end(&self, cert: &CertName) {
        if !self.rehearsing {
            forget_end(&self.store, cert);
        }
    }

    fn warn_if_soon(&self, cert: &CertName, end: &CredentialEnd) {
        let days = days_until(end.at, Timestamp::now());
        if days <= WARN_DAYS {
            let (kind, name, expires) = (end.kind, end.name.as_deref(), end.at);
            self.progress.event(cert, Event::CredentialEnds { kind, name, expires, days });
        }
    }

    /// Warns of the credentials of certificates that were not due. What cannot be found out is not told: a credential
    /// that does not work shows when it is needed, and in `token check`. The certificates that were `renewed` have warned
    /// of theirs already; that others have the same one is still noted.
    pub(super) async fn warn_of_ends(
        &self,
        outlooks: &[Outlook],
        certs: &BTreeSet<CertName>,
        renewed: &BTreeSet<CertName>,
    ) {
        let uses = self.credentials_seen(outlooks).await;
        let mut count = BTreeMap::<&CertName, usize>::new();
        uses.iter().flat_map(|used| &used.certs).for_each(|user| *count.entry(user).or_default() += 1);
        let ask = |used: &Use| {
            let asked = used.certs.iter().any(|cert| certs.contains(cert));
            // What is noted for a certificate with several credentials is about one of them only.
            let told = used.certs.iter().filter(|cert| renewed.contains(cert) && count.get(cert) == Some(&1));
            let told = told.filter_map(|cert| self.store.credential_end(cert).ok().flatten()).next();
            let plugin = used.plugin.clone();
            async move {
                match told {
                    _ if !asked => None,
                    Some(end) => Some(Err(end)),
                    None => Some(Ok(plugin.credential_end().await)),
                }
            }
        };
        let answers = join_all(uses.iter().map(ask)).await;
        let mut lives = BTreeMap::<&CertName, Vec<CredentialLife>>::new();
        for (used, answer) in uses.iter().zip(answers) {
            match answer {
                None => {}
                Some(Err(end)) => used.certs.iter().for_each(|user| self.save_end(user, &end)),
                Some(Ok(life)) => {
                    let cert = used.certs.iter().find(|cert| certs.contains(cert));
                    if let (CredentialLife::Ends(end), Some(cert)) = (&life, cert) {
                        self.warn_if_soon(cert, end);
                    }
                    used.certs.iter().for_each(|user| lives.entry(user).or_default().push(life.clone()));
                }
            }
        }
        for outlook in outlooks {
            let Some(lives) = lives.get(&outlook.cert) else { continue };
            if renewed.contains(&outlook.cert) {
                // What was noted before the run may have changed with it.
                self.note_lives(&outlook.cert, lives);
            } else {
                self.note_lives_after(&outlook.cert, lives, &outlook.credential_end);
            }
        }
    }
}

/// Settings beside their place.
pub(super) struct StagedSettings {
    pub(super) file: Staged,
    /// What is known of the end of the credential does not count when they are in force.
    pub(super) other_credential: bool,
}

/// What [`Service::save_settings`] stores, to be put into its place with a generation. `None` if it is stored already.
pub(super) fn stage_settings(
    store: &Store,
    cert: &CertName,
    record: &CertificateRecord,
) -> Result<Option<StagedSettings>, StoreError> {
    let Some(other_credential) = difference(store, cert, record) else { return Ok(None) };
    Ok(Some(StagedSettings { file: store.stage_record(cert, record)?, other_credential }))
}

/// Whether the credential may be another one than that of the settings that are stored; `None` where these are the same in all.
fn difference(store: &Store, cert: &CertName, record: &CertificateRecord) -> Option<bool> {
    let Some(stored) = store.find_record(cert).ok().flatten() else { return Some(true) };
    let same_credential = (&stored.plugin, &stored.plugin_args, &stored.publishers)
        == (&record.plugin, &record.plugin_args, &record.publishers);
    (stored != *record).then_some(!same_credential)
}

/// Forgets when the credential ends. The store of a rehearsal has other folders, so that nothing is forgotten for one.
pub(super) fn forget_end(store: &Store, cert: &CertName) {
    if let Err(error) = store.remove_credential_end(cert) {
        tracing::warn!(%cert, %error, "the end of a former credential is still noted");
    }
}

fn warn_of_unusable(cert: &CertName, error: &CertificateError) {
    tracing::warn!(%cert, error = with_causes(error), "its credential cannot be looked at");
}

fn days_until(at: Timestamp, now: Timestamp) -> i64 {
    at.duration_since(now).as_hours().div_euclid(24)
}

/// A question about a credential, under way.
pub(super) struct CredentialWatch(tokio::task::JoinHandle<CredentialLife>);

impl CheckedCredential {
    /// Whole days until the credential ends; negative after that.
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        Some(days_until(self.report.expires?, now))
    }

    /// Why it does not work, if it is known that it does not.
    pub fn refusal(&self) -> Option<&PluginError> {
        match &self.report.state {
            CredentialState::Refused(error) => Some(error),
            CredentialState::Valid | CredentialState::Unknown(_) => None,
        }
    }
}

/// Where a new secret waits for its proof.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

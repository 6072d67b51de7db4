//! The credentials that the certificates in the store are proved with: whether they work, when they end, and their
//! renewal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::work::place;
use super::{CertificateError, Service, SubjectName, with_causes};
use crate::challenge::validation_name;
use crate::plugin::{
    self, ArgumentSources, Arguments, CredentialEnd, CredentialLife, CredentialReport, CredentialState,
    Plugin, PluginError, PluginInfo,
};
use crate::progress::Event;
use crate::secret::Source;
use crate::store::{
    CertName, CertificateRecord, CredentialRecord, StoreError, StoredArgument, replace_secret, write_secret,
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
        for used in uses {
            let names: Vec<_> = used.names.iter().map(|name| validation_name(name)).collect();
            let report = self.unless_interrupted(used.plugin.credential(&names)).await?;
            let Some(report) = report else { continue };
            let Use { info, source, certs, .. } = used;
            if let Some(at) = report.expires {
                let end = CredentialEnd { kind: report.kind, name: report.name.clone(), at };
                certs.iter().for_each(|cert| self.note_end(cert, &end));
            }
            checked.push(CheckedCredential { plugin: info.name, source, certs, report });
        }
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
        warn_of_unusable(&unusable);
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
        for cert in &used.certs {
            let mut record = self.store.record(cert)?;
            let place = format!("{}/{}", place(cert), used.parameter);
            if let Some(StoredArgument::Secret { sealed, .. }) = record.plugin_args.get_mut(&used.parameter) {
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
            self.add_use(&mut uses, info, &arguments, None, Vec::new())?;
            return Ok(InUse { uses: uses.into_values().collect(), unusable: Vec::new() });
        }
        let mut unusable = Vec::new();
        for cert in self.store.cert_names()? {
            // One certificate that is broken must not hide the credentials of the others.
            if let Err(error) = self.add_use_of(&cert, &mut uses).await {
                unusable.push((cert, error));
            }
        }
        Ok(InUse { uses: uses.into_values().collect(), unusable })
    }

    /// Adds the credential of a stored certificate, if its plugin needs one.
    async fn add_use_of(
        &self,
        cert: &CertName,
        uses: &mut BTreeMap<Vec<u8>, Use>,
    ) -> Result<(), CertificateError> {
        let record = self.store.record(cert)?;
        let info = plugin::find(&record.plugin)?;
        if info.environment.is_empty() {
            return Ok(());
        }
        let sources = plugin::stored_sources(info, &record.plugin_args);
        let arguments =
            Arguments::resolve(info, &sources, &place(cert), &self.sealing_key, &self.surroundings).await?;
        let base = |name: &String| name.parse::<SubjectName>().map(|name| name.base().to_owned());
        let names = record.names.iter().filter_map(|name| base(name).ok()).collect();
        self.add_use(uses, info, &arguments, Some(cert.clone()), names)
    }

    fn add_use(
        &self,
        uses: &mut BTreeMap<Vec<u8>, Use>,
        info: &'static PluginInfo,
        arguments: &Arguments,
        cert: Option<CertName>,
        names: Vec<String>,
    ) -> Result<(), CertificateError> {
        let used = match uses.entry(arguments.identity()) {
            std::collections::btree_map::Entry::Occupied(used) => used.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let plugin = info.connect_dns(arguments, &self.surroundings)?;
                let (parameter, source) = arguments.credential_source();
                let stored = arguments.stored().clone();
                free.insert(Use {
                    info,
                    plugin,
                    source,
                    parameter,
                    stored,
                    certs: Vec::new(),
                    names: Vec::new(),
                })
            }
        };
        used.certs.extend(cert);
        used.names.extend(names);
        used.names.sort();
        used.names.dedup();
        Ok(())
    }

    /// Asks when the credential ends, beside other work.
    pub(super) fn watch_credential(&self, plugin: &Arc<dyn Plugin>) -> CredentialWatch {
        let plugin = plugin.clone();
        CredentialWatch(tokio::spawn(async move { plugin.credential_end().await }))
    }

    /// Warns of a credential that ends soon. It never delays a run by more than half a second.
    pub(super) async fn warn_of_end(&self, cert: &CertName, watch: CredentialWatch) {
        match tokio::time::timeout(COURTESY, watch.0).await {
            Ok(Ok(CredentialLife::Ends(end))) => {
                self.note_end(cert, &end);
                self.warn_if_soon(cert, &end);
            }
            Ok(Ok(CredentialLife::Endless)) => self.forget_end(cert),
            _ => {}
        }
    }

    /// Stores the settings of a certificate. What is known of the end of its credential counts no more where the
    /// credential may be another one.
    pub(super) fn save_settings(
        &self,
        cert: &CertName,
        record: &CertificateRecord,
    ) -> Result<(), StoreError> {
        let stored = self.store.find_record(cert).ok().flatten();
        self.store.save_record(cert, record)?;
        let same = |stored: &CertificateRecord| {
            stored.plugin == record.plugin && stored.plugin_args == record.plugin_args
        };
        if !stored.as_ref().is_some_and(same) {
            self.forget_end(cert);
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
        if !self.rehearsing
            && let Err(error) = self.store.remove_credential_end(cert)
        {
            tracing::warn!(%cert, %error, "the end of a former credential is still noted");
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
    pub(super) async fn warn_of_ends(&self, certs: &[CertName], renewed: &[CertName]) {
        let Ok(InUse { uses, unusable }) = self.credentials_in_use(None).await else { return };
        warn_of_unusable(&unusable);
        let mut to_ask = Vec::new();
        for used in &uses {
            let Some(cert) = used.certs.iter().find(|cert| certs.contains(cert)) else { continue };
            let told = used.certs.iter().filter(|cert| renewed.contains(cert));
            match told.filter_map(|cert| self.store.credential_end(cert).ok().flatten()).next() {
                Some(end) => used.certs.iter().for_each(|user| self.save_end(user, &end)),
                None => to_ask.push(async move { (cert, &used.certs, used.plugin.credential_end().await) }),
            }
        }
        for (cert, users, life) in join_all(to_ask).await {
            match life {
                CredentialLife::Ends(end) => {
                    users.iter().for_each(|user| self.note_end(user, &end));
                    self.warn_if_soon(cert, &end);
                }
                CredentialLife::Endless => users.iter().for_each(|user| self.forget_end(user)),
                CredentialLife::Unknown => {}
            }
        }
    }
}

fn warn_of_unusable(unusable: &[(CertName, CertificateError)]) {
    for (cert, error) in unusable {
        tracing::warn!(%cert, error = with_causes(error), "its credential cannot be looked at");
    }
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

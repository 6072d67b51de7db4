//! What another client keeps becomes ours: its account, its certificates with their keys, and what their renewal needs.
//!
//! Nobody is asked, and nothing of the other client is changed. What is in the store already stays as it is.

mod account;
mod leaf;
mod prepare;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::proof::StoredArguments;
use super::server::SERVERS;
use super::{CertificateError, PropagationRequest, Service};
use crate::import::{self, Client, FoundHook, Hints, Obstacle};
use crate::key::PrivateKey;
use crate::plugin::{ArgumentSources, PluginInfo};
use crate::store::{CertName, Store};

use account::PreparedAccount;
use prepare::Prepared;

/// What is to be taken over, and how.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The client.
    pub client: Client,
    /// Its folder.
    pub path: PathBuf,
    /// What its folder does not tell.
    pub hints: Hints,
    /// Names of certificates, at the client or in our store; all if there is none.
    pub certs: Vec<String>,
    /// What publishes the proofs from now on, instead of what did at the client.
    pub plugin: Option<&'static PluginInfo>,
    /// Its arguments; beside those that were found, if the client used the same plugin.
    pub arguments: ArgumentSources,
    /// How publications are watched.
    pub propagation: PropagationRequest,
    /// Whether the client's hooks are run from now on.
    pub hooks: bool,
}

/// What was taken over, or would be.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Import {
    /// Accounts.
    pub accounts: Vec<ImportedAccount>,
    /// Certificates.
    pub certificates: Vec<ImportedCertificate>,
    /// What cannot be taken over.
    pub obstacles: Vec<Obstacle>,
    /// What its user has to know.
    pub notes: Vec<String>,
}

/// What became of something that was found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Taken {
    /// It is in the store now, or would be.
    New,
    /// It was in the store already; nothing has changed.
    Already,
    /// The store has something else in its place, which stays.
    Kept(String),
    /// It could not be stored.
    Failed(Box<CertificateError>),
}

/// An account.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportedAccount {
    /// Directory URL of its server.
    pub server: String,
    /// Its URL.
    pub url: String,
    /// Mail addresses, where the client keeps them.
    pub contact: Vec<String>,
    /// What became of it.
    pub taken: Taken,
}

/// A certificate.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportedCertificate {
    /// Its name in our store.
    pub cert: CertName,
    /// Its name at the client.
    pub name: String,
    /// What it is for.
    pub names: Vec<String>,
    /// Directory URL of its server.
    pub server: String,
    /// URL of the account that ordered it, where the client keeps that.
    pub account: Option<String>,
    /// Type of its key, or whose it is.
    pub key_type: String,
    /// What publishes the proofs.
    pub plugin: &'static str,
    /// Its arguments; secrets by the place where they are.
    pub arguments: BTreeMap<String, String>,
    /// When it ends.
    pub not_after: Timestamp,
    /// When it is due.
    pub renew_at: Timestamp,
    /// Commands that the client runs around its renewals.
    pub hooks: Vec<FoundHook>,
    /// What its user has to know.
    pub notes: Vec<String>,
    /// What became of it.
    pub taken: Taken,
}

/// Everything that was found, checked.
struct All {
    accounts: Vec<PreparedAccount>,
    certificates: Vec<Prepared>,
    obstacles: Vec<Obstacle>,
    notes: Vec<String>,
}

/// What [`Service::import`] would do. Nothing is written, not even the state folder.
///
/// # Errors
/// See [`ImportError`](crate::import::ImportError). What cannot be read in our store is told in the result.
pub fn plan_import(store: &Store, request: &ImportRequest) -> Result<Import, CertificateError> {
    let all = prepare(request)?;
    let mut import = Import { obstacles: all.obstacles, notes: all.notes, ..Import::default() };
    for account in all.accounts {
        let taken = account.place_in(store).unwrap_or_else(failed);
        import.accounts.push(account.report(taken));
    }
    for certificate in all.certificates {
        let taken = certificate.place_in(store).unwrap_or_else(failed);
        import.certificates.push(certificate.report(taken, None));
    }
    Ok(import)
}

fn prepare(request: &ImportRequest) -> Result<All, CertificateError> {
    let mut hints = request.hints.clone();
    hints.known.extend(SERVERS.iter().map(|(_, url)| (*url).to_owned()));
    let found = import::read(request.client, &request.path, &hints)?;
    let (mut obstacles, notes) = (found.obstacles, found.notes);
    let there = found.certificates.iter().map(|certificate| certificate.name.clone());
    let lost = obstacles.iter().filter(|lost| lost.is_certificate).map(|lost| lost.what.clone());
    let there: Vec<String> = there.chain(lost).collect();
    let mut certificates = Vec::new();
    for certificate in found.certificates {
        let name = certificate.name.clone();
        match Prepared::new(certificate, request) {
            Ok(prepared) => certificates.push(prepared),
            Err(why) => obstacles.push(Obstacle { what: name, is_certificate: true, why }),
        }
    }
    if !request.certs.is_empty() {
        let is_known = |wanted: &&String| {
            there.contains(wanted) || certificates.iter().any(|prepared| prepared.is_called(wanted))
        };
        if let Some(name) = request.certs.iter().find(|wanted| !is_known(wanted)) {
            let (path, name) = (request.path.clone(), name.clone());
            return Err(import::ImportError::NoSuchCertificate { path, name, there }.into());
        }
        certificates.retain(|prepared| request.certs.iter().any(|wanted| prepared.is_called(wanted)));
        obstacles.retain(|lost| !lost.is_certificate || request.certs.contains(&lost.what));
    }
    prepare::without_doubles(&mut certificates, &mut obstacles);
    let all = request.certs.is_empty();
    let accounts = account::choose(found.accounts, &certificates, all, &mut obstacles);
    Ok(All { accounts, certificates, obstacles, notes })
}

impl Service {
    /// Takes over what another client keeps. Done again, it changes nothing.
    ///
    /// # Errors
    /// See [`ImportError`](crate::import::ImportError). What fails later is told in the result, and the rest goes on.
    pub async fn import(&self, request: &ImportRequest) -> Result<Import, CertificateError> {
        let all = prepare(request)?;
        let mut import = Import { obstacles: all.obstacles, notes: all.notes, ..Import::default() };
        // First: a certificate that waits for its renewal without its account would get a new one.
        for account in all.accounts {
            let taken = self.take_account(&account).await.unwrap_or_else(failed);
            import.accounts.push(account.report(taken));
        }
        let asked = self.asked_once(&request.arguments).await?;
        for mut certificate in all.certificates {
            certificate.give(&asked);
            let (taken, arguments) = match self.take_certificate(&certificate).await {
                Ok((taken, arguments)) => (taken, arguments),
                Err(error) => (failed(error), None),
            };
            import.certificates.push(certificate.report(taken, arguments.as_ref()));
        }
        Ok(import)
    }

    async fn take_account(&self, account: &PreparedAccount) -> Result<Taken, CertificateError> {
        let server = account.server.as_str();
        let _lock = self.unless_interrupted(self.store.lock_account(server)).await??;
        let taken = account.place_in(&self.store)?;
        if matches!(taken, Taken::New) {
            let mut record =
                self.record(&account.server, None, account.found.contact.clone(), &account.found.key)?;
            record.url = Some(account.found.url.clone());
            if let Some(created) = account.found.created {
                record.created = created;
            }
            self.store.save_account(&record)?;
        }
        Ok(taken)
    }

    async fn take_certificate(
        &self,
        prepared: &Prepared,
    ) -> Result<(Taken, Option<StoredArguments>), CertificateError> {
        let cert = &prepared.cert;
        let lock = self.lock(cert).await?;
        let taken = prepared.place_in(&self.store)?;
        if !matches!(taken, Taken::New) {
            return Ok((taken, None));
        }
        let settings = &prepared.settings;
        let arguments = self.given_arguments(cert, settings).await?;
        let output = self.output(cert, &settings.output).await?;
        let key = prepared.key.as_ref().map(PrivateKey::from_pem).transpose()?;
        let files = output.files(cert, key.as_ref(), &prepared.bundle)?;
        let mut draft = self.store.begin(cert, &lock)?;
        if let Some(key) = &prepared.key {
            draft.write_key(key)?;
        }
        if let Some(request) = &prepared.request {
            self.store.save_own_request(cert, request)?;
        }
        // The record first: a certificate that nobody knows how to renew would end unseen.
        self.store.save_record(cert, &settings.record(&arguments, output.record()))?;
        let generation = draft.complete(&prepared.bundle, &files, prepared.info.clone())?;
        if let Some(id) = &generation.info.certificate_id {
            // The other client has asked for its window a moment ago, or does not care.
            self.note_unasked(cert, id);
        }
        Ok((taken, Some(arguments)))
    }
}

fn failed(error: CertificateError) -> Taken {
    Taken::Failed(Box::new(error))
}

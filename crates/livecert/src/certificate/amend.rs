//! The same certificate, kept in another way: settings that its content does not depend on are stored, and what they say
//! about its files is done at once, without asking anybody.

use jiff::Timestamp;
use x509_parser::prelude::*;

use super::account_choice::settle_account;
use super::output::ReadyOutput;
use super::proof::StoredArguments;
use super::settings::Settings;
use super::{BundleError, CertificateError, DeployRun, IssueRequest, Service, SubjectName, check_bundle};
use crate::key::PrivateKey;
use crate::plugin::Arguments;
use crate::progress::Event;
use crate::store::{Bundle, CertLock, CertName, CertificateRecord, Generation, PendingDeployment};

/// A certificate whose settings are to change.
pub(super) struct Amendment<'a> {
    pub(super) cert: &'a CertName,
    pub(super) lock: &'a CertLock,
    pub(super) settings: &'a Settings,
    pub(super) stored: Option<&'a CertificateRecord>,
    pub(super) current: Option<&'a Generation>,
    /// A password that is given is new, also where its source is the stored one.
    pub(super) new_password: bool,
}

/// What became of a change of settings.
#[derive(Debug)]
#[non_exhaustive]
pub struct Amended {
    /// The certificate's name in the store.
    pub cert: CertName,
    /// Whether the settings are others now.
    pub changed: bool,
    /// The generation that was made, where files had to be written anew.
    pub rewritten: Option<Generation>,
    /// The generation that is current now; `None` for a certificate that is yet to be issued.
    pub current: Option<Generation>,
}

/// Whether the proofs are published by the same plugins, with the same parameters.
fn has_same_publishers(one: &CertificateRecord, other: &CertificateRecord) -> bool {
    let all = |record: &CertificateRecord| {
        (record.plugin.clone(), record.plugin_args.clone(), record.publishers.clone())
    };
    all(one) == all(other)
}

impl Service {
    /// Changes the settings of a stored certificate, where that needs no other certificate. `request` has no names.
    ///
    /// # Errors
    /// [`CertificateError::NeedsAnother`] for what is in the certificate itself; a setting that cannot be.
    pub async fn set(&self, cert: &CertName, request: &IssueRequest) -> Result<Amended, CertificateError> {
        let lock = self.lock(cert).await?;
        let stored = self.store.record(cert)?;
        let names = stored.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
        // What is declared is all of it.
        let beside_stored = request.declared_in.is_none();
        let request = IssueRequest { names, beside_stored, ..request.clone() };
        request.check()?;
        let mut settings = Settings::new(&request, Some(&stored))?;
        // Another account makes no other certificate.
        settle_account(&self.store, &mut settings, &request, Some(&stored))?;
        if settings.changed {
            let other_home = settings.home().as_str() != stored.server;
            let what = if other_home { "another first server" } else { "that" };
            return Err(CertificateError::NeedsAnother { what });
        }
        self.store.finish_left_behind(cert, &lock)?;
        // The newest one that is good is the one to be kept in another way, also where an older one is in its place.
        let before = self.store.current_number(cert)?;
        self.put_forth(cert, &lock, &DeployRun::new(true)).await?;
        let current = self.store.current(cert)?;
        let put_forth = current.as_ref().filter(|current| Some(current.number) != before);
        let to = Amendment {
            cert,
            lock: &lock,
            settings: &settings,
            stored: Some(&stored),
            current: current.as_ref(),
            new_password: beside_stored,
        };
        let amended = self.amend(&to).await;
        if let (Err(_), Some(before), Some(_)) = (&amended, before, put_forth) {
            self.store.make_current(cert, &lock, before)?;
        }
        let amended = amended?;
        let waits = |generation: &&Generation| {
            self.store.deployment(cert).is_ok_and(|state| state.waiting(generation.number).is_some())
        };
        match amended.rewritten.as_ref().or(put_forth).filter(waits) {
            Some(generation) => self.deploy_alone(cert, lock, generation).await?,
            None => self.prune(cert, &lock),
        }
        Ok(amended)
    }

    /// Writes the files anew where they have to be others now, and stores the settings.
    pub(super) async fn amend(&self, to: &Amendment<'_>) -> Result<Amended, CertificateError> {
        let (cert, settings) = (to.cert, to.settings);
        let known = to.stored.filter(|stored| settings.output.is_stored(&stored.output));
        let output = match known {
            Some(_) => None,
            None => Some(self.output(cert, &settings.output).await?),
        };
        let output_record = output.as_ref().map(ReadyOutput::record).or(known.map(|stored| &stored.output));
        let output_record = output_record.cloned().unwrap_or_default();
        let arguments = self.kept_arguments(cert, settings).await?;
        let mut record = settings.record(&arguments, &output_record);
        // What lacks a parameter would be found out by the next renewal, with nobody there.
        if to.stored.is_none_or(|stored| !has_same_publishers(stored, &record)) {
            for publisher in settings.proofs.publishers.iter().filter(|one| settings.proofs.needs(one)) {
                let given = arguments.get(&publisher.name);
                let has = |name: &str| given.is_some_and(|given| given.contains_key(name));
                publisher.name.plugin.is_complete(has)?;
            }
        }
        if let Some(stored) = to.stored {
            record.names.clone_from(&stored.names);
        }
        // The files first: a run that dies in between leaves settings that a second try finds to be changed.
        let rewritten = self.rewrite(to, &record, output).await?;
        let changed = to.stored != Some(&record);
        if changed {
            self.save_settings(cert, &record)?;
        }
        if rewritten.is_some() {
            self.store.close_unless_shared();
        }
        let current = rewritten.as_ref().or(to.current).cloned();
        Ok(Amended { cert: cert.clone(), changed, rewritten, current })
    }

    /// What is to be stored of the arguments: what is stored already stays as it is, and is not read.
    async fn kept_arguments(
        &self,
        cert: &CertName,
        settings: &Settings,
    ) -> Result<StoredArguments, CertificateError> {
        let unread = settings.proofs.publishers.iter().map(|publisher| {
            let arguments = Arguments::unread(&publisher.arguments)?;
            Some((publisher.name.clone(), arguments.stored().clone()))
        });
        match unread.collect::<Option<StoredArguments>>() {
            Some(unread) => Ok(unread),
            None => Ok(super::ready::stored(&self.publishers(cert, settings).await?)),
        }
    }

    /// Makes a generation with the same key and certificate; `None` if its files would be the same.
    async fn rewrite(
        &self,
        to: &Amendment<'_>,
        record: &CertificateRecord,
        output: Option<ReadyOutput>,
    ) -> Result<Option<Generation>, CertificateError> {
        let (cert, settings) = (to.cert, to.settings);
        let (Some(current), Some(stored)) = (to.current, to.stored) else { return Ok(None) };
        // The files of what has ended are of no use to anybody.
        if current.info.not_after <= Timestamp::now() {
            return Ok(None);
        }
        let other_chain = match record.preferred_chain == stored.preferred_chain {
            true => None,
            false => self.other_chain(cert, settings, current)?,
        };
        let new_password = to.new_password && settings.output.has_new_password();
        if other_chain.is_none() && record.output == stored.output && !new_password {
            return Ok(None);
        }
        // A file that is missing would be missing in the new generation, and a key that is gone looks like one that stays
        // with its owner.
        self.check_whole(cert, current, Timestamp::now())?;
        let output = match output {
            Some(output) => output,
            None => self.output(cert, &settings.output).await?,
        };
        let bundle = match other_chain {
            Some(bundle) => bundle,
            None => Bundle { leaf: current.leaf()?, chain: current.chain()?, offered: current.offered()? },
        };
        let pem = current.private_key()?;
        let key = pem.as_ref().map(PrivateKey::from_pem).transpose()?;
        let files = output.files(cert, key.as_ref(), &bundle)?;
        let mut draft = self.store.begin(cert, to.lock)?;
        if let Some(pem) = &pem {
            draft.write_key(pem)?;
        }
        let pending = PendingDeployment::new(draft.number(), Some(self.number_in_use(cert, current.number)));
        self.intend_deployment(cert, to.lock, &record.deployment, pending)?;
        let generation = draft.complete(&bundle, &files, current.info.clone())?;
        self.progress.event(cert, Event::Rewritten { generation: generation.number });
        self.warn_of_obstacles(cert, &output, &generation);
        Ok(Some(generation))
    }

    /// The parts of the certificate with the chain that is preferred now; `None` if it is in place already, or if there is
    /// only one.
    fn other_chain(
        &self,
        cert: &CertName,
        settings: &Settings,
        current: &Generation,
    ) -> Result<Option<Bundle>, CertificateError> {
        let (leaf, offered) = (current.leaf()?, current.offered()?);
        if offered.len() < 2 {
            return Ok(None);
        }
        let chains: Vec<String> = offered.iter().map(|chain| format!("{leaf}{chain}")).collect();
        let chains: Vec<&str> = chains.iter().map(String::as_str).collect();
        let (preferred, server) = (settings.preferred_chain.as_deref(), current.info.server.as_str());
        let public_key = public_key(&leaf)?;
        let now = Timestamp::now();
        let checked = check_bundle(&chains, preferred, &public_key, &settings.names, server, now)?;
        self.tell_of_chain(cert, preferred, &checked);
        Ok(Some(checked.bundle).filter(|bundle| current.chain().is_ok_and(|chain| chain != bundle.chain)))
    }
}

/// The SubjectPublicKeyInfo of a certificate (PEM), DER.
pub(super) fn public_key(leaf: &str) -> Result<Vec<u8>, BundleError> {
    let not_a_chain = |error: &dyn std::fmt::Display| BundleError::NotAChain(error.to_string());
    let (_, pem) = parse_x509_pem(leaf.as_bytes()).map_err(|error| not_a_chain(&error))?;
    let leaf = pem.parse_x509().map_err(|error| not_a_chain(&error))?;
    Ok(leaf.public_key().raw.to_vec())
}

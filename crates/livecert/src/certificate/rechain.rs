//! Another chain for a certificate that is there: all that the CA offered are on disk, so nobody has to be asked.

use jiff::Timestamp;
use x509_parser::prelude::*;

use super::settings::Settings;
use super::{BundleError, CertificateError, Service, check_bundle};
use crate::progress::Event;
use crate::store::{CertLock, CertName, Generation};

impl Service {
    /// Makes a generation with the same key and certificate, and the chain that is preferred now; `None` if it is in place
    /// already, or if there is only one.
    pub(super) fn rechain(
        &self,
        cert: &CertName,
        lock: &CertLock,
        settings: &Settings,
        current: &Generation,
    ) -> Result<Option<Generation>, CertificateError> {
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
        if checked.bundle.chain == current.chain()? {
            return Ok(None);
        }
        let draft = self.store.begin(cert, lock)?;
        if let Some(key) = current.private_key()? {
            draft.write_key(&key)?;
        }
        self.intend_deployment(cert, lock, &settings.deployment, draft.number(), Some(current.number))?;
        let generation = draft.complete(&checked.bundle, current.info.clone())?;
        self.progress.event(cert, Event::Stored { generation: generation.number });
        Ok(Some(generation))
    }
}

/// The SubjectPublicKeyInfo of a certificate (PEM), DER.
pub(super) fn public_key(leaf: &str) -> Result<Vec<u8>, BundleError> {
    let not_a_chain = |error: &dyn std::fmt::Display| BundleError::NotAChain(error.to_string());
    let (_, pem) = parse_x509_pem(leaf.as_bytes()).map_err(|error| not_a_chain(&error))?;
    let leaf = pem.parse_x509().map_err(|error| not_a_chain(&error))?;
    Ok(leaf.public_key().raw.to_vec())
}

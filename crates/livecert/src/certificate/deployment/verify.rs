//! Whether the services show the generation that was deployed.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::super::{CertificateError, Service};
use super::DeploymentFailure;
use super::run::Deployment;
use crate::deploy::{Expected, ServedAt, served};
use crate::progress::Event;
use crate::store::{CertName, Generation, StoreError};

/// How long the services may take where nothing else is said.
const LIMIT: Duration = Duration::from_secs(30);

impl Service {
    /// Looks at all places where a certificate has to be seen, one after the other. What has failed already is not looked
    /// at.
    pub(super) async fn verify(&self, deployment: &mut Deployment) -> Result<(), CertificateError> {
        let record = &deployment.record.deployment;
        if deployment.failure.is_some() || record.verify_served.is_empty() {
            return Ok(());
        }
        let limit = record.verify_timeout.map_or(LIMIT, Duration::from_secs);
        let (cert, generation) = (&deployment.cert, &deployment.generation);
        let leaf = der(&generation.leaf()?);
        let former = self.former(cert, generation)?;
        let expected = Expected { leaf: &leaf, names: &generation.info.names, former: &former };
        for place in &record.verify_served {
            let at = match place.parse::<ServedAt>() {
                Ok(at) => at,
                Err(error) => {
                    deployment.failure = Some(error.into());
                    return Ok(());
                }
            };
            self.progress.event(cert, Event::Verifying { at: place });
            let looked = self.unless_interrupted(served(&at, &expected, limit)).await;
            deployment.failure = match looked {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => Some(error.into()),
                Err(_) => Some(DeploymentFailure::Interrupted),
            };
            return Ok(());
        }
        Ok(())
    }

    /// The other generations' certificates, and what they are called.
    fn former(&self, cert: &CertName, current: &Generation) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let all = self.store.generations(cert)?.into_iter().filter_map(|found| found.read.ok());
        let others = all.filter(|generation| generation.number != current.number);
        let named = |generation: Generation| {
            let what = format!("the certificate of generation {}", generation.number);
            Some((what, der(&generation.leaf().ok()?)))
        };
        Ok(others.filter_map(named).collect())
    }
}

/// A certificate as it goes over the wire; empty if the file holds none, which nothing is equal to.
fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map(|der| der.to_vec()).unwrap_or_default()
}

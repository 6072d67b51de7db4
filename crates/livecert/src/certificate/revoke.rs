//! Revocation (RFC 8555 §7.6): of a certificate in the store, or of one that another client got.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use livecert_acme::{AccountKey, ErrorClass, ProblemKind, RevocationReason};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use super::account::acme;
use super::{CertificateError, ServerUrl, Service, with_causes};
use crate::store::{CertName, Generation};

/// What is to be revoked, and by whom.
#[derive(Debug, Clone)]
pub struct RevocationRequest {
    /// A certificate in the store.
    pub cert: Option<CertName>,
    /// A certificate in a file (PEM or DER), instead.
    pub cert_file: Option<PathBuf>,
    /// Its private key in a file: then no account is needed.
    pub key_file: Option<PathBuf>,
    /// The server; the one that issued the certificate of the store, or the one in use, if there is none.
    pub server: Option<ServerUrl>,
    /// The account, by its name, id or URL; the one that ordered it, or else is in use, if none is named.
    pub account: Option<String>,
    /// Why.
    pub reason: Option<RevocationReason>,
}

impl Service {
    /// Revokes a certificate. What is in the store stays there, and it is noted. Gives the server that did it.
    ///
    /// # Errors
    /// Nothing to revoke, no account that may do it, or the server's refusal.
    pub async fn revoke(&self, request: &RevocationRequest) -> Result<ServerUrl, CertificateError> {
        let current = match &request.cert {
            Some(cert) => {
                self.store.record(cert)?;
                self.store.current(cert)?
            }
            None => None,
        };
        let revoked = self.revoke_at_server(request, current.as_ref()).await;
        if let (Some(cert), Some(generation), None) = (&request.cert, &current, &request.cert_file)
            && revoked.as_ref().map_or_else(is_revoked_already, |_| true)
        {
            self.note_revoked(cert, generation.number).await;
        }
        revoked
    }

    /// It is revoked, whether or not that can be noted.
    async fn note_revoked(&self, cert: &CertName, number: u32) {
        let note = async {
            let lock = self.lock(cert).await?;
            Ok::<_, CertificateError>(self.store.note_revoked(cert, &lock, number, Timestamp::now())?)
        };
        if let Err(error) = note.await {
            tracing::warn!(%cert, error = with_causes(&error), "that it is revoked could not be noted");
        }
    }

    /// Revokes the file's certificate, or else `current`.
    pub(super) async fn revoke_at_server(
        &self,
        request: &RevocationRequest,
        current: Option<&Generation>,
    ) -> Result<ServerUrl, CertificateError> {
        let pem = match (&request.cert_file, current) {
            (Some(path), _) => read(path)?,
            (None, Some(generation)) => generation.leaf()?.into_bytes(),
            (None, None) => {
                let folder = request.cert.as_ref().map(|cert| self.store.cert_folder(cert));
                return Err(CertificateError::NothingToRevoke { path: folder.unwrap_or_default() });
            }
        };
        let der = certificate(&pem).ok_or_else(|| CertificateError::NothingToRevoke {
            path: request.cert_file.clone().unwrap_or_default(),
        })?;
        let url = match (&request.server, current) {
            (Some(server), _) => server.clone(),
            (None, Some(generation)) => generation.info.server.parse()?,
            (None, None) => self.servers()?.in_use()?,
        };
        let work = async {
            match &request.key_file {
                Some(path) => {
                    let key = AccountKey::from_pem(&String::from_utf8_lossy(&read(path)?))
                        .map_err(|_| CertificateError::Key(crate::key::KeyError::Unreadable))?;
                    let server = self.connect(&url).await?;
                    let revoked = server.revoke_with_certificate_key(&key, &der, request.reason).await;
                    revoked.map_err(acme(&url, "the revocation"))
                }
                None => {
                    // The account that ordered it, where it is still here.
                    let ordered = current.and_then(|current| current.info.account.as_deref());
                    let ordered =
                        ordered.filter(|_| request.account.is_none() && request.cert_file.is_none());
                    let known = self.store.account_called(url.as_str(), ordered)?;
                    let called = request.account.as_deref().or(ordered.filter(|_| known.is_some()));
                    let account = self.required_account(&url, called).await?;
                    match account.revoke(&der, request.reason).await {
                        // Another account may have ordered it; the certificate's own key has the right all the same.
                        Err(error)
                            if matches!(error.class(), ErrorClass::Refused | ErrorClass::AccountGone) =>
                        {
                            let own = current.filter(|_| request.cert_file.is_none());
                            let Some(pem) = own.map(Generation::private_key).transpose()?.flatten() else {
                                return Err(acme(&url, "the revocation")(error));
                            };
                            let Ok(key) = AccountKey::from_pem(pem.expose_secret()) else {
                                return Err(acme(&url, "the revocation")(error));
                            };
                            let server = account.server();
                            let revoked =
                                server.revoke_with_certificate_key(&key, &der, request.reason).await;
                            revoked.map_err(|_| acme(&url, "the revocation")(error))
                        }
                        revoked => revoked.map_err(acme(&url, "the revocation")),
                    }
                }
            }
        };
        self.unless_interrupted(work).await??;
        Ok(url)
    }
}

/// Whether the server says that somebody has done so before.
pub(super) fn is_revoked_already(error: &CertificateError) -> bool {
    let CertificateError::Acme { source, .. } = error else { return false };
    source.problem().is_some_and(|problem| problem.kind() == ProblemKind::AlreadyRevoked)
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

/// The first certificate of a file, DER.
fn certificate(bytes: &[u8]) -> Option<Vec<u8>> {
    use x509_parser::prelude::FromDer;
    let der = match CertificateDer::from_pem_slice(bytes) {
        Ok(der) => der.to_vec(),
        Err(_) => bytes.to_vec(),
    };
    x509_parser::certificate::X509Certificate::from_der(&der).ok()?;
    Some(der)
}

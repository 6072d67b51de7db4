//! One HTTP client per process: rustls on `ring`, the platform's roots and those that the user adds, HTTP/2 where
//! offered, no Nagle delay, no redirects.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// How long a connection may take to be there. A request has its own limit, set where it is made.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Why the HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The file of `--ca-bundle` cannot be read.
    #[error("the CA bundle {} cannot be read", path.display())]
    BundleUnreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The file of `--ca-bundle` has no certificate in it.
    #[error("the CA bundle {} has no certificate in it", path.display())]
    BundleEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The roots of the system and of the bundle are not usable, or there are none.
    #[error("no trusted roots: the system has none that can be used")]
    Roots(#[source] rustls::Error),
    /// The TLS library refuses its settings.
    #[error("the TLS client could not be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP library refuses its settings.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
}

/// Makes the HTTP client. `ca_bundle` is a PEM file whose certificates are trusted beside the platform's.
///
/// # Errors
/// The bundle is not usable, or there are no roots at all.
pub fn http_client(ca_bundle: Option<&Path>) -> Result<reqwest::Client, NetworkError> {
    let extra = ca_bundle.map(read_bundle).transpose()?.unwrap_or_default();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone())
        .map_err(NetworkError::Roots)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(NetworkError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("livecert/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_LIMIT)
        .tcp_nodelay(true)
        .no_proxy()
        .build()
        .map_err(NetworkError::Http)
}

fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, NetworkError> {
    let unreadable = |source| NetworkError::BundleUnreadable { path: path.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(NetworkError::BundleEmpty { path: path.to_owned() });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_certificates_or_without_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(http_client(Some(&path)), Err(NetworkError::BundleUnreadable { .. })));
        std::fs::write(&path, "no certificate\n").unwrap();
        assert!(matches!(http_client(Some(&path)), Err(NetworkError::BundleEmpty { .. })));
    }
}

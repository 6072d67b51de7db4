//! HTTP/1.1 and HTTP/2, with TLS and without.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::pki::TlsIdentity;

/// The largest body that is read, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// Why a simulator could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be listened at, or the log cannot be opened.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The TLS certificate or key is not usable.
    #[error("the TLS identity is not usable: {0}")]
    Tls(String),
}

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
pub struct Cut;

/// The body of a request, which may not have come yet.
#[derive(Debug)]
pub struct Body(Incoming);

impl Body {
    /// Reads it to its end.
    ///
    /// # Errors
    /// The client went away, or it is longer than [`MAX_BODY`].
    pub async fn read(self) -> Result<Bytes, Cut> {
        Ok(Limited::new(self.0, MAX_BODY).collect().await.map_err(|_| Cut)?.to_bytes())
    }
}

/// Listens at an address, and gives the one that it became (where its port was 0).
///
/// # Errors
/// It cannot be listened at.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let io = |source| Error::Io { what: format!("listening at {address}"), source };
    let listener = TcpListener::bind(address).await.map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    Ok((listener, address))
}

/// What ALPN calls the versions of HTTP that [`serve`] speaks (RFC 7301), preferred first.
pub const HTTP_VERSIONS: &[&str] = &["h2", "http/1.1"];

/// TLS with this identity, and these protocols for ALPN (none: it is not spoken of).
///
/// # Errors
/// Certificate or key cannot be read, or do not belong together.
pub fn tls(identity: &TlsIdentity, protocols: &[&str]) -> Result<TlsAcceptor, Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.cert_chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|error| wrong(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Answers requests, for as long as the task lives; `answer` gets the request and the client's address.
pub async fn serve<A, F>(listener: TcpListener, tls: Option<TlsAcceptor>, answer: A)
where
    A: Fn(Request<Body>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Full<Bytes>>, Cut>> + Send + 'static,
{
    loop {
        let Some((stream, client)) = accept(&listener).await else { continue };
        let (tls, answer) = (tls.clone(), answer.clone());
        tokio::spawn(async move {
            let answer = move |request| answer(request, client);
            match tls {
                None => converse(stream, answer).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, answer).await;
                    }
                }
            }
        });
    }
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, client)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, client))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            // Out of file descriptors, most likely: give the others time to close theirs.
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

/// Answers the requests of one connection.
async fn converse<S, A, F>(stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Body>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response<Full<Bytes>>, Cut>> + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| answer(request.map(Body)));
    // The connection ends with an error when it is cut on purpose, or the client goes away.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// A response; a header that HTTP does not allow is left out, a status that it does not know is 200.
pub fn respond(
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

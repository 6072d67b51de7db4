//! How requests travel: one trait, and its implementation on `reqwest`.

#[cfg(feature = "reqwest")]
mod http_transport;

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

#[cfg(feature = "reqwest")]
pub use self::http_transport::HttpTransport;

/// The largest body that is read, in bytes. A chain with its certificates is some ten thousand.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// A request under way.
pub type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send + 'a>>;

/// Sends HTTP requests.
///
/// An implementation gives every status as an answer, follows no redirect (RFC 8555 §6.4 signs the URL), repeats
/// nothing by itself, ends within bounds of time and size (bodies above 1 MiB are refused here in any case), and sets
/// `User-Agent` (RFC 8555 §6.1). The other headers are set already.
pub trait Transport: Send + Sync {
    /// Sends one request and reads the whole answer, within bounds of size and time.
    fn send(&self, request: http::Request<Bytes>) -> Sending<'_>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The server's name does not resolve, or nobody listens there. Nothing was sent.
    #[error("cannot connect")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// The server's certificate is not trusted, or TLS failed otherwise. Nothing was sent.
    #[error("TLS failed")]
    Tls(#[source] Box<dyn StdError + Send + Sync>),
    /// No answer in time. The request may have taken effect.
    #[error("no answer in time")]
    Timeout(#[source] Box<dyn StdError + Send + Sync>),
    /// The answer is larger than any that ACME has.
    #[error("the answer is larger than {MAX_BODY} bytes")]
    TooLarge,
    /// The request cannot be put into HTTP, for a URL that is none there. Nothing was sent.
    #[error("the request cannot be sent")]
    Unsendable(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke. The request may have taken effect.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
}

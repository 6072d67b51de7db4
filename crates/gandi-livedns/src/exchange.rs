//! One request and its answer: the seam below which there is a network, and in tests a script.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Version};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::NetworkKind;

/// Longest body that is read, in bytes.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

static SHARING_ID: HeaderName = HeaderName::from_static("x-gandi-sharing-id");

/// A request without what is the same for all requests.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Path below the base URL, for messages.
    pub(crate) path: String,
    /// JSON.
    pub(crate) body: Option<Bytes>,
}

impl Call {
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<HeaderValue>,
    pub(crate) body: Bytes,
    /// The connection takes many requests at a time (HTTP/2).
    pub(crate) multiplexed: bool,
}

/// There is no complete answer.
#[derive(Debug)]
pub(crate) struct NoReply {
    pub(crate) kind: NetworkKind,
    /// Trying again cannot help, for instance with an untrusted certificate.
    pub(crate) permanent: bool,
    pub(crate) source: Box<dyn StdError + Send + Sync>,
}

pub(crate) type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Reply, NoReply>> + Send + 'a>>;

pub(crate) trait Exchange: Send + Sync {
    fn exchange<'a>(&'a self, call: &'a Call) -> Exchanged<'a>;
}

/// The exchange over HTTPS.
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    pub(crate) authorization: HeaderValue,
    pub(crate) secret: SecretString,
    pub(crate) sharing_id: Option<HeaderValue>,
    pub(crate) timeout: Duration,
}

impl Exchange for Http {
    fn exchange<'a>(&'a self, call: &'a Call) -> Exchanged<'a> {
        Box::pin(self.send(call))
    }
}

impl Http {
    async fn send(&self, call: &Call) -> Result<Reply, NoReply> {
        let mut request = self
            .client
            .request(call.method.clone(), call.url.clone())
            .timeout(self.timeout)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json");
        if let Some(id) = &self.sharing_id {
            request = request.header(&SHARING_ID, id.clone());
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = request.send().await.map_err(NoReply::from)?;
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(NoReply::from)? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(oversized());
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status();
        let multiplexed = response.version() >= Version::HTTP_2;
        // Bodies of refusals are quoted in messages, and an answer may repeat the request that it refuses.
        let body = if status.is_success() { body } else { without_secret(body, &self.secret) };
        Ok(Reply { status, retry_after, body: body.into(), multiplexed })
    }
}

fn without_secret(body: Vec<u8>, secret: &SecretString) -> Vec<u8> {
    let secret = secret.expose_secret();
    match std::str::from_utf8(&body) {
        Ok(text) if text.contains(secret) => text.replace(secret, "[redacted]").into_bytes(),
        Ok(_) => body,
        Err(_) => String::from_utf8_lossy(&body).replace(secret, "[redacted]").into_bytes(),
    }
}

fn oversized() -> NoReply {
    let source = format!("more than {LONGEST_BODY} bytes").into();
    NoReply { kind: NetworkKind::Oversized, permanent: true, source }
}

impl From<reqwest::Error> for NoReply {
    fn from(error: reqwest::Error) -> Self {
        let (kind, permanent) = match tls_error(&error) {
            // Only what was presented and found wanting is lasting; an interrupted handshake is not.
            Some(tls) => (NetworkKind::Tls, matches!(tls, rustls::Error::InvalidCertificate(_))),
            None if error.is_connect() => (NetworkKind::Connect, false),
            None if error.is_timeout() => (NetworkKind::Timeout, false),
            None if error.is_builder() => (NetworkKind::Other, true),
            None => (NetworkKind::Lost, false),
        };
        Self { kind, permanent, source: innermost(&error.without_url()).into() }
    }
}

/// The last cause: what is above it says only that a request was not sent.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// The TLS error at the bottom of `error`, provided that it kept the connection from being made.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    if !error.is_connect() {
        return None;
    }
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // An io::Error that wraps another error names that one's source as its own, and hides the error.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_repeats_the_secret_is_redacted() {
        let secret = SecretString::from("t0ken");
        assert_eq!(without_secret(b"{}".to_vec(), &secret), b"{}");
        assert_eq!(without_secret(b"Bearer t0ken!".to_vec(), &secret), b"Bearer [redacted]!");
        let odd = without_secret(b"\xffBearer t0ken".to_vec(), &secret);
        assert!(!String::from_utf8_lossy(&odd).contains("t0ken"));
    }
}

//! The transport on a `reqwest` client.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{MAX_BODY, Sending, Transport, TransportError};

/// How long one request may take, from the connection to the last byte of the body.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The transport on a `reqwest` client.
///
/// Build the client with `redirect::Policy::none()`, and leave retries off (`retry::never()`): livecert has its own.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
}

impl HttpTransport {
    /// Sends through `client`.
    pub fn new(client: reqwest::Client) -> Self {
        HttpTransport { client }
    }

    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let mut request = reqwest::Request::try_from(request).map_err(classify)?;
        *request.timeout_mut() = Some(REQUEST_LIMIT);
        let mut response = self.client.execute(request).await.map_err(classify)?;
        let mut body = BytesMut::new();
        // Chunk by chunk: the length that a server announces is not to be believed.
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body.freeze());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: http::Request<Bytes>) -> Sending<'_> {
        Box::pin(self.exchange(request))
    }
}

/// `reqwest` says "connect" for a refused TLS handshake too; the reason lies deeper.
fn classify(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    if error.is_timeout() {
        TransportError::Timeout(error.into())
    } else if mentions_tls(&error) {
        TransportError::Tls(error.into())
    } else if error.is_connect() {
        TransportError::Connect(error.into())
    } else {
        TransportError::Broken(error.into())
    }
}

/// Walks the causes. The TLS library's error type cannot be named without depending on it, but its texts are stable
/// in their beginning; a wrong guess only costs a less fitting message.
fn mentions_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if [
            "invalid peer certificate",
            "received fatal alert",
            "received corrupt message",
            "unexpected error: ",
        ]
        .iter()
        .any(|begin| text.starts_with(begin))
        {
            return true;
        }
        next = cause.source();
    }
    false
}

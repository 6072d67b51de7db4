//! http-01 (RFC 8555 §8.3): the files of challenges, and nothing else.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::plugin::WebError;
use crate::plugin::web::is_token;

const FOLDER: &str = "/.well-known/acme-challenge/";
/// The longest head of a request in octets.
const LONGEST_HEAD: usize = 16 * 1024;

/// What is shown now, by token. Hosts do not matter: a token belongs to one authorization alone.
#[derive(Clone, Default)]
pub(super) struct Files {
    shown: Arc<Mutex<HashMap<String, String>>>,
    /// The thumbprint of the account for which every token is answered.
    account: Option<Arc<str>>,
}

impl Files {
    /// Every token, for the account whose key has this thumbprint.
    pub(super) fn of_account(thumbprint: String) -> Self {
        Files { account: Some(thumbprint.into()), ..Files::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, token: &str) -> Option<String> {
        let of_account = || {
            let thumbprint = self.account.as_ref().filter(|_| is_token(token))?;
            Some(format!("{token}.{thumbprint}"))
        };
        self.lock().get(token).cloned().or_else(of_account)
    }

    pub(super) fn add(&self, token: &str, body: &str) -> Result<(), WebError> {
        if !is_token(token) {
            return Err(WebError::Token);
        }
        self.lock().insert(token.to_owned(), body.to_owned());
        Ok(())
    }

    pub(super) fn remove(&self, token: &str, body: &str) {
        let mut files = self.lock();
        if files.get(token).is_some_and(|shown| shown == body) {
            files.remove(token);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// Answers requests on one connection until the client has enough; one has to be complete within `limit`.
pub(super) async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, files: Files, limit: Duration) {
    let service = service_fn(|request: Request<_>| {
        let response = respond(request.method(), request.uri().path(), &files);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection for http-01 ended early");
    }
}

fn respond(method: &Method, path: &str, files: &Files) -> Response<Full<Bytes>> {
    let asked = if matches!(*method, Method::GET | Method::HEAD) { path.strip_prefix(FOLDER) } else { None };
    let found = asked.and_then(|token| files.content(token));
    if found.is_some() {
        tracing::debug!(path, "a challenge's file was fetched");
    }
    let (status, body) = match found {
        Some(body) => (StatusCode::OK, Bytes::from(body)),
        None => (StatusCode::NOT_FOUND, Bytes::from_static(b"There is nothing here.\n")),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

//! The listener for http-01 by itself: it shows what it is told to, until it is stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::http::{self, Files};
use super::listener::{Limits, Running};
use super::{CONNECTION_TIME, CONNECTIONS, socket};
use crate::plugin::WebError;

/// Where http-01 is looked for (RFC 8555 §8.3).
const PORT: u16 = 80;

/// A listener that answers http-01 and nothing else.
#[derive(Debug)]
pub struct HttpListener {
    running: Running,
}

impl HttpListener {
    /// Shows these contents by their tokens. Without addresses it listens at port 80 of all, or at a socket that systemd has
    /// passed in. Must be called in a runtime.
    ///
    /// # Errors
    /// It cannot be listened there, or a token is none.
    pub fn files(addresses: &[SocketAddr], files: BTreeMap<String, String>) -> Result<Self, WebError> {
        let shown = Files::default();
        files.iter().try_for_each(|(token, content)| shown.add(token, content))?;
        Self::start(addresses, shown)
    }

    /// Answers every token for the account whose key has this thumbprint (RFC 7638), so that nobody has to tell it of an
    /// order.
    ///
    /// # Errors
    /// It cannot be listened there.
    pub fn account(addresses: &[SocketAddr], thumbprint: String) -> Result<Self, WebError> {
        Self::start(addresses, Files::of_account(thumbprint))
    }

    fn start(addresses: &[SocketAddr], files: Files) -> Result<Self, WebError> {
        let sockets = match addresses {
            [] => {
                let passed = socket::passed("http", PORT)?;
                if passed.is_empty() { socket::listen(&[], PORT)? } else { passed }
            }
            some => some.iter().map(|address| socket::open(*address)).collect::<Result<_, _>>()?,
        };
        let limits = Limits { connection_time: CONNECTION_TIME, connections: CONNECTIONS };
        let running = Running::start(sockets, limits, move |stream| {
            http::answer(stream, files.clone(), limits.connection_time)
        })?;
        Ok(HttpListener { running })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.running.addresses()
    }

    /// Closes it; when this returns, the ports are free.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

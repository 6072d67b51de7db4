//! The servers that a run has to do with: each directory is read once for all certificates, and the nonces are one pool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use livecert_acme::{Known, Server};

use super::account::acme;
use super::{CertificateError, ServerUrl, Service, with_causes};

/// How long a server's directory is believed: for the certificates of one run, and not for the life of a process.
const DIRECTORY_LIFE: Duration = Duration::from_secs(10 * 60);

/// Signed requests under way at a time at a server that all the world shares, all orders together. Let's Encrypt lets one
/// address have 20 nonces a second, 10 at once, and 250 of most other requests.
const AT_ONCE_AT_PUBLIC: usize = 8;

/// The servers that were connected to, with their nonces: certificates side by side share them.
#[derive(Default)]
pub(super) struct KnownServers(Mutex<BTreeMap<String, Connection>>);

#[derive(Default)]
struct Connection {
    server: Option<(Server, Instant)>,
    /// Whoever connected only looks, so no nonce was fetched ahead.
    without_nonce: bool,
    /// Held by whoever reads the directory.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl KnownServers {
    fn change<T>(&self, url: &ServerUrl, change: impl FnOnce(&mut Connection) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(url.to_string()).or_default())
    }

    /// The server, if its directory was read lately.
    fn find(&self, url: &ServerUrl) -> Option<Server> {
        let known = self.change(url, |connection| connection.server.clone());
        known.filter(|(_, read)| read.elapsed() < DIRECTORY_LIFE).map(|(server, _)| server)
    }
}

impl Service {
    /// The server, for requests that are signed: where its directory was not read lately, a nonce is fetched beside that.
    pub(super) async fn connect(&self, url: &ServerUrl) -> Result<Server, CertificateError> {
        let server = self.connect_with(url, false).await?;
        // After somebody who only looked, the first one fetches it, beside what else is prepared for the order.
        if self.servers.change(url, |connection| std::mem::take(&mut connection.without_nonce)) {
            server.fetch_nonces_ahead(1).await;
        }
        Ok(server)
    }

    /// The server, for who signs no request: no nonce is fetched.
    pub(super) async fn connect_to_look(&self, url: &ServerUrl) -> Result<Server, CertificateError> {
        self.connect_with(url, true).await
    }

    /// The server, whose directory is read where that was not done lately. For several certificates at once it is read
    /// once.
    async fn connect_with(&self, url: &ServerUrl, looking: bool) -> Result<Server, CertificateError> {
        if let Some(server) = self.servers.find(url) {
            return Ok(server);
        }
        let reading = self.servers.change(url, |connection| connection.reading.clone());
        let alone = reading.try_lock();
        if alone.is_err() {
            drop(reading.lock().await);
            // Where the first one had no luck, the others do not wait for each other's.
            if let Some(server) = self.servers.find(url) {
                return Ok(server);
            }
        }
        let known = self.before_asking(url, looking);
        let server = Server::connect_knowing(self.transport.clone(), url.as_str(), &known).await;
        let server = server.map_err(acme(url, "reading the directory"))?;
        let read = (server.clone(), Instant::now());
        self.servers.change(url, |connection| {
            connection.server = Some(read);
            connection.without_nonce = looking;
        });
        Ok(server)
    }

    /// What is known of a server before it is asked. Of what its directory said last, nothing counts until it is said again;
    /// where its nonces are is nothing to who only looks.
    fn before_asking(&self, url: &ServerUrl, looking: bool) -> Known {
        let mut known = Known::default();
        if !looking {
            known.new_nonce = self.store.new_nonce(url.as_str()).and_then(|url| url.parse().ok());
        }
        if url.code().is_some() {
            known.at_once = AT_ONCE_AT_PUBLIC;
        }
        known
    }

    /// Notes what helps the next run to be quick at this server; that it cannot be noted costs that run a round trip.
    pub(super) fn note_directory(&self, url: &ServerUrl, server: &Server) {
        let new_nonce = &server.directory().new_nonce;
        if !self.rehearsing
            && let Err(error) = self.store.note_new_nonce(url.as_str(), new_nonce.as_str())
        {
            tracing::debug!(error = with_causes(&error), "what the directory says is not noted");
        }
    }
}

//! ACME servers of our own beside Pebble, for what it does not show.

use std::path::{Path, PathBuf};

use ::acme_sim::{Config, Control};

use crate::{Error, Testbed, io};

/// A running server, and the files that clients need. It ends when this is dropped.
#[derive(Debug)]
pub struct AcmeSim {
    server: ::acme_sim::AcmeSim,
    roots: PathBuf,
}

impl AcmeSim {
    /// Starts a server with this configuration, and writes its roots to the folder.
    ///
    /// # Errors
    /// It does not start, or its roots cannot be written.
    pub async fn start(folder: &Path, config: Config) -> Result<Self, Error> {
        let name = config.name.replace([' ', '/'], "-");
        let server =
            ::acme_sim::AcmeSim::start(config).await.map_err(|error| Error::AcmeSim(Box::new(error)))?;
        let roots = folder.join(format!("{name}-roots.pem"));
        std::fs::write(&roots, server.roots().concat()).map_err(io("writing the roots"))?;
        Ok(AcmeSim { server, roots })
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        self.server.directory()
    }

    /// The server's inside.
    pub fn control(&self) -> Control {
        self.server.control()
    }

    /// The roots of the certificates it issues, PEM, the first one that of the default chain.
    pub fn roots(&self) -> &Path {
        &self.roots
    }
}

impl Testbed {
    /// Starts an ACME server beside Pebble: any number of them, each with a name, accounts and roots of its own. It
    /// shows the same TLS certificate as the others, and asks the simulator's first name server.
    ///
    /// # Errors
    /// It does not start.
    pub fn acme_sim(&self, name: &str) -> Result<AcmeSim, Error> {
        self.acme_sim_with(name, |_| {})
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// It does not start.
    pub fn acme_sim_with(&self, name: &str, change: impl FnOnce(&mut Config)) -> Result<AcmeSim, Error> {
        let mut config = Config::small(name, self.simulator.dns_addrs()[0], self.tls.clone());
        change(&mut config);
        self.runtime.block_on(AcmeSim::start(self.folder(), config))
    }

    /// The words of `livecert issue` that point to this server instead of Pebble, after the names.
    pub fn issue_words_at(&self, server: &AcmeSim) -> Vec<String> {
        let mut words = self.issue_words();
        if let Some(url) = words.iter_mut().find(|word| **word == self.pebble.directory()) {
            *url = server.directory();
        }
        words
    }
}

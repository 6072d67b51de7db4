//! The servers, as the cases see them: where they are, and what is different about them.

use std::path::{Path, PathBuf};

use testbed::{
    Acme2Certifier, Acme2CertifierOptions, Caddy, Error, ExternalAccount, Pebble, PebbleOptions, Testbed,
};

/// Alternate chains that Pebble offers.
pub(crate) const ALTERNATES: u32 = 2;

/// An ACME server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pebble,
    Caddy,
    Acme2Certifier,
}

/// A running one.
pub(crate) enum Server {
    Pebble(Box<Pebble>),
    Caddy(Caddy),
    Acme2Certifier(Acme2Certifier),
}

impl Kind {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Pebble => "Pebble",
            Kind::Caddy => "Caddy",
            Kind::Acme2Certifier => "acme2certifier",
        }
    }

    /// Starts it with the settings that it comes with, Pebble with alternate chains too.
    pub(crate) fn start(self, testbed: &Testbed) -> Result<Server, Error> {
        Ok(match self {
            Kind::Pebble => Server::Pebble(Box::new(testbed.another_pebble(&pebble())?)),
            Kind::Caddy => Server::Caddy(testbed.caddy(&environment())?),
            Kind::Acme2Certifier => Server::Acme2Certifier(
                testbed.acme2certifier(&environment(), &Acme2CertifierOptions::default())?,
            ),
        })
    }

    /// Starts one more that refuses many nonces and has a long chain; none if it cannot.
    pub(crate) fn start_hard(self, testbed: &Testbed) -> Result<Option<Server>, Error> {
        Ok(match self {
            Kind::Pebble => {
                let options = PebbleOptions { nonce_reject: 30, chain_length: 2, ..pebble() };
                Some(Server::Pebble(Box::new(testbed.another_pebble(&options)?)))
            }
            Kind::Caddy | Kind::Acme2Certifier => None,
        })
    }

    /// Starts one more that demands an external account, and gives the account; none if it never does.
    pub(crate) fn start_demanding(
        self,
        testbed: &Testbed,
    ) -> Result<Option<(Server, ExternalAccount)>, Error> {
        Ok(match self {
            Kind::Pebble => {
                let options = PebbleOptions { external_account: true, ..pebble() };
                let server = Server::Pebble(Box::new(testbed.another_pebble(&options)?));
                Some((server, Pebble::external_account()))
            }
            Kind::Caddy => None,
            Kind::Acme2Certifier => {
                let options = Acme2CertifierOptions { external_account: true };
                let server = Server::Acme2Certifier(testbed.acme2certifier(&environment(), &options)?);
                Some((server, Acme2Certifier::external_account()))
            }
        })
    }
}

fn pebble() -> PebbleOptions {
    PebbleOptions { authz_reuse: 50, alternate_roots: ALTERNATES, ..PebbleOptions::default() }
}

/// Where `cargo xtask setup` puts the servers that are Python packages.
fn environment() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary).join("interop-venv")
}

impl Server {
    pub(crate) fn directory(&self) -> String {
        match self {
            Server::Pebble(server) => server.directory(),
            Server::Caddy(server) => server.directory(),
            Server::Acme2Certifier(server) => server.directory(),
        }
    }

    /// The port where it looks for proofs of http-01.
    pub(crate) fn http_port(&self) -> u16 {
        match self {
            Server::Pebble(server) => server.http_port(),
            Server::Caddy(_) | Server::Acme2Certifier(_) => 80,
        }
    }

    /// The port where it looks for proofs of tls-alpn-01.
    pub(crate) fn tls_port(&self) -> u16 {
        match self {
            Server::Pebble(server) => server.tls_port(),
            Server::Caddy(_) | Server::Acme2Certifier(_) => 443,
        }
    }

    /// The roots of its chains, PEM: the default one, then the alternates.
    pub(crate) fn roots(&self, testbed: &Testbed) -> Result<Vec<String>, Error> {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|source| Error::Io { what: format!("reading {}", path.display()), source })
        };
        match self {
            Server::Pebble(server) => (0..=ALTERNATES)
                .map(|number| testbed.fetch(&format!("{}/roots/{number}", server.management())))
                .collect(),
            Server::Caddy(server) => Ok(vec![read(server.root())?]),
            Server::Acme2Certifier(server) => Ok(vec![read(server.root())?]),
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        match self {
            Server::Pebble(server) => server.log(),
            Server::Caddy(server) => server.log(),
            Server::Acme2Certifier(server) => server.log(),
        }
    }
}

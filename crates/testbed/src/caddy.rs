//! Caddy's `acme_server`: smallstep's CA, with certificates of hours.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sim_server::pki::TlsIdentity;

use crate::process::{Process, at_free_ports};
use crate::{Error, io};

/// A running Caddy; it is ended when this is dropped. It looks for proofs of http-01 at port 80 and of tls-alpn-01 at
/// port 443, and nowhere else.
#[derive(Debug)]
pub struct Caddy {
    process: Process,
    address: SocketAddr,
    root: PathBuf,
}

impl Caddy {
    pub(crate) fn start(
        folder: &Path,
        tls: &TlsIdentity,
        dns: SocketAddr,
        program: &Path,
    ) -> Result<Self, Error> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map(|()| path).map_err(io("writing Caddy's files"))
        };
        let certificate = write("caddy-cert.pem", &tls.cert_chain_pem)?;
        let key = write("caddy-key.pem", &tls.key_pem)?;
        let storage = folder.join("caddy");
        at_free_ports(|[address, unused]| {
            let config = write(
                "Caddyfile",
                &format!(
                    "{{
    storage file_system {storage}
    admin off
    persist_config off
    skip_install_trust
    auto_https off
    default_sni localhost
    http_port {unused}
    https_port {port}
    pki {{
        ca local {{
            name \"livecert test CA\"
        }}
    }}
}}
https://localhost:{port} {{
    bind 127.0.0.1
    tls {certificate} {key}
    acme_server {{
        resolvers {dns}
        challenges dns-01 http-01 tls-alpn-01
        allow_wildcard_names
    }}
}}
",
                    storage = storage.display(),
                    unused = unused.port(),
                    port = address.port(),
                    certificate = certificate.display(),
                    key = key.display(),
                ),
            )?;
            let mut command = Command::new(program);
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
            // It writes below these, whatever its configuration says.
            command.env("HOME", folder).env("XDG_CONFIG_HOME", folder).env("XDG_DATA_HOME", folder);
            let process = Process::start(command, crate::SET_UP, address)?;
            Ok(Caddy { process, address, root: storage.join("pki/authorities/local/root.crt") })
        })
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/acme/local/directory", self.address.port())
    }

    /// The root of the certificates that it issues, PEM.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it logged so far, as JSON lines.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

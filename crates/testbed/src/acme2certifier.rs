//! acme2certifier: an ACME server in Python in front of any CA, here in front of a key file. The one of our servers with
//! pre-authorization, renewal information, profiles and dns-persist-01.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sim_server::pki::TlsIdentity;

use crate::process::{Process, at_free_ports};
use crate::{Error, ExternalAccount, io};

/// Settings of acme2certifier.
#[derive(Debug, Clone, Default)]
pub struct Acme2CertifierOptions {
    /// Whether it demands an external account binding, which [`Acme2Certifier::external_account`] satisfies.
    pub external_account: bool,
}

/// A running acme2certifier; it is ended when this is dropped. It asks the DNS at 127.0.0.1 port 53, and looks for
/// proofs of http-01 at port 80 and of tls-alpn-01 at port 443: it belongs into a network of its own.
#[derive(Debug)]
pub struct Acme2Certifier {
    process: Process,
    address: SocketAddr,
    root: PathBuf,
}

impl Acme2Certifier {
    pub(crate) fn start(
        folder: &Path,
        tls: &TlsIdentity,
        environment: &Path,
        options: &Acme2CertifierOptions,
    ) -> Result<Self, Error> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map(|()| path).map_err(io("writing acme2certifier's files"))
        };
        let certificate = write("acme2certifier-cert.pem", &tls.cert_chain_pem)?;
        let key = write("acme2certifier-key.pem", &tls.key_pem)?;
        let authority = Authority::new().map_err(|error| Error::Pki(error.to_string()))?;
        let root = write("acme2certifier-root.pem", &authority.root)?;
        let issuing = write("acme2certifier-issuing.pem", &authority.issuing)?;
        let issuing_key = write("acme2certifier-issuing-key.pem", &authority.issuing_key)?;
        let account = Self::external_account();
        let accounts = serde_json::json!({account.kid: account.hmac_key}).to_string();
        let accounts = write("acme2certifier-accounts.json", &accounts)?;
        let issued = folder.join("acme2certifier-issued");
        std::fs::create_dir_all(&issued).map_err(io("a folder for acme2certifier"))?;
        let external = if options.external_account {
            format!(
                "[EABhandler]
eab_handler_module: acme2certifier.eabhandlers.json_handler
key_file: {}
",
                accounts.display()
            )
        } else {
            String::new()
        };
        let config = write(
            "acme2certifier.cfg",
            &format!(
                "[DEFAULT]
debug: False
dns_server_list: [\"127.0.0.1\"]
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {key}
issuing_ca_cert: {issuing}
issuing_ca_crl: {folder}/acme2certifier-crl.pem
ca_cert_chain_list: [\"{root}\"]
cert_validity_days: 30
cert_save_path: {issued}
[Certificate]
enrollment_timeout: 60
[DBhandler]
handler: wsgi
dbfile: {folder}/acme2certifier.db
[Challenge]
challenge_validation_timeout: 30
dns_persist_01_support: True
dns_persist_allow_policy_wildcard: True
[Order]
identifier_limit: 200
profiles: {{\"classic\": \"https://localhost/profiles/classic\", \"short\": \"https://localhost/profiles/short\"}}
[Directory]
tos_url: https://localhost/terms
caaidentities: [\"ca.example\"]
{external}",
                key = issuing_key.display(),
                issuing = issuing.display(),
                root = root.display(),
                issued = issued.display(),
                folder = folder.display(),
            ),
        )?;
        at_free_ports(|[address]| {
            let mut command = Command::new(environment.join("bin/gunicorn"));
            command.args(["--bind", &address.to_string()]);
            // Threads, because a worker of this kind soon notices that the program that started it is gone. Many, because
            // each connection takes one from its first octet on, and sqlite makes them wait for one another.
            command.args(["--worker-class", "gthread", "--threads", "16"]);
            command.arg("--certfile").arg(&certificate).arg("--keyfile").arg(&key);
            command.arg("--no-control-socket");
            command.arg("acme2certifier.share.acme2certifier_wsgi:application");
            command
                .env("ACME_SRV_CONFIGFILE", &config)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .current_dir(folder);
            let process = Process::start(command, crate::SET_UP, address)?;
            Ok(Acme2Certifier { process, address, root: root.clone() })
        })
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/directory", self.address.port())
    }

    /// The external account that it knows when it demands one.
    pub fn external_account() -> ExternalAccount {
        ExternalAccount {
            kid: "keyid_00".to_owned(),
            hmac_key: "bWFjX2tleV9vZl9hX3Rlc3RfYWNjb3VudF93aXRoXzMyX29jdGV0cw".to_owned(),
        }
    }

    /// The root of the certificates that it issues, PEM.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it logged so far.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

/// A root and an issuing CA below it, PEM.
struct Authority {
    root: String,
    issuing: String,
    issuing_key: String,
}

impl Authority {
    fn new() -> Result<Self, rcgen::Error> {
        let params = |name: &str| -> Result<CertificateParams, rcgen::Error> {
            let mut params = CertificateParams::new(Vec::new())?;
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.distinguished_name.push(DnType::CommonName, name);
            params.use_authority_key_identifier_extension = true;
            Ok(params)
        };
        let (root, issuing) =
            (params("acme2certifier test root")?, params("acme2certifier test issuing CA")?);
        let (root_key, issuing_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let root_certificate = root.self_signed(&root_key)?;
        let issuer = Issuer::from_params(&root, &root_key);
        let issuing = issuing.signed_by(&issuing_key, &issuer)?;
        Ok(Authority {
            root: root_certificate.pem(),
            issuing: issuing.pem(),
            issuing_key: issuing_key.serialize_pem(),
        })
    }
}

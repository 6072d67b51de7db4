//! The state of other ACME clients, read so that it can be taken over.
//!
//! One file for each client, from its folder to plain values: [`Found`]. Nothing in the folder is ever changed, no network
//! is touched, and what is in there is not trusted: see `folder.rs`. What cannot be used is an
//! [`Obstacle`], and the rest goes on.

mod acme_sh;
mod certbot;
mod folder;
mod ini;
mod lego;
mod lego_settings;
mod posh_acme;
mod secure_string;
mod shell_conf;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use livecert_acme::AccountKey;
use secrecy::SecretString;

use crate::key::PrivateKey;

/// A client whose state can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Client {
    /// Posh-ACME 4.
    PoshAcme,
    /// certbot.
    Certbot,
    /// lego 4 and 5.
    Lego,
    /// acme.sh.
    AcmeSh,
}

impl Client {
    /// All of them, with their names on the command line.
    pub const ALL: [(&'static str, Client); 4] = [
        ("posh-acme", Client::PoshAcme),
        ("certbot", Client::Certbot),
        ("lego", Client::Lego),
        ("acme.sh", Client::AcmeSh),
    ];

    /// How to stop it.
    pub fn farewell(self) -> &'static str {
        match self {
            Client::PoshAcme => "remove the scheduled task, or the line of cron, that runs Submit-Renewal",
            Client::Certbot => "systemctl disable --now certbot.timer (or remove its line from cron)",
            Client::Lego => "remove the timer, or the line of cron, that runs lego",
            Client::AcmeSh => "acme.sh --uninstall-cronjob",
        }
    }

    /// What its folder is known by.
    fn marks(self) -> &'static str {
        match self {
            Client::PoshAcme => {
                "'current-server.txt' nor a folder with 'dir.json', as ~/.config/Posh-ACME has"
            }
            Client::Lego => "'accounts' nor 'certificates' nor '.lego.yml'",
            Client::AcmeSh => "'account.conf' nor 'ca', as ~/.acme.sh has",
            Client::Certbot => "'renewal' nor 'accounts', as /etc/letsencrypt has",
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Client::ALL.iter().find(|(_, client)| client == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Client {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, ImportError> {
        let found = Client::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, client)| *client).ok_or_else(|| ImportError::UnknownClient(text.to_owned()))
    }
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No such client.
    #[error("'{0}' is no client whose state can be taken over")]
    UnknownClient(String),
    /// The folder is none, or may not be entered.
    #[error("{} cannot be read", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The folder is another one's.
    #[error("{} is no folder of {client}: it has neither {marks}", path.display())]
    OtherFolder {
        /// The folder.
        path: PathBuf,
        /// The client.
        client: Client,
        /// What was looked for.
        marks: &'static str,
    },
    /// The folder has neither an account nor a certificate.
    #[error("there is nothing of {client} in {}", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// The client.
        client: Client,
    },
    /// No certificate of that name is in the folder.
    #[error("there is no certificate '{name}' in {} (there is: {})", path.display(), if there.is_empty() { "none".to_owned() } else { there.join(", ") })]
    NoSuchCertificate {
        /// The folder.
        path: PathBuf,
        /// The name.
        name: String,
        /// Those that are there.
        there: Vec<String>,
    },
}

/// What a folder does not tell, and the user has to.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// Directory URLs of servers, for clients that note a part of them only.
    pub servers: Vec<String>,
    /// Directory URLs of servers that everybody knows, for the same.
    pub known: Vec<String>,
}

/// What is in a client's folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Its accounts.
    pub accounts: Vec<FoundAccount>,
    /// Its certificates, those that can be read.
    pub certificates: Vec<FoundCertificate>,
    /// What is there, and cannot be taken over.
    pub obstacles: Vec<Obstacle>,
    /// What its user has to know.
    pub notes: Vec<String>,
}

/// Something that cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is, such as `account 17`; the client's name of it, if it is a certificate.
    pub what: String,
    /// Whether it is a certificate.
    pub is_certificate: bool,
    /// Why. Never repeats a secret.
    pub why: String,
}

/// An account of another client.
#[derive(Debug)]
pub struct FoundAccount {
    /// Directory URL of its server.
    pub server: String,
    /// Its URL (RFC 8555 §7.3).
    pub url: String,
    /// Mail addresses, where the client keeps them.
    pub contact: Vec<String>,
    /// Its private key.
    pub key: AccountKey,
    /// When it was made, where the client keeps that.
    pub created: Option<jiff::Timestamp>,
}

/// A certificate of another client, with what is needed for its renewal.
#[derive(Debug, Default)]
pub struct FoundCertificate {
    /// Its name at the client.
    pub name: String,
    /// The name that should stand first; the others are in the certificate.
    pub first: Option<String>,
    /// Directory URL of its server.
    pub server: String,
    /// URL of the account that ordered it, where the client keeps that.
    pub account: Option<String>,
    /// Its chains, PEM, leaf first; the CA's own choice comes first.
    pub chains: Vec<String>,
    /// Its private key; none where its owner keeps it, who gave a request.
    pub key: Option<PrivateKey>,
    /// The owner's request, DER or PEM.
    pub request: Option<Vec<u8>>,
    /// Keep the key at renewals.
    pub reuse_key: bool,
    /// Common name in the request.
    pub subject: Option<String>,
    /// Ask for the TLS feature extension, whatever the certificate has.
    pub must_staple: bool,
    /// Prove one name after another.
    pub serial: bool,
    /// The profile that the server must offer.
    pub profile: Option<String>,
    /// The profile that is taken where the server offers it.
    pub preferred_profile: Option<String>,
    /// Common name of the preferred issuer.
    pub preferred_chain: Option<String>,
    /// Days that it is asked to live.
    pub lifetime_days: Option<u16>,
    /// Seconds that the CA may take to validate.
    pub validation_timeout: Option<u64>,
    /// The challenge, in the command line's word; none for the usual one of what publishes the proof.
    pub challenge: Option<&'static str>,
    /// What publishes the proofs.
    pub proof: FoundProof,
    /// Commands around a renewal.
    pub hooks: Vec<FoundHook>,
    /// What its user has to know.
    pub notes: Vec<String>,
}

/// What publishes the proofs at another client.
#[derive(Debug, Default)]
pub enum FoundProof {
    /// TXT records through Gandi's LiveDNS.
    Gandi(FoundGandi),
    /// Files below folders of a web server.
    Webroot {
        /// The folders.
        roots: Vec<PathBuf>,
        /// Whether the folder is the one of the challenge files itself.
        exact: bool,
    },
    /// A web server of the client's own for the time of the proof.
    Standalone,
    /// A person.
    Manual,
    /// Something that livecert has no plugin for, in the client's words.
    Other(String),
    /// The client does not note it.
    #[default]
    Unknown,
}

/// Settings of a client's plugin for LiveDNS.
#[derive(Debug, Default)]
pub struct FoundGandi {
    /// The credential; none if it is not where the client keeps its state.
    pub credential: Option<FoundCredential>,
    /// The organization's id.
    pub sharing_id: Option<String>,
}

/// A credential for LiveDNS.
#[derive(Debug, Clone)]
pub struct FoundCredential {
    /// What it is.
    pub kind: CredentialKind,
    /// Where it is.
    pub place: CredentialPlace,
}

/// The kinds of credentials for LiveDNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A personal access token.
    PersonalAccessToken,
    /// An API key of the old kind.
    ApiKey,
}

/// Where a credential is.
#[derive(Debug, Clone)]
pub enum CredentialPlace {
    /// In a file that holds nothing else.
    File(PathBuf),
    /// Among other things; it has to be kept by whoever takes it over.
    Value {
        /// The credential.
        secret: SecretString,
        /// The file it stood in.
        from: PathBuf,
    },
}

/// A command that a client runs around renewals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundHook {
    /// When it runs.
    pub moment: HookMoment,
    /// The command, for the shell; or the path of a program.
    pub command: String,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookMoment {
    /// Before a renewal.
    Pre,
    /// When there is a new certificate.
    Deploy,
    /// After a renewal, whatever came of it.
    Post,
}

impl fmt::Display for HookMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HookMoment::Pre => "pre",
            HookMoment::Deploy => "deploy",
            HookMoment::Post => "post",
        })
    }
}

impl Found {
    /// Writes each server in one way, so that its account and its certificates meet: as its first certificate has it.
    fn settle_servers(&mut self) {
        let accounts = self.accounts.iter_mut().map(|account| &mut account.server);
        let mut settled: Vec<String> = Vec::new();
        for server in self.certificates.iter_mut().map(|certificate| &mut certificate.server).chain(accounts)
        {
            if let Ok(url) = url::Url::parse(server) {
                *server = url.into();
            }
            match settled.iter().find(|known| same_server(known, server)) {
                Some(known) => server.clone_from(known),
                None => settled.push(server.clone()),
            }
        }
    }

    /// Notes why something cannot be taken over.
    fn obstacle(&mut self, what: impl Into<String>, why: impl fmt::Display) {
        self.obstacles.push(Obstacle { what: what.into(), is_certificate: false, why: why.to_string() });
    }

    /// Notes why a certificate cannot be taken over.
    fn lost_certificate(&mut self, name: impl Into<String>, why: impl fmt::Display) {
        self.obstacles.push(Obstacle { what: name.into(), is_certificate: true, why: why.to_string() });
    }
}

/// Whether two URLs name one server. Clients that keep an account in folders with its server's name have lost the slash at
/// the end, which settings of certificates may have.
fn same_server(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Whether a text from a client's settings can be the name of a file or folder, and of nothing above or below it.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// Reads what `client` keeps in the folder at `path`.
///
/// # Errors
/// The folder cannot be read, or is not the client's.
pub fn read(client: Client, path: &Path, hints: &Hints) -> Result<Found, ImportError> {
    let folder = folder::Folder::open(path)?;
    let found = match client {
        Client::PoshAcme => posh_acme::read(&folder),
        Client::Certbot => certbot::read(&folder),
        Client::Lego => lego::read(&folder, hints),
        Client::AcmeSh => acme_sh::read(&folder),
    };
    let other = || ImportError::OtherFolder { path: path.to_owned(), client, marks: client.marks() };
    let mut found = found.ok_or_else(other)?;
    // Clients name their folders alike, so one of another client may look right.
    if found.accounts.is_empty() && found.certificates.is_empty() && found.obstacles.is_empty() {
        return Err(ImportError::Nothing { path: path.to_owned(), client });
    }
    found.settle_servers();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_only_looks_right_is_no_success() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("accounts")).unwrap();
        for client in [Client::Lego, Client::Certbot] {
            let read = read(client, folder.path(), &Hints::default());
            assert!(
                matches!(read, Err(ImportError::Nothing { .. } | ImportError::OtherFolder { .. })),
                "{client}"
            );
        }
    }

    #[test]
    fn an_account_meets_the_certificates_of_its_server() {
        let certificate = |server: &str| FoundCertificate { server: server.into(), ..Default::default() };
        let account = |server: &str| FoundAccount {
            server: server.into(),
            url: "https://ca.example/account/1".into(),
            contact: Vec::new(),
            key: AccountKey::generate(livecert_acme::AccountKeyType::EcdsaP256).unwrap(),
            created: None,
        };
        let mut found = Found {
            certificates: ["https://CA.example/acme/", "https://ca.example/acme", "https://root.example"]
                .map(certificate)
                .into(),
            accounts: ["https://ca.example/acme", "https://root.example/", "https://other.example/acme"]
                .map(account)
                .into(),
            ..Found::default()
        };
        found.settle_servers();
        let servers: Vec<&str> = found.certificates.iter().map(|one| one.server.as_str()).collect();
        let (acme, root) = ("https://ca.example/acme/", "https://root.example/");
        assert_eq!(servers, [acme, acme, root]);
        let servers: Vec<&str> = found.accounts.iter().map(|one| one.server.as_str()).collect();
        assert_eq!(servers, [acme, root, "https://other.example/acme"]);
    }
}

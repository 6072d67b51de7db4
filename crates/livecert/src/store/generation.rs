//! Generations: each issued certificate is a folder that is complete or is not there.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::file::{Folder, read_json, remove, sync_folder, write_json};
use super::{CertLock, CertName, Store, StoreError};

/// 2: with the certificate's id (RFC 9773). 3: with its revocation.
pub(super) const GENERATION_VERSION: u32 = 3;

/// The parts of an issued certificate, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The certificate of the names itself.
    pub leaf: String,
    /// The certificates above it, in order, as they were chosen.
    pub chain: String,
    /// All chains that the CA offers, its own choice first; empty if there is only one.
    pub offered: Vec<String>,
}

/// `generation.json`: what `list` and `renew` need to know without reading the certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationInfo {
    version: u32,
    /// The names in the certificate.
    pub names: Vec<String>,
    /// Serial number, in hexadecimal.
    pub serial: String,
    /// Its id towards the CA (RFC 9773 §4.1), if it can have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// Who issued it (common name, or the whole subject where there is none).
    pub issuer: String,
    /// Begin of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Directory URL of the server that issued it.
    pub server: String,
    /// URL of the account that ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When livecert got it.
    pub issued: Timestamp,
    /// When livecert revoked it, or heard that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl GenerationInfo {
    /// Information of the current layout, issued now.
    pub fn new(
        names: Vec<String>,
        serial: String,
        issuer: String,
        (not_before, not_after): (Timestamp, Timestamp),
        server: String,
    ) -> Self {
        let issued = Timestamp::now();
        GenerationInfo {
            version: GENERATION_VERSION,
            names,
            serial,
            certificate_id: None,
            issuer,
            not_before,
            not_after,
            server,
            account: None,
            issued,
            revoked: None,
        }
    }
}

/// A complete generation on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u32,
    /// What it is.
    pub info: GenerationInfo,
    /// `HOME/certs/CERT/current`: the paths that services should use, valid over renewals.
    pub current: PathBuf,
}

/// The PEM files that every generation has.
pub(super) const FILES: [&str; 4] = ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"];
/// All files that a generation can have, with the words that scripts know them by, in the order of lists.
pub(super) const WORDS: [(&str, &str); 9] = [
    ("privkey", FILES[0]),
    ("cert", FILES[1]),
    ("chain", FILES[2]),
    ("fullchain", FILES[3]),
    ("bundle", "bundle.pem"),
    ("pfx", "cert.pfx"),
    ("pfx_fullchain", "fullchain.pfx"),
    ("der", "cert.der"),
    ("der_privkey", "privkey.der"),
];

/// Where the generations of a certificate are.
pub(super) fn generations(cert: &Path) -> PathBuf {
    cert.join("generations")
}

/// The link to the generation in place.
const CURRENT: &str = "current";

/// The number of the generation that `current` leads to.
fn number_of(target: &Path, cert: &Path) -> Result<u32, StoreError> {
    let number = target.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    number.ok_or_else(|| StoreError::read(&cert.join(CURRENT))(std::io::ErrorKind::NotFound.into()))
}

impl Generation {
    pub(super) fn current(cert: &Path) -> Result<Option<Self>, StoreError> {
        Self::current_number(cert)?.map(|number| Self::read(cert, number)).transpose()
    }

    /// The same for a certificate's folder that is open.
    pub(super) fn current_in(cert: &Folder) -> Result<Option<Self>, StoreError> {
        let Some(target) = cert.link(CURRENT)? else { return Ok(None) };
        let number = number_of(&target, cert.path())?;
        let file = format!("generations/{number}/generation.json");
        let missing = || StoreError::read(&cert.path().join(&file))(std::io::ErrorKind::NotFound.into());
        let info = cert.read_json(&file, GENERATION_VERSION)?.ok_or_else(missing)?;
        Ok(Some(Generation { number, info, current: cert.path().join(CURRENT) }))
    }

    /// The number that `current` points to, whether or not that generation can be read; `None` if there is no `current`.
    pub(super) fn current_number(cert: &Path) -> Result<Option<u32>, StoreError> {
        let link = cert.join(CURRENT);
        match std::fs::read_link(&link) {
            Ok(target) => number_of(&target, cert).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::read(&link)(error)),
        }
    }

    pub(super) fn read(cert: &Path, number: u32) -> Result<Self, StoreError> {
        let path = generations(cert).join(number.to_string()).join("generation.json");
        let missing = || StoreError::read(&path)(std::io::Error::from(std::io::ErrorKind::NotFound));
        let info = read_json(&path, GENERATION_VERSION)?.ok_or_else(missing)?;
        Ok(Generation { number, info, current: cert.join(CURRENT) })
    }

    /// Its own folder, which no renewal changes: what is read here belongs together.
    pub fn folder(&self) -> PathBuf {
        self.current.with_file_name("generations").join(self.number.to_string())
    }

    /// Paths of its files through `current`: `privkey` (unless the key stays with its owner), `cert`, `chain`,
    /// `fullchain`, and those of `bundle`, `pfx`, `pfx_fullchain`, `der` and `der_privkey` that were asked for.
    pub fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let all = WORDS.map(|(what, file)| (what, self.current.join(file)));
        all.into_iter().filter(|(_, path)| path.exists()).collect()
    }

    /// The first of the files that every generation has which is missing, or has nothing in it. It is only looked at their
    /// sizes. With the user's own request there is no key.
    pub fn lost_file(&self, own_request: bool) -> Option<PathBuf> {
        let needed = ["privkey.pem", "cert.pem", "fullchain.pem"];
        let needed = if own_request { &needed[1..] } else { &needed[..] };
        let is_lost = |path: &PathBuf| std::fs::metadata(path).map_or(true, |file| file.len() == 0);
        needed.iter().map(|file| self.current.join(file)).find(is_lost)
    }

    /// The certificate itself, PEM.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn leaf(&self) -> Result<String, StoreError> {
        self.text(FILES[1])
    }

    /// The chain that is in use, PEM, without the certificate itself.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn chain(&self) -> Result<String, StoreError> {
        self.text(FILES[2])
    }

    /// The certificate and the chain that is in use, PEM, as services are given them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn fullchain(&self) -> Result<String, StoreError> {
        self.text(FILES[3])
    }

    fn text(&self, file: &str) -> Result<String, StoreError> {
        let path = self.folder().join(file);
        std::fs::read_to_string(&path).map_err(StoreError::read(&path))
    }

    /// All chains that the CA offered, its own choice first; none if there was only one.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn offered(&self) -> Result<Vec<String>, StoreError> {
        let mut offered = Vec::new();
        for number in 0.. {
            let path = self.folder().join(format!("chain{number}.pem"));
            match std::fs::read_to_string(&path) {
                Ok(chain) => offered.push(chain),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(StoreError::read(&path)(error)),
            }
        }
        Ok(offered)
    }

    /// Its private key, PEM; `None` if its owner keeps it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn private_key(&self) -> Result<Option<SecretString>, StoreError> {
        let path = self.folder().join(FILES[0]);
        match std::fs::read_to_string(&path) {
            Ok(pem) => Ok(Some(SecretString::from(pem))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::read(&path)(error)),
        }
    }
}

impl Store {
    /// Notes that the certificate of a generation is revoked.
    ///
    /// # Errors
    /// There is no such generation any more, or its file cannot be written.
    pub fn note_revoked(
        &self,
        cert: &CertName,
        lock: &CertLock,
        number: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        lock.proves(cert);
        let generation = Generation::read(&self.cert_folder(cert), number)?;
        let mut info = generation.info.clone();
        if info.revoked.is_some() {
            return Ok(());
        }
        (info.version, info.revoked) = (GENERATION_VERSION, Some(at));
        write_json(&generation.folder().join("generation.json"), &info)
    }
}

/// Swaps `current`, and makes that survive a power loss.
pub(super) fn point(cert: &Path, number: u32) -> Result<(), StoreError> {
    swap(cert, number)?;
    sync_folder(cert).map_err(StoreError::write(cert))
}

/// Swaps `current`: a new symbolic link beside it, renamed over it. The folder is still to be synced.
pub(super) fn swap(cert: &Path, number: u32) -> Result<(), StoreError> {
    let link = cert.join("current");
    let next = cert.join(format!("{}current", super::file::TEMPORARY));
    remove(&next)?;
    let swap = || -> std::io::Result<()> {
        std::os::unix::fs::symlink(Path::new("generations").join(number.to_string()), &next)?;
        std::fs::rename(&next, &link)
    };
    swap().map_err(StoreError::write(&link))
}

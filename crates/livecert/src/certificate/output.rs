//! The files of a certificate beside the PEM files, and whom they are for.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::ready::place;
use super::{BundleError, CertificateError, Service};
use crate::key::{Pkcs12, Pkcs12Encryption, Pkcs12Error, PrivateKey};
use crate::plugin::{ArgumentSource, read_secret};
use crate::progress::Event;
use crate::secret::Source;
use crate::store::{
    Access, Bundle, CertName, Generation, Output, OutputFile, OutputRecord, cert_mode, key_mode,
};

/// What the password of PFX files is called, in errors and where it is sealed.
const PFX_PASSWORD: &str = "--pfx-password";

/// A form of the certificate beside the four PEM files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OutputFormat {
    /// `bundle.pem`: the key, the certificate and the chain, as HAProxy reads them.
    Bundle,
    /// `cert.der` and `privkey.der` (PKCS#8).
    Der,
}

/// No word for a form.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no format: pem (which there always is), bundle and der are")]
pub struct FormatError(pub String);

impl FromStr for OutputFormat {
    type Err = FormatError;

    fn from_str(word: &str) -> Result<Self, FormatError> {
        match word {
            "bundle" => Ok(OutputFormat::Bundle),
            "der" => Ok(OutputFormat::Der),
            _ => Err(FormatError(word.to_owned())),
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OutputFormat::Bundle => "bundle",
            OutputFormat::Der => "der",
        })
    }
}

/// Which files are asked for, and for whom. What is `None` comes from the store, or else from the defaults; an empty
/// text removes what is stored.
#[derive(Debug, Clone, Default)]
pub struct OutputRequest {
    /// Forms beside PEM.
    pub formats: Option<Vec<OutputFormat>>,
    /// Where the password of the PFX files is; `Some(None)` for no PFX files.
    pub pfx_password: Option<Option<Source>>,
    /// How they are encrypted.
    pub pfx_encryption: Option<Pkcs12Encryption>,
    /// Whom the files belong to: a name or a number.
    pub owner: Option<String>,
    /// Their group: a name or a number.
    pub group: Option<String>,
    /// Permission bits of files with the key, in octal.
    pub key_mode: Option<String>,
    /// Permission bits of files without it, in octal.
    pub cert_mode: Option<String>,
}

/// Which files will be written, and for whom.
#[derive(Debug, Clone, Default)]
pub(super) struct OutputSettings {
    /// As it will be stored, but for a password that is yet to be read.
    record: OutputRecord,
    new_password: Option<Source>,
}

impl OutputSettings {
    pub(super) fn new(
        request: &OutputRequest,
        stored: Option<&OutputRecord>,
    ) -> Result<Self, CertificateError> {
        let mut record = stored.cloned().unwrap_or_default();
        if let Some(formats) = &request.formats {
            let mut formats = formats.clone();
            formats.sort();
            formats.dedup();
            record.formats = formats.iter().map(ToString::to_string).collect();
        }
        if let Some(encryption) = request.pfx_encryption {
            record.pfx_encryption = Some(encryption.to_string());
        }
        if let Some(None) = request.pfx_password {
            record.pfx_password = None;
        }
        for (given, kept) in [
            (&request.owner, &mut record.owner),
            (&request.group, &mut record.group),
            (&request.key_mode, &mut record.key_mode),
            (&request.cert_mode, &mut record.cert_mode),
        ] {
            if let Some(text) = given {
                *kept = Some(text.clone()).filter(|text| !text.is_empty());
            }
        }
        record.key_mode.as_deref().map(key_mode).transpose()?;
        record.cert_mode.as_deref().map(cert_mode).transpose()?;
        Ok(OutputSettings { record, new_password: request.pfx_password.clone().flatten() })
    }

    /// Whether that is what is stored, as far as can be told without reading a password.
    pub(super) fn is_stored(&self, stored: &OutputRecord) -> bool {
        self.new_password.is_none() && self.record == *stored
    }

    /// Lets the password be the stored one, if it is from the same place.
    pub(super) fn keep_password(&mut self, stored: &OutputRecord) {
        let place = self.new_password.as_ref().map(ToString::to_string);
        if let Some(password) = &stored.pfx_password
            && place.as_deref() == Some(password.source())
        {
            (self.record.pfx_password, self.new_password) = (Some(password.clone()), None);
        }
    }

    /// Whether a password is given.
    pub(super) fn has_new_password(&self) -> bool {
        self.new_password.is_some()
    }

    /// A file that cannot be without the private key.
    pub(super) fn needs_key(&self) -> Option<&'static str> {
        let bundle = OutputFormat::Bundle.to_string();
        match () {
            () if self.new_password.is_some() || self.record.pfx_password.is_some() => Some("a PFX file"),
            () if self.record.formats.contains(&bundle) => Some("a bundle"),
            () => None,
        }
    }
}

/// Everything that is needed to write the files.
pub(super) struct ReadyOutput {
    record: OutputRecord,
    access: Access,
    formats: Vec<OutputFormat>,
    encryption: Pkcs12Encryption,
    password: Option<SecretString>,
}

impl Service {
    /// Looks up who the files are for, and reads the password: all that can be wrong is known before there is an order.
    pub(super) async fn output(
        &self,
        cert: &CertName,
        settings: &OutputSettings,
    ) -> Result<ReadyOutput, CertificateError> {
        let mut record = settings.record.clone();
        let access = Access::resolve(&record)?;
        access.probe(self.store.home())?;
        let before = record.pfx_password.take();
        let source = match &settings.new_password {
            Some(source) => Some(ArgumentSource::Secret(source.clone())),
            None => before.clone().map(ArgumentSource::Stored),
        };
        let mut password = None;
        if let Some(source) = source {
            let place = format!("{}/{PFX_PASSWORD}", place(cert, None));
            let (key, prompter) = (&self.sealing_key, &self.surroundings.prompter);
            let reading = read_secret(PFX_PASSWORD, &source, &place, key, prompter);
            let (value, mut stored) = self.unless_interrupted(reading).await??;
            Pkcs12::check_password(&value)?;
            // Sealing is different each time, and the same password is no news.
            if let Some(before) = before
                && before.source() == stored.source()
                && let Ok((old, _)) =
                    read_secret(PFX_PASSWORD, &ArgumentSource::Stored(before.clone()), &place, key, prompter)
                        .await
                && old.expose_secret() == value.expose_secret()
            {
                stored = before;
            }
            (record.pfx_password, password) = (Some(stored), Some(value));
        }
        let formats = record.formats.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let encryption = record
            .pfx_encryption
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(pkcs12_error)?
            .unwrap_or_default();
        Ok(ReadyOutput { record, access, formats, encryption, password })
    }

    /// Warns where those for whom the files are cannot come to them.
    pub(super) fn warn_of_obstacles(&self, cert: &CertName, output: &ReadyOutput, generation: &Generation) {
        for obstacle in output.access.obstacles(&generation.current) {
            self.progress.event(cert, Event::Unreachable { obstacle: &obstacle });
        }
    }
}

impl ReadyOutput {
    /// What a renewal needs to know.
    pub(super) fn record(&self) -> &OutputRecord {
        &self.record
    }

    /// The files for a certificate; `key` is `None` where it stays with its owner.
    pub(super) fn files(
        &self,
        cert: &CertName,
        key: Option<&PrivateKey>,
        bundle: &Bundle,
    ) -> Result<Output, CertificateError> {
        let mut files = Vec::new();
        let mut add = |name, bytes, secret| files.push(OutputFile { name, bytes, secret });
        let fullchain = format!("{}{}", bundle.leaf, bundle.chain);
        let certificates = ders(&fullchain)?;
        for format in &self.formats {
            match (format, key) {
                (OutputFormat::Bundle, None) => {}
                (OutputFormat::Bundle, Some(key)) => {
                    let mut all = Zeroizing::new(Vec::new());
                    // Room for all of it, so that no copy of the key is left behind in memory.
                    all.reserve_exact(key.pem().expose_secret().len() + fullchain.len());
                    all.extend_from_slice(key.pem().expose_secret().as_bytes());
                    all.extend_from_slice(fullchain.as_bytes());
                    add("bundle.pem", all, true);
                }
                (OutputFormat::Der, key) => {
                    let leaf = certificates.first().cloned().unwrap_or_default();
                    add("cert.der", Zeroizing::new(leaf), false);
                    if let Some(key) = key {
                        add("privkey.der", key.pkcs8_der()?, true);
                    }
                }
            }
        }
        if let (Some(password), Some(key)) = (&self.password, key) {
            for (name, certificates) in
                [("cert.pfx", &certificates[..1]), ("fullchain.pfx", &certificates[..])]
            {
                let pkcs12 = Pkcs12 { key, certificates, friendly_name: cert.as_str() };
                add(name, Zeroizing::new(pkcs12.seal(password, self.encryption)?), true);
            }
        }
        Ok(Output { files, access: self.access.clone() })
    }
}

fn pkcs12_error(error: Pkcs12Error) -> CertificateError {
    CertificateError::Key(error.into())
}

/// The certificates of a PEM text, DER; one at least.
fn ders(pem: &str) -> Result<Vec<Vec<u8>>, BundleError> {
    let not_a_chain = |error: &dyn fmt::Display| BundleError::NotAChain(error.to_string());
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).map(|der| der.map(|der| der.to_vec()));
    let all: Vec<Vec<u8>> = all.collect::<Result<_, _>>().map_err(|error| not_a_chain(&error))?;
    if all.is_empty() { Err(not_a_chain(&"there is none")) } else { Ok(all) }
}

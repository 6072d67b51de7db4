//! What is written beside the PEM files of a certificate, and for whom.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Access, StoredArgument};

/// The part of `certificate.json` about the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRecord {
    /// More forms of the certificate: `bundle`, `der`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// Where the password of the PFX files is; none for no PFX files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pfx_password: Option<StoredArgument>,
    /// How the PFX files are encrypted, in the command line's word; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pfx_encryption: Option<String>,
    /// Whom the files belong to (a name or a number); none for whoever runs livecert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The group of the files (a name or a number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Permission bits of files with the key, in octal such as `0640`; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_mode: Option<String>,
    /// Permission bits of files without the key, in octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_mode: Option<String>,
}

impl OutputRecord {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == OutputRecord::default()
    }
}

/// A file beside the PEM files.
#[derive(Debug)]
pub struct OutputFile {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Whether the key is in it.
    pub secret: bool,
}

/// What a generation has beside its PEM files, and who may read it.
#[derive(Debug, Default)]
pub struct Output {
    /// More files.
    pub files: Vec<OutputFile>,
    /// For whom they are.
    pub access: Access,
}

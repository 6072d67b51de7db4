//! PKCS#12 files (RFC 7292): a key with its certificates, under a passphrase, for Windows and Java.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use secrecy::SecretString;
use yasna::{DERWriter, Tag};

use super::encoding::{Oid, oid};
use super::passphrase::Passphrase;
use super::{KeyError, PrivateKey};

const DATA: Oid = &[1, 2, 840, 113_549, 1, 7, 1];
const ENCRYPTED_DATA: Oid = &[1, 2, 840, 113_549, 1, 7, 6];
const SHROUDED_KEY_BAG: Oid = &[1, 2, 840, 113_549, 1, 12, 10, 1, 2];
const CERTIFICATE_BAG: Oid = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
const X509_CERTIFICATE: Oid = &[1, 2, 840, 113_549, 1, 9, 22, 1];
const FRIENDLY_NAME: Oid = &[1, 2, 840, 113_549, 1, 9, 20];
const LOCAL_KEY_ID: Oid = &[1, 2, 840, 113_549, 1, 9, 21];

/// How a PKCS#12 file is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pkcs12Encryption {
    /// AES-256-CBC with keys from PBKDF2 with HMAC-SHA256 (PBES2, RFC 8018), and a MAC with SHA-256. OpenSSL since 1.1,
    /// Java since 8u301 and Windows since Server 2019 read it.
    #[default]
    Modern,
    /// Triple DES and a MAC with SHA-1, both with keys from RFC 7292 appendix B. Windows up to Server 2016 and old Java
    /// read nothing better. It protects little: the passphrase has to be long, and the file kept like a key in clear.
    Legacy,
}

/// Why a PKCS#12 file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs12Error {
    /// No word for an encryption.
    #[error("'{0}' is no encryption of PFX files: modern and legacy are")]
    UnknownEncryption(String),
    /// A passphrase of no characters.
    #[error("the password for PFX files is empty, which programs read in different ways")]
    EmptyPassword,
    /// A passphrase with other characters than printable ASCII.
    #[error(
        "the password for PFX files has other characters than printable ASCII, which programs read in different ways"
    )]
    PasswordNotAscii,
}

impl Pkcs12Encryption {
    /// Rounds of the key derivation: each guess at the passphrase costs as many. More than a reader allows would keep it
    /// from opening the file.
    pub(super) fn iterations(self) -> NonZeroU32 {
        let rounds = match self {
            Pkcs12Encryption::Modern => 50_000,
            Pkcs12Encryption::Legacy => 2048,
        };
        NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN)
    }
}

impl fmt::Display for Pkcs12Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pkcs12Encryption::Modern => "modern",
            Pkcs12Encryption::Legacy => "legacy",
        })
    }
}

impl FromStr for Pkcs12Encryption {
    type Err = Pkcs12Error;

    fn from_str(word: &str) -> Result<Self, Pkcs12Error> {
        match word {
            "modern" => Ok(Pkcs12Encryption::Modern),
            "legacy" => Ok(Pkcs12Encryption::Legacy),
            _ => Err(Pkcs12Error::UnknownEncryption(word.to_owned())),
        }
    }
}

/// What goes into a PKCS#12 file.
#[derive(Debug, Clone, Copy)]
pub struct Pkcs12<'a> {
    /// The private key.
    pub key: &'a PrivateKey,
    /// Its certificate and those above it, DER.
    pub certificates: &'a [Vec<u8>],
    /// The name under which key and certificate are shown (Java's alias).
    pub friendly_name: &'a str,
}

impl Pkcs12<'_> {
    /// Whether a password can be used, before there is anything to put under it.
    ///
    /// # Errors
    /// It is empty, or has other characters than printable ASCII.
    pub fn check_password(password: &SecretString) -> Result<(), KeyError> {
        Ok(Passphrase::new(password).map(drop)?)
    }

    /// The file, DER.
    ///
    /// # Errors
    /// A password that cannot be used, or the system gives no random bytes.
    pub fn seal(&self, password: &SecretString, encryption: Pkcs12Encryption) -> Result<Vec<u8>, KeyError> {
        let password = Passphrase::new(password)?;
        // What the certificate and its key are paired by.
        let id = self.certificates.first().map(|leaf| digest(&SHA1_FOR_LEGACY_USE_ONLY, leaf));
        let id = id.as_ref().map_or(&[][..], |digest| digest.as_ref());
        let certificates = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for (index, certificate) in self.certificates.iter().enumerate() {
                    let named = (index == 0).then_some((self.friendly_name, id));
                    write_bag(writer.next(), CERTIFICATE_BAG, named, |writer| {
                        write_certificate(writer, certificate);
                    });
                }
            });
        });
        let (certificates_by, certificates) = password.encrypt(encryption, &certificates)?;
        let (key_by, key) = password.encrypt(encryption, &self.key.pkcs8_der()?)?;
        let keys = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                write_bag(writer.next(), SHROUDED_KEY_BAG, Some((self.friendly_name, id)), |writer| {
                    writer.write_sequence(|writer| {
                        writer.next().write_der(&key_by);
                        writer.next().write_bytes(&key);
                    });
                });
            });
        });
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                write_content(writer.next(), ENCRYPTED_DATA, |writer| {
                    write_encrypted(writer, &certificates_by, &certificates);
                });
                write_content(writer.next(), DATA, |writer| writer.write_bytes(&keys));
            });
        });
        let mac = password.mac(encryption, &content)?;
        Ok(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_u8(3);
                write_content(writer.next(), DATA, |writer| writer.write_bytes(&content));
                writer.next().write_der(&mac);
            });
        }))
    }
}

/// ContentInfo (RFC 2315 §7).
fn write_content(writer: DERWriter<'_>, kind: Oid, content: impl FnOnce(DERWriter<'_>)) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(kind));
        writer.next().write_tagged(Tag::context(0), content);
    });
}

/// EncryptedData (RFC 2315 §13).
fn write_encrypted(writer: DERWriter<'_>, algorithm: &[u8], encrypted: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_u8(0);
        writer.next().write_sequence(|writer| {
            writer.next().write_oid(&oid(DATA));
            writer.next().write_der(algorithm);
            writer.next().write_tagged_implicit(Tag::context(0), |writer| writer.write_bytes(encrypted));
        });
    });
}

/// SafeBag (RFC 7292 §4.2), with a name and the id of a key where it has them.
fn write_bag(
    writer: DERWriter<'_>,
    kind: Oid,
    named: Option<(&str, &[u8])>,
    content: impl FnOnce(DERWriter<'_>),
) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(kind));
        writer.next().write_tagged(Tag::context(0), content);
        let Some((name, id)) = named else { return };
        writer.next().write_set_of(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(FRIENDLY_NAME));
                writer.next().write_set(|writer| writer.next().write_bmp_string(name));
            });
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(LOCAL_KEY_ID));
                writer.next().write_set(|writer| writer.next().write_bytes(id));
            });
        });
    });
}

/// CertBag (RFC 7292 §4.2.3).
fn write_certificate(writer: DERWriter<'_>, certificate: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(X509_CERTIFICATE));
        writer.next().write_tagged(Tag::context(0), |writer| writer.write_bytes(certificate));
    });
}

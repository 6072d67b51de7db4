//! Certificate requests (PKCS#10, RFC 2986) as CAs want them (RFC 8555 §7.4).

use std::net::IpAddr;

use yasna::{DERWriter, DERWriterSeq, Tag};

use super::encoding::{Oid, oid};
use super::private_key::SignatureAlgorithm;
use super::{KeyError, PrivateKey};

const COMMON_NAME: Oid = &[2, 5, 4, 3];
const EXTENSION_REQUEST: Oid = &[1, 2, 840, 113_549, 1, 9, 14];
const SUBJECT_ALT_NAME: Oid = &[2, 5, 29, 17];
pub(super) const TLS_FEATURE: Oid = &[1, 3, 6, 1, 5, 5, 7, 1, 24];
/// SEQUENCE { status_request (5) } (RFC 7633 §6).
const STATUS_REQUEST: [u8; 5] = [0x30, 3, 2, 1, 5];
/// ub-common-name (RFC 5280 appendix A.1), in characters.
const COMMON_NAME_LIMIT: usize = 64;

/// What a request asks for. The order of the names is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsrOptions {
    /// DNS names, A-labels, `*.` allowed.
    pub dns: Vec<String>,
    /// IP addresses (RFC 8738).
    pub ip: Vec<IpAddr>,
    /// The common name of the subject. None by default: names belong in the extension (RFC 9525 §2). CAs that allow
    /// one want it to be one of the names.
    pub common_name: Option<String>,
    /// Asks for a certificate that is valid only with a stapled OCSP response (RFC 7633). Many CAs refuse it by now.
    pub must_staple: bool,
}

impl CsrOptions {
    /// Asks for DNS names and nothing else.
    pub fn for_dns<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        CsrOptions { dns: names.into_iter().map(Into::into).collect(), ..CsrOptions::default() }
    }

    fn check(&self) -> Result<(), KeyError> {
        let dns = |name: &&String| name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic());
        if let Some(wrong) = self.dns.iter().find(dns) {
            return Err(KeyError::Name(wrong.clone()));
        }
        let fits = |name: &String| (1..=COMMON_NAME_LIMIT).contains(&name.chars().count());
        match &self.common_name {
            Some(name) if !fits(name) => Err(KeyError::Name(name.clone())),
            _ => Ok(()),
        }
    }
}

/// A request by `key`, DER.
///
/// # Errors
/// A name that cannot stand in one, or the key cannot sign.
pub fn certificate_request(key: &PrivateKey, options: &CsrOptions) -> Result<Vec<u8>, KeyError> {
    options.check()?;
    let info = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            writer.next().write_sequence(|writer| write_subject(writer, options));
            writer.next().write_der(&key.public_key_info());
            writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                writer.write_set_of(|writer| write_extension_request(writer.next(), options));
            });
        });
    });
    let (algorithm, signature) = key.sign(&info)?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(&info);
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(algorithm.oid()));
                // RFC 4055 §5 wants a NULL, RFC 5758 §3.2 wants nothing.
                if algorithm == SignatureAlgorithm::RsaSha256 {
                    writer.next().write_null();
                }
            });
            writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    }))
}

fn write_subject(writer: &mut DERWriterSeq<'_>, options: &CsrOptions) {
    let Some(name) = &options.common_name else { return };
    writer.next().write_set(|writer| {
        writer.next().write_sequence(|writer| {
            writer.next().write_oid(&oid(COMMON_NAME));
            writer.next().write_utf8_string(name);
        });
    });
}

fn write_extension_request(writer: DERWriter<'_>, options: &CsrOptions) {
    let names = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for name in &options.dns {
                let tag = Tag::context(2);
                writer.next().write_tagged_implicit(tag, |writer| writer.write_ia5_string(name));
            }
            for address in &options.ip {
                let tag = Tag::context(7);
                writer.next().write_tagged_implicit(tag, |writer| match address {
                    IpAddr::V4(address) => writer.write_bytes(&address.octets()),
                    IpAddr::V6(address) => writer.write_bytes(&address.octets()),
                });
            }
        });
    });
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(EXTENSION_REQUEST));
        writer.next().write_set(|writer| {
            writer.next().write_sequence(|writer| {
                write_extension(writer.next(), SUBJECT_ALT_NAME, &names);
                if options.must_staple {
                    write_extension(writer.next(), TLS_FEATURE, &STATUS_REQUEST);
                }
            });
        });
    });
}

fn write_extension(writer: DERWriter<'_>, id: Oid, value: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(id));
        writer.next().write_bytes(value);
    });
}

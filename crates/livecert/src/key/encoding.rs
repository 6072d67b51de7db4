//! The DER forms of keys: PKCS#8 (RFC 5958), SEC1 (RFC 5915), PKCS#1 (RFC 8017 A.1) and SubjectPublicKeyInfo
//! (RFC 5280 §4.1.2.7, RFC 5480). What is read in any form is written as PKCS#8.

use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, BERReader, DERWriter, Tag};
use zeroize::Zeroizing;

use super::KeyError;

pub(super) type Oid = &'static [u64];
const EC_PUBLIC_KEY: Oid = &[1, 2, 840, 10045, 2, 1];
const RSA_ENCRYPTION: Oid = &[1, 2, 840, 113_549, 1, 1, 1];

pub(super) fn oid(arcs: Oid) -> ObjectIdentifier {
    ObjectIdentifier::from_slice(arcs)
}

/// The curves of NIST that certificates have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    const fn oid(self) -> Oid {
        match self {
            Curve::P256 => &[1, 2, 840, 10045, 3, 1, 7],
            Curve::P384 => &[1, 3, 132, 0, 34],
            Curve::P521 => &[1, 3, 132, 0, 35],
        }
    }

    fn from_oid(found: &ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| found.components().as_slice() == curve.oid())
    }

    /// Octets of a private number, and of one coordinate of a point.
    pub(super) const fn length(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }
}

/// What a private key consists of.
pub(super) enum KeyParts {
    Ec {
        curve: Curve,
        /// The private number, as long as the curve says.
        secret: Zeroizing<Vec<u8>>,
        /// The public point, uncompressed.
        point: Option<Vec<u8>>,
    },
    /// RSAPrivateKey, DER.
    Rsa(Zeroizing<Vec<u8>>),
}

impl KeyParts {
    /// Elliptic parts, the private number brought to its full length: some programs leave leading zeros out.
    pub(super) fn ec(curve: Curve, secret: &[u8], point: Option<Vec<u8>>) -> Result<Self, KeyError> {
        let digits = secret.iter().position(|&octet| octet != 0).unwrap_or(secret.len());
        let digits = &secret[digits..];
        let padding = curve.length().checked_sub(digits.len()).ok_or(KeyError::Inconsistent)?;
        let mut full = Zeroizing::new(vec![0; curve.length()]);
        full[padding..].copy_from_slice(digits);
        Ok(KeyParts::Ec { curve, secret: full, point })
    }

    /// RSA parts from big-endian numbers: n, e, d, p, q, dp, dq, qi (RFC 8017 A.1.2).
    pub(super) fn rsa(numbers: &[Zeroizing<Vec<u8>>; 8]) -> Self {
        KeyParts::Rsa(Zeroizing::new(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_u8(0);
                for number in numbers {
                    writer.next().write_bigint_bytes(number, true);
                }
            });
        })))
    }

    /// Reads any of the three DER forms.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(read) = yasna::parse_der(der, read_pkcs8) {
            return Self::from_pkcs8(read);
        }
        if let Ok((secret, curve, point)) = yasna::parse_der(der, read_sec1) {
            let curve = curve.ok_or(KeyError::UnsupportedKind)?;
            let curve = Curve::from_oid(&curve).ok_or(KeyError::UnsupportedKind)?;
            return Self::ec(curve, &secret, point);
        }
        if yasna::parse_der(der, read_pkcs1).is_ok() {
            return Ok(KeyParts::Rsa(Zeroizing::new(der.to_vec())));
        }
        // EncryptedPrivateKeyInfo (RFC 5958 §3) is an algorithm and octets.
        let encrypted = yasna::parse_der(der, |reader| {
            reader.read_sequence(|reader| {
                reader.next().read_sequence(|reader| {
                    reader.next().read_oid()?;
                    reader.read_optional(|reader| reader.read_der())
                })?;
                reader.next().read_bytes()
            })
        });
        Err(if encrypted.is_ok() { KeyError::Encrypted } else { KeyError::Unreadable })
    }

    fn from_pkcs8(read: Pkcs8) -> Result<Self, KeyError> {
        if read.algorithm.components().as_slice() == RSA_ENCRYPTION {
            yasna::parse_der(&read.key, read_pkcs1).map_err(|_| KeyError::Unreadable)?;
            return Ok(KeyParts::Rsa(read.key));
        }
        if read.algorithm.components().as_slice() != EC_PUBLIC_KEY {
            return Err(KeyError::UnsupportedKind);
        }
        let named = |der: Vec<u8>| yasna::parse_der(&der, |reader| reader.read_oid()).ok();
        let curve = read.parameters.and_then(named).ok_or(KeyError::UnsupportedKind)?;
        let curve = Curve::from_oid(&curve).ok_or(KeyError::UnsupportedKind)?;
        let (secret, _, point) = yasna::parse_der(&read.key, read_sec1).map_err(|_| KeyError::Unreadable)?;
        Self::ec(curve, &secret, point)
    }

    /// PKCS#8 as `ring` and all others read it: version 0, the curve beside the algorithm only.
    pub(super) fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let inner = match self {
            KeyParts::Rsa(pkcs1) => pkcs1.clone(),
            KeyParts::Ec { secret, point, .. } => Zeroizing::new(yasna::construct_der(|writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_u8(1);
                    writer.next().write_bytes(secret);
                    if let Some(point) = point {
                        let tag = Tag::context(1);
                        writer
                            .next()
                            .write_tagged(tag, |writer| writer.write_bitvec_bytes(point, point.len() * 8));
                    }
                });
            })),
        };
        Zeroizing::new(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_u8(0);
                match self {
                    KeyParts::Rsa(_) => write_algorithm(writer.next(), None),
                    KeyParts::Ec { curve, .. } => write_algorithm(writer.next(), Some(*curve)),
                }
                writer.next().write_bytes(&inner);
            });
        }))
    }
}

fn write_algorithm(writer: DERWriter<'_>, curve: Option<Curve>) {
    writer.write_sequence(|writer| match curve {
        Some(curve) => {
            writer.next().write_oid(&oid(EC_PUBLIC_KEY));
            writer.next().write_oid(&oid(curve.oid()));
        }
        None => {
            writer.next().write_oid(&oid(RSA_ENCRYPTION));
            writer.next().write_null();
        }
    });
}

/// SubjectPublicKeyInfo of a point on `curve`, or of an RSAPublicKey (DER) if there is no curve.
pub(super) fn public_key_info(curve: Option<Curve>, key: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            write_algorithm(writer.next(), curve);
            writer.next().write_bitvec_bytes(key, key.len() * 8);
        });
    })
}

/// RSAPublicKey (RFC 8017 A.1.1) of big-endian numbers, DER.
pub(super) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_bigint_bytes(modulus, true);
            writer.next().write_bigint_bytes(exponent, true);
        });
    })
}

struct Pkcs8 {
    algorithm: ObjectIdentifier,
    parameters: Option<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

fn read_pkcs8(reader: BERReader<'_, '_>) -> ASN1Result<Pkcs8> {
    reader.read_sequence(|reader| {
        reader.next().read_u8()?;
        let (algorithm, parameters) = reader.next().read_sequence(|reader| {
            let algorithm = reader.next().read_oid()?;
            Ok((algorithm, reader.read_optional(|reader| reader.read_der())?))
        })?;
        let key = Zeroizing::new(reader.next().read_bytes()?);
        // Attributes, and the public key of version 1: neither is needed.
        while reader.read_optional(|reader| reader.read_der())?.is_some() {}
        Ok(Pkcs8 { algorithm, parameters, key })
    })
}

type Sec1 = (Zeroizing<Vec<u8>>, Option<ObjectIdentifier>, Option<Vec<u8>>);

fn read_sec1(reader: BERReader<'_, '_>) -> ASN1Result<Sec1> {
    reader.read_sequence(|reader| {
        reader.next().read_u8()?;
        let secret = Zeroizing::new(reader.next().read_bytes()?);
        let curve =
            reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_oid()))?;
        let point = reader.read_optional(|reader| {
            reader.read_tagged(Tag::context(1), |reader| reader.read_bitvec_bytes())
        })?;
        Ok((secret, curve, point.map(|(octets, _)| octets)))
    })
}

/// The bits of the modulus. Beside that only the form is looked at: `ring` judges the numbers.
fn read_pkcs1(reader: BERReader<'_, '_>) -> ASN1Result<usize> {
    reader.read_sequence(|reader| {
        reader.next().read_u8()?;
        let (modulus, _) = reader.next().read_bigint_bytes()?;
        for _ in 0..7 {
            Zeroizing::new(reader.next().read_bigint_bytes()?.0);
        }
        Ok(bits(&modulus))
    })
}

/// Significant bits of a big-endian number.
pub(super) fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&octet| octet == 0).count();
    let first = number.get(zeros).map_or(0, |octet| octet.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}

/// The bits of the modulus of an RSAPrivateKey, DER.
pub(super) fn modulus_bits(pkcs1: &[u8]) -> Result<usize, KeyError> {
    yasna::parse_der(pkcs1, read_pkcs1).map_err(|_| KeyError::Unreadable)
}

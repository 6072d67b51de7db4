//! What a passphrase makes in a PKCS#12 file: keys for its encryption and for its MAC (RFC 8018, RFC 7292 appendix B).

use aes::Aes256;
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use des::TdesEde3;
use ring::digest::{self, Algorithm};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hmac, pbkdf2};
use secrecy::{ExposeSecret, SecretString};
use yasna::DERWriter;
use zeroize::Zeroizing;

use super::encoding::{Oid, oid};
use super::pkcs12::Pkcs12Encryption;
use super::{KeyError, Pkcs12Error};

const PBES2: Oid = &[1, 2, 840, 113_549, 1, 5, 13];
const PBKDF2: Oid = &[1, 2, 840, 113_549, 1, 5, 12];
const HMAC_SHA256: Oid = &[1, 2, 840, 113_549, 2, 9];
const AES_256_CBC: Oid = &[2, 16, 840, 1, 101, 3, 4, 1, 42];
const SHA1_AND_3DES_CBC: Oid = &[1, 2, 840, 113_549, 1, 12, 1, 3];
const SHA256: Oid = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const SHA1: Oid = &[1, 3, 14, 3, 2, 26];

const SALT: usize = 16;
/// What old readers expect.
const LEGACY_SALT: usize = 8;

/// What a key from appendix B is for.
#[derive(Clone, Copy)]
enum Purpose {
    Encryption = 1,
    InitialVector = 2,
    Mac = 3,
}

/// A passphrase that all readers of PKCS#12 understand in the same way.
pub(super) struct Passphrase {
    text: SecretString,
    /// BMPString with its two octets of zero (RFC 7292 appendix B.1).
    wide: Zeroizing<Vec<u8>>,
}

impl Passphrase {
    /// Programs disagree about what is in no ASCII: Java refuses it, and others encode it in their own ways. They
    /// disagree about an empty one, too.
    pub(super) fn new(text: &SecretString) -> Result<Self, Pkcs12Error> {
        let exposed = text.expose_secret();
        if exposed.is_empty() {
            return Err(Pkcs12Error::EmptyPassword);
        }
        if !exposed.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()) {
            return Err(Pkcs12Error::PasswordNotAscii);
        }
        let mut wide = Zeroizing::new(Vec::with_capacity(2 * exposed.len() + 2));
        exposed.bytes().for_each(|octet| wide.extend([0, octet]));
        wide.extend([0, 0]);
        Ok(Passphrase { text: text.clone(), wide })
    }

    /// `plain` encrypted, after the AlgorithmIdentifier that says how.
    pub(super) fn encrypt(
        &self,
        encryption: Pkcs12Encryption,
        plain: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        let iterations = encryption.iterations();
        match encryption {
            Pkcs12Encryption::Modern => {
                let (salt, vector) = (random::<SALT>()?, random::<16>()?);
                let mut key = Zeroizing::new([0; 32]);
                let secret = self.text.expose_secret().as_bytes();
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, secret, key.as_mut());
                let cipher = Encryptor::<Aes256>::new((&*key).into(), &vector.into());
                let algorithm =
                    yasna::construct_der(|writer| write_pbes2(writer, &salt, iterations, &vector));
                Ok((algorithm, cipher.encrypt_padded_vec::<Pkcs7>(plain)))
            }
            Pkcs12Encryption::Legacy => {
                let salt = random::<LEGACY_SALT>()?;
                let (mut key, mut vector) = (Zeroizing::new([0; 24]), [0; 8]);
                let hash = &digest::SHA1_FOR_LEGACY_USE_ONLY;
                self.derive(hash, Purpose::Encryption, &salt, iterations, key.as_mut());
                self.derive(hash, Purpose::InitialVector, &salt, iterations, &mut vector);
                let cipher = Encryptor::<TdesEde3>::new((&*key).into(), &vector.into());
                let algorithm = yasna::construct_der(|writer| {
                    writer.write_sequence(|writer| {
                        writer.next().write_oid(&oid(SHA1_AND_3DES_CBC));
                        write_salt(writer.next(), &salt, iterations);
                    });
                });
                Ok((algorithm, cipher.encrypt_padded_vec::<Pkcs7>(plain)))
            }
        }
    }

    /// MacData (RFC 7292 §4) of `content`, DER.
    pub(super) fn mac(&self, encryption: Pkcs12Encryption, content: &[u8]) -> Result<Vec<u8>, KeyError> {
        let iterations = encryption.iterations();
        let (hash, algorithm, id, salt): (_, _, _, Vec<u8>) = match encryption {
            Pkcs12Encryption::Modern => {
                (&digest::SHA256, hmac::HMAC_SHA256, SHA256, random::<SALT>()?.into())
            }
            Pkcs12Encryption::Legacy => (
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                SHA1,
                random::<LEGACY_SALT>()?.into(),
            ),
        };
        let mut key = Zeroizing::new(vec![0; hash.output_len()]);
        self.derive(hash, Purpose::Mac, &salt, iterations, &mut key);
        let mac = hmac::sign(&hmac::Key::new(algorithm, &key), content);
        Ok(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_sequence(|writer| {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&oid(id));
                        writer.next().write_null();
                    });
                    writer.next().write_bytes(mac.as_ref());
                });
                writer.next().write_bytes(&salt);
                writer.next().write_u32(iterations.get());
            });
        }))
    }

    /// Fills `output` as RFC 7292 appendix B.2 says.
    fn derive(
        &self,
        hash: &'static Algorithm,
        purpose: Purpose,
        salt: &[u8],
        iterations: std::num::NonZeroU32,
        output: &mut [u8],
    ) {
        let block = hash.block_len();
        let filled = |text: &[u8]| {
            let length = text.len().div_ceil(block) * block;
            text.iter().copied().cycle().take(length).collect::<Vec<u8>>()
        };
        let mut input = Zeroizing::new(filled(salt));
        input.extend_from_slice(&Zeroizing::new(filled(&self.wide)));
        for chunk in output.chunks_mut(hash.output_len()) {
            let mut context = digest::Context::new(hash);
            context.update(&vec![purpose as u8; block]);
            context.update(&input);
            let mut digest = context.finish();
            for _ in 1..iterations.get() {
                digest = digest::digest(hash, digest.as_ref());
            }
            chunk.copy_from_slice(&digest.as_ref()[..chunk.len()]);
            // Each block of the input grows by the digest, repeated, and one.
            for part in input.chunks_mut(block) {
                let mut carry = 1_u16;
                let addend = digest.as_ref().iter().copied().cycle().take(block).collect::<Vec<u8>>();
                for (octet, add) in part.iter_mut().zip(addend).rev() {
                    carry += u16::from(*octet) + u16::from(add);
                    [*octet, _] = carry.to_le_bytes();
                    carry >>= 8;
                }
            }
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_| KeyError::Generation)?;
    Ok(octets)
}

fn write_salt(writer: DERWriter<'_>, salt: &[u8], iterations: std::num::NonZeroU32) {
    writer.write_sequence(|writer| {
        writer.next().write_bytes(salt);
        writer.next().write_u32(iterations.get());
    });
}

/// RFC 8018 appendix A.2 and A.4.
fn write_pbes2(writer: DERWriter<'_>, salt: &[u8], iterations: std::num::NonZeroU32, vector: &[u8]) {
    writer.write_sequence(|writer| {
        writer.next().write_oid(&oid(PBES2));
        writer.next().write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(PBKDF2));
                writer.next().write_sequence(|writer| {
                    writer.next().write_bytes(salt);
                    writer.next().write_u32(iterations.get());
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&oid(HMAC_SHA256));
                        writer.next().write_null();
                    });
                });
            });
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(AES_256_CBC));
                writer.next().write_bytes(vector);
            });
        });
    });
}

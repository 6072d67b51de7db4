//! Secrets as PowerShell's `ConvertFrom-SecureString` writes them.
//!
//! Without a key: on Windows a blob that only the same user of the same machine opens (DPAPI), in hexadecimal; elsewhere the
//! text itself, UTF-16LE in hexadecimal. With a key: 32 fixed digits, then base64 of a UTF-16LE text `2|IV|CIPHER`, the first in
//! base64, the second in hexadecimal, AES-CBC with PKCS#7 padding over the text in UTF-16LE.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// What begins a secret that a key opens.
const WITH_KEY: &str = "76492d1116743f0423413b16050a5345";
/// What begins a blob of DPAPI: its version, and the id of its provider.
const DPAPI: &str = "01000000d08c9ddf0115d1118c7a00c04fc297eb";

/// Why a secret cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecureStringError {
    #[error("Windows has encrypted it for one user of one machine, and it cannot be opened elsewhere")]
    Dpapi,
    #[error("it is encrypted, and its key is not there")]
    NoKey,
    #[error("it is encrypted with another key")]
    OtherKey,
    #[error("it is no text of PowerShell's ConvertFrom-SecureString")]
    Damaged,
}

/// Opens a secret, with the key of 16, 24 or 32 octets where one was used.
pub(super) fn open(text: &str, key: Option<&[u8]>) -> Result<SecretString, SecureStringError> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(WITH_KEY) {
        return open_with(rest, key.ok_or(SecureStringError::NoKey)?);
    }
    if text.get(..DPAPI.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(DPAPI)) {
        return Err(SecureStringError::Dpapi);
    }
    utf16(&hexadecimal(text).ok_or(SecureStringError::Damaged)?).ok_or(SecureStringError::Damaged)
}

fn open_with(rest: &str, key: &[u8]) -> Result<SecretString, SecureStringError> {
    use secrecy::ExposeSecret;
    let damaged = SecureStringError::Damaged;
    let parts = utf16(&STANDARD.decode(rest).map_err(|_| damaged)?).ok_or(damaged)?;
    let mut parts = parts.expose_secret().split('|');
    let (Some("2"), Some(iv), Some(cipher), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(damaged);
    };
    let iv = STANDARD.decode(iv).map_err(|_| damaged)?;
    let cipher = hexadecimal(cipher).ok_or(damaged)?;
    let plain = match key.len() {
        16 => decrypt::<cbc::Decryptor<aes::Aes128>>(key, &iv, cipher),
        24 => decrypt::<cbc::Decryptor<aes::Aes192>>(key, &iv, cipher),
        32 => decrypt::<cbc::Decryptor<aes::Aes256>>(key, &iv, cipher),
        _ => return Err(SecureStringError::OtherKey),
    };
    // There is no authentication: a wrong key shows in the padding, or in a text that is none.
    plain.and_then(|plain| utf16(&plain)).ok_or(SecureStringError::OtherKey)
}

fn decrypt<D: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    mut cipher: Zeroizing<Vec<u8>>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mode = D::new_from_slices(key, iv).ok()?;
    let length = mode.decrypt_padded::<Pkcs7>(&mut cipher).ok()?.len();
    cipher.truncate(length);
    Some(cipher)
}

fn hexadecimal(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let octet = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    text.as_bytes().chunks_exact(2).map(octet).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// A text in UTF-16LE; none if it is empty.
fn utf16(octets: &[u8]) -> Option<SecretString> {
    if octets.is_empty() || !octets.len().is_multiple_of(2) {
        return None;
    }
    let units = octets.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text = char::decode_utf16(units).collect::<Result<String, _>>().ok()?;
    Some(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// The same by OpenSSL.
    fn seal(text: &str, key: &[u8]) -> String {
        let iv: Vec<u8> = (100..116).collect();
        let mut openssl = Command::new("openssl");
        openssl.args(["enc", &format!("-aes-{}-cbc", key.len() * 8), "-K", &hex(key), "-iv", &hex(&iv)]);
        let mut openssl = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        openssl.stdin.take().unwrap().write_all(&utf16le(text)).unwrap();
        let cipher = openssl.wait_with_output().unwrap().stdout;
        let inner = format!("2|{}|{}", STANDARD.encode(iv), hex(&cipher));
        format!("{WITH_KEY}{}", STANDARD.encode(utf16le(&inner)))
    }

    #[test]
    fn what_powershell_writes_is_opened() {
        for text in ["token", "pässwörd 🔑", &"x".repeat(500)] {
            assert_eq!(open(&hex(&utf16le(text)), None).unwrap().expose_secret(), text);
            for length in [16, 24, 32] {
                let key: Vec<u8> = (0..length).collect();
                let sealed = seal(text, &key);
                assert_eq!(open(&sealed, Some(&key)).unwrap().expose_secret(), text);
                assert_eq!(open(&sealed, None).unwrap_err(), SecureStringError::NoKey);
                let other: Vec<u8> = (1..=length).collect();
                assert_eq!(open(&sealed, Some(&other)).unwrap_err(), SecureStringError::OtherKey);
                assert_eq!(open(&sealed, Some(&[1; 5])).unwrap_err(), SecureStringError::OtherKey);
            }
        }
        assert_eq!(open(&format!("{DPAPI}0100"), None).unwrap_err(), SecureStringError::Dpapi);
        assert_eq!(
            open(&format!("{}0100", DPAPI.to_uppercase()), None).unwrap_err(),
            SecureStringError::Dpapi
        );
        for wrong in
            ["", "7", "zz", "006", "00d8", &format!("{WITH_KEY}AAAA"), &format!("{WITH_KEY}MgB8AA==")]
        {
            assert_eq!(open(wrong, Some(&[0; 32])).unwrap_err(), SecureStringError::Damaged, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_opened_or_refused(text in "(76492d1116743f0423413b16050a5345)?[0-9a-zA-Z+/=|]{0,80}", inner in "[2|0-9a-f=]{0,80}") {
            let _ = open(&text, Some(&[7; 32]));
            let _ = open(&format!("{WITH_KEY}{}", STANDARD.encode(utf16le(&inner))), Some(&[7; 32]));
        }
    }
}

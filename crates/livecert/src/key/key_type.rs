//! The types of keys that certificates can have, and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::KeyError;

/// The type of a key. Its name (`ec-256`, `rsa-3072`) stands on the command line and in state files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum KeyType {
    /// ECDSA on NIST P-256.
    #[default]
    Ec256,
    /// ECDSA on NIST P-384.
    Ec384,
    /// ECDSA on NIST P-521. Few public CAs take it.
    Ec521,
    /// RSA.
    Rsa(RsaBits),
}

impl KeyType {
    /// RSA with 2048 bits.
    pub const RSA_2048: KeyType = KeyType::Rsa(RsaBits(2048));
    /// RSA with 3072 bits.
    pub const RSA_3072: KeyType = KeyType::Rsa(RsaBits(3072));
    /// RSA with 4096 bits.
    pub const RSA_4096: KeyType = KeyType::Rsa(RsaBits(4096));

    /// The usual types, in the order in which they are listed to people.
    pub const USUAL: [KeyType; 6] = [
        KeyType::Ec256,
        KeyType::Ec384,
        KeyType::Ec521,
        KeyType::RSA_2048,
        KeyType::RSA_3072,
        KeyType::RSA_4096,
    ];
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyType::Ec256 => f.pad("ec-256"),
            KeyType::Ec384 => f.pad("ec-384"),
            KeyType::Ec521 => f.pad("ec-521"),
            KeyType::Rsa(bits) => f.pad(&format!("rsa-{}", bits.get())),
        }
    }
}

impl FromStr for KeyType {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let name = text.to_ascii_lowercase();
        match name.as_str() {
            "ec-256" => return Ok(KeyType::Ec256),
            "ec-384" => return Ok(KeyType::Ec384),
            "ec-521" => return Ok(KeyType::Ec521),
            _ => {}
        }
        // Four digits, so that there is one way only to write a number.
        let bits = name.strip_prefix("rsa-").filter(|digits| digits.len() == 4);
        let bits = bits.and_then(|digits| digits.parse().ok()).and_then(RsaBits::new);
        bits.map(KeyType::Rsa).ok_or_else(|| KeyError::UnknownType(text.to_owned()))
    }
}

impl TryFrom<String> for KeyType {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<KeyType> for String {
    fn from(kind: KeyType) -> String {
        kind.to_string()
    }
}

/// The length of an RSA modulus in bits: 2048 to 4096 in steps of 128, as in Posh-ACME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RsaBits(u16);

impl RsaBits {
    /// `None` for a length that is not offered.
    pub const fn new(bits: u16) -> Option<Self> {
        if bits >= 2048 && bits <= 4096 && bits.is_multiple_of(128) { Some(RsaBits(bits)) } else { None }
    }

    /// The number of bits.
    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_read_back() {
        for kind in KeyType::USUAL {
            assert_eq!(kind.to_string().parse::<KeyType>().unwrap(), kind);
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(json, kind.to_string());
            assert_eq!(serde_json::from_value::<KeyType>(json).unwrap(), kind);
        }
        assert_eq!("RSA-2176".parse::<KeyType>().unwrap().to_string(), "rsa-2176");
        for wrong in
            ["rsa-1024", "rsa-2050", "rsa-4224", "rsa-+2048", "rsa-02048", "rsa-+204", "rsa", "ec-255", ""]
        {
            assert!(matches!(wrong.parse::<KeyType>(), Err(KeyError::UnknownType(_))), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_reads_is_written_the_same(text in "(rsa|ec)-[0-9]{1,5}") {
            if let Ok(kind) = text.parse::<KeyType>() {
                prop_assert_eq!(kind.to_string(), text);
            }
        }
    }
}

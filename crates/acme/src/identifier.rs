//! Identifiers (RFC 8555 §9.7.7): what a certificate is for.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::problem::plain;

/// An identifier. Types that are not known are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Identifier {
    /// A domain name, in A-labels; `*.` in front for a wildcard in an order (RFC 8555 §7.1.3).
    Dns(String),
    /// An IP address (RFC 8738).
    Ip(IpIdentifier),
    /// Another type.
    Other {
        /// The type.
        kind: String,
        /// The value.
        value: String,
    },
}

/// An IP address with its text (RFC 5952 for IPv6, as RFC 8738 §3 asks).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpIdentifier {
    address: IpAddr,
    text: String,
}

impl IpIdentifier {
    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

impl From<IpAddr> for IpIdentifier {
    fn from(address: IpAddr) -> Self {
        IpIdentifier { address, text: address.to_string() }
    }
}

impl Identifier {
    /// A domain name, in A-labels; `*.` in front for a wildcard (RFC 8555 §7.1.3).
    pub fn dns(name: impl Into<String>) -> Self {
        Identifier::Dns(name.into())
    }

    /// An IP address (RFC 8738).
    pub fn ip(address: IpAddr) -> Self {
        Identifier::Ip(address.into())
    }

    /// An identifier of any type, such as a server sends it. What is no address is of no type that is known.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        let (kind, value) = (kind.into(), value.into());
        match kind.as_str() {
            "dns" => Identifier::Dns(value),
            "ip" => match value.parse::<IpAddr>() {
                Ok(address) => Identifier::ip(address),
                Err(_) => Identifier::Other { kind, value },
            },
            _ => Identifier::Other { kind, value },
        }
    }

    /// The type, such as `dns`.
    pub fn kind(&self) -> &str {
        match self {
            Identifier::Dns(_) => "dns",
            Identifier::Ip(_) => "ip",
            Identifier::Other { kind, .. } => kind,
        }
    }

    /// The value, such as the domain name.
    pub fn value(&self) -> &str {
        match self {
            Identifier::Dns(value) | Identifier::Other { value, .. } => value,
            Identifier::Ip(ip) => &ip.text,
        }
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        if let Identifier::Ip(ip) = self { Some(ip.address) } else { None }
    }
}

impl From<IpAddr> for Identifier {
    fn from(address: IpAddr) -> Self {
        Identifier::ip(address)
    }
}

/// The value alone.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value())
    }
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    value: &'a str,
}

#[derive(Deserialize)]
struct Read {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { kind: self.kind(), value: self.value() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        // A server's word is shown on terminals; what has to be changed for that is no name either way.
        Ok(Identifier::new(plain(&read.kind), plain(&read.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_are_written_in_their_one_form() {
        let read =
            |value| serde_json::from_value::<Identifier>(json!({"type": "ip", "value": value})).unwrap();
        let address = read("2001:DB8:0::1");
        assert_eq!((address.kind(), address.value()), ("ip", "2001:db8::1"));
        assert_eq!(address, Identifier::ip("2001:db8::1".parse().unwrap()));
        assert_eq!(
            serde_json::to_value(Identifier::ip("192.0.2.1".parse().unwrap())).unwrap(),
            json!({"type": "ip", "value": "192.0.2.1"})
        );
        assert_eq!(read("300.1.1.1").address(), None);
        assert_eq!(read("a\u{1b}[2J").value(), "a [2J");
        let other = Identifier::new("permanent-identifier", "x");
        assert_eq!((other.kind(), other.to_string()), ("permanent-identifier", "x".to_owned()));
    }
}

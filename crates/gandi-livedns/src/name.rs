//! Names and types of rrsets, as they stand in a LiveDNS path.

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;

/// The name of an rrset relative to its zone, `@` for the apex. Never empty, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelativeName(String);

impl RelativeName {
    /// The zone's own name.
    #[must_use]
    pub fn apex() -> Self {
        Self("@".to_owned())
    }

    /// A name such as `_acme-challenge.www`, `*.www` or `@`. Letter case is kept, because LiveDNS answers 500
    /// to an update in another case; use lower case for a new rrset.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for anything that is not a sequence of DNS labels.
    pub fn new(name: &str) -> Result<Self, Error> {
        if name == "@" {
            return Ok(Self::apex());
        }
        check_labels(name)?;
        Ok(Self(name.to_owned()))
    }

    /// As sent and received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An rrset type in capitals, such as `TXT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordType(Cow<'static, str>);

impl RecordType {
    /// `TXT`
    pub const TXT: Self = Self(Cow::Borrowed("TXT"));
    /// `CNAME`
    pub const CNAME: Self = Self(Cow::Borrowed("CNAME"));

    /// Any type that LiveDNS lists in `/dns/rrtypes`; whether it does is not checked.
    ///
    /// # Errors
    /// [`Error::InvalidName`] when it is not made of ASCII letters and digits.
    pub fn new(name: &str) -> Result<Self, Error> {
        if name.is_empty() || name.len() > 16 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::InvalidName { name: name.to_owned(), reason: "it is not an rrset type" });
        }
        Ok(Self(Cow::Owned(name.to_ascii_uppercase())))
    }

    /// In capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A fully qualified name in the one form that is used here: lower case, no trailing dot.
pub(crate) fn canonical(name: &str) -> Result<String, Error> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    check_labels(&name)?;
    Ok(name)
}

/// The labels end up in a URL path, so nothing but what DNS names of this service are made of is let through;
/// in particular no empty label, which would make a path segment of dots possible.
fn check_labels(name: &str) -> Result<(), Error> {
    let refuse = |reason| Err(Error::InvalidName { name: name.to_owned(), reason });
    if !name.is_ascii() {
        return refuse("it is not ASCII; give an internationalised name as A-labels (xn--)");
    }
    if name.len() > 253 {
        return refuse("it is longer than 253 characters");
    }
    for label in name.split('.') {
        if label.is_empty() {
            return refuse("it has an empty label");
        }
        if label.len() > 63 {
            return refuse("it has a label of more than 63 characters");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*')) {
            return refuse("it has a character that DNS names here do not have");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["@", "*", "_acme-challenge.www", "*.a", "WWW"] {
            assert_eq!(RelativeName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a.", ".a", "a..b", "a/b", "a%2fb", "a?b", "a b", "ä", "a@"] {
            assert!(RelativeName::new(bad).is_err(), "{bad}");
        }
        assert!(RelativeName::new(&"a".repeat(64)).is_err());
    }

    #[test]
    fn canonical_form() {
        assert_eq!(canonical("WWW.Example.Com.").unwrap(), "www.example.com");
        assert!(canonical("example.com..").is_err());
    }

    #[test]
    fn types_are_checked() {
        assert_eq!(RecordType::new("txt").unwrap(), RecordType::TXT);
        assert!(RecordType::new("TXT/..").is_err());
        assert!(RecordType::new("").is_err());
    }
}

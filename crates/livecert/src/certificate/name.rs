//! The names that a certificate is for: checked and normalised before anything else happens.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::CertificateError;
use crate::key::ForeignRequest;

/// Longest name in octets, without the root's dot (RFC 1035 §2.3.4, as text).
const MAX_NAME: usize = 253;
/// Longest label in octets (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A name that a certificate can be for (RFC 5280 §4.2.1.6): a domain name or an IP address.
///
/// A domain name is in lower case, of A-labels (RFC 5890), without trailing dot, with `*` only as the whole first label
/// (RFC 8555 §7.1.3, RFC 9525 §6.3). An address has the text form of RFC 8738 §3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectName(String);

impl SubjectName {
    /// The normalised text, with `*.` if it is a wildcard.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        // No domain name parses as an address: its last label is never of digits alone, and it has no colon.
        self.0.parse().ok()
    }

    /// The name without `*.`: what an authorization is made for (RFC 8555 §7.1.4).
    pub fn base(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }

    /// What an order names it as (RFC 8555 §9.7.7, RFC 8738 §3).
    pub fn identifier(&self) -> livecert_acme::Identifier {
        match self.address() {
            Some(address) => livecert_acme::Identifier::ip(address),
            None => livecert_acme::Identifier::dns(self.as_str()),
        }
    }
}

impl From<IpAddr> for SubjectName {
    fn from(address: IpAddr) -> Self {
        SubjectName(address.to_string())
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name cannot be in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing but white space or dots.
    #[error("the name is empty")]
    Empty,
    /// `*` somewhere else than as the whole first label, or alone.
    #[error("'{0}': a wildcard is only possible as the whole first label, as in '*.example.com'")]
    Wildcard(String),
    /// Two dots in a row, or a dot in front.
    #[error("'{0}' has an empty label (two dots in a row, or a dot in front)")]
    EmptyLabel(String),
    /// A label of more than 63 octets.
    #[error("'{name}': the label '{label}' has {len} octets, and 63 is the limit")]
    LabelTooLong {
        /// The name as given.
        name: String,
        /// The first label that is too long, as A-label.
        label: String,
        /// Its length in octets.
        len: usize,
    },
    /// More than 253 octets.
    #[error("'{name}' has {len} octets, and 253 is the limit")]
    NameTooLong {
        /// The name as given.
        name: String,
        /// Its length in octets, as A-labels.
        len: usize,
    },
    /// A character which no host name has.
    #[error("'{name}' contains {character:?}, which no host name in a certificate can have")]
    Character {
        /// The name as given.
        name: String,
        /// The first such character.
        character: char,
    },
    /// A label that starts or ends with a hyphen.
    #[error("'{0}' has a label that starts or ends with a hyphen")]
    Hyphen(String),
    /// A last label of digits only.
    #[error("'{0}' ends in a label of digits, which no top-level domain is")]
    NumericEnd(String),
    /// Not convertible to A-labels.
    #[error("'{0}' is not a valid internationalised name (IDNA, UTS 46)")]
    Idn(String),
}

impl FromStr for SubjectName {
    type Err = NameError;

    fn from_str(input: &str) -> Result<Self, NameError> {
        let given = input.trim();
        if given.trim_matches('.').is_empty() {
            return Err(NameError::Empty);
        }
        let bare = given.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(given);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let without_root = given.strip_suffix('.').unwrap_or(given);
        let (wildcard, base) = match without_root.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, without_root),
        };
        if base.contains('*') {
            return Err(NameError::Wildcard(given.to_owned()));
        }
        // IDNA drops or maps some of these without a word, and a person should hear of them.
        if let Some(character) =
            base.chars().find(|c| c.is_whitespace() || c.is_control() || "/:@_\\".contains(*c))
        {
            return Err(NameError::Character { name: given.to_owned(), character });
        }
        let ascii = idna::domain_to_ascii_cow(base.as_bytes(), idna::AsciiDenyList::EMPTY)
            .map_err(|_| NameError::Idn(given.to_owned()))?
            .into_owned();
        check_labels(given, &ascii)?;
        let name = if wildcard { format!("*.{ascii}") } else { ascii };
        if name.len() > MAX_NAME {
            return Err(NameError::NameTooLong { name: given.to_owned(), len: name.len() });
        }
        Ok(SubjectName(name))
    }
}

fn check_labels(given: &str, ascii: &str) -> Result<(), NameError> {
    for label in ascii.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel(given.to_owned()));
        }
        if let Some(character) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Err(NameError::Character { name: given.to_owned(), character });
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LabelTooLong {
                name: given.to_owned(),
                label: label.to_owned(),
                len: label.len(),
            });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Hyphen(given.to_owned()));
        }
    }
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NameError::NumericEnd(given.to_owned()));
    }
    Ok(())
}

/// A name as people read it: A-labels of an internationalised name (RFC 5890) as the letters that they stand for. What is not
/// valid, or could not be told from a sign of the terminal, stays as it is.
pub fn readable(name: &str) -> String {
    if !name.contains("xn--") {
        return name.to_owned();
    }
    let label = |label: &str| match idna::domain_to_unicode(label) {
        (text, Ok(())) if text.chars().all(|c| c.is_alphanumeric() || c == '-') => text,
        _ => label.to_owned(),
    };
    name.split('.').map(label).collect::<Vec<_>>().join(".")
}

/// Parses the names of one certificate and drops duplicates; the order of the first mentions stays.
///
/// # Errors
/// The first name that cannot be in a certificate.
pub fn parse_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<SubjectName>, NameError> {
    let mut seen = Vec::new();
    for name in names {
        let name: SubjectName = name.parse()?;
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    Ok(seen)
}

/// The names that a certificate request of the user's own (PEM or DER) is for.
///
/// # Errors
/// It is no request, its signature is wrong, or it names nothing that can be in a certificate.
pub fn names_of_request(request: &[u8]) -> Result<Vec<SubjectName>, CertificateError> {
    let request = ForeignRequest::read(request)?;
    let mut names = parse_names(request.dns_names().iter().map(String::as_str))?;
    names.extend(request.ip_addresses().iter().map(|&address| SubjectName::from(address)));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internationalised_name_is_readable_and_means_the_same() {
        for (written, read) in [
            ("xn--bcher-kva.example", "bücher.example"),
            ("!.xn--bcher-kva.example", "!.bücher.example"),
            ("*.xn--bcher-kva.example", "*.bücher.example"),
            ("www.example.com", "www.example.com"),
            ("xn--.example", "xn--.example"),
        ] {
            assert_eq!(readable(written), read);
            let cert = read.replace('*', "!").parse::<crate::store::CertName>().unwrap();
            assert_eq!(cert.as_str(), written.replace('*', "!"));
        }
    }

    fn parse(text: &str) -> Result<String, NameError> {
        text.parse::<SubjectName>().map(|name| name.0)
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(parse("Example.COM.").unwrap(), "example.com");
        assert_eq!(parse(" *.Example.com ").unwrap(), "*.example.com");
        assert_eq!(parse("bücher.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(parse("*.BÜCHER.example").unwrap(), "*.xn--bcher-kva.example");
        assert_eq!(parse("例え。テスト").unwrap(), "xn--r8jz45g.xn--zckzah");
    }

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(parse("192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(parse("[2001:DB8:0:0::1]").unwrap(), "2001:db8::1");
        let address: SubjectName = "2001:db8::1".parse().unwrap();
        assert_eq!(address.identifier().value(), "2001:db8::1");
        assert!(address.address().is_some() && !address.is_wildcard());
        assert_eq!("a.example".parse::<SubjectName>().unwrap().address(), None);
    }

    #[test]
    fn duplicates_are_dropped_after_normalising_and_the_order_stays() {
        let names = parse_names(["b.example", "A.example.", "a.EXAMPLE", "b.example"]).unwrap();
        assert_eq!(names.iter().map(SubjectName::as_str).collect::<Vec<_>>(), ["b.example", "a.example"]);
    }

    #[test]
    fn impossible_names_are_refused_for_their_own_reason() {
        assert_eq!(parse(""), Err(NameError::Empty));
        assert_eq!(parse("."), Err(NameError::Empty));
        assert!(matches!(parse("192.0.2"), Err(NameError::NumericEnd(_))));
        assert!(matches!(parse("*.*.example.com"), Err(NameError::Wildcard(_))));
        assert!(matches!(parse("a*.example.com"), Err(NameError::Wildcard(_))));
        assert!(matches!(parse("www.*.example.com"), Err(NameError::Wildcard(_))));
        assert!(matches!(parse("*"), Err(NameError::Wildcard(_))));
        assert!(matches!(parse("foo..com"), Err(NameError::EmptyLabel(_))));
        assert!(matches!(parse(".example.com"), Err(NameError::EmptyLabel(_))));
        assert!(matches!(parse("-a.example.com"), Err(NameError::Hyphen(_))));
        assert!(matches!(parse("https://example.com"), Err(NameError::Character { character: ':', .. })));
        assert!(matches!(parse("a_b.example.com"), Err(NameError::Character { character: '_', .. })));
        assert!(matches!(parse("a b.example.com"), Err(NameError::Character { character: ' ', .. })));
        assert!(matches!(parse("example.123"), Err(NameError::NumericEnd(_))));
        assert!(matches!(parse("xn--a.example"), Err(NameError::Idn(_))));
        let long = "a".repeat(64);
        assert!(matches!(parse(&format!("{long}.com")), Err(NameError::LabelTooLong { len: 64, .. })));
        let many = ["a".repeat(60).as_str(); 5].join(".");
        assert!(matches!(parse(&many), Err(NameError::NameTooLong { .. })));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_a_parsed_name_is_stable(text in "\\PC{0,80}") {
            if let Ok(name) = text.parse::<SubjectName>() {
                proptest::prop_assert_eq!(name.as_str().parse::<SubjectName>(), Ok(name.clone()));
                proptest::prop_assert!(name.address().is_some() || name.base().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'));
            }
        }
    }
}

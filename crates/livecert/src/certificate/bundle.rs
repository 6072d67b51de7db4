//! What a CA sends is checked before it replaces anything.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::*;

use super::SubjectName;
use crate::digest::hexadecimal;
use crate::store::{Bundle, GenerationInfo};

/// A certificate's begin may be this far ahead of our clock, in seconds.
const SKEW: i64 = 300;
/// Longer chains than this are a mistake.
const MAX_CHAIN: usize = 10;

/// What is wrong with what the CA sent. The former certificate stays in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// No certificate, or something that is none.
    #[error("the CA's answer is not a chain of PEM certificates: {0}")]
    NotAChain(String),
    /// The certificate is for another key.
    #[error("the certificate is for another key than the one that was sent")]
    WrongKey,
    /// The names are not those that were asked for.
    #[error(
        "the certificate has other names than those asked for (missing: {}; not asked for: {})",
        list(missing),
        list(extra)
    )]
    WrongNames {
        /// Names that are not in it.
        missing: Vec<String>,
        /// Names that nobody asked for.
        extra: Vec<String>,
    },
    /// It has ended already.
    #[error("the certificate ended at {0}: is this machine's clock right?")]
    Ended(Timestamp),
    /// It begins in the future.
    #[error("the certificate begins at {0}, which is in the future: is this machine's clock right?")]
    NotYet(Timestamp),
    /// A certificate of the chain was not issued by the next one.
    #[error("the chain is not in order: certificate {0} was not issued by the one after it")]
    Order(usize),
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What a CA sent, checked and ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedBundle {
    /// The parts.
    pub bundle: Bundle,
    /// What it is.
    pub info: GenerationInfo,
    /// Whether the preferred issuer is in one of the chains; true where none is preferred.
    pub preferred_found: bool,
    /// The issuer at the end of each chain.
    pub issuers: Vec<String>,
}

/// Checks the chains of one certificate (PEM, leaf first; the CA's own choice first) against the key
/// (SubjectPublicKeyInfo, DER) and the names, at the time `now`. Of the chains, that one is taken which has a certificate
/// issued by `preferred` (a common name), where several have one that in which it is nearest to the root, and the CA's
/// own choice where none has.
///
/// # Errors
/// See [`BundleError`].
pub fn check_bundle(
    chains: &[&str],
    preferred: Option<&str>,
    public_key_info: &[u8],
    names: &[SubjectName],
    server: &str,
    now: Timestamp,
) -> Result<CheckedBundle, BundleError> {
    let Some((first, others)) = chains.split_first() else {
        return Err(BundleError::NotAChain("there is none".to_owned()));
    };
    let first = Chain::read(first)?;
    let leaf = first.leaf()?;
    if leaf.public_key().raw != public_key_info {
        return Err(BundleError::WrongKey);
    }
    check_names(&leaf, names)?;
    let validity = check_validity(&leaf, now)?;
    let (serial, certificate_id) = (hexadecimal(leaf.raw_serial()), certificate_id(&leaf));
    let issuer_of_leaf = issuer(&leaf);
    drop(leaf);

    let mut all = vec![first];
    for other in others {
        // An alternate that is no chain for this certificate is no reason to have none.
        match Chain::read(other) {
            Ok(chain) if chain.ders[0] == all[0].ders[0] => all.push(chain),
            Ok(_) => tracing::warn!("an alternate chain is for another certificate, and is left out"),
            Err(error) => tracing::warn!(%error, "an alternate chain cannot be used"),
        }
    }
    let distance = |chain: &Chain| preferred.and_then(|name| chain.distance_from_root(name));
    let found = all.iter().enumerate().filter_map(|(index, chain)| Some((distance(chain)?, index))).min();
    let chosen = found.map_or(0, |(_, index)| index);

    let mut info = GenerationInfo::new(
        names.iter().map(|name| name.as_str().to_owned()).collect(),
        serial,
        issuer_of_leaf,
        validity,
        server.to_owned(),
    );
    info.certificate_id = certificate_id;
    let offered = if all.len() > 1 { all.iter().map(Chain::above).collect() } else { Vec::new() };
    let bundle = Bundle { leaf: to_pem(&all[chosen].ders[0]), chain: all[chosen].above(), offered };
    let issuers = all.iter().filter_map(|chain| chain.issuers.last().cloned()).collect();
    Ok(CheckedBundle { bundle, info, preferred_found: preferred.is_none() || found.is_some(), issuers })
}

/// The id of a certificate (RFC 9773 §4.1), DER; `None` if it has no authority key identifier.
pub(super) fn certificate_id_of(der: &[u8]) -> Option<String> {
    certificate_id(&X509Certificate::from_der(der).ok()?.1)
}

fn certificate_id(leaf: &X509Certificate<'_>) -> Option<String> {
    let extensions = leaf.extensions().iter().map(|extension| extension.parsed_extension());
    let key = extensions.into_iter().find_map(|extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    })?;
    Some(livecert_acme::CertificateId::new(key.0, leaf.raw_serial()).to_string())
}

/// A chain in order.
struct Chain {
    /// Leaf first.
    ders: Vec<CertificateDer<'static>>,
    /// Common name of each one's issuer, or the whole name where it has none.
    issuers: Vec<String>,
}

impl Chain {
    fn read(pem: &str) -> Result<Self, BundleError> {
        let not_a_chain = |reason: &dyn std::fmt::Display| BundleError::NotAChain(reason.to_string());
        let ders: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|e| not_a_chain(&e))?;
        if ders.is_empty() || ders.len() > MAX_CHAIN {
            return Err(not_a_chain(&format!("it has {} certificates", ders.len())));
        }
        let mut chain = Vec::new();
        for der in &ders {
            chain.push(X509Certificate::from_der(der).map_err(|e| not_a_chain(&e))?.1);
        }
        for (index, pair) in chain.windows(2).enumerate() {
            if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
                return Err(BundleError::Order(index + 1));
            }
        }
        let issuers = chain.iter().map(issuer).collect();
        Ok(Chain { ders, issuers })
    }

    fn leaf(&self) -> Result<X509Certificate<'_>, BundleError> {
        let read = X509Certificate::from_der(&self.ders[0]);
        read.map(|(_, leaf)| leaf).map_err(|error| BundleError::NotAChain(error.to_string()))
    }

    /// The certificates above the leaf, PEM.
    fn above(&self) -> String {
        self.ders[1..].iter().map(to_pem).collect()
    }

    /// How far from the root end a certificate is that `name` issued; `None` if there is none.
    fn distance_from_root(&self, name: &str) -> Option<usize> {
        self.issuers.iter().rev().position(|issuer| issuer == name)
    }
}

fn check_names(leaf: &X509Certificate<'_>, names: &[SubjectName]) -> Result<(), BundleError> {
    let asked: BTreeSet<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
    let mut found = BTreeSet::new();
    if let Ok(Some(extension)) = leaf.subject_alternative_name() {
        for name in &extension.value.general_names {
            found.insert(match name {
                GeneralName::DNSName(name) => name.to_ascii_lowercase(),
                GeneralName::IPAddress(octets) => match address(octets) {
                    Some(address) => address.to_string(),
                    None => format!("an address of {} octets", octets.len()),
                },
                other => other.to_string(),
            });
        }
    }
    // Some CAs add the twin of a name with or without "www.", which is the same owner's by their own rules.
    let is_twin = |name: &&String| match name.strip_prefix("www.") {
        Some(bare) => asked.contains(bare),
        None => asked.contains(&format!("www.{name}")),
    };
    let (twins, others): (Vec<_>, Vec<_>) = found.difference(&asked).partition(is_twin);
    if others.is_empty() && asked.is_subset(&found) {
        if !twins.is_empty() {
            tracing::warn!(?twins, "the CA has added names that nobody ordered");
        }
        return Ok(());
    }
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect();
    Err(BundleError::WrongNames { missing: only(&asked, &found), extra: only(&found, &asked) })
}

/// An address of a certificate (RFC 5280 §4.2.1.6).
fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

fn check_validity(leaf: &X509Certificate<'_>, now: Timestamp) -> Result<(Timestamp, Timestamp), BundleError> {
    let time = |time: ASN1Time| {
        let seconds = Timestamp::from_second(time.timestamp());
        seconds.map_err(|error| BundleError::NotAChain(format!("its validity is out of range: {error}")))
    };
    let (begin, end) = (time(leaf.validity().not_before)?, time(leaf.validity().not_after)?);
    if end <= now {
        return Err(BundleError::Ended(end));
    }
    if begin.as_second() > now.as_second() + SKEW {
        return Err(BundleError::NotYet(begin));
    }
    Ok((begin, end))
}

fn issuer(leaf: &X509Certificate<'_>) -> String {
    let common_name = leaf.issuer().iter_common_name().next().and_then(|name| name.as_str().ok());
    common_name.map_or_else(|| leaf.issuer().to_string(), str::to_owned)
}

/// PEM as everybody reads it: 64 columns, LF (RFC 7468). What the CA put around the certificates is not kept.
fn to_pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for start in (0..text.len()).step_by(64) {
        pem.push_str(&text[start..text.len().min(start + 64)]);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::parse_names;
    use crate::key::{KeyType, PrivateKey};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    struct Ca {
        issuer: CertifiedIssuer<'static, KeyPair>,
    }

    impl Ca {
        fn new(name: &str) -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            Ca { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
        }

        fn issue(&self, names: &[&str], key: &PrivateKey, begin: i64, end: i64) -> String {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            let time = |offset: i64| {
                let seconds = Timestamp::now().as_second() + offset;
                rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds.unsigned_abs())
            };
            (params.not_before, params.not_after) = (time(begin), time(end));
            let pair = KeyPair::from_pem(secrecy::ExposeSecret::expose_secret(key.pem())).unwrap();
            params.signed_by(&pair, &self.issuer).unwrap().pem()
        }
    }

    #[test]
    fn the_preferred_issuer_decides_and_the_root_end_counts_most() {
        let chain = |issuers: &[&str]| Chain {
            ders: Vec::new(),
            issuers: issuers.iter().map(|&name| name.to_owned()).collect(),
        };
        let (long, short) = (chain(&["R3", "Root X1", "DST"]), chain(&["R3", "Root X1"]));
        assert_eq!(
            (long.distance_from_root("Root X1"), short.distance_from_root("Root X1")),
            (Some(1), Some(0))
        );
        assert_eq!(short.distance_from_root("DST"), None);
    }

    #[test]
    fn only_the_right_chain_for_the_right_key_and_names_passes() {
        let (ca, other) = (Ca::new("Right CA"), Ca::new("Other CA"));
        let (key, stranger) =
            (PrivateKey::generate(KeyType::Ec256).unwrap(), PrivateKey::generate(KeyType::Ec256).unwrap());
        let names = parse_names(["example.com", "*.example.com"]).unwrap();
        let check = |pem: &str, key: &PrivateKey| {
            let now = Timestamp::now();
            check_bundle(&[pem], None, &key.public_key_info(), &names, "https://ca.example/", now)
                .map(|checked| (checked.bundle, checked.info))
        };
        let both = ["*.example.com", "EXAMPLE.com"];
        let leaf = ca.issue(&both, &key, -60, 86_400);
        let full = format!("{leaf}{}", ca.issuer.pem());

        let (bundle, info) = check(&full, &key).unwrap();
        assert_eq!(bundle.leaf.lines().count(), leaf.lines().count());
        assert_eq!(info.issuer, "Right CA");
        let addresses = parse_names(["192.0.2.1", "2001:db8::1"]).unwrap();
        let of_addresses = ca.issue(&["2001:db8::1", "192.0.2.1"], &key, -60, 86_400);
        let server = "https://ca.example/";
        let public = key.public_key_info();
        assert!(check_bundle(&[&of_addresses], None, &public, &addresses, server, Timestamp::now()).is_ok());
        assert_eq!(check(&full, &stranger), Err(BundleError::WrongKey));
        assert_eq!(check(&format!("{leaf}{}", other.issuer.pem()), &key), Err(BundleError::Order(1)));
        let fewer = ca.issue(&["example.com", "a.example.com"], &key, -60, 86_400);
        assert_eq!(
            check(&fewer, &key),
            Err(BundleError::WrongNames {
                missing: vec!["*.example.com".into()],
                extra: vec!["a.example.com".into()]
            })
        );
        let twin = ca.issue(&["example.com", "*.example.com", "www.example.com"], &key, -60, 86_400);
        assert_eq!(check(&twin, &key).unwrap().1.names, ["example.com", "*.example.com"]);
        assert!(matches!(check(&ca.issue(&both, &key, -60, -1), &key), Err(BundleError::Ended(_))));
        assert!(matches!(check(&ca.issue(&both, &key, 3600, 7200), &key), Err(BundleError::NotYet(_))));
        let cross = Ca::new("Right CA");
        let offered = check_bundle(
            &[&full, &leaf, &cross.issue(&both, &key, -60, 86_400), "garbage"],
            Some("Nobody"),
            &key.public_key_info(),
            &names,
            "https://ca.example/",
            Timestamp::now(),
        )
        .unwrap();
        assert!(!offered.preferred_found);
        // The leaf alone is a chain for the same certificate; the others are not.
        assert_eq!(offered.bundle.offered, [ca.issuer.pem().replace("\r\n", "\n"), String::new()]);
        for garbage in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(check(garbage, &key), Err(BundleError::NotAChain(_))), "{garbage}");
        }
    }
}

//! What a CSR has to be like (RFC 8555 §7.4): for the order's identifiers, all of them and no others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::jwk::PublicKey;
use crate::problem::Problem;
use crate::state::Identifier;

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(400, "badCSR", detail)
}

/// Checks a CSR; gives the key that the certificate is for.
pub(crate) fn check(
    der: &[u8],
    identifiers: &[Identifier],
    account: &PublicKey,
) -> Result<SubjectPublicKeyInfo, Problem> {
    let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| bad("it is not a CSR in DER"))?;
    if !rest.is_empty() {
        return Err(bad("there is something behind the CSR"));
    }
    // P-521 ends here: ring does not know it, and no public CA takes it.
    csr.verify_signature().map_err(|error| bad(format!("its signature is not good: {error}")))?;
    let info = &csr.certification_request_info.subject_pki;
    if account.is_of(info) {
        return Err(bad("its key is that of the account (RFC 8555 §11.1)"));
    }
    let mut wanted: BTreeSet<Identifier> = BTreeSet::new();
    for extension in csr.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension {
            for name in &names.general_names {
                wanted.insert(identifier(name)?);
            }
        }
    }
    let ordered: BTreeSet<Identifier> = identifiers.iter().cloned().collect();
    for attribute in csr.certification_request_info.subject.iter_common_name() {
        let name = attribute.as_str().map_err(|_| bad("its common name is not text"))?.to_ascii_lowercase();
        if !ordered.iter().any(|identifier| identifier.value == name) {
            return Err(bad(format!("its common name '{name}' is not in the order")));
        }
    }
    if wanted != ordered {
        let list = |set: &BTreeSet<Identifier>| {
            set.iter().map(|identifier| identifier.value.clone()).collect::<Vec<_>>().join(", ")
        };
        return Err(bad(format!("it is for {}, the order for {}", list(&wanted), list(&ordered))));
    }
    SubjectPublicKeyInfo::from_der(info.raw)
        .map_err(|_| Problem::new(400, "badPublicKey", "this type of key is not taken"))
}

fn identifier(name: &GeneralName<'_>) -> Result<Identifier, Problem> {
    match name {
        GeneralName::DNSName(name) => {
            Ok(Identifier { kind: "dns".to_owned(), value: name.to_ascii_lowercase() })
        }
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                .map_err(|_| bad("it has an IP address of a strange size"))?;
            Ok(Identifier { kind: "ip".to_owned(), value: address.to_string() })
        }
        _ => Err(bad("it has a subject alternative name that is neither a DNS name nor an IP address")),
    }
}

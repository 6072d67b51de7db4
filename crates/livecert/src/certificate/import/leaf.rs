//! What a certificate says about itself.

use jiff::Timestamp;
use x509_parser::prelude::*;

use crate::certificate::SubjectName;

/// TLS feature (RFC 7633).
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";

/// Parts of a certificate.
pub(super) struct Leaf {
    pub(super) names: Vec<SubjectName>,
    pub(super) must_staple: bool,
    pub(super) not_after: Timestamp,
}

/// Reads the first certificate of a chain, PEM.
pub(super) fn read(chain: &str) -> Result<Leaf, String> {
    let (_, pem) = parse_x509_pem(chain.as_bytes()).map_err(|_| "it is no PEM certificate".to_owned())?;
    let leaf = pem.parse_x509().map_err(|_| "its certificate cannot be read".to_owned())?;
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let mut names = Vec::new();
    for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
        let text = match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(octets) => address(octets)?,
            _ => return Err("it is for something that is neither a domain nor an address".to_owned()),
        };
        names.push(text.parse::<SubjectName>().map_err(|why| why.to_string())?);
    }
    if names.is_empty() {
        return Err("its certificate has no subject alternative name".to_owned());
    }
    let end = Timestamp::from_second(leaf.validity().not_after.timestamp());
    let must_staple = leaf.extensions().iter().any(|extension| extension.oid.to_id_string() == TLS_FEATURE);
    Ok(Leaf { names, must_staple, not_after: end.map_err(|_| "its validity is out of range".to_owned())? })
}

fn address(octets: &[u8]) -> Result<String, String> {
    let v4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from));
    address.map(|address| address.to_string()).map_err(|_| "it is for an address that is none".to_owned())
}

//! Certificate requests (PKCS#10, RFC 2986) as CAs want them (RFC 8555 §7.4).

use rcgen::{CertificateParams, DistinguishedName};

use super::{KeyError, PrivateKey};
use crate::certificate::DomainName;

/// A request for `names`, DER. The subject is empty: names belong in the extension (RFC 9525 §2), and CAs ignore or
/// refuse a common name of more than 64 octets.
///
/// # Errors
/// The key cannot sign.
pub fn certificate_request(key: &PrivateKey, names: &[DomainName]) -> Result<Vec<u8>, KeyError> {
    let names: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(KeyError::Request)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key.pair()).map_err(KeyError::Request)?;
    Ok(request.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyType;
    use x509_parser::prelude::*;

    #[test]
    fn a_request_names_all_names_and_no_subject() {
        let names = crate::certificate::parse_names(["example.com", "*.example.com"]).unwrap();
        let key = PrivateKey::generate(KeyType::Ec256).unwrap();
        let der = certificate_request(&key, &names).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert_eq!(request.certification_request_info.subject.iter().count(), 0);
        let asked: Vec<_> = request
            .requested_extensions()
            .unwrap()
            .filter_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(asked, [GeneralName::DNSName("example.com"), GeneralName::DNSName("*.example.com")]);
    }
}

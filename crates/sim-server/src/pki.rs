//! A certificate authority for tests, and what it issues for servers on this machine.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// A certificate chain and its key, as PEM (the key as PKCS#8).
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    /// The server's certificate.
    pub cert_chain_pem: String,
    /// Its key.
    pub key_pem: String,
}

/// A CA whose key lives as long as this value.
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TestCa {
    /// Makes a CA with this common name.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(TestCa { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The CA's certificate, PEM: what clients have to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a server with these names and addresses.
    ///
    /// # Errors
    /// A name that is none.
    pub fn issue(&self, names: &[&str]) -> Result<TlsIdentity, rcgen::Error> {
        self.issue_until(names, (4096, 1, 1))
    }

    /// The same, but it ended on 5 November 2025, as the one of the first LiveDNS API's host did.
    ///
    /// # Errors
    /// A name that is none.
    pub fn issue_expired(&self, names: &[&str]) -> Result<TlsIdentity, rcgen::Error> {
        self.issue_until(names, (2025, 11, 5))
    }

    fn issue_until(
        &self,
        names: &[&str],
        (year, month, day): (i32, u8, u8),
    ) -> Result<TlsIdentity, rcgen::Error> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "test server");
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(TlsIdentity { cert_chain_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

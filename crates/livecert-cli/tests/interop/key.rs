//! Key types, of certificates and of accounts, and requests that come from elsewhere.

use x509_parser::public_key::PublicKey;

use crate::context::{Context, Obstacle, Verdict, failed, not_offered};

pub(crate) fn of_certificate(context: &Context<'_>, key_type: &str) -> Verdict {
    let issued = issue(context, &["--key-type", key_type])?;
    let found = issued.look(|certificate| match certificate.public_key().parsed() {
        Ok(PublicKey::EC(point)) => match point.key_size() {
            // The coordinates of P-521 have 66 octets.
            528 => "ec-521".to_owned(),
            bits => format!("ec-{bits}"),
        },
        Ok(PublicKey::RSA(key)) => format!("rsa-{}", key.key_size()),
        _ => "something else".to_owned(),
    })?;
    if found == key_type { Ok(()) } else { failed(format!("the certificate's key is {found}")) }
}

pub(crate) fn of_account(context: &Context<'_>, key_type: &str) -> Verdict {
    issue(context, &["--account-key-type", key_type])?;
    Ok(())
}

/// Issues, and takes a refusal of the key for what it is.
fn issue(context: &Context<'_>, more: &[&str]) -> Result<crate::context::Issued, Obstacle> {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], more).or_else(|obstacle| match context.refusal() {
        Some(words)
            if ["badPublicKey", "badSignatureAlgorithm", "badCSR"]
                .iter()
                .any(|kind| words.contains(kind)) =>
        {
            not_offered(words)
        }
        _ => Err(obstacle),
    })
}

/// A request whose key stays with its owner.
pub(crate) fn csr(context: &Context<'_>) -> Verdict {
    let names = [format!("www.{}", context.zone), context.zone.clone()];
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(names.to_vec())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    let file = context.bench.testbed.folder().join(format!("{}.csr", context.zone));
    std::fs::write(&file, request.pem()?)?;
    let mut words = context.server_words();
    words.extend(context.dns_words());
    words.extend([
        "--cert-name".to_owned(),
        "csr".to_owned(),
        "--csr".to_owned(),
        file.display().to_string(),
    ]);
    context.succeed(["issue".to_owned()].iter().chain(&words))?;
    let issued = context.issued("csr")?;
    issued.trusted(&context.server.roots(&context.bench.testbed)?, &names)?;
    let same = issued.look(|certificate| {
        certificate.public_key().subject_public_key.data.as_ref() == rcgen::PublicKeyData::der_bytes(&key)
    })?;
    if !same {
        return failed("the certificate is for another key");
    }
    if issued.folder.join("privkey.pem").exists() { failed("there is a private key") } else { Ok(()) }
}

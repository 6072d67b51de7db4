//! Fuzz targets: whatever a person gives, a CA sends, name servers answer, or a disk has kept badly.

use std::sync::LazyLock;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::*;

use crate::certificate::{ServerUrl, SubjectName, check_bundle, due, names_of_request};
use crate::challenge::{StandingRecord, standing_name};
use crate::dns::ResolverAddress;
use crate::key::{ForeignRequest, PrivateKey};
use crate::secret::{KeyMaterial, Sealed, SealingKey, Source};
use crate::store::{CertName, CertificateRecord, HoldScope, JournalName, Store, server_folder};

/// The name of a corpus, and what is done with an input: it panics on a finding.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub static TARGETS: &[Target] = &[
    ("chain", chain),
    ("request", request),
    ("private-key", private_key),
    ("name", name),
    ("standing-record", standing_record),
    ("source", source),
    ("state", state),
    ("dns-answer", crate::dns::fuzz::answer),
    ("dns-update-answer", crate::plugin::update_fuzz::answer),
    ("http-listener", crate::plugin::fuzz::http),
    ("tls-listener", crate::plugin::fuzz::tls),
];

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// Chains of PEM certificates with `====` between them. The key, the names and the time are those of the first
/// certificate, so that what comes after these checks is reached too.
fn chain(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let chains: Vec<&str> = text.split("====").collect();
    let now = Timestamp::UNIX_EPOCH;
    let _ = check_bundle(&chains, None, b"", &[], "https://ca.example", now);
    let Some(Ok(der)) = CertificateDer::pem_slice_iter(chains[0].as_bytes()).next() else { return };
    let Ok((_, leaf)) = X509Certificate::from_der(&der) else { return };
    let now = Timestamp::from_second(leaf.validity().not_before.timestamp()).unwrap_or(now);
    let mut names: Vec<SubjectName> = Vec::new();
    if let Ok(Some(extension)) = leaf.subject_alternative_name() {
        let all = extension.value.general_names.iter();
        names.extend(all.filter_map(|name| match name {
            GeneralName::DNSName(name) => name.parse().ok(),
            _ => None,
        }));
    }
    let key = leaf.public_key().raw;
    let Ok(checked) = check_bundle(&chains, Some("Root"), key, &names, "https://ca.example", now) else {
        return;
    };
    let pem = format!("{}{}", checked.bundle.leaf, checked.bundle.chain);
    let again = check_bundle(&[&pem], None, key, &names, "https://ca.example", now);
    assert!(
        again.is_ok_and(|again| again.bundle.leaf == checked.bundle.leaf),
        "what is stored is read again"
    );
}

fn request(input: &[u8]) {
    let names = names_of_request(input);
    if let Ok(request) = ForeignRequest::read(input) {
        assert_eq!(ForeignRequest::read(request.der()).ok().as_ref(), Some(&request));
        assert!(!request.dns_names().is_empty() || !request.ip_addresses().is_empty());
    } else {
        assert!(names.is_err());
    }
    if let Ok(request) = ForeignRequest::read_unsigned(input) {
        assert!(request.dns_names().len() + request.ip_addresses().len() <= input.len());
    }
}

fn private_key(input: &[u8]) {
    let Ok(key) = PrivateKey::read(input) else { return };
    let again = PrivateKey::from_pem(key.pem()).map(|key| key.public_key_info());
    assert_eq!(again.ok(), Some(key.public_key_info()), "what was read is written so that it is read again");
    let _ = key.key_type();
}

/// Each way in which a word becomes a name of something.
fn name(input: &[u8]) {
    let Some(text) = text(input) else { return };
    if let Ok(name) = text.parse::<SubjectName>() {
        assert_eq!(name.as_str().parse().ok().as_ref(), Some(&name));
        let cert = CertName::from(&name);
        assert!(cert.as_str().parse::<CertName>().is_ok(), "{cert} is no name of a certificate");
        let _ = (name.identifier(), standing_name(name.base()));
    }
    let file_names = [
        text.parse::<CertName>().map(|name| name.to_string()).unwrap_or_default(),
        server_folder(text),
        JournalName::name(text).to_string(),
    ];
    for name in file_names {
        assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.') && name.len() <= 255, "{name:?}");
    }
    if let Ok(server) = text.parse::<ServerUrl>() {
        assert!(server.as_str().starts_with("https://"));
    }
    if let Ok(resolver) = text.parse::<ResolverAddress>() {
        assert_eq!(resolver.to_string().parse().ok(), Some(resolver));
    }
}

fn standing_record(input: &[u8]) {
    let Some(record) = text(input).and_then(|text| StandingRecord::parse(text).ok()) else { return };
    let _ = record.has_ended(Timestamp::UNIX_EPOCH);
    assert_eq!(StandingRecord::parse(&record.to_string()).ok(), Some(record));
}

fn source(input: &[u8]) {
    let Some(text) = text(input) else { return };
    if let Ok(source) = text.parse::<Source>() {
        assert_eq!(source.to_string(), text);
        let _ = source.must_be_kept();
        if let Ok(absolute) = source.absolute() {
            assert!(absolute.to_string().parse::<Source>().is_ok());
        }
    }
    let Ok(sealed) = serde_json::from_value::<Sealed>(text.into()) else { return };
    assert!(SEALING_KEY.as_ref().is_none_or(|key| key.open_text("place", &sealed).is_err()));
}

static SEALING_KEY: LazyLock<Option<SealingKey>> =
    LazyLock::new(|| KeyMaterial::generate().ok().map(SealingKey::from));

/// The content of every state file at once: it is damaged for all of them, or for all but one.
fn state(input: &[u8]) {
    const SERVER: &str = "https://ca.example/directory";
    let Ok(folder) = tempfile::tempdir() else { return };
    let (home, account) = (folder.path(), format!("accounts/{}", server_folder(SERVER)));
    let cert = "certs/a.example";
    let (generation, partial) = (format!("{cert}/generations/1"), format!("{cert}/generations/2.partial"));
    let files = [
        (cert, "certificate.json"),
        (cert, "renewal.json"),
        (cert, "holds.json"),
        (generation.as_str(), "generation.json"),
        (partial.as_str(), "order.json"),
        (account.as_str(), "account.json"),
        (account.as_str(), "holds.json"),
        ("journal", "a.example.json"),
    ];
    for (folder, file) in files {
        let folder = home.join(folder);
        let written =
            std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join(file), input));
        assert!(written.is_ok(), "{written:?}");
    }
    #[cfg(unix)]
    let _ = std::os::unix::fs::symlink("generations/1", home.join(cert).join("current"));
    let store = Store::read_only(home);
    let Ok(name) = "a.example".parse::<CertName>() else { return };
    if let Ok(Some(record)) = store.find_record(&name) {
        // Not by way of the disk, which is asked to sync each time.
        let again = serde_json::to_value(&record).and_then(serde_json::from_value::<CertificateRecord>);
        assert_eq!(again.ok(), Some(record), "what was read is written so that it is read again");
    }
    let id = text(input).and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let id = id.as_ref().and_then(|json| json["certificate_id"].as_str()).unwrap_or_default();
    let window = store.renewal(&name, id);
    if let Ok(Some(generation)) = store.current(&name) {
        let _ = due(&generation, window.as_ref(), Timestamp::UNIX_EPOCH);
    }
    let _ = window.map(|window| window.moment());
    let _ = store.hold(HoldScope::Certificate(&name), SERVER, &[]);
    let _ = store.hold(HoldScope::Server, SERVER, &[]);
    for publication in store.publications(&JournalName::from(&name)).unwrap_or_default() {
        let _ = (publication.records, publication.order);
    }
    let _ = (store.account(SERVER), store.account_records(), store.cert_names(), store.journals());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let lock = runtime.map(|runtime| runtime.block_on(store.lock(&name, std::time::Duration::ZERO, |_| ())));
    if let Ok(Ok(lock)) = lock {
        let _ = store.left_behind(&name, &lock);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_input_makes_a_panic_or_is_taken_without_bounds() {
        fuzzing::short_run(super::TARGETS);
    }
}

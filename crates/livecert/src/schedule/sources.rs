//! What the certificates of a store need of a unit: the credentials that systemd hands over, and files that can be seen.

use std::path::PathBuf;

use serde_json::Value;

use crate::store::{CertName, Store, StoreError};

/// Places that the settings of certificates name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedSources {
    /// Names of credentials (`systemd-cred:NAME`), each with a certificate that needs it.
    pub credentials: Vec<(String, CertName)>,
    /// Files (`file:PATH`).
    pub files: Vec<PathBuf>,
}

/// The sources in the settings of all certificates, whatever they are for. What cannot be read names none.
///
/// # Errors
/// The store as a whole cannot be read.
pub fn named_sources(store: &Store) -> Result<NamedSources, StoreError> {
    let mut sources = NamedSources::default();
    for cert in store.cert_names()? {
        let text = std::fs::read(store.cert_folder(&cert).join("certificate.json")).unwrap_or_default();
        // As text, so that no setting that takes a source is forgotten here.
        visit(&serde_json::from_slice(&text).unwrap_or(Value::Null), &mut |text| {
            if let Some(name) = text.strip_prefix("systemd-cred:") {
                if sources.credentials.iter().all(|(other, _)| other != name) {
                    sources.credentials.push((name.to_owned(), cert.clone()));
                }
            } else if let Some(path) = text.strip_prefix("file:") {
                sources.files.push(PathBuf::from(path));
            }
        });
    }
    Ok(sources)
}

fn visit(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => found(text),
        Value::Array(values) => values.iter().for_each(|value| visit(value, found)),
        Value::Object(values) => values.values().for_each(|value| visit(value, found)),
        _ => {}
    }
}

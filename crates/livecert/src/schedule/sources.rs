//! What the certificates of a store need of a unit: the credentials that systemd hands over, and files that can be seen.

use std::path::PathBuf;

use serde_json::Value;

use crate::store::{Store, StoreError};

/// Places that the settings of certificates name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedSources {
    /// Names of credentials (`systemd-cred:NAME`), each with what needs it first: a certificate's name, or `the sealing
    /// key`.
    pub credentials: Vec<(String, String)>,
    /// Files (`file:PATH`).
    pub files: Vec<PathBuf>,
}

impl NamedSources {
    fn add(&mut self, text: &str, user: &str) {
        if let Some(name) = text.strip_prefix("systemd-cred:") {
            if self.credentials.iter().all(|(other, _)| other != name) {
                self.credentials.push((name.to_owned(), user.to_owned()));
            }
        } else if let Some(path) = text.strip_prefix("file:") {
            self.files.push(PathBuf::from(path));
        }
    }
}

/// The sources in the settings of all certificates, whatever they are for, and that of the sealing key. What cannot be read
/// names none.
///
/// # Errors
/// The store as a whole cannot be read.
pub fn named_sources(store: &Store) -> Result<NamedSources, StoreError> {
    let mut sources = NamedSources::default();
    if let Ok(Some(record)) = store.sealing_record() {
        sources.add(&record.source, "the sealing key");
    }
    for cert in store.cert_names()? {
        let text = std::fs::read(store.cert_folder(&cert).join("certificate.json")).unwrap_or_default();
        // As text, so that no setting that takes a source is forgotten here.
        let settings = serde_json::from_slice(&text).unwrap_or(Value::Null);
        visit(&settings, &mut |text| sources.add(text, cert.as_str()));
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

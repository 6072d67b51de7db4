//! What the certificates of a store need of a unit: the credentials that systemd hands over, files that can be seen, and
//! folders that can be written.

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
    /// Items of a keyring (`keyring:SERVICE/USER`), each with what needs it. Units of the machine have no keyring.
    pub keyring: Vec<(String, String)>,
    /// Folders of web servers, into which the plugin `webroot` writes.
    pub webroots: Vec<PathBuf>,
}

impl NamedSources {
    fn add(&mut self, text: &str, user: &str) {
        if let Some(name) = text.strip_prefix("systemd-cred:") {
            if self.credentials.iter().all(|(other, _)| other != name) {
                self.credentials.push((name.to_owned(), user.to_owned()));
            }
        } else if let Some(path) = text.strip_prefix("file:") {
            self.files.push(PathBuf::from(path));
        } else if text.starts_with("keyring:") {
            self.keyring.push((text.to_owned(), user.to_owned()));
        }
    }

    fn add_webroots(&mut self, settings: &Value) {
        let others = settings["publishers"].as_array().into_iter().flatten();
        for publisher in std::iter::once(settings).chain(others) {
            if publisher["plugin"] == "webroot"
                && let Some(roots) = publisher["plugin_args"]["WRPath"].as_str()
            {
                self.webroots.extend(std::env::split_paths(roots).filter(|root| root.is_absolute()));
            }
        }
        self.webroots.sort();
        self.webroots.dedup();
    }
}

/// The sources in the settings of all certificates, whatever they are for, and those of the sealing key. What cannot be read
/// names none.
///
/// # Errors
/// The store as a whole cannot be read.
pub fn named_sources(store: &Store) -> Result<NamedSources, StoreError> {
    let mut sources = NamedSources::default();
    if let Ok(Some(record)) = store.sealing_record() {
        sources.add(&record.source, "the sealing key");
        if let Some(rotation) = &record.rotation {
            sources.add(&rotation.to, "the new sealing key");
        }
    }
    for cert in store.cert_names()? {
        let text = std::fs::read(store.cert_folder(&cert).join("certificate.json")).unwrap_or_default();
        // As text, so that no setting that takes a source is forgotten here.
        let settings = serde_json::from_slice(&text).unwrap_or(Value::Null);
        visit(&settings, &mut |text| sources.add(text, cert.as_str()));
        sources.add_webroots(&settings);
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

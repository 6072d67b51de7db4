//! What is kept about a certificate, so that a renewal needs no argument again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::{DeploymentRecord, OutputRecord};
use crate::key::KeyType;
use crate::secret::Sealed;

/// The newest layout of `certificate.json` that is understood.
/// 2: fallback servers, challenge, profile, chain, lifetime, must-staple, subject, a request of the user's own.
/// 3: what files are written and for whom, how they are deployed, how many generations stay.
pub(super) const RECORD_VERSION: u32 = 3;
pub(super) const RECORD: &str = "certificate.json";

/// `certificate.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRecord {
    /// Layout version of the file.
    pub version: u32,
    /// The names, normalised, in the order of the first request.
    pub names: Vec<String>,
    /// Directory URL of the ACME server.
    pub server: String,
    /// Directory URLs of the servers to fall back to, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// URL of the account that it is asked for with; none for the one that has the current one, or is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Type of the certificate's key.
    pub key_type: KeyType,
    /// Keep the key at renewals.
    #[serde(default)]
    pub reuse_key: bool,
    /// The key is its owner's: `request.csr` beside this file is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_request: bool,
    /// The common name in the request; none for an empty subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Ask for the TLS feature extension (RFC 7633).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_staple: bool,
    /// The certificate profile that the server must offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The certificate profile that is taken where the server offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_profile: Option<String>,
    /// Common name of the issuer whose chain is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_chain: Option<String>,
    /// How long the certificate is asked to live, in days; none for what the server likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_days: Option<u16>,
    /// Which challenge is used, in the command line's word; none for the plugin's own. Like the plugin, it is for the names
    /// that `proofs` says nothing about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// The plugin that publishes the proofs.
    pub plugin: String,
    /// Its parameters.
    #[serde(default)]
    pub plugin_args: BTreeMap<String, StoredArgument>,
    /// The zones that it is for; empty for all that no other one of the plugin is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// What else publishes proofs: other plugins, and the same one with other parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publishers: Vec<PublisherRecord>,
    /// How some of the names are proved in another way than the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<ProofRecord>,
    /// How the publication is watched.
    #[serde(default)]
    pub propagation: PropagationRecord,
    /// How long the CA may take to validate, in seconds.
    pub validation_timeout: u64,
    /// Whether the names are proved one after another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serial: bool,
    /// How many generations stay, the current one among them; none for [`KEEP_GENERATIONS`](super::KEEP_GENERATIONS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_generations: Option<u16>,
    /// How it is deployed.
    #[serde(default, skip_serializing_if = "DeploymentRecord::is_default")]
    pub deployment: DeploymentRecord,
    /// The file in which it is declared, for one that is in the care of `livecert apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_in: Option<PathBuf>,
    /// Which files are written, and for whom.
    #[serde(default, skip_serializing_if = "OutputRecord::is_default")]
    pub output: OutputRecord,
    /// What went wrong at the last try: older versions kept it here, and `failures.json` has it now.
    #[serde(default, skip_serializing, deserialize_with = "dropped")]
    last_error: (),
    /// When the last try ended; as above.
    #[serde(default, skip_serializing, deserialize_with = "dropped")]
    last_attempt: (),
}

/// One more publisher of a certificate's proofs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherRecord {
    /// The plugin.
    pub plugin: String,
    /// What tells it from others of the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The zones that it is for; empty for all that no other one of the plugin is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Its parameters.
    #[serde(default)]
    pub plugin_args: BTreeMap<String, StoredArgument>,
}

impl PublisherRecord {
    /// As the command line names it: `gandi@shop`.
    pub fn name(&self) -> String {
        self.label.as_ref().map_or_else(|| self.plugin.clone(), |label| format!("{}@{label}", self.plugin))
    }
}

/// How the names that a pattern fits are proved, where that is not said for all. The most specific pattern counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofRecord {
    /// A name, `*.NAME` for all below it, or `*`.
    pub names: String,
    /// What publishes the proof: `gandi`, `gandi@shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The challenge; an empty text is the plugin's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// Where the TXT values are written; an empty text is no alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_alias: Option<String>,
}

impl ProofRecord {
    /// Nothing yet about the names that the pattern fits.
    pub fn new(names: String) -> Self {
        ProofRecord { names, plugin: None, challenge: None, dns_alias: None }
    }
}

/// Reads what is not kept any more.
fn dropped<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
    IgnoredAny::deserialize(from).map(drop)
}

/// A plugin parameter at rest: never a secret in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum StoredArgument {
    /// A secret by its source, with the sealed value where nobody will be there to give it again.
    Secret {
        /// The source, such as `file:/etc/livecert/gandi.pat`.
        source: String,
        /// The sealed value of `prompt`, `env:` and literals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed: Option<Sealed>,
    },
    /// A parameter that is no secret.
    Plain(String),
}

impl StoredArgument {
    /// Where a secret is read from; the value itself of what is no secret.
    pub fn source(&self) -> &str {
        match self {
            StoredArgument::Secret { source, .. } | StoredArgument::Plain(source) => source,
        }
    }
}

/// How a certificate's publications are watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropagationRecord {
    /// Where it is looked, in the command line's word; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Resolvers (`ADDR:PORT`, or an https URL); none means the system's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<String>,
    /// Servers to ask instead of the zone's own; none means the zone's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authoritative: Vec<std::net::SocketAddr>,
    /// How long a record may take to be everywhere, in seconds; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// How long to wait before the first look, or instead of it, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<u64>,
    /// How long a name server may be silent, in seconds; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<u64>,
    /// The share of name servers that must show everything, in percent; none means the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u8>,
}

impl CertificateRecord {
    /// A record of the current layout.
    pub fn new(names: Vec<String>, server: String, plugin: String) -> Self {
        CertificateRecord {
            version: RECORD_VERSION,
            names,
            server,
            fallbacks: Vec::new(),
            account: None,
            key_type: KeyType::default(),
            reuse_key: false,
            own_request: false,
            subject: None,
            must_staple: false,
            profile: None,
            preferred_profile: None,
            preferred_chain: None,
            lifetime_days: None,
            challenge: None,
            plugin,
            plugin_args: BTreeMap::new(),
            zones: Vec::new(),
            publishers: Vec::new(),
            proofs: Vec::new(),
            propagation: PropagationRecord::default(),
            validation_timeout: 120,
            serial: false,
            keep_generations: None,
            deployment: DeploymentRecord::default(),
            declared_in: None,
            output: OutputRecord::default(),
            last_error: (),
            last_attempt: (),
        }
    }

    /// The plugins, each once.
    pub fn plugins(&self) -> Vec<&str> {
        let mut plugins = vec![self.plugin.as_str()];
        plugins.extend(self.publishers.iter().map(|publisher| publisher.plugin.as_str()));
        plugins.sort_unstable();
        plugins.dedup();
        plugins
    }

    /// The parameters of the publisher with this plugin and label.
    pub fn arguments_mut(
        &mut self,
        plugin: &str,
        label: Option<&str>,
    ) -> Option<&mut BTreeMap<String, StoredArgument>> {
        if self.plugin == plugin && label.is_none() {
            return Some(&mut self.plugin_args);
        }
        let same = |other: &&mut PublisherRecord| other.plugin == plugin && other.label.as_deref() == label;
        self.publishers.iter_mut().find(same).map(|publisher| &mut publisher.plugin_args)
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let mut record = CertificateRecord::new(
            vec!["example.com".into(), "*.example.com".into()],
            "https://acme.example/directory".into(),
            "gandi".into(),
        );
        record.plugin_args.insert(
            "GandiPAT".into(),
            StoredArgument::Secret { source: "file:/etc/pat".into(), sealed: None },
        );
        record.plugin_args.insert("GandiTTL".into(), StoredArgument::Plain("600".into()));
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let record = CertificateRecord::example();
        let text = serde_json::to_string_pretty(&record).unwrap();
        assert_eq!(serde_json::from_str::<CertificateRecord>(&text).unwrap(), record);
    }

    #[test]
    fn a_field_that_a_person_mistyped_is_an_error_and_not_ignored() {
        let mut value = serde_json::to_value(CertificateRecord::example()).unwrap();
        value["key_typ"] = "rsa-2048".into();
        assert!(serde_json::from_value::<CertificateRecord>(value).is_err());
    }
}

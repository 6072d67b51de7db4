//! What is asked for, and what comes of it together with what is stored.

use std::net::SocketAddr;
use std::time::Duration;

use super::{CertificateError, DomainName, ServerUrl};
use crate::challenge::{PropagationMode, PropagationSettings, validation_name};
use crate::dns::{Patience, ResolverAddress};
use crate::key::KeyType;
use crate::plugin::{self, ArgumentSources, PluginInfo};
use crate::store::{CertName, CertificateRecord, PropagationRecord};

/// Longest name in DNS, in octets (RFC 1035 §2.3.4, as text).
const MAX_NAME: usize = 253;

/// A request for a certificate. What is `None` comes from the store, or else from the defaults.
#[derive(Debug, Clone, Default)]
pub struct IssueRequest {
    /// The names.
    pub names: Vec<DomainName>,
    /// The certificate's name in the store; the first name if there is none.
    pub cert_name: Option<CertName>,
    /// The ACME server.
    pub server: Option<ServerUrl>,
    /// Whether the server's terms are accepted.
    pub accept_tos: bool,
    /// Mail addresses for a new account.
    pub contact: Vec<String>,
    /// Type of a new account's key.
    pub account_key_type: Option<KeyType>,
    /// Type of the certificate's key.
    pub key_type: Option<KeyType>,
    /// Keep the key at renewals, or make a new one.
    pub reuse_key: Option<bool>,
    /// The plugin.
    pub plugin: Option<&'static PluginInfo>,
    /// Its arguments.
    pub arguments: ArgumentSources,
    /// How the publication is watched.
    pub propagation: PropagationRequest,
    /// How long the CA may take to validate.
    pub validation_timeout: Option<Duration>,
    /// Issue even if not due.
    pub force: bool,
}

/// How the publication is watched; empty or `None` comes from the store, or else from the defaults.
#[derive(Debug, Clone, Default)]
pub struct PropagationRequest {
    /// Where it is looked.
    pub mode: Option<PropagationMode>,
    /// How long to wait before the first look, or instead of it.
    pub sleep: Option<Duration>,
    /// How long a name server may be silent.
    pub grace: Option<Duration>,
    /// The share of name servers that must show everything, in percent.
    pub quorum: Option<u8>,
    /// Resolvers.
    pub resolvers: Vec<ResolverAddress>,
    /// Servers to ask instead of the zone's own.
    pub authoritative: Vec<SocketAddr>,
    /// How long the records may take to be everywhere.
    pub limit: Option<Duration>,
}

impl IssueRequest {
    /// Checks what can be checked without looking anywhere.
    pub(super) fn check(&self) -> Result<CertName, CertificateError> {
        let first = self.names.first().ok_or(CertificateError::NoNames)?;
        for name in &self.names {
            let len = validation_name(name.base()).len();
            if len > MAX_NAME {
                return Err(CertificateError::ValidationNameTooLong { name: name.to_string(), len });
            }
        }
        Ok(self.cert_name.clone().unwrap_or_else(|| CertName::from(first)))
    }
}

/// What will be done: the request, completed by what is stored.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) names: Vec<DomainName>,
    pub(super) server: ServerUrl,
    pub(super) key_type: KeyType,
    pub(super) reuse_key: bool,
    pub(super) plugin: &'static PluginInfo,
    pub(super) arguments: ArgumentSources,
    pub(super) propagation: PropagationSettings,
    pub(super) validation_timeout: Duration,
    /// Whether what is stored was made for something else (other names, server or type of key).
    pub(super) changed: bool,
}

impl Settings {
    pub(super) fn new(
        request: &IssueRequest,
        stored: Option<&CertificateRecord>,
    ) -> Result<Self, CertificateError> {
        let server = match (&request.server, stored) {
            (Some(server), _) => server.clone(),
            (None, Some(stored)) => stored.server.parse()?,
            (None, None) => ServerUrl::default(),
        };
        let key_type = request.key_type.or(stored.map(|stored| stored.key_type)).unwrap_or_default();
        let stored_plugin = stored.map(|stored| plugin::find(&stored.plugin)).transpose()?;
        let plugin = match request.plugin.or(stored_plugin) {
            Some(plugin) => plugin,
            None => plugin::find("manual")?,
        };
        // New arguments replace all the old ones: two credentials that were given on different days must not meet.
        let same_plugin = stored_plugin.is_some_and(|stored| stored.name == plugin.name);
        let arguments = match stored {
            Some(stored) if request.arguments.is_empty() && same_plugin => {
                plugin::stored_sources(plugin, &stored.plugin_args)
            }
            _ => request.arguments.clone(),
        };
        let changed = stored.is_some_and(|stored| {
            !same_names(&request.names, &stored.names)
                || stored.server != server.as_str()
                || stored.key_type != key_type
        });
        Ok(Settings {
            names: request.names.clone(),
            server,
            key_type,
            reuse_key: request.reuse_key.or(stored.map(|stored| stored.reuse_key)).unwrap_or(false),
            plugin,
            arguments,
            propagation: propagation(&request.propagation, stored.map(|stored| &stored.propagation))?,
            validation_timeout: request
                .validation_timeout
                .or(stored.map(|stored| Duration::from_secs(stored.validation_timeout)))
                .unwrap_or(Duration::from_secs(120)),
            changed,
        })
    }

    /// The names that are authorized: without `*.`, each once.
    pub(super) fn bases(&self) -> Vec<String> {
        let mut bases: Vec<String> = self.names.iter().map(|name| name.base().to_owned()).collect();
        bases.sort();
        bases.dedup();
        bases
    }

    /// What a renewal needs to know.
    pub(super) fn record(
        &self,
        arguments: &std::collections::BTreeMap<String, crate::store::StoredArgument>,
    ) -> CertificateRecord {
        let names = self.names.iter().map(|name| name.as_str().to_owned()).collect();
        let mut record =
            CertificateRecord::new(names, self.server.as_str().to_owned(), self.plugin.name.to_owned());
        record.key_type = self.key_type;
        record.reuse_key = self.reuse_key;
        record.plugin_args = arguments.clone();
        record.propagation = PropagationRecord {
            resolvers: self.propagation.resolvers.iter().map(ToString::to_string).collect(),
            authoritative: self.propagation.authoritative.clone(),
            mode: Some(self.propagation.mode.word().to_owned()),
            timeout: Some(self.propagation.patience.limit.as_secs()),
            sleep: self.propagation.sleep.map(|sleep| sleep.as_secs()),
            grace: Some(self.propagation.patience.grace.as_secs()),
            quorum: Some(self.propagation.patience.quorum),
        };
        record.validation_timeout = self.validation_timeout.as_secs();
        record
    }
}

/// A certificate's names have no order.
fn same_names(asked: &[DomainName], stored: &[String]) -> bool {
    asked.len() == stored.len() && asked.iter().all(|name| stored.iter().any(|other| other == name.as_str()))
}

pub(super) fn propagation(
    asked: &PropagationRequest,
    stored: Option<&PropagationRecord>,
) -> Result<PropagationSettings, CertificateError> {
    let mut settings = PropagationSettings::default();
    if let Some(stored) = stored {
        let resolvers = stored.resolvers.iter().map(|text| text.parse::<ResolverAddress>());
        settings.resolvers = resolvers.collect::<Result<_, _>>()?;
        settings.authoritative.clone_from(&stored.authoritative);
        let word = |(word, _): &&(&str, PropagationMode)| stored.mode.as_deref() == Some(*word);
        settings.mode = PropagationMode::WORDS.iter().find(word).map(|(_, mode)| *mode).unwrap_or_default();
        settings.sleep = stored.sleep.map(Duration::from_secs);
        if let Some(seconds) = stored.timeout {
            settings.patience.limit = Duration::from_secs(seconds);
        }
        if let Some(seconds) = stored.grace {
            settings.patience.grace = Duration::from_secs(seconds);
        }
        if let Some(quorum) = stored.quorum {
            settings.patience.quorum = quorum;
        }
    }
    if !asked.resolvers.is_empty() {
        settings.resolvers.clone_from(&asked.resolvers);
    }
    if !asked.authoritative.is_empty() {
        settings.authoritative.clone_from(&asked.authoritative);
    }
    settings.mode = asked.mode.unwrap_or(settings.mode);
    settings.sleep = asked.sleep.or(settings.sleep);
    settings.patience = Patience {
        limit: asked.limit.unwrap_or(settings.patience.limit),
        grace: asked.grace.unwrap_or(settings.patience.grace),
        quorum: asked.quorum.unwrap_or(settings.patience.quorum),
    };
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::parse_names;

    fn request(names: &[&str]) -> IssueRequest {
        IssueRequest { names: parse_names(names.iter().copied()).unwrap(), ..IssueRequest::default() }
    }

    #[test]
    fn a_request_is_completed_by_what_is_stored() {
        let stored = CertificateRecord::example();
        let settings = Settings::new(&request(&["*.example.com", "example.com"]), Some(&stored)).unwrap();
        assert!(!settings.changed);
        assert_eq!(settings.plugin.name, "gandi");
        assert_eq!(settings.server.as_str(), "https://acme.example/directory");
        assert_eq!(settings.arguments.len(), 2);
        assert_eq!(settings.bases(), ["example.com"]);
        assert_eq!(settings.record(&stored.plugin_args).plugin_args, stored.plugin_args);
    }

    #[test]
    fn other_names_server_or_key_make_it_another_certificate() {
        let stored = CertificateRecord::example();
        let changed = |request: &IssueRequest| Settings::new(request, Some(&stored)).unwrap().changed;
        assert!(changed(&request(&["example.com"])));
        assert!(changed(&request(&["example.com", "www.example.com"])));
        let mut other = request(&["example.com", "*.example.com"]);
        other.key_type = Some(KeyType::RSA_2048);
        assert!(changed(&other));
        other.key_type = None;
        other.server = Some("LE_STAGE".parse().unwrap());
        assert!(changed(&other));
    }

    #[test]
    fn names_that_dns_cannot_prove_are_refused_early() {
        let long = [["a".repeat(60).as_str(); 4].join(".").as_str(), "example"].join(".");
        assert!(matches!(request(&[&long]).check(), Err(CertificateError::ValidationNameTooLong { .. })));
        assert!(matches!(request(&[]).check(), Err(CertificateError::NoNames)));
        assert_eq!(request(&["*.example.com"]).check().unwrap().as_str(), "!.example.com");
    }
}

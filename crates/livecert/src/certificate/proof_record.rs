//! How the names are proved, as it is stored: what is said of all of them is where it always was in `certificate.json`, and
//! what differs is beside it.

use std::collections::BTreeMap;

use super::per_name::Rules;
use super::proof::{Proofs, StoredArguments};
use super::publisher::Publisher;
use super::{CertificateError, PerNameError};
use crate::challenge::ChallengeChoice;
use crate::dns::NamePattern;
use crate::plugin::{self, PublisherName};
use crate::store::{CertificateRecord, ProofRecord, PublisherRecord, StoredArgument};

/// What is said about the names.
#[derive(Debug, Clone, Default)]
pub(super) struct ProofRules {
    pub(super) plugins: Rules<Option<PublisherName>>,
    pub(super) challenges: Rules<ChallengeChoice>,
    pub(super) aliases: Rules<Option<String>>,
}

impl Proofs {
    /// Writes down what a renewal needs to know. What is said of all names is where it always was.
    pub(super) fn note(&self, record: &mut CertificateRecord, arguments: &StoredArguments) {
        let main = PublisherName::from(self.main());
        record.plugin = main.to_string();
        let no_arguments = BTreeMap::new();
        for publisher in &self.publishers {
            let arguments = arguments.get(&publisher.name).unwrap_or(&no_arguments).clone();
            let zones = publisher.zones.iter().map(ToString::to_string).collect();
            if publisher.name == main {
                (record.plugin_args, record.zones) = (arguments, zones);
            } else {
                let (plugin, label) = (publisher.name.plugin.name.to_owned(), publisher.name.label.clone());
                record.publishers.push(PublisherRecord { plugin, label, zones, plugin_args: arguments });
            }
        }
        let mut said = BTreeMap::<&NamePattern, ProofRecord>::new();
        let rule = |pattern: &NamePattern| ProofRecord::new(pattern.to_string());
        for (pattern, value) in &self.rules.plugins.0 {
            let value = value.as_ref().filter(|value| *pattern != NamePattern::All || **value != main);
            if let Some(value) = value {
                said.entry(pattern).or_insert_with(|| rule(pattern)).plugin = Some(value.to_string());
            }
        }
        for (pattern, value) in &self.rules.challenges.0 {
            let word = if *value == ChallengeChoice::ByPlugin { String::new() } else { value.to_string() };
            if *pattern == NamePattern::All {
                record.challenge = Some(word).filter(|word| !word.is_empty());
            } else {
                said.entry(pattern).or_insert_with(|| rule(pattern)).challenge = Some(word);
            }
        }
        for (pattern, value) in &self.rules.aliases.0 {
            if *pattern != NamePattern::All || value.is_some() {
                said.entry(pattern).or_insert_with(|| rule(pattern)).dns_alias =
                    Some(value.clone().unwrap_or_default());
            }
        }
        record.proofs = said.into_values().collect();
    }
}

impl ProofRules {
    pub(super) fn stored(record: &CertificateRecord) -> Result<Self, CertificateError> {
        let mut rules = ProofRules::default();
        rules.plugins.set(NamePattern::All, Some(record.plugin.parse()?));
        if let Some(word) = &record.challenge {
            rules.challenges.set(NamePattern::All, challenge(word)?);
        }
        for said in &record.proofs {
            let pattern = pattern(&said.names)?;
            if let Some(plugin) = &said.plugin {
                rules.plugins.set(pattern.clone(), Some(plugin.parse()?));
            }
            if let Some(word) = &said.challenge {
                rules.challenges.set(pattern.clone(), challenge(word)?);
            }
            if let Some(alias) = &said.dns_alias {
                rules.aliases.set(pattern, Some(alias.clone()).filter(|alias| !alias.is_empty()));
            }
        }
        Ok(rules)
    }
}

/// A challenge by its word; an empty one is that of the plugin.
fn challenge(word: &str) -> Result<ChallengeChoice, CertificateError> {
    if word.is_empty() { Ok(ChallengeChoice::default()) } else { Ok(word.parse()?) }
}

fn pattern(text: &str) -> Result<NamePattern, PerNameError> {
    text.parse().map_err(|source| PerNameError::Pattern { option: "certificate.json", source })
}

/// What publishes the proofs of a stored certificate.
pub(super) fn stored_publishers(record: &CertificateRecord) -> Result<Vec<Publisher>, CertificateError> {
    let publisher = |name: PublisherName, zones: &[String], arguments: &BTreeMap<String, StoredArgument>| {
        let arguments = plugin::stored_sources(name.plugin, arguments);
        let zones = zones.iter().map(|zone| pattern(zone)).collect::<Result<_, _>>()?;
        Ok::<_, CertificateError>(Publisher { name, arguments, zones })
    };
    let main = plugin::find(&record.plugin)?.into();
    let mut all = vec![publisher(main, &record.zones, &record.plugin_args)?];
    for other in &record.publishers {
        all.push(publisher(other.name().parse()?, &other.zones, &other.plugin_args)?);
    }
    Ok(all)
}

/// The arguments of all publishers of a stored certificate.
pub(super) fn stored_arguments(record: &CertificateRecord) -> Result<StoredArguments, CertificateError> {
    let mut all = StoredArguments::from([(record.plugin.parse()?, record.plugin_args.clone())]);
    for other in &record.publishers {
        all.insert(other.name().parse()?, other.plugin_args.clone());
    }
    Ok(all)
}

/// What publishes the proofs of a stored certificate, by name.
///
/// # Errors
/// A plugin or a label that is none.
pub fn known_publishers(record: &CertificateRecord) -> Result<Vec<PublisherName>, CertificateError> {
    Ok(stored_publishers(record)?.into_iter().map(|publisher| publisher.name).collect())
}

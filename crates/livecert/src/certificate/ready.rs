//! What publishes the proofs of a certificate, ready to do so: arguments read from their sources, and the solvers.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;

use super::ledger::publication;
use super::output::ReadyOutput;
use super::proof::StoredArguments;
use super::publisher::Publisher;
use super::settings::Settings;
use super::{CertificateError, Service};
use crate::challenge::{Routes, Shower, Solvers, Writer};
use crate::plugin::{self, ArgumentError, Arguments, PublisherName, Surroundings};
use crate::secret::Prompter;
use crate::store::{CertName, Publication};

/// What publishes the proofs, ready to do so.
pub(super) struct Ready {
    pub(super) publishers: Vec<ReadyPublisher>,
    pub(super) solvers: Solvers,
    pub(super) output: ReadyOutput,
}

/// A publisher with its arguments.
pub(super) struct ReadyPublisher {
    pub(super) name: PublisherName,
    pub(super) arguments: Arguments,
    place: String,
}

impl Ready {
    /// What is to be stored of the arguments.
    pub(super) fn stored(&self) -> StoredArguments {
        stored(&self.publishers)
    }

    /// All that write TXT values.
    pub(super) fn writers(&self) -> &[Writer] {
        self.solvers.dns.as_ref().map_or(&[], |dns| dns.writers())
    }

    /// A publication for each publisher, still without records, by the publisher's name.
    pub(super) fn publications(&self) -> Vec<(String, Publication)> {
        let one = |publisher: &ReadyPublisher| {
            let ReadyPublisher { name, arguments, place } = publisher;
            (name.to_string(), publication(name.plugin, arguments, place.clone()))
        };
        self.publishers.iter().map(one).collect()
    }
}

/// What is to be stored of the arguments of publishers.
pub(super) fn stored(publishers: &[ReadyPublisher]) -> StoredArguments {
    let one = |publisher: &ReadyPublisher| (publisher.name.clone(), publisher.arguments.stored().clone());
    publishers.iter().map(one).collect()
}

/// What the sealed parameters of a certificate's publisher are bound to. Those of one without a label are where they always
/// were.
pub(super) fn place(cert: &CertName, label: Option<&str>) -> String {
    match label {
        Some(label) => format!("certificate/{cert}/{label}"),
        None => format!("certificate/{cert}"),
    }
}

/// A prompter that tells for what a secret is.
struct Labelled {
    prompter: Arc<dyn Prompter>,
    whose: String,
}

impl Prompter for Labelled {
    fn interactive(&self) -> bool {
        self.prompter.interactive()
    }

    fn ask_secret(&self, label: &str) -> Option<std::io::Result<SecretString>> {
        self.prompter.ask_secret(&format!("{label} of {}", self.whose))
    }

    fn confirm(&self, message: &str) -> bool {
        self.prompter.confirm(message)
    }

    fn goes_on(&self) -> bool {
        self.prompter.goes_on()
    }

    fn show(&self, text: &str, document: &serde_json::Value) {
        self.prompter.show(text, document);
    }
}

impl Service {
    /// The publishers with their arguments, and the solvers on them.
    pub(super) async fn ready(
        &self,
        cert: &CertName,
        settings: &Settings,
    ) -> Result<Ready, CertificateError> {
        let output = self.output(cert, &settings.output).await?;
        let publishers = self.publishers(cert, settings).await?;
        let solvers = self.solvers(settings, &publishers)?;
        Ok(Ready { publishers, solvers, output })
    }

    /// The publishers with their arguments. Secrets of those that are not needed stay where they are.
    pub(super) async fn publishers(
        &self,
        cert: &CertName,
        settings: &Settings,
    ) -> Result<Vec<ReadyPublisher>, CertificateError> {
        let mut ready = Vec::new();
        for publisher in &settings.proofs.publishers {
            let needed = settings.proofs.needs(publisher);
            let place = place(cert, publisher.name.label.as_deref());
            let arguments = self.arguments(publisher, needed, &place).await?;
            ready.push(ReadyPublisher { name: publisher.name.clone(), arguments, place });
        }
        Ok(ready)
    }

    /// What is to be stored of arguments as they were given, without looking for what was not.
    pub(super) async fn given_arguments(
        &self,
        cert: &CertName,
        settings: &Settings,
    ) -> Result<StoredArguments, CertificateError> {
        let mut given = StoredArguments::new();
        for Publisher { name, arguments, .. } in &settings.proofs.publishers {
            let (place, surroundings) = (place(cert, name.label.as_deref()), self.surroundings_of(name));
            let reading =
                Arguments::resolve(name.plugin, arguments, &place, &self.sealing_key, &surroundings);
            let arguments = self.unless_interrupted(reading).await??;
            given.insert(name.clone(), arguments.stored().clone());
        }
        Ok(given)
    }

    async fn arguments(
        &self,
        publisher: &Publisher,
        needed: bool,
        place: &str,
    ) -> Result<Arguments, CertificateError> {
        // A host without a token can be where a record stands.
        if !needed && let Some(unread) = Arguments::unread(&publisher.arguments) {
            return Ok(unread);
        }
        let (name, sources) = (&publisher.name, publisher.arguments.clone());
        let sources = match &name.label {
            None => {
                plugin::with_default_credential(name.plugin, sources, self.surroundings.prompter.as_ref())?
            }
            // What the environment has is for the plugin, not for one of several organisations.
            Some(label) => with_own_credential(name, label, sources)?,
        };
        let surroundings = self.surroundings_of(name);
        let reading = Arguments::resolve(name.plugin, &sources, place, &self.sealing_key, &surroundings);
        Ok(self.unless_interrupted(reading).await??)
    }

    /// The surroundings in which it is told for what a secret is asked.
    pub(super) fn surroundings_of(&self, name: &PublisherName) -> Surroundings {
        let mut surroundings = self.surroundings.clone();
        if name.label.is_some() {
            let prompter = surroundings.prompter.clone();
            surroundings.prompter = Arc::new(Labelled { prompter, whose: name.to_string() });
        }
        surroundings
    }

    fn solvers(
        &self,
        settings: &Settings,
        publishers: &[ReadyPublisher],
    ) -> Result<Solvers, CertificateError> {
        let proofs = &settings.proofs;
        let (mut writers, mut writing, mut showers) = (Vec::new(), Vec::new(), Vec::new());
        for (publisher, ready) in proofs.publishers.iter().zip(publishers) {
            if !proofs.needs(publisher) {
                continue;
            }
            let (plugin, name) = (publisher.name.plugin, publisher.name.to_string());
            let connected = self.connected(plugin, &ready.arguments)?;
            if let Some(dns) = connected.dns() {
                writers.push(Writer { name: name.clone(), plugin: dns.clone(), sweeps: plugin.sweeps });
                writing.push(publisher);
            }
            let (hosts, kinds) = proofs.hosts(&publisher.name);
            if let Some(web) = connected.web().filter(|_| !hosts.is_empty()) {
                showers.push(Shower { name, plugin: web.clone(), hosts, kinds, sweeps: plugin.sweeps });
            }
        }
        let routes = Routes::new(proofs.routes(&writing));
        let standing = proofs.may_stand();
        let view = self.view(&settings.propagation)?;
        Ok(Solvers::new((writers, routes), showers, standing, view, &settings.propagation))
    }
}

/// The sources, if there is a credential among them or none is needed.
fn with_own_credential(
    name: &PublisherName,
    label: &str,
    sources: plugin::ArgumentSources,
) -> Result<plugin::ArgumentSources, ArgumentError> {
    let credentials: BTreeSet<_> = name.plugin.environment.iter().map(|one| one.parameter).collect();
    let has =
        |parameter: &&plugin::Parameter| parameter.is_credential() && sources.contains_key(parameter.name);
    if credentials.is_empty() || name.plugin.parameters.iter().any(|parameter| has(&parameter)) {
        return Ok(sources);
    }
    let parameter = name.plugin.environment[0].parameter;
    let (publisher, argument) = (name.to_string(), format!("{label}:{parameter}=SOURCE"));
    Err(ArgumentError::NoOwnCredential { publisher, argument })
}

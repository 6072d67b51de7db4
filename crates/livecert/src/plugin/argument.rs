//! Plugin parameters: declared, parsed, read from their sources, and stored without a secret in clear.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::parameter::duration;
use super::{Parameter, ParameterKind, PluginInfo, Surroundings};
use crate::secret::{Prompter, SealError, SealingKey, SecretError, Source};
use crate::store::StoredArgument;

/// How a literal is noted in a state file, where other secrets have their source.
const LITERAL: &str = "literal";
/// In front of the file that a secret stood in, when it was taken over from another client.
const IMPORTED: &str = "import:";

/// What is wrong with a plugin's name or arguments. Nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// No such plugin.
    #[error("there is no plugin '{name}'")]
    UnknownPlugin {
        /// The name that was given.
        name: String,
        /// A plugin whose name is much alike.
        similar: Option<String>,
    },
    /// No such parameter.
    #[error("the plugin '{plugin}' has no parameter '{name}'")]
    UnknownParameter {
        /// The plugin.
        plugin: &'static str,
        /// The name that was given.
        name: String,
        /// A parameter whose name is much alike.
        similar: Option<String>,
    },
    /// Arguments for a plugin that is not named.
    #[error("plugin arguments are given, but no plugin")]
    WithoutPlugin,
    /// Not of the form KEY=SOURCE. The text is not repeated: it may be a secret.
    #[error("a plugin argument must have the form KEY=SOURCE, and one has no '='")]
    NoEquals,
    /// The same parameter twice.
    #[error("{0} is given twice")]
    Repeated(&'static str),
    /// A secret parameter with a literal.
    #[error("{0} takes the place where the secret is, not the secret itself")]
    LiteralSecret(&'static str),
    /// More than one credential.
    #[error("{0} and {1} are both given, and exactly one credential is needed")]
    TwoCredentials(&'static str, &'static str),
    /// No credential, neither as an argument nor in the environment, and nobody to ask.
    #[error("the plugin '{plugin}' needs a credential, and none is given")]
    NoCredential {
        /// The plugin.
        plugin: &'static str,
        /// The parameter that should be used.
        parameter: &'static str,
        /// The environment variables that were looked at.
        variables: Vec<String>,
    },
    /// One of several uses of a plugin has no credential of its own.
    #[error("{publisher} has no credential, and takes none that was not given to it")]
    NoOwnCredential {
        /// The publisher.
        publisher: String,
        /// How a credential is given to it.
        argument: String,
    },
    /// A label that cannot be.
    #[error(
        "'{0}' cannot be a label: up to 63 letters, digits, '-' and '_' can, if they are no plugin's name"
    )]
    Label(String),
    /// A label that nothing has.
    #[error("nothing is called '{label}'")]
    UnknownLabel {
        /// The label.
        label: String,
    },
    /// A label for two plugins.
    #[error("'{label}' is a label for {one} and for {other}, and can be for one of them only")]
    LabelTwice {
        /// The label.
        label: String,
        /// A plugin.
        one: &'static str,
        /// Another one.
        other: &'static str,
    },
    /// A parameter that several of the certificate's plugins have, or none.
    #[error("{}", whose(.name, .plugins, .have))]
    Whose {
        /// The parameter's name, as it was given.
        name: String,
        /// The certificate's plugins.
        plugins: Vec<&'static str>,
        /// Those that have the parameter.
        have: Vec<&'static str>,
    },
    /// Arguments or zones for something that publishes nothing.
    #[error("nothing is published with {publisher}")]
    Unused {
        /// The publisher.
        publisher: String,
    },
    /// A zone for a plugin that writes no TXT records.
    #[error("{publisher} writes in no zone, so --zone means nothing for it")]
    NoZones {
        /// The publisher.
        publisher: String,
    },
    /// A parameter that the plugin cannot do without.
    #[error("the plugin '{plugin}' needs {parameter}{}, and it is not given", with.map(|with| format!(" with {with}")).unwrap_or_default())]
    Missing {
        /// The plugin.
        plugin: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The parameter that it is needed with.
        with: Option<&'static str>,
    },
    /// The secret cannot be read.
    #[error("{parameter} cannot be read")]
    Secret {
        /// The parameter.
        parameter: &'static str,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// The stored secret cannot be opened.
    #[error("the stored value of {parameter} cannot be opened")]
    Sealed {
        /// The parameter.
        parameter: &'static str,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The value is not one that the parameter can have.
    #[error("{parameter} is wrong: {reason}")]
    Invalid {
        /// The parameter.
        parameter: &'static str,
        /// Why. Never repeats a secret.
        reason: String,
    },
    /// The plugin publishes no TXT records.
    #[error("the plugin '{plugin}' writes no TXT records")]
    NoTxt {
        /// The plugin.
        plugin: &'static str,
    },
    /// The plugin works with a person, and none is there.
    #[error("the plugin '{plugin}' needs a person at a terminal, and there is no terminal")]
    NeedsTerminal {
        /// The plugin.
        plugin: &'static str,
    },
}

fn whose(name: &str, plugins: &[&str], have: &[&str]) -> String {
    match have {
        [] => format!("none of the plugins {} has a parameter '{name}'", plugins.join(", ")),
        _ => format!("the plugins {} all have a parameter '{name}'", have.join(", ")),
    }
}

/// Where the value of a parameter comes from.
#[derive(Debug, Clone)]
pub enum ArgumentSource {
    /// A secret at its source.
    Secret(Source),
    /// A secret that was given in clear (deprecated).
    Literal(SecretString),
    /// A value that is no secret.
    Plain(String),
    /// A secret that was read already, and what is noted as its source.
    Kept {
        /// The secret.
        value: SecretString,
        /// What is noted.
        source: String,
    },
    /// As it was stored.
    Stored(StoredArgument),
}

impl ArgumentSource {
    /// A secret that another client kept in the file at `from`, among other things.
    pub fn imported(value: SecretString, from: &std::path::Path) -> Self {
        ArgumentSource::Kept { value, source: format!("{IMPORTED}{}", from.display()) }
    }
}

/// Whether the sealed value is the only one that there is, because its noted source is nothing that can be read again.
pub(crate) fn is_only_sealed(source: &str) -> bool {
    matches!(source, "prompt" | LITERAL) || source.starts_with(IMPORTED)
}

impl ArgumentSource {
    /// Where it comes from, or what it is if it is no secret.
    pub(crate) fn place(&self) -> String {
        match self {
            ArgumentSource::Secret(source) => source.to_string(),
            ArgumentSource::Literal(_) => "literal".to_owned(),
            ArgumentSource::Plain(value) | ArgumentSource::Stored(StoredArgument::Plain(value)) => {
                value.clone()
            }
            ArgumentSource::Kept { source, .. }
            | ArgumentSource::Stored(StoredArgument::Secret { source, .. }) => source.clone(),
        }
    }
}

/// Sources of the arguments of one plugin, by the parameter's declared name.
pub type ArgumentSources = BTreeMap<&'static str, ArgumentSource>;

/// The name out of `names` that is most like `name`, if one is alike enough to be meant.
pub fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    names
        .map(|other| (strsim::jaro_winkler(&lower, &other.to_ascii_lowercase()), other))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other.to_owned())
}

/// Parses `KEY=SOURCE` arguments. Letter case of the key does not matter, as in Posh-ACME.
///
/// # Errors
/// An unknown or repeated parameter, two credentials, a secret in clear. No message repeats a value.
pub fn parse_arguments(
    plugin: &'static PluginInfo,
    given: &[String],
) -> Result<ArgumentSources, ArgumentError> {
    let mut sources = ArgumentSources::new();
    for argument in given {
        let (key, value) = argument.split_once('=').ok_or(ArgumentError::NoEquals)?;
        let parameter = parameter(plugin, key)?;
        let source = match parameter.kind {
            ParameterKind::Secret => ArgumentSource::Secret(secret_source(parameter.name, value)?),
            ParameterKind::Insecure { .. } => ArgumentSource::Literal(SecretString::from(value)),
            // An empty one takes a stored value away.
            _ if value.is_empty() => ArgumentSource::Plain(String::new()),
            _ => ArgumentSource::Plain(canonical(parameter, value)?),
        };
        if sources.insert(parameter.name, source).is_some() {
            return Err(ArgumentError::Repeated(parameter.name));
        }
    }
    one_credential(plugin, &sources)?;
    Ok(sources)
}

fn parameter(plugin: &'static PluginInfo, key: &str) -> Result<&'static Parameter, ArgumentError> {
    plugin.parameter(key).ok_or_else(|| ArgumentError::UnknownParameter {
        plugin: plugin.name,
        name: key.to_owned(),
        similar: similar(key, plugin.parameters.iter().map(|parameter| parameter.name)),
    })
}

fn canonical(parameter: &'static Parameter, value: &str) -> Result<String, ArgumentError> {
    let invalid = |reason| ArgumentError::Invalid { parameter: parameter.name, reason };
    parameter.kind.canonical(value).map_err(invalid)
}

/// The source that `value` names for `parameter`, a plugin's or another; a relative path is made absolute.
///
/// # Errors
/// It names none: probably it is the secret itself, which is not repeated.
pub fn secret_source(parameter: &'static str, value: &str) -> Result<Source, ArgumentError> {
    match value.parse::<Source>() {
        Ok(source) => source.absolute().map_err(|source| ArgumentError::Secret {
            parameter,
            source: SecretError::File { path: ".".into(), source },
        }),
        Err(SecretError::Literal) => Err(ArgumentError::LiteralSecret(parameter)),
        Err(source) => Err(ArgumentError::Secret { parameter, source }),
    }
}

fn credentials(plugin: &'static PluginInfo) -> impl Iterator<Item = &'static str> {
    let credentials = plugin.parameters.iter().filter(|parameter| parameter.is_credential());
    credentials.map(|parameter| parameter.name)
}

fn one_credential(plugin: &'static PluginInfo, sources: &ArgumentSources) -> Result<(), ArgumentError> {
    let mut given = credentials(plugin).filter(|name| sources.contains_key(name));
    match (given.next(), given.next()) {
        (Some(first), Some(second)) => Err(ArgumentError::TwoCredentials(first, second)),
        _ => Ok(()),
    }
}

/// A text that the same stored arguments have for all certificates; `None` where one of them is sealed, which is for one
/// certificate, or is not stored.
pub(crate) fn text_of_shared(sources: &ArgumentSources) -> Option<String> {
    let mut text = String::new();
    for (name, source) in sources {
        let ArgumentSource::Stored(stored) = source else { return None };
        if let StoredArgument::Secret { sealed: Some(_), .. } = stored {
            return None;
        }
        text.push_str(&format!("{name}={:?},", stored.source()));
    }
    Some(text)
}

/// Adds the credential from the environment, or a prompt, where none was given.
///
/// # Errors
/// [`ArgumentError::NoCredential`] when a credential is needed, none is there, and nobody can be asked.
pub(crate) fn with_default_credential(
    plugin: &'static PluginInfo,
    mut sources: ArgumentSources,
    prompter: &dyn Prompter,
) -> Result<ArgumentSources, ArgumentError> {
    if plugin.environment.is_empty() || credentials(plugin).any(|name| sources.contains_key(name)) {
        return Ok(sources);
    }
    let set = |variable: &str| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    for credential in plugin.environment {
        let file = format!("{}_FILE", credential.variable);
        let source = if set(credential.variable) {
            Source::Env(credential.variable.to_owned())
        } else if set(&file) {
            let path = std::env::var_os(&file).unwrap_or_default();
            Source::File(std::path::absolute(&path).unwrap_or_else(|_| path.into()))
        } else {
            continue;
        };
        sources.insert(credential.parameter, ArgumentSource::Secret(source));
        return Ok(sources);
    }
    let parameter = plugin.environment[0].parameter;
    if prompter.interactive() {
        sources.insert(parameter, ArgumentSource::Secret(Source::Prompt));
        return Ok(sources);
    }
    let both = |credential: &super::EnvironmentCredential| {
        [credential.variable.to_owned(), format!("{}_FILE", credential.variable)]
    };
    let variables = plugin.environment.iter().flat_map(both).collect();
    Err(ArgumentError::NoCredential { plugin: plugin.name, parameter, variables })
}

/// The arguments of a plugin, with their values.
#[derive(Debug, Default)]
pub struct Arguments {
    secrets: BTreeMap<&'static str, SecretString>,
    plain: BTreeMap<&'static str, String>,
    stored: BTreeMap<String, StoredArgument>,
    deprecated: Vec<(&'static str, &'static str)>,
}

impl Arguments {
    /// Reads all values from their sources. `place` is what sealed values are bound to.
    ///
    /// # Errors
    /// A source that cannot be read, or a sealed value that cannot be opened.
    pub async fn resolve(
        plugin: &'static PluginInfo,
        sources: &ArgumentSources,
        place: &str,
        key: &SealingKey,
        surroundings: &Surroundings,
    ) -> Result<Self, ArgumentError> {
        let mut all = Arguments::default();
        for parameter in plugin.parameters {
            let name = parameter.name;
            let Some(source) = sources.get(name) else { continue };
            if let ParameterKind::Insecure { instead } = parameter.kind {
                all.deprecated.push((name, instead));
            }
            match source {
                ArgumentSource::Plain(value) | ArgumentSource::Stored(StoredArgument::Plain(value)) => {
                    all.take_plain(name, &canonical(parameter, value)?);
                }
                secret => {
                    let place = format!("{place}/{name}");
                    let (value, stored) =
                        read_secret(name, secret, &place, key, &surroundings.prompter).await?;
                    all.secrets.insert(name, value);
                    all.stored.insert(name.to_owned(), stored);
                }
            }
        }
        Ok(all)
    }

    /// Arguments that nobody needs now: what is stored stays as it is, and no secret is read. `None` if there are new
    /// ones among them.
    pub(crate) fn unread(sources: &ArgumentSources) -> Option<Self> {
        let mut all = Arguments::default();
        for (name, source) in sources {
            let ArgumentSource::Stored(stored) = source else { return None };
            all.stored.insert((*name).to_owned(), stored.clone());
        }
        Some(all)
    }

    fn take_plain(&mut self, name: &'static str, value: &str) {
        self.plain.insert(name, value.to_owned());
        self.stored.insert(name.to_owned(), StoredArgument::Plain(value.to_owned()));
    }

    /// Arguments with this secret, and what is no secret out of `stored`.
    pub(crate) fn of_secret(
        parameter: &'static str,
        secret: SecretString,
        stored: &BTreeMap<String, StoredArgument>,
    ) -> Self {
        let mut all = Arguments::default();
        all.secrets.insert(parameter, secret);
        for (name, value) in stored {
            let known = super::ALL.iter().flat_map(|plugin| plugin.parameters);
            if let StoredArgument::Plain(value) = value
                && let Some(parameter) = known.into_iter().find(|parameter| parameter.name == name)
            {
                all.take_plain(parameter.name, value);
            }
        }
        all
    }

    /// The same for arguments with the same values, without telling them.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let secrets = self.secrets.iter().map(|(name, value)| (*name, value.expose_secret()));
        let plain = self.plain.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in secrets.chain(plain) {
            for part in [name, value] {
                context.update(&part.len().to_be_bytes());
                context.update(part.as_bytes());
            }
        }
        context.finish().as_ref().to_vec()
    }

    /// The credential's parameter, and where it is read from.
    pub(crate) fn credential_source(&self) -> (String, String) {
        let secret = |(name, value): (&String, &StoredArgument)| match value {
            StoredArgument::Secret { source, .. } => Some((name.clone(), source.clone())),
            StoredArgument::Plain(_) => None,
        };
        self.stored.iter().find_map(secret).unwrap_or_default()
    }

    /// A secret value.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secrets.get(name)
    }

    /// A value that is no secret.
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(String::as_str)
    }

    /// The value of a [`ParameterKind::Flag`]; what is not given is false.
    pub fn flag(&self, name: &str) -> bool {
        self.plain(name) == Some("true")
    }

    /// The value of a [`ParameterKind::Number`].
    pub fn number(&self, name: &str) -> Option<u64> {
        self.plain(name).and_then(|text| text.parse().ok())
    }

    /// The value of a [`ParameterKind::Duration`].
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.plain(name).and_then(duration)
    }

    /// Whether a value is there, of whatever kind.
    pub(super) fn has(&self, name: &str) -> bool {
        self.plain.contains_key(name) || self.secrets.contains_key(name)
    }

    /// What a renewal will need.
    pub fn stored(&self) -> &BTreeMap<String, StoredArgument> {
        &self.stored
    }

    /// Deprecated parameters in use, each with the one to use instead.
    pub fn deprecated(&self) -> &[(&'static str, &'static str)] {
        &self.deprecated
    }
}

/// Reads one secret, `name` in errors, and gives what is to be stored of it: the source, and for a source that a renewal
/// cannot ask the value too, sealed for `place`.
///
/// # Errors
/// The source cannot be read, or a sealed value not be opened; a value that is no secret.
pub(crate) async fn read_secret(
    name: &'static str,
    source: &ArgumentSource,
    place: &str,
    key: &SealingKey,
    prompter: &Arc<dyn Prompter>,
) -> Result<(SecretString, StoredArgument), ArgumentError> {
    let keep = |source: String, value: &SecretString| {
        let sealed = key.seal(place, value.expose_secret().as_bytes());
        let sealed = sealed.map_err(|source| ArgumentError::Sealed { parameter: name, source })?;
        Ok(StoredArgument::Secret { source, sealed: Some(sealed) })
    };
    match source {
        ArgumentSource::Literal(value) => Ok((value.clone(), keep(LITERAL.to_owned(), value)?)),
        ArgumentSource::Secret(source) => {
            let failed = |source| ArgumentError::Secret { parameter: name, source };
            let value = source.read(name, prompter).await.map_err(failed)?;
            let stored = match source.must_be_kept() {
                true => keep(source.to_string(), &value)?,
                false => StoredArgument::Secret { source: source.to_string(), sealed: None },
            };
            Ok((value, stored))
        }
        ArgumentSource::Stored(stored) => {
            Ok((read_stored(name, stored, key, place, prompter).await?, stored.clone()))
        }
        ArgumentSource::Kept { value, source } => Ok((value.clone(), keep(source.clone(), value)?)),
        ArgumentSource::Plain(_) => Err(ArgumentError::LiteralSecret(name)),
    }
}

/// Reads a stored secret: the source first where it still speaks (a corrected variable must win over an old copy),
/// then the sealed copy.
async fn read_stored(
    name: &'static str,
    stored: &StoredArgument,
    key: &SealingKey,
    place: &str,
    prompter: &Arc<dyn Prompter>,
) -> Result<SecretString, ArgumentError> {
    let StoredArgument::Secret { source, sealed } = stored else {
        return Err(ArgumentError::LiteralSecret(name));
    };
    let failed = |source| ArgumentError::Secret { parameter: name, source };
    let parsed = if is_only_sealed(source) { Source::Prompt } else { source.parse().map_err(failed)? };
    let Some(sealed) = sealed else {
        return parsed.read(name, prompter).await.map_err(failed);
    };
    if let Source::Env(variable) = &parsed
        && std::env::var_os(variable).is_some_and(|value| !value.is_empty())
    {
        return parsed.read(name, prompter).await.map_err(failed);
    }
    key.open_text(place, sealed).map_err(|source| ArgumentError::Sealed { parameter: name, source })
}

/// The sources of stored arguments; parameters that the plugin does not know (any more) are passed over.
pub(crate) fn stored_sources(
    plugin: &'static PluginInfo,
    stored: &BTreeMap<String, StoredArgument>,
) -> ArgumentSources {
    let known = |parameter: &'static Parameter| {
        stored.get(parameter.name).map(|value| (parameter.name, ArgumentSource::Stored(value.clone())))
    };
    plugin.parameters.iter().filter_map(known).collect()
}

/// Arguments with new ones in their places. A new credential replaces the old one, whatever its kind; an empty value
/// removes the parameter.
pub(crate) fn changed_sources(
    plugin: &'static PluginInfo,
    mut sources: ArgumentSources,
    new: &ArgumentSources,
) -> ArgumentSources {
    if credentials(plugin).any(|name| new.contains_key(name)) {
        credentials(plugin).for_each(|name| drop(sources.remove(name)));
    }
    sources.extend(new.iter().map(|(name, source)| (*name, source.clone())));
    sources.retain(|_, source| !matches!(source, ArgumentSource::Plain(value) if value.is_empty()));
    sources
}

/// What is asked for, with the stored arguments in the places of those that are from where the stored ones are; and with the
/// stored credential, where none is asked for.
pub(crate) fn unchanged_sources(
    plugin: &'static PluginInfo,
    known: ArgumentSources,
    mut asked: ArgumentSources,
) -> ArgumentSources {
    let finds_its_own = !credentials(plugin).any(|name| asked.contains_key(name));
    for (name, stored) in known {
        let is_credential = credentials(plugin).any(|credential| credential == name);
        let is_same = asked.get(name).is_some_and(|source| source.place() == stored.place());
        if is_same || (is_credential && finds_its_own) {
            asked.insert(name, stored);
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::find;

    fn parse(given: &[&str]) -> Result<ArgumentSources, ArgumentError> {
        parse_arguments(
            find("gandi").unwrap(),
            &given.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn arguments_are_parsed_by_their_declared_names() {
        let sources = parse(&["gandipat=env:PAT", "GandiTTL=600"]).unwrap();
        assert!(matches!(&sources["GandiPAT"], ArgumentSource::Secret(Source::Env(name)) if name == "PAT"));
        assert!(matches!(&sources["GandiTTL"], ArgumentSource::Plain(value) if value == "600"));
    }

    #[test]
    fn new_arguments_take_the_place_of_old_ones_and_a_credential_that_of_any() {
        let text = |value: &str| StoredArgument::Plain(value.to_owned());
        let secret = StoredArgument::Secret { source: "env:PAT".to_owned(), sealed: None };
        let stored = BTreeMap::from([
            ("GandiPAT".to_owned(), secret),
            ("GandiTTL".to_owned(), text("600")),
            ("GandiSharingId".to_owned(), text("x")),
        ]);
        let changed = |given: &[&str]| {
            let gandi = find("gandi").unwrap();
            changed_sources(gandi, stored_sources(gandi, &stored), &parse(given).unwrap())
                .into_keys()
                .collect::<Vec<_>>()
        };
        assert_eq!(changed(&["GandiTTL=300"]), ["GandiPAT", "GandiSharingId", "GandiTTL"]);
        assert_eq!(changed(&["GandiTTL="]), ["GandiPAT", "GandiSharingId"]);
        assert_eq!(changed(&["GandiToken=env:X"]), ["GandiSharingId", "GandiTTL", "GandiToken"]);
    }

    #[test]
    fn wrong_arguments_are_refused_without_repeating_a_value() {
        let canary = "canary0123456789canary";
        for given in [
            vec![format!("GandiPAT={canary}")],
            vec![format!("GandiPAT=https:{canary}")],
            vec![format!("GandiPTA={canary}")],
            vec![canary.to_owned()],
            vec![format!("GandiTokenInsecure={canary}"), "GandiToken=env:X".to_owned()],
            vec!["GandiToken=env:X".to_owned(), format!("GandiToken={canary}")],
        ] {
            let error = parse_arguments(find("gandi").unwrap(), &given).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(canary), "{error:?}");
        }
        assert!(matches!(
            parse(&["GandiPAT=env:A", "GandiToken=env:B"]),
            Err(ArgumentError::TwoCredentials("GandiPAT", "GandiToken"))
        ));
        assert!(matches!(parse(&["GandiPAT=secret"]), Err(ArgumentError::LiteralSecret("GandiPAT"))));
        assert!(
            matches!(parse(&["GandiPTA=env:A"]), Err(ArgumentError::UnknownParameter { similar: Some(name), .. }) if name == "GandiPAT")
        );
        assert!(
            matches!(find("gandy"), Err(ArgumentError::UnknownPlugin { similar: Some(name), .. }) if name == "gandi")
        );
        assert!(matches!(find("route53"), Err(ArgumentError::UnknownPlugin { similar: None, .. })));
    }
}

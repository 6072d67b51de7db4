//! What publishes the proofs: a plugin with its parameters, by the name of a credential or beside the options.

use livecert::dns::NamePattern;
use livecert::plugin::{self, ArgumentError, Need, ParameterKind, PluginInfo};
use toml::de::DeValue;

use super::check::{Reading, similar};
use super::document::{Entry, Node, Span, elements, entries, table, what};
use super::mistake::Mistake;

/// `[credential.NAME]`.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) plugin: &'static PluginInfo,
    pub(super) arguments: Vec<Argument>,
    /// The zones that it is for; empty for all that no other one of the plugin is for.
    pub(super) zones: Vec<String>,
}

/// A parameter of a plugin, as it is written.
#[derive(Debug, Clone)]
pub(super) struct Argument {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) key_span: Span,
    pub(super) span: Span,
    /// Written as a key of a table, and not as a text `KEY=VALUE`.
    is_key: bool,
}

impl Argument {
    /// The word for `--plugin-arg`.
    pub(super) fn word(&self) -> String {
        format!("{}={}", self.key, self.text)
    }

    /// The same for a publisher of this name.
    pub(super) fn word_for(&self, whose: &str) -> String {
        format!("{whose}:{}={}", self.key, self.text)
    }

    /// The plugin or label that it is for, where that is said, as in `shop:GandiPAT=…`.
    fn whose(&self) -> Option<&str> {
        if self.is_key { None } else { self.key.rsplit_once(':').map(|(whose, _)| whose) }
    }

    /// The parameter's name.
    fn name(&self) -> &str {
        self.whose().map_or(&self.key, |whose| &self.key[whose.len() + 1..])
    }

    /// The plugin that has it, out of several.
    fn owner(&self, plugins: &[&'static PluginInfo]) -> Option<&'static PluginInfo> {
        let named = self.whose().and_then(|whose| whose.split('@').next());
        let by_name = plugins.iter().find(|plugin| Some(plugin.name) == named);
        let has =
            |plugin: &&&'static PluginInfo| plugin.parameters.iter().any(|one| one.is_called(self.name()));
        by_name.or_else(|| plugins.iter().find(has)).copied()
    }
}

impl Reading<'_> {
    /// Reads `[credential.NAME]`.
    pub(super) fn read_credentials(&mut self) {
        let document = self.document;
        let Some(entry) = document.entries().into_iter().find(|entry| entry.key == "credential") else {
            return;
        };
        let Some(all) = self.must_be_table(&entry) else { return };
        for entry in entries(all) {
            if let Some(credential) = self.credential(&entry) {
                self.credentials.insert(entry.key.to_owned(), credential);
            }
        }
    }

    fn credential(&mut self, entry: &Entry<'_, '_>) -> Option<Credential> {
        if table(entry.value).is_none() {
            let message =
                format!("the credential '{}' is a table, and not {}", entry.key, what(entry.value.get_ref()));
            let help = Some(format!(
                "write [credential.{}], and below it plugin = \"…\" and its parameters",
                entry.key
            ));
            self.hidden.push(entry.value.span());
            self.mistakes.push(Mistake::new(entry.key_span.clone(), message).help(help));
            return None;
        }
        let keys = entries(table(entry.value)?);
        let Some(named) = keys.iter().find(|key| key.key == "plugin") else {
            let message = format!("the credential '{}' does not say its plugin", entry.key);
            let names = plugin::ALL.iter().map(|plugin| plugin.name).collect::<Vec<_>>().join(", ");
            let help = Some(format!("add plugin = \"…\", one of {names}"));
            self.hidden.push(entry.value.span());
            self.mistakes.push(Mistake::new(entry.key_span.clone(), message).help(help));
            return None;
        };
        let text = self.text(named, named.value)?;
        let plugin = match plugin::ALL.iter().find(|plugin| plugin.name == text) {
            Some(plugin) => *plugin,
            None => {
                self.hidden.push(entry.value.span());
                no_plugin(self, &text, &named.value.span());
                return None;
            }
        };
        let before = self.mistakes.len();
        let zones = keys.iter().find(|key| key.key == "zones").map(|key| self.zones(key)).unwrap_or_default();
        let parameters = keys.iter().filter(|key| !matches!(key.key, "plugin" | "zones"));
        let arguments: Vec<_> = parameters.filter_map(|key| argument(self, key)).collect();
        check(self, &[plugin.name.to_owned()], &entry.key_span, &arguments);
        let fine = self.mistakes[before..].iter().all(|mistake| mistake.is_warning);
        fine.then_some(Credential { plugin, arguments, zones })
    }

    fn zones(&mut self, entry: &Entry<'_, '_>) -> Vec<String> {
        let mut zones = Vec::new();
        for element in elements(entry.value) {
            let Some(text) = self.text(entry, element) else { continue };
            match text.parse::<NamePattern>() {
                Ok(_) => zones.push(text),
                Err(error) => self.mistakes.push(Mistake::new(element.span(), error.to_string())),
            }
        }
        zones
    }
}

fn no_plugin(reading: &mut Reading<'_>, name: &str, span: &Span) {
    let known: Vec<_> = plugin::ALL.iter().map(|plugin| plugin.name).collect();
    let help = match similar(name, &known) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("there are {}", known.join(", ")),
    };
    reading
        .mistakes
        .push(Mistake::new(span.clone(), format!("there is no plugin '{name}'")).help(Some(help)));
}

/// The parameters in `plugin-arg`: a table, or texts `KEY=VALUE` as on the command line.
pub(super) fn arguments(reading: &mut Reading<'_>, entry: &Entry<'_, '_>) -> Vec<Argument> {
    if let Some(parameters) = table(entry.value) {
        return entries(parameters).iter().filter_map(|key| argument(reading, key)).collect();
    }
    let mut found = Vec::new();
    for element in elements(entry.value) {
        // It may have a secret in it that does not belong there.
        match element.get_ref() {
            DeValue::String(text) => match text.split_once('=') {
                Some((key, value)) => found.push(Argument {
                    key: key.to_owned(),
                    text: value.to_owned(),
                    key_span: element.span(),
                    span: element.span(),
                    is_key: false,
                }),
                None => wrong(reading, element, "a parameter has the form KEY=VALUE"),
            },
            _ => wrong(reading, element, "'plugin-arg' is a table, or a list of texts KEY=VALUE"),
        }
    }
    found
}

fn wrong(reading: &mut Reading<'_>, element: &Node<'_>, message: &str) {
    reading.hidden.push(element.span());
    let help = Some("as in plugin-arg = { GandiPAT = \"file:/etc/livecert/gandi.pat\" }".to_owned());
    reading.mistakes.push(Mistake::new(element.span(), message).help(help));
}

fn argument(reading: &mut Reading<'_>, entry: &Entry<'_, '_>) -> Option<Argument> {
    let text = match entry.value.get_ref() {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        other => {
            let message =
                format!("a parameter is a text, a number or true or false, and not {}", what(other));
            reading.hidden.push(entry.value.span());
            reading.mistakes.push(Mistake::new(entry.value.span(), message));
            return None;
        }
    };
    let (key, key_span, span) = (entry.key.to_owned(), entry.key_span.clone(), entry.value.span());
    Some(Argument { key, text, key_span, span, is_key: true })
}

/// Looks at the parameters of plugins, one by one and together.
pub(super) fn check(reading: &mut Reading<'_>, plugins: &[String], at: &Span, arguments: &[Argument]) {
    let before = reading.mistakes.len();
    let found = |name: &String| plugin::ALL.iter().copied().find(|plugin| plugin.name == name);
    let found: Vec<&'static PluginInfo> = plugins.iter().filter_map(found).collect();
    let Some(first) = found.first() else {
        reading.hidden.extend(arguments.iter().map(|argument| argument.span.clone()));
        // A plugin that is none was told of.
        if plugins.is_empty() {
            let help = Some("name it with plugin = \"…\" beside them".to_owned());
            let message = "parameters are given, and no plugin that they are for";
            reading.mistakes.push(Mistake::new(at.clone(), message).help(help));
        }
        return;
    };
    for argument in arguments {
        one(reading, argument.owner(&found).unwrap_or(first), argument);
    }
    let is_fine = reading.mistakes[before..].iter().all(|mistake| mistake.is_warning);
    // Which belong together is known only with all that is said about the names.
    if is_fine && found.len() == 1 && arguments.iter().all(|argument| argument.whose().is_none()) {
        let words: Vec<_> = arguments.iter().map(Argument::word).collect();
        if let Err(error) = plugin::parse_arguments(first, &words) {
            reading.refused(&error.into(), at);
        }
    }
}

fn one(reading: &mut Reading<'_>, plugin: &'static PluginInfo, argument: &Argument) {
    let Argument { text, key_span, span, is_key, .. } = argument;
    let key = argument.name();
    let exact = plugin.parameters.iter().find(|parameter| parameter.name == key);
    let known = exact.or_else(|| plugin.parameters.iter().find(|parameter| parameter.is_called(key)));
    let Some(parameter) = known.filter(|_| exact.is_some() || !is_key) else {
        reading.hidden.push(span.clone());
        let names: Vec<_> = plugin.parameters.iter().map(|parameter| parameter.name).collect();
        let meant = known.map(|parameter| parameter.name.to_owned()).or_else(|| similar(key, &names));
        let help = match meant {
            Some(meant) => format!("did you mean '{meant}'?"),
            None if names.is_empty() => "it has none".to_owned(),
            None => format!("it has {}", names.join(", ")),
        };
        let message = format!("the plugin '{}' has no parameter '{key}'", plugin.name);
        reading.mistakes.push(Mistake::new(key_span.clone(), message).help(Some(help)));
        return;
    };
    match parameter.kind {
        ParameterKind::Insecure { instead } => {
            reading.hidden.push(span.clone());
            let message = format!("'{}' would be a secret in clear in this file", parameter.name);
            let help = Some(format!("use {instead} = \"file:/etc/livecert/secret\""));
            reading.mistakes.push(Mistake::new(key_span.clone(), message).help(help));
            return;
        }
        ParameterKind::Secret if reading.source(parameter.name, text, span).is_none() => return,
        ParameterKind::Path if !reading.must_be_absolute(text, span) => return,
        _ => {}
    }
    if let Err(error) = plugin::parse_arguments(plugin, &[format!("{}={text}", parameter.name)]) {
        reading.refused(&error.into(), span);
    }
}

/// A parameter that the plugin cannot do without, and that is not there.
pub(super) fn missing(plugin: &'static PluginInfo, arguments: &[Argument]) -> Option<ArgumentError> {
    let has = |name: &str| {
        let called =
            |argument: &Argument| plugin.parameter(&argument.key).is_some_and(|one| one.name == name);
        arguments.iter().any(called)
    };
    plugin.parameters.iter().filter(|parameter| !has(parameter.name)).find_map(|parameter| {
        let with = match parameter.need {
            Need::Required => None,
            Need::With(other) if has(other) => Some(other),
            _ => return None,
        };
        Some(ArgumentError::Missing { plugin: plugin.name, parameter: parameter.name, with })
    })
}

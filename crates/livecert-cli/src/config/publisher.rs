//! What publishes the proofs, as words: the plugins of credentials, their parameters, and the zones that they are for.

use std::collections::BTreeSet;

use livecert::plugin;

use super::check::{Reading, Section};
use super::credential::{Argument, Credential, missing};
use super::document::Span;
use super::mistake::Mistake;

impl Reading<'_> {
    /// The words for what publishes the proofs, beside the plugins that are named: of the table itself, or else of the one
    /// around it.
    pub(super) fn publisher_words(&mut self, own: &Section, outer: &Section) -> Vec<String> {
        let publisher = if own.names_publisher() { own } else { outer };
        let credentials = self.credentials_of(publisher);
        let beside = beside(own, publisher);
        let mut words = Vec::new();
        let plugins: BTreeSet<_> = credentials.iter().map(|(_, credential)| credential.plugin.name).collect();
        if publisher.get("plugin").is_none() {
            match plugins.len() {
                0 | 1 => words.extend(plugins.iter().map(|plugin| format!("--plugin={plugin}"))),
                _ => self.tell_of_plugins(publisher, &plugins),
            }
        }
        for (name, credential) in &credentials {
            let is_named = publisher.labels().iter().any(|label| label == name);
            let whose = whose(name, credential, &credentials, is_named);
            for argument in &credential.arguments {
                let is_replaced = beside.iter().any(|other| other.key.eq_ignore_ascii_case(&argument.key));
                words.extend(match credentials.len() {
                    1 if is_replaced => None,
                    1 if !is_named => Some(format!("--plugin-arg={}", argument.word())),
                    _ => Some(format!("--plugin-arg={}", argument.word_for(&whose))),
                });
            }
            words.extend(credential.zones.iter().map(|zone| format!("--zone={zone}={whose}")));
        }
        words.extend(beside.iter().map(|argument| format!("--plugin-arg={}", argument.word())));
        words
    }

    fn credentials_of(&self, section: &Section) -> Vec<(String, Credential)> {
        let named = section.credentials.iter();
        let known = |(_, name): &(Span, String)| Some((name.clone(), self.credentials.get(name)?.clone()));
        named.filter_map(known).collect()
    }

    fn tell_of_plugins(&mut self, publisher: &Section, plugins: &BTreeSet<&'static str>) {
        let Some((span, _)) = publisher.credentials.first() else { return };
        let all = plugins.iter().copied().collect::<Vec<_>>().join(" and ");
        let mut two = plugins.iter();
        let (one, other) = (two.next().unwrap_or(&""), two.next().unwrap_or(&""));
        let help = format!("say which proves what, as in plugin = [\"*.example.com={one}\", \"*={other}\"]");
        let message = format!("these credentials are of {all}, and each name has one plugin");
        self.mistakes.push(Mistake::new(span.clone(), message).help(Some(help)));
    }

    /// Whether the only plugin has all parameters that it cannot do without; if not, that is a mistake.
    pub(super) fn has_all_parameters(&mut self, own: &Section, outer: &Section, at: &Span) -> bool {
        let publisher = if own.names_publisher() { own } else { outer };
        let credentials = self.credentials_of(publisher);
        let mut plugins: BTreeSet<String> = publisher.plugins().into_iter().collect();
        plugins.extend(credentials.iter().map(|(_, credential)| credential.plugin.name.to_owned()));
        let (Some(name), 1) = (plugins.first(), plugins.len()) else { return true };
        let Some(plugin) = plugin::ALL.iter().copied().find(|plugin| plugin.name == name) else {
            return true;
        };
        let mut arguments = beside(own, publisher);
        arguments.extend(credentials.into_iter().flat_map(|(_, credential)| credential.arguments));
        match missing(plugin, &arguments) {
            None => true,
            Some(error) => {
                self.refused(&error.into(), at);
                false
            }
        }
    }
}

/// What is given at the certificate itself counts, and else what goes with the plugin.
fn beside(own: &Section, publisher: &Section) -> Vec<Argument> {
    let found = own.arguments.as_ref().or(publisher.arguments.as_ref());
    found.map(|(_, arguments)| arguments.clone()).unwrap_or_default()
}

/// What a credential is called on the command line: its plugin, where no other one of the plugin is there or it is the one for
/// all zones, and else its plugin with its name for a label; so it is where that is what the names are given to.
fn whose(name: &str, credential: &Credential, all: &[(String, Credential)], is_named: bool) -> String {
    let plugin = credential.plugin.name;
    let same = || all.iter().filter(|(_, other)| other.plugin.name == plugin);
    let for_all = || same().filter(|(_, other)| other.zones.is_empty()).count();
    let is_plain = same().count() == 1 || (credential.zones.is_empty() && for_all() == 1);
    // A plugin's own name is no label.
    if (is_plain && !is_named) || name == plugin { plugin.to_owned() } else { format!("{plugin}@{name}") }
}

//! What is wrong with the words: names, plugins and their parameters.

use livecert::certificate::{NameError, PerNameError};
use livecert::plugin::ArgumentError;
use livecert::secret::SealError;

use super::plugin;
use super::sealing::seal;
use super::secret::secret;

pub(super) fn name(error: &NameError) -> Option<String> {
    Some(match error {
        NameError::Wildcard(_) => {
            "one wildcard covers one level: '*.example.com' covers a.example.com, and not a.b.example.com"
                .to_owned()
        }
        NameError::Character { character: ':' | '/' | '@', .. } => {
            "give the domain name alone, without scheme, port, path or user".to_owned()
        }
        _ => return None,
    })
}

pub(super) fn argument(error: &ArgumentError) -> Option<String> {
    Some(match error {
        ArgumentError::UnknownPlugin { similar, .. } => {
            did_you_mean(similar.as_deref(), &format!("the plugins are {}", plugin::names(|_| true)))
        }
        ArgumentError::UnknownParameter { plugin, similar, .. } => {
            let parameters = livecert::plugin::find(plugin)
                .map(|plugin| plugin.parameters.iter().map(|parameter| parameter.name).collect::<Vec<_>>());
            let all = parameters.map(|names| names.join(", ")).unwrap_or_default();
            let all =
                if all.is_empty() { "it has none".to_owned() } else { format!("its parameters are {all}") };
            did_you_mean(similar.as_deref(), &all)
        }
        ArgumentError::WithoutPlugin => "name the plugin too, as in: --plugin gandi".to_owned(),
        ArgumentError::NoEquals => {
            "write it as in: --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat".to_owned()
        }
        ArgumentError::Repeated(_) => "give it once".to_owned(),
        ArgumentError::NoOwnCredential { argument, .. } => format!("give --plugin-arg {argument}"),
        ArgumentError::UnknownLabel { label } => format!(
            "give it what it is for: --plugin-arg {label}:KEY=SOURCE, or name its plugin, as in gandi@{label}"
        ),
        ArgumentError::Whose { name, plugins, .. } => format!(
            "say whose it is: --plugin-arg {}:{name}=…, or another of {}",
            plugins.first().unwrap_or(&"PLUGIN"),
            plugins.join(", ")
        ),
        ArgumentError::Unused { publisher } => match publisher.split_once('@') {
            Some((_, label)) => {
                format!("give it a zone, --zone ZONE={label}, or a name, --plugin PATTERN={publisher}")
            }
            None => format!("give it a name, --plugin PATTERN={publisher}, or leave its arguments out"),
        },
        ArgumentError::LiteralSecret(parameter) => format!(
            "arguments can be read by every user of this machine, so a secret is never one. Give {parameter}=prompt, \
             {parameter}=file:PATH, {parameter}=env:VAR, {parameter}=cmd:COMMAND, {parameter}=systemd-cred:NAME or \
             {parameter}=keyring:SERVICE/USER. \
             If that was a real token, it is in your shell's history now: replace it"
        ),
        ArgumentError::TwoCredentials(first, _) => format!("keep one of them; {first} is the one to prefer"),
        ArgumentError::NoCredential { parameter, variables, .. } => {
            let variables = if variables.is_empty() {
                String::new()
            } else {
                format!(", or set one of {}", variables.join(", "))
            };
            format!("give --plugin-arg {parameter}=file:PATH{variables}; at a terminal it is asked for")
        }
        ArgumentError::Secret { parameter, source } => return secret(parameter, source),
        ArgumentError::Sealed { source, .. } if !matches!(source, SealError::CannotOpen { .. }) => {
            seal(source)
        }
        ArgumentError::Sealed { parameter, .. } => {
            let option = if parameter.starts_with("--") { "" } else { "--plugin-arg " };
            format!("give the secret again: livecert set CERT {option}{parameter}=…")
        }
        ArgumentError::Missing { plugin, parameter, .. } => {
            format!("give --plugin-arg {parameter}=…; `livecert plugin show {plugin}` tells how to set it up")
        }
        ArgumentError::Invalid { parameter: "GandiApiBaseUrl", .. } => {
            "leave out GandiApiBaseUrl: the default is the current host".to_owned()
        }
        ArgumentError::Invalid { .. } => return None,
        ArgumentError::NeedsTerminal { .. } => {
            "run it at a terminal; or give --non-interactive, which prints what is to be done and goes on; or let \
             `livecert order new` print it and end, and `livecert order solve CERT` go on later. A plugin such as gandi does \
             it itself"
                .to_owned()
        }
        _ => return None,
    })
}

pub(super) fn did_you_mean(similar: Option<&str>, otherwise: &str) -> String {
    similar.map_or_else(|| otherwise.to_owned(), |similar| format!("did you mean {similar}?"))
}

pub(super) fn per_name(error: &PerNameError) -> Option<String> {
    Some(match error {
        PerNameError::Mixed { option } => {
            format!("give all of them as PATTERN=VALUE, with {option} '*=VALUE' for the rest, or none")
        }
        PerNameError::NoEquals { option: "--zone" } => {
            "give ZONE=LABEL, and the label's credential with --plugin-arg LABEL:KEY=SOURCE".to_owned()
        }
        PerNameError::FitsNone { .. } => {
            "check the spelling: NAME is for that name alone, *.NAME for all below it, * for all".to_owned()
        }
        PerNameError::Silent { .. } => {
            "give --plugin '*=PLUGIN' for the names that no pattern fits".to_owned()
        }
        PerNameError::AliasWithoutTxt { name, .. } => {
            format!(
                "say for which names it is: --dns-alias PATTERN=FQDN, with --dns-alias '{name}=' for none"
            )
        }
        _ => return None,
    })
}

/// The word that was most likely meant.
pub(crate) fn did_you_mean_one_of<'a>(word: &str, all: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_ascii_lowercase();
    let alike = all.into_iter().map(|one| (strsim::jaro_winkler(&word, &one.to_ascii_lowercase()), one));
    let (alike, most) = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (alike >= 0.8).then(|| format!("did you mean {most}?"))
}

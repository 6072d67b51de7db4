//! `livecert plugin list|show|args`.

use clap::Subcommand;
use livecert::certificate::CertificateError;
use livecert::challenge::{ChallengeChoice, proof_kind};
use livecert::plugin::{self, ALL, Need, Parameter, ParameterKind, PluginInfo};
use livecert::store::{CertName, StoredArgument};
use serde_json::{Value, json};

use crate::arguments::{Cert, Globals};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

/// Where secrets can be read from.
const SOURCES: &str = "prompt, env:VAR, file:PATH, cmd:COMMAND, systemd-cred:NAME, keyring:SERVICE/USER";

#[derive(Debug, Subcommand)]
pub(crate) enum PluginWords {
    /// List the plugins
    List,
    /// Show a plugin: its parameters by sets, and how to set it up
    Show {
        /// The plugin's name
        #[arg(value_name = "PLUGIN")]
        plugin: String,
    },
    /// Show the arguments that are stored for a certificate; a secret by its source, never in clear
    Args(Cert),
}

pub(super) fn run(words: &PluginWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        PluginWords::List => list(output),
        PluginWords::Show { plugin } => {
            let plugin = plugin::find(plugin).map_err(CertificateError::from)?;
            output.show(&document(plugin), || text(plugin));
        }
        PluginWords::Args(cert) => arguments(cert, globals, output)?,
    }
    Ok(Status::Done)
}

fn list(output: &Output) {
    let entry = |plugin: &&PluginInfo| json!({"name": plugin.name, "summary": plugin.summary, "challenges": challenges(plugin)});
    let document = json!({"schema": 1, "plugins": ALL.iter().map(entry).collect::<Vec<_>>()});
    output.show(&document, || {
        let row = |plugin: &&PluginInfo| {
            vec![plugin.name.to_owned(), challenges(plugin).join(", "), plugin.summary.to_owned()]
        };
        table(&ALL.iter().map(row).collect::<Vec<_>>())
    });
}

/// The challenges that a plugin can solve, the usual one first.
fn challenges(plugin: &PluginInfo) -> Vec<String> {
    let usual = ChallengeChoice::ByPlugin.candidates(plugin.name, plugin.proofs).unwrap_or_default();
    let all = ChallengeChoice::Auto.candidates(plugin.name, plugin.proofs).unwrap_or_default();
    let others = all.into_iter().filter(|kind| proof_kind(kind).is_some() && !usual.contains(kind));
    usual.iter().cloned().chain(others).map(|kind| kind.to_string()).collect()
}

fn document(plugin: &PluginInfo) -> Value {
    let names = |all: &[&Parameter]| all.iter().map(|one| one.name).collect::<Vec<_>>();
    let set =
        |set: &plugin::ParameterSet| json!({"needed": names(&set.needed), "optional": names(&set.optional)});
    let variables = plugin.environment.iter().flat_map(|credential| {
        ["", "_FILE"].map(|end| json!({"variable": format!("{}{end}", credential.variable), "parameter": credential.parameter}))
    });
    json!({
        "schema": 1,
        "name": plugin.name,
        "summary": plugin.summary,
        "challenges": challenges(plugin),
        "sets": plugin.sets().iter().map(set).collect::<Vec<_>>(),
        "parameters": plugin.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "environment": variables.collect::<Vec<_>>(),
        "guide": plugin.guide,
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let need = match parameter.need {
        Need::Required => "required",
        Need::Credential => "credential",
        Need::With(_) => "with",
        _ => "optional",
    };
    let mut document = json!({
        "name": parameter.name,
        "aliases": parameter.aliases,
        "type": parameter.kind.word(),
        "secret": parameter.kind.is_secret(),
        "need": need,
        "help": parameter.help,
    });
    if let Need::With(other) = parameter.need {
        document["with"] = other.into();
    }
    match parameter.kind {
        ParameterKind::Insecure { instead } => document["instead"] = instead.into(),
        ParameterKind::Number { least, most, .. } => {
            (document["least"], document["most"]) = (least.into(), most.into());
        }
        ParameterKind::Duration { longest } => document["longest_seconds"] = longest.as_secs().into(),
        ParameterKind::Choice(words) => document["words"] = json!(words),
        _ => {}
    }
    document
}

fn text(plugin: &PluginInfo) -> String {
    let mut text =
        format!("{}: {}\nChallenges: {}\n", plugin.name, plugin.summary, challenges(plugin).join(", "));
    if !plugin.parameters.is_empty() {
        text.push_str("\nParameters, given as --plugin-arg NAME=VALUE:\n");
    }
    let sets = plugin.sets();
    if let [set] = sets.as_slice() {
        text.push_str(if set.needed.is_empty() { "" } else { "\n  Needed\n" });
        text.push_str(&rows(&set.needed));
    } else {
        text.push_str("\n  Needed: all of one of these sets\n");
        for (number, set) in sets.iter().enumerate() {
            text.push_str(&format!("\n  Set {}\n{}", number + 1, rows(&set.needed)));
        }
    }
    if let Some(set) = sets.first().filter(|set| !set.optional.is_empty()) {
        text.push_str("\n  Optional\n");
        text.push_str(&rows(&set.optional));
    }
    if plugin.parameters.iter().any(|parameter| parameter.kind == ParameterKind::Secret) {
        text.push_str(&format!("\nThe source of a secret is one of\n    {SOURCES}\n"));
    }
    if !plugin.environment.is_empty() {
        let variables = plugin.environment.iter().map(|one| format!("{0}, {0}_FILE", one.variable));
        let variables = variables.collect::<Vec<_>>().join(", ");
        text.push_str(&format!("Without a credential: {variables}, then a prompt\n"));
    }
    text.push_str(&format!("\nHow to set it up\n\n{}", indented(plugin.guide)));
    text
}

fn rows(parameters: &[&Parameter]) -> String {
    let mut text = String::new();
    for parameter in parameters {
        let (name, kind, help) = (parameter.name, parameter.kind.description(), parameter.help);
        text.push_str(&format!("    {name}: {kind}\n        {help}\n"));
        if !parameter.aliases.is_empty() {
            text.push_str(&format!("        also known as {}\n", parameter.aliases.join(", ")));
        }
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

fn arguments(cert: &Cert, globals: &Globals, output: &Output) -> Result<(), Failure> {
    let name: CertName = cert.cert.parse().map_err(CertificateError::CertName)?;
    let record = context::store(globals)?.record(&name).map_err(CertificateError::from)?;
    let others = record.publishers.iter().map(|one| (one.name(), &one.zones, &one.plugin_args));
    let main = (record.plugin.clone(), &record.zones, &record.plugin_args);
    let all: Vec<_> = std::iter::once(main).chain(others).collect();
    let publisher = |(name, zones, stored): &(String, &Vec<String>, &Stored)| json!({"publisher": name, "zones": zones, "arguments": stored.iter().map(entry).collect::<Vec<_>>()});
    let document = json!({
        "schema": 1,
        "cert": name.as_str(),
        "plugin": record.plugin,
        "arguments": record.plugin_args.iter().map(entry).collect::<Vec<_>>(),
        "publishers": all.iter().map(publisher).collect::<Vec<_>>(),
    });
    output.show(&document, || all.iter().map(|one| publisher_text(&name, one)).collect());
    Ok(())
}

type Stored = std::collections::BTreeMap<String, StoredArgument>;

fn entry((name, argument): (&String, &StoredArgument)) -> Value {
    match argument {
        StoredArgument::Secret { source, sealed } => {
            json!({"name": name, "secret": true, "source": source, "sealed": sealed.is_some()})
        }
        StoredArgument::Plain(value) => json!({"name": name, "secret": false, "value": value}),
    }
}

fn publisher_text(cert: &CertName, (name, zones, stored): &(String, &Vec<String>, &Stored)) -> String {
    let row = |(name, argument): (&String, &StoredArgument)| {
        let (value, note) = match argument {
            StoredArgument::Secret { source, sealed: Some(_) } => {
                (source.as_str(), "(its value is kept, sealed)")
            }
            StoredArgument::Secret { source, sealed: None } => (source.as_str(), ""),
            StoredArgument::Plain(value) => (value.as_str(), ""),
        };
        vec![name.clone(), value.to_owned(), note.to_owned()]
    };
    let rows: Vec<_> = stored.iter().map(row).collect();
    let zones = if zones.is_empty() { String::new() } else { format!(" for the zones {}", zones.join(", ")) };
    let without = if rows.is_empty() { ", without arguments" } else { "" };
    format!("The plugin of {cert} is {name}{zones}{without}.\n{}", indented(&table(&rows)))
}

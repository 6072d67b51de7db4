//! The JSON schema of the file, for editors: out of the same description by which it is read.

use clap::{Arg, Command};
use livecert::plugin::{self, ParameterKind, PluginInfo};
use serde_json::{Map, Value, json};

use super::vocabulary::{Kind, Place, Vocabulary, is_repeatable, kind, subcommands, value_name, words};

/// The schema, in JSON Schema 2020-12.
pub(crate) fn schema() -> Value {
    let vocabulary = Vocabulary::new();
    let mut properties = Map::new();
    for command in subcommands(vocabulary.root()) {
        let mut path = vec![command.get_name().to_owned()];
        properties.insert(command.get_name().to_owned(), table_of(&vocabulary, command, &mut path));
    }
    let mut defaults = options(&vocabulary, Place::Defaults);
    defaults.insert("credential".into(), credential_name());
    properties.insert(
        "defaults".into(),
        table("What holds for every certificate and every command, where nothing else is said.", defaults),
    );
    let credentials = json!({
        "description": "What publishes proofs, by a name of your own: a plugin with its parameters.",
        "type": "object",
        "additionalProperties": {"oneOf": plugin::ALL.iter().map(|plugin| credential(plugin)).collect::<Vec<_>>()},
    });
    properties.insert("credential".into(), credentials);
    properties.insert(
        "certificate".into(),
        json!({
            "description": "The certificates that `livecert apply` takes care of.",
            "type": "array",
            "items": certificate(&vocabulary),
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "livecert.toml",
        "description": format!("The file of livecert {}: defaults, credentials, certificates.", env!("CARGO_PKG_VERSION")),
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn table(description: &str, properties: Map<String, Value>) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn table_of(vocabulary: &Vocabulary, command: &Command, path: &mut Vec<String>) -> Value {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut properties = Map::new();
    for below in subcommands(command) {
        path.push(below.get_name().to_owned());
        properties.insert(below.get_name().to_owned(), table_of(vocabulary, below, path));
        path.pop();
    }
    if properties.is_empty() {
        properties = options(vocabulary, Place::Command(path));
    }
    table(&format!("livecert {}: {about}", path.join(" ")), properties)
}

fn options(vocabulary: &Vocabulary, place: Place<'_>) -> Map<String, Value> {
    let options = vocabulary.options(place).into_iter();
    options.filter_map(|arg| Some((arg.get_long()?.to_owned(), option(arg)))).collect()
}

fn option(arg: &Arg) -> Value {
    let long = arg.get_long().unwrap_or_default();
    let mut schema = match kind(arg) {
        _ if long == "plugin-arg" => plugin_arguments(),
        Kind::Switch | Kind::Truth => json!({"type": "boolean"}),
        Kind::Count => json!({"type": "integer", "minimum": 0, "maximum": 9}),
        Kind::Number => json!({"type": "integer", "minimum": 0}),
        Kind::Text => {
            let words = words(arg);
            let text = if words.is_empty() { json!({"type": "string"}) } else { json!({"enum": words}) };
            match is_repeatable(arg) {
                true => json!({"anyOf": [text, {"type": "array", "items": text}]}),
                false => text,
            }
        }
    };
    let name = value_name(arg);
    let title = if name.is_empty() { format!("--{long}") } else { format!("--{long} {name}") };
    schema["title"] = title.into();
    if let Some(help) = arg.get_help() {
        schema["description"] = help.to_string().into();
    }
    schema
}

fn scalar() -> Value {
    json!({"type": ["string", "integer", "boolean"]})
}

fn plugin_arguments() -> Value {
    let parameters =
        plugin::ALL.iter().flat_map(|plugin| plugin.parameters).filter(|one| is_writable(one.kind));
    let properties: Map<_, _> = parameters.map(|one| (one.name.to_owned(), parameter(one))).collect();
    let texts = json!({"type": "string", "pattern": "="});
    json!({"anyOf": [
        {"type": "object", "additionalProperties": false, "properties": properties},
        texts,
        {"type": "array", "items": texts},
    ]})
}

/// A secret in clear has no place in a file.
fn is_writable(kind: ParameterKind) -> bool {
    !matches!(kind, ParameterKind::Insecure { .. })
}

fn parameter(parameter: &plugin::Parameter) -> Value {
    let mut schema = match parameter.kind {
        ParameterKind::Secret => json!({
            "type": "string",
            "pattern": "^(prompt|(env|file|cmd|systemd-cred|keyring):.+)$",
        }),
        _ => scalar(),
    };
    schema["title"] = format!("{} ({})", parameter.name, parameter.kind.description()).into();
    schema["description"] = parameter.help.into();
    schema
}

fn credential_name() -> Value {
    let name = json!({"type": "string"});
    json!({
        "anyOf": [name, {"type": "array", "items": name}],
        "title": "credential",
        "description": "The name of a [credential.NAME], or of several: what publishes the proofs.",
    })
}

fn credential(plugin: &PluginInfo) -> Value {
    let mut properties = Map::new();
    properties.insert("plugin".into(), json!({"const": plugin.name, "description": plugin.summary}));
    let zone = json!({"type": "string"});
    let zones = json!({
        "anyOf": [zone, {"type": "array", "items": zone}],
        "title": "zones",
        "description": "The zones that it is for, where a certificate has several credentials of the plugin: example.com, or *.example.com for those below",
    });
    properties.insert("zones".into(), zones);
    for one in plugin.parameters.iter().filter(|one| is_writable(one.kind)) {
        properties.insert(one.name.to_owned(), parameter(one));
    }
    // What else is needed may be given at the certificate.
    json!({"type": "object", "additionalProperties": false, "required": ["plugin"], "properties": properties})
}

fn certificate(vocabulary: &Vocabulary) -> Value {
    let mut properties = options(vocabulary, Place::Certificate);
    properties.insert("credential".into(), credential_name());
    properties.insert("name".into(), json!({
        "type": "string",
        "pattern": "^[A-Za-z0-9_!][A-Za-z0-9_.!-]{0,239}$",
        "title": "name",
        "description": "The certificate's name in the store, and so in the paths of its files [default: the first of its names, '*' written as '!']",
    }));
    properties.insert(
        "names".into(),
        json!({
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "title": "names",
            "description": "Names for the certificate, such as example.com and *.example.com",
        }),
    );
    let mut schema = table("A certificate.", properties);
    schema["anyOf"] = json!([{"required": ["names"]}, {"required": ["csr"]}]);
    schema
}

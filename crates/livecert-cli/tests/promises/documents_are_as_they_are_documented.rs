use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Bench, document, expect, read};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn schemas() -> &'static Value {
    static SCHEMAS: OnceLock<Value> = OnceLock::new();
    SCHEMAS.get_or_init(|| serde_json::from_str(&read(&docs().join("schemas/output.json"))).unwrap())
}

/// The schema of one command's document, which in these tests may have nothing that is not documented.
fn validator(command: &str) -> Option<Validator> {
    let all = &schemas()["$defs"];
    all["commands"].get(command)?;
    let mut schema = schemas().clone();
    close(&mut schema);
    schema["$ref"] = format!("#/$defs/commands/{}", command.replace(' ', "%20")).into();
    Some(jsonschema::options().should_validate_formats(true).build(&schema).unwrap())
}

/// Forbids what is not in the schema: whoever adds a field has to document it.
fn close(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        if object.get("properties").is_some_and(Value::is_object)
            && object.get("type") == Some(&json!("object"))
        {
            object.entry("additionalProperties").or_insert(false.into());
        }
        object.values_mut().for_each(close);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(close);
    }
}

/// The command of these words: `dns add`, `issue`.
fn command(words: &[&str]) -> Option<String> {
    let known = schemas()["$defs"]["commands"].as_object().unwrap();
    let two = words.get(1).map(|second| format!("{} {second}", words[0]));
    two.filter(|two| known.contains_key(two)).or_else(|| words.first().map(|&word| word.to_owned()))
}

/// What of a document is not what its schema says.
fn differences(words: &[&str], document: &Value) -> Vec<String> {
    let name = if document.get("error").is_some() && document.get("result").is_none() {
        "failure".to_owned()
    } else {
        command(words).unwrap()
    };
    let validator = validator(&name).unwrap_or_else(|| panic!("docs/schemas/output.json has no '{name}'"));
    let wrong = validator.iter_errors(document);
    wrong.map(|error| format!("{name} {}: {error}", error.instance_path())).collect()
}

#[test]
fn every_command_has_a_schema_that_its_document_fits() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &["--deploy-hook", "true"]), 0);
    let folder = bench.testbed.folder().display().to_string();
    let directory = bench.testbed.pebble().directory();
    let dns = bench.testbed.dns_words().join(" ");
    let gandi = format!("{dns} --plugin-arg GandiPAT=file:{}", bench.token.display());
    let plain = gandi.split(" --authoritative").next().unwrap().to_owned();
    let token = format!("{plain} --plugin-arg GandiPAT=file:{}", bench.token.display());
    let server = format!("--server {directory}");
    let file = bench.testbed.folder().join("new.toml");
    std::fs::write(&file, "[[certificate]]\nnames = ['example.com']\nplugin = 'manual'\n").unwrap();
    let file = file.display();
    let rows = [
        ("apply", format!("--plan --config {file}")),
        ("config check", file.to_string()),
        ("config schema", String::new()),
        ("issue", format!("two.example.com {server} {gandi} --post-hook true")),
        ("renew", "example.com --force".into()),
        ("renew", String::new()),
        ("check", format!("three.example.com {server} {gandi}")),
        ("plan", format!("three.example.com {server} {gandi}")),
        ("list", String::new()),
        ("status", String::new()),
        ("show", "example.com".into()),
        ("files", "example.com".into()),
        ("set", "example.com --format bundle,der --group 0".into()),
        ("rollback", "example.com".into()),
        ("import", format!("certbot {folder}/home --plan")),
        ("dns add", format!("_acme-challenge.four.example.com value {gandi}")),
        ("dns remove", format!("_acme-challenge.four.example.com value {gandi}")),
        ("dns sweep", String::new()),
        ("token check", token),
        ("timer install", format!("--unit-dir {folder} --no-enable")),
        ("timer show", format!("--unit-dir {folder}")),
        ("timer remove", format!("--unit-dir {folder}")),
        ("secret rotate", String::new()),
        ("server add", format!("{directory} --name mine")),
        ("server update", "mine --name ours".into()),
        ("limits", String::new()),
        ("server use", "ours".into()),
        ("server list", String::new()),
        ("order list", String::new()),
        ("order show", "example.com".into()),
        ("server show", server.clone()),
        ("server profiles", server.clone()),
        ("account list", String::new()),
        ("account show", server.clone()),
        ("account update", format!("{server} --contact a@example.com")),
        ("account rollover", server.clone()),
        ("account export", server.clone()),
        ("authz new", format!("five.example.com {server}")),
        ("challenge key-auth", format!("token {server}")),
        ("challenge account-label", server.clone()),
        ("persist show", format!("example.com --authoritative {}", bench.testbed.simulator().dns_addrs()[0])),
        ("plugin list", String::new()),
        ("plugin show", "gandi".into()),
        ("plugin args", "example.com".into()),
        ("explain", String::new()),
        ("explain", "refused".into()),
        ("completions", "bash".into()),
        ("man", "issue".into()),
        ("revoke", "example.com --reason superseded".into()),
        ("remove", "two.example.com --force".into()),
        ("account deactivate", format!("{server} --force")),
        ("server remove", "ours --force".into()),
        ("show", "no-such-name".into()),
        ("issue", "a..b".into()),
        ("no-such-command", String::new()),
    ];
    let mut wrong = Vec::new();
    for (name, words) in rows {
        let line = format!("{name} {words} --json");
        let words: Vec<&str> = line.split_whitespace().collect();
        let outcome = bench.run(&words);
        let document = document(&outcome);
        wrong.extend(differences(&words, &document));
        // Pebble has no authorizations before an order.
        let failing = ["no-such-name", "a..b", "no-such-command", "certbot", "authz new"];
        let failed = failing.iter().any(|word| line.contains(word));
        assert_eq!(document.get("error").is_some(), failed, "{line}: {document:#}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn and_a_field_that_is_not_documented_is_noticed() {
    let good = json!({"schema": 1, "result": "revoked", "server": "LE_PROD", "reason": null});
    let is_valid = |document: &Value| validator("revoke").unwrap().is_valid(document);
    assert!(is_valid(&good));
    let mut more = good.clone();
    more["surprise"] = 1.into();
    let mut less = good.clone();
    less.as_object_mut().unwrap().remove("server");
    let mut other = good.clone();
    other["schema"] = 2.into();
    assert!(![more, less, other].iter().any(is_valid));
}

/// `docs/json.md`, made from the schemas.
fn page() -> String {
    let all = &schemas()["$defs"];
    let mut page = String::from(
        "# What `--json` prints\n\n\
         Every command prints exactly one JSON document on stdout with `--json`, also when it fails. `\"schema\": 1` is its version:\n\
         fields may be added under the same version, and no field is removed or changes its meaning without another one. A\n\
         reader passes over what it does not know. Moments are in UTC, as RFC 3339 has them. The same as JSON Schema:\n\
         [schemas/output.json](schemas/output.json). Exit statuses: 0 done, 1 failed, 2 the words or input were wrong and nothing\n\
         was done, 3 some succeeded and some failed, 4 something needs a person soon.\n",
    );
    page.push_str("\n## When it fails\n");
    page.push_str(&table(&all["commands"]["failure"]));
    for (name, schema) in all["commands"].as_object().unwrap() {
        if name != "failure" {
            page.push_str(&format!("\n## {name}\n\n{}\n", schema["description"].as_str().unwrap()));
            page.push_str(&table(schema));
        }
    }
    page.push_str("\n## Parts of documents\n");
    for (name, schema) in all.as_object().unwrap() {
        if name != "commands" {
            page.push_str(&format!("\n### {name}\n\n{}\n", schema["description"].as_str().unwrap()));
            page.push_str(&table(schema));
        }
    }
    page
}

/// The fields of an object.
fn table(schema: &Value) -> String {
    let required = schema["required"].as_array().unwrap();
    let mut text = String::from("\n| field | type | is |\n| --- | --- | --- |\n");
    for (name, field) in schema["properties"].as_object().unwrap() {
        let optional = if required.contains(&json!(name)) { "" } else { ", or missing" };
        let about = field["description"].as_str().unwrap_or_default();
        text.push_str(&format!("| `{name}` | {}{optional} | {about} |\n", kind(field)));
    }
    text
}

fn kind(field: &Value) -> String {
    if let Some(part) = field["$ref"].as_str() {
        let name = part.rsplit('/').next().unwrap();
        return format!("[{name}](#{name})");
    }
    if let Some(either) = field["anyOf"].as_array() {
        return either.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = field["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
        return words.join(", ");
    }
    if let Some(value) = field.get("const") {
        return value.to_string();
    }
    let mut types: Vec<&str> = match &field["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one],
        _ => return "any".to_owned(),
    };
    let null = types.len() > 1 && types.contains(&"null");
    types.retain(|one| !null || *one != "null");
    let text = match types[0] {
        "array" => format!("list of {}", kind(&field["items"])),
        "object" => format!("object of {}", kind(&field["additionalProperties"])),
        "string" if field["format"] == "date-time" => "moment".to_owned(),
        one => one.to_owned(),
    };
    if null { format!("{text} or null") } else { text }
}

#[test]
fn and_the_page_about_them_is_made_from_the_schemas() {
    let path = docs().join("json.md");
    if std::env::var_os("LIVECERT_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page(),
        "docs/json.md is not what the schemas say: LIVECERT_WRITE_DOCS=1 cargo test -p livecert-cli --test promises the_page_about"
    );
}

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testbed::Outcome;

use super::read;

/// A validator that is not ours: reads `{"schema", "files"}`, and says of each file whether the schema lets it pass.
const VALIDATOR: &str = "
import json, sys, tomllib, jsonschema
task = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(task['schema'])
validator = jsonschema.Draft202012Validator(task['schema'])
json.dump([[error.message[:200] for error in validator.iter_errors(tomllib.loads(text))] for text in task['files']], sys.stdout)
";

/// What the schema has against each of the files.
fn against(schema: &Value, files: &[String]) -> Vec<Vec<String>> {
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", VALIDATOR]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let task = json!({"schema": schema, "files": files}).to_string();
    python.stdin.take().unwrap().write_all(task.as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "`cargo xtask setup` installs python3-jsonschema");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The examples of the documents.
fn examples() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/livecert-toml.md");
    let text = read(&page);
    let blocks = text.split("```toml\n").skip(1);
    blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned())).collect()
}

fn run(folder: &Path, words: &[&str]) -> Outcome {
    let mut livecert = Command::new(super::binary());
    livecert.args(words).env_clear().env("LIVECERT_HOME", folder);
    livecert.output().unwrap().into()
}

/// The exit status of `config check`.
fn check(folder: &Path, text: &str) -> Option<i32> {
    let file = folder.join("checked.toml");
    std::fs::write(&file, text).unwrap();
    run(folder, &["config", "check", &file.display().to_string()]).status
}

#[test]
fn by_a_schema_that_says_what_config_check_says() {
    let folder = tempfile::tempdir().unwrap();
    let schema = run(folder.path(), &["config", "schema"]);
    let schema: Value = serde_json::from_str(&schema.stdout).unwrap();
    let good = examples();
    assert!(good.len() >= 3, "{good:?}");
    for (text, errors) in good.iter().zip(against(&schema, &good)) {
        assert_eq!(errors, Vec::<String>::new(), "{text}");
        assert_eq!(check(folder.path(), text), Some(0), "{text}");
    }
    let certificate = "[[certificate]]\nnames = ['example.com']\n";
    let bad = [
        "[defalts]\n".to_owned(),
        "[defaults]\nkey-typ = 'ec-256'\n".into(),
        "[defaults]\nlog-format = 'jsn'\n".into(),
        "[defaults]\naccept-tos = 'true'\n".into(),
        "[defaults]\nkey-type = ['ec-256']\n".into(),
        "[defaults]\nforce = true\n".into(),
        "[defaults]\ncsr = '/x'\n".into(),
        "[defaults]\nverbose = -1\n".into(),
        "[renew]\nparallel = '3'\n".into(),
        "[renew]\nnames = ['x']\n".into(),
        "renew = 3\n".into(),
        "[account.sow]\n".into(),
        "[certificate]\nnames = ['a.example']\n".into(),
        "[[certificate]]\nname = 'x'\n".into(),
        "[[certificate]]\nnames = []\n".into(),
        "[[certificate]]\nnames = 'a.example'\n".into(),
        "[[certificate]]\nnames = [1]\n".into(),
        "[[certificate]]\nname = 'a/b'\nnames = ['a.example']\n".into(),
        format!("{certificate}lock-timeout = '5m'\n"),
        format!("{certificate}must-staple = 1\n"),
        format!("{certificate}key-mode = 640\n"),
        format!("{certificate}format = [1]\n"),
        format!("{certificate}plugin = 'gandi'\nplugin-arg = {{ GandiPTA = 'env:X' }}\n"),
        format!("{certificate}plugin = 'gandi'\nplugin-arg = {{ GandiPAT = 'literal' }}\n"),
        format!("{certificate}plugin = 'gandi'\nplugin-arg = ['GandiPAT']\n"),
        "[credential]\nx = 3\n".into(),
        "[credential.x]\nGandiPAT = 'env:X'\n".into(),
        "[credential.x]\nplugin = 'gandy'\n".into(),
        "[credential.x]\nplugin = 'gandi'\nGandiTokenInsecure = 'x'\n".into(),
        "[credential.x]\nplugin = 'gandi'\nGandiTTL = [3]\n".into(),
        "[credential.x]\nplugin = 'gandi'\nWRPath = '/x'\n".into(),
    ];
    for (text, errors) in bad.iter().zip(against(&schema, &bad)) {
        assert_eq!(check(folder.path(), text), Some(2), "{text}");
        assert!(!errors.is_empty(), "the schema lets this pass: {text}");
    }
}

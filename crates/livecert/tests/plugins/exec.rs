//! With a script that writes into Knot by its control program, where only one change can be made at a time.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use livecert::plugin::{Plugin, PluginError, TxtRecord};
use tempfile::TempDir;
use testbed::Knot;

use super::kit::{DEEP, ZONE, examine};
use super::knot::OnKnot;
use super::{connect, secret};

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn exec(folder: &Path, command: &Path, more: &[String]) -> Arc<dyn Plugin> {
    let words = [&[format!("ExecCommand={}", command.display())], more].concat();
    connect("exec", &words, folder, None).await
}

#[tokio::test]
async fn passes_the_examination() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let knot = Knot::start(&[ZONE, DEEP]).unwrap();
    let text = format!(
        "set -eu
PATH=$PATH:/usr/sbin
ask() {{ knotc -s '{}' \"$@\" >/dev/null; }}
has() {{ knotc -s '{}' zone-get \"$LIVECERT_ZONE\" \"$2.\" TXT 2>/dev/null | grep -qF -- \" TXT \\\"$3\\\"\"; }}
add() {{ ask zone-set \"$LIVECERT_ZONE\" \"$@\"; }}
ask zone-begin \"$LIVECERT_ZONE\"
trap 'ask zone-abort \"$LIVECERT_ZONE\"' EXIT
case $1 in
    add) has \"$@\" || add \"$2.\" TXT \"\\\"$3\\\"\" || add \"$2.\" 60 TXT \"\\\"$3\\\"\" ;;
    remove) ! has \"$@\" || ask zone-unset \"$LIVECERT_ZONE\" \"$2.\" TXT \"\\\"$3\\\"\" ;;
esac
trap - EXIT
ask zone-commit \"$LIVECERT_ZONE\"
",
        knot.control().display(),
        knot.control().display(),
    );
    let plugin = exec(folder, &script(folder, "knot", &text), &[]).await;
    let wrong = script(folder, "wrong", "echo no such zone >&2; exit 3\n");
    let slow = script(folder, "slow", "exec sleep 60\n");
    let killed = script(folder, "killed", "kill -9 $$\n");
    let failing = vec![
        ("a failure", exec(folder, &wrong, &[]).await),
        ("a failure, side by side", exec(folder, &wrong, &["ExecAtOnce=4".to_owned()]).await),
        ("a command that is ended", exec(folder, &killed, &[]).await),
        ("a command that does not end", exec(folder, &slow, &["ExecTimeout=PT0.2s".to_owned()]).await),
    ];
    examine(&OnKnot { knot, plugin, failing, is_told_the_zone: true }).await;
}

fn record(fqdn: &str, value: &str) -> TxtRecord {
    TxtRecord { fqdn: fqdn.to_owned(), value: value.to_owned(), apex: Some("example.com".to_owned()) }
}

#[tokio::test]
async fn the_command_has_all_facts_and_its_secret_and_shows_it_to_nobody() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let text = "printf '%s|' \"$@\" \"$LIVECERT_ACTION\" \"$LIVECERT_FQDN\" \"$LIVECERT_VALUE\" \"$LIVECERT_ZONE\" >> told\n\
                printf '%s' \"$TOKEN\" > token\ntr -d ' \\n' >> told\necho >> told\n\
                echo the token is $TOKEN here\ncase $2 in *fails*) exit 1 ;; esac\n";
    let command = script(folder, "tell", text);
    let canary = "canary-0123456789";
    let more = [secret(folder, "ExecSecret", canary), "ExecSecretName=TOKEN".to_owned()];
    let plugin = exec(folder, &command, &more).await;
    plugin.publish(&[record("a.example.com", "-v")]).await.unwrap();
    assert!(plugin.withdraw(&[record("a.example.com", "$(id)")]).await.leftovers.is_empty());
    let told = std::fs::read_to_string(folder.join("told")).unwrap();
    assert_eq!(
        told,
        "add|a.example.com|-v|add|a.example.com|-v|example.com|\
         {\"action\":\"add\",\"fqdn\":\"a.example.com\",\"value\":\"-v\",\"zone\":\"example.com\"}\n\
         remove|a.example.com|$(id)|remove|a.example.com|$(id)|example.com|\
         {\"action\":\"remove\",\"fqdn\":\"a.example.com\",\"value\":\"$(id)\",\"zone\":\"example.com\"}\n"
    );
    assert_eq!(std::fs::read_to_string(folder.join("token")).unwrap(), canary);
    let error = plugin.publish(&[record("fails.example.com", "v")]).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(canary) && text.contains("the token is (the secret) here"), "{text}");
    assert!(matches!(error, PluginError::Exec(_)));

    // As lego calls it.
    let plugin = exec(folder, &command, &["ExecStyle=lego".to_owned()]).await;
    plugin.publish(&[record("b.example.com", "v")]).await.unwrap();
    assert!(plugin.withdraw(&[record("b.example.com", "v")]).await.leftovers.is_empty());
    let told = std::fs::read_to_string(folder.join("told")).unwrap();
    assert!(
        told.contains("\npresent|b.example.com.|v|") && told.contains("\ncleanup|b.example.com.|v|"),
        "{told}"
    );
}

#[tokio::test]
async fn the_calls_take_turns_unless_more_are_allowed() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    // Two at once would meet in the folder.
    let alone = script(folder, "alone", "mkdir turn || exit 1\nsleep 0.01\nrmdir turn\n");
    let names: Vec<String> = (0..6).map(|number| format!("n{number}.example.com")).collect();
    let records: Vec<_> = names.iter().flat_map(|name| [record(name, "1"), record(name, "2")]).collect();
    let (first, second) = (exec(folder, &alone, &[]).await, exec(folder, &alone, &[]).await);
    let (one, other) = tokio::join!(first.publish(&records), second.publish(&records));
    one.unwrap();
    other.unwrap();
    // Each waits until the other one is there too.
    let together = script(
        folder,
        "together",
        "touch \"here-$2\"\nn=0\nuntil [ -e here-n0.example.com ] && [ -e here-n1.example.com ]; do\n\
         n=$((n + 1)); [ $n -lt 1000 ] || exit 1; sleep 0.01\ndone\n",
    );
    let plugin = exec(folder, &together, &["ExecAtOnce=2".to_owned()]).await;
    plugin.publish(&records[..4]).await.unwrap();
}

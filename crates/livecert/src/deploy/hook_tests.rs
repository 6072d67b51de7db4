use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use serde_json::json;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn call<'a>(command: &'a str, folder: &'a Path) -> HookCall<'a> {
    let variables = vec![("LIVECERT_CERT".to_owned(), "$(touch stolen); `touch stolen` '\"\n\0".to_owned())];
    let (kind, document) = (HookKind::Deploy, json!({"name": "example.com"}));
    HookCall { kind, command, folder, variables, document, limit: LONG, hidden: &[] }
}

async fn run(command: &str, folder: &Path) -> Result<HookOutput, HookError> {
    run_hook(&call(command, folder), &CancellationToken::new()).await
}

fn script(folder: &Path, name: &str, mode: u32, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether the process whose id is in this file is there, and no zombie.
fn lives(file: &Path) -> bool {
    let id = std::fs::read_to_string(file).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", id.trim())).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[tokio::test]
async fn the_facts_are_in_variables_and_on_standard_input_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        run("printf '%s|' \"$LIVECERT_CERT\"; pwd; cat; echo last >&2", folder.path()).await.unwrap();
    let here = folder.path().canonicalize().unwrap();
    let expected = format!(
        "$(touch stolen); `touch stolen` '\"\n\u{fffd}|{}\n{{\n  \"name\": \"example.com\"\n}}\nlast",
        here.display()
    );
    assert_eq!(output, HookOutput { commands: 1, text: expected });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_end_that_is_none_is_told_with_what_was_printed() {
    let folder = tempfile::tempdir().unwrap();
    let error = run("echo out; echo err >&2; exit 3", folder.path()).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::Status(3)), "{error:?}");
    assert_eq!(error.output, "out\nerr");
    assert!(error.to_string().starts_with("the deploy hook 'echo out; "), "{error}");
    let error = run("kill -9 $$", folder.path()).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::Signal(9)), "{error:?}");
    let error = run("true", &folder.path().join("none")).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::CannotStart(_)), "{error:?}");
}

#[tokio::test]
async fn standard_input_that_nobody_reads_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call("exec true", folder.path());
    call.document = json!({"names": vec!["a.example.com"; 100_000]});
    run_hook(&call, &CancellationToken::new()).await.unwrap();
    // What is too long for a variable is left out, and does not keep the hook from running.
    call.variables.push(("LIVECERT_NAMES".to_owned(), "a".repeat(200_000)));
    call.command = "test -z \"$LIVECERT_NAMES\"";
    run_hook(&call, &CancellationToken::new()).await.unwrap();
}

/// How it ends, and what it has printed, when it is interrupted as soon as it has written the file `begun`.
async fn interrupted(command: &str, folder: &Path, grace: Duration) -> (Result<(), HookFailure>, String) {
    let (interrupt, begun) = (CancellationToken::new(), folder.join("begun"));
    let stop = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        interrupt.cancel();
    };
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(folder);
    let limits = Limits { work: LONG, grace };
    tokio::join!(crate::process::run(shell, b"", limits, &interrupt), stop).0
}

#[tokio::test]
async fn it_is_ended_at_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = call("sleep 60; sleep 60", folder.path());
    call.limit = Duration::from_millis(50);
    let error = run_hook(&call, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::TooLong(limit) if limit == call.limit), "{error:?}");
}

#[tokio::test]
async fn the_whole_group_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    // Two that hear nothing, one of them started by the other.
    let command = "trap '' TERM; (while :; do sleep 30; done) & echo $! > child; echo began; echo > begun; \
                   while :; do sleep 30; done";
    let (ended, output) = interrupted(command, folder.path(), Duration::from_millis(50)).await;
    assert!(matches!(ended, Err(HookFailure::Interrupted)), "{ended:?}");
    assert_eq!(output, "began");
    assert!(!lives(&folder.path().join("child")), "a child of the hook has outlived it");
}

#[tokio::test]
async fn one_that_ends_when_told_to_is_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    let command = "trap 'echo tidied; exit 0' TERM; echo > begun; while :; do sleep 30; done";
    let (_, output) = interrupted(command, folder.path(), LONG).await;
    assert!(output.ends_with("tidied"), "{output}");
}

#[tokio::test]
async fn what_stays_in_the_background_is_not_waited_for_and_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let output = run("sleep 50 & echo $! > child; echo done", folder.path()).await.unwrap();
    assert_eq!(output.text, "done");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let child = folder.path().join("child");
    assert!(lives(&child));
    let id = std::fs::read_to_string(child).unwrap();
    assert!(std::process::Command::new("sh").args(["-c", "kill $0", id.trim()]).status().unwrap().success());
}

#[tokio::test]
async fn credentials_are_kept_from_it() {
    let folder = tempfile::tempdir().unwrap();
    // A test has both.
    let hidden = ["PATH".to_owned()];
    let mut call = call("test -n \"$CARGO_MANIFEST_DIR\" && /usr/bin/env", folder.path());
    call.hidden = &hidden;
    let output = run_hook(&call, &CancellationToken::new()).await.unwrap();
    assert!(!output.text.lines().any(|line| line.starts_with("PATH=")), "{}", output.text);
    let manifest = format!("CARGO_MANIFEST_DIR={}", env!("CARGO_MANIFEST_DIR"));
    assert!(output.text.contains(&manifest), "{}", output.text);
}

#[tokio::test]
async fn a_folder_is_run_in_order_and_one_failure_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let hooks = folder.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    let command = hooks.to_str().unwrap();
    assert_eq!(run(command, folder.path()).await.unwrap(), HookOutput::default());

    for name in ["10-nginx", "20-postfix", ".hidden", "backup~"] {
        script(&hooks, name, 0o755, &format!("echo {name} | tee -a ran"));
    }
    script(&hooks, "README", 0o644, "echo README >> ran");
    std::fs::create_dir(hooks.join("30-folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", hooks.join("05-nowhere")).unwrap();
    let output = run(command, folder.path()).await.unwrap();
    assert_eq!(output, HookOutput { commands: 2, text: "10-nginx\n20-postfix\n".to_owned() });

    script(&hooks, "05-first", 0o700, "echo sorry; exit 7");
    script(&hooks, "06-second", 0o700, "exit 8");
    let error = run(command, folder.path()).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::Status(7)), "{error:?}");
    assert!(error.command.ends_with("hooks/05-first") && error.output == "sorry", "{error:?}");
    let ran = std::fs::read_to_string(folder.path().join("ran")).unwrap();
    assert_eq!(ran, "10-nginx\n20-postfix\n10-nginx\n20-postfix\n");

    // Executable, and no program.
    std::fs::write(hooks.join("01-broken"), [0x7f, 1, 2, 3]).unwrap();
    std::fs::set_permissions(hooks.join("01-broken"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = run(command, folder.path()).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::CannotStart(_)), "{error:?}");
}

#[tokio::test]
async fn none_is_begun_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let interrupt = CancellationToken::new();
    interrupt.cancel();
    // What cannot be started tells whether it was tried.
    let nowhere = folder.path().join("nowhere");
    let error = run_hook(&call("true", &nowhere), &interrupt).await.unwrap_err();
    assert!(matches!(error.failure, HookFailure::Interrupted), "{error:?}");
}

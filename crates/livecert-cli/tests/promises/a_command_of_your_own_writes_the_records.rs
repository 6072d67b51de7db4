use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use testbed::{Options, Outcome};

use super::{Bench, binary, document, expect, read, says};

const CANARY: &str = "canary-of-the-command-0123456789";

/// A command that hands its work on to livecert itself, with the plugin for the simulator: whatever a script does, it has
/// no more than its words and its environment.
fn with_command(text: &str) -> (Bench, PathBuf) {
    let bench = Bench::with(&Options::default());
    bench.testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour's", 1800);
    let path = bench.testbed.folder().join("my-dns");
    let text = text
        .replace(
            "PROGRAM",
            &format!("{} --home '{}/inner'", binary().display(), bench.testbed.folder().display()),
        )
        .replace(
            "WORDS",
            &format!(
                "--no-wait --plugin-arg GandiPAT=file:{} --plugin-arg GandiApiBaseUrl={} --authoritative {}",
                bench.token.display(),
                bench.testbed.simulator().api_base_url(),
                bench.testbed.simulator().dns_addrs()[0],
            ),
        );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    bench.testbed.secret_file("secret", CANARY).unwrap();
    (bench, path)
}

fn issue(bench: &Bench, command: &std::path::Path, more: &[&str]) -> Outcome {
    let dns = bench.testbed.simulator().dns_addrs()[0].to_string();
    let secret = format!("ExecSecret=file:{}", bench.testbed.folder().join("secret").display());
    let (directory, exec) =
        (bench.testbed.pebble().directory(), format!("ExecCommand={}", command.display()));
    let words = ["issue", "example.com", "*.example.com", "--server", &directory, "--accept-tos"];
    let plugin =
        ["--plugin", "exec", "--plugin-arg", &exec, "--plugin-arg", &secret, "--authoritative", &dns];
    bench.run(&[words.as_slice(), &plugin, more].concat())
}

const SCRIPT: &str = "#!/bin/sh
set -eu
printf '%s\\n' \"$*\" >> calls
test \"$LIVECERT_SECRET\" = canary-of-the-command-0123456789
words=\"WORDS\"
case $1 in
    add) PROGRAM dns add \"$2\" \"$3\" $words ;;
    remove) PROGRAM dns remove \"$2\" \"$3\" ${words#--no-wait} ;;
esac
";

#[test]
fn one_value_at_a_time_and_again_at_a_renewal() {
    let (bench, command) = with_command(SCRIPT);
    let before = bench.testbed.gandi().zone("example.com");
    expect(&issue(&bench, &command, &[]), 0);
    bench.prove_anew();
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
    let calls = read(&bench.testbed.folder().join("calls"));
    let calls: Vec<_> = calls.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    assert_eq!(
        calls.iter().map(|call| call[0]).collect::<Vec<_>>(),
        ["add", "add", "remove", "remove"].repeat(2)
    );
    assert!(calls.iter().all(|call| call[1] == "_acme-challenge.example.com" && call[2].len() == 43));
    let stored = document(&bench.run(&["plugin", "args", "example.com", "--json"]));
    assert_eq!(stored["plugin"], "exec");
    assert_eq!(stored["arguments"][0]["value"], command.to_str().unwrap());
    assert_eq!(stored["arguments"][1]["sealed"], false);
}

#[test]
fn or_its_failure_is_told_with_what_it_printed() {
    let script =
        SCRIPT.replace("    add) ", "    add) echo \"cannot write with $LIVECERT_SECRET\" >&2; exit 7;; x) ");
    let (bench, command) = with_command(&script);
    let before = bench.testbed.gandi().zone("example.com");
    let outcome = issue(&bench, &command, &["-vv"]);
    expect(&outcome, 1);
    says(
        &outcome,
        &["exit status 7", "cannot write with (the secret)", "next: run it by hand with these words"],
    );
    assert!(!outcome.stderr.contains(CANARY), "{}", outcome.stderr);
    let failed = document(&issue(&bench, &command, &["--json"]));
    assert_eq!(failed["error"]["kind"], "exec-failed");
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);

    let missing = issue(&bench, &bench.testbed.folder().join("none"), &[]);
    expect(&missing, 2);
    says(&missing, &["ExecCommand is wrong", "cannot be looked at"]);
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o644)).unwrap();
    let plain = issue(&bench, &command, &[]);
    expect(&plain, 2);
    says(&plain, &["cannot be executed (chmod +x it)"]);
}

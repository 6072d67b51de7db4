use std::path::Path;

use testbed::API_KEY;

use super::{Bench, expect};

/// A token that the simulator does not know, so that every error path sees it too.
const CANARY: &str = "c4narYc4narYc4narYc4narYc4narYc4narYc4na";

#[test]
fn in_no_output_and_no_file_whatever_happens() {
    let bench = Bench::new();
    let canary = bench.testbed.secret_file("canary", CANARY).unwrap();
    let mut shown = String::new();
    let mut keep = |outcome: testbed::Outcome| {
        shown.push_str(&outcome.stdout);
        shown.push_str(&outcome.stderr);
    };
    for format in ["text", "json"] {
        let more = ["-vv", "--log-format", format, "--force"];
        let mut words = bench.words_without_credential(&["example.com"], &more);
        words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", canary.display())]);
        keep(bench.livecert.run(&words).unwrap());
        // In clear in the argument: sealed in the state.
        let mut words = bench.words_without_credential(&["example.com"], &more);
        words.extend(["--plugin-arg".to_owned(), format!("GandiTokenInsecure={API_KEY}")]);
        let outcome = bench.livecert.run(&words).unwrap();
        expect(&outcome, 0);
        keep(outcome);
        let livecert = bench.livecert.clone().env("GANDI_PAT", CANARY);
        keep(livecert.run(bench.words_without_credential(&["www.example.com"], &more)).unwrap());
        keep(bench.run(&["show", "example.com", "-vv", "--json"]));
        keep(bench.run(&["renew", "--force", "-vv", "--log-format", format]));
    }
    for secret in [CANARY, API_KEY] {
        assert!(!shown.contains(secret), "{shown}");
        let found = files_with(&bench.testbed.home(), secret.as_bytes());
        assert!(found.is_empty(), "{found:?}");
    }
    assert!(!shown.contains("PRIVATE KEY"));
}

/// Files below `folder` whose content has `part`.
fn files_with(folder: &Path, part: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(files_with(&path, part));
        } else if std::fs::read(&path).unwrap().windows(part.len()).any(|window| window == part) {
            found.push(path);
        }
    }
    found
}

#[test]
fn keys_and_state_are_for_their_owner_alone() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    let home = bench.testbed.home();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    for folder in [home.clone(), home.join("certs"), home.join("accounts"), bench.cert("example.com")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    let key = bench.cert("example.com").join("current/privkey.pem");
    for file in [home.join("sealing.key"), bench.cert("example.com").join("certificate.json"), key] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

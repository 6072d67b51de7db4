use std::process::Command;

use super::{Bench, binary, expect};

/// What a renewal makes the disk keep, in the order in which it does: paths below the state folder, without the parts that are made
/// up.
fn synced(bench: &Bench, name: &str) -> Vec<String> {
    let log = bench.testbed.folder().join("strace");
    let words = bench.words(&[name], &["--force"]);
    let like = bench.livecert.command(&words);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-o"]).arg(&log).args(["-e", "trace=fsync,fdatasync"]);
    command.arg(binary()).args(like.get_args());
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // `cargo xtask setup` installs strace.
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&log).unwrap();
    let paths = text.lines().filter_map(|line| line.split_once('<')?.1.split_once('>'));
    let below = |path: &str| {
        let mut parts = path.split('/').map(|part| if part.starts_with(".livecert-") { "new" } else { part });
        let found = parts.by_ref().find(|part| ["certs", "journal", "limits", "accounts"].contains(part));
        found.into_iter().chain(parts).collect::<Vec<_>>().join("/")
    };
    paths.map(|(path, _)| below(path)).collect()
}

#[test]
fn for_a_renewal() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    bench.prove_anew();
    let synced = synced(&bench, "www.example.com");
    let at = |path: &str| {
        let found = synced.iter().position(|other| other.starts_with(path));
        found.unwrap_or_else(|| panic!("{path} is not synced: {synced:#?}"))
    };
    let draft = "certs/www.example.com/generations/2.partial";
    // The key and its order, then what is to be published, then the certificate, and last the link to it.
    let steps = [
        at(&format!("{draft}/privkey.pem")),
        at(&format!("{draft}/order.json")),
        at("journal/www.example.com.json"),
        at(&format!("{draft}/cert.pem")),
        at(&format!("{draft}/generation.json")),
    ];
    assert!(steps.is_sorted(), "{synced:#?}");
    assert_eq!(synced.last().map(String::as_str), Some("certs/www.example.com"), "{synced:#?}");
    assert!(!synced.iter().any(|path| path.ends_with("certificate.json")), "{synced:#?}");
    assert!(synced.len() <= 14, "{}: {synced:#?}", synced.len());
}

#[test]
fn for_a_first_certificate() {
    let bench = Bench::new();
    // With an account there, as another certificate has it.
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let synced = synced(&bench, "mail.example.com");
    let at = |path: &str| synced.iter().position(|other| other == path);
    let draft = "certs/mail.example.com/generations/1.partial";
    // The settings go to the disk with the files that they are about, and both come into force before the last sync.
    let steps =
        [format!("{draft}/order.json"), format!("{draft}/cert.pem"), "certs/mail.example.com/new".into()];
    let steps = steps.map(|path| at(&path));
    assert!(steps.iter().all(Option::is_some) && steps.is_sorted(), "{synced:#?}");
    assert_eq!(synced.last().map(String::as_str), Some("certs/mail.example.com"), "{synced:#?}");
    // The folders are new themselves.
    assert!(at("certs").is_some_and(|certs| Some(certs) < steps[1]), "{synced:#?}");
    assert!(synced.len() <= 17, "{synced:#?}");
}

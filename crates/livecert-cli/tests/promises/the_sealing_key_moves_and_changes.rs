use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use testbed::{Keyring, Outcome, PAT};

use super::{Bench, document, expect, read, says};

/// A state folder with a sealed token and a sealed account key.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let plain = bench.livecert.clone();
    bench.livecert = bench.livecert.env("GANDI_PAT", PAT);
    let words = bench.words_without_credential(&["example.com"], &[]);
    expect(&bench.livecert.run(words).unwrap(), 0);
    bench.livecert = plain;
    bench
}

/// Everything that is sealed is needed for this.
fn renew(bench: &Bench) -> Outcome {
    bench.run(&["renew", "--force"])
}

fn state(bench: &Bench) -> Value {
    serde_json::from_str(&read(&bench.testbed.home().join("sealing.json"))).unwrap()
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// The files of the accounts.
fn accounts(home: &Path) -> Vec<String> {
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let folder = home.join("accounts");
    let mut files: Vec<String> =
        names(&folder).iter().flat_map(|server| names(&folder.join(server))).collect();
    files.sort();
    files
}

#[test]
fn a_new_key_seals_everything_anew_where_the_old_one_was_or_elsewhere() {
    let bench = bench();
    let home = bench.testbed.home();
    let (old, record) = (read(&home.join("sealing.key")), bench.cert("example.com").join("certificate.json"));
    let before = read(&record);
    let rotated = bench.run(&["secret", "rotate", "--json"]);
    expect(&rotated, 0);
    assert_eq!(document(&rotated)["sealed"], 2);
    assert_ne!(read(&home.join("sealing.key")), old);
    assert_ne!(read(&record), before);
    expect(&renew(&bench), 0);

    let elsewhere = bench.testbed.folder().join("kept apart.key");
    let to = format!("file:{}", elsewhere.display());
    let there = bench.run(&["secret", "rotate", "--key-lost", "--to", &to]);
    expect(&there, 2);
    says(&there, &["is not lost", &home.join("sealing.key").display().to_string(), "without --key-lost"]);
    assert!(!elsewhere.exists());
    let rotated = bench.run(&["secret", "rotate", "--to", &to, "--json"]);
    expect(&rotated, 0);
    assert_eq!(document(&rotated)["sealed"], 2);
    assert!(!home.join("sealing.key").exists());
    assert_eq!(std::fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(state(&bench)["source"], to);
    expect(&renew(&bench), 0);

    // What somebody has who has a copy of the state folder alone.
    let copied = bench.testbed.folder().join("copy");
    copy(&home, &copied);
    let kept = std::fs::read(&elsewhere).unwrap();
    std::fs::remove_file(&elsewhere).unwrap();
    let thief = bench.livecert.clone().at(&copied);
    let missing = thief.run(["renew", "--force"]).unwrap();
    expect(&missing, 1);
    says(
        &missing,
        &[
            "there is no sealing key",
            "the account key for",
            "GandiPAT of example.com",
            "--key-lost",
            "certificates",
        ],
    );
    assert!(!elsewhere.exists() && !copied.join("sealing.key").exists());
    std::fs::write(&elsewhere, &old).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = thief.run(["renew", "--force"]).unwrap();
    expect(&wrong, 1);
    says(
        &wrong,
        &["is not the one of this state folder", &elsewhere.display().to_string(), "move this one away"],
    );
    expect(&thief.run(["secret", "rotate", "--key-lost"]).unwrap(), 2);

    // Gone for good: another account, and the token again.
    std::fs::remove_file(&elsewhere).unwrap();
    let nowhere = ["secret", "rotate", "--key-lost", "--to", "file:/no such folder/key"];
    expect(&thief.run(nowhere).unwrap(), 1);
    assert_eq!(accounts(&copied), accounts(&home));
    let given_up = thief.run(["secret", "rotate", "--key-lost", "--json"]).unwrap();
    expect(&given_up, 0);
    assert_eq!(document(&given_up)["unreadable"].as_array().unwrap().len(), 2);
    let words = bench.words(&["example.com"], &["--force"]);
    expect(&thief.run(words).unwrap(), 0);
    std::fs::write(&elsewhere, kept).unwrap();
    // The new one was made for the copy; this home has its own again.
    expect(&renew(&bench), 0);
}

#[test]
fn it_can_be_in_the_keyring() {
    let mut bench = bench();
    let keyring = Keyring::start(bench.testbed.folder()).unwrap();
    let without = bench.livecert.clone().env("XDG_RUNTIME_DIR", bench.testbed.folder().join("nobody"));
    bench.livecert = bench.livecert.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let to = "keyring:livecert/sealing";
    expect(&bench.run(&["secret", "rotate", "--to", to]), 0);
    assert!(!bench.testbed.home().join("sealing.key").exists());
    let key = keyring.lookup("livecert", "sealing").unwrap().unwrap();
    expect(&renew(&bench), 0);
    expect(&bench.run(&["secret", "rotate"]), 0);
    assert_ne!(keyring.lookup("livecert", "sealing").unwrap().unwrap(), key);
    expect(&renew(&bench), 0);
    let nowhere = without.run(["renew", "--force"]).unwrap();
    expect(&nowhere, 1);
    says(&nowhere, &[to, "no keyring (Secret Service)"]);
}

#[test]
fn a_credential_of_systemd_is_waited_for() {
    let bench = bench();
    let home = bench.testbed.home();
    let waiting = bench.run(&["secret", "rotate", "--to", "systemd-cred:sealing"]);
    expect(&waiting, 0);
    says(&waiting, &["systemd-creds encrypt --name=sealing", "not in force yet"]);
    expect(&renew(&bench), 0);
    // Asked again, it is the same key that waits.
    let next = read(&home.join("sealing.key.next"));
    expect(&bench.run(&["secret", "rotate"]), 0);
    assert_eq!(read(&home.join("sealing.key.next")), next);

    let credentials = bench.testbed.folder().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("sealing"), &next).unwrap();
    let unit = bench.livecert.clone().env("CREDENTIALS_DIRECTORY", &credentials);
    expect(&unit.run(["renew", "--force"]).unwrap(), 0);
    assert_eq!(state(&bench)["source"], "systemd-cred:sealing");
    assert!(!home.join("sealing.key").exists() && !home.join("sealing.key.next").exists());
    let outside = renew(&bench);
    expect(&outside, 1);
    says(&outside, &["systemd-cred:sealing", "LoadCredential"]);
}

/// What a rotation changes: the key, where it is, and what is sealed with it.
fn on_disk(bench: &Bench) -> Vec<Option<Vec<u8>>> {
    let home = bench.testbed.home();
    let server = std::fs::read_dir(home.join("accounts")).unwrap().next().unwrap().unwrap().path();
    let files = [home.join("sealing.json"), home.join("sealing.key"), server.join("1/account.json")];
    let record = bench.cert("example.com").join("certificate.json");
    files.iter().chain([&record]).map(|file| std::fs::read(file).ok()).collect()
}

#[test]
fn a_killed_rotation_loses_nothing_and_a_running_renewal_is_waited_for() {
    let bench = bench();
    for step in 0..12 {
        let mut child = bench.livecert.spawn(["secret", "rotate"]).unwrap();
        // Somewhere on its way: after the first change on disk, after the second, and so on to its end.
        let (mut seen, mut changes) = (on_disk(&bench), 0);
        while changes < step && child.try_wait().unwrap().is_none() {
            let now = on_disk(&bench);
            changes += u32::from(now != seen);
            seen = now;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let words = ["account", "export", "--server", &bench.testbed.pebble().directory()];
        let exported = bench.run(&words);
        expect(&exported, 0);
        assert!(exported.stdout.contains("PRIVATE KEY"));
    }
    // One more name, which the CA has not seen proved yet.
    let words = bench.words_without_credential(&["example.com", "mail.example.com"], &[]);
    let mut renewal = bench.livecert.clone().env("GANDI_PAT", PAT).spawn(words).unwrap();
    bench.until_something_is_written_at("_acme-challenge.mail", &mut renewal);
    expect(&bench.run(&["secret", "rotate"]), 0);
    assert!(renewal.wait().unwrap().success());
    expect(&renew(&bench), 0);
}

#[test]
fn a_copied_state_folder_leaves_the_key_of_the_original_alone() {
    let bench = bench();
    let home = bench.testbed.home();
    let copied = bench.testbed.folder().join("copied");
    copy(&home, &copied);
    let elsewhere = bench.livecert.clone().at(&copied);
    let key = read(&home.join("sealing.key"));
    expect(&elsewhere.run(["secret", "rotate"]).unwrap(), 0);
    assert_eq!(read(&home.join("sealing.key")), key);
    assert_ne!(read(&copied.join("sealing.key")), key);
    expect(&renew(&bench), 0);
    expect(&elsewhere.run(["renew", "--force"]).unwrap(), 0);
    // And one that was moved.
    let moved = bench.testbed.folder().join("moved");
    std::fs::rename(&home, &moved).unwrap();
    expect(&bench.livecert.clone().at(&moved).run(["renew", "--force"]).unwrap(), 0);
}

#[test]
fn a_place_that_cannot_be_written_is_not_tried_for_ever() {
    let bench = bench();
    let nowhere = format!("file:{}", bench.testbed.folder().join("no/such/folder/key").display());
    expect(&bench.run(&["secret", "rotate", "--to", &nowhere]), 1);
    expect(&bench.run(&["secret", "rotate"]), 0);
    expect(&renew(&bench), 0);
}

#[test]
fn status_sees_that_the_key_is_missing_or_another_one() {
    let bench = bench();
    // The token's end is another matter.
    let told = || {
        let status = document(&bench.run(&["status", "--json"]));
        let problems = status["problems"].as_array().unwrap().clone();
        problems.into_iter().find(|problem| problem["kind"] == "sealing-key")
    };
    assert_eq!(told(), None);
    let key = bench.testbed.home().join("sealing.key");
    let right = read(&key);
    std::fs::remove_file(&key).unwrap();
    let missing = bench.run(&["status"]);
    expect(&missing, 4);
    says(&missing, &["there is no sealing key in file:", "--sealing-key"]);
    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(told().unwrap()["what"].as_str().unwrap().contains("is not the one"), "{:?}", told());
    std::fs::write(&key, right).unwrap();
    assert_eq!(told(), None);
}

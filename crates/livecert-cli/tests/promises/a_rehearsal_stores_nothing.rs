use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::{PAT, Pebble, PebbleOptions};

use super::a_killed_run_is_swept::let_time_pass;
use super::{Bench, document, expect, read, says};

/// Production, and its staging twin over the same DNS.
fn twins(options: &PebbleOptions) -> (Bench, Pebble) {
    let bench = Bench::counting();
    let twin = bench.testbed.another_pebble(options).unwrap();
    (bench, twin)
}

fn dry(twin: &Pebble) -> String {
    format!("--dry-run={}", twin.directory())
}

type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// Everything in the state folder with modes and contents, but for the journal and the locks.
fn tree(bench: &Bench) -> Tree {
    let mut tree = Tree::new();
    collect(&bench.testbed.home(), &mut tree);
    tree.retain(|path, _| {
        !path.components().any(|part| ["journal", "locks"].iter().any(|name| part.as_os_str() == *name))
    });
    tree
}

fn collect(folder: &Path, tree: &mut Tree) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let contents = if metadata.is_symlink() {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if metadata.is_dir() {
            collect(&path, tree);
            Vec::new()
        } else {
            std::fs::read(&path).unwrap()
        };
        tree.insert(path, (metadata.permissions().mode(), contents));
    }
}

/// The same, but for what is made with a state folder: its key and its folders, with nothing in them.
fn things(bench: &Bench) -> Tree {
    let home = bench.testbed.home();
    let made = ["sealing.key", "sealing.json", "certs", "accounts"].map(|name| home.join(name));
    let mut tree = tree(bench);
    tree.retain(|path, _| !made.contains(path));
    tree
}

fn issuer(bench: &Bench, cert: &str) -> String {
    let shown = document(&bench.run(&["show", cert, "--json"]));
    shown["issuer"].as_str().unwrap().to_owned()
}

#[test]
fn from_nothing_all_is_done_at_the_twin() {
    let (bench, twin) = twins(&PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() });
    let words = bench.words(&["example.com", "*.example.com"], &[&dry(&twin), "--json"]);
    let rehearsed = bench.livecert.run(&words).unwrap();
    expect(&rehearsed, 0);
    let rehearsed = document(&rehearsed);
    assert_eq!((&rehearsed["result"], &rehearsed["proved"]), (&"rehearsed".into(), &2.into()));
    assert_eq!(rehearsed["names"], serde_json::json!(["example.com", "*.example.com"]));
    assert_eq!(rehearsed["twin"], twin.directory());
    let steps: Vec<_> = rehearsed["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["ordered", "published", "propagated", "validated", "issued"]);
    // What was made for it has ended at the twin: the account's URL has got the last request.
    assert_eq!(rehearsed["account"], "deactivated");
    let last = twin.requests().pop().unwrap();
    assert!(last.contains("/my-account/"), "{last}");

    assert_eq!(bench.testbed.pebble().requests(), [""; 0]);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert_eq!(things(&bench), Tree::new());

    // The same words without --dry-run.
    let words: Vec<_> = words.into_iter().filter(|word| !word.starts_with("--dry-run")).collect();
    let issued = bench.livecert.run(words).unwrap();
    expect(&issued, 0);
    assert_eq!(document(&issued)["certificate"]["generation"], 1);
}

#[test]
fn a_stored_certificate_is_rehearsed_with_what_is_stored() {
    let (bench, twin) = twins(&PebbleOptions::default());
    expect(&bench.issue(&["www.example.com"], &["--cert-name", "web", "--key-type", "ec-384"]), 0);
    let (before, asked) = (tree(&bench), bench.testbed.pebble().requests().len());

    // No terms, no plugin, no token: all that is stored.
    let renewed = bench.run(&["renew", "web", &dry(&twin)]);
    expect(&renewed, 0);
    says(&renewed, &["REHEARSED at https://", "Nothing was stored", "in all"]);
    let more = ["issue", "www.example.com", "new.example.com", "--cert-name", "web", "--json", &dry(&twin)];
    let more = bench.run(&more);
    expect(&more, 0);
    assert_eq!(document(&more)["names"], serde_json::json!(["www.example.com", "new.example.com"]));
    let all = bench.run(&["renew", &dry(&twin), "--json"]);
    expect(&all, 0);
    assert_eq!(document(&all)["certificates"][0]["result"], "rehearsed");

    assert_eq!(tree(&bench), before);
    assert_eq!(bench.testbed.pebble().requests().len(), asked);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn an_account_at_the_twin_is_used_and_each_time_everything_is_proved() {
    let (bench, twin) = twins(&PebbleOptions { authz_reuse: 100, ..PebbleOptions::default() });
    let at_twin = ["account", "new", "--server", &twin.directory(), "--accept-tos"];
    expect(&bench.run(&at_twin), 0);
    let before = tree(&bench);
    for _ in 0..2 {
        let rehearsed = bench.issue(&["www.example.com"], &[&dry(&twin), "--json"]);
        expect(&rehearsed, 0);
        let rehearsed = document(&rehearsed);
        assert_eq!((&rehearsed["account"], &rehearsed["proved"]), (&"stored".into(), &1.into()));
    }
    assert_eq!(tree(&bench), before);
    let status = bench.run(&["account", "show", "--server", &twin.directory(), "--json"]);
    assert!(status.stdout.contains("\"valid\""), "{}", status.stdout);
}

#[test]
fn also_when_it_fails() {
    let (bench, twin) = twins(&PebbleOptions::default());
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let (before, asked) = (tree(&bench), bench.testbed.pebble().requests().len());
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    let blind = ["--propagation", "sleep", "--dns-sleep", "1ms", "--force", &dry(&twin)];
    let failed = bench.issue(&["www.example.com"], &blind);
    expect(&failed, 1);
    says(&failed, &["the rehearsal failed; nothing was stored", "refused www.example.com"]);
    assert_eq!(tree(&bench), before);
    assert_eq!(bench.testbed.pebble().requests().len(), asked);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    let last = twin.requests().pop().unwrap();
    assert!(last.contains("/my-account/"), "the account of a failed rehearsal is left: {last}");
}

#[test]
fn also_when_it_is_killed_and_the_next_run_sweeps() {
    let (bench, twin) = twins(&PebbleOptions::default());
    bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
    // The token is in nothing but the journal, sealed.
    let words = bench.words_without_credential(&["example.com"], &[&dry(&twin)]);
    let mut child = bench.livecert.clone().env("GANDI_PAT", PAT).spawn(words).unwrap();
    bench.until_something_is_written(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();

    let left = bench.testbed.home().join("rehearsal@example.com");
    assert!(left.join("certs/example.com/generations/1.partial/privkey.pem").exists());
    let mode = std::fs::metadata(&left).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let mut kept = things(&bench);
    kept.retain(|path, _| !path.starts_with(&left));
    assert_eq!(kept, Tree::new());

    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert!(!left.exists());
    let_time_pass(&bench);
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(super::a_killed_run_is_swept::journals(&bench), 0);
    assert_eq!(bench.testbed.pebble().requests(), [""; 0]);
}

#[test]
fn where_it_would_be_real_it_is_refused() {
    let bench = Bench::new();
    let home = bench.testbed.pebble().directory();
    let refused = bench.issue(&["www.example.com"], &["--dry-run", "--json"]);
    expect(&refused, 2);
    let refused = document(&refused);
    assert_eq!(refused["error"]["kind"], "no-staging-server");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--dry-run=https://"));
    for real in ["LE_PROD", home.as_str()] {
        let refused = bench.issue(&["www.example.com"], &[&format!("--dry-run={real}")]);
        expect(&refused, 2);
        says(&refused, &["is no staging server"]);
    }
    expect(&bench.issue(&["www.example.com"], &["--dry-run=LE_STAG"]), 2);
    let mut plan = bench.words(&["www.example.com"], &["--dry-run=LE_STAGE"]);
    plan[0] = "plan".to_owned();
    expect(&bench.livecert.run(plan).unwrap(), 2);
    expect(&bench.run(&["renew", "nothing.example", "--dry-run"]), 2);
    assert_eq!(bench.testbed.pebble().requests(), [""; 0]);
}

#[test]
fn hooks_are_looked_for_and_not_run() {
    let (bench, twin) = twins(&PebbleOptions::default());
    let ran = bench.testbed.folder().join("ran");
    let hook = format!("touch {}", ran.display());
    let all = ["--pre-hook", &hook, "--deploy-hook", &hook, "--post-hook", &hook, &dry(&twin)];
    expect(&bench.issue(&["www.example.com"], &all), 0);
    assert!(!ran.exists(), "a rehearsal has run a hook");
    let asked = twin.requests().len();
    let missing = ["--deploy-hook", "/nothing/like/this --reload", &dry(&twin)];
    let refused = bench.issue(&["www.example.com"], &missing);
    expect(&refused, 2);
    says(&refused, &["the deploy hook '/nothing/like/this --reload' cannot be run", "no such program"]);
    assert_eq!(twin.requests().len(), asked);
    assert_eq!(things(&bench), Tree::new());
}

#[test]
fn a_twin_that_wants_an_external_account_says_so() {
    let (bench, twin) = twins(&PebbleOptions { external_account: true, ..PebbleOptions::default() });
    let refused = bench.issue(&["www.example.com"], &[&dry(&twin)]);
    expect(&refused, 2);
    says(&refused, &["makes accounts only with an external account binding", &twin.directory()]);
    let account = Pebble::external_account();
    let key = bench.testbed.secret_file("eab", &account.hmac_key).unwrap();
    let key = format!("file:{}", key.display());
    let bound = ["--eab-kid", &account.kid, "--eab-hmac-key", &key, &dry(&twin)];
    expect(&bench.issue(&["www.example.com"], &bound), 0);
    assert_eq!(things(&bench), Tree::new());
}

#[test]
fn in_whatever_order_what_is_served_is_from_production() {
    let (bench, twin) = twins(&PebbleOptions::default());
    expect(&bench.issue(&["first.example.com"], &[]), 0);
    let production = issuer(&bench, "first.example.com");
    let dry = dry(&twin);
    let orders = orders();
    assert_eq!(orders.len(), 12);
    for (number, order) in orders.iter().enumerate() {
        let cert = format!("cert{number}");
        for step in order {
            let outcome = match step {
                Step::Rehearse => bench.issue(&["www.example.com"], &["--cert-name", &cert, &dry]),
                Step::Issue => bench.issue(&["www.example.com"], &["--cert-name", &cert]),
                // Before there is one, there is none to renew.
                Step::Renew if !bench.cert(&cert).exists() => continue,
                Step::Renew => bench.run(&["renew", &cert, "--force"]),
            };
            expect(&outcome, 0);
            if bench.cert(&cert).exists() {
                assert_eq!(issuer(&bench, &cert), production, "{order:?}");
                let record = read(&bench.cert(&cert).join("certificate.json"));
                assert!(!record.contains(&twin.directory()), "{record}");
            }
        }
    }
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
}

#[test]
fn at_the_same_time_too() {
    let (bench, twin) = twins(&PebbleOptions::default());
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let production = issuer(&bench, "www.example.com");
    let dry = dry(&twin);
    let all = [
        &["renew", "--force"][..],
        &["renew", &dry],
        &["renew", "www.example.com", "--force"],
        &["renew", &dry],
    ];
    let children: Vec<_> = all.iter().map(|words| bench.livecert.spawn(*words).unwrap()).collect();
    for child in children {
        expect(&child.wait_with_output().unwrap().into(), 0);
    }
    assert_eq!(issuer(&bench, "www.example.com"), production);
    assert_eq!(bench.testbed.gandi().zone("example.com").len(), 0);
    assert!(!bench.testbed.home().join("rehearsal@www.example.com").exists());
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Rehearse,
    Issue,
    Renew,
}

/// All orders of two rehearsals, an issue and a renewal.
fn orders() -> Vec<[Step; 4]> {
    let mut orders = Vec::new();
    for issue in 0..4 {
        for renew in (0..4).filter(|renew| *renew != issue) {
            let mut order = [Step::Rehearse; 4];
            order[issue] = Step::Issue;
            order[renew] = Step::Renew;
            orders.push(order);
        }
    }
    orders
}

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use testbed::{API_KEY, Keyring, Livecert, Outcome, PAT};

use super::{Bench, expect, read};

/// Secrets that nobody lets in, so that every path of an error sees them too.
const IN_FILE: &str = "c4narYfromAfi1ec4narYfromAfi1ec4narYfrom";
const IN_LINES: [&str; 2] =
    ["c4narYofSevera1linesc4narYofSevera1lines", "c4narYsecondlinec4narYsecondlinec4narYse"];
const IN_ENVIRONMENT: &str = "c4narYfromEnvc4narYfromEnvc4narYfromEnvc";
const FROM_COMMAND: &str = "c4narYfromCmdc4narYfromCmdc4narYfromCmdc";
const IN_KEYRING: &str = "c4narYfromRingc4narYfromRingc4narYfromRi";
const INSECURE: &str = "c4narYinsecurec4narYinse1";
const HMAC: &str = "YzRuYXJZb2ZFQUJjNG5hcllvZkVBQmM0bmFyWW9mRUFC";
const PFX: &str = "c4narYofThePfx";
/// Given as an argument by mistake.
const LITERAL: &str = "c4narYbyMistakec4narYbyMistakec4narYbyMi";

/// Every command, with words that let it run as far as it can in this test. A new command needs a row here.
fn table(bench: &Bench, canary: &Path) -> Vec<(&'static str, Vec<String>)> {
    let directory = bench.testbed.pebble().directory();
    let gandi = format!("--plugin gandi --plugin-arg GandiPAT=file:{}", canary.display());
    let api = format!("--plugin-arg GandiApiBaseUrl={}", bench.testbed.simulator().api_base_url());
    let addresses = bench.testbed.simulator().dns_addrs();
    let dns = format!("{gandi} {api} --authoritative {}", addresses[0]);
    let server = format!("--server {directory}");
    let units = bench.testbed.folder().join("units");
    let unit_dir = format!("--unit-dir {}", units.display());
    let at_home = bench.testbed.folder().join("another client");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::create_dir_all(&at_home).unwrap();
    let key = bench.testbed.folder().join("imported.pem");
    let declared = bench.testbed.folder().join("declared.toml");
    let text = format!(
        "[credential.x]\nplugin = 'gandi'\nGandiPAT = '{LITERAL}'\n[[certificate]]\nnames = ['example.com']\n"
    );
    std::fs::write(&declared, text).unwrap();
    let all: &[(&str, String)] = &[
        ("issue", format!("new.example.com --force {server} --accept-tos {dns}")),
        ("renew", "example.com --force".into()),
        ("apply", format!("--config {}", declared.display())),
        ("config check", format!("{}", declared.display())),
        ("config schema", String::new()),
        ("check", format!("example.com {server} {dns}")),
        ("plan", format!("example.com {server} {dns}")),
        ("list", String::new()),
        ("status", "--max-age 1h".into()),
        ("plugin list", String::new()),
        ("plugin show", "gandi".into()),
        ("plugin args", "example.com".into()),
        ("explain", "refused".into()),
        ("completions", "bash".into()),
        ("man", "issue".into()),
        ("show", "example.com".into()),
        ("files", "example.com".into()),
        ("rollback", "example.com".into()),
        ("remove", "example.com".into()),
        ("set", format!("example.com --pfx-password file:{}", bench.testbed.folder().join("pfx").display())),
        ("import", format!("certbot {}/no-such-folder --plan", at_home.display())),
        ("dns add", format!("_acme-challenge.example.com value {dns}")),
        ("dns remove", format!("_acme-challenge.example.com value {dns}")),
        ("dns sweep", String::new()),
        ("token check", format!("{gandi} {api}")),
        ("token renew", format!("{gandi} {api}")),
        ("timer install", format!("{unit_dir} --no-enable")),
        ("timer show", unit_dir.clone()),
        ("timer remove", unit_dir.clone()),
        ("secret rotate", String::new()),
        ("revoke", "no.example.com".into()),
        ("limits", String::new()),
        ("server list", String::new()),
        ("server add", format!("{directory} --name canary")),
        ("server update", "canary --name canary2".into()),
        ("server use", "LE_PROD".into()),
        ("server remove", "canary2".into()),
        ("server show", server.clone()),
        ("server profiles", server.clone()),
        ("account list", String::new()),
        ("account show", server.clone()),
        (
            "account new",
            format!(
                "{server} --accept-tos --key-file {} --eab-kid kid --eab-hmac-key env:HMAC",
                key.display()
            ),
        ),
        ("account update", format!("{server} --contact a@example.com")),
        ("account rollover", format!("{server} --key-file {}", key.display())),
        (
            "account export",
            format!("{server} --output-file {}", bench.testbed.folder().join("exported.pem").display()),
        ),
        ("account use", "nobody".into()),
        ("account remove", "nobody --force".into()),
        ("account deactivate", "--server https://localhost:1/dir".into()),
        ("authz list", String::new()),
        ("authz new", format!("example.com {server}")),
        ("authz deactivate", format!("https://localhost:1/authz {server}")),
        ("challenge key-auth", format!("token {server}")),
        ("challenge account-label", server.clone()),
        ("challenge respond", "example.com".into()),
        ("challenge publish", format!("example.com token {server} {dns}")),
        ("challenge unpublish", format!("example.com token {server} {dns}")),
        ("challenge listen", "--listen 127.0.0.1:0 --timeout 1s".into()),
        ("order list", String::new()),
        ("order new", format!("steps.example.com {server} --accept-tos {dns}")),
        ("order show", "steps.example.com".into()),
        ("order solve", "steps.example.com".into()),
        ("order finalize", "steps.example.com".into()),
        ("order download", "steps.example.com".into()),
        ("order remove", "steps.example.com".into()),
        ("persist publish", format!("example.com {server} {dns}")),
        ("persist unpublish", format!("example.com {server} {dns}")),
        ("persist show", format!("example.com --authoritative {}", addresses[0])),
    ];
    all.iter().map(|(name, words)| (*name, words.split_whitespace().map(str::to_owned).collect())).collect()
}

/// The commands that the program has, from its own help.
fn commands(livecert: &Livecert, above: &[&str]) -> BTreeSet<String> {
    let help = livecert.run(above.iter().copied().chain(["--help"])).unwrap().stdout;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return [above.join(" ")].into() };
    let section = listed.split("\n\n").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = rows.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.flat_map(|name| commands(livecert, &[above, &[name]].concat())).collect()
}

/// The forms in which a secret may slip through.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    // The last characters of base64 depend on what follows.
    let cut = |text: String| text[..text.len() - 2].to_owned();
    let (standard, safe) = (STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret));
    vec![secret.to_owned(), hex.to_uppercase(), hex, url, cut(standard), cut(safe)]
}

/// A line out of the middle of a key's PEM.
fn line_of(pem: &str) -> String {
    pem.lines().nth(1).unwrap().to_owned()
}

#[test]
fn in_no_output_and_no_file_whatever_happens() {
    let mut bench = Bench::new();
    let folder = bench.testbed.folder().to_owned();
    let keyring = Keyring::start(&folder).unwrap();
    keyring.store("livecert", "canary", IN_KEYRING).unwrap();
    let (home, scratch) = (bench.testbed.home(), folder.join("scratch"));
    std::fs::create_dir(&scratch).unwrap();
    let canary = bench.testbed.secret_file("canary", &format!("{IN_FILE}\n")).unwrap();
    let lines = bench.testbed.secret_file("lines", &IN_LINES.join("\n")).unwrap();
    bench.testbed.secret_file("pfx", PFX).unwrap();
    let imported = rcgen::KeyPair::generate().unwrap().serialize_pem();
    bench.testbed.secret_file("imported.pem", &imported).unwrap();
    bench.livecert = bench.livecert.clone().env("HOME", &scratch).env("TMPDIR", &scratch);
    // What a hook gets is this, without the credential.
    let for_hook = bench.livecert.clone().env("GANDI_PAT", IN_ENVIRONMENT);
    bench.livecert = bench.livecert.clone().env("DBUS_SESSION_BUS_ADDRESS", keyring.address());

    let mut shown = Vec::new();
    let mut keep = |words: &str, outcome: Outcome| {
        assert!(outcome.status.is_some_and(|status| status <= 4), "{words}: {outcome:?}");
        shown.push((words.to_owned(), outcome.stdout + &outcome.stderr));
    };

    // What is there: one certificate with a sealed key, one whose token is asked for elsewhere, hooks that say all they know.
    let seen = folder.join("seen by the hook");
    let hook =
        format!("env | tee -a '{0}'; tr '\\0' '\\n' < /proc/$PPID/cmdline >> '{0}'; exit 1", seen.display());
    let mut words = bench.words_without_credential(&["example.com"], &["--deploy-hook", &hook, "-vv"]);
    words.extend(["--plugin-arg".to_owned(), format!("GandiTokenInsecure={API_KEY}")]);
    keep("issue with a hook", for_hook.run(&words).unwrap());
    keep("issue once more", bench.issue(&["www.example.com"], &["-vv", "--log-format", "json"]));

    // Each source, at each depth of the log.
    for (at, source) in [
        format!("GandiPAT=file:{}", canary.display()),
        format!("GandiPAT=file:{}", lines.display()),
        "GandiPAT=env:CANARY".to_owned(),
        format!("GandiPAT=cmd:printf {}%s {}; exit 0", &FROM_COMMAND[..20], &FROM_COMMAND[20..]),
        format!("GandiToken=cmd:printf {}%s {}; exit 3", &FROM_COMMAND[..20], &FROM_COMMAND[20..]),
        "GandiPAT=keyring:livecert/canary".to_owned(),
        format!("GandiTokenInsecure={INSECURE}"),
        format!("GandiPAT={LITERAL}"),
        LITERAL.to_owned(),
        format!("GandiTTL={LITERAL}"),
        format!("GandiPTA={LITERAL}"),
        format!("GandiApiBaseUrl={LITERAL}"),
    ]
    .iter()
    .enumerate()
    {
        let more: &[&str] = match at % 3 {
            0 => &["-vv", "--json", "--log-format", "json"],
            1 => &["-vv"],
            _ => &["-q"],
        };
        let mut words = bench.words_without_credential(&["mail.example.com"], more);
        words.extend(["--plugin-arg".to_owned(), source.clone()]);
        keep(source, bench.livecert.clone().env("CANARY", IN_ENVIRONMENT).run(&words).unwrap());
    }

    // Those of another credential, which has a label.
    for (at, source) in [
        format!("shop:GandiPAT=file:{}", canary.display()),
        "gandi@shop:GandiPAT=env:CANARY".to_owned(),
        format!("shop:GandiPAT=cmd:printf {}%s {}; exit 3", &FROM_COMMAND[..20], &FROM_COMMAND[20..]),
        format!("shop:GandiTokenInsecure={INSECURE}"),
        format!("shop:GandiPAT={LITERAL}"),
        format!("shop:GandiPTA={LITERAL}"),
        format!("shop:{LITERAL}"),
        format!("{LITERAL}:GandiPAT=env:CANARY"),
        format!("shop:more:GandiPAT=x:{LITERAL}"),
    ]
    .iter()
    .enumerate()
    {
        let log: &[&str] = if at % 2 == 0 { &["-vv", "--json", "--log-format", "json"] } else { &["-vv"] };
        let more = [log, &["--zone", "example.com=shop"]].concat();
        let mut words = bench.words(&["shop.example.com"], &more);
        // A label inherits nothing, and Gandi itself is not to be asked.
        let api = bench.testbed.simulator().api_base_url();
        words.extend(["--plugin-arg".to_owned(), format!("shop:GandiApiBaseUrl={api}")]);
        words.extend(["--plugin-arg".to_owned(), source.clone()]);
        keep(source, bench.livecert.clone().env("CANARY", IN_ENVIRONMENT).run(&words).unwrap());
    }

    // A token in the place of something else.
    for words in [
        vec!["issue", LITERAL],
        vec!["issue", "example.com", "--server", LITERAL],
        vec!["issue", "example.com", "--plugin", LITERAL],
        vec!["issue", "example.com", "--key-type", LITERAL],
        vec!["issue", "example.com", "--eab-kid", "kid", "--eab-hmac-key", LITERAL],
        vec!["set", "example.com", "--pfx-password", LITERAL],
        vec!["--sealing-key", LITERAL, "renew"],
        vec!["secret", "rotate", "--to", LITERAL],
        vec!["renew", LITERAL],
        vec!["show", LITERAL],
        vec!["token", "check", LITERAL],
        vec![LITERAL],
    ] {
        for json in [false, true] {
            let all = words.iter().copied().chain(json.then_some("--json"));
            keep(&words.join(" "), bench.livecert.run(all).unwrap());
        }
    }

    // Every command, and each of them once more with nobody to talk to.
    let rows = table(&bench, &canary);
    let covered: BTreeSet<String> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> = commands(&bench.livecert, &[]).difference(&covered).cloned().collect();
    assert!(missing.is_empty(), "these commands need a row in the table of this test: {missing:?}");
    for (at, (name, words)) in rows.iter().enumerate() {
        let more = ["-vv", "--log-format", if at % 2 == 0 { "json" } else { "text" }];
        let json = (at % 3 == 0).then_some("--json");
        let all = || name.split(' ').chain(words.iter().map(String::as_str)).chain(more).chain(json);
        let mut livecert = bench.livecert.clone();
        // A variable that no certificate's source names is the user's own, and hooks see it.
        if words.iter().any(|word| word.contains("env:HMAC")) {
            livecert = livecert.env("HMAC", HMAC);
        }
        keep(name, livecert.run(all()).unwrap());
        let nowhere = livecert.trusting(&canary);
        keep(name, nowhere.run(all()).unwrap());
    }
    let record = bench.cert("www.example.com").join("certificate.json");
    let whole = read(&record);
    std::fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    keep("a damaged record", bench.run(&["renew", "www.example.com", "-vv"]));
    shown.push(("the hook".to_owned(), read(&seen)));

    let certificate_key = read(&bench.cert("example.com").join("current/privkey.pem"));
    let sealing_key = read(&home.join("sealing.key"));
    let mut secrets =
        vec![IN_FILE, IN_ENVIRONMENT, FROM_COMMAND, IN_KEYRING, INSECURE, HMAC, PFX, LITERAL, PAT, API_KEY];
    secrets.extend(IN_LINES);
    let (certificate_key, imported) = (line_of(&certificate_key), line_of(&imported));
    secrets.extend([certificate_key.as_str(), imported.as_str(), sealing_key.trim()]);
    for secret in secrets {
        for form in forms(secret) {
            for (words, text) in &shown {
                // Its own arguments are what a process is known by; no secret belongs there, and this one says so.
                let own = words == "the hook" && secret == API_KEY;
                assert!(own || !text.contains(&form), "{secret} after '{words}': {text}");
            }
            let own = |path: &PathBuf| {
                let name = path.file_name().unwrap().to_string_lossy();
                (secret == certificate_key && name == "privkey.pem")
                    || (secret == sealing_key.trim() && name == "sealing.key")
            };
            for place in [&home, &scratch] {
                let mut found = files_with(place, form.as_bytes());
                found.retain(|path| !own(path));
                assert!(found.is_empty(), "{secret}: {found:?}");
            }
        }
    }
    assert!(shown.iter().all(|(_, text)| !text.contains("PRIVATE KEY")));
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

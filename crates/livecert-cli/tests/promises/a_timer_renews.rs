use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::{Livecert, PAT};

use super::{Bench, binary, document, expect, read, says};

/// The most that `systemd-analyze security` may give the service, in tenths; docs/systemd.md quotes it.
const EXPOSURE: u32 = 22;

/// Installs into a folder for packages, which systemd is not told of.
fn install(bench: &Bench, livecert: &Livecert, more: &[&str]) -> PathBuf {
    let units = bench.testbed.folder().join("units");
    let mut words = vec!["timer", "install", "--unit-dir", units.to_str().unwrap()];
    words.extend(more);
    expect(&livecert.run(words).unwrap(), 0);
    units
}

/// What `systemd-analyze` says, and whether it is content.
fn analyze(words: &[&str], units: &[PathBuf]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(words).args(units).env("LC_ALL", "C.UTF-8").output();
    let output =
        output.unwrap_or_else(|error| panic!("systemd-analyze: {error} (`cargo xtask setup` installs it)"));
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.success(), said)
}

fn both(units: &Path) -> [PathBuf; 2] {
    ["livecert.service", "livecert.timer"].map(|name| units.join(name))
}

/// The values of a setting in a unit.
fn values(unit: &Path, setting: &str) -> Vec<String> {
    let prefix = format!("{setting}=");
    read(unit).lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

/// The words of a command line as systemd reads them (systemd.service(5)).
fn words_of(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => word.extend(chars.next()),
            '%' => assert_eq!(chars.next().inspect(|c| word.push(*c)), Some('%'), "a specifier in {line}"),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

#[test]
fn systemd_understands_what_is_written_whatever_the_paths_are() {
    let bench = Bench::new();
    // Beside the program, so that it can have a second name.
    let folder =
        tempfile::Builder::new().prefix("a b%s$HOME").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = folder.path().join("live %cert");
    std::fs::hard_link(binary(), &program).unwrap();
    let home = folder.path().join("100%% \"home\"\\");
    let odd = ["--credential", "pat=/etc/a b/50%.pat", "--writable", "/etc/x y/%h"];
    for program in [binary(), program] {
        let units = install(&bench, &bench.testbed.livecert(&program).at(&home), &odd);
        let [service, timer] = both(&units);
        let line = values(&service, "ExecStart").remove(0);
        assert_eq!(
            words_of(&line)[..3],
            [&format!(":{}", program.display()), "--home", home.to_str().unwrap()]
        );
        assert_eq!(analyze(&["verify"], &[service, timer]), (true, String::new()));
    }
}

#[test]
fn the_service_is_shut_in() {
    let bench = Bench::new();
    // A place like the usual one, and not what this machine may really have there.
    let usual = bench.livecert.clone().at(Path::new("/var/lib/livecert-of-nobody"));
    let words = ["timer", "show", "--json", "--unit-dir"];
    let shown =
        usual.command(words).arg(bench.testbed.folder()).env_remove("LIVECERT_CA_BUNDLE").output().unwrap();
    let shown = document(&shown.into());
    let service = bench.testbed.folder().join("livecert.service");
    let text = shown["units"][0]["text"].as_str().unwrap();
    // Units see the folder that their program is in, and the tests may be built in one that is hidden else.
    let shut = |line: &str| match line.split_once('=') {
        Some((option @ ("PrivateTmp" | "ProtectHome"), _)) => format!("{option}=yes\n"),
        _ => format!("{line}\n"),
    };
    std::fs::write(&service, text.lines().map(shut).collect::<String>()).unwrap();
    let threshold = format!("--threshold={EXPOSURE}");
    let (content, said) = analyze(&["security", "--offline=true", "--no-pager", &threshold], &[service]);
    assert!(content, "{said}");
    let level = format!("Overall exposure level for livecert.service: {}.{}", EXPOSURE / 10, EXPOSURE % 10);
    let docs = read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/systemd.md")));
    assert!(docs.contains(&level), "docs/systemd.md does not quote '{level}'");
}

#[test]
fn its_command_renews_with_the_credential_that_systemd_hands_over() {
    let bench = Bench::new();
    let credentials = bench.testbed.folder().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::rename(bench.testbed.secret_file("pat", PAT).unwrap(), credentials.join("gandi.pat")).unwrap();
    let mut words = bench.words_without_credential(&["www.example.com"], &[]);
    words.extend(["--plugin-arg", "GandiPAT=systemd-cred:gandi.pat"].map(str::to_owned));
    let with = bench.livecert.clone().env("CREDENTIALS_DIRECTORY", &credentials);
    expect(&with.run(words).unwrap(), 0);

    let units = bench.testbed.folder().join("units");
    let warned = bench.run(&["timer", "install", "--unit-dir", units.to_str().unwrap()]);
    expect(&warned, 0);
    says(&warned, &["www.example.com needs the credential 'gandi.pat'", "--credential gandi.pat=PATH"]);
    let source = credentials.join("gandi.pat");
    install(&bench, &bench.livecert, &["--credential", &format!("gandi.pat={}", source.display())]);
    let [service, _] = both(&units);
    assert_eq!(values(&service, "LoadCredential"), [format!("gandi.pat:{}", source.display())]);

    let words = words_of(&values(&service, "ExecStart")[0]);
    let run = |words: &[String]| {
        let mut command = Command::new(words[0].strip_prefix(':').unwrap());
        command.args(&words[1..]).env_clear().env("CREDENTIALS_DIRECTORY", &credentials);
        command.output().unwrap().into()
    };
    let idle = run(&words);
    expect(&idle, 0);
    says(&idle, &["not due"]);
    expect(&run(&[&words[..], &["--force".to_owned()]].concat()), 0);
    let shown = document(&bench.run(&["show", "www.example.com", "--json"]));
    assert_eq!(shown["generation"], 2);
    // Without systemd there is no credential, and that is said.
    let failed = bench.run(&["renew", "--force"]);
    expect(&failed, 1);
    says(&failed, &["LoadCredential="]);
}

#[test]
fn what_the_store_needs_is_in_the_units_or_told() {
    let bench = Bench::new();
    let cert = bench.cert("example.com");
    std::fs::create_dir_all(&cert).unwrap();
    let record = serde_json::json!({
        "version": 3, "names": ["example.com"], "server": "https://ca.example/directory", "key_type": "ec-256",
        "plugin": "webroot", "plugin_args": {"WRPath": "/var/www/html"}, "validation_timeout": 60,
    });
    std::fs::write(cert.join("certificate.json"), record.to_string()).unwrap();
    let sealing = serde_json::json!({"version": 1, "source": "keyring:livecert/key", "key": "id"});
    std::fs::write(bench.testbed.home().join("sealing.json"), sealing.to_string()).unwrap();
    let units = bench.testbed.folder().join("units");
    let words = ["timer", "install", "--unit-dir", units.to_str().unwrap()];
    let installed = bench.run(&words);
    expect(&installed, 0);
    says(&installed, &["the sealing key needs keyring:livecert/key", "has no keyring"]);
    let writable = values(&both(&units)[0], "ReadWritePaths").remove(0);
    assert!(writable.split(' ').any(|path| path == "-/var/www/html"), "{writable}");
    let of_user = bench.run(&[&words[..], &["--user", "--json"]].concat());
    assert_eq!(document(&of_user)["out_of_reach"], serde_json::json!([]));
}

#[test]
fn what_somebody_changed_is_left_alone() {
    let bench = Bench::new();
    let units = install(&bench, &bench.livecert, &["--on-calendar", "hourly"]);
    let [service, timer] = both(&units);
    assert_eq!(values(&timer, "OnCalendar"), ["hourly"]);
    let dir = units.to_str().unwrap();
    let shown =
        document(&bench.run(&["timer", "show", "--json", "--unit-dir", dir, "--on-calendar", "hourly"]));
    assert_eq!(
        (&shown["units"][0]["state"], &shown["units"][1]["as_wished"]),
        (&"installed".into(), &true.into())
    );

    let mine = read(&service).replace("UMask=0077", "UMask=0027");
    std::fs::write(&service, &mine).unwrap();
    for command in ["install", "remove"] {
        let refused = bench.run(&["timer", command, "--unit-dir", dir, "--json"]);
        expect(&refused, 2);
        let message = document(&refused)["error"]["message"].to_string();
        assert!(message.contains("was changed by hand") && message.contains("--force"), "{message}");
    }
    assert_eq!((read(&service), values(&timer, "OnCalendar")), (mine, vec!["hourly".to_owned()]));

    expect(&bench.run(&["timer", "install", "--unit-dir", dir, "--force"]), 0);
    assert_eq!(values(&timer, "OnCalendar"), ["*-*-* 00/4:00:00"]);
    expect(&bench.run(&["timer", "remove", "--unit-dir", dir]), 0);
    assert!(!service.exists() && !timer.exists());
    says(&bench.run(&["timer", "remove", "--unit-dir", dir]), &["There are no units of livecert"]);
}

#[test]
fn words_that_systemd_would_not_take_are_refused() {
    let bench = Bench::new();
    let dir = bench.testbed.folder().to_str().unwrap().to_owned();
    for (wrong, why) in [
        (["--on-calendar", "every full moon"], "is no time for a timer"),
        (["--credential", "gandi"], "is no credential for a unit"),
        (["--writable", "/etc/a\nb"], "cannot be written into a unit file"),
    ] {
        let refused = bench.run(&["timer", "install", "--unit-dir", &dir, wrong[0], wrong[1]]);
        expect(&refused, 2);
        says(&refused, &[why]);
    }
    assert!(!bench.testbed.folder().join("livecert.service").exists());
}

use std::os::unix::fs::PermissionsExt;

use testbed::{API_KEY, LIMITED_PAT, PAT};

use super::{Bench, document, expect, read};

fn issue_with(bench: &Bench, arguments: &[&str]) -> testbed::Outcome {
    let mut words = bench.words_without_credential(&["www.example.com"], &["--force"]);
    words.extend(arguments.iter().flat_map(|argument| ["--plugin-arg".to_owned(), (*argument).to_owned()]));
    bench.livecert.run(words).unwrap()
}

#[test]
fn a_token_and_a_legacy_key_from_every_source() {
    let mut bench = Bench::new();
    let key = bench.testbed.secret_file("key", API_KEY).unwrap();
    let credentials = bench.testbed.folder().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::copy(&bench.token, credentials.join("gandi")).unwrap();
    bench.livecert = bench.livecert.env("A_PAT", PAT).env("CREDENTIALS_DIRECTORY", &credentials);
    for argument in [
        format!("GandiPAT=file:{}", bench.token.display()),
        "GandiPAT=env:A_PAT".to_owned(),
        format!("GandiPAT=cmd:cat {}", bench.token.display()),
        "GandiPAT=systemd-cred:gandi".to_owned(),
        format!("GandiToken=file:{}", key.display()),
    ] {
        let outcome = issue_with(&bench, &[&argument]);
        expect(&outcome, 0);
        assert!(!outcome.stderr.contains("deprecated"), "{}", outcome.stderr);
    }
    let requests = bench.testbed.gandi().requests();
    assert_eq!(requests.last().unwrap().credential, "api-key");
    assert!(requests.iter().any(|request| request.credential == "pat"));
}

#[test]
fn a_token_from_the_keyring_is_read_when_it_is_needed() {
    let mut bench = Bench::new();
    let keyring = testbed::Keyring::start(bench.testbed.folder()).unwrap();
    let argument = ["GandiPAT=keyring:livecert/gandi"];

    // A server, which has no keyring.
    let nowhere = bench.testbed.folder().join("nobody");
    bench.livecert = bench.livecert.env("XDG_RUNTIME_DIR", &nowhere);
    let none = issue_with(&bench, &argument);
    expect(&none, 2);
    super::says(&none, &["no keyring (Secret Service)", "file:PATH", "systemd-cred:NAME"]);

    bench.livecert = bench.livecert.env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let missing = issue_with(&bench, &argument);
    expect(&missing, 2);
    super::says(&missing, &["the keyring has nothing for livecert/gandi", "secret-tool store"]);
    assert_eq!(bench.testbed.pebble().requests().len(), 0);

    keyring.store("livecert", "gandi", &format!("{PAT}\n")).unwrap();
    expect(&issue_with(&bench, &argument), 0);
    expect(&bench.run(&["renew", "--force"]), 0);
    let record = read(&bench.cert("www.example.com").join("certificate.json"));
    assert!(record.contains("keyring:livecert/gandi") && !record.contains("livecert-seal"), "{record}");

    // Nobody is asked to unlock it: with nobody there, that question would be open for ever.
    keyring.lock().unwrap();
    let locked = bench.run(&["renew", "--force"]);
    expect(&locked, 1);
    super::says(&locked, &["the keyring is locked", "unlock it"]);
}

#[test]
fn the_insecure_parameter_works_and_says_what_to_use_instead() {
    let bench = Bench::new();
    let outcome = issue_with(&bench, &[&format!("GandiTokenInsecure={API_KEY}")]);
    expect(&outcome, 0);
    assert!(outcome.stderr.contains("GandiTokenInsecure is deprecated"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("GandiToken=file:PATH"), "{}", outcome.stderr);
    // The renewal has it, sealed.
    expect(&bench.run(&["renew", "--force"]), 0);
    assert!(!read(&bench.cert("www.example.com").join("certificate.json")).contains(API_KEY));
}

#[test]
fn the_environment_serves_where_no_argument_does() {
    let mut bench = Bench::new();
    bench.livecert = bench.livecert.env("GANDI_PAT_FILE", &bench.token);
    expect(&issue_with(&bench, &[]), 0);
    let without = bench.testbed.livecert(&super::binary());
    // A renewal in an environment without it: the file is known.
    expect(&without.run(["renew", "--force"]).unwrap(), 0);

    let from_variable = without.clone().env("GANDI_PAT", PAT);
    let mut words = bench.words_without_credential(&["mail.example.com"], &[]);
    expect(&from_variable.run(&words).unwrap(), 0);
    // The variable's value is sealed, and serves without the variable.
    expect(&without.run(["renew", "mail.example.com", "--force"]).unwrap(), 0);
    assert!(!read(&bench.cert("mail.example.com").join("certificate.json")).contains(PAT));

    words[1] = "new.example.com".to_owned();
    let nothing = without.run(&words).unwrap();
    expect(&nothing, 2);
    for way in ["GANDI_PAT", "GANDI_PAT_FILE", "GANDI_TOKEN", "GANDI_TOKEN_FILE", "GandiPAT=file:PATH"] {
        assert!(nothing.stderr.contains(way), "{way}: {}", nothing.stderr);
    }
}

#[test]
fn a_secret_file_that_is_wrong_is_explained_before_any_request() {
    let bench = Bench::new();
    let path = bench.token.display().to_string();
    let argument = format!("GandiPAT=file:{path}");
    let explain = |part: &str| {
        let outcome = issue_with(&bench, &[&argument]);
        expect(&outcome, 2);
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    };
    std::fs::set_permissions(&bench.token, std::fs::Permissions::from_mode(0o644)).unwrap();
    explain(&format!("chmod 600 '{path}'"));
    std::fs::set_permissions(&bench.token, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&bench.token, "\n").unwrap();
    explain("is empty");
    std::fs::remove_file(&bench.token).unwrap();
    explain("cannot be read");
    assert_eq!(bench.testbed.pebble().requests().len(), 0);
    assert_eq!(bench.testbed.gandi().requests().len(), 0);
}

#[test]
fn gandis_refusals_are_told_apart() {
    let bench = Bench::new();
    let refused = |secret: &str, parameter: &str| {
        let file = bench.testbed.secret_file("other", secret).unwrap();
        let argument = format!("{parameter}=file:{}", file.display());
        let mut words = bench.words_without_credential(&["www.example.com"], &["--json"]);
        words.extend(["--plugin-arg".to_owned(), argument]);
        let outcome = bench.livecert.run(words).unwrap();
        expect(&outcome, 1);
        let error = document(&outcome)["error"].clone();
        assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret));
        (error["kind"].as_str().unwrap().to_owned(), error["hint"].as_str().unwrap().to_owned())
    };
    let (kind, hint) = refused("nosuchtoken", "GandiPAT");
    assert_eq!(kind, "gandi-forbidden");
    assert!(hint.contains("Manage domain name technical configurations"), "{hint}");
    assert_eq!(refused("nosuchkey000000000000000", "GandiToken").0, "gandi-unauthorized");
    let (kind, hint) = refused(LIMITED_PAT, "GandiPAT");
    assert_eq!(kind, "gandi-no-zone");
    assert!(hint.contains("limited to other domains"), "{hint}");
    // The two kinds mixed up.
    assert!(refused(PAT, "GandiToken").1.contains("give it as GandiPAT"));
    assert!(refused(API_KEY, "GandiPAT").1.contains("give it as GandiToken"));
    // No order was made for any of them.
    assert!(!bench.testbed.pebble().requests().iter().any(|request| request.contains("order-plz")));
}

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::Outcome;

use super::{Bench, document, expect, read, says, signal};

/// How many orders Pebble has seen.
pub(super) fn orders(bench: &Bench) -> usize {
    bench.testbed.pebble().requests().iter().filter(|request| request.ends_with("/order-plz")).count()
}

/// A hook that notes its runs, and how often it ran.
struct Hook {
    notes: PathBuf,
    command: String,
}

impl Hook {
    /// One that notes what `words` print, and then does `more`.
    fn new(bench: &Bench, name: &str, words: &str, more: &str) -> Self {
        let notes = bench.testbed.folder().join(name);
        let command = format!("echo {words} >> '{}'; {more}", notes.display());
        Hook { notes, command }
    }

    fn runs(&self) -> Vec<String> {
        let notes = std::fs::read_to_string(&self.notes).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }
}

pub(super) fn pending(bench: &Bench, cert: &str) -> Value {
    let state: Value = serde_json::from_str(&read(&bench.cert(cert).join("deployment.json"))).unwrap();
    state["pending"].clone()
}

/// Makes the last try of a deployment older, so that its time has come again.
pub(super) fn let_time_pass(bench: &Bench, cert: &str) {
    let path = bench.cert(cert).join("deployment.json");
    let mut state: Value = serde_json::from_str(&read(&path)).unwrap();
    state["pending"]["last_attempt"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&path, state.to_string()).unwrap();
}

#[track_caller]
fn one(outcome: &Outcome) -> Value {
    document(outcome)["certificates"][0].clone()
}

#[test]
fn a_hook_that_fails_twice_is_run_three_times_for_one_order() {
    let bench = Bench::counting();
    let marks = bench.testbed.folder().join("marks");
    let more = format!("echo x >> '{0}'; echo sorry >&2; test $(wc -l < '{0}') -ge 3", marks.display());
    let hook = Hook::new(&bench, "runs", "$LIVECERT_GENERATION", &more);
    let first = bench.issue(&["www.example.com"], &["--deploy-hook", &hook.command]);
    expect(&first, 1);
    says(&first, &["issued (generation 1), and not deployed", "exit status 1", "it said: sorry", "next:"]);
    assert!(bench.cert("www.example.com").join("current/cert.pem").exists());
    says(&bench.run(&["list"]), &["valid, not deployed"]);
    says(&bench.run(&["show", "www.example.com"]), &["not deployed, tried once", "next try after"]);

    // Its time has not come; that it is not deployed is said all the same.
    let early = bench.run(&["renew", "--json"]);
    expect(&early, 1);
    let early = one(&early);
    assert_eq!((&early["result"], &early["error"]["kind"]), (&"failed".into(), &"not-deployed".into()));
    assert_eq!(early["error"]["deployment"]["attempts"], 1);
    assert_eq!(hook.runs().len(), 1);

    let_time_pass(&bench, "www.example.com");
    expect(&bench.run(&["renew"]), 1);
    assert_eq!(pending(&bench, "www.example.com")["attempts"], 2);
    // A person who names it need not wait.
    let third = bench.run(&["renew", "www.example.com", "--json"]);
    expect(&third, 0);
    assert_eq!(one(&third)["result"], "not-due");
    assert_eq!(hook.runs(), ["1", "1", "1"]);
    assert_eq!(orders(&bench), 1);
    assert_eq!(pending(&bench, "www.example.com"), Value::Null);
    let shown = document(&bench.run(&["show", "www.example.com", "--json"]));
    assert_eq!(
        (&shown["deployment"]["state"], &shown["deployment"]["generation"]),
        (&"deployed".into(), &1.into())
    );
    expect(&bench.run(&["renew", "www.example.com"]), 0);
    assert_eq!(hook.runs().len(), 3);
}

#[test]
fn a_run_that_was_killed_in_its_hook_is_taken_up_without_an_order() {
    let bench = Bench::counting();
    let begun = bench.testbed.folder().join("begun");
    let (block, id) = (bench.testbed.folder().join("block"), bench.testbed.folder().join("id"));
    std::fs::write(&block, "").unwrap();
    let more = format!(
        "echo $$ > '{}'; echo > '{}'; while test -e '{}'; do sleep 0.02; done",
        id.display(),
        begun.display(),
        block.display()
    );
    let hook = Hook::new(&bench, "runs", "$LIVECERT_GENERATION", &more);
    let words = bench.words(&["www.example.com"], &["--deploy-hook", &hook.command]);
    let mut child = bench.livecert.spawn(words).unwrap();
    while !begun.exists() {
        assert_eq!(child.try_wait().unwrap(), None, "livecert has ended before its hook");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&block).unwrap();
    assert_eq!(pending(&bench, "www.example.com")["generation"], 1);
    says(&bench.run(&["list"]), &["valid, not deployed"]);

    // No failure of the hook is known, so there is nothing to wait for.
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(hook.runs(), ["1", "1"]);
    assert_eq!(orders(&bench), 1);
    assert_eq!(pending(&bench, "www.example.com"), Value::Null);
}

#[test]
fn a_hook_that_comes_later_is_for_the_next_certificate() {
    let bench = Bench::counting();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    assert!(!bench.cert("www.example.com").join("deployment.json").exists());
    let hook = Hook::new(&bench, "runs", "$LIVECERT_GENERATION", "true");
    expect(&bench.issue(&["www.example.com"], &["--deploy-hook", &hook.command]), 0);
    expect(&bench.run(&["renew", "www.example.com"]), 0);
    assert_eq!(hook.runs().len(), 0);
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(hook.runs(), ["2"]);

    // But where something waits, it is for that too.
    expect(&bench.issue(&["www.example.com"], &["--force", "--deploy-hook", "false"]), 1);
    expect(&bench.issue(&["www.example.com"], &["--deploy-hook", &hook.command]), 0);
    assert_eq!(hook.runs(), ["2", "3"]);
    expect(&bench.issue(&["www.example.com"], &["--force", "--deploy-hook", ""]), 0);
    assert_eq!((hook.runs().len(), orders(&bench)), (2, 4));
}

#[test]
fn hooks_have_the_facts_and_no_credential() {
    let bench = Bench::new();
    let facts = bench.testbed.folder().join("facts");
    std::fs::create_dir(&facts).unwrap();
    let hook = |kind: &str| format!("env > '{0}/{kind}.env'; cat > '{0}/{kind}.json'", facts.display());
    let mut words = bench.words_without_credential(
        &["www.example.com", "*.example.com"],
        &["--deploy-hook", &hook("deploy"), "--pre-hook", &hook("pre"), "--post-hook", &hook("post")],
    );
    words.extend(["--plugin-arg".to_owned(), "GandiPAT=env:MY_PAT".to_owned()]);
    let livecert = bench.livecert.clone().env("MY_PAT", testbed::PAT).env("GANDI_TOKEN", testbed::API_KEY);
    let livecert = livecert.env("LIVECERT_ROLLBACK", "1").env("MINE", "stays");
    let key = format!("file:{}", bench.testbed.folder().join("key").display());
    // The folder of the state is said in a word, and the hook's livecert has to find it in a variable.
    let livecert = livecert.env("LIVECERT_SEALING_KEY", &key).env("LIVECERT_HOME", "/nowhere");
    words.extend(["--home".to_owned(), bench.testbed.home().display().to_string()]);
    expect(&livecert.run(words).unwrap(), 0);

    let variables = |kind: &str| read(&facts.join(format!("{kind}.env")));
    let json =
        |kind: &str| serde_json::from_str::<Value>(&read(&facts.join(format!("{kind}.json")))).unwrap();
    for kind in ["pre", "deploy", "post"] {
        let all = variables(kind);
        for secret in [testbed::PAT, testbed::API_KEY] {
            assert!(!all.contains(secret), "{kind}: {all}");
        }
        assert!(all.contains("MINE=stays") && all.contains(&format!("LIVECERT_HOOK={kind}\n")), "{all}");
        assert!(!all.contains("LIVECERT_ROLLBACK"), "{all}");
        assert!(all.contains(&format!("LIVECERT_HOME={}\n", bench.testbed.home().display())), "{all}");
        assert!(all.contains("LIVECERT_SEALING_KEY=file:"), "{all}");
        assert_eq!(json(kind)["hook"], kind);
    }
    let (all, document) = (variables("deploy"), json("deploy"));
    let variable = |name: &str| {
        let line = all.lines().find_map(|line| line.strip_prefix(&format!("LIVECERT_{name}=")));
        line.unwrap_or_else(|| panic!("LIVECERT_{name} is not in {all}")).to_owned()
    };
    assert_eq!(variable("CERT"), "www.example.com");
    let mut names: Vec<_> = variable("NAMES").split(' ').map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["*.example.com", "www.example.com"]);
    assert_eq!((variable("GENERATION").as_str(), &document["generation"]), ("1", &1.into()));
    assert_eq!(variable("SERVER"), bench.testbed.pebble().directory());
    let files = [
        ("CERT_FILE", "cert"),
        ("KEY_FILE", "privkey"),
        ("CHAIN_FILE", "chain"),
        ("FULLCHAIN_FILE", "fullchain"),
    ];
    for (name, what) in files {
        let path = variable(name);
        assert!(Path::new(&path).exists(), "{path}");
        assert_eq!(document["files"][what], path);
    }
    let shown = super::document(&bench.run(&["show", "www.example.com", "--json"]));
    for (name, what) in [("SERIAL", "serial"), ("NOT_BEFORE", "not_before"), ("NOT_AFTER", "not_after")] {
        assert_eq!((&shown[what], &document[what]), (&variable(name).into(), &variable(name).into()));
    }
    assert_eq!(variable("FOLDER"), bench.cert("www.example.com").join("current").to_str().unwrap());
    let post = variables("post");
    assert!(post.lines().any(|line| line == "LIVECERT_RENEWED=www.example.com"), "{post}");
    assert!(post.lines().any(|line| line == "LIVECERT_FAILED="), "{post}");
    assert_eq!(json("post")["renewed"][0]["serial"], document["serial"]);
    assert_eq!(json("pre")["generation"], Value::Null);
}

#[test]
fn one_reload_serves_all_certificates_of_a_run() {
    let bench = Bench::new();
    let pre = Hook::new(&bench, "pre", "$LIVECERT_CERT", "true");
    let post = Hook::new(&bench, "post", "\"$LIVECERT_RENEWED/$LIVECERT_FAILED\"", "true");
    let more = ["--pre-hook", &pre.command, "--post-hook", &post.command];
    for name in ["www.example.com", "mail.example.com"] {
        expect(&bench.issue(&[name], &more), 0);
    }
    // Nothing is due.
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(
        (pre.runs().len(), post.runs()),
        (2, vec!["www.example.com/".into(), "mail.example.com/".into()])
    );

    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(pre.runs().len(), 3);
    let renewed = post.runs().pop().unwrap();
    assert!(renewed.contains("www.example.com") && renewed.contains("mail.example.com"), "{renewed}");
    assert_eq!(post.runs().len(), 3);
}

#[test]
fn what_a_pre_hook_has_stopped_comes_back_whatever_happens() {
    let bench = Bench::new();
    let pre = Hook::new(&bench, "pre", "$LIVECERT_CERT", "true");
    let post = Hook::new(&bench, "post", "\"$LIVECERT_RENEWED/$LIVECERT_FAILED\"", "true");
    let more = ["--pre-hook", &pre.command, "--post-hook", &post.command];
    let mut words = bench.words(&["www.example.com"], &more);
    let server = words.iter().position(|word| *word == bench.testbed.pebble().directory()).unwrap();
    words[server] = "https://localhost:1/dir".to_owned();
    let elsewhere = bench.livecert.run(words).unwrap();
    expect(&elsewhere, 1);
    assert_eq!((pre.runs().len(), post.runs()), (1, vec!["/www.example.com".to_owned()]));

    // What is wrong before the first request concerns no web server.
    expect(
        &bench.run(&["issue", "www.example.com", "--plugin", "gandi", "--plugin-arg", "GandiPAT=file:/none"]),
        2,
    );
    assert_eq!(pre.runs().len(), 1);

    // A pre hook that fails keeps the CA from being asked.
    let requests = bench.testbed.pebble().requests().len();
    let refused =
        bench.issue(&["www.example.com"], &["--post-hook", &post.command, "--pre-hook", "echo busy; exit 4"]);
    expect(&refused, 1);
    says(&refused, &["the CA was not asked", "exit status 4", "it said: busy"]);
    assert_eq!(bench.testbed.pebble().requests().len(), requests);
    assert_eq!(post.runs().len(), 2);
}

#[test]
fn a_service_that_does_not_come_back_is_no_success() {
    let bench = Bench::new();
    let (pre, post) = (bench.testbed.folder().join("pre"), bench.testbed.folder().join("post"));
    std::fs::write(&pre, "").unwrap();
    std::fs::write(&post, "").unwrap();
    let (pre_hook, post_hook) =
        (format!("test -e '{}'", pre.display()), format!("test -e '{}'", post.display()));
    let more = ["--pre-hook", &pre_hook, "--post-hook", &post_hook];
    expect(&bench.issue(&["www.example.com"], &more), 0);
    // Both fail, so there is no new certificate, and a post hook that is owed.
    std::fs::remove_file(&pre).unwrap();
    std::fs::remove_file(&post).unwrap();
    expect(&bench.run(&["renew", "--force"]), 1);

    let again = bench.run(&["renew", "--json"]);
    expect(&again, 1);
    let again = one(&again);
    assert_eq!((&again["result"], &again["error"]["kind"]), (&"failed".into(), &"post-hook".into()));
    let status = bench.run(&["status", "--json"]);
    expect(&status, 4);
    let status = document(&status);
    assert_eq!(status["problems"][0]["kind"], "not-deployed", "{status}");
    assert_eq!(status["certificates"][0]["deployed"], false, "{status}");

    std::fs::write(&post, "").unwrap();
    expect(&bench.run(&["renew"]), 0);
    let status = document(&bench.run(&["status", "--json"]));
    assert_eq!(status["certificates"][0]["deployed"], true, "{status}");

    // A damaged file beside the certificate is told, and hides nothing.
    let path = bench.cert("www.example.com").join("deployment.json");
    std::fs::write(&path, "{").unwrap();
    let status = document(&bench.run(&["status", "--json"]));
    assert_eq!(status["problems"][0]["kind"], "damaged", "{status}");
    assert_eq!(status["certificates"][0]["name"], "www.example.com", "{status}");
}

#[test]
fn a_killed_run_does_not_leave_a_service_stopped() {
    let bench = Bench::new();
    let begun = bench.testbed.folder().join("begun");
    let pre = Hook::new(&bench, "pre", "pre", &format!("echo > '{}'; sleep 30", begun.display()));
    let post = Hook::new(&bench, "post", "post", "true");
    expect(&bench.issue(&["www.example.com"], &["--post-hook", &post.command]), 0);
    assert_eq!(post.runs().len(), 1);
    let words = bench.words(&["www.example.com"], &["--force", "--pre-hook", &pre.command]);
    for how in ["KILL", "TERM"] {
        let mut child = bench.livecert.spawn(&words).unwrap();
        while !begun.exists() {
            assert_eq!(child.try_wait().unwrap(), None, "livecert has ended before its hook");
            std::thread::yield_now();
        }
        std::fs::remove_file(&begun).unwrap();
        signal(&child, how);
        child.wait().unwrap();
    }
    // Whoever stops it has not made it fail.
    assert!(!bench.cert("www.example.com").join("failures.json").exists());
    // The second run has owed both.
    assert_eq!(post.runs().len(), 2);
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(post.runs().len(), 2);
}

#[test]
fn a_folder_of_executables_is_for_all_certificates() {
    let bench = Bench::new();
    let notes = bench.testbed.folder().join("notes");
    for kind in ["pre", "deploy", "post"] {
        let folder = bench.testbed.home().join("hooks").join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["20-b", "10-a"] {
            let text = format!("#!/bin/sh\necho \"$LIVECERT_HOOK {name}\" >> '{}'\n", notes.display());
            std::fs::write(folder.join(name), text).unwrap();
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    for name in ["30-no-program", "40-backup~", ".50-hidden"] {
        std::fs::write(bench.testbed.home().join("hooks/deploy").join(name), "").unwrap();
    }
    let own = Hook { notes: notes.clone(), command: format!("echo own >> '{}'", notes.display()) };
    let issued = bench.issue(&["www.example.com"], &["--deploy-hook", &own.command]);
    expect(&issued, 0);
    says(&issued, &["not executable", "30-no-program"]);
    assert!(!issued.stderr.contains("backup") && !issued.stderr.contains("hidden"), "{}", issued.stderr);
    let expected = ["pre 10-a", "pre 20-b", "deploy 10-a", "deploy 20-b", "own", "post 10-a", "post 20-b"];
    assert_eq!(own.runs(), expected);
}

#[test]
fn a_hook_that_takes_too_long_is_ended() {
    let bench = Bench::new();
    let slow = bench.issue(&["www.example.com"], &["--deploy-hook", "sleep 60", "--hook-timeout", "1s"]);
    expect(&slow, 1);
    says(&slow, &["it did not end within 1 s"]);
    let record = read(&bench.cert("www.example.com").join("certificate.json"));
    assert!(record.contains("\"hook_timeout\": 1"), "{record}");
}

/// The generation that is current.
fn current(bench: &Bench) -> u32 {
    let link = std::fs::read_link(bench.cert("www.example.com").join("current")).unwrap();
    link.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn new_settings_are_for_the_generation_that_waits_and_not_for_the_one_in_its_place() {
    let bench = Bench::counting();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let not_2 = ["--force", "--rollback-on-failure", "--deploy-hook", "test $LIVECERT_GENERATION != 2"];
    expect(&bench.issue(&["www.example.com"], &not_2), 1);
    assert_eq!(current(&bench), 1);
    let waiting = read(&bench.cert("www.example.com").join("generations/2/cert.pem"));

    // What cannot be done leaves everything as it was.
    let impossible = ["set", "www.example.com", "--pfx-password", "file:/nowhere"];
    assert_ne!(bench.run(&impossible).status, Some(0));
    assert_eq!((current(&bench), pending(&bench, "www.example.com")["generation"].clone()), (1, 2.into()));

    expect(&bench.run(&["set", "www.example.com", "--format", "bundle"]), 0);
    assert_eq!(read(&bench.cert("www.example.com").join("current/cert.pem")), waiting);
    assert_eq!((current(&bench), pending(&bench, "www.example.com")), (3, Value::Null));
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(orders(&bench), 2);
}

#[test]
fn it_goes_back_to_what_was_deployed_and_damage_holds_nothing_up() {
    let bench = Bench::counting();
    let only_1 = "test $LIVECERT_GENERATION = 1";
    expect(&bench.issue(&["www.example.com"], &["--deploy-hook", only_1]), 0);
    expect(&bench.run(&["renew", "--force"]), 1);
    assert_eq!(current(&bench), 2);
    let third = bench.issue(&["www.example.com"], &["--force", "--rollback-on-failure"]);
    expect(&third, 1);
    says(&third, &["generation 1 is made current again"]);
    let state = pending(&bench, "www.example.com");
    assert_eq!(
        (current(&bench), &state["previous"], &state["returned_to"]["done"]),
        (1, &1.into(), &true.into())
    );
    let end = document(&bench.run(&["show", "www.example.com", "--json"]))["not_after"].clone();
    assert_eq!(state["in_use_until"], end);

    // What waits cannot be used, so that nothing waits.
    std::fs::remove_file(bench.cert("www.example.com").join("generations/3/generation.json")).unwrap();
    expect(&bench.run(&["renew", "www.example.com"]), 0);
    assert_eq!((current(&bench), pending(&bench, "www.example.com")), (1, Value::Null));

    std::fs::write(bench.cert("www.example.com").join("deployment.json"), "{").unwrap();
    expect(&bench.issue(&["www.example.com"], &["--force", "--deploy-hook", "true"]), 0);
    assert_eq!(pending(&bench, "www.example.com"), Value::Null);
}

#[test]
fn a_way_back_that_was_interrupted_is_gone_to_its_end() {
    let bench = Bench::counting();
    let begun = bench.testbed.folder().join("begun");
    let hook = format!("test $LIVECERT_GENERATION = 2 && exit 1; echo > '{}'; sleep 30", begun.display());
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let words = ["--force", "--rollback-on-failure", "--deploy-hook", &hook];
    let mut child = bench.livecert.spawn(bench.words(&["www.example.com"], &words)).unwrap();
    while !begun.exists() {
        assert_eq!(child.try_wait().unwrap(), None, "livecert has ended before its hook");
        std::thread::yield_now();
    }
    signal(&child, "TERM");
    child.wait().unwrap();
    assert_eq!(pending(&bench, "www.example.com")["returned_to"]["done"], false);
}

#[test]
fn a_hook_that_works_on_its_own_certificate_fails_at_once() {
    let bench = Bench::new();
    let hook = format!("'{}' renew www.example.com", super::binary().display());
    let own = bench.issue(&["www.example.com"], &["--deploy-hook", &hook, "--hook-timeout", "20s"]);
    expect(&own, 1);
    says(&own, &["is being worked on", "a hook cannot work on a certificate of its own run"]);
}

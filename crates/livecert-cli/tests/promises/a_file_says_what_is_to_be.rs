use serde_json::Value;

use super::{Bench, document, expect, read, says};

/// A bench with a state folder, and the beginning of a file for its servers.
struct Declared {
    bench: Bench,
    head: String,
}

impl Declared {
    fn new() -> Self {
        let bench = Bench::counting();
        std::fs::create_dir(bench.testbed.home()).unwrap();
        let addresses = bench.testbed.simulator().dns_addrs();
        let head = format!(
            "[defaults]\nserver = \"{}\"\naccept-tos = true\ncontact = [\"ops@example.com\"]\ncredential = \"gandi\"\n\
             authoritative = \"{}\"\n\n[credential.gandi]\nplugin = \"gandi\"\nGandiPAT = \"file:{}\"\nGandiApiBaseUrl = \"{}\"\n\n",
            bench.testbed.pebble().directory(),
            addresses[0],
            bench.token.display(),
            bench.testbed.simulator().api_base_url(),
        );
        Declared { bench, head }
    }

    fn write(&self, certificates: &str) {
        std::fs::write(
            self.bench.testbed.home().join("livecert.toml"),
            format!("{}{certificates}", self.head),
        )
        .unwrap();
    }

    /// What is planned, which asks nobody and changes nothing; and then what is done.
    #[track_caller]
    fn apply(&self, status: i32) -> Vec<(String, String)> {
        let asked = self.requests();
        let plan = self.bench.run(&["apply", "--plan", "--json"]);
        expect(&plan, 0);
        assert_eq!(self.requests(), asked);
        let applied = self.bench.run(&["apply", "--json"]);
        expect(&applied, status);
        let (planned, done) = (document(&plan), document(&applied));
        let of = |document: &Value, key: &str| {
            let all = document["certificates"].as_array().unwrap().iter();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            all.map(|one| (text(&one["name"]), text(&one[key]))).collect::<Vec<_>>()
        };
        let done = of(&done, "result");
        let same = |step: &str| match step {
            "keep" => "kept",
            "restore" => "restored",
            "issue" | "reissue" => "issued",
            "change" => "changed",
            "archive" => "archived",
            other => panic!("{other}"),
        };
        if status == 0 {
            let planned = of(&planned, "step").into_iter().map(|(name, step)| (name, same(&step).to_owned()));
            assert_eq!(planned.collect::<Vec<_>>(), done);
        }
        done
    }

    fn requests(&self) -> usize {
        self.bench.testbed.pebble().requests().len()
    }

    fn orders(&self) -> usize {
        self.bench.testbed.pebble().requests().iter().filter(|one| one.contains("order-plz")).count()
    }
}

fn cert(names: &str, more: &str) -> String {
    format!("[[certificate]]\nnames = [{names}]\n{more}\n")
}

fn pairs(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter().map(|(name, result)| (name.as_str(), result.as_str())).collect()
}

#[test]
fn and_apply_makes_it_so() {
    let it = Declared::new();
    let by_hand = it.bench.words(&["hand.example.com"], &[]);
    let (a, b, c) = (cert("'a.example.com'", ""), cert("'b.example.com'", ""), cert("'c.example.com'", ""));
    it.write(&format!("{a}{b}{c}"));
    expect(&it.bench.livecert.run(by_hand).unwrap(), 0);
    let orders = it.orders();
    let done = it.apply(0);
    assert_eq!(
        pairs(&done),
        [("a.example.com", "issued"), ("b.example.com", "issued"), ("c.example.com", "issued")]
    );
    assert_eq!(it.orders() - orders, 3);

    // Once more, and nobody is asked.
    let asked = it.requests();
    assert!(it.apply(0).iter().all(|(_, result)| result == "kept"));
    says(&it.bench.run(&["apply"]), &["0 issued, 0 changed, 3 as before, 0 failed"]);
    says(&it.bench.run(&["apply", "--plan"]), &["Nothing to do: all is as it is written in the file."]);
    assert_eq!(it.requests(), asked);

    // Other names: one order, and the same paths, also where the new name is the first one.
    let more_a = cert("'www.a.example.com', 'a.example.com'", "");
    let hook_b = cert("'b.example.com'", "deploy-hook = 'true'\nowner = ''\n");
    it.write(&format!("{more_a}{hook_b}{c}"));
    let orders = it.orders();
    says(
        &it.bench.run(&["apply", "--plan"]),
        &["reissue  names (+www.a.example.com)", "change   deployment.deploy hook", "1 as written"],
    );
    let done = it.apply(0);
    assert_eq!(
        pairs(&done),
        [("a.example.com", "issued"), ("b.example.com", "changed"), ("c.example.com", "kept")]
    );
    assert_eq!(it.orders() - orders, 1);
    assert!(it.bench.cert("a.example.com").join("generations/2").exists());
    let record = read(&it.bench.cert("b.example.com").join("certificate.json"));
    assert!(record.contains("\"deploy_hook\": \"true\""), "{record}");

    // What is not written any more goes out of the way, whole; what was made by hand stays.
    it.write(&format!("{more_a}{b}"));
    let asked = it.requests();
    let done = it.apply(0);
    assert_eq!(
        pairs(&done),
        [("a.example.com", "kept"), ("b.example.com", "changed"), ("c.example.com", "archived")]
    );
    assert!(!it.bench.cert("c.example.com").exists());
    let archived = it.bench.testbed.home().join("archive/c.example.com");
    let key = read(&archived.join("current/privkey.pem"));
    assert!(it.bench.cert("hand.example.com").join("current/cert.pem").exists());
    // The hook that is not written any more is not stored any more.
    let record = read(&it.bench.cert("b.example.com").join("certificate.json"));
    assert!(!record.contains("deploy_hook"), "{record}");

    // And comes back without an order.
    it.write(&format!("{more_a}{b}{c}"));
    let done = it.apply(0);
    assert_eq!(pairs(&done)[2], ("c.example.com", "restored"));
    assert_eq!(read(&it.bench.cert("c.example.com").join("current/privkey.pem")), key);
    assert!(!archived.exists());
    assert_eq!(it.requests(), asked);
    assert!(it.apply(0).iter().all(|(_, result)| result == "kept"));
    expect(&it.bench.run(&["renew", "c.example.com", "--force"]), 0);
    assert!(it.apply(0).iter().all(|(_, result)| result == "kept"));
}

#[test]
fn and_what_was_made_by_hand_can_be_taken_over() {
    let it = Declared::new();
    expect(&it.bench.issue(&["a.example.com"], &["--deploy-hook", "true"]), 0);
    it.write(&cert("'a.example.com'", ""));
    let asked = it.requests();
    let plan = it.bench.run(&["apply", "--plan"]);
    says(&plan, &["a.example.com  change", "made by hand, and taken over", "deployment.deploy hook"]);
    assert_eq!(pairs(&it.apply(0)), [("a.example.com", "changed")]);
    assert_eq!(it.requests(), asked);
    // Who changes it by hand is told where it is written.
    let set = it.bench.run(&["set", "a.example.com", "--deploy-hook", "false"]);
    expect(&set, 0);
    says(
        &set,
        &[
            "note: a.example.com is declared in ",
            "livecert.toml: the next `livecert apply` makes it as it is written",
        ],
    );
    assert_eq!(pairs(&it.apply(0)), [("a.example.com", "changed")]);
    // Another file has no business with it.
    let other = it.bench.testbed.folder().join("other.toml");
    std::fs::write(&other, &it.head).unwrap();
    let other = other.display().to_string();
    says(&it.bench.run(&["apply", "--config", &other]), &["The file has no certificates."]);
    assert!(it.bench.cert("a.example.com").exists());
    let unknown = it.bench.run(&["apply", "b.example.com"]);
    expect(&unknown, 2);
    says(&unknown, &["has no certificate named 'b.example.com'", "did you mean a.example.com?"]);
}

#[test]
fn and_one_failure_does_not_stop_the_rest() {
    let it = Declared::new();
    let bad = cert("'b.example.com'", "plugin = 'gandi'\nplugin-arg = { GandiPAT = 'file:/nowhere/pat' }\n");
    let lost = cert("'x.example.com'", "csr = '/nowhere/x.csr'\n");
    it.write(&format!("{}{bad}{lost}{}", cert("'a.example.com'", ""), cert("'c.example.com'", "")));
    // What the plan knows to fail, its exit status says.
    let plan = it.bench.run(&["apply", "--plan"]);
    expect(&plan, 3);
    says(&plan, &["x.example.com  fail"]);
    expect(&it.bench.run(&["apply", "--plan", "x.example.com"]), 1);
    let done = it.bench.run(&["apply"]);
    expect(&done, 3);
    says(
        &done,
        &[
            "2 issued, 0 changed, 0 as before, 2 failed",
            "GandiPAT cannot be read",
            "/nowhere/x.csr cannot be read",
        ],
    );
    // It waits as a renewal does, and is tried at once where it is named.
    let again = it.bench.run(&["apply", "--json"]);
    expect(&again, 3);
    assert_eq!(document(&again)["totals"]["kept"], 2);
}

#[test]
fn and_a_broken_file_changes_nothing() {
    let it = Declared::new();
    it.write(&cert("'a.example.com'", ""));
    assert_eq!(pairs(&it.apply(0)), [("a.example.com", "issued")]);
    it.write(&cert(
        "'b.example.com'",
        "key-typ = 'ec-256'\nplugin = 'gandi'\nplugin-arg = { GandiPAT = 'tok0tok1tok2tok3tok4tok5tok6' }\n",
    ));
    let asked = it.requests();
    for words in [&["apply"][..], &["apply", "--plan"], &["config", "check"]] {
        let refused = it.bench.run(words);
        expect(&refused, 2);
        says(
            &refused,
            &["livecert.toml:15:1", "did you mean 'key-type'?", "livecert.toml:17:", "2 mistakes"],
        );
        assert!(!refused.stderr.contains("tok0"), "{}", refused.stderr);
        let refused = it.bench.run(&[words, &["--json"]].concat());
        let error = &document(&refused)["error"];
        assert_eq!((&error["kind"], &error["mistakes"][0]["line"]), (&"config".into(), &15.into()));
    }
    assert!(it.bench.cert("a.example.com").exists() && !it.bench.testbed.home().join("archive").exists());
    assert_eq!(it.requests(), asked);
    // A certificate that is not understood is no matter of other commands.
    expect(&it.bench.run(&["list"]), 0);
    // What concerns a command is, but for the renewal, which goes on.
    std::fs::write(it.bench.testbed.home().join("livecert.toml"), "[defaults]\nlock-timeout = 'soon'\n")
        .unwrap();
    expect(&it.bench.run(&["list"]), 2);
    let renewed = it.bench.run(&["renew"]);
    expect(&renewed, 0);
    says(&renewed, &["'soon' is not a duration", "the renewal goes on", "0 renewed, 1 not due"]);
    // A file that is no text, or not for whoever renews, lets no certificate end either.
    std::fs::write(it.bench.testbed.home().join("livecert.toml"), b"[defaults]\n# \xff\n").unwrap();
    expect(&it.bench.run(&["list"]), 2);
    let renewed = it.bench.run(&["renew"]);
    expect(&renewed, 0);
    says(&renewed, &["livecert.toml cannot be read", "the renewal goes on", "0 renewed, 1 not due"]);
    std::fs::remove_file(it.bench.testbed.home().join("livecert.toml")).unwrap();
    expect(&it.bench.run(&["apply"]), 2);
    assert!(it.bench.cert("a.example.com").exists());
}

#[test]
fn and_the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let it = Declared::new();
    it.write("");
    let home = it.bench.testbed.pebble().directory();
    // All that an issue needs is in the file.
    expect(&it.bench.run(&["issue", "a.example.com"]), 0);
    let record = |name: &str| read(&it.bench.cert(name).join("certificate.json"));
    assert!(record("a.example.com").contains(&home));
    // A port that nobody listens at.
    let nowhere = "https://localhost:1/dir";
    let with_variable = it.bench.livecert.clone().env("LIVECERT_SERVER", nowhere);
    let environment = with_variable.run(["issue", "b.example.com"]).unwrap();
    expect(&environment, 1);
    says(&environment, &[nowhere]);
    expect(&with_variable.run(["issue", "b.example.com", "--server", &home]).unwrap(), 0);
    // What is declared is not bent by the environment.
    it.write(&cert("'c.example.com'", ""));
    expect(&with_variable.run(["apply"]).unwrap(), 0);
    assert!(record("c.example.com").contains(&home));
    // A file elsewhere, by word and by variable.
    let other = it.bench.testbed.folder().join("other.toml");
    std::fs::write(&other, format!("[defaults]\nserver = '{nowhere}'\n")).unwrap();
    let other = other.display().to_string();
    says(&it.bench.run(&["server", "show", "--config", &other]), &[nowhere]);
    says(
        &it.bench.livecert.clone().env("LIVECERT_CONFIG", &other).run(["server", "show"]).unwrap(),
        &[nowhere],
    );
    expect(&it.bench.run(&["server", "show"]), 0);
    let missing = it.bench.run(&["list", "--config", "/nowhere.toml"]);
    expect(&missing, 2);
    says(&missing, &["/nowhere.toml cannot be read"]);
}

#[test]
fn and_a_killed_apply_is_taken_up_by_the_next() {
    let it = Declared::new();
    let (gate, directory) = it.bench.testbed.gate_before(&it.bench.testbed.pebble().directory()).unwrap();
    let file = |certificates: &str| {
        let head = it.head.replace(&it.bench.testbed.pebble().directory(), &directory);
        std::fs::write(it.bench.testbed.home().join("livecert.toml"), format!("{head}{certificates}"))
            .unwrap();
    };
    let certificates =
        cert("'a.example.com'", "") + &cert("'b.example.com'", "") + &cert("'c.example.com'", "");
    file(&certificates);
    expect(&it.bench.run(&["apply", "a.example.com"]), 0);
    gate.hold_at("finalize", testbed::Side::Before);
    let mut run = it.bench.livecert.spawn(["apply", "--parallel", "1"]).unwrap();
    assert!(gate.until_held(&mut run).unwrap());
    run.kill().unwrap();
    run.wait().unwrap();
    gate.open();
    let orders = it.orders();
    let applied = it.bench.run(&["apply", "--json"]);
    expect(&applied, 0);
    assert_eq!(document(&applied)["totals"]["issued"], 2);
    // One of them had its order already.
    assert_eq!(it.orders() - orders, 1);
    assert_eq!(it.bench.testbed.gandi().zone("example.com").len(), 0);
    let asked = it.requests();
    expect(&it.bench.run(&["apply"]), 0);
    assert_eq!(it.requests(), asked);
}

#[test]
fn and_one_that_another_process_has_taken_back_is_as_good() {
    use std::io::{BufRead, BufReader};
    let it = Declared::new();
    let a = cert("'a.example.com'", "");
    it.write(&a);
    expect(&it.bench.run(&["apply"]), 0);
    it.write("");
    expect(&it.bench.run(&["apply"]), 0);
    it.write(&a);
    let home = it.bench.testbed.home();
    let lock = std::fs::File::open(home.join("locks/a.example.com.lock")).unwrap();
    lock.lock().unwrap();
    let mut run = it.bench.livecert.spawn(["apply", "--json"]).unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("waiting") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it did not wait");
    }
    std::fs::rename(home.join("archive/a.example.com"), it.bench.cert("a.example.com")).unwrap();
    lock.unlock().unwrap();
    let applied = run.wait_with_output().unwrap().into();
    expect(&applied, 0);
    assert_eq!(document(&applied)["totals"]["kept"], 1);
}

#[test]
fn and_each_zone_has_its_own_credential() {
    let it = Declared::new();
    let limited = it.bench.testbed.secret_file("limited.pat", testbed::LIMITED_PAT).unwrap();
    let credential = |zones: &str| {
        format!(
            "[credential.org]\nplugin = 'gandi'\nzones = ['{zones}']\nGandiPAT = 'file:{}'\nGandiApiBaseUrl = '{}'\n",
            limited.display(),
            it.bench.testbed.simulator().api_base_url(),
        )
    };
    let both = cert("'x.example.com', '*.x.example.org'", "credential = ['gandi', 'org']\n");
    it.write(&format!("{}{both}", credential("example.org")));
    assert_eq!(pairs(&it.apply(0)), [("x.example.com", "issued")]);
    let record = read(&it.bench.cert("x.example.com").join("certificate.json"));
    assert!(record.contains("\"label\": \"org\""), "{record}");
    let asked = it.requests();
    assert_eq!(pairs(&it.apply(0)), [("x.example.com", "kept")]);
    // Other zones are no matter of the certificate.
    it.write(&format!("{}{both}", credential("*.example.org")));
    assert_eq!(pairs(&it.apply(0)), [("x.example.com", "changed")]);
    assert_eq!(it.requests(), asked);
}

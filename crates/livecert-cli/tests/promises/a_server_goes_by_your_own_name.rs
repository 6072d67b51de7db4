use serde_json::Value;

use super::{Bench, document, expect, read, says, sent};

/// The server of this name in the list.
fn listed(bench: &Bench, name: &str) -> Option<Value> {
    let list = document(&bench.run(&["server", "list", "--json"]));
    list["servers"].as_array().unwrap().iter().find(|server| server["name"] == name).cloned()
}

#[test]
fn it_is_added_used_renamed_and_forgotten() {
    let bench = Bench::new();
    let url = bench.testbed.pebble().directory();
    let added = bench.run(&["server", "add", &url, "--name", "work", "--json"]);
    expect(&added, 0);
    assert_eq!(document(&added)["result"], "added");
    assert_eq!(listed(&bench, "work").unwrap()["in_use"], false);
    // Whoever names none means the one in use.
    expect(&bench.run(&["server", "use", "WORK"]), 0);
    assert_eq!(listed(&bench, "work").unwrap()["in_use"], true);
    expect(&bench.run(&["server", "show"]), 0);

    let mut words = vec!["issue".to_owned(), "named.example.com".into(), "--accept-tos".into()];
    words.extend(bench.testbed.dns_words());
    words.push("--plugin-arg".into());
    words.push(format!("GandiPAT=file:{}", bench.token.display()));
    expect(&bench.livecert.run(&words).unwrap(), 0);
    let record: Value =
        serde_json::from_str(&read(&bench.cert("named.example.com").join("certificate.json"))).unwrap();
    assert_eq!(record["server"], url);

    // Its own server wins for a certificate that is there: nothing is due, although another one is in use.
    expect(&bench.run(&["server", "use", "LE_STAGE"]), 0);
    let again = bench.livecert.run(words.iter().map(String::as_str).chain(["--json"])).unwrap();
    expect(&again, 0);
    assert_eq!(document(&again)["result"], "not-due");

    let renamed = bench.run(&["server", "update", "work", "--name", "Home"]);
    expect(&renamed, 0);
    assert!(listed(&bench, "work").is_none() && listed(&bench, "Home").is_some());
    let named = bench.run(&["server", "show", "home", "--json"]);
    expect(&named, 0);
    assert_eq!(document(&named)["url"], url);
    let gone = bench.run(&["server", "show", "--server", "hoem"]);
    expect(&gone, 2);
    says(&gone, &["'hoem'", "did you mean Home?"]);
    let completed = bench.livecert.clone().env("LIVECERT_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3");
    let completed = completed.run(["--", "livecert", "server", "use", "Ho"]).unwrap();
    says(&completed, &["Home"]);

    let kept = bench.run(&["server", "remove", "home"]);
    expect(&kept, 2);
    says(&kept, &["named.example.com", "the account https://", "--force"]);
    assert!(listed(&bench, "Home").is_some());
    expect(&bench.run(&["remove", "named.example.com", "--force"]), 0);
    let ended = bench.run(&["server", "remove", "home", "--deactivate-accounts", "--json"]);
    expect(&ended, 0);
    assert_eq!(document(&ended)["deactivated"].as_array().unwrap().len(), 1);
    assert!(listed(&bench, "Home").is_none());
    let list = document(&bench.run(&["account", "list", "--json"]));
    assert_eq!(list["accounts"].as_array().unwrap().len(), 0);
    assert!(bench.testbed.pebble().requests().iter().any(|request| request.contains("my-account")));
}

#[test]
fn names_are_told_from_codes_and_from_each_other_and_what_is_no_server_is_not_taken() {
    let bench = Bench::new();
    let url = bench.testbed.pebble().directory();
    for (name, says_so) in [("le_prod", "is the name of"), ("a b", "cannot name a server")] {
        let refused = bench.run(&["server", "add", &url, "--name", name]);
        expect(&refused, 2);
        says(&refused, &[says_so, "next"]);
    }
    let nowhere = bench.run(&["server", "add", "https://localhost:1/dir", "--name", "nowhere"]);
    expect(&nowhere, 1);
    assert!(listed(&bench, "nowhere").is_none());
    expect(&bench.run(&["server", "add", "https://localhost:1/dir", "--name", "nowhere", "--offline"]), 0);
    let taken = bench.run(&["server", "add", &url, "--name", "Nowhere"]);
    expect(&taken, 2);
    expect(&bench.run(&["server", "remove", "nowhere"]), 0);
    expect(&bench.run(&["server", "remove", "https://localhost:1/dir"]), 2);
    expect(&bench.run(&["server", "update", "LE_PROD"]), 2);
}

#[test]
fn a_server_whose_windows_are_not_wanted_is_not_asked_for_them() {
    let bench = Bench::new();
    let server = bench.testbed.acme_sim("windows").unwrap();
    let control = server.control();
    let name = "windows.example.com";
    expect(&bench.issue_at(&server, &[name], &[]), 0);
    expect(&bench.run(&["renew"]), 0);
    let asked = |control: &testbed::ca::Control| {
        control.requests().iter().filter(|request| request.path.contains("renewal")).count()
    };
    let before = asked(&control);
    assert!(before > 0, "the server offers windows");
    expect(&bench.run(&["server", "update", &server.directory(), "--renewal-info", "false"]), 0);
    let orders = sent(&control, "/order");
    expect(&bench.run(&["renew", "--force"]), 0);
    assert_eq!(asked(&control), before);
    assert_eq!(sent(&control, "/order"), orders + 1);
}

use testbed::{Options, PAT};

use super::{Bench, document, expect, says};

#[test]
fn what_there_is_and_how_it_is_set_up() {
    let bench = Bench::with(&Options::default());
    let list = document(&bench.run(&["plugin", "list", "--json"]));
    let names: Vec<_> = list["plugins"].as_array().unwrap().iter().map(|plugin| &plugin["name"]).collect();
    for name in names {
        let name = name.as_str().unwrap();
        let shown = bench.run(&["plugin", "show", name]);
        expect(&shown, 0);
        says(&shown, &["Challenges: ", "How to set it up"]);
        // For a terminal of 100 columns, and no trace of how it is put together.
        for line in shown.stdout.lines() {
            assert!(line.chars().count() <= 102 && line.trim_end() == line, "{name}: {line}");
        }
    }
    let gandi = bench.run(&["plugin", "show", "Gandi"]);
    says(
        &gandi,
        &["Set 3", "GandiTokenInsecure", "Manage domain name technical configurations", "GANDI_PAT_FILE"],
    );
    let gandi = document(&bench.run(&["plugin", "show", "gandi", "--json"]));
    assert_eq!(gandi["sets"][0]["needed"][0], "GandiPAT");
    assert_eq!(gandi["parameters"][0]["type"], "secret");
    assert_eq!(gandi["parameters"][2]["instead"], "GandiToken");
    let exec = document(&bench.run(&["plugin", "show", "exec", "--json"]));
    assert_eq!(exec["sets"].as_array().unwrap().len(), 1);
    let style = exec["parameters"].as_array().unwrap().iter().find(|one| one["name"] == "ExecStyle").unwrap();
    assert_eq!(style["words"][1], "lego");

    let unknown = bench.run(&["plugin", "show", "rfc2163"]);
    expect(&unknown, 2);
    says(&unknown, &["there is no plugin 'rfc2163'", "did you mean rfc2136?"]);
    says(&bench.run(&["plugin", "show", "route53"]), &["the plugins are gandi, rfc2136, acme-dns, exec,"]);
}

#[test]
fn and_what_is_stored_for_a_certificate_without_a_secret() {
    let bench = Bench::with(&Options::default());
    let none = bench.run(&["plugin", "args", "example.com"]);
    expect(&none, 2);
    let words = bench.words_without_credential(&["example.com"], &["--plugin-arg", "GandiPAT=env:TOKEN"]);
    expect(&bench.livecert.clone().env("TOKEN", PAT).run(words).unwrap(), 0);
    let stored = bench.run(&["plugin", "args", "example.com"]);
    expect(&stored, 0);
    says(&stored, &["gandi", "GandiPAT", "env:TOKEN", "(its value is kept, sealed)", "GandiApiBaseUrl"]);
    let json = bench.run(&["plugin", "args", "example.com", "--json"]);
    let arguments = document(&json)["arguments"].clone();
    assert_eq!(arguments[1]["name"], "GandiPAT");
    assert_eq!(arguments[1]["sealed"], true);
    assert!(!stored.stdout.contains(PAT) && !json.stdout.contains(PAT), "{}", json.stdout);
}

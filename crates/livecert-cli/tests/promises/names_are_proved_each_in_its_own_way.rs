use std::time::Duration;

use serde_json::Value;
use testbed::sim::{Rrset, TokenConfig};
use testbed::{LIMITED_PAT, Outcome, PAT};

use super::a_killed_run_is_swept::{journals, let_time_pass};
use super::every_challenge_is_solved::{answered, server_at, web_server};
use super::{Bench, document, expect, read, says};

/// Two organisations at Gandi: one token sees `example.com` and `example.net`, the other one `example.org`.
struct Organisations {
    bench: Bench,
    shop: String,
}

impl Organisations {
    fn new() -> Self {
        let bench = Bench::counting();
        let mut main = TokenConfig::new(PAT);
        main.domains = vec!["example.com".to_owned(), "example.net".to_owned()];
        bench.testbed.gandi().set_token(main);
        let shop = bench.testbed.secret_file("shop.pat", LIMITED_PAT).unwrap();
        Organisations { shop: format!("shop:GandiPAT=file:{}", shop.display()), bench }
    }

    /// Words for the second organisation, whose token is given like this.
    fn shop(&self, token: &str) -> Vec<String> {
        let api = format!("shop:GandiApiBaseUrl={}", self.bench.testbed.simulator().api_base_url());
        ["--plugin-arg", token, "--plugin-arg", &api, "--zone", "example.org=shop"]
            .map(str::to_owned)
            .to_vec()
    }

    fn words(&self, names: &[&str], more: &[&str]) -> Vec<String> {
        let mut words = self.bench.words(names, more);
        words.extend(self.shop(&self.shop));
        words
    }

    fn issue(&self, names: &[&str], more: &[&str]) -> Outcome {
        self.bench.livecert.run(self.words(names, more)).unwrap()
    }

    /// The zones in which something was written, and that nobody was shown a token that does not know the zone.
    #[track_caller]
    fn written(&self) -> Vec<&'static str> {
        let requests = self.bench.testbed.gandi().requests();
        self.bench.testbed.gandi().clear_requests();
        // Names below a zone are no zones for any token.
        let all = ["example.com", "example.net", "example.org"];
        let is_zone = |path: &str| all.iter().any(|zone| path.ends_with(&format!("/domains/{zone}")));
        let refused: Vec<_> = requests.iter().filter(|one| one.status >= 400 && is_zone(&one.path)).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        let wrote = |zone: &&&str| {
            requests.iter().any(|one| one.method != "GET" && one.path.contains(&format!("/domains/{zone}/")))
        };
        all.iter().filter(wrote).copied().collect()
    }

    fn record(&self, cert: &str) -> Value {
        serde_json::from_str(&read(&self.bench.cert(cert).join("certificate.json"))).unwrap()
    }

    fn is_empty(&self) -> bool {
        ["example.com", "example.org"].iter().all(|zone| self.bench.testbed.gandi().zone(zone).is_empty())
    }
}

const BOTH: [&str; 4] = ["example.com", "*.example.com", "www.example.org", "*.example.org"];

#[test]
fn two_organisations_at_gandi_prove_one_certificate() {
    let two = Organisations::new();
    expect(&two.issue(&BOTH, &[]), 0);
    assert_eq!(two.written(), ["example.com", "example.org"]);
    assert!(two.is_empty());
    let record = two.record("example.com");
    assert_eq!((&record["plugin"], &record["publishers"][0]["label"]), (&"gandi".into(), &"shop".into()));
    assert_eq!(record["publishers"][0]["zones"], serde_json::json!(["example.org"]));

    // From the store alone.
    two.bench.prove_anew();
    expect(&two.bench.run(&["renew", "--force"]), 0);
    assert_eq!(two.written(), ["example.com", "example.org"]);
    assert!(two.is_empty());

    // The same words find nothing changed.
    let again = two.issue(&BOTH, &["--json"]);
    expect(&again, 0);
    assert_eq!(document(&again)["result"], "not-due");
    assert_eq!(two.record("example.com"), record);

    let plan = two.bench.livecert.run(
        two.words(&BOTH, &["--json"])
            .into_iter()
            .map(|word| if word == "issue" { "plan".to_owned() } else { word }),
    );
    let plan = document(&plan.unwrap());
    let publishers: Vec<_> =
        plan["rrsets"].as_array().unwrap().iter().map(|one| one["publisher"].clone()).collect();
    assert_eq!(publishers, ["gandi", "gandi@shop", "gandi@shop"], "{plan}");

    let mut check = two.words(&BOTH, &["--json", "--write-probe"]);
    check[0] = "check".to_owned();
    let check = two.bench.livecert.run(check).unwrap();
    expect(&check, 0);
    let check = document(&check);
    let findings = check["findings"].as_array().unwrap();
    let of = |kind: &str| findings.iter().filter(|finding| finding["kind"] == kind).count();
    assert_eq!((of("credential"), of("publisher"), of("write-probe")), (2, 3, 2), "{check}");

    let tokens = document(&two.bench.run(&["token", "check", "--json"]));
    let tokens = tokens["credentials"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);
    assert!(
        tokens.iter().all(|token| token["state"] == "valid" && token["uncovered"] == serde_json::json!([])),
        "{tokens:#?}"
    );
    assert!(tokens.iter().any(|token| token["labels"] == serde_json::json!(["shop"])));

    let arguments = two.bench.run(&["plugin", "args", "example.com"]);
    says(&arguments, &["is gandi.", "is gandi@shop for the zones example.org.", "shop.pat"]);
    says(&two.bench.run(&["show", "example.com"]), &["gandi@shop", "for the zones example.org"]);
    assert!(two.written().len() == 2 && two.is_empty());
}

#[test]
fn a_zone_without_a_credential_is_known_before_there_is_an_order() {
    let two = Organisations::new();
    let url = two.bench.testbed.simulator().api_base_url();
    let (main, shop) = (format!("main:GandiPAT=file:{}", two.bench.token.display()), two.shop.as_str());
    let (main_url, shop_url) = (format!("main:GandiApiBaseUrl={url}"), format!("shop:GandiApiBaseUrl={url}"));
    let mut words: Vec<String> =
        ["issue", "www.example.com", "www.example.org", "www.example.net", "--plugin", "gandi"]
            .map(str::to_owned)
            .to_vec();
    for argument in [main.as_str(), &main_url, shop, &shop_url] {
        words.extend(["--plugin-arg".to_owned(), argument.to_owned()]);
    }
    words.extend(["--zone", "example.com=main", "--zone", "example.org=shop"].map(str::to_owned));
    words.extend(["--server".to_owned(), two.bench.testbed.pebble().directory(), "--accept-tos".to_owned()]);
    words.extend(["--authoritative".to_owned(), two.bench.testbed.simulator().dns_addrs()[0].to_string()]);
    // A token in the environment is for none of the two.
    let livecert = two.bench.testbed.livecert(&super::binary()).env("GANDI_PAT", PAT);
    let orders =
        || two.bench.testbed.pebble().requests().iter().filter(|one| one.contains("order-plz")).count();
    let refused = livecert.run(&words).unwrap();
    expect(&refused, 1);
    says(&refused, &["is for the zone example.net", "--zone example.net=LABEL"]);
    assert_eq!((orders(), two.written().len()), (0, 0));
    let more = ["--zone", "example.net=main"].map(str::to_owned);
    expect(&livecert.run(words.iter().chain(&more)).unwrap(), 0);
    assert_eq!(two.written(), ["example.com", "example.net", "example.org"]);
}

#[test]
fn one_of_them_is_changed_without_the_other() {
    let two = Organisations::new();
    let livecert = two.bench.testbed.livecert(&super::binary()).env("SHOP", LIMITED_PAT);
    let mut words = two.bench.words(&["www.example.com", "www.example.org"], &[]);
    words.extend(two.shop("shop:GandiPAT=env:SHOP"));
    expect(&livecert.run(words).unwrap(), 0);
    let before = two.record("www.example.com");
    assert!(before["publishers"][0]["plugin_args"]["GandiPAT"]["sealed"].is_string(), "{before}");
    // What is sealed for one of them stays readable, also with another key, and when settings change beside it.
    expect(&two.bench.run(&["secret", "rotate"]), 0);
    expect(&two.bench.run(&["set", "www.example.com", "--plugin-arg", "GandiTTL=600"]), 0);
    expect(&two.bench.run(&["renew", "--force"]), 0);
    let set = |words: &[&str]| {
        let outcome = two.bench.run(&[&["set", "www.example.com", "--json"], words].concat());
        expect(&outcome, 0);
        assert_eq!(document(&outcome)["result"], "changed");
        two.record("www.example.com")
    };
    let after = set(&["--plugin-arg", &two.shop]);
    assert_eq!(after["plugin_args"]["GandiPAT"], before["plugin_args"]["GandiPAT"]);
    assert_eq!(after["plugin_args"]["GandiTTL"], "600");
    let shop = &after["publishers"][0];
    assert!(
        shop["plugin_args"]["GandiPAT"]["sealed"].is_null()
            && shop["plugin_args"]["GandiApiBaseUrl"].is_string()
    );
    two.written();
    two.bench.prove_anew();
    expect(&two.bench.run(&["renew", "--force"]), 0);
    assert_eq!(two.written(), ["example.com", "example.org"]);
    // One name more is written with it, and then none.
    let named = set(&["--plugin", "www.example.com=gandi@shop", "--zone", "example.com=shop"]);
    assert_eq!(named["proofs"][0]["plugin"], "gandi@shop");
    let back = set(&["--plugin", "gandi", "--zone", "example.com=", "--zone", "example.org="]);
    assert!(back["publishers"].is_null() && back["proofs"].is_null(), "{back}");
    let refused = two.bench.run(&["renew", "--force"]);
    expect(&refused, 1);
    says(&refused, &["looked up with gandi"]);
}

#[test]
fn some_in_dns_some_at_the_host_and_some_by_what_stands() {
    let bench = Bench::new();
    let folder = bench.testbed.folder().join("www");
    std::fs::create_dir_all(&folder).unwrap();
    let server = server_at(&bench, web_server(folder.clone()).port(), 0);
    let names = ["www.example.com", "example.com", "*.example.com", "api.example.org"];
    let webroot = format!("WRPath={}", folder.display());
    // The first is for the first name, the second for all others; so are the challenges.
    let more = [
        "--plugin",
        "webroot",
        "--plugin-arg",
        &webroot,
        "--challenge",
        "http-01",
        "--challenge",
        "dns-account-01",
    ];
    expect(&bench.issue_at(&server, &names, &more), 0);
    let mut kinds = answered(&server);
    kinds.sort();
    assert_eq!(kinds, ["dns-account-01", "dns-account-01", "dns-account-01", "http-01"]);
    let account = server.control().accounts()[0].url.clone();
    let standing = format!("acme-sim.example; accounturi={account}; policy=wildcard");
    bench.testbed.gandi().add_value("example.org", "_validation-persist.api", &standing, 300);
    let cert = "www.example.com";
    expect(&bench.run(&["set", cert, "--challenge", "api.example.org=dns-persist-01"]), 0);
    expect(
        &bench.run(&["set", cert, "--challenge", "*.example.com=dns-01", "--challenge", "example.com="]),
        0,
    );
    says(&bench.run(&["show", cert]), &["api.example.org by dns-persist-01", "webroot"]);
    let before = server.control().authorizations().len();
    expect(&bench.run(&["renew", "--force"]), 0);
    let authorizations = server.control().authorizations();
    let used = authorizations[before..].iter().flat_map(|one| &one.challenges);
    let mut kinds: Vec<_> = used.filter(|one| one.validated.is_some()).map(|one| one.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["dns-01", "dns-01", "dns-persist-01", "http-01"]);
    assert!(bench.testbed.gandi().zone("example.com").is_empty());
    assert_eq!(std::fs::read_dir(folder.join(".well-known/acme-challenge")).map_or(0, Iterator::count), 0);
}

#[test]
fn an_alias_is_for_the_names_that_it_is_given_for() {
    let two = Organisations::new();
    let gandi = two.bench.testbed.gandi();
    let alias = |to: &str| Rrset { ttl: 300, values: vec![format!("{to}.example.net.")] };
    let names = ["www.example.com", "www.example.org"];
    let more = ["--dns-alias", "www.example.com=proofs.example.net"];
    let orders =
        || two.bench.testbed.pebble().requests().iter().filter(|one| one.contains("order-plz")).count();
    for wrong in [None, Some("elsewhere")] {
        gandi.set_rrset("example.com", "_acme-challenge.www", "CNAME", wrong.map(alias));
        let refused = two.issue(&names, &more);
        expect(&refused, 1);
        says(&refused, &["does not lead to the alias proofs.example.net", "CNAME proofs.example.net"]);
        assert_eq!(orders(), 0);
    }
    gandi.set_rrset("example.com", "_acme-challenge.www", "CNAME", Some(alias("proofs")));
    expect(&two.issue(&names, &more), 0);
    assert_eq!(two.written(), ["example.net", "example.org"]);
    two.bench.prove_anew();
    expect(&two.bench.run(&["renew", "--force"]), 0);
    assert_eq!(two.written(), ["example.net", "example.org"]);
    assert_eq!(two.record("www.example.com")["proofs"][0]["dns_alias"], "proofs.example.net");
    assert!(gandi.zone("example.net").is_empty() && gandi.zone("example.org").is_empty());
}

#[test]
fn a_killed_run_is_swept_in_both() {
    let two = Organisations::new();
    let gandi = two.bench.testbed.gandi();
    gandi.set_publication_delay(0, Duration::from_secs(3600));
    let mut child = two.bench.livecert.spawn(two.words(&BOTH, &[])).unwrap();
    two.bench.until_something_is_written(&mut child);
    while !gandi.zone("example.org").contains_key("_acme-challenge.www/TXT") {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it wrote in both");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(journals(&two.bench), 1);
    gandi.set_publication_delay(0, Duration::ZERO);
    let swept = two.bench.run(&["dns", "sweep", "--json"]);
    expect(&swept, 0);
    assert_eq!(document(&swept)["swept"].as_array().unwrap().len(), 2, "{}", swept.stdout);
    assert!(two.is_empty());
    assert_eq!(two.written(), ["example.com", "example.org"]);
    let_time_pass(&two.bench);
    expect(&two.bench.run(&["dns", "sweep"]), 0);
    assert_eq!(journals(&two.bench), 0);
}

#[test]
fn words_that_contradict_each_other_do_nothing() {
    let bench = Bench::new();
    for (words, said) in [
        (&["--plugin", "gandi", "--plugin", "b.org=webroot"][..], "in both ways"),
        (&["--plugin", "gandi", "--plugin", "gandi", "--plugin", "webroot"], "given 3 times"),
        (&["--plugin", "*=gandi", "--plugin", "c.org=webroot"], "no name of the certificate fits c.org"),
        (&["--plugin", "a.org=gandi", "--plugin", "a.org=webroot"], "two things about a.org"),
        (&["--plugin", "a.org=gandi"], "what publishes the proof of b.org"),
        (
            &["--plugin", "gandi", "--plugin", "webroot", "--dns-alias", "x.example.net"],
            "the alias x.example.net means nothing",
        ),
        (&["--plugin", "gandi", "--dns-alias", "a b"], "cannot be the name"),
        (&["--plugin", "gandi", "--challenge", "b.org=http-01"], "cannot solve http-01"),
        (&["--plugin", "gandi", "--zone", "example.org"], "PATTERN=VALUE"),
        (&["--plugin", "gandi", "--zone", "example.org=shop"], "nothing is called 'shop'"),
        (
            &["--plugin", "gandi", "--plugin-arg", "shop:GandiPAT=env:PAT"],
            "nothing is published with gandi@shop",
        ),
        (&["--plugin", "gandi@shop", "--plugin-arg", "shop:GandiTTL=600"], "gandi@shop has no credential"),
        (
            &["--plugin", "webroot", "--plugin-arg", "WRPath=/x", "--zone", "a.org=webroot"],
            "writes in no zone",
        ),
        (&["--plugin", "gandi", "--plugin-arg", "webroot:WRPath=/x"], "nothing is published with webroot"),
    ] {
        let outcome = bench.livecert.run([&["issue", "a.org", "b.org"], words].concat()).unwrap();
        expect(&outcome, 2);
        says(&outcome, &[said]);
    }
    let apart = ["issue", "a.org", "*.a.org", "--plugin", "gandi", "--plugin", "rfc2136"];
    says(&bench.run(&apart), &["a.org and *.a.org are proved at one name in DNS"]);
    assert!(!bench.testbed.home().join("certs").join("a.org").exists());
}

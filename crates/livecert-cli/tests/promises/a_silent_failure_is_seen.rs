use testbed::sim::{Fault, FaultRule, TokenConfig};
use testbed::{API_KEY, Options, PAT};

use super::{Bench, document, expect, read, says};

#[test]
fn when_all_is_well_it_says_so_and_when_the_next_renewal_is() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    // Pebble's live for years, and tokens for one.
    bench.age("example.com", 90, 80);
    expect(&bench.run(&["status"]), 0);
    // Nothing has ever run.
    let never = bench.run(&["status", "--max-age", "1h"]);
    expect(&never, 4);
    says(&never, &["no-run", "has ever ended", "timer"]);

    expect(&bench.run(&["renew"]), 0);
    let well = bench.run(&["status", "--max-age", "1h"]);
    expect(&well, 0);
    says(&well, &["All is well: 1 certificate, the next renewal in", "the last run ended"]);
    let path = bench.testbed.home().join("status.json");
    let mut run: serde_json::Value = serde_json::from_str(&read(&path)).unwrap();
    assert_eq!(
        (&run["run"]["not_due"], &run["certificates"]["example.com"]["result"]),
        (&1.into(), &"not-due".into())
    );
    // The timer is gone.
    run["run"]["finished"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&path, run.to_string()).unwrap();
    // A run over one certificate is not one over all of them.
    expect(&bench.run(&["renew", "example.com"]), 0);
    let silent = bench.run(&["status", "--max-age", "1h", "--json"]);
    expect(&silent, 4);
    assert_eq!(document(&silent)["problems"][0]["kind"], "no-run");
}

#[test]
fn when_a_certificate_is_revoked_and_still_in_use() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    bench.age("example.com", 90, 80);
    let info = bench.cert("example.com").join("current/generation.json");
    expect(&bench.run(&["revoke", "example.com"]), 0);
    let look = || {
        let status = bench.run(&["status", "--json"]);
        expect(&status, 4);
        let status = document(&status);
        assert_eq!(status["problems"][0]["kind"], "revoked", "{status}");
        let list = document(&bench.run(&["list", "--json"]));
        let at = list["certificates"][0]["revoked"].clone();
        assert!(at.is_string() && at == status["certificates"][0]["revoked"], "{list} {status}");
        let list = bench.run(&["list"]).stdout;
        assert!(list.contains("revoked") && !list.contains("valid"), "{list}");
        at
    };
    let at = look();
    says(&bench.run(&["show", "example.com"]), &[", revoked (current)"]);
    // The CA says so too, to whoever did not know.
    let mut unknown: serde_json::Value = serde_json::from_str(&read(&info)).unwrap();
    unknown.as_object_mut().unwrap().remove("revoked");
    std::fs::write(&info, unknown.to_string()).unwrap();
    expect(&bench.run(&["revoke", "example.com"]), 1);
    assert_ne!(look(), at);

    expect(&bench.run(&["renew", "example.com", "--force"]), 0);
    bench.age("example.com", 90, 80);
    expect(&bench.run(&["status"]), 0);
    assert!(bench.run(&["list"]).stdout.contains("valid"));
}

#[test]
fn when_renewals_fail_each_run_and_each_look_says_so() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    bench.age("example.com", 90, 20);
    let due = bench.run(&["status"]);
    expect(&due, 4);
    says(&due, &["due", "livecert renew example.com"]);
    expect(&bench.run(&["status", "--grace", "1000h"]), 0);

    bench.testbed.secret_file("gandi.pat", &"0".repeat(40)).unwrap();
    expect(&bench.run(&["renew"]), 1);
    for _ in 0..2 {
        expect(&bench.run(&["renew"]), 1);
        let failing = bench.run(&["status", "--grace", "1000h", "--json"]);
        expect(&failing, 4);
        assert_eq!(document(&failing)["problems"][0]["kind"], "failing");
    }
    bench.age("example.com", 90, -1);
    let metrics = bench.testbed.folder().join("livecert.prom");
    let ended = bench.run(&["status", "--prometheus", metrics.to_str().unwrap()]);
    expect(&ended, 4);
    says(&ended, &["ended", "it has ended", "failed once since"]);
    // What needs a person is told, also where the metrics cannot be written; as one document.
    let nowhere = bench.testbed.folder().join("nowhere/livecert.prom");
    let unwritten = bench.run(&["status", "--json", "--prometheus", nowhere.to_str().unwrap()]);
    expect(&unwritten, 1);
    assert_eq!(document(&unwritten)["problems"][0]["kind"], "ended");
    says(&unwritten, &["livecert.prom cannot be written"]);
    // What is only held back, or told, does not fail.
    says(&bench.run(&["list"]), &["failing"]);
    let failures = bench.cert("example.com").join("failures.json");
    std::fs::write(&failures, read(&failures).replace("\"count\": 1", "\"count\": 0")).unwrap();
    let held = bench.run(&["list"]);
    assert!(!held.stdout.contains("failing"), "{}", held.stdout);
    assert!(read(&metrics).contains("livecert_failures{cert=\"example.com\"} 1\n"), "{}", read(&metrics));

    // Damage is something to look at, and no crash.
    std::fs::write(bench.testbed.home().join("status.json"), "{").unwrap();
    std::fs::write(bench.cert("example.com").join("failures.json"), "{").unwrap();
    let damaged = bench.run(&["status"]);
    expect(&damaged, 4);
    says(&damaged, &["damaged", "status.json", "failures.json"]);
}

#[test]
fn when_a_token_ends_before_it_is_needed() {
    let bench = Bench::with(&Options::default());
    let mut token = TokenConfig::new(PAT);
    token.expires_in = 10 * 86_400;
    bench.testbed.gandi().set_token(token);
    expect(&bench.issue(&["example.com"], &[]), 0);
    bench.age("example.com", 90, 89);
    let _ = std::fs::remove_file(bench.cert("example.com").join("renewal.json"));
    let ends = bench.run(&["status"]);
    expect(&ends, 4);
    says(&ends, &["credential-ends", "personal access token ends before the renewal", "token renew"]);
    bench.age("example.com", 90, 32);
    expect(&bench.run(&["status"]), 0);
    bench.age("example.com", 90, 89);
    expect(&bench.run(&["status"]), 4);

    // Another credential, of which it is not known that it ends.
    let noted = bench.cert("example.com").join("credential.json");
    let end = read(&noted);
    let key = bench.testbed.secret_file("api.key", API_KEY).unwrap();
    let key = format!("GandiToken=file:{}", key.display());
    expect(&bench.run(&["set", "example.com", "--plugin-arg", &key]), 0);
    expect(&bench.run(&["status"]), 0);

    // What was noted of old is taken back when it is looked, though another certificate is broken.
    std::fs::write(&noted, end).unwrap();
    expect(&bench.run(&["status"]), 4);
    let broken = bench.cert("broken.example");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("certificate.json"), "{").unwrap();
    expect(&bench.run(&["renew"]), 3);
    assert!(!noted.exists());
    let check = bench.run(&["token", "check"]);
    expect(&check, 1);
    says(
        &check,
        &["broken.example: its credential cannot be looked at", "API key", "used for     example.com"],
    );
}

/// Lets the time come at which it is tried again.
fn let_time_pass(bench: &Bench) {
    let path = bench.cert("example.com").join("failures.json");
    let mut failures: serde_json::Value = serde_json::from_str(&read(&path)).unwrap();
    failures["next_try"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&path, failures.to_string()).unwrap();
}

#[test]
fn and_in_thirty_nights_the_hook_is_called_once_for_each_step() {
    let bench = Bench::new();
    let told = bench.testbed.folder().join("told");
    let hook = format!(
        "echo \"$LIVECERT_STEP $LIVECERT_ERROR_KIND $LIVECERT_DAYS_LEFT\" >> '{}'; grep -q '\"step\"'",
        told.display()
    );
    expect(&bench.issue(&["example.com"], &["--failure-hook", &hook]), 0);
    let fault = Fault::Answer { status: 403, body: "{}".into(), retry_after: None };
    bench.testbed.gandi().fail(FaultRule { method: None, path: "/".into(), after: 0, times: 100_000, fault });
    for left in (-1..29).rev() {
        bench.age("example.com", 90, left);
        expect(&bench.run(&["renew"]), 1);
        expect(&bench.run(&["status"]), 4);
        let_time_pass(&bench);
    }
    let told = read(&told);
    let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split(' ').collect()).collect();
    let steps: Vec<&str> = lines.iter().map(|line| line[0]).collect();
    assert_eq!(steps, ["half", "quarter", "tenth", "ended"], "{told}");
    assert!(lines.iter().all(|line| line[1].starts_with("gandi-")), "{told}");
    assert_eq!((lines[0][2], lines[3][2]), ("27", "0"), "{told}");
}

#[test]
fn and_a_failure_hook_that_fails_is_called_again() {
    let bench = Bench::new();
    let told = bench.testbed.folder().join("told");
    let hook = format!("echo told >> '{0}'; test $(wc -l < '{0}') -gt 1", told.display());
    expect(&bench.issue(&["example.com"], &["--failure-hook", &hook]), 0);
    bench.testbed.secret_file("gandi.pat", &"0".repeat(40)).unwrap();
    bench.age("example.com", 90, 20);
    for _ in 0..4 {
        expect(&bench.run(&["renew"]), 1);
    }
    assert_eq!(read(&told), "told\ntold\n");
}

/// What `status` finds of one kind.
fn found(bench: &Bench, kind: &str) -> Option<String> {
    let status = document(&bench.run(&["status", "--json"]));
    let problem = status["problems"].as_array().unwrap().iter().find(|one| one["kind"] == kind)?;
    Some(problem["what"].as_str().unwrap().to_owned())
}

#[test]
fn when_a_file_in_place_has_lost_its_content() {
    let bench = Bench::new();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    assert_eq!(found(&bench, "damaged"), None);
    std::fs::write(bench.cert("www.example.com").join("current/privkey.pem"), "").unwrap();
    assert!(found(&bench, "damaged").unwrap().contains("privkey.pem is missing, or has nothing in it"));
}

#[test]
fn when_a_first_try_owes_its_post_hook() {
    let bench = Bench::new();
    let failed = bench.issue(&["www.example.com"], &["--pre-hook", "false", "--post-hook", "false"]);
    expect(&failed, 1);
    assert!(found(&bench, "not-deployed").unwrap().contains("a service may be stopped"));
    let again = bench.issue(&["www.example.com"], &["--pre-hook", "true", "--post-hook", "true"]);
    expect(&again, 0);
    assert_eq!(found(&bench, "not-deployed"), None);
}

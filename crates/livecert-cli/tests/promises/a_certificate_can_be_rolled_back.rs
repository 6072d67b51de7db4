use std::path::PathBuf;

use serde_json::Value;

use super::{Bench, document, expect, read, says};

const NAME: &str = "www.example.com";

/// A certificate with so many generations.
fn bench_with(generations: usize) -> Bench {
    let bench = Bench::new();
    for _ in 0..generations {
        expect(&bench.issue(&[NAME], &["--force"]), 0);
    }
    bench
}

fn current(bench: &Bench) -> PathBuf {
    std::fs::read_link(bench.cert(NAME).join("current")).unwrap()
}

#[test]
fn the_previous_one_is_current_again_and_the_next_renewal_goes_on_from_it() {
    let bench = bench_with(2);
    let back = bench.run(&["rollback", NAME]);
    expect(&back, 0);
    says(
        &back,
        &["Generation 1 of www.example.com is current instead of 2", "valid until", "next renewal is in"],
    );
    assert_eq!(current(&bench), PathBuf::from("generations/1"));

    let shown = document(&bench.run(&["show", NAME, "--json"]));
    let listed: Vec<_> = shown["generations"].as_array().unwrap().iter().collect();
    let told = |index: usize| (&listed[index]["number"], &listed[index]["current"]);
    assert_eq!((told(0), told(1)), ((&2.into(), &false.into()), (&1.into(), &true.into())));
    assert_eq!((&shown["generation"], &shown["serial"]), (&1.into(), &listed[1]["serial"]));
    says(&bench.run(&["show", NAME]), &["2: until", "1: until", "(current)"]);

    // Nothing but a person's word or time makes another one: it is not due.
    says(&bench.run(&["renew"]), &["not due"]);
    let nothing = bench.run(&["rollback", NAME, "--json"]);
    expect(&nothing, 2);
    assert_eq!(document(&nothing)["error"]["kind"], "no-generation");
    let forward = document(&bench.run(&["rollback", NAME, "--to", "2", "--json"]));
    assert_eq!((&forward["result"], &forward["from"]), (&"rolled-back".into(), &1.into()));
    assert_eq!(document(&bench.run(&["rollback", NAME, "--to", "2", "--json"]))["result"], "unchanged");
    let missing = bench.run(&["rollback", NAME, "--to", "7"]);
    expect(&missing, 2);
    says(&missing, &["has no generation 7 (there are: 1, 2)"]);

    expect(&bench.run(&["rollback", NAME]), 0);
    let renewed = document(&bench.run(&["renew", NAME, "--force", "--json"]));
    assert_eq!(renewed["certificates"][0]["certificate"]["generation"], 3);
}

#[test]
fn a_generation_that_is_not_whole_is_not_made_current() {
    let bench = bench_with(2);
    let generations = bench.cert(NAME).join("generations");
    let first = generations.join("1");
    let damaged = |file: &str, text: &str, kind: &str, words: &[&str]| {
        let before = read(&first.join(file));
        std::fs::write(first.join(file), text).unwrap();
        let refused = bench.run(&["rollback", NAME, "--force"]);
        expect(&refused, 1);
        says(&refused, words);
        assert_eq!(document(&bench.run(&["rollback", NAME, "--json"]))["error"]["kind"], kind);
        assert_eq!(current(&bench), PathBuf::from("generations/2"));
        std::fs::write(first.join(file), before).unwrap();
    };
    let other = read(&generations.join("2/privkey.pem"));
    damaged("privkey.pem", &other, "generation-damaged", &["generation 1 cannot be used", "for another key"]);
    damaged("privkey.pem", "", "generation-damaged", &["privkey.pem is no private key"]);
    let chain = read(&first.join("chain.pem"));
    damaged("fullchain.pem", &chain, "generation-damaged", &["fullchain.pem is not cert.pem and chain.pem"]);
    damaged("generation.json", "{", "state-damaged", &["generations/1/generation.json is damaged"]);
    expect(&bench.run(&["rollback", NAME]), 0);
}

#[test]
fn one_that_has_ended_needs_force() {
    let bench = bench_with(2);
    // What a clock that goes on would do to it.
    let info = bench.cert(NAME).join("generations/1/generation.json");
    let mut ended: Value = serde_json::from_str(&read(&info)).unwrap();
    ended["not_after"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(&info, ended.to_string()).unwrap();
    let refused = bench.run(&["rollback", NAME, "--json"]);
    expect(&refused, 2);
    assert_eq!(document(&refused)["error"]["kind"], "certificate-ended");
    assert_eq!(current(&bench), PathBuf::from("generations/2"));
    let forced = bench.run(&["rollback", NAME, "--force"]);
    expect(&forced, 0);
    says(&forced, &["ended 2020-01-01", "It is due: the next `livecert renew` gets a new one"]);
}

#[test]
fn one_that_is_revoked_needs_force() {
    let bench = bench_with(1);
    expect(&bench.run(&["revoke", NAME]), 0);
    expect(&bench.run(&["renew", NAME, "--force"]), 0);
    assert_eq!(current(&bench), PathBuf::from("generations/2"));
    let refused = bench.run(&["rollback", NAME, "--json"]);
    expect(&refused, 2);
    assert_eq!(document(&refused)["error"]["kind"], "certificate-revoked");
    assert_eq!(current(&bench), PathBuf::from("generations/2"));
    expect(&bench.run(&["rollback", NAME, "--force"]), 0);
    assert_eq!(current(&bench), PathBuf::from("generations/1"));
}

#[test]
fn a_rollback_from_a_generation_that_is_damaged_is_what_it_is_for() {
    let bench = bench_with(2);
    std::fs::remove_dir_all(bench.cert(NAME).join("generations/2")).unwrap();
    expect(&bench.run(&["rollback", NAME]), 0);
    assert_eq!(current(&bench), PathBuf::from("generations/1"));
}

#[test]
fn old_generations_go_and_as_many_stay_as_are_wanted() {
    let bench = bench_with(6);
    let numbers = || {
        let mut numbers: Vec<u32> = std::fs::read_dir(bench.cert(NAME).join("generations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(), [2, 3, 4, 5, 6]);
    // Nothing is due, but what is kept on disk can be changed all the same, and is remembered.
    expect(&bench.issue(&[NAME], &["--keep-generations", "2"]), 0);
    assert_eq!(numbers(), [5, 6]);
    expect(&bench.run(&["renew", NAME, "--force"]), 0);
    assert_eq!(numbers(), [6, 7]);
    expect(&bench.run(&["rollback", NAME]), 0);
    expect(&bench.issue(&[NAME], &["--keep-generations", "1"]), 0);
    // What was rolled back is not old.
    assert_eq!(numbers(), [6, 7]);
}

#[test]
fn that_pruning_fails_is_a_warning() {
    let bench = bench_with(1);
    // A file cannot be removed like a folder.
    std::fs::write(bench.cert(NAME).join("generations/0.old"), "").unwrap();
    let renewed = bench.run(&["renew", NAME, "--force"]);
    expect(&renewed, 0);
    says(&renewed, &["old generations could not be removed"]);
}

#[test]
fn it_is_said_to_be_deployed_where_it_is_and_to_be_loaded_where_it_is_not() {
    let bench = bench_with(2);
    const RELOAD: &str = "have to be reloaded";
    says(&bench.run(&["rollback", NAME]), &[RELOAD]);
    let nothing = bench.run(&["rollback", NAME, "--to", "1"]);
    assert!(
        nothing.stdout.contains("Nothing to do") && !nothing.stdout.contains(RELOAD),
        "{}",
        nothing.stdout
    );
    expect(&bench.run(&["set", NAME, "--deploy-hook", "true"]), 0);
    let deployed = bench.run(&["rollback", NAME, "--to", "2"]);
    says(&deployed, &["It is deployed."]);
    assert!(!deployed.stdout.contains(RELOAD), "{}", deployed.stdout);
    let json = document(&bench.run(&["rollback", NAME, "--json"]));
    assert_eq!(
        (&json["deployment"]["state"], &json["deployment"]["generation"]),
        (&"deployed".into(), &1.into())
    );
}

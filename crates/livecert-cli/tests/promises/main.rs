//! What livecert promises, proved through the real command against a real ACME server (Pebble), real DNS over the
//! wire and the LiveDNS simulator. One file for each promise, named like it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod a_broken_set_up_does_not_hammer;
mod a_certificate_can_be_forgotten;
mod a_certificate_can_be_rolled_back;
mod a_certificate_is_made_kept_and_renewed;
mod a_certificate_is_seen_where_it_is_served;
mod a_command_of_your_own_writes_the_records;
mod a_deployment_is_never_forgotten;
mod a_file_says_what_is_to_be;
mod a_killed_run_is_swept;
mod a_lost_account_does_not_wedge_renewal;
mod a_neighbours_value_survives;
mod a_rehearsal_stores_nothing;
mod a_secret_never_shows;
mod a_server_goes_by_your_own_name;
mod a_silent_failure_is_seen;
mod a_standing_record_needs_no_token;
mod a_strict_server_finds_no_fault;
mod a_timer_renews;
mod a_token_never_ends_unseen;
mod a_wild_server_does_no_harm;
mod acme_dns_needs_one_cname;
mod an_external_account_is_used_once;
mod an_order_goes_on_where_it_stopped;
mod an_order_goes_step_by_step;
mod an_own_name_server_is_updated;
mod another_server_helps;
mod bad_days_are_explained;
mod certificates_share_what_they_can;
mod credentials_come_from_their_sources;
mod dns_works_where_the_network_does_not;
mod documents_are_as_they_are_documented;
mod editors_know_the_file;
mod every_challenge_is_solved;
mod every_server_gets_its_files;
mod files_are_for_whom_they_should_be;
mod it_is_known_before_there_is_an_order;
mod it_waits_when_told_to;
mod keys_and_chains_are_as_wished;
mod names_are_proved_each_in_its_own_way;
mod names_are_proved_one_after_another;
mod no_limit_is_passed;
mod no_request_too_many;
mod no_switch_of_livedns_matters;
mod nothing_waits_for_what_it_does_not_need;
mod one_challenge_is_shown_by_itself;
mod other_clients_have_it_as_their_hook;
mod other_clients_state_is_taken_over;
mod our_values_are_gone_afterwards;
mod people_write_records_by_hand;
mod plugins_explain_themselves;
mod records_are_seen_before_the_ca_looks;
mod renewals_run_side_by_side;
mod settings_change_without_a_new_certificate;
mod several_accounts_at_one_server;
mod shells_and_manuals_know_every_word;
mod the_ca_says_when_to_renew;
mod the_old_host_of_livedns_is_explained;
mod the_page_shows_how_everything_stands;
mod the_sealing_key_moves_and_changes;
mod two_at_once_do_no_harm;
mod what_counts_is_synced_and_no_more;
mod wrong_words_do_nothing;

use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::{AcmeSim, Livecert, Options, Outcome, PAT, PebbleOptions, Testbed};

/// The command under test.
fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_livecert"))
}

/// Servers for one test, and the command set up for them.
struct Bench {
    testbed: Testbed,
    livecert: Livecert,
    token: PathBuf,
}

impl Bench {
    fn new() -> Self {
        Self::with(&Options::default())
    }

    /// No nonce is refused, so that requests can be counted.
    fn counting() -> Self {
        let pebble = PebbleOptions { nonce_reject: 0, ..PebbleOptions::default() };
        Self::with(&Options { pebble, ..Options::default() })
    }

    fn with(options: &Options) -> Self {
        let testbed = Testbed::start(options).unwrap();
        let livecert = testbed.livecert(&binary());
        let token = testbed.secret_file("gandi.pat", PAT).unwrap();
        Bench { testbed, livecert, token }
    }

    /// The words of an issue with the token in its file.
    fn words(&self, names: &[&str], more: &[&str]) -> Vec<String> {
        let mut words = self.words_without_credential(names, more);
        words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", self.token.display())]);
        words
    }

    fn words_without_credential(&self, names: &[&str], more: &[&str]) -> Vec<String> {
        let mut words = vec!["issue".to_owned()];
        words.extend(names.iter().chain(more).map(|&word| word.to_owned()));
        words.extend(self.testbed.issue_words());
        words
    }

    fn issue(&self, names: &[&str], more: &[&str]) -> Outcome {
        self.livecert.run(self.words(names, more)).unwrap()
    }

    /// The words of an issue at an ACME server of our own instead of Pebble.
    fn words_at(&self, server: &AcmeSim, names: &[&str], more: &[&str]) -> Vec<String> {
        let mut words = vec!["issue".to_owned()];
        words.extend(names.iter().chain(more).map(|&word| word.to_owned()));
        words.extend(self.testbed.issue_words_at(server));
        words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", self.token.display())]);
        words
    }

    fn issue_at(&self, server: &AcmeSim, names: &[&str], more: &[&str]) -> Outcome {
        self.livecert.run(self.words_at(server, names, more)).unwrap()
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Outcome {
        self.livecert.run(words).unwrap()
    }

    /// Gives up what the account holds for proved at Pebble, so that the next order proves all of it again: of a hundred such
    /// authorizations Pebble uses one again although it is told not to ([`PebbleOptions::authz_reuse`]). For benches with one
    /// account.
    #[track_caller]
    fn prove_anew(&self) {
        let (directory, proved) = (self.testbed.pebble().directory(), self.testbed.pebble().proved());
        let at = ["--server", &directory, "--json"];
        let ask = |what: &str, urls: &[&str]| {
            let outcome = self.run(&[&["authz", what], urls, &at].concat());
            expect(&outcome, 0);
            document(&outcome)["authorizations"].as_array().unwrap().clone()
        };
        let known = ask("list", &proved.iter().map(String::as_str).collect::<Vec<_>>());
        let valid = known.iter().filter(|one| one["status"] == "valid");
        let valid: Vec<_> = valid.map(|one| one["url"].as_str().unwrap()).collect();
        let given_up = ask("deactivate", &valid);
        assert!(given_up.iter().all(|one| one["status"] == "deactivated"), "{given_up:#?}");
    }

    /// TXT values at a name of `example.com`, with their TTL, as the API gives them.
    fn txt(&self, name: &str) -> Option<(u32, Vec<String>)> {
        let zone = self.testbed.gandi().zone("example.com");
        zone.get(&format!("{name}/TXT")).map(|rrset| (rrset.ttl, rrset.values.clone()))
    }

    /// Waits until the running command has written its first value; that it ends before is a failure.
    #[track_caller]
    fn until_something_is_written(&self, child: &mut std::process::Child) {
        self.until_something_is_written_at("_acme-challenge", child);
    }

    #[track_caller]
    fn until_something_is_written_at(&self, name: &str, child: &mut std::process::Child) {
        while self.txt(name).is_none() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("livecert has ended before it wrote a value: {status}");
            }
            std::thread::yield_now();
        }
    }

    /// Lets a certificate be one that lives so many days, and has so many of them left.
    fn age(&self, cert: &str, life: i64, left: i64) {
        let path = self.cert(cert).join("current/generation.json");
        let mut info: Value = serde_json::from_str(&read(&path)).unwrap();
        let day = |days: i64| jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
        info["not_before"] = day(left - life).to_string().into();
        info["not_after"] = day(left).to_string().into();
        std::fs::write(path, info.to_string()).unwrap();
    }

    fn cert(&self, name: &str) -> PathBuf {
        self.testbed.home().join("certs").join(name)
    }
}

/// Sends a signal, by the shell's own `kill`: a small Debian has no program of that name.
#[track_caller]
fn signal(child: &std::process::Child, signal: &str) {
    let words = ["-c", "kill -s \"$0\" \"$1\"", signal, &child.id().to_string()];
    assert!(std::process::Command::new("sh").args(words).status().unwrap().success());
}

/// An outcome that has to be this one.
#[track_caller]
fn expect(outcome: &Outcome, status: i32) {
    assert_eq!(outcome.status, Some(status), "stdout: {}\nstderr: {}", outcome.stdout, outcome.stderr);
}

/// The words are there, on stdout or stderr.
#[track_caller]
fn says(outcome: &Outcome, words: &[&str]) {
    for word in words {
        let said = outcome.stderr.contains(word) || outcome.stdout.contains(word);
        assert!(said, "'{word}' is not in\nstdout: {}\nstderr: {}", outcome.stdout, outcome.stderr);
    }
}

/// How many requests there were to paths that end like this.
fn sent(control: &testbed::ca::Control, path: &str) -> usize {
    control.requests().iter().filter(|request| request.path.ends_with(path)).count()
}

/// The one document on stdout.
#[track_caller]
fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stdout))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

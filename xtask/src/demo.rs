//! `cargo xtask demo`: a certificate, from nothing, on this machine.

use std::path::Path;
use std::time::Instant;

use testbed::{Livecert, Options, PAT, Testbed};

use crate::setup::{build, pebble};
use crate::{Failure, say};

const ZONE: &str = "example.com";
const SOMEBODYS: &str = "somebody else's value";

pub(crate) fn run() -> Result<(), Failure> {
    pebble()?;
    say("Building livecert …");
    let programs = build(&["-p", "livecert-cli"])?;

    say(
        "\nStarting an ACME server (Pebble), Gandi's LiveDNS API (our simulator) and DNS, on free loopback ports …",
    );
    let testbed = Testbed::start(&Options::default())?;
    let gandi = testbed.gandi();
    gandi.add_value(ZONE, "_acme-challenge", SOMEBODYS, 3600);
    say(&format!("  ACME   {}", testbed.pebble().directory()));
    say(&format!("  Gandi  {}", testbed.simulator().api_base_url()));
    say(&format!("  DNS    {}", testbed.simulator().dns_addrs()[0]));
    say(
        "  In the zone there is already a TXT value of somebody else at _acme-challenge.example.com, TTL 3600.",
    );

    let token = testbed.secret_file("gandi.pat", PAT)?;
    let livecert = testbed.livecert(&programs.join("livecert"));
    let mut words = vec!["issue".to_owned(), ZONE.to_owned(), format!("*.{ZONE}")];
    words.extend(testbed.issue_words());
    words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", token.display())]);

    show(&livecert, "A certificate for a domain and everything below it", &words)?;
    show(&livecert, "Once more: nothing is due, so nothing is done", &words)?;
    show(&livecert, "What is there", &["list"])?;
    show(&livecert, "Its details", &["show", ZONE])?;
    show(&livecert, "Its files", &["files", ZONE])?;
    show(&livecert, "A renewal by force: no argument again", &["renew", ZONE, "--force"])?;
    prove(&testbed)?;
    say(&format!(
        "\nThat was all on this machine; everything is stopped and removed again ({}).",
        folder(&testbed)
    ));
    Ok(())
}

fn show<S: AsRef<str>>(livecert: &Livecert, title: &str, words: &[S]) -> Result<(), Failure> {
    let shown: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    say(&format!("\n── {title}\n$ livecert {}", shown.join(" ")));
    let begun = Instant::now();
    let outcome = livecert.run(words.iter().map(AsRef::as_ref))?;
    for line in outcome.stderr.lines().chain(outcome.stdout.lines()) {
        say(&format!("  {line}"));
    }
    say(&format!("  ({:.2} s)", begun.elapsed().as_secs_f64()));
    match outcome.status {
        Some(0) => Ok(()),
        status => Err(format!("livecert ended with status {status:?}").into()),
    }
}

fn quote(word: &str) -> String {
    if word.contains(['*', ' ']) { format!("'{word}'") } else { word.to_owned() }
}

/// The point of it all: nobody's DNS is harmed.
fn prove(testbed: &Testbed) -> Result<(), Failure> {
    let zone = testbed.gandi().zone(ZONE);
    say("\n── The zone afterwards");
    for (name, rrset) in &zone {
        say(&format!("  {name}  TTL {}  {}", rrset.ttl, rrset.values.join("  ")));
    }
    let expected = format!("\"{SOMEBODYS}\"");
    let kept =
        zone.get("_acme-challenge/TXT").is_some_and(|rrset| rrset.values == [expected] && rrset.ttl == 3600);
    if !kept || zone.len() != 1 {
        return Err("the zone is not as it was before".into());
    }
    let requests = testbed.gandi().requests().len();
    say(&format!(
        "  Somebody else's value is untouched, and ours are gone ({requests} requests to Gandi in all)."
    ));
    Ok(())
}

fn folder(testbed: &Testbed) -> String {
    let name = testbed.folder().file_name().map(Path::new);
    name.map_or_else(String::new, |name| format!("folder {}", name.display()))
}

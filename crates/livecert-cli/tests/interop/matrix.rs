//! All cases, and which servers lack what; one run of them at one server.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;
use testbed::Alone;

use crate::context::{Bench, Context, Obstacle, Verdict};
use crate::server::Kind::{self, Acme2Certifier, Caddy, Pebble};
use crate::{account, certificate, key, validation};

/// A folder that gets the results of each server as `SERVER.json`.
const RESULTS: &str = "LIVECERT_INTEROP_RESULTS";
/// Case names, separated by commas: then only these are run.
const ONLY: &str = "LIVECERT_INTEROP_ONLY";
/// Cases that run side by side.
const LANES: usize = 3;

/// Something that a client does with a server.
struct Case {
    /// A DNS label, for the case's zone.
    name: &'static str,
    /// For the table.
    title: &'static str,
    run: fn(&Context<'_>) -> Verdict,
    /// Servers that do not offer it.
    lacking: &'static [Kind],
}

const fn case(name: &'static str, title: &'static str, run: fn(&Context<'_>) -> Verdict) -> Case {
    Case { name, title, run, lacking: &[] }
}

impl Case {
    const fn lacking(self, lacking: &'static [Kind]) -> Self {
        Case { lacking, ..self }
    }
}

/// In the order of the table.
const CASES: &[Case] = &[
    case("dns-01", "dns-01 with LiveDNS, and again", validation::dns),
    case("wildcard", "apex and wildcard", validation::apex_and_wildcard),
    case("hundred", "100 names", validation::hundred_names),
    case("http-01", "http-01, own listener", validation::http),
    case("http-01-webroot", "http-01, folder of a web server", validation::http_webroot),
    case("tls-alpn-01", "tls-alpn-01", validation::tls_alpn),
    case("dns-account-01", "dns-account-01", validation::dns_account).lacking(&[
        Pebble,
        Caddy,
        Acme2Certifier,
    ]),
    case("dns-persist-01", "dns-persist-01", validation::dns_persist).lacking(&[Pebble, Caddy]),
    case("ip", "IP address (RFC 8738) by http-01", validation::address),
    case("ip-tls-alpn-01", "IP address by tls-alpn-01", validation::address_by_tls),
    case("auto", "`--challenge auto`, with DNS and with a listener", validation::automatic),
    case("resumption", "killed while the certificate is made, and resumed", validation::resumption),
    case("hard-server", "30 % of nonces refused, two intermediate CAs", validation::hard_server)
        .lacking(&[Caddy, Acme2Certifier]),
    case("key-ec-256", "certificate key ec-256", |context| key::of_certificate(context, "ec-256")),
    case("key-ec-384", "certificate key ec-384", |context| key::of_certificate(context, "ec-384")),
    case("key-ec-521", "certificate key ec-521", |context| key::of_certificate(context, "ec-521")),
    case("key-rsa-2048", "certificate key rsa-2048", |context| key::of_certificate(context, "rsa-2048")),
    case("key-rsa-3072", "certificate key rsa-3072", |context| key::of_certificate(context, "rsa-3072")),
    case("key-rsa-4096", "certificate key rsa-4096", |context| key::of_certificate(context, "rsa-4096")),
    case("csr", "request (CSR) from elsewhere", key::csr),
    case("must-staple", "must-staple", certificate::must_staple).lacking(&[Pebble, Caddy, Acme2Certifier]),
    case("lifetime", "`--lifetime-days 1`", certificate::lifetime).lacking(&[Acme2Certifier]),
    case("account-ec-256", "account key ec-256", |context| key::of_account(context, "ec-256")),
    case("account-ec-384", "account key ec-384", |context| key::of_account(context, "ec-384")),
    case("account-ec-521", "account key ec-521", |context| key::of_account(context, "ec-521")),
    case("account-rsa-2048", "account key rsa-2048", |context| key::of_account(context, "rsa-2048")),
    case("account-rsa-3072", "account key rsa-3072", |context| key::of_account(context, "rsa-3072")),
    case("account-rsa-4096", "account key rsa-4096", |context| key::of_account(context, "rsa-4096")),
    case("eab", "external account binding", account::external).lacking(&[Caddy]),
    case("upkeep", "account shown, changed, moved by its key", account::upkeep),
    case("roll-over", "account key roll-over", account::roll_over).lacking(&[Caddy]),
    case("deactivation", "account deactivation, and life after it", account::deactivation),
    case("revocation-account", "revocation by the account", certificate::revocation_by_account),
    case("revocation-key", "revocation by the certificate's key", certificate::revocation_by_key)
        .lacking(&[Acme2Certifier]),
    case("chains", "alternate chains, preferred chain", certificate::preferred_chain)
        .lacking(&[Caddy, Acme2Certifier]),
    case("pre-authorization", "pre-authorization", certificate::pre_authorization).lacking(&[
        Pebble,
        Caddy,
        Acme2Certifier,
    ]),
    case("authorization", "authorization given up", certificate::authorization_given_up)
        .lacking(&[Caddy, Acme2Certifier]),
    case("ari", "renewal information (RFC 9773)", certificate::renewal_information).lacking(&[Pebble, Caddy]),
    case("profiles", "profiles", certificate::profiles).lacking(&[Pebble, Caddy]),
];

/// Runs all cases at one server: `test` is the name of the test that asks for it.
pub(crate) fn run(test: &str, kind: Kind) {
    match testbed::alone(&[test, "--exact", "--nocapture", "--test-threads=1"]) {
        Ok(Alone::Inside) => inside(kind),
        Ok(Alone::Ended(output)) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(
                output.status.success(),
                "{} in a network of its own: {}\n{said}",
                kind.title(),
                output.status
            );
            say(&said);
        }
        Err(error) => panic!("no network of its own: {:?}", Obstacle::from(error)),
    }
}

fn inside(kind: Kind) {
    let results = std::env::var_os(RESULTS);
    let bench = match Bench::start(kind) {
        Ok(bench) => bench,
        Err(error) => panic!("{} does not start: {:?}", kind.title(), Obstacle::from(error)),
    };
    let only = std::env::var(ONLY).unwrap_or_default();
    let wanted = |case: &&Case| match only.as_str() {
        "" => true,
        names => names.split(',').any(|name| name == case.name),
    };
    let waiting: Mutex<VecDeque<&Case>> = Mutex::new(CASES.iter().filter(wanted).collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let begun = Instant::now();
                    let verdict = Context::new(&bench, &bench.server, case.name)
                        .map_err(Obstacle::from)
                        .and_then(|context| (case.run)(&context));
                    say(&format!("{} {}: {verdict:?} {:.1?}", kind.title(), case.name, begun.elapsed()));
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((case, verdict));
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = results {
        let text = json!({"server": kind.title(), "cases": CASES.iter().filter_map(|case| {
            let (_, verdict) = done.iter().find(|(other, _)| other.name == case.name)?;
            let (word, text) = match verdict {
                Ok(()) => ("passed", ""),
                Err(Obstacle::NotOffered(text)) => ("not offered", text.as_str()),
                Err(Obstacle::Failed(text)) => ("failed", text.as_str()),
            };
            Some(json!({"case": case.name, "title": case.title, "verdict": word, "text": text}))
        }).collect::<Vec<_>>()});
        let file = std::path::Path::new(&folder).join(format!("{}.json", kind.title()));
        std::fs::write(&file, text.to_string()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let wrong: Vec<String> = done
        .iter()
        .filter_map(|(case, verdict)| Some(format!("{}: {}", case.name, wrong(case, kind, verdict)?)))
        .collect();
    if !wrong.is_empty() {
        let log = bench.server.log();
        let log = log.get(log.len().saturating_sub(40)..).unwrap_or_default().join("\n");
        panic!("{}:\n{}\n\nThe server said last:\n{log}", kind.title(), wrong.join("\n"));
    }
}

/// What is not as it has to be.
fn wrong(case: &Case, kind: Kind, verdict: &Verdict) -> Option<String> {
    let lacking = case.lacking.contains(&kind);
    match verdict {
        Ok(()) if lacking => Some("passes at a server that is said to lack it".to_owned()),
        Err(Obstacle::NotOffered(text)) if !lacking => Some(format!("not offered ({text})")),
        Err(Obstacle::Failed(text)) => Some(text.clone()),
        _ => None,
    }
}

#[expect(clippy::print_stdout, reason = "a test's words to the person who runs it")]
fn say(text: &str) {
    println!("{text}");
}

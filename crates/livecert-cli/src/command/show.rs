//! `livecert show CERT`.

use livecert::certificate::CertificateError;
use livecert::store::CertName;
use serde_json::json;

use super::view::{CertificateView, OutputView, distance, moment, proof_text, whole};
use crate::arguments::{Cert, Globals};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

pub(super) fn run(words: &Cert, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let name: CertName = words.cert.parse().map_err(CertificateError::CertName)?;
    let store = context::store(globals)?;
    let certificate = CertificateView::read(&store, &name).map_err(CertificateError::from)?;
    let mut document = json!(certificate);
    document["schema"] = 1.into();
    output.show(&document, || text(&certificate));
    Ok(Status::Done)
}

fn text(certificate: &CertificateView) -> String {
    let now = jiff::Timestamp::now();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    row("name", certificate.name.clone());
    for (index, name) in certificate.names.iter().enumerate() {
        row(if index == 0 { "names" } else { "" }, name.clone());
    }
    row("server", certificate.server.clone());
    for fallback in &certificate.fallbacks {
        row("", format!("{fallback} (fallback)"));
    }
    row("key", certificate.key_type.clone());
    let optional = [
        ("profile", &certificate.profile),
        ("chain", &certificate.preferred_chain),
        ("challenge", &certificate.challenge),
    ];
    for (what, value) in optional {
        if let Some(value) = value {
            row(what, value.clone());
        }
    }
    row("plugin", certificate.plugin.clone());
    for (key, value) in &certificate.plugin_args {
        row("", format!("{key} = {value}"));
    }
    let zones = |zones: &[String]| (!zones.is_empty()).then(|| format!("for the zones {}", zones.join(", ")));
    zones(&certificate.zones).into_iter().for_each(|zones| row("", zones));
    for publisher in &certificate.publishers {
        row("plugin", publisher.name.clone());
        for (key, value) in &publisher.plugin_args {
            row("", format!("{key} = {value}"));
        }
        zones(&publisher.zones).into_iter().for_each(|zones| row("", zones));
    }
    for (index, proof) in certificate.proofs.iter().enumerate() {
        row(if index == 0 { "proved" } else { "" }, proof_text(proof));
    }
    for (what, value) in certificate.output.iter().flat_map(OutputView::rows) {
        row(what, value);
    }
    let hooks = &certificate.hooks;
    let commands = [
        ("pre hook", &hooks.pre_hook),
        ("deploy hook", &hooks.deploy_hook),
        ("post hook", &hooks.post_hook),
        ("failure hook", &hooks.failure_hook),
    ];
    for (what, command) in commands {
        if let Some(command) = command {
            row(what, command.clone());
        }
    }
    for (index, place) in hooks.verify_served.iter().enumerate() {
        row(if index == 0 { "seen at" } else { "" }, place.clone());
    }
    if hooks.rollback_on_failure {
        row("on failure", "the former generation is made current again".to_owned());
    }
    if let Some(current) = &certificate.current {
        row("state", current.state(now).to_owned());
        row("generation", current.generation.to_string());
        row("issuer", current.issuer.clone());
        row("serial", current.serial.clone());
        row("begins", moment(current.not_before));
        row("ends", format!("{} ({})", moment(current.not_after), distance(current.not_after, now)));
        if let Some(at) = current.revoked {
            row("revoked", moment(at));
        }
        row("renewal", format!("{} ({})", moment(current.renew_at), distance(current.renew_at, now)));
        if let Some(window) = &current.renewal_window {
            row("window", format!("{} to {}, as the CA suggests", moment(window.start), moment(window.end)));
            if let Some(url) = &window.explanation_url {
                row("", format!("why: {url}"));
            }
        }
        for (what, path) in &current.files {
            row(what, path.display().to_string());
        }
    }
    if let Some(deployment) = &certificate.deployment {
        row("deployment", deployment.text());
        if let Some(error) = &deployment.error {
            row("", error.clone());
        }
        if let Some(number) = deployment.returned_to {
            row("", format!("generation {number} is in place again"));
        }
        if let Some(next) = deployment.next_attempt {
            row("", format!("next try after {}", whole(next)));
        }
    }
    if certificate.post_hook_owed {
        row("post hook", "still to be run; what its pre hook stopped may not run".to_owned());
        row("", format!("next: livecert renew {}", certificate.name));
    }
    for (index, past) in certificate.generations.iter().enumerate() {
        let told = match (&past.serial, past.not_after, &past.error) {
            (Some(serial), Some(end), _) => {
                let revoked = if past.revoked.is_some() { ", revoked" } else { "" };
                format!("until {}, serial {serial}{revoked}", moment(end))
            }
            (_, _, error) => error.clone().unwrap_or_default(),
        };
        let mark = if past.current { " (current)" } else { "" };
        row(if index == 0 { "on disk" } else { "" }, format!("{}: {told}{mark}", past.number));
    }
    if let Some(error) = &certificate.last_error {
        row("last error", error.clone());
    }
    if let Some(at) = certificate.last_attempt {
        row("last try", whole(at).to_string());
    }
    if let (Some(failures @ 1..), Some(at)) = (certificate.failures, certificate.next_try) {
        row("next try", format!("{}, after {failures} failed in a row", whole(at)));
    }
    table(&rows)
}

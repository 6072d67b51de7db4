//! How a certificate is shown, to people and in JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use livecert::certificate::{due, window_in};
use livecert::store::{
    CertName, CertificateRecord, DeploymentRecord, FoundGeneration, Generation, OutputRecord, ProofRecord,
    PublisherRecord, RenewalRecord, RenewalWindow, ServersRecord, Snapshot, Store, StoreError,
    StoredArgument,
};
use serde::Serialize;

use super::deployment::DeploymentView;

/// A certificate as `--json` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateView {
    pub(crate) name: String,
    pub(crate) names: Vec<String>,
    pub(crate) server: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fallbacks: Vec<String>,
    pub(crate) key_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preferred_chain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) challenge: Option<String>,
    pub(crate) plugin: String,
    pub(crate) plugin_args: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) zones: Vec<String>,
    /// What else publishes proofs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) publishers: Vec<PublisherView>,
    /// How some of the names are proved in another way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) proofs: Vec<ProofRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<OutputView>,
    /// The hooks and where it has to be served, as they are stored.
    #[serde(skip_serializing_if = "DeploymentRecord::is_default")]
    pub(crate) hooks: DeploymentRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_attempt: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_try: Option<Timestamp>,
    #[serde(flatten)]
    pub(crate) current: Option<GenerationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deployment: Option<DeploymentView>,
    /// A post hook has still to be run: what its pre hook stopped may not run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) post_hook_owed: bool,
    /// All that are there, the newest first.
    pub(crate) generations: Vec<PastView>,
}

/// A generation on disk, in a line.
#[derive(Debug, Serialize)]
pub(crate) struct PastView {
    pub(crate) number: u32,
    pub(crate) current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_after: Option<Timestamp>,
    /// When it was revoked, or that was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Timestamp>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// One more publisher of a certificate's proofs. A secret is shown by its source.
#[derive(Debug, Serialize)]
pub(crate) struct PublisherView {
    /// As the command line names it: `gandi@shop`.
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) zones: Vec<String>,
    pub(crate) plugin_args: BTreeMap<String, String>,
}

impl PublisherView {
    fn new(record: &PublisherRecord) -> Self {
        PublisherView {
            name: record.name(),
            zones: record.zones.clone(),
            plugin_args: record.plugin_args.iter().map(argument).collect(),
        }
    }
}

/// How the names of a pattern are proved, in words.
pub(crate) fn proof_text(proof: &ProofRecord) -> String {
    let plugin = proof.plugin.as_ref().map(|plugin| format!("with {plugin}"));
    let challenge = proof.challenge.as_ref().map(|challenge| match challenge.as_str() {
        "" => "by the plugin's challenge".to_owned(),
        challenge => format!("by {challenge}"),
    });
    let alias = proof.dns_alias.as_ref().map(|alias| match alias.as_str() {
        "" => "without an alias".to_owned(),
        alias => format!("at {alias}"),
    });
    let all: Vec<_> = [plugin, challenge, alias].into_iter().flatten().collect();
    format!("{} {}", proof.names, all.join(", "))
}

/// Which files are written beside the PEM files, and for whom. A password is shown by its source.
#[derive(Debug, Serialize)]
pub(crate) struct OutputView {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) formats: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pfx_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pfx_encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cert_mode: Option<String>,
}

impl OutputView {
    fn new(output: &OutputRecord) -> Option<Self> {
        (!output.is_default()).then(|| OutputView {
            formats: output.formats.clone(),
            pfx_password: output.pfx_password.as_ref().map(shown),
            pfx_encryption: output.pfx_encryption.clone(),
            owner: output.owner.clone(),
            group: output.group.clone(),
            key_mode: output.key_mode.clone(),
            cert_mode: output.cert_mode.clone(),
        })
    }

    /// What there is, in lines of a table.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let formats = (!self.formats.is_empty()).then(|| self.formats.join(", "));
        let all = [
            ("formats", &formats),
            ("pfx password", &self.pfx_password),
            ("pfx kind", &self.pfx_encryption),
            ("owner", &self.owner),
            ("group", &self.group),
            ("key mode", &self.key_mode),
            ("cert mode", &self.cert_mode),
        ];
        all.into_iter().filter_map(|(what, value)| Some((what, value.clone()?))).collect()
    }
}

/// A stored argument as it is shown: of a secret, where it is.
fn shown(value: &StoredArgument) -> String {
    match value {
        StoredArgument::Plain(value) => value.clone(),
        StoredArgument::Secret { source, sealed: None } => source.clone(),
        StoredArgument::Secret { source, sealed: Some(_) } => format!("{source} (sealed)"),
    }
}

fn argument((key, value): (&String, &StoredArgument)) -> (String, String) {
    (key.clone(), shown(value))
}

/// What is in place.
#[derive(Debug, Serialize)]
pub(crate) struct GenerationView {
    pub(crate) generation: u32,
    pub(crate) serial: String,
    pub(crate) issuer: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// When it was revoked, or that was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Timestamp>,
    pub(crate) renew_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renewal_window: Option<WindowView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_id: Option<String>,
    pub(crate) files: BTreeMap<&'static str, PathBuf>,
}

/// When the CA wants a certificate to be renewed (RFC 9773).
#[derive(Debug, Serialize)]
pub(crate) struct WindowView {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explanation_url: Option<String>,
}

/// A state file that cannot be used.
#[derive(Debug, Serialize)]
pub(crate) struct Damage {
    pub(crate) name: String,
    pub(crate) error: String,
}

impl GenerationView {
    /// A generation with what the CA said about its renewal.
    pub(crate) fn new(generation: &Generation, window: Option<&RenewalRecord>) -> Self {
        GenerationView {
            generation: generation.number,
            serial: generation.info.serial.clone(),
            issuer: generation.info.issuer.clone(),
            not_before: generation.info.not_before,
            not_after: generation.info.not_after,
            revoked: generation.info.revoked,
            renew_at: due(generation, window, Timestamp::now()).at,
            renewal_window: window.and_then(|record| {
                let RenewalWindow { start, end } = record.window?;
                Some(WindowView { start, end, explanation_url: record.explanation_url.clone() })
            }),
            certificate_id: generation.info.certificate_id.clone(),
            files: generation.files().into_iter().collect(),
        }
    }

    /// How it stands, in a word.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        if now >= self.not_after {
            "expired"
        } else if self.revoked.is_some() {
            "revoked"
        } else if now >= self.renew_at {
            "due"
        } else {
            "valid"
        }
    }
}

impl CertificateView {
    fn new(
        name: &CertName,
        record: &CertificateRecord,
        current: Option<GenerationView>,
        generations: Vec<PastView>,
    ) -> Self {
        CertificateView {
            name: name.to_string(),
            names: record.names.clone(),
            server: record.server.clone(),
            fallbacks: record.fallbacks.clone(),
            key_type: if record.own_request { "own request".to_owned() } else { record.key_type.to_string() },
            profile: record.profile.clone().or_else(|| record.preferred_profile.clone()),
            preferred_chain: record.preferred_chain.clone(),
            challenge: record.challenge.clone(),
            plugin: record.plugin.clone(),
            plugin_args: record.plugin_args.iter().map(argument).collect(),
            zones: record.zones.clone(),
            publishers: record.publishers.iter().map(PublisherView::new).collect(),
            proofs: record.proofs.clone(),
            output: OutputView::new(&record.output),
            hooks: record.deployment.clone(),
            last_error: None,
            last_attempt: None,
            failures: None,
            next_try: None,
            current,
            deployment: None,
            post_hook_owed: false,
            generations,
        }
    }

    /// Reads a certificate from the store.
    pub(crate) fn read(store: &Store, name: &CertName) -> Result<Self, StoreError> {
        Self::of(store, store.snapshot(name)?, &store.servers().unwrap_or_default())
    }

    /// A certificate as it was read; only the generations before the one in place are still to be.
    pub(crate) fn of(store: &Store, read: Snapshot, kept: &ServersRecord) -> Result<Self, StoreError> {
        let window = window_in(&read, kept);
        let current = read.current.as_ref().map(|current| GenerationView::new(current, window));
        let current_number = current.as_ref().map(|current| current.generation);
        let past = |found: FoundGeneration| PastView::new(&found, current_number == Some(found.number));
        let all = store.generations_beside(&read.cert, read.current.as_ref())?;
        let all = all.into_iter().rev().map(past).collect();
        let state = read.deployment?;
        let deployment = current_number.and_then(|number| DeploymentView::new(&state, number));
        let mut view = CertificateView {
            deployment,
            post_hook_owed: state.post_owed,
            ..CertificateView::new(&read.cert, &read.record, current, all)
        };
        // Damage there is told by `status`.
        if let Some(failures) = read.failures.ok().flatten() {
            // Where only a failed hook was told, no try to get it has failed.
            if !failures.error.is_empty() {
                (view.last_error, view.last_attempt) = (Some(failures.error), Some(failures.last));
            }
            (view.failures, view.next_try) = (Some(failures.count), Some(failures.next_try));
        }
        Ok(view)
    }
}

impl PastView {
    fn new(found: &FoundGeneration, current: bool) -> Self {
        let info = found.read.as_ref().ok().map(|generation| &generation.info);
        PastView {
            number: found.number,
            current,
            serial: info.map(|info| info.serial.clone()),
            not_after: info.map(|info| info.not_after),
            revoked: info.and_then(|info| info.revoked),
            error: found.read.as_ref().err().map(ToString::to_string),
        }
    }
}

/// A moment as people read it: the local day and minute.
pub(crate) fn moment(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// How far away a moment is, in whole days (or hours or minutes, when it is near).
pub(crate) fn distance(at: Timestamp, now: Timestamp) -> String {
    let hours = at.duration_since(now).as_hours();
    let amount = |number: i64, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
    match hours {
        48.. => format!("in {}", amount(hours / 24, "day")),
        1..48 => format!("in {}", amount(hours, "hour")),
        0 => match at.duration_since(now).as_mins() {
            minutes @ 1.. => format!("in {}", amount(minutes, "minute")),
            0 => "just now".to_owned(),
            minutes => format!("{} ago", amount(-minutes, "minute")),
        },
        -47..0 => format!("{} ago", amount(-hours, "hour")),
        _ => format!("{} ago", amount(-hours / 24, "day")),
    }
}

/// A moment without parts of seconds.
pub(crate) fn whole(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_in_the_unit_that_fits() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for (at, told) in [
            ("2026-11-29T12:00:00Z", "in 3 days"),
            ("2026-11-26T13:30:00Z", "in 1 hour"),
            ("2026-11-26T12:02:00Z", "in 2 minutes"),
            ("2026-11-26T12:00:30Z", "just now"),
            ("2026-11-26T11:59:00Z", "1 minute ago"),
            ("2026-11-26T10:00:00Z", "2 hours ago"),
            ("2026-11-20T12:00:00Z", "6 days ago"),
        ] {
            assert_eq!(distance(at.parse().unwrap(), now), told);
        }
    }
}

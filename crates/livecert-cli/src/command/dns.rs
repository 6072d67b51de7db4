//! `livecert dns add|remove|sweep`.

use clap::{Args, Subcommand};
use std::time::Duration;

use livecert::certificate::{Care, HookRequest, Hooked, PropagationRequest, SweepReport};
use livecert::plugin;
use serde_json::{Value, json};

use super::view::moment;
use crate::arguments::{Globals, Propagation, duration};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Subcommand)]
pub(crate) enum Dns {
    /// Add a TXT value, and wait until every name server shows it
    Add {
        #[command(flatten)]
        record: DnsRecord,
        /// Do not wait until the name servers show the value
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        propagation: Propagation,
    },
    /// Remove a TXT value, and nothing else
    Remove {
        #[command(flatten)]
        record: DnsRecord,
        #[command(flatten)]
        propagation: Propagation,
    },
    /// Remove what interrupted runs left behind: exactly the values that the journal knows
    Sweep(DnsSweep),
}

#[derive(Debug, Args)]
pub(crate) struct DnsSweep {
    /// Remove values that were added with `dns add` too, if they are older than this [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
}

/// A TXT value, and the plugin that writes it.
#[derive(Debug, Args)]
pub(crate) struct DnsRecord {
    /// Full name of the record, such as _acme-challenge.example.com; CNAMEs are followed
    #[arg(value_name = "FQDN")]
    pub(crate) fqdn: String,
    /// The value, without quotes
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: String,
    /// What writes it
    #[arg(long, value_name = "NAME", default_value = "gandi", help_heading = "DNS")]
    pub(crate) plugin: String,
    /// Parameter of the plugin; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    pub(crate) plugin_arg: Vec<String>,
}

pub(super) fn run(words: Dns, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Dns::Add { record, no_wait, propagation } => {
            let mut request = request(record)?;
            request.wait = !no_wait;
            request.propagation = propagation.request();
            let done =
                context::block_on(async { Ok(context::service(globals)?.add_value(&request).await?) })?;
            output.show(&document("added", &done), || {
                let visible = match done.visible_after {
                    Some(took) => {
                        format!(", visible at every name server after {:.2} s", took.as_secs_f64())
                    }
                    None => String::new(),
                };
                format!("Added: {}. TXT \"{}\"{visible}\n", done.fqdn, done.value)
            });
            Ok(Status::Done)
        }
        Dns::Remove { record, propagation } => {
            let mut request = request(record)?;
            request.propagation = propagation.request();
            let done =
                context::block_on(async { Ok(context::service(globals)?.remove_value(&request).await?) })?;
            output.show(&document("removed", &done), || {
                format!("Removed: {}. TXT \"{}\"\n", done.fqdn, done.value)
            });
            Ok(Status::Done)
        }
        Dns::Sweep(words) => sweep(&words, globals, output),
    }
}

fn request(record: DnsRecord) -> Result<HookRequest, Failure> {
    let wrong = livecert::certificate::CertificateError::from;
    let plugin = plugin::find(&record.plugin).map_err(wrong)?;
    Ok(HookRequest {
        fqdn: record.fqdn,
        value: record.value,
        plugin,
        arguments: plugin::parse_arguments(plugin, &record.plugin_arg).map_err(wrong)?,
        propagation: PropagationRequest::default(),
        wait: false,
        care: Care::Hook,
    })
}

fn document(result: &str, done: &Hooked) -> Value {
    json!({
        "schema": 1,
        "result": result,
        "fqdn": done.fqdn,
        "value": done.value,
        "visible_after_ms": done.visible_after.map(|took| took.as_millis()),
    })
}

fn sweep(words: &DnsSweep, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let age = words.older_than.unwrap_or(Duration::from_secs(3600));
    let report = context::block_on(async { Ok(context::service(globals)?.sweep(Some(age)).await?) })?;
    output.show(&report_document(&report), || report_text(&report));
    Ok(if report.is_clean() { Status::Done } else { Status::Failed })
}

fn report_document(report: &SweepReport) -> Value {
    let record = |record: &plugin::TxtRecord| json!({"fqdn": record.fqdn, "value": record.value});
    let swept = report.swept.iter().map(|swept| {
        json!({
            "journal": swept.journal,
            "gone": swept.gone.iter().map(record).collect::<Vec<_>>(),
            "files_gone": swept.files_gone,
            "files_left": swept.files_left.iter().map(|(url, reason)| {
                json!({"url": url, "reason": reason})
            }).collect::<Vec<_>>(),
            "left": swept.left.iter().map(|(left, reason)| {
                json!({"fqdn": left.fqdn, "value": left.value, "reason": reason})
            }).collect::<Vec<_>>(),
            "pending_authorizations": swept.pending,
            "again_after": swept.again,
        })
    });
    json!({
        "schema": 1,
        "clean": report.is_clean(),
        "swept": swept.collect::<Vec<_>>(),
        "kept": report.kept.iter().map(record).collect::<Vec<_>>(),
        "unusable": report.unusable.iter().map(|(journal, reason)| {
            json!({"journal": journal, "reason": reason})
        }).collect::<Vec<_>>(),
    })
}

fn report_text(report: &SweepReport) -> String {
    let mut text = String::new();
    let mut again = None;
    for swept in &report.swept {
        for record in &swept.gone {
            text.push_str(&format!("Gone: {}. TXT \"{}\"\n", record.fqdn, record.value));
        }
        for (record, reason) in &swept.left {
            text.push_str(&format!("LEFT: {}. TXT \"{}\"\n  {reason}\n", record.fqdn, record.value));
        }
        for url in &swept.files_gone {
            text.push_str(&format!("Gone: {url}\n"));
        }
        for (url, reason) in &swept.files_left {
            text.push_str(&format!("LEFT: {url}\n  {reason}\n"));
        }
        if swept.pending > 0 {
            text.push_str(&format!("{}: {} authorizations may be pending\n", swept.journal, swept.pending));
        }
        again = again.max(swept.again);
    }
    for record in &report.kept {
        let (fqdn, value) = (&record.fqdn, &record.value);
        text.push_str(&format!("Kept, another client uses it: {fqdn}. TXT \"{value}\"\n"));
    }
    for (journal, reason) in &report.unusable {
        text.push_str(&format!("CANNOT BE USED: the journal {journal}\n  {reason}\n"));
    }
    if let Some(again) = again {
        text.push_str(&format!(
            "A late request of the dead run could still be carried out; it is looked at again after {}.\n",
            moment(again)
        ));
    }
    if text.is_empty() { "Nothing is left behind.\n".to_owned() } else { text }
}

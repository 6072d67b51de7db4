//! The plugin `manual`: a person writes the records, or puts the files at the host.
//!
//! Somebody at a terminal is asked once for all of them. Where nobody is to be asked, they are shown and it is gone on:
//! whether a record is there the name servers tell, and whether a file is there, the host.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ArgumentError, Arguments, Connected, Parameter, ParameterKind, Pending, Plugin, PluginError, PluginInfo,
    ProofKind, Surroundings, TxtRecord, WebError, WebLeftover, WebPlugin, WebProof, WebProofKind, Withdrawn,
};
use crate::secret::Prompter;

const PORT: &str = "ManualHttpPort";
const WAIT: &str = "ManualHttpWait";

/// How long a file may take to be there where nobody was asked, unless something else is said.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest that can be asked for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long one look at a host may take: about as long as a CA waits.
const LOOK: Duration = Duration::from_secs(10);
/// The wait between two looks at a host; it grows to the second one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// White space after the content of a file that is let pass, in octets.
const LOOK_FURTHER: usize = 1024;
/// TTL of the records in their form for a zone file, in seconds.
const TTL: u32 = 300;
/// Where a CA fetches the file of http-01 (RFC 8555 §8.3).
const FOLDER: &str = "/.well-known/acme-challenge/";

const GUIDE: &str = "\
Nothing has to be set up. The records for all names are shown at once, as a zone file has them;
write them at your DNS service beside what is there, and confirm once. livecert then looks at every
name server until all show them, and asks you to remove them at the end.

    livecert issue example.com '*.example.com' --plugin manual --accept-tos

Somebody else writes them, perhaps days later: the first command shows them and ends (for programs
with --json), the second one goes on with the same order.

    livecert order new example.com --plugin manual --accept-tos
    livecert order solve example.com

A program at the other end: --non-interactive shows them on stderr, asks nobody, and waits until
they are public; with --json each of these messages is one line of JSON.

    livecert issue example.com --plugin manual --non-interactive --accept-tos

With --challenge http-01 it is files that are shown, and you put them at the host.

It needs a person at each renewal: `livecert renew` passes it over unless it is named, or
--non-interactive is given. A standing record (`livecert persist`) needs a person once.
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "manual",
    summary: "shows TXT records or files, and waits until you have put them there",
    proofs: &[ProofKind::Txt, ProofKind::HttpFile],
    guide: GUIDE,
    parameters: &[
        Parameter::new(
            PORT,
            ParameterKind::Number { of: "", least: 1, most: 65535 },
            "port at which it is looked for a file of http-01 where nobody is asked [default: 80]",
        ),
        Parameter::new(
            WAIT,
            ParameterKind::Duration { longest: LONGEST },
            "how long such a file may take to be there [default: 10m]",
        ),
    ],
    environment: &[],
    sweeps: false,
    // A person does one thing after the other.
    alone: true,
    shared: false,
    connect,
};

fn connect(arguments: &Arguments, surroundings: &Surroundings) -> Result<Connected, ArgumentError> {
    let prompter = surroundings.prompter.clone();
    if !prompter.goes_on() && !prompter.interactive() {
        return Err(ArgumentError::NeedsTerminal { plugin: INFO.name });
    }
    // Both were checked by their types.
    let port = arguments.plain(PORT).and_then(|port| port.parse().ok()).unwrap_or(80);
    let patience = arguments.plain(WAIT).and_then(super::parameter::duration).unwrap_or(PATIENCE);
    let manual = Arc::new(Manual { prompter, http: surroundings.http.clone(), port, patience });
    Ok(Connected::Both(manual.clone(), manual))
}

struct Manual {
    prompter: Arc<dyn Prompter>,
    http: reqwest::Client,
    port: u16,
    patience: Duration,
}

/// What a person has to do.
#[derive(Debug, Clone, Copy)]
enum Task {
    Add,
    Remove,
}

impl Manual {
    /// Has a person do it, on a thread of its own: timers and signals go on meanwhile. `false` if nobody confirms.
    async fn confirm(&self, text: String) -> bool {
        let prompter = self.prompter.clone();
        tokio::task::spawn_blocking(move || prompter.confirm(&text)).await.unwrap_or(false)
    }

    async fn have_done(&self, task: Task, text: String, things: (&str, Value)) -> bool {
        if !self.prompter.goes_on() {
            return self.confirm(text).await;
        }
        let task = match task {
            Task::Add => "add",
            Task::Remove => "remove",
        };
        let mut document = json!({"schema": 1, "task": task});
        document[things.0] = things.1;
        self.prompter.show(&text, &document);
        true
    }

    /// Waits until the hosts show all files.
    async fn until_there(&self, proofs: &[WebProof]) -> Result<(), WebError> {
        let end = Instant::now() + self.patience;
        for proof in proofs {
            let WebProof::HttpFile { host, token, body } = proof else { continue };
            let mut pause = PAUSES.0;
            while let Err(seen) = self.look(host, token, body).await {
                if Instant::now() + pause > end {
                    return Err(WebError::NotThere { url: url(host, 80, token), seen });
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
        Ok(())
    }

    /// Whether a host shows a file; else what it does.
    async fn look(&self, host: &str, token: &str, body: &str) -> Result<(), String> {
        let asked = async {
            let answer = self.http.get(url(host, self.port, token)).timeout(LOOK).send().await?;
            let status = answer.status();
            if !status.is_success() {
                return Ok(Err(format!("it answers {status}")));
            }
            let mut answer = answer;
            let mut found = Vec::new();
            while let Some(part) = answer.chunk().await? {
                found.extend_from_slice(&part);
                // White space may follow (RFC 8555 §8.3), and no more than that is of interest.
                if found.len() > body.len() + LOOK_FURTHER {
                    break;
                }
            }
            let same = std::str::from_utf8(&found).is_ok_and(|found| found.trim_end() == body);
            Ok(if same { Ok(()) } else { Err("it shows something else".to_owned()) })
        };
        asked.await.unwrap_or_else(|error: reqwest::Error| Err(reason(&error)))
    }
}

/// The innermost reason: the others say that a request to this URL failed.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// The URL of a file; an IPv6 address is in brackets.
fn url(host: &str, port: u16, token: &str) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = if port == 80 { String::new() } else { format!(":{port}") };
    format!("http://{host}{port}{FOLDER}{token}")
}

impl Plugin for Manual {
    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let text = table("Add these TXT records (keep what is there already):", records);
            let done = self.have_done(Task::Add, text, ("records", record_documents(records))).await;
            if done { Ok(()) } else { Err(PluginError::NotConfirmed) }
        })
    }

    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn> {
        Box::pin(async move {
            let text = table("These TXT records have done their work; remove them:", records);
            self.have_done(Task::Remove, text, ("records", record_documents(records))).await;
            Withdrawn::default()
        })
    }
}

impl WebPlugin for Manual {
    fn offers(&self) -> &'static [WebProofKind] {
        &[WebProofKind::HttpFile]
    }

    fn prepare<'a>(&'a self, kinds: &'a [WebProofKind]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            match kinds.iter().find(|kind| **kind != WebProofKind::HttpFile) {
                Some(other) => Err(WebError::NotOffered(*other).into()),
                None => Ok(()),
            }
        })
    }

    fn publish<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let text = file_list("Put these files there, each with this one line in it:", proofs);
            if !self.have_done(Task::Add, text, ("files", file_documents(proofs))).await {
                return Err(PluginError::NotConfirmed);
            }
            if self.prompter.goes_on() {
                self.until_there(proofs).await?;
            }
            Ok(())
        })
    }

    fn withdraw<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Vec<WebLeftover>> {
        Box::pin(async move {
            let text = file_list("These files have done their work; remove them:", proofs);
            self.have_done(Task::Remove, text, ("files", file_documents(proofs))).await;
            Vec::new()
        })
    }
}

/// The records as a zone file has them. Its lines begin at the first column: white space there means the name before.
fn table(heading: &str, records: &[TxtRecord]) -> String {
    let mut by_name = BTreeMap::<&str, Vec<&str>>::new();
    for record in records {
        by_name.entry(&record.fqdn).or_default().push(&record.value);
    }
    let width = by_name.keys().map(|name| name.len() + 1).max().unwrap_or(0);
    let mut text = format!("{heading}\n\n");
    for (name, values) in by_name {
        for value in values {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<width$} {TTL} IN TXT \"{value}\"", format!("{name}."));
        }
    }
    text.push('\n');
    text
}

fn file_list(heading: &str, proofs: &[WebProof]) -> String {
    let mut text = format!("{heading}\n\n");
    for proof in proofs {
        if let WebProof::HttpFile { host, token, body } = proof {
            let _ = writeln!(text, "{}\n    {body}", url(host, 80, token));
        }
    }
    text.push('\n');
    text
}

fn record_documents(records: &[TxtRecord]) -> Value {
    let document = |record: &TxtRecord| json!({"fqdn": record.fqdn, "type": "TXT", "value": record.value, "zone": record.apex});
    records.iter().map(document).collect()
}

fn file_documents(proofs: &[WebProof]) -> Value {
    let document = |proof: &WebProof| match proof {
        WebProof::HttpFile { host, token, body } => Some(json!({
            "url": url(host, 80, token),
            "host": host,
            "path": format!("{FOLDER}{token}"),
            "content": body,
        })),
        WebProof::AlpnCertificate { .. } => None,
    };
    proofs.iter().filter_map(document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_are_shown_together_as_a_zone_file_has_them() {
        let record =
            |fqdn: &str, value: &str| TxtRecord { fqdn: fqdn.into(), value: value.into(), apex: None };
        let records = [record("b.example", "1"), record("www.a.example", "2"), record("b.example", "3")];
        assert_eq!(
            table("Add:", &records),
            "Add:\n\n\
             b.example.     300 IN TXT \"1\"\n\
             b.example.     300 IN TXT \"3\"\n\
             www.a.example. 300 IN TXT \"2\"\n\n"
        );
    }

    #[test]
    fn files_are_shown_with_their_urls() {
        let file =
            |host: &str| WebProof::HttpFile { host: host.into(), token: "t".into(), body: "t.k".into() };
        let text = file_list("Put:", &[file("a.example"), file("2001:db8::1")]);
        assert_eq!(
            text,
            "Put:\n\nhttp://a.example/.well-known/acme-challenge/t\n    t.k\n\
             http://[2001:db8::1]/.well-known/acme-challenge/t\n    t.k\n\n"
        );
        assert_eq!(file_documents(&[file("a.example")])[0]["path"], "/.well-known/acme-challenge/t");
        assert_eq!(url("a.example", 8080, "t"), "http://a.example:8080/.well-known/acme-challenge/t");
    }
}

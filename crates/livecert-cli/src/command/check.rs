//! `livecert check`.

use clap::Args;
use livecert::certificate::{Finding, Level};
use serde_json::json;

use super::issue::{Issue, request};
use crate::arguments::Globals;
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) issue: Issue,
    /// Write a TXT value that nobody looks for, and remove it
    #[arg(long)]
    pub(crate) write_probe: bool,
}

pub(super) fn run(words: Check, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    words.issue.dry_run.refuse("check")?;
    let request = request(words.issue, globals)?;
    let findings = context::block_on(async {
        Ok(context::service(globals)?.check(&request, words.write_probe).await?)
    })?;
    let worst = findings.iter().map(|finding| finding.level).max();
    let documents: Vec<_> = findings.iter().map(document).collect();
    output.show(&json!({"schema": 1, "ready": worst != Some(Level::Bad), "findings": documents}), || {
        findings.iter().map(text).collect()
    });
    Ok(match worst {
        Some(Level::Bad) => Status::Failed,
        Some(Level::Soon) => Status::Soon,
        _ => Status::Done,
    })
}

fn level(finding: &Finding) -> &'static str {
    match finding.level {
        Level::Good => "good",
        Level::Unknown => "unknown",
        Level::Soon => "soon",
        Level::Bad => "bad",
    }
}

fn document(finding: &Finding) -> serde_json::Value {
    let next = (!finding.next.is_empty()).then_some(&finding.next);
    json!({
        "level": level(finding),
        "kind": finding.kind,
        "about": finding.about,
        "what": finding.what,
        "next": next,
    })
}

fn text(finding: &Finding) -> String {
    let Finding { kind, about, what, next, .. } = finding;
    let mark = match finding.level {
        Level::Good => "ok     ",
        Level::Unknown => "?      ",
        Level::Soon => "SOON   ",
        Level::Bad => "BAD    ",
    };
    let mut text = format!("{mark} {kind}: {about}: {what}\n");
    if !next.is_empty() {
        text.push_str(&format!("        next: {next}\n"));
    }
    text
}

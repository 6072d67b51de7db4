//! `livecert apply`.

use std::num::NonZeroUsize;

use clap::Args;
use livecert::certificate::{
    Applied, AppliedResult, ApplyRequest, CertificateError, Intention, Step, intentions,
};
use livecert::store::{CertName, CertNameError, Store};
use serde_json::{Value, json};

use super::issue;
use super::view::moment;
use crate::arguments::Globals;
use crate::config::{self, Config};
use crate::context;
use crate::failure::{Failure, describe, error_document};
use crate::output::{Output, Status, table};
use crate::terminal::write_err;

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Names in the store; all of the file if there is none
    #[arg(value_name = "CERT")]
    certs: Vec<String>,
    /// Say what would be done, and why; nothing is changed, and nobody is asked
    #[arg(long)]
    plan: bool,
    /// How many certificates are worked on at a time [default: 32]
    #[arg(long, value_name = "N")]
    parallel: Option<NonZeroUsize>,
}

pub(super) fn run(words: Apply, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let certs = words.certs.iter().map(|cert| cert.parse::<CertName>());
    let only = certs.collect::<Result<Vec<_>, CertNameError>>().map_err(CertificateError::from)?;
    let Config { path, certificates, report } = config::read(&config::path(globals)?, globals)?;
    if report.errors() > 0 {
        return Err(Failure::Config(report));
    }
    if !output.is_json() {
        write_err(&report.text());
    }
    let mut request = ApplyRequest { only, ..ApplyRequest::new(path.clone(), certificates) };
    if let Some(parallel) = words.parallel {
        request.parallel = parallel;
    }
    let file = path.display().to_string();
    if words.plan {
        let intentions = intentions(&context::store(globals)?, request)?;
        let document = json!({
            "schema": 1,
            "file": file,
            "certificates": intentions.iter().map(planned_document).collect::<Vec<_>>(),
        });
        output.show(&document, || planned_text(&intentions));
        let refused = intentions.iter().filter(|one| step(one) == "fail").count();
        return Ok(Status::of(intentions.len() - refused, refused));
    }
    let applied = context::block_on(async { Ok(context::service(globals)?.apply(request).await?) })?;
    if !output.is_json() {
        for one in &applied {
            if let AppliedResult::Failed(error) = &one.result {
                write_err(&format!("{}: {}", one.cert, describe(error)));
            }
        }
    }
    let totals = Totals::of(&applied);
    let store = context::store(globals)?;
    let document = json!({
        "schema": 1,
        "file": file,
        "certificates": applied.iter().map(|one| document(one, &store)).collect::<Vec<_>>(),
        "totals": totals.document(),
    });
    output.show(&document, || text(&applied, &totals));
    Ok(Status::of(applied.len() - totals.failed, totals.failed))
}

/// What would be done with a certificate, in a word.
fn step(intention: &Intention) -> &'static str {
    match (&intention.step, intention.from_archive) {
        (Step::Keep, false) => "keep",
        (Step::Keep, true) => "restore",
        (Step::Issue(_), _) => "issue",
        (Step::Reissue(_), _) => "reissue",
        (Step::Change(_), _) => "change",
        (Step::Archive, _) => "archive",
        _ => "fail",
    }
}

fn planned_document(intention: &Intention) -> Value {
    let mut document = json!({
        "name": intention.cert.as_str(),
        "step": step(intention),
        "from_archive": intention.from_archive,
        "why": intention.why,
    });
    if let Step::Refuse(error) = &intention.step {
        document["error"] = error_document(error);
    }
    document
}

fn planned_text(intentions: &[Intention]) -> String {
    if intentions.is_empty() {
        return "The file has no certificates.\n".to_owned();
    }
    let row = |one: &Intention| {
        let why = match &one.step {
            Step::Refuse(error) => error.to_string(),
            _ => one.why.join(", "),
        };
        vec![one.cert.to_string(), step(one).to_owned(), why]
    };
    let work = intentions.iter().filter(|one| one.is_work());
    let rows: Vec<_> = work.map(row).collect();
    let kept = intentions.len() - rows.len();
    let kept = match (rows.len(), kept) {
        (0, _) => "Nothing to do: all is as it is written in the file.\n".to_owned(),
        (_, 0) => String::new(),
        (_, kept) => format!("{kept} as written in the file\n"),
    };
    format!("{}{kept}", table(&rows))
}

/// How many certificates had which result.
struct Totals {
    issued: usize,
    changed: usize,
    restored: usize,
    archived: usize,
    kept: usize,
    failed: usize,
}

impl Totals {
    fn of(applied: &[Applied]) -> Self {
        let count = |word: &str| applied.iter().filter(|one| self::word(one) == word).count();
        Totals {
            issued: count("issued"),
            changed: count("changed"),
            restored: count("restored"),
            archived: count("archived"),
            kept: count("kept"),
            failed: count("failed"),
        }
    }

    fn document(&self) -> Value {
        let Totals { issued, changed, restored, archived, kept, failed } = self;
        json!({"issued": issued, "changed": changed, "restored": restored, "archived": archived, "kept": kept, "failed": failed})
    }

    fn text(&self) -> String {
        let Totals { issued, changed, restored, archived, kept, failed } = self;
        let some =
            |count: usize, word: &str| if count > 0 { format!(", {count} {word}") } else { String::new() };
        let rare = some(*restored, "restored") + &some(*archived, "archived");
        format!("{issued} issued, {changed} changed{rare}, {kept} as before, {failed} failed")
    }
}

fn word(applied: &Applied) -> &'static str {
    match (&applied.result, applied.restored) {
        (AppliedResult::Kept, false) => "kept",
        (AppliedResult::Kept, true) => "restored",
        (AppliedResult::Issued(_), _) => "issued",
        (AppliedResult::Changed(_), _) => "changed",
        (AppliedResult::Archived, _) => "archived",
        _ => "failed",
    }
}

fn document(applied: &Applied, store: &Store) -> Value {
    let mut document = match &applied.result {
        AppliedResult::Issued(issued) => {
            let mut document = issue::document(issued, None);
            issue::add_deployment(&mut document, store, issued);
            document
        }
        AppliedResult::Failed(error) => json!({"error": error_document(error)}),
        AppliedResult::Changed(amended) => json!({"rewritten": amended.rewritten.is_some()}),
        AppliedResult::Archived => json!({"archive": store.archived(&applied.cert)}),
        _ => json!({}),
    };
    if let Some(parts) = document.as_object_mut() {
        parts.remove("schema");
    }
    document["name"] = applied.cert.as_str().into();
    document["result"] = word(applied).into();
    document["from_archive"] = applied.restored.into();
    document["why"] = applied.why.clone().into();
    document
}

fn text(applied: &[Applied], totals: &Totals) -> String {
    if applied.is_empty() {
        return "The file has no certificates.\n".to_owned();
    }
    let row = |one: &Applied| {
        let why = one.why.join(", ");
        let (result, what) = match &one.result {
            AppliedResult::Issued(issued) => {
                ("issued", format!("valid until {} ({why})", moment(issued.generation.info.not_after)))
            }
            AppliedResult::Failed(error) => ("FAILED", format!("{}: {error}", error.kind())),
            _ => (word(one), why),
        };
        vec![one.cert.to_string(), result.to_owned(), what]
    };
    let rows: Vec<_> = applied.iter().filter(|one| word(one) != "kept").map(row).collect();
    format!("{}{}\n", table(&rows), totals.text())
}

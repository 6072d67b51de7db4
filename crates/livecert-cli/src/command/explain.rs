//! `livecert explain`.

use clap::Args;
use serde_json::json;

use crate::explain::{ENTRIES, find};
use crate::failure::Failure;
use crate::hint::did_you_mean_one_of;
use crate::output::{Output, Status, table};

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The kind, as it stands behind `error` [default: a list of all]
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

pub(super) fn run(words: &Explain, output: &Output) -> Result<Status, Failure> {
    let Some(kind) = &words.kind else {
        let all = || ENTRIES.iter().map(|entry| json!({"kind": entry.kind, "what": entry.what}));
        output.show(&json!({"schema": 1, "kinds": all().collect::<Vec<_>>()}), || {
            let rows = ENTRIES.iter().map(|entry| vec![entry.kind.to_owned(), entry.what.to_owned()]);
            table(&rows.collect::<Vec<_>>())
        });
        return Ok(Status::Done);
    };
    let entry = find(kind).ok_or_else(|| {
        let hint = did_you_mean_one_of(kind, ENTRIES.iter().map(|entry| entry.kind));
        let hint = hint.unwrap_or_else(|| "`livecert explain` lists them".to_owned());
        Failure::wrong(&format!("there is no kind of error '{kind}'")).next(&hint)
    })?;
    let document =
        json!({"schema": 1, "kind": entry.kind, "what": entry.what, "why": entry.why, "next": entry.next});
    output.show(&document, || entry.text());
    Ok(Status::Done)
}

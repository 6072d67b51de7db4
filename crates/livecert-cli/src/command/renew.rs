//! `livecert renew`.

use clap::Args;
use livecert::certificate::{CertificateError, Renewal, RenewalResult};
use livecert::store::{CertName, CertNameError};
use serde_json::{Value, json};

use super::issue;
use super::rehearse::{self, DryRun};
use super::view::{distance, moment};
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe, error_document};
use crate::output::{Output, Status, table};
use crate::terminal::write_err;

#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// Names in the store; all that are due if there is none
    #[arg(value_name = "CERT")]
    pub(crate) certs: Vec<String>,
    /// Renew even if not due
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

pub(super) fn run(words: &Renew, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let certs = words.certs.iter().map(|cert| cert.parse::<CertName>());
    let certs = certs.collect::<Result<Vec<_>, CertNameError>>().map_err(CertificateError::from)?;
    if let Some(twin) = words.dry_run.twin()? {
        return rehearse::renew(certs, twin.as_ref(), globals, output);
    }
    let renewals =
        context::block_on(async { Ok(context::service(globals)?.renew(&certs, words.force).await?) })?;
    let failed = renewals.iter().filter(|one| matches!(one.result, RenewalResult::Failed(_))).count();
    output.show(
        &json!({"schema": 1, "certificates": renewals.iter().map(document).collect::<Vec<_>>()}),
        || text(&renewals),
    );
    if !output.is_json() {
        for renewal in &renewals {
            if let RenewalResult::Failed(error) = &renewal.result {
                write_err(&format!("{}: {}", renewal.cert, describe(error)));
            }
        }
    }
    Ok(Status::of(renewals.len() - failed, failed))
}

fn document(renewal: &Renewal) -> Value {
    let name = renewal.cert.as_str();
    match &renewal.result {
        RenewalResult::NotDue(at) => json!({"name": name, "result": "not-due", "renew_at": at}),
        RenewalResult::Renewed(issued) => {
            let mut document = issue::document(issued, None);
            document["result"] = "renewed".into();
            document
        }
        RenewalResult::Failed(error) => {
            json!({"name": name, "result": "failed", "error": error_document(error)})
        }
        _ => json!({"name": name}),
    }
}

fn text(renewals: &[Renewal]) -> String {
    if renewals.is_empty() {
        return "There are no certificates yet; `livecert issue` makes one.\n".to_owned();
    }
    let now = jiff::Timestamp::now();
    let row = |renewal: &Renewal| {
        let result = match &renewal.result {
            RenewalResult::NotDue(at) => format!("not due, renewal {} ({})", distance(*at, now), moment(*at)),
            RenewalResult::Renewed(issued) => {
                format!("renewed, valid until {}", moment(issued.generation.info.not_after))
            }
            RenewalResult::Failed(error) => format!("FAILED: {error}"),
            _ => String::new(),
        };
        vec![renewal.cert.to_string(), result]
    };
    table(&renewals.iter().map(row).collect::<Vec<_>>())
}

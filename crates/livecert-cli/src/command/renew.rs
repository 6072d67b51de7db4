//! `livecert renew`.

use std::num::NonZeroUsize;

use clap::Args;
use livecert::certificate::{CertificateError, RenewRequest, Renewal, RenewalResult};
use livecert::store::{CertName, CertNameError, Store};
use serde_json::{Value, json};

use super::issue;
use super::rehearse::{self, DryRun};
use super::view::{distance, moment};
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe, error_document};
use crate::output::{Output, Status};
use crate::screen::{Cell, Column, Screen, grid};
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
    /// How many certificates are renewed at a time [default: 32]
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<NonZeroUsize>,
}

pub(super) fn run(words: &Renew, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let certs = words.certs.iter().map(|cert| cert.parse::<CertName>());
    let certs = certs.collect::<Result<Vec<_>, CertNameError>>().map_err(CertificateError::from)?;
    if let Some(twin) = words.dry_run.twin(globals)? {
        return rehearse::renew(certs, twin.as_ref(), globals, output);
    }
    let parallel = words.parallel.unwrap_or(RenewRequest::default().parallel);
    let request = RenewRequest { certs, force: words.force, parallel };
    let renewals = context::block_on(async { Ok(context::service(globals)?.renew(&request).await?) })?;
    let totals = Totals::of(&renewals);
    if !output.is_json() {
        for renewal in &renewals {
            if let RenewalResult::Failed(error) = &renewal.result {
                write_err(&format!("{}: {}", renewal.cert, describe(error)));
            }
        }
    }
    let store = context::store(globals)?;
    let certificates = || renewals.iter().map(|one| document(one, &store)).collect::<Vec<_>>();
    let document = match output.is_json() {
        true => json!({"schema": 1, "certificates": certificates(), "totals": totals.document()}),
        false => Value::Null,
    };
    output.show(&document, || text(&renewals, &totals));
    Ok(Status::of(renewals.len() - totals.failed, totals.failed))
}

/// How many certificates had which result.
struct Totals {
    renewed: usize,
    not_due: usize,
    needs_person: usize,
    failed: usize,
    /// How many of the failed ones were not tried, because they had failed before.
    waiting: usize,
}

/// Whether it was not tried, because it had failed before.
fn is_waiting(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Waiting { .. })
}

impl Totals {
    fn of(renewals: &[Renewal]) -> Self {
        let count = |is: fn(&RenewalResult) -> bool| renewals.iter().filter(|one| is(&one.result)).count();
        Totals {
            renewed: count(|result| matches!(result, RenewalResult::Renewed(_))),
            not_due: count(|result| matches!(result, RenewalResult::NotDue(_))),
            needs_person: count(|result| matches!(result, RenewalResult::NeedsPerson)),
            failed: count(|result| matches!(result, RenewalResult::Failed(_))),
            waiting: count(|result| matches!(result, RenewalResult::Failed(error) if is_waiting(error))),
        }
    }

    fn document(&self) -> Value {
        let Totals { renewed, not_due, needs_person, failed, waiting } = self;
        json!({
            "renewed": renewed,
            "not_due": not_due,
            "needs_person": needs_person,
            "failed": failed,
            "waiting": waiting,
        })
    }

    fn text(&self) -> String {
        let Totals { renewed, not_due, needs_person, failed, waiting } = self;
        let by_hand = if *needs_person > 0 {
            format!(", {needs_person} passed over (a person is needed)")
        } else {
            String::new()
        };
        let waiting = if *waiting > 0 { format!(" ({waiting} not tried again yet)") } else { String::new() };
        format!("{renewed} renewed, {not_due} not due{by_hand}, {failed} failed{waiting}")
    }
}

fn document(renewal: &Renewal, store: &Store) -> Value {
    let name = renewal.cert.as_str();
    match &renewal.result {
        RenewalResult::NotDue(at) => json!({"name": name, "result": "not-due", "renew_at": at}),
        RenewalResult::Renewed(issued) => {
            let mut document = issue::document(issued, None);
            document["result"] = "renewed".into();
            issue::add_deployment(&mut document, store, issued);
            document
        }
        RenewalResult::NeedsPerson => json!({"name": name, "result": "needs-person"}),
        RenewalResult::Failed(error) => {
            let result = if is_waiting(error) { "waiting" } else { "failed" };
            json!({"name": name, "result": result, "error": error_document(error)})
        }
        _ => json!({"name": name}),
    }
}

fn text(renewals: &[Renewal], totals: &Totals) -> String {
    if renewals.is_empty() {
        return "There are no certificates yet; `livecert issue` makes one.\n".to_owned();
    }
    let (now, screen) = (jiff::Timestamp::now(), Screen::of_stdout());
    let row = |renewal: &Renewal| {
        let (result, when) = match &renewal.result {
            RenewalResult::NotDue(at) => {
                ("not due", format!("renewal {} ({})", distance(*at, now), moment(*at)))
            }
            RenewalResult::Renewed(issued) => {
                ("renewed", format!("valid until {}", moment(issued.generation.info.not_after)))
            }
            RenewalResult::NeedsPerson => (
                "passed over",
                format!("a person puts its proofs there: `livecert renew {}` at a terminal", renewal.cert),
            ),
            RenewalResult::Failed(error) if is_waiting(error) => ("WAITING", error.to_string()),
            RenewalResult::Failed(error) => ("FAILED", format!("{}: {error}", error.kind())),
            _ => ("", String::new()),
        };
        vec![Cell::from(screen.name(renewal.cert.as_str())), result.into(), when.into()]
    };
    let rows = renewals.iter().map(row).collect::<Vec<_>>();
    let columns = [Column::name("NAME", 16), Column::fixed("RESULT"), Column::text("WHEN OR WHY", 20)];
    format!("{}{}\n", grid(&columns, &rows, screen), totals.text())
}

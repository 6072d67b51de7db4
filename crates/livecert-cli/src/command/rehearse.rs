//! `--dry-run` of `livecert issue` and `livecert renew`.

use std::time::Duration;

use clap::Args;
use livecert::certificate::{
    CertificateError, IssueRequest, RehearsalAccount, RehearsalStep, Rehearsed, ServerUrl, Service,
};
use livecert::store::CertName;
use serde_json::{Value, json};

use super::issue::leftovers;
use super::view::moment;
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe, error_document};
use crate::output::{Output, Status};
use crate::terminal::write_err;

#[derive(Debug, Args)]
pub(crate) struct DryRun {
    /// Rehearse: do all of it at the server's staging twin (LE_STAGE for LE_PROD, GOOGLE_STAGE for GOOGLE_PROD, else the
    /// one that is named), and store nothing
    #[arg(long, value_name = "CODE|URL", num_args = 0..=1, require_equals = true)]
    dry_run: Option<Option<String>>,
}

impl DryRun {
    /// Where to rehearse, if that is asked for; inside, the server that is named.
    pub(super) fn twin(&self, globals: &Globals) -> Result<Option<Option<ServerUrl>>, Failure> {
        let Some(named) = &self.dry_run else { return Ok(None) };
        Ok(Some(named.as_deref().map(|server| context::server(Some(server), globals)).transpose()?))
    }

    /// Refuses the option for a command that has nothing to rehearse.
    pub(super) fn refuse(&self, command: &str) -> Result<(), Failure> {
        match self.dry_run {
            None => Ok(()),
            Some(_) => Err(Failure::wrong(&format!(
                "`livecert {command}` makes no certificate, so there is nothing to rehearse: give --dry-run to `livecert issue`"
            ))),
        }
    }
}

/// A rehearsal of `livecert issue`.
pub(super) fn issue(
    request: &IssueRequest,
    twin: Option<&ServerUrl>,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let rehearsed = context::block_on(async {
        let result = context::service(globals)?.rehearse(request, twin).await;
        Ok(result.inspect_err(|error| tell_of_failure(error, globals))?)
    })?;
    output.show(&with_schema(document(&rehearsed)), || text(&rehearsed, "issue"));
    Ok(Status::Done)
}

/// A rehearsal of `livecert renew`, of all certificates if none is named, one after the other.
pub(super) fn renew(
    certs: Vec<CertName>,
    twin: Option<&ServerUrl>,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let certs = match certs.is_empty() {
        true => context::store(globals)?.cert_names().map_err(CertificateError::from)?,
        false => certs,
    };
    // A slip in a name is told before anything is done.
    let store = context::store(globals)?;
    for cert in &certs {
        if !store.cert_folder(cert).exists() {
            store.record(cert).map_err(CertificateError::from)?;
        }
    }
    let results = context::block_on(async {
        let service = context::service(globals)?;
        Ok(rehearse_all(&service, certs, twin).await)
    })?;
    let failed = results.iter().filter(|(_, result)| result.is_err()).count();
    let documents: Vec<_> = results.iter().map(|(cert, result)| result_document(cert, result)).collect();
    output.show(&json!({"schema": 1, "certificates": documents}), || {
        if results.is_empty() {
            return "There are no certificates yet; `livecert issue` makes one.\n".to_owned();
        }
        results.iter().filter_map(|(_, result)| result.as_ref().ok()).map(|one| text(one, "renew")).collect()
    });
    for (cert, result) in &results {
        if let Err(error) = result
            && !output.is_json()
        {
            tell_of_failure(error, globals);
            write_err(&format!("{cert}: {}", describe(error)));
        }
    }
    Ok(Status::of(results.len() - failed, failed))
}

async fn rehearse_all(
    service: &Service,
    certs: Vec<CertName>,
    twin: Option<&ServerUrl>,
) -> Vec<(CertName, Result<Rehearsed, CertificateError>)> {
    let mut results = Vec::new();
    for cert in certs {
        let result = service.rehearse_stored(&cert, twin).await;
        let interrupted = matches!(result, Err(CertificateError::Interrupted));
        results.push((cert, result));
        if interrupted {
            break;
        }
    }
    results
}

fn tell_of_failure(error: &CertificateError, globals: &Globals) {
    if !globals.quiet && !error.is_input() {
        write_err("the rehearsal failed; nothing was stored, and production was not asked\n");
    }
}

fn result_document(cert: &CertName, result: &Result<Rehearsed, CertificateError>) -> Value {
    match result {
        Ok(rehearsed) => document(rehearsed),
        Err(error) => json!({"name": cert.as_str(), "result": "failed", "error": error_document(error)}),
    }
}

fn with_schema(mut document: Value) -> Value {
    document["schema"] = 1.into();
    document
}

fn document(rehearsed: &Rehearsed) -> Value {
    let step = |(step, took): &(RehearsalStep, Duration)| json!({"step": step.word(), "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX)});
    let info = &rehearsed.info;
    json!({
        "result": "rehearsed",
        "name": rehearsed.cert.as_str(),
        "names": info.names,
        "server": rehearsed.home.as_str(),
        "twin": rehearsed.twin.as_str(),
        "account": match rehearsed.account {
            RehearsalAccount::Stored => "stored",
            RehearsalAccount::Ended => "deactivated",
            _ => "left",
        },
        "proved": rehearsed.proved,
        "steps": rehearsed.steps.iter().map(step).collect::<Vec<_>>(),
        "certificate": {
            "serial": info.serial,
            "issuer": info.issuer,
            "not_before": info.not_before,
            "not_after": info.not_after,
        },
        "leftovers": leftovers(&rehearsed.leftovers),
    })
}

fn text(rehearsed: &Rehearsed, command: &str) -> String {
    let Rehearsed { cert, home, twin, info, .. } = rehearsed;
    let mut text = format!(
        "REHEARSED at {twin}, and thrown away: the certificate {cert} for {}, issued by {}, valid until {}.\n",
        info.names.join(", "),
        info.issuer,
        moment(info.not_after),
    );
    for (step, took) in &rehearsed.steps {
        text.push_str(&format!("  {:>7.2} s  {}\n", took.as_secs_f64(), what(*step)));
    }
    let all: Duration = rehearsed.steps.iter().map(|(_, took)| *took).sum();
    text.push_str(&format!("  {:>7.2} s  in all\n", all.as_secs_f64()));
    let known = info.names.len().saturating_sub(rehearsed.proved);
    if known > 0 {
        text.push_str(&format!(
            "{known} of {} names were proved to the account at {twin} before, so they were not proved now. The next rehearsal \
             proves all of them.\n",
            info.names.len()
        ));
    }
    text.push_str(match rehearsed.account {
        RehearsalAccount::Stored => "The account that is stored for that server was used.\n",
        RehearsalAccount::Ended => "An account was made for it, and deactivated.\n",
        _ => "An account was made for it; the server has not said that it is deactivated.\n",
    });
    text.push_str(&format!("Nothing was stored, no hook was run, and {home} was not asked.\n"));
    text.push_str(match command {
        "issue" => "Still to do: the same words without --dry-run.\n",
        _ => "Still to do: nothing. `livecert renew` makes the real one when it is due.\n",
    });
    text
}

fn what(step: RehearsalStep) -> &'static str {
    match step {
        RehearsalStep::Ordered => "account, zones and CAA of the names, order",
        RehearsalStep::Published => "proofs shown",
        RehearsalStep::Propagated => "visible at every name server",
        RehearsalStep::Validated => "validated by the CA",
        RehearsalStep::Issued => "finalized, downloaded, checked; proofs removed",
        _ => "done",
    }
}

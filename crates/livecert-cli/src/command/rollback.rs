//! `livecert rollback CERT`.

use clap::Args;
use livecert::certificate::{CertificateError, RolledBack, window};
use livecert::store::CertName;
use serde_json::{Value, json};

use super::deployment::DeploymentView;
use super::view::{GenerationView, distance, moment};
use crate::arguments::{Cert, Globals};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) cert: Cert,
    /// The generation to make current (`livecert show CERT` lists them) [default: the one before the current one]
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u32>,
    /// Take it even if its certificate has ended or is revoked
    #[arg(long)]
    pub(crate) force: bool,
}

pub(super) fn run(words: &Rollback, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let cert: CertName = words.cert.cert.parse().map_err(CertificateError::CertName)?;
    let done = context::block_on(async {
        Ok(context::service(globals)?.rollback(&cert, words.to, words.force).await?)
    })?;
    let store = context::store(globals)?;
    let window = window(&store, &cert, &done.generation);
    let mut document = document(&done, &GenerationView::new(&done.generation, window.as_ref()));
    let state = store.deployment(&cert).unwrap_or_default();
    if let Some(deployment) = DeploymentView::new(&state, done.generation.number) {
        document["deployment"] = json!(deployment);
    }
    output.show(&document, || text(&done));
    Ok(Status::Done)
}

fn document(done: &RolledBack, view: &GenerationView) -> Value {
    json!({
        "schema": 1,
        "result": if done.is_unchanged() { "unchanged" } else { "rolled-back" },
        "name": done.cert.as_str(),
        "from": done.from,
        "certificate": view,
        "due": done.due.now,
        "ended": done.ended,
    })
}

fn text(done: &RolledBack) -> String {
    let now = jiff::Timestamp::now();
    let (cert, number, end) = (&done.cert, done.generation.number, done.generation.info.not_after);
    let head = match done.from {
        _ if done.is_unchanged() => {
            format!("Nothing to do: generation {number} of {cert} is the current one")
        }
        Some(from) => format!("Generation {number} of {cert} is current instead of {from}"),
        None => format!("Generation {number} of {cert} is current"),
    };
    let verb = if done.ended { "ended" } else { "valid until" };
    let due = match done.due.now {
        true => "It is due: the next `livecert renew` gets a new one. Until you know what was wrong, stop the timer.\n"
            .to_owned(),
        false => {
            format!("The next renewal is {} ({}).\n", distance(done.due.at, now), moment(done.due.at))
        }
    };
    let next = match () {
        () if done.is_unchanged() => "",
        () if done.deployed => "It is deployed.\n",
        () => "Services that have loaded the other one have to be reloaded.\n",
    };
    format!("{head}, {verb} {} ({}).\n{due}{next}", moment(end), distance(end, now))
}

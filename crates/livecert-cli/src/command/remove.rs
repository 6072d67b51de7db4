//! `livecert remove CERT`.

use clap::Args;
use livecert::certificate::{CertificateError, Removed};
use livecert::store::{CertName, Store};
use serde_json::{Value, json};

use super::declared;
use super::view::moment;
use crate::arguments::{Cert, Globals};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};
use crate::terminal::Terminal;

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) cert: Cert,
    /// Do not ask
    #[arg(long)]
    pub(crate) force: bool,
    /// Revoke the current certificate first, unless it has ended
    #[arg(long)]
    pub(crate) revoke: bool,
}

pub(super) fn run(words: &Remove, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let cert: CertName = words.cert.cert.parse().map_err(CertificateError::CertName)?;
    if !words.force && !agreed(&context::store(globals)?, &cert, globals)? {
        output.show(&json!({"schema": 1, "result": "kept", "name": cert.as_str()}), || {
            "Nothing was removed.\n".to_owned()
        });
        return Ok(Status::Done);
    }
    declared::remind(&context::store(globals)?, &cert, "issues it again while it is there", globals, output);
    let done =
        context::block_on(async { Ok(context::service(globals)?.remove(&cert, words.revoke).await?) })?;
    output.show(&document(&done), || text(&done));
    Ok(Status::Done)
}

fn agreed(store: &Store, cert: &CertName, globals: &Globals) -> Result<bool, Failure> {
    store.find_removable(cert).map_err(CertificateError::from)?;
    // What cannot be read can be removed all the same, and is a reason to.
    let what = match store.record(cert) {
        Ok(record) => format!("{cert} is for {}", record.names.join(", ")),
        Err(_) => format!("What {cert} is for cannot be read"),
    };
    let until = match store.current(cert) {
        Ok(Some(current)) => format!(", valid until {}", moment(current.info.not_after)),
        _ => String::new(),
    };
    let question = format!(
        "{what}{until}.\nServices that use its files do not start without them. Remove it with its private keys?"
    );
    Terminal::new(globals).agrees(&question).ok_or_else(|| {
        Failure::wrong(&format!("nobody is there to be asked: `livecert remove {cert} --force` does not ask"))
    })
}

fn document(done: &Removed) -> Value {
    let left = done.left.iter().map(|record| json!({"fqdn": record.fqdn, "value": record.value}));
    json!({
        "schema": 1,
        "result": "removed",
        "name": done.cert.as_str(),
        "revoked": done.revoked,
        "left_in_dns": left.collect::<Vec<_>>(),
    })
}

fn text(done: &Removed) -> String {
    let mut text =
        format!("Removed {}{}.\n", done.cert, if done.revoked { ", which is revoked" } else { "" });
    for record in &done.left {
        text.push_str(&format!(
            "May still be in DNS: {}. TXT \"{}\"; `livecert dns sweep` removes it.\n",
            record.fqdn, record.value
        ));
    }
    text
}

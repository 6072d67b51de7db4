//! `livecert revoke`.

use livecert::certificate::{CertificateError, RevocationRequest};
use livecert::store::CertName;
use livecert_acme::RevocationReason;
use serde_json::json;

use super::server::chosen;
use crate::arguments::{Globals, Revoke};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

pub(super) fn run(words: &Revoke, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let reason = words.reason.as_deref().map(str::parse::<RevocationReason>).transpose();
    let reason = reason.map_err(|error| Failure::wrong(&error.to_string()))?;
    let request = RevocationRequest {
        cert: words
            .cert
            .as_deref()
            .map(str::parse::<CertName>)
            .transpose()
            .map_err(CertificateError::from)?,
        cert_file: words.cert_file.clone(),
        key_file: words.key_file.clone(),
        server: words.server.as_deref().map(|server| chosen(Some(server))).transpose()?,
        reason,
    };
    let server = context::block_on(async { Ok(context::service(globals)?.revoke(&request).await?) })?;
    let reason = reason.map(|reason| reason.to_string());
    output.show(
        &json!({"schema": 1, "result": "revoked", "server": server.as_str(), "reason": reason}),
        || {
            let next = match &words.cert {
                Some(cert) => format!(
                    "It is still in the store and in use: `livecert renew {cert} --force` gets a new one.\n"
                ),
                None => String::new(),
            };
            format!("Revoked at {server}.\n{next}")
        },
    );
    Ok(Status::Done)
}

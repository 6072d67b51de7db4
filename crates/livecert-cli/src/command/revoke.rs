//! `livecert revoke`.

use std::path::PathBuf;

use clap::Args;
use livecert::certificate::{CertificateError, RevocationRequest};
use livecert::store::CertName;
use livecert_acme::RevocationReason;
use serde_json::json;

use super::server::chosen;
use crate::arguments::{Globals, account};
use crate::context;
use crate::failure::Failure;
use crate::hint::did_you_mean_one_of;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["cert", "cert_file"])))]
pub(crate) struct Revoke {
    /// The certificate's name in the store
    #[arg(value_name = "CERT")]
    pub(crate) cert: Option<String>,
    /// Revoke the certificate in this file (PEM or DER) instead
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Prove the right to do so with the certificate's own private key in this file, without any account
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Why: keyCompromise, affiliationChanged, superseded, cessationOfOperation and others of RFC 5280
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
    /// The server that issued it [default: the one that issued the certificate of the store]
    #[arg(long, value_name = "CODE|URL")]
    pub(crate) server: Option<String>,
    /// The account that revokes it: your name for it, its id or its URL [default: the one that ordered it, else the one
    /// in use]
    #[arg(long, value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = account, conflicts_with = "key_file")]
    pub(crate) account: Option<String>,
}

/// The reasons that a person may give (RFC 5280 §5.3.1).
const REASONS: [&str; 8] = [
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
    "aACompromise",
];

pub(super) fn run(words: &Revoke, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let reason = words.reason.as_deref().map(str::parse::<RevocationReason>).transpose();
    let reason = reason.map_err(|error| {
        let hint = did_you_mean_one_of(words.reason.as_deref().unwrap_or_default(), REASONS);
        let failure = Failure::wrong(&error.to_string());
        hint.into_iter().fold(failure, |failure, hint| failure.next(&hint))
    })?;
    let request = RevocationRequest {
        cert: words
            .cert
            .as_deref()
            .map(str::parse::<CertName>)
            .transpose()
            .map_err(CertificateError::from)?,
        cert_file: words.cert_file.clone(),
        key_file: words.key_file.clone(),
        server: words.server.as_deref().map(|server| chosen(Some(server), globals)).transpose()?,
        account: words.account.clone(),
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

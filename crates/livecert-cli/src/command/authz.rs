//! `livecert authz new|list|deactivate`.

use clap::Subcommand;
use livecert::certificate::{CertificateError, SubjectName};
use livecert_acme::Authorization;
use serde_json::{Value, json};

use crate::arguments::{Globals, OneAccount};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Authz {
    /// Ask for an authorization before there is an order, where the server offers that
    New {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: OneAccount,
    },
    /// Show authorizations
    List {
        /// Their URLs
        #[arg(value_name = "URL", required = true)]
        urls: Vec<url::Url>,
        #[command(flatten)]
        at: OneAccount,
    },
    /// Give authorizations up
    Deactivate {
        /// Their URLs
        #[arg(value_name = "URL", required = true)]
        urls: Vec<url::Url>,
        #[command(flatten)]
        at: OneAccount,
    },
}

pub(super) fn run(words: &Authz, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let found = context::block_on(async {
        let service = context::service(globals)?;
        Ok(match words {
            Authz::New { name, at } => {
                let name: SubjectName = name.parse().map_err(CertificateError::from)?;
                let (server, account) = at.find(globals)?;
                vec![service.pre_authorize(&server, account.as_deref(), &name).await?]
            }
            Authz::List { urls, at } => {
                let (server, account) = at.find(globals)?;
                service.authorizations(&server, account.as_deref(), urls).await?
            }
            Authz::Deactivate { urls, at } => {
                let (server, account) = at.find(globals)?;
                service.deactivate_authorizations(&server, account.as_deref(), urls).await?
            }
        })
    })?;
    let all: Vec<_> = found.iter().map(document).collect();
    output.show(&json!({"schema": 1, "authorizations": all}), || text(&found));
    Ok(Status::Done)
}

fn document(authorization: &Authorization) -> Value {
    let challenge = |challenge: &livecert_acme::Challenge| {
        json!({
            "type": challenge.kind.to_string(),
            "status": challenge.status.to_string(),
            "url": challenge.url,
            "token": challenge.token.as_ref().map(livecert_acme::Token::as_str),
            "error": challenge.error.as_ref().map(ToString::to_string),
        })
    };
    json!({
        "url": authorization.url,
        "name": name(authorization),
        "status": authorization.status.to_string(),
        "expires": authorization.expires,
        "challenges": authorization.challenges.iter().map(challenge).collect::<Vec<_>>(),
    })
}

fn name(authorization: &Authorization) -> String {
    let wildcard = if authorization.wildcard { "*." } else { "" };
    format!("{wildcard}{}", authorization.identifier.value())
}

fn text(found: &[Authorization]) -> String {
    let mut rows = vec![["NAME", "STATUS", "CHALLENGES", "URL"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|authorization| {
        let challenges = authorization.challenges.iter().map(|challenge| challenge.kind.to_string());
        vec![
            name(authorization),
            authorization.status.to_string(),
            challenges.collect::<Vec<_>>().join(", "),
            authorization.url.to_string(),
        ]
    }));
    table(&rows)
}

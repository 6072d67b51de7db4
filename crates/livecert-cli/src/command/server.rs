//! `livecert server list|show|profiles`.

use clap::Subcommand;
use livecert::certificate::{CertificateError, SERVERS, ServerUrl};
use serde_json::json;

use crate::arguments::{Globals, OneServer};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

#[derive(Debug, Subcommand)]
pub(crate) enum ServerWords {
    /// The servers that have a short code, and those that were used
    List,
    /// What a server offers
    Show(OneServer),
    /// The certificate profiles of a server
    Profiles(OneServer),
}

pub(super) fn run(words: &ServerWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        ServerWords::List => list(globals, output),
        ServerWords::Show(words) => show(words, globals, output),
        ServerWords::Profiles(words) => profiles(words, globals, output),
    }
}

/// The server that is meant.
pub(super) fn chosen(server: Option<&str>) -> Result<ServerUrl, Failure> {
    match server {
        Some(server) => Ok(server.parse::<ServerUrl>().map_err(CertificateError::from)?),
        None => Ok(ServerUrl::default()),
    }
}

fn list(globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let accounts = context::store(globals)?.account_records().map_err(CertificateError::from)?;
    let account = |url: &str| {
        let found = accounts.iter().find(|account| account.server == url);
        found.and_then(|account| account.url.clone())
    };
    let mut servers: Vec<(&str, &str)> = SERVERS.to_vec();
    let known = |url: &str| SERVERS.iter().any(|(_, known)| *known == url);
    servers
        .extend(accounts.iter().map(|account| ("", account.server.as_str())).filter(|(_, url)| !known(url)));
    let document = |(code, url): &(&str, &str)| json!({"code": code, "url": url, "account": account(url)});
    output.show(&json!({"schema": 1, "servers": servers.iter().map(document).collect::<Vec<_>>()}), || {
        let mut rows = vec![["CODE", "URL", "ACCOUNT"].map(str::to_owned).to_vec()];
        let row = |(code, url): &(&str, &str)| {
            vec![(*code).to_owned(), (*url).to_owned(), account(url).unwrap_or_default()]
        };
        rows.extend(servers.iter().map(row));
        table(&rows)
    });
    Ok(Status::Done)
}

fn show(words: &OneServer, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = chosen(words.server.as_deref())?;
    let directory = context::block_on(async { Ok(context::service(globals)?.directory(&server).await?) })?;
    let meta = &directory.meta;
    let offers = json!({
        "pre_authorization": directory.new_authz.is_some(),
        "key_change": directory.key_change.is_some(),
        "revocation": directory.revoke_cert.is_some(),
        "renewal_info": directory.renewal_info.is_some(),
    });
    let document = json!({
        "schema": 1,
        "url": server.as_str(),
        "code": server.code(),
        "terms_of_service": meta.terms_of_service,
        "website": meta.website,
        "caa_identities": meta.caa_identities,
        "external_account_required": meta.external_account_required,
        "profiles": meta.profiles,
        "offers": offers,
    });
    output.show(&document, || {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
        row("url", server.as_str().to_owned());
        row("terms", meta.terms_of_service.clone().unwrap_or_default());
        row("website", meta.website.clone().unwrap_or_default());
        row("CAA", meta.caa_identities.join(", "));
        row(
            "accounts",
            if meta.external_account_required { "with an external account binding" } else { "for everybody" }
                .to_owned(),
        );
        row("profiles", meta.profiles.keys().cloned().collect::<Vec<_>>().join(", "));
        let says = |what: &str| offers[what] == true;
        let all = ["pre_authorization", "key_change", "revocation", "renewal_info"];
        row(
            "offers",
            all.into_iter().filter(|what| says(what)).collect::<Vec<_>>().join(", ").replace('_', " "),
        );
        table(&rows)
    });
    Ok(Status::Done)
}

fn profiles(words: &OneServer, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = chosen(words.server.as_deref())?;
    let directory = context::block_on(async { Ok(context::service(globals)?.directory(&server).await?) })?;
    let profiles = &directory.meta.profiles;
    output.show(&json!({"schema": 1, "server": server.as_str(), "profiles": profiles}), || {
        if profiles.is_empty() {
            return format!("{server} offers no profiles.\n");
        }
        let rows: Vec<_> = profiles.iter().map(|(name, about)| vec![name.clone(), about.clone()]).collect();
        table(&rows)
    });
    Ok(Status::Done)
}

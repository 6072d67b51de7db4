//! `livecert server list|add|use|update|show|profiles|remove`.

use clap::{Args, Subcommand};
use livecert::certificate::{
    CertificateError, KnownServer, LimitError, Limits, RemovedServer, ServerChange, ServerUrl, Servers,
};
use serde_json::{Value, json};

use super::limits::known;
use crate::arguments::{Globals, OneServer};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

#[derive(Debug, Subcommand)]
pub(crate) enum ServerWords {
    /// The servers that have a short code, and those that were added or used
    List,
    /// Keep a server in mind, with a name of your own for it
    Add {
        /// The https URL of its directory, or its code
        #[arg(value_name = "CODE|URL")]
        server: String,
        #[command(flatten)]
        change: Change,
        /// Do not ask it for its directory first
        #[arg(long)]
        offline: bool,
    },
    /// Let a server be the one for new certificates, where `--server` names no other
    Use {
        /// Its code, its URL, or your name for it
        #[arg(value_name = "CODE|URL")]
        server: String,
    },
    /// Change your name for a server, or how it is dealt with
    Update {
        /// Its code, its URL, or your name for it
        #[arg(value_name = "CODE|URL")]
        server: String,
        #[command(flatten)]
        change: Change,
    },
    /// What a server offers
    Show(ThisServer),
    /// The certificate profiles of a server
    Profiles(ThisServer),
    /// Forget a server, with its name and its accounts; certificates from there stay
    Remove {
        /// Its code, its URL, or your name for it
        #[arg(value_name = "CODE|URL")]
        server: String,
        /// Also if certificates or accounts use it; the keys of those accounts are gone then
        #[arg(long)]
        force: bool,
        /// End its accounts there first, for good
        #[arg(long)]
        deactivate_accounts: bool,
    },
}

/// The server that is looked at.
#[derive(Debug, Args)]
pub(crate) struct ThisServer {
    /// Its code, its URL, or your name for it; the same as --server
    #[arg(value_name = "CODE|URL")]
    named: Option<String>,
    #[command(flatten)]
    server: OneServer,
}

impl ThisServer {
    fn url(&self, globals: &Globals) -> Result<ServerUrl, Failure> {
        chosen(self.named.as_deref().or(self.server.server.as_deref()), globals)
    }
}

/// What can be changed about a server.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// A name that stands wherever a CODE|URL does; "" for none
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Ask it when certificates are to be renewed, and tell it which ones are replaced (RFC 9773), if it offers that
    /// [default: true]
    #[arg(long, value_name = "BOOL")]
    renewal_info: Option<bool>,
    /// Send it the mail addresses of `--contact` [default: true, but for Let's Encrypt, which keeps none]
    #[arg(long, value_name = "BOOL")]
    contacts: Option<bool>,
    /// Its rate limits: `letsencrypt`, `letsencrypt-staging`, `none`, or such as `orders=300/3h,domain=50/7d,set=5/7d,failures=5/1h`;
    /// "" for those that are known of it
    #[arg(long, value_name = "LIMITS", value_parser = own_limits)]
    limits: Option<OwnLimits>,
}

/// Limits that a user gives; none for those that are known.
#[derive(Debug, Clone, Copy)]
struct OwnLimits(Option<Limits>);

fn own_limits(text: &str) -> Result<OwnLimits, LimitError> {
    match text {
        "" => Ok(OwnLimits(None)),
        text => text.parse().map(|limits| OwnLimits(Some(limits))),
    }
}

impl Change {
    fn change(&self) -> ServerChange {
        let (renewal_info, contacts) = (self.renewal_info, self.contacts);
        let limits = self.limits.map(|limits| limits.0);
        ServerChange { name: self.name.clone(), renewal_info, contacts, limits }
    }

    fn is_none(&self) -> bool {
        self.name.is_none() && self.renewal_info.is_none() && self.contacts.is_none() && self.limits.is_none()
    }
}

pub(super) fn run(words: &ServerWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        ServerWords::List => list(globals, output),
        ServerWords::Add { server, change, offline } => {
            let server = chosen(Some(server), globals)?;
            changed(&server, change, *offline, ("added", "Added"), globals, output)
        }
        ServerWords::Update { change, .. } if change.is_none() => Err(Failure::wrong(
            "there is nothing to change: give --name, --renewal-info, --contacts or --limits",
        )),
        ServerWords::Update { server, change } => {
            let server = chosen(Some(server), globals)?;
            changed(&server, change, true, ("updated", "Updated"), globals, output)
        }
        ServerWords::Use { server } => {
            let server = chosen(Some(server), globals)?;
            let server =
                context::block_on(async { Ok(context::service(globals)?.use_server(&server).await?) })?;
            output.show(&with_result(&server, "in-use"), || {
                format!("{} is for new certificates now, where --server names no other.\n", called(&server))
            });
            Ok(Status::Done)
        }
        ServerWords::Show(words) => show(words, globals, output),
        ServerWords::Profiles(words) => profiles(words, globals, output),
        ServerWords::Remove { server, force, deactivate_accounts } => {
            let server = chosen(Some(server), globals)?;
            let removed = context::block_on(async {
                let service = context::service(globals)?;
                Ok(service.remove_server(&server, *force, *deactivate_accounts).await?)
            })?;
            output.show(&removed_document(&removed), || removed_text(&removed));
            Ok(Status::Done)
        }
    }
}

/// The server that is meant.
pub(super) fn chosen(server: Option<&str>, globals: &Globals) -> Result<ServerUrl, Failure> {
    context::server(server, globals)
}

fn list(globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let store = context::store(globals)?;
    let accounts = store.account_records().map_err(CertificateError::from)?;
    let servers = Servers::read(&store)?;
    let mut all = servers.all().map_err(CertificateError::from)?;
    for account in &accounts {
        let url: ServerUrl = account.server.parse().map_err(CertificateError::from)?;
        if !all.iter().any(|server| server.url == url) {
            all.push(servers.about(&url).map_err(CertificateError::from)?);
        }
    }
    let account = |server: &KnownServer| {
        store.account(server.url.as_str()).ok().flatten().and_then(|account| account.url)
    };
    let documents: Vec<_> = all
        .iter()
        .map(|server| {
            let mut document = document(server);
            document["account"] = json!(account(server));
            document
        })
        .collect();
    output.show(&json!({"schema": 1, "servers": documents}), || {
        let mut rows = vec![["", "CODE", "NAME", "URL", "ACCOUNT"].map(str::to_owned).to_vec()];
        rows.extend(all.iter().map(|server| {
            let mark = if server.in_use { "*" } else { "" };
            let code = server.url.code().unwrap_or_default();
            let name = server.name.as_deref().unwrap_or_default();
            let mut row = [mark, code, name, server.url.as_str()].map(str::to_owned).to_vec();
            row.push(account(server).unwrap_or_default());
            row
        }));
        table(&rows)
    });
    Ok(Status::Done)
}

fn changed(
    server: &ServerUrl,
    change: &Change,
    offline: bool,
    (result, done): (&str, &str),
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let (server, terms) = context::block_on(async {
        Ok(context::service(globals)?.change_server(server, &change.change(), offline).await?)
    })?;
    let mut document = with_result(&server, result);
    document["terms_of_service"] = json!(terms);
    output.show(&document, || {
        let terms = terms.map(|terms| format!("Its terms of service: {terms}\n")).unwrap_or_default();
        format!("{done} {}.\n{terms}", called(&server))
    });
    Ok(Status::Done)
}

fn document(server: &KnownServer) -> Value {
    json!({
        "code": server.url.code().unwrap_or_default(),
        "name": server.name,
        "url": server.url.as_str(),
        "in_use": server.in_use,
        "renewal_info": server.renewal_info,
        "contacts": server.contacts,
        "limits": known(&server.limits),
    })
}

fn with_result(server: &KnownServer, result: &str) -> Value {
    let mut document = document(server);
    document["schema"] = 1.into();
    document["result"] = result.into();
    document
}

/// How a person knows a server.
fn called(server: &KnownServer) -> String {
    match &server.name {
        Some(name) => format!("{name} ({})", server.url),
        None => server.url.to_string(),
    }
}

fn removed_document(removed: &RemovedServer) -> Value {
    json!({
        "schema": 1,
        "result": "removed",
        "code": removed.url.code().unwrap_or_default(),
        "url": removed.url.as_str(),
        "accounts": removed.accounts,
        "deactivated": removed.deactivated,
        "in_use": removed.in_use.as_ref().map(ServerUrl::as_str),
    })
}

fn removed_text(removed: &RemovedServer) -> String {
    let mut text = format!("Removed {}.\n", removed.url);
    for account in &removed.accounts {
        let ended = removed.deactivated.contains(account);
        let what =
            if ended { "is deactivated there" } else { "still exists there, and its key is gone here" };
        text.push_str(&format!("Its account {account} {what}.\n"));
    }
    if removed.url.code().is_some() {
        text.push_str("Its code stays, as for all servers that livecert knows by itself.\n");
    }
    if let Some(next) = &removed.in_use {
        text.push_str(&format!("{next} is for new certificates now.\n"));
    }
    text
}

fn show(words: &ThisServer, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = words.url(globals)?;
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

fn profiles(words: &ThisServer, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = words.url(globals)?;
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

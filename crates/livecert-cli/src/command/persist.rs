//! `livecert persist publish|unpublish|show`.

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use livecert::certificate::{
    AccountRequest, CertificateError, PersistRequest, Persisted, Stands, parse_names,
};
use livecert::plugin;
use serde_json::{Value, json};

use super::server::chosen;
use super::view::moment;
use crate::arguments::{Globals, OneServer, Propagation, account};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Subcommand)]
pub(crate) enum Persist {
    /// Write the standing record of each name, and remove the ones that it replaces
    Publish {
        #[command(flatten)]
        words: PersistWords,
        /// Cover wildcards and the names below too (also for names that are given as '*.NAME')
        #[arg(long)]
        allow_wildcard: bool,
        /// The day on which the records end, such as 2027-06-30
        #[arg(long, value_name = "DAY")]
        until: Option<jiff::civil::Date>,
        /// Accept the server's terms of service (if the account is made now)
        #[arg(long)]
        accept_tos: bool,
        /// Mail address (if the account is made now); repeatable
        #[arg(long, value_name = "MAIL")]
        contact: Vec<String>,
    },
    /// Remove the standing records of this account
    Unpublish {
        #[command(flatten)]
        words: PersistWords,
    },
    /// Show the standing records of names, whoever's they are
    Show {
        /// The names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        propagation: Propagation,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PersistWords {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) server: OneServer,
    /// Account: your name for it, its id or its URL [default: that of the certificates for these names, else the one in
    /// use]
    #[arg(long, value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = account)]
    pub(crate) account: Option<String>,
    /// The CA's name in such records [default: what its directory tells]
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) issuer: Option<String>,
    /// What writes the records
    #[arg(long, value_name = "NAME", default_value = "gandi", help_heading = "DNS")]
    pub(crate) plugin: String,
    /// Parameter of the plugin; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    pub(crate) plugin_arg: Vec<String>,
    #[command(flatten)]
    pub(crate) propagation: Propagation,
}

pub(super) fn run(words: Persist, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Persist::Publish { words, allow_wildcard, until, accept_tos, contact } => {
            let mut request = request(words, globals)?;
            request.wildcard = allow_wildcard;
            request.account = AccountRequest { accept_tos, contact, ..request.account };
            // The end of that day, so that the day itself is in.
            let end = until.map(|day| TimeZone::UTC.to_timestamp(day.at(23, 59, 59, 0))).transpose();
            let end = end.map_err(|error| Failure::wrong(&error.to_string()))?;
            request.until = end;
            if request.until.is_some_and(|until| until <= jiff::Timestamp::now()) {
                return Err(Failure::wrong("--until is in the past"));
            }
            let done =
                context::block_on(async { Ok(context::service(globals)?.persist_publish(&request).await?) })?;
            let all: Vec<_> = done.iter().map(|one| document(one, "published")).collect();
            output.show(&json!({"schema": 1, "records": all}), || done.iter().map(published).collect());
        }
        Persist::Unpublish { words } => {
            let request = request(words, globals)?;
            let done = context::block_on(async {
                Ok(context::service(globals)?.persist_unpublish(&request).await?)
            })?;
            let all: Vec<_> = done.iter().map(|one| document(one, "unpublished")).collect();
            output.show(&json!({"schema": 1, "records": all}), || done.iter().map(unpublished).collect());
        }
        Persist::Show { names, propagation } => {
            let names = parse_names(names.iter().map(String::as_str)).map_err(CertificateError::from)?;
            let request = propagation.request();
            let shown = context::block_on(async {
                Ok(context::service(globals)?.persist_show(&names, &request).await?)
            })?;
            let all: Vec<_> = shown.iter().map(stands).collect();
            output.show(&json!({"schema": 1, "names": all}), || shown.iter().map(shown_text).collect());
        }
    }
    Ok(Status::Done)
}

fn request(words: PersistWords, globals: &Globals) -> Result<PersistRequest, Failure> {
    let plugin = plugin::find(&words.plugin).map_err(CertificateError::from)?;
    Ok(PersistRequest {
        names: parse_names(words.names.iter().map(String::as_str)).map_err(CertificateError::from)?,
        server: chosen(words.server.server.as_deref(), globals)?,
        account: AccountRequest { account: words.account, ..AccountRequest::default() },
        issuer: words.issuer,
        wildcard: false,
        until: None,
        plugin,
        arguments: plugin::parse_arguments(plugin, &words.plugin_arg).map_err(CertificateError::from)?,
        propagation: words.propagation.request(),
    })
}

fn document(done: &Persisted, result: &str) -> Value {
    json!({
        "result": if done.unchanged { "unchanged" } else { result },
        "fqdn": done.at,
        "value": done.value,
        "removed": done.replaced,
    })
}

fn published(done: &Persisted) -> String {
    let what = if done.unchanged { "Stands already" } else { "Published" };
    let removed: String = done.replaced.iter().map(|old| format!("  in the place of \"{old}\"\n")).collect();
    format!("{what}: {}. TXT \"{}\"\n{removed}", done.at, done.value)
}

fn unpublished(done: &Persisted) -> String {
    if done.unchanged {
        return format!("Nothing of this account stands at {}.\n", done.at);
    }
    done.replaced.iter().map(|old| format!("Removed: {}. TXT \"{old}\"\n", done.at)).collect()
}

fn stands(shown: &Stands) -> Value {
    let value = |(value, record): &(String, Result<_, _>)| match record {
        Ok(record) => {
            let record: &livecert::challenge::StandingRecord = record;
            json!({
                "value": value,
                "issuer": record.issuer,
                "account": record.account,
                "wildcard": record.wildcard,
                "until": record.until,
            })
        }
        Err(error) => {
            let error: &livecert::challenge::StandingRecordError = error;
            json!({"value": value, "error": error.to_string()})
        }
    };
    json!({"fqdn": shown.at, "records": shown.values.iter().map(value).collect::<Vec<_>>()})
}

fn shown_text(shown: &Stands) -> String {
    if shown.values.is_empty() {
        return format!("{}: nothing stands there\n", shown.at);
    }
    let line = |(value, record): &(String, Result<livecert::challenge::StandingRecord, _>)| match record {
        Ok(record) => {
            let covers =
                if record.wildcard { "with wildcards and names below" } else { "for this name alone" };
            let until = record.until.map(|until| format!(", until {}", moment(until))).unwrap_or_default();
            format!(
                "{}: {} may give certificates to {} {covers}{until}\n",
                shown.at, record.issuer, record.account
            )
        }
        Err(error) => {
            let error: &livecert::challenge::StandingRecordError = error;
            format!("{}: \"{value}\" counts for nobody: {error}\n", shown.at)
        }
    };
    shown.values.iter().map(line).collect()
}

//! `livecert import`.

use std::path::PathBuf;

use clap::Args;
use livecert::certificate::{
    CertificateError, Import, ImportRequest, ImportedAccount, ImportedCertificate, Taken, plan_import,
};
use livecert::import::{Client, Hints};
use livecert::plugin::{self, ArgumentError};
use serde_json::{Value, json};

use super::view::{distance, moment, whole};
use crate::arguments::{Globals, Propagation};
use crate::context;
use crate::failure::{Failure, describe, error_document};
use crate::output::{Output, Status};
use crate::terminal::write_err;

#[derive(Debug, Args)]
pub(crate) struct ImportWords {
    /// The other client: posh-acme, certbot, lego or acme.sh
    #[arg(value_name = "CLIENT")]
    client: String,
    /// Its folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Only show what would be taken over
    #[arg(long)]
    plan: bool,
    /// Take over this certificate alone, by its name at the client or in the store; repeatable
    #[arg(long, value_name = "NAME")]
    cert: Vec<String>,
    /// Directory of the ACME server, where the client's folder tells its host only; repeatable
    #[arg(long, value_name = "CODE|URL", help_heading = "ACME")]
    server: Vec<String>,
    /// What publishes the proofs of all certificates from now on [default: what did at the client, else manual]
    #[arg(long, value_name = "NAME", help_heading = "DNS")]
    plugin: Option<String>,
    /// Parameter of the plugin, beside those that are found; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    plugin_arg: Vec<String>,
    /// Run the client's hooks from now on, as they are: they get the variables of livecert, and not the client's
    #[arg(long, help_heading = "Deployment")]
    hooks: bool,
    #[command(flatten)]
    propagation: Propagation,
}

pub(super) fn run(words: ImportWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let plan = words.plan;
    let request = request(words, globals)?;
    let import = match plan {
        true => plan_import(&context::store(globals)?, &request)?,
        false => context::block_on(async { Ok(context::service(globals)?.import(&request).await?) })?,
    };
    output.show(&document(&import, &request, plan), || text(&import, &request, plan));
    if !output.is_json() {
        for (name, taken) in all(&import) {
            if let Taken::Failed(error) = taken {
                write_err(&format!("{name}: {}", describe(error)));
            }
        }
    }
    let (taken, lost): (Vec<_>, Vec<_>) = all(&import).partition(|(_, taken)| is_taken(taken));
    // An account that stays out of the way of ours is no failure.
    let lost = lost.iter().filter(|(_, taken)| matches!(taken, Taken::Failed(_))).count()
        + import.certificates.iter().filter(|one| matches!(one.taken, Taken::Kept(_))).count();
    Ok(Status::of(taken.len(), lost + import.obstacles.len()))
}

fn request(words: ImportWords, globals: &Globals) -> Result<ImportRequest, Failure> {
    let client: Client = words.client.parse().map_err(CertificateError::from)?;
    let plugin = words.plugin.as_deref().map(plugin::find).transpose().map_err(CertificateError::from)?;
    let arguments = match plugin {
        Some(plugin) => plugin::parse_arguments(plugin, &words.plugin_arg),
        None if words.plugin_arg.is_empty() => Ok(plugin::ArgumentSources::new()),
        None => Err(ArgumentError::WithoutPlugin),
    };
    let servers = context::servers(&words.server, globals)?;
    Ok(ImportRequest {
        client,
        path: words.path,
        hints: Hints { servers: servers.iter().map(ToString::to_string).collect(), ..Hints::default() },
        certs: words.cert,
        plugin,
        arguments: arguments.map_err(CertificateError::from)?,
        propagation: words.propagation.request(),
        hooks: words.hooks,
    })
}

fn all(import: &Import) -> impl Iterator<Item = (&str, &Taken)> {
    let accounts = import.accounts.iter().map(|account| (account.url.as_str(), &account.taken));
    accounts.chain(import.certificates.iter().map(|one| (one.cert.as_str(), &one.taken)))
}

fn is_taken(taken: &Taken) -> bool {
    matches!(taken, Taken::New | Taken::Already)
}

fn document(import: &Import, request: &ImportRequest, plan: bool) -> Value {
    let account = |account: &ImportedAccount| {
        let mut document = json!({
            "server": account.server,
            "url": account.url,
            "contact": account.contact,
        });
        add(&mut document, &account.taken, plan);
        document
    };
    let certificate = |one: &ImportedCertificate| {
        let hook = |hook: &livecert::import::FoundHook| json!({"moment": hook.moment.to_string(), "command": hook.command, "taken_over": request.hooks});
        let mut document = json!({
            "name": one.cert.as_str(),
            "source_name": one.name,
            "names": one.names,
            "server": one.server,
            "account": one.account,
            "key_type": one.key_type,
            "plugin": one.plugin,
            "plugin_args": one.arguments,
            "not_after": one.not_after,
            "renew_at": whole(one.renew_at),
            "hooks": one.hooks.iter().map(hook).collect::<Vec<_>>(),
            "notes": one.notes,
        });
        add(&mut document, &one.taken, plan);
        document
    };
    let obstacle = |lost: &livecert::import::Obstacle| json!({"what": lost.what, "certificate": lost.is_certificate, "reason": lost.why});
    json!({
        "schema": 1,
        "client": request.client.to_string(),
        "path": request.path,
        "plan": plan,
        "accounts": import.accounts.iter().map(account).collect::<Vec<_>>(),
        "certificates": import.certificates.iter().map(certificate).collect::<Vec<_>>(),
        "not_taken_over": import.obstacles.iter().map(obstacle).collect::<Vec<_>>(),
        "notes": import.notes,
    })
}

fn add(document: &mut Value, taken: &Taken, plan: bool) {
    document["result"] = match taken {
        Taken::New if plan => "to-import",
        Taken::New => "imported",
        Taken::Already => "already-there",
        Taken::Kept(_) => "kept",
        _ => "failed",
    }
    .into();
    match taken {
        Taken::Kept(why) => document["reason"] = why.as_str().into(),
        Taken::Failed(error) => document["error"] = error_document(error),
        _ => {}
    }
}

fn text(import: &Import, request: &ImportRequest, plan: bool) -> String {
    let mut text = match plan {
        true => format!("What `livecert import {}` would take over from ", request.client),
        false => format!("Taken over from {}, ", request.client),
    };
    text.push_str(&format!("{}:\n", request.path.display()));
    for account in &import.accounts {
        text.push_str(&format!("\naccount {}\n", account.url));
        line(&mut text, "result", &result(&account.taken, plan));
        line(&mut text, "server", &account.server);
        line(&mut text, "contact", &account.contact.join(", "));
    }
    let now = jiff::Timestamp::now();
    for one in &import.certificates {
        text.push_str(&format!("\ncertificate {}\n", one.cert));
        line(&mut text, "result", &result(&one.taken, plan));
        line(&mut text, "names", &one.names.join(", "));
        line(&mut text, "server", &one.server);
        line(&mut text, "account", one.account.as_deref().unwrap_or_default());
        line(&mut text, "ends", &format!("{} ({})", moment(one.not_after), distance(one.not_after, now)));
        line(&mut text, "renewal", &format!("{} ({})", moment(one.renew_at), distance(one.renew_at, now)));
        line(&mut text, "key", &one.key_type);
        line(&mut text, "plugin", one.plugin);
        for (name, value) in &one.arguments {
            line(&mut text, "", &format!("{name} = {value}"));
        }
        for hook in &one.hooks {
            let command = hook.command.replace('\n', "; ");
            let fate = if request.hooks { "" } else { ", which is not taken over without --hooks" };
            line(&mut text, "hook", &format!("{command} ({}){fate}", hook.moment));
        }
        one.notes.iter().for_each(|note| line(&mut text, "note", note));
    }
    if !import.obstacles.is_empty() {
        text.push_str("\nThis cannot be taken over:\n");
        for lost in &import.obstacles {
            let kind = if lost.is_certificate { "certificate " } else { "" };
            text.push_str(&format!("  {kind}{}: {}\n", lost.what, lost.why));
        }
    }
    for note in &import.notes {
        text.push_str(&format!("\nnote: {note}\n"));
    }
    if !plan && import.certificates.iter().any(|one| is_taken(&one.taken)) {
        text.push_str(&format!(
            "\nFrom now on `livecert renew` renews them. Stop the other client, so that it does not, too: {}\n",
            request.client.farewell()
        ));
    }
    text
}

fn line(text: &mut String, what: &str, value: &str) {
    if !value.is_empty() {
        text.push_str(&format!("  {what:<8} {value}\n"));
    }
}

fn result(taken: &Taken, plan: bool) -> String {
    match taken {
        Taken::New if plan => "new: would be taken over".to_owned(),
        Taken::New => "taken over".to_owned(),
        Taken::Already => "in the store already; nothing changes".to_owned(),
        Taken::Kept(why) => format!("NOT taken over: {why}"),
        _ => "FAILED".to_owned(),
    }
}

//! `livecert token check|renew`.

use std::pin::pin;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use livecert::certificate::{CertificateError, CheckedCredential, CredentialCheck, Renewed, Written};
use livecert::plugin::{self, ArgumentSources, CredentialState, PluginInfo};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::view::{distance, moment};
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe, error_document};
use crate::output::{Output, Status};
use crate::terminal::write_err;

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Show whether it works, until when, and for what; exit status 4 when it ends soon
    Check {
        #[command(flatten)]
        credential: TokenCredential,
        /// Fewer days left than this are soon
        #[arg(long, value_name = "DAYS", default_value_t = livecert::certificate::WARN_DAYS)]
        warn_days: i64,
    },
    /// Ask Gandi for a new token, prove it, and write it where the old one is
    Renew {
        #[command(flatten)]
        credential: TokenCredential,
        /// Print the new token on stdout too
        #[arg(long)]
        print: bool,
    },
}

/// The credential that is meant.
#[derive(Debug, Args)]
pub(crate) struct TokenCredential {
    /// The plugin that it is for
    #[arg(long, value_name = "NAME", default_value = "gandi")]
    pub(crate) plugin: String,
    /// The credential, as for `issue`; repeatable [default: those of the certificates in the store]
    #[arg(long, value_name = "KEY=SOURCE")]
    pub(crate) plugin_arg: Vec<String>,
}

pub(super) fn run(words: &Token, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Token::Check { credential, warn_days } => check(credential, *warn_days, globals, output),
        Token::Renew { credential, print } => renew(credential, *print, globals, output),
    }
}

type Given = Option<(&'static PluginInfo, ArgumentSources)>;

/// The credential that is meant: the words' or the environment's; none for those of the certificates in the store.
fn given(words: &TokenCredential, globals: &Globals) -> Result<Given, CertificateError> {
    let plugin = plugin::find(&words.plugin)?;
    let arguments = plugin::parse_arguments(plugin, &words.plugin_arg)?;
    let stored = context::store(globals).ok().and_then(|store| store.cert_names().ok()).unwrap_or_default();
    Ok((!arguments.is_empty() || stored.is_empty()).then_some((plugin, arguments)))
}

/// After this time whoever waits is told what for.
const SILENCE: Duration = Duration::from_secs(3);

/// Does the work, and says that it is still at it where that takes long: a service that does not answer is asked again for
/// minutes.
async fn waited_for<T>(globals: &Globals, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(SILENCE, work.as_mut()).await {
        return done;
    }
    if !globals.quiet {
        write_err("There is no answer yet. What fails is tried again for a while; Ctrl-C ends that.\n");
    }
    work.await
}

fn check(
    words: &TokenCredential,
    warn_days: i64,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let given = given(words, globals)?;
    let CredentialCheck { checked, unusable, .. } = context::block_on(async {
        let given = given.as_ref().map(|(plugin, arguments)| (*plugin, arguments));
        let service = context::service(globals)?;
        Ok(waited_for(globals, service.check_credentials(given)).await?)
    })?;
    let now = Timestamp::now();
    for (cert, error) in &unusable {
        write_err(&format!("{cert}: its credential cannot be looked at\n{}", describe(error)));
    }
    let unread = unusable.iter().map(|_| Status::Failed);
    let status =
        checked.iter().map(|one| status(one, warn_days, now)).chain(unread).max_by_key(
            |status| match status {
                Status::Failed => 2,
                Status::Soon => 1,
                _ => 0,
            },
        );
    let documents: Vec<_> = checked.iter().map(|one| document(one, warn_days, now)).collect();
    let unusable: Vec<_> = unusable
        .iter()
        .map(|(cert, error)| json!({"name": cert.as_str(), "error": error_document(error)}))
        .collect();
    output.show(&json!({"schema": 1, "credentials": documents, "unusable": unusable}), || {
        checked.iter().map(|one| text(one, warn_days, now)).collect::<Vec<_>>().join("\n")
    });
    Ok(status.unwrap_or(Status::Done))
}

fn status(checked: &CheckedCredential, warn_days: i64, now: Timestamp) -> Status {
    let report = &checked.report;
    let ended = checked.days_left(now).is_some_and(|days| days < 0);
    // A check that nobody has answered must not look as if all were well.
    let unanswered = matches!(report.state, CredentialState::Unknown(_));
    if unanswered
        || checked.refusal().is_some()
        || !report.lacks.is_empty()
        || !report.uncovered.is_empty()
        || ended
    {
        Status::Failed
    } else if checked.days_left(now).is_some_and(|days| days < warn_days) {
        Status::Soon
    } else {
        Status::Done
    }
}

fn state(checked: &CheckedCredential) -> &'static str {
    match &checked.report.state {
        CredentialState::Valid => "valid",
        CredentialState::Refused(_) => "refused",
        CredentialState::Unknown(_) => "unknown",
    }
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn document(checked: &CheckedCredential, warn_days: i64, now: Timestamp) -> Value {
    let report = &checked.report;
    let reason = match &report.state {
        CredentialState::Valid => None,
        CredentialState::Refused(error) | CredentialState::Unknown(error) => Some(with_causes(error)),
    };
    json!({
        "plugin": checked.plugin,
        "labels": checked.labels,
        "source": checked.source,
        "kind": report.kind,
        "state": state(checked),
        "reason": reason,
        "name": report.name,
        "expires": report.expires,
        "days_left": checked.days_left(now),
        "ends_soon": checked.days_left(now).is_some_and(|days| days < warn_days),
        "permissions": report.permissions,
        "lacks": report.lacks,
        "domains": report.domains,
        "certificates": checked.certs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "uncovered": report.uncovered.iter().map(|(name, error)| {
            json!({"name": name, "reason": with_causes(error)})
        }).collect::<Vec<_>>(),
    })
}

fn text(checked: &CheckedCredential, warn_days: i64, now: Timestamp) -> String {
    let report = &checked.report;
    let list = |items: &[String]| if items.is_empty() { "unknown".to_owned() } else { items.join(", ") };
    let name = report.name.as_ref().map(|name| format!(" '{name}'")).unwrap_or_default();
    let mut text = format!("{}{name} from {}: {}\n", report.kind, checked.source, state(checked));
    if let CredentialState::Refused(error) | CredentialState::Unknown(error) = &report.state {
        text.push_str(&format!("  because: {}\n", with_causes(error)));
    }
    text.push_str(&match (report.expires, report.kind) {
        (Some(at), _) => format!("  ends         {} ({})\n", moment(at), distance(at, now)),
        (None, "API key") => "  ends         never (API keys do not)\n".to_owned(),
        (None, _) => "  ends         unknown; give GandiExpires=YYYY-MM-DD to be warned\n".to_owned(),
    });
    text.push_str(&format!("  permissions  {}\n", list(&report.permissions)));
    text.push_str(&format!("  domains      {}\n", list(&report.domains)));
    if !checked.labels.is_empty() {
        text.push_str(&format!("  label        {}\n", checked.labels.join(", ")));
    }
    if !checked.certs.is_empty() {
        let certs = checked.certs.iter().map(ToString::to_string).collect::<Vec<_>>();
        text.push_str(&format!("  used for     {}\n", certs.join(", ")));
    }
    for scope in &report.lacks {
        text.push_str(&format!(
            "  MISSING: the permission {scope} ('Manage domain name technical configurations'): make a token that has it\n"
        ));
    }
    for (name, error) in &report.uncovered {
        text.push_str(&format!("  NOT COVERED: {name}: {}\n", with_causes(error)));
    }
    if checked.days_left(now).is_some_and(|days| days < warn_days) {
        text.push_str(
            "  next: `livecert token renew`, or make a new token at account.gandi.net and write it to the same place\n",
        );
    }
    text
}

fn renew(
    words: &TokenCredential,
    print: bool,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let given = given(words, globals)?;
    let renewed = context::block_on(async {
        let given = given.as_ref().map(|(plugin, arguments)| (*plugin, arguments));
        Ok(context::service(globals)?.renew_credentials(given).await?)
    })?;
    let documents: Vec<_> = renewed.iter().map(|one| renewed_document(one, print)).collect();
    output.show(&json!({"schema": 1, "renewed": documents}), || {
        renewed.iter().map(|one| renewed_text(one, print)).collect()
    });
    Ok(Status::Done)
}

fn renewed_document(renewed: &Renewed, print: bool) -> Value {
    let written = match &renewed.written {
        Written::File { path, old } => json!({"file": path, "old": old}),
        Written::Sealed(certs) => {
            json!({"sealed_for": certs.iter().map(ToString::to_string).collect::<Vec<_>>()})
        }
        Written::Aside(path) => json!({"aside": path}),
        _ => Value::Null,
    };
    let mut document = json!({"source": renewed.source, "expires": renewed.expires, "written": written});
    if print {
        document["secret"] = renewed.secret.expose_secret().into();
    }
    document
}

fn renewed_text(renewed: &Renewed, print: bool) -> String {
    let end = renewed.expires.map(|at| format!(", valid until {}", moment(at))).unwrap_or_default();
    let mut text = match &renewed.written {
        Written::File { path, old } => format!(
            "The new token is in {}{end}.\n  The old one is in {}; it is valid until its own end. Delete it at Gandi and there.\n",
            path.display(),
            old.display()
        ),
        Written::Sealed(certs) => {
            let certs = certs.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("The new token is sealed in the state folder, for {}{end}.\n", certs.join(", "))
        }
        Written::Aside(path) => format!(
            "The new token is in {}{end}.\n  livecert cannot write to {}: bring it there, then remove that file.\n",
            path.display(),
            renewed.source
        ),
        _ => String::new(),
    };
    if print {
        text.push_str(&format!("{}\n", renewed.secret.expose_secret()));
    }
    text
}

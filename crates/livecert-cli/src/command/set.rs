//! `livecert set CERT`.

use clap::Args;
use livecert::certificate::{Amended, CertificateError, IssueRequest, known_publishers, window};
use livecert::plugin::PublisherName;
use livecert::store::CertName;
use serde_json::json;

use super::declared;
use super::deployment::DeploymentView;
use super::kept::Kept;
use super::view::GenerationView;
use crate::arguments::{Globals, account};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The certificate's name in the store (see `livecert list`)
    #[arg(value_name = "CERT")]
    pub(crate) cert: String,
    #[arg(value_name = "NAME", hide = true)]
    names: Vec<String>,
    /// ACME servers: the certificate's own, and then those to fall back to
    #[arg(long, value_name = "CODE|URL", help_heading = "ACME")]
    pub(crate) server: Vec<String>,
    /// The account that renews it: your name for it, its id or its URL
    #[arg(long, value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = account, help_heading = "ACME")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) kept: Kept,
    #[command(flatten)]
    fixed: Fixed,
}

/// What is in the certificate itself. It is here to be told from words that nobody knows.
#[derive(Debug, Args)]
struct Fixed {
    #[arg(long, hide = true)]
    key_type: Option<String>,
    #[arg(long, hide = true)]
    csr: Option<String>,
    #[arg(long, hide = true)]
    subject: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    must_staple: Option<String>,
    #[arg(long, hide = true)]
    profile: Option<String>,
    #[arg(long, hide = true)]
    preferred_profile: Option<String>,
    #[arg(long, hide = true)]
    lifetime_days: Option<String>,
}

impl Set {
    fn fixed(&self) -> Option<&'static str> {
        let fixed = &self.fixed;
        let all = [
            (!self.names.is_empty(), "a change of names"),
            (fixed.key_type.is_some(), "--key-type"),
            (fixed.csr.is_some(), "--csr"),
            (fixed.subject.is_some(), "--subject"),
            (fixed.must_staple.is_some(), "--must-staple"),
            (fixed.profile.is_some(), "--profile"),
            (fixed.preferred_profile.is_some(), "--preferred-profile"),
            (fixed.lifetime_days.is_some(), "--lifetime-days"),
        ];
        all.into_iter().find(|(given, _)| *given).map(|(_, what)| what)
    }
}

pub(super) fn run(words: Set, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let cert: CertName = words.cert.parse().map_err(CertificateError::CertName)?;
    if let Some(what) = words.fixed() {
        return Err(CertificateError::NeedsAnother { what }.into());
    }
    let record = context::store(globals)?.record(&cert).map_err(CertificateError::from)?;
    let request = request(words, &known_publishers(&record)?, globals)?;
    let amended = context::block_on(async { Ok(context::service(globals)?.set(&cert, &request).await?) })?;
    let store = context::store(globals)?;
    declared::remind(&store, &cert, "makes it as it is written there", globals, output);
    let view = amended
        .current
        .as_ref()
        .map(|current| GenerationView::new(current, window(&store, &cert, current).as_ref()));
    let mut document = json!({
        "schema": 1,
        "name": cert.as_str(),
        "result": if amended.changed || amended.rewritten.is_some() { "changed" } else { "unchanged" },
        "rewritten": amended.rewritten.is_some(),
        "certificate": view,
    });
    if let Some(current) = &amended.current
        && let Some(deployment) =
            DeploymentView::new(&store.deployment(&cert).unwrap_or_default(), current.number)
    {
        document["deployment"] = json!(deployment);
    }
    output.show(&document, || text(&amended));
    Ok(Status::Done)
}

fn request(words: Set, known: &[PublisherName], globals: &Globals) -> Result<IssueRequest, Failure> {
    let servers = context::servers(&words.server, globals)?;
    let mut request = IssueRequest { servers, account: words.account, ..IssueRequest::default() };
    words.kept.request(known, &mut request)?;
    Ok(request)
}

fn text(amended: &Amended) -> String {
    let cert = &amended.cert;
    match &amended.rewritten {
        Some(generation) => {
            let files = generation.files().into_iter();
            let files = files.map(|(what, path)| format!("  {what:<13} {}\n", path.display()));
            format!("Changed {cert}; its files are written anew, with the same key and certificate.\n")
                + &files.collect::<String>()
        }
        None if amended.changed => format!("Changed {cert}; the next renewal does so.\n"),
        None => format!("Nothing to do: {cert} is set like that already.\n"),
    }
}

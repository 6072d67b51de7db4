//! `livecert status`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::AnsiColor;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use livecert::certificate::{
    CertificateError, Standing, StatusReport, StatusRequest, Trouble, TroubleKind, status,
};
use livecert::store::{FinishedRun, replace_file};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::standing;
use super::view::{distance, moment};
use crate::arguments::{Globals, duration};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};
use crate::screen::{Screen, harmless};

/// How many certificates are seen at a glance.
const GLANCE: usize = 12;

#[derive(Debug, Args)]
pub(crate) struct StatusWords {
    /// A run of `livecert renew` over all certificates has to have ended within this time, such as 26h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_age: Option<Duration>,
    /// How long after its moment a certificate may wait for its renewal [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) grace: Option<Duration>,
    /// Write the numbers to this file too, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE")]
    pub(crate) prometheus: Option<PathBuf>,
    /// Write all of it to this file too, as one HTML page that needs nothing beside itself
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

pub(super) fn run(words: &StatusWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let signed = |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    let request = StatusRequest {
        max_age: words.max_age.map(signed),
        grace: words.grace.map(signed).unwrap_or_default(),
    };
    let now = Timestamp::now();
    let home = context::home(globals)?;
    if !home.is_dir() {
        // Watching a folder with a slip in its name would be green for ever.
        return Err(Failure::wrong(&format!("there is no state folder {}", home.display()))
            .next("name another one with --home or LIVECERT_HOME; the first `livecert issue` makes it"));
    }
    let report = status(&context::store(globals)?, &request, now).map_err(CertificateError::from)?;
    let metrics = words.prometheus.as_ref().map(|path| write(path, &metrics(&report)));
    let page = words.html.as_ref().map(|path| write(path, &crate::page::page(&report, now)));
    let unwritten: Vec<Failure> = metrics.into_iter().chain(page).filter_map(Result::err).collect();
    // What needs a person is told in any case. The one document is out then: the failure goes beside it.
    output.show(&document(&report), || text(&report, now, Screen::of_stdout()));
    for failure in &unwritten {
        failure.report(&Output::new(false));
    }
    if !unwritten.is_empty() {
        return Ok(Status::Failed);
    }
    Ok(if report.troubles.is_empty() { Status::Done } else { Status::Soon })
}

/// What `--json` shows.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    well: bool,
    problems: Each<'a, Trouble>,
    certificates: Each<'a, Standing>,
    last_run: Option<FinishedRun>,
}

/// Many, each of which is made into JSON when its turn to be written has come.
struct Each<'a, T> {
    all: &'a [T],
    shown: fn(&T) -> Value,
}

impl<T> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.all.iter().map(self.shown))
    }
}

fn document(report: &StatusReport) -> Document<'_> {
    Document {
        schema: 1,
        well: report.troubles.is_empty(),
        problems: Each { all: &report.troubles, shown: trouble },
        certificates: Each { all: &report.certificates, shown: stands },
        last_run: report.last_run,
    }
}

fn trouble(one: &Trouble) -> Value {
    json!({
        "kind": one.kind.word(),
        "name": one.cert.as_ref().map(ToString::to_string),
        "what": one.what,
        "next": one.next,
    })
}

fn stands(one: &Standing) -> Value {
    json!({
        "name": one.cert.as_str(),
        "not_after": one.not_after,
        "renew_at": one.renew_at,
        "issued": one.issued,
        "looked_at": one.looked_at,
        "failures": one.failures,
        "deployed": one.deployed,
        "not_before": one.not_before,
        "revoked": one.revoked,
        "error": one.error.as_ref().map(|error| json!({"kind": error.kind, "message": error.message, "at": error.at})),
        "credential": one.credential.as_ref().map(|credential| json!({"kind": credential.kind, "ends": credential.ends})),
        "problem": one.worst.map(TroubleKind::word),
        "post_hook_owed": one.post_owed,
    })
}

/// The most urgent certificates as a table, what needs a person, and all in a line.
fn text(report: &StatusReport, now: Timestamp, screen: Screen) -> String {
    let mut text = String::new();
    // Those that need somebody are shown in any case, and the next ones as far as they are seen at a glance.
    let urgent = report.certificates.iter().filter(|one| one.worst.is_some()).count();
    let shown = report.certificates.len().min(urgent.max(GLANCE));
    if shown > 0 {
        text.push_str(&standing::table(&report.certificates[..shown], now, screen));
        if let more @ 1.. = report.certificates.len() - shown {
            text.push_str(&format!("and {more} more that are renewed later: `livecert list`\n"));
        }
        text.push('\n');
    }
    for trouble in &report.troubles {
        text.push_str(&told(trouble, screen));
    }
    text.push_str(&summary(report, now));
    text
}

/// A trouble with its next step.
fn told(trouble: &Trouble, screen: Screen) -> String {
    let about = trouble.cert.as_ref().map(|cert| format!("{}: ", screen.name(cert.as_str())));
    let style = match trouble.kind {
        TroubleKind::Due | TroubleKind::CredentialEnds | TroubleKind::NoRun | TroubleKind::Held => {
            AnsiColor::Yellow.on_default()
        }
        _ => AnsiColor::Red.on_default().bold(),
    };
    format!(
        "{style}{:<15}{style:#} {}{}\n                next: {}\n",
        trouble.kind.word(),
        about.unwrap_or_default(),
        harmless(&trouble.what),
        trouble.next
    )
}

fn summary(report: &StatusReport, now: Timestamp) -> String {
    let run = match &report.last_run {
        Some(run) => format!("the last run ended {} ({})", distance(run.finished, now), moment(run.finished)),
        None => "no run has ended yet".to_owned(),
    };
    let count = report.certificates.len();
    let count = format!("{count} certificate{}", if count == 1 { "" } else { "s" });
    if !report.troubles.is_empty() {
        return format!("{} to look at; {count}; {run}.\n", report.troubles.len());
    }
    let next = report.certificates.iter().filter_map(|one| one.renew_at.map(|at| (at, &one.cert))).min();
    let next = next
        .map_or_else(String::new, |(at, cert)| format!(", the next renewal {} ({cert})", distance(at, now)));
    format!("All is well: {count}{next}; {run}.\n")
}

/// The text format of Prometheus. Times are Unix seconds.
fn metrics(report: &StatusReport) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, value: fn(&Standing) -> Option<i64>| {
        text.push_str(&format!("# HELP livecert_{name} {help}\n# TYPE livecert_{name} gauge\n"));
        for one in &report.certificates {
            if let Some(value) = value(one) {
                // Nothing in the name of a certificate has to be escaped.
                text.push_str(&format!("livecert_{name}{{cert=\"{}\"}} {value}\n", one.cert));
            }
        }
    };
    family("not_after", "End of the certificate.", |one| one.not_after.map(Timestamp::as_second));
    family("renew_due", "When it is to be renewed.", |one| one.renew_at.map(Timestamp::as_second));
    family("last_success", "When it was got.", |one| one.issued.map(Timestamp::as_second));
    family("last_attempt", "When a run looked at it.", |one| one.looked_at.map(Timestamp::as_second));
    family("failures", "Failed tries since the last success.", |one| Some(one.failures.into()));
    family("deployed", "Whether no hook's work is left.", |one| Some(one.deployed.into()));
    let problems = report.troubles.len();
    text.push_str("# HELP livecert_problems What needs a person.\n# TYPE livecert_problems gauge\n");
    text.push_str(&format!("livecert_problems {problems}\n"));
    if let Some(run) = &report.last_run {
        text.push_str("# HELP livecert_last_run End of the last run.\n# TYPE livecert_last_run gauge\n");
        text.push_str(&format!("livecert_last_run {}\n", run.finished.as_second()));
    }
    text
}

/// Writes a file that nobody ever reads half of.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::failed(&format!("{} cannot be written: {error}", path.display())))?;
    replace_file(&path, text.as_bytes(), 0o644).map_err(|error| CertificateError::from(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn what_needs_a_person_is_on_the_screen() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::report(&sample::fill(folder.path()));
        let drawn = text(&report, sample::now(), Screen { width: Some(80), unicode: true });
        let plain = anstream::adapter::strip_str(&drawn).to_string();
        // The hour is that of this place.
        let ended = moment(report.last_run.unwrap().finished);
        let plain = plain.replace(&ended, "THEN");
        insta::assert_snapshot!("status_80", plain);
        assert!(!plain.contains('\u{1b}'));
    }
}

//! Failures as they are shown: what, why, what to do; and as JSON.

use std::error::Error;
use std::process::ExitCode;

use livecert::certificate::CertificateError;
use serde_json::{Value, json};

use crate::config::Report;
use crate::hint;
use crate::output::{Output, Status};
use crate::slip::hide;
use crate::terminal::write_err;

/// Why a command ended without its result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's reason.
    Certificate(Box<CertificateError>),
    /// A reason of the command line's own.
    Plain { status: Status, kind: &'static str, message: String, hint: Option<String> },
    /// Mistakes in `livecert.toml`.
    Config(Report),
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        Failure::Certificate(Box::new(error))
    }
}

impl Failure {
    pub(crate) fn wrong(message: &str) -> Self {
        Failure::Plain { status: Status::Wrong, kind: "usage", message: message.to_owned(), hint: None }
    }

    pub(crate) fn failed(message: &str) -> Self {
        Failure::Plain { status: Status::Failed, kind: "failed", message: message.to_owned(), hint: None }
    }

    pub(crate) fn internal(message: &str) -> Self {
        Failure::Plain { status: Status::Failed, kind: "internal", message: message.to_owned(), hint: None }
    }

    /// The same with a next step; an error of the library has its own.
    pub(crate) fn next(self, next: &str) -> Self {
        match self {
            Failure::Plain { status, kind, message, .. } => {
                Failure::Plain { status, kind, message, hint: Some(next.to_owned()) }
            }
            other => other,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Failure::Certificate(error) => error.kind(),
            Failure::Plain { kind, .. } => kind,
            Failure::Config(_) => "config",
        }
    }

    /// Shows the failure and gives the exit status.
    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        let (status, document, text) = match self {
            Failure::Certificate(error) => {
                let status = if error.is_input() { Status::Wrong } else { Status::Failed };
                (status, error_document(error), describe(error))
            }
            Failure::Config(report) => {
                let summary = report.summary();
                let document = json!({"kind": "config", "message": summary, "mistakes": report.documents()});
                (Status::Wrong, document, format!("{}{}{summary}\n", report.text(), label("config")))
            }
            Failure::Plain { status, kind, message, hint } => {
                let mut document = json!({"kind": kind, "message": message});
                let mut text = format!("{}{message}\n", label(kind));
                if let Some(hint) = hint {
                    document["hint"] = hint.as_str().into();
                    text.push_str(&format!("  next: {hint}\n"));
                }
                (*status, document, text)
            }
        };
        if output.is_json() {
            let text = hide(json!({"schema": 1, "error": document}).to_string());
            output.show(&serde_json::from_str::<Value>(&text).unwrap_or_default(), String::new);
        } else {
            let dim = anstyle::Style::new().dimmed();
            let more = match self.kind() {
                // There the message is all that there is to say.
                "usage" | "failed" | "internal" | "interrupted" | "other" => String::new(),
                kind => format!("{dim}`livecert explain {kind}` tells more{dim:#}\n"),
            };
            write_err(&hide(text + &more));
        }
        status.into()
    }
}

/// Wrong words: clap's explanation, or a document with it.
pub(crate) fn wrong_words(error: &clap::Error, json: bool) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let asked_for = matches!(error.kind(), DisplayHelp | DisplayVersion);
    if json && !asked_for {
        let text = hide(error.render().to_string());
        let message = first_paragraph(text.trim_start_matches("error: "));
        let document =
            json!({"schema": 1, "error": {"kind": "usage", "message": message, "hint": meant(error)}});
        Output::new(true).show(&document, String::new);
        return Status::Wrong.into();
    }
    let (plain, styled) = (error.render().to_string(), error.render().ansi().to_string());
    if asked_for || hide(plain.clone()) == plain {
        let _ = error.print();
    } else {
        write_err(&hide(styled));
    }
    if asked_for { Status::Done.into() } else { Status::Wrong.into() }
}

/// What is wrong, in one line: clap writes what is missing, and what would be possible, below it.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// What was most likely meant, or where to look.
fn meant(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    let kinds = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let words = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        ContextValue::Strings(words) => words.first().cloned(),
        _ => None,
    });
    words.map_or_else(|| "see livecert --help".to_owned(), |word| format!("did you mean {word}?"))
}

/// An error with its causes and the next step, for people.
pub(crate) fn describe(error: &CertificateError) -> String {
    let mut text = format!("{}{error}\n", label(error.kind()));
    for cause in causes(error) {
        text.push_str(&format!("  because: {cause}\n"));
    }
    if let CertificateError::Refused { failures, .. } = error {
        for failure in failures {
            for seen in &failure.seen {
                text.push_str(&format!("  {}: {seen}\n", failure.name));
            }
        }
    }
    for line in hook_output(error).lines() {
        text.push_str(&format!("  it said: {line}\n"));
    }
    if let Some(hint) = hint::hint(error) {
        text.push_str(&format!("  next: {hint}\n"));
    }
    text
}

/// An error as `--json` shows it.
pub(crate) fn error_document(error: &CertificateError) -> Value {
    let mut document = json!({
        "kind": error.kind(),
        "message": error.to_string(),
        "causes": causes(error),
    });
    if let Some(hint) = hint::hint(error) {
        document["hint"] = hint.into();
    }
    if let CertificateError::LimitReached { reached, .. } = error {
        document["until"] = reached.until.to_string().into();
    }
    if let CertificateError::Held { until, .. } | CertificateError::Waiting { until, .. } = error {
        document["until"] = until.to_string().into();
    }
    let output = hook_output(error);
    if !output.is_empty() {
        document["output"] = output.into();
    }
    if let CertificateError::Deployment(error) = error {
        document["deployment"] = json!({
            "state": if error.failure.is_not_served() { "not-served" } else { "not-deployed" },
            "generation": error.generation,
            "attempts": error.attempts,
            "next_attempt": error.next_attempt,
            "returned_to": error.returned_to,
        });
    }
    if let CertificateError::Refused { failures, .. } = error {
        let failure = |failure: &livecert::certificate::Failure| json!({"name": failure.name, "problem": failure.problem, "seen": failure.seen});
        document["failures"] = failures.iter().map(failure).collect();
    }
    document
}

/// An error with its causes, in one line.
pub(crate) fn one_line(error: &CertificateError) -> String {
    causes(error).into_iter().fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The last part of what a hook printed that failed.
fn hook_output(error: &CertificateError) -> &str {
    match error {
        CertificateError::PreHook(error) | CertificateError::PostHook(error) => &error.output,
        CertificateError::Deployment(error) => error.failure.output(),
        _ => "",
    }
}

/// The causes below an error, without those that it repeats anyway.
fn causes(error: &CertificateError) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
        }
        said = text;
        next = cause.source();
    }
    causes
}

fn label(kind: &str) -> String {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    format!("{style}error[{kind}]{style:#}: ")
}

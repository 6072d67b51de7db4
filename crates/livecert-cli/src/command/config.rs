//! `livecert config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::arguments::Globals;
use crate::config;
use crate::failure::Failure;
use crate::output::{Output, Status};
use crate::terminal::write_err;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigWords {
    /// Look for all mistakes in the file; exit status 2 if there is one. Nobody is asked, and nothing is changed
    Check(Check),
    /// Print the JSON schema of the file, by which editors complete and check it
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file [default: that of --config, else livecert.toml in the state folder]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(words: &ConfigWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        ConfigWords::Check(words) => check(words, globals, output),
        ConfigWords::Schema => {
            let schema = config::schema();
            // The schema is the document: editors read it.
            output.show(&schema, || crate::output::to_json(&schema));
            Ok(Status::Done)
        }
    }
}

fn check(words: &Check, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let file = words.file.clone().map_or_else(|| config::path(globals), Ok)?;
    let config = config::read(&file, globals)?;
    if config.report.errors() > 0 {
        return Err(Failure::Config(config.report));
    }
    if !output.is_json() {
        write_err(&config.report.text());
    }
    let names: Vec<_> = config.certificates.iter().map(|one| one.cert.as_str()).collect();
    let document = json!({
        "schema": 1,
        "file": config.path,
        "certificates": names,
        "warnings": config.report.documents(),
    });
    output.show(&document, || {
        let certificates = match names.len() {
            1 => "1 certificate".to_owned(),
            several => format!("{several} certificates"),
        };
        let warnings = match config.report.warnings() {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            several => format!(", {several} warnings"),
        };
        format!("{}: {certificates}, no mistake{warnings}\n", config.path.display())
    });
    Ok(Status::Done)
}

//! `livecert.toml`: what can be said on the command line, written down, and the certificates that are to be.
//!
//! The file is read with the position of each word (`document`), looked at with clap's own description of the commands
//! (`vocabulary`), so that no option is forgotten and a new one is known at once, and turned into words as they would have been
//! typed: those of the command at hand (`words`), or of an `issue` for each certificate that is declared (`certificate`).

mod broken;
mod certificate;
mod check;
mod credential;
mod document;
mod mistake;
mod publisher;
mod schema;
mod value;
mod vocabulary;
mod words;

use std::path::{Component, Path, PathBuf};

use livecert::certificate::Declared;

pub(crate) use mistake::Report;
pub(crate) use schema::schema;
pub(crate) use words::complete;

use crate::arguments::Globals;
use crate::context;
use crate::failure::Failure;
use check::Reading;
use vocabulary::Vocabulary;

/// The name of the file in the state folder.
pub(crate) const NAME: &str = "livecert.toml";

/// A file that was read in whole.
pub(crate) struct Config {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The certificates that are declared in it; only those without a mistake.
    pub(crate) certificates: Vec<Declared>,
    /// All that is wrong with it.
    pub(crate) report: Report,
}

/// Reads a file and checks all of it.
///
/// # Errors
/// It is not there, or cannot be read. Mistakes in it are in the report.
pub(crate) fn read(path: &Path, globals: &Globals) -> Result<Config, Failure> {
    let path =
        whole(path).map_err(|error| Failure::wrong(&format!("'{}' is no path: {error}", path.display())))?;
    let text = text(&path)?;
    Ok(check(path, text, globals))
}

fn check(path: PathBuf, text: String, globals: &Globals) -> Config {
    let vocabulary = Vocabulary::new();
    let document = document::Document::parse(&text);
    let mut reading = Reading::new(&vocabulary, &document, path.parent(), globals);
    reading.commands(None);
    let certificates = reading.certificates(&path);
    let report = reading.report(&path);
    Config { path, certificates, report }
}

/// The same path, from whatever folder it is named: certificates are in the care of a file by it. Links in it stay, because
/// what they lead to may be another one tomorrow.
fn whole(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if path.components().all(|part| part != Component::ParentDir) {
        return Ok(path);
    }
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    Ok(folder.zip(path.file_name()).map_or(path.clone(), |(folder, name)| folder.join(name)))
}

/// The file that counts: the one that is named, or the one in the state folder.
pub(crate) fn path(globals: &Globals) -> Result<PathBuf, Failure> {
    match &globals.config {
        Some(path) => Ok(path.clone()),
        None => Ok(context::home(globals)?.join(NAME)),
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::wrong(&format!("the file {} cannot be read: {error}", path.display()))
    };
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            failed(&error).next("write the certificates down in it, or name another file with --config FILE")
        }
        _ => failed(&error),
    })?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests;

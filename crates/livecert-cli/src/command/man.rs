//! `livecert man`.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use livecert::certificate::CertificateError;
use serde_json::json;

use crate::completion;
use crate::failure::Failure;
use crate::hint::did_you_mean_one_of;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
pub(crate) struct ManPage {
    /// The command, such as `issue` or `dns add` [default: livecert itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(super) fn run(words: &ManPage, output: &Output) -> Result<Status, Failure> {
    let mut root = completion::command().disable_help_subcommand(true);
    root.build();
    match &words.dir {
        Some(folder) => {
            let pages = write_all(&root, folder)?;
            output.show(&json!({"schema": 1, "pages": pages}), || {
                pages.iter().map(|page| format!("{}\n", page.display())).collect()
            });
        }
        None => {
            let mut command = &root;
            for word in &words.command {
                command = command.find_subcommand(word).ok_or_else(|| {
                    let failure =
                        Failure::wrong(&format!("there is no command '{}'", words.command.join(" ")));
                    let hint = did_you_mean_one_of(word, command.get_subcommands().map(Command::get_name));
                    hint.into_iter().fold(failure, |failure, hint| failure.next(&hint))
                })?;
            }
            let page = page(command)?;
            output.show(&json!({"schema": 1, "page": page}), || page.clone());
        }
    }
    Ok(Status::Done)
}

fn write_all(root: &Command, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Failure::from(CertificateError::File { path, source })
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let (mut written, mut open) = (Vec::new(), vec![root]);
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().filter(|command| !command.is_hide_set()));
        let path = folder.join(format!("{}.1", name(command)));
        std::fs::write(&path, page(command)?).map_err(failed(&path))?;
        written.push(path);
    }
    written.sort();
    Ok(written)
}

/// The page's name: `livecert-dns-add`.
fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).replace(' ', "-")
}

fn page(command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).title(name(command)).section("1").manual("livecert manual");
    // Writing to memory cannot fail; what could is told all the same.
    man.render(&mut page).map_err(|error| Failure::internal(&format!("the page cannot be made: {error}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

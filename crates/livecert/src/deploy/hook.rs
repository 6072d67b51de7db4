//! Hooks: commands of the user's own, run by the shell, with the facts in variables and on standard input. Nothing that
//! comes from elsewhere is ever part of a command.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::process::{self, Limits, ProcessFailure as HookFailure, harmless, with_facts};

/// How long a hook may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// Before the first request for a certificate.
    Pre,
    /// When a new certificate is in place.
    Deploy,
    /// After the run.
    Post,
    /// When something goes wrong.
    Failure,
}

impl HookKind {
    /// Its word: in messages, in `LIVECERT_HOOK`, and as the name of a folder.
    pub fn word(self) -> &'static str {
        match self {
            HookKind::Pre => "pre",
            HookKind::Deploy => "deploy",
            HookKind::Post => "post",
            HookKind::Failure => "failure",
        }
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A hook to be run.
#[derive(Debug, Clone)]
pub struct HookCall<'a> {
    /// When it is run.
    pub kind: HookKind,
    /// What `sh -c` runs; or the path of a folder, all of whose executable files are run.
    pub command: &'a str,
    /// Where it runs: the same place each time, so that a relative path does not work by chance once.
    pub folder: &'a Path,
    /// The facts, as environment variables. A value that is too long for one is left out.
    pub variables: Vec<(String, String)>,
    /// The facts, as JSON on standard input.
    pub document: serde_json::Value,
    /// How long each command may take.
    pub limit: Duration,
    /// Environment variables that are kept from it, such as those with credentials.
    pub hidden: &'a [String],
}

/// What a hook printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookOutput {
    /// How many commands were run: one, or as many as there are in the folder.
    pub commands: usize,
    /// The last part of what they printed on standard output and standard error, control characters escaped.
    pub text: String,
}

/// Why a hook has not done its work.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} hook '{command}' failed")]
pub struct HookError {
    /// When it was run.
    pub kind: HookKind,
    /// The command; in a folder, the path of the one that failed first.
    pub command: String,
    /// What went wrong.
    #[source]
    pub failure: HookFailure,
    /// The last part of what it printed on standard output and standard error, control characters escaped.
    pub output: String,
}

/// Runs a hook to its end. In a folder, every executable file is run in the order of their names, but for hidden files
/// and backups (`~`); each has its own limit. When one fails, the others are run all the same, because they are for
/// different services: a mail server gets its certificate although the web server's reload fails. The first failure is
/// the one that is told.
///
/// A command runs in a process group of its own. At its limit, or when `interrupt` is cancelled, the group is told to end,
/// and killed after 5 seconds; after that none is begun. A process that it leaves in the background is not waited for.
///
/// # Errors
/// See [`HookFailure`].
pub async fn run_hook(call: &HookCall<'_>, interrupt: &CancellationToken) -> Result<HookOutput, HookError> {
    let path = Path::new(call.command);
    if !path.is_dir() {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(call.command);
        let text = call.run(shell, call.command, interrupt).await?;
        return Ok(HookOutput { commands: 1, text });
    }
    let programs =
        executables(path).map_err(|error| call.failed(call.command, HookFailure::CannotStart(error)))?;
    let (mut output, mut first) = (HookOutput::default(), None);
    for program in programs {
        match call.run(Command::new(&program), &program.to_string_lossy(), interrupt).await {
            Ok(text) => {
                output.text.push_str(&text);
                if !text.is_empty() {
                    output.text.push('\n');
                }
            }
            Err(error) if matches!(error.failure, HookFailure::Interrupted) => return Err(error),
            Err(error) => {
                tracing::warn!(command = error.command, error = %error.failure, "a hook failed");
                first.get_or_insert(error);
            }
        }
        output.commands += 1;
    }
    first.map_or(Ok(output), Err)
}

impl HookCall<'_> {
    async fn run(
        &self,
        mut command: Command,
        name: &str,
        interrupt: &CancellationToken,
    ) -> Result<String, HookError> {
        if interrupt.is_cancelled() {
            return Err(self.failed(name, HookFailure::Interrupted));
        }
        command.current_dir(self.folder);
        with_facts(&mut command, &self.variables, self.hidden);
        let input = format!("{:#}\n", self.document);
        let limits = Limits { work: self.limit, grace: GRACE };
        tracing::debug!(hook = %self.kind, command = name, "a hook is run");
        let (ended, output) = process::run(command, input.as_bytes(), limits, interrupt).await;
        match ended {
            Ok(()) => Ok(output),
            Err(failure) => Err(HookError { output, ..self.failed(name, failure) }),
        }
    }

    fn failed(&self, command: &str, failure: HookFailure) -> HookError {
        HookError { kind: self.kind, command: harmless(command), failure, output: String::new() }
    }
}

/// The executable files of a folder, in the order of their names.
fn executables(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A link to nothing, too, is nothing to run.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if !metadata.is_file() || name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            tracing::warn!(file = %entry.path().display(), "not executable, so it is not run as a hook: chmod +x");
            continue;
        }
        found.push(std::path::absolute(entry.path())?);
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;

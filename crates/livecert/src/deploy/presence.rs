//! Whether the command of a hook is there, without running it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// Why the command of a hook cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Absence {
    /// There is no such program.
    #[error("there is no such program")]
    Missing,
    /// It is a file that may not be executed.
    #[error("it is not executable")]
    NotExecutable,
}

/// Looks whether the program that a hook begins with is there, as the shell that runs it would. Where the command begins
/// with more than a plain word, only the shell knows, and it counts as there.
///
/// # Errors
/// It is not there, or not executable.
pub async fn look_for(command: &str) -> Result<(), Absence> {
    let word = command.split_whitespace().next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./+-".contains(&b);
    if word.is_empty() || !word.bytes().all(plain) {
        return Ok(());
    }
    let path = Path::new(word);
    if path.is_absolute() {
        return match std::fs::metadata(path) {
            Err(_) => Err(Absence::Missing),
            Ok(file) if file.is_dir() || file.permissions().mode() & 0o111 != 0 => Ok(()),
            Ok(_) => Err(Absence::NotExecutable),
        };
    }
    // The shell knows its own words, and where programs are.
    let mut shell = Command::new("sh");
    shell.args(["-c", "command -v \"$0\"", word]);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match shell.status().await {
        Ok(status) if !status.success() && !word.contains('/') => Err(Absence::Missing),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_shell_would_find_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("hook.sh");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let command = format!("{} with words", script.display());
        assert_eq!(look_for(&command).await, Err(Absence::NotExecutable));
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        for there in
            [&command, "sh -c true", "cd /etc && ls", "A=1 nothing-like-this", "\"$HOOK\"", "", "./here"]
        {
            assert_eq!(look_for(there).await, Ok(()), "{there}");
        }
        assert_eq!(look_for(&folder.path().display().to_string()).await, Ok(()));
        for missing in ["/nothing/like/this", "nothing-like-this --reload"] {
            assert_eq!(look_for(missing).await, Err(Absence::Missing), "{missing}");
        }
    }
}

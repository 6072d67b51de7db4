//! Where a secret is read from: at the last moment, and never from an argument, which every user of the machine
//! could read.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::{KeyringError, KeyringItem};

/// The largest secret that is read, in bytes. A token is some tens of bytes; a wrong path may be gigabytes.
const MAX_SECRET: u64 = 64 * 1024;
/// How long `cmd:` may take. Password managers may ask a person for a finger or a passphrase.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// A place that a secret can be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// `prompt`: the person at the terminal.
    Prompt,
    /// `env:VAR`: an environment variable.
    Env(String),
    /// `file:PATH`: a file that only its owner can read.
    File(PathBuf),
    /// `cmd:COMMAND`: what a command, run by `sh -c`, prints.
    Command(String),
    /// `systemd-cred:NAME`: a credential that systemd passes to the unit (`LoadCredential=`).
    SystemdCredential(String),
    /// `keyring:SERVICE/USER`: an item in the user's keyring.
    Keyring(KeyringItem),
}

/// Asks a person. The command line implements it; without a terminal it answers `None`.
pub trait Prompter: Send + Sync {
    /// Whether somebody is there to answer.
    fn interactive(&self) -> bool;
    /// Asks for a secret without echo. `None` if nobody is there to answer.
    fn ask_secret(&self, label: &str) -> Option<std::io::Result<SecretString>>;
    /// Shows `message` and waits until the person confirms. `false` if nobody is there to answer.
    fn confirm(&self, message: &str) -> bool;
    /// Whether nobody is to be asked to do a thing: it is [shown](Self::show), and gone on without an answer.
    fn goes_on(&self) -> bool {
        false
    }
    /// Shows what a person, or a program in the place of one, has to do: as text, or as a document where programs read.
    fn show(&self, text: &str, document: &serde_json::Value) {
        let _ = (text, document);
    }
}

/// Nobody is there to answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Prompter for Nobody {
    fn interactive(&self) -> bool {
        false
    }

    fn ask_secret(&self, _: &str) -> Option<std::io::Result<SecretString>> {
        None
    }

    fn confirm(&self, _: &str) -> bool {
        false
    }
}

/// Why a secret could not be had. No variant carries the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The text names no source: probably the secret itself.
    #[error("the value is not a source of a secret")]
    Literal,
    /// A source without its operand, such as `env:`.
    #[error("the source '{0}:' needs something after the colon")]
    MissingOperand(&'static str),
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set")]
    EnvMissing(String),
    /// The environment variable is not UTF-8.
    #[error("the environment variable {0} is not valid UTF-8")]
    EnvNotText(String),
    /// There is nothing but white space in it.
    #[error("the secret from {0} is empty")]
    Empty(String),
    /// Something which no token has: control characters in its middle, as in a file of several lines.
    #[error("the secret from {0} has line breaks or control characters in its middle")]
    NotOneLine(String),
    /// The file cannot be read.
    #[error("the secret file {} cannot be read", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("the secret file {} can be read by others (mode {mode:04o})", path.display())]
    FileMode {
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than a secret can be.
    #[error("the secret from {0} is larger than 64 KiB: is it the right one?")]
    TooLarge(String),
    /// The command failed.
    #[error("the command for the secret failed: {0}")]
    Command(String),
    /// `systemd-cred:` outside a unit that loads credentials.
    #[error("systemd passes no credentials to this process (CREDENTIALS_DIRECTORY is not set)")]
    NoCredentialsDirectory,
    /// The keyring has nothing under that name.
    #[error("the keyring has nothing for {0}")]
    NotInKeyring(KeyringItem),
    /// The keyring cannot be used.
    #[error("{0} cannot be read from the keyring")]
    Keyring(KeyringItem, #[source] KeyringError),
    /// What is there is not text.
    #[error("the secret from {0} is not valid UTF-8")]
    NotText(String),
    /// Nobody to ask.
    #[error("{0} is needed, and there is no terminal to ask at")]
    NoTerminal(String),
    /// The terminal failed.
    #[error("the answer could not be read from the terminal")]
    Terminal(#[source] std::io::Error),
}

impl FromStr for Source {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if text == "prompt" {
            return Ok(Source::Prompt);
        }
        let Some((kind, operand)) = text.split_once(':') else {
            return Err(SecretError::Literal);
        };
        let need =
            |kind| if operand.is_empty() { Err(SecretError::MissingOperand(kind)) } else { Ok(operand) };
        match kind {
            "env" => Ok(Source::Env(need("env")?.to_owned())),
            "file" => Ok(Source::File(PathBuf::from(need("file")?))),
            "cmd" => Ok(Source::Command(need("cmd")?.to_owned())),
            "systemd-cred" => {
                let name = need("systemd-cred")?;
                // The name becomes a path below the credentials directory, and must not leave it.
                if name.contains('/') || name == "." || name == ".." {
                    return Err(SecretError::Literal);
                }
                Ok(Source::SystemdCredential(name.to_owned()))
            }
            "keyring" => {
                let item = need("keyring")?.parse();
                Ok(Source::Keyring(item.map_err(|()| SecretError::MissingOperand("keyring"))?))
            }
            _ => Err(SecretError::Literal),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Prompt => f.write_str("prompt"),
            Source::Env(name) => write!(f, "env:{name}"),
            Source::File(path) => write!(f, "file:{}", path.display()),
            Source::Command(command) => write!(f, "cmd:{command}"),
            Source::SystemdCredential(name) => write!(f, "systemd-cred:{name}"),
            Source::Keyring(item) => write!(f, "keyring:{item}"),
        }
    }
}

impl Source {
    /// The source with a relative path made absolute, so that a renewal from another folder finds it.
    ///
    /// # Errors
    /// The current folder cannot be read.
    pub fn absolute(self) -> std::io::Result<Self> {
        match self {
            Source::File(path) => Ok(Source::File(std::path::absolute(path)?)),
            other => Ok(other),
        }
    }

    /// Whether the value has to be kept (sealed) for a renewal, because nobody will be there to give it again.
    pub fn must_be_kept(&self) -> bool {
        matches!(self, Source::Prompt | Source::Env(_))
    }

    /// Reads the secret. `label` says what is asked for, in a prompt and in errors.
    ///
    /// # Errors
    /// See [`SecretError`]; white space around the secret is dropped, what is left must not be empty.
    pub async fn read(&self, label: &str, prompter: &Arc<dyn Prompter>) -> Result<SecretString, SecretError> {
        let raw = match self {
            Source::Prompt => {
                // On a thread of its own: signals are heard while a person types.
                let (asker, question) = (prompter.clone(), label.to_owned());
                let asked = tokio::task::spawn_blocking(move || asker.ask_secret(&question)).await;
                let answer = asked.map_err(|error| SecretError::Terminal(std::io::Error::other(error)))?;
                let answer = answer.ok_or_else(|| SecretError::NoTerminal(label.to_owned()))?;
                return clean(answer.map_err(SecretError::Terminal)?, "the terminal");
            }
            Source::Env(name) => match std::env::var(name) {
                Ok(value) => SecretString::from(value),
                Err(std::env::VarError::NotPresent) => return Err(SecretError::EnvMissing(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(SecretError::EnvNotText(name.clone())),
            },
            Source::File(path) => read_file(path, true)?,
            Source::Command(command) => run_command(command).await?,
            Source::SystemdCredential(name) => {
                let folder =
                    std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(SecretError::NoCredentialsDirectory)?;
                // systemd's own mode and owner for credentials may give a group read access: its choice, not ours.
                read_file(&Path::new(&folder).join(name), false)?
            }
            Source::Keyring(item) => read_keyring(item).await?,
        };
        clean(raw, &self.to_string())
    }
}

/// Drops white space around the secret: files and prompts end in a line break, and tokens have none.
fn clean(raw: SecretString, origin: &str) -> Result<SecretString, SecretError> {
    let text = raw.expose_secret().trim();
    if text.is_empty() {
        return Err(SecretError::Empty(origin.to_owned()));
    }
    if text.chars().any(char::is_control) {
        return Err(SecretError::NotOneLine(origin.to_owned()));
    }
    Ok(SecretString::from(text.to_owned()))
}

pub(super) fn read_file(path: &Path, private: bool) -> Result<SecretString, SecretError> {
    let fail = |source| SecretError::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    #[cfg(unix)]
    if private && metadata.is_file() {
        use std::os::unix::fs::MetadataExt;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::FileMode { path: path.to_owned(), mode });
        }
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_SECRET + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > MAX_SECRET {
        return Err(SecretError::TooLarge(path.display().to_string()));
    }
    Ok(SecretString::from(text.as_str()))
}

async fn read_keyring(item: &KeyringItem) -> Result<SecretString, SecretError> {
    let found = item.read().await.map_err(|source| SecretError::Keyring(item.clone(), source))?;
    let secret = found.ok_or_else(|| SecretError::NotInKeyring(item.clone()))?;
    let text = std::str::from_utf8(secret.expose_secret());
    Ok(SecretString::from(text.map_err(|_| SecretError::NotText(format!("keyring:{item}")))?))
}

async fn run_command(command: &str) -> Result<SecretString, SecretError> {
    let mut child = tokio::process::Command::new("sh");
    child.arg("-c").arg(command).stdin(std::process::Stdio::inherit()).stderr(std::process::Stdio::inherit());
    child.stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut printed = Zeroizing::new(Vec::new());
    let run = async {
        let mut running = child.spawn()?;
        if let Some(stdout) = running.stdout.take() {
            stdout.take(MAX_SECRET + 1).read_to_end(&mut printed).await?;
        }
        // One that prints without end is ended with its handle.
        let too_large = printed.len() as u64 > MAX_SECRET;
        if too_large { Ok(None) } else { running.wait().await.map(Some) }
    };
    let status = tokio::time::timeout(COMMAND_LIMIT, run)
        .await
        .map_err(|_| SecretError::Command(format!("no answer within {} s", COMMAND_LIMIT.as_secs())))?
        .map_err(|error: std::io::Error| SecretError::Command(error.to_string()))?
        .ok_or_else(|| SecretError::TooLarge("the command".to_owned()))?;
    if !status.success() {
        return Err(SecretError::Command(status.to_string()));
    }
    let text = std::str::from_utf8(&printed)
        .map_err(|_| SecretError::Command("what it printed is not valid UTF-8".to_owned()))?;
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &Source) -> Result<SecretString, SecretError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(source.read("GandiPAT", &(Arc::new(Nobody) as Arc<dyn Prompter>)))
    }

    #[test]
    fn sources_are_told_from_literals() {
        for text in [
            "prompt",
            "env:PAT",
            "file:/etc/pat",
            "cmd:pass show gandi",
            "systemd-cred:pat",
            "keyring:livecert/gandi",
            "keyring:https://example.com/a/user",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for text in ["0123456789abcdef", "Env:PAT", "https://example.com", "", "systemd-cred:../x"] {
            assert!(matches!(text.parse::<Source>(), Err(SecretError::Literal)), "{text}");
        }
        assert!(matches!("env:".parse::<Source>(), Err(SecretError::MissingOperand("env"))));
        for text in ["keyring:", "keyring:gandi", "keyring:/gandi", "keyring:gandi/"] {
            let parsed = text.parse::<Source>();
            assert!(matches!(parsed, Err(SecretError::MissingOperand("keyring"))), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_trimmed_and_only_when_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pat");
        std::fs::write(&path, "  token-of-tests\r\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let source = Source::File(path.clone());
        assert_eq!(read(&source).unwrap().expose_secret(), "token-of-tests");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&source), Err(SecretError::FileMode { mode: 0o640, .. })));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(read(&source), Err(SecretError::Empty(_))));
        std::fs::write(&path, "a\nb\n").unwrap();
        assert!(matches!(read(&source), Err(SecretError::NotOneLine(_))));
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(matches!(read(&source), Err(SecretError::TooLarge(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(read(&source), Err(SecretError::File { .. })));
    }

    #[test]
    fn a_command_gives_what_it_prints_and_its_failure_is_an_error() {
        let said = read(&Source::Command("printf 'a-token\\n'".into())).unwrap();
        assert_eq!(said.expose_secret(), "a-token");
        assert!(matches!(read(&Source::Command("exit 3".into())), Err(SecretError::Command(_))));
        assert!(matches!(read(&Source::Command("true".into())), Err(SecretError::Empty(_))));
        // Without a bound, this takes all memory.
        assert!(matches!(read(&Source::Command("exec yes".into())), Err(SecretError::TooLarge(_))));
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        assert!(matches!(read(&Source::Prompt), Err(SecretError::NoTerminal(_))));
    }
}

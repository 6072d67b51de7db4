//! The plugin `exec`: a command of the user's own writes the records.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::group::{Group, at_once, group};
use super::{
    ArgumentError, Arguments, Connected, Leftover, Need, Parameter, ParameterKind, Pending, Plugin,
    PluginError, PluginInfo, ProofKind, Surroundings, TxtRecord, Withdrawn,
};
use crate::process::{self, Limits, ProcessFailure, with_facts};

const COMMAND: &str = "ExecCommand";
const SECRET: &str = "ExecSecret";
const SECRET_NAME: &str = "ExecSecretName";
const STYLE: &str = "ExecStyle";
const TIMEOUT: &str = "ExecTimeout";
const AT_ONCE: &str = "ExecAtOnce";

/// The variable that has the secret, unless another one is named.
const SECRET_VARIABLE: &str = "LIVECERT_SECRET";
const LEGO: &str = "lego";
/// How long one call may take, unless something else is said.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3600);
/// How many calls of other processes may be waited for.
const CALLS_BEFORE: u32 = 10;
/// Lines of output that are told with a failure.
const LINES: usize = 10;
/// Characters of them. Far fewer than are kept: the secret is found whole in what is told.
const LONGEST_TEXT: usize = 2000;

const GUIDE: &str = "\
An executable file, in whatever language, is called once for each value:

    COMMAND add    _acme-challenge.example.com VALUE
    COMMAND remove _acme-challenge.example.com VALUE

It adds or removes that one value and leaves others at the name alone. Exit status 0 says that it is
done; to add what is there, or to remove what is not, is no failure. What it prints is told when it
fails. The name is in lower case and without a dot at its end; a value may begin with '-'.

The same is in LIVECERT_ACTION, LIVECERT_FQDN, LIVECERT_VALUE and, where it is known, LIVECERT_ZONE
(the zone of the name in public DNS), and as JSON on standard input. A secret is never an argument:
name its source, and the command finds it in LIVECERT_SECRET, or in a variable of your choice:

    livecert issue example.com --plugin exec --plugin-arg ExecCommand=/etc/livecert/my-dns \\
        --plugin-arg ExecSecret=file:/etc/livecert/my-dns.token \\
        --plugin-arg ExecSecretName=MY_DNS_TOKEN --accept-tos

One call is made at a time, by all livecert processes of a state folder together, because few
scripts are made for two at once. ExecAtOnce allows more, for different names. A script that was
written for the provider 'exec' of lego ('present FQDN. VALUE', 'cleanup FQDN. VALUE') runs with
ExecStyle=lego.

Try it without a CA:

    livecert dns add _acme-challenge.example.com test --plugin exec \\
        --plugin-arg ExecCommand=/etc/livecert/my-dns
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "exec",
    summary: "lets a command of your own write the TXT records",
    proofs: &[ProofKind::Txt],
    guide: GUIDE,
    parameters: &[
        Parameter::new(COMMAND, ParameterKind::Path, "the executable file")
            .needed(Need::Required)
            .or(&["EXEC_PATH"]),
        Parameter::new(
            SECRET,
            ParameterKind::Secret,
            "a secret that the command needs, given to it in a variable",
        ),
        Parameter::new(
            SECRET_NAME,
            ParameterKind::Plain,
            "the environment variable that has the secret [default: LIVECERT_SECRET]",
        ),
        Parameter::new(
            STYLE,
            ParameterKind::Choice(&["livecert", LEGO]),
            "how it is called [default: livecert]",
        ),
        Parameter::new(
            TIMEOUT,
            ParameterKind::Duration { longest: LONGEST },
            "how long one call may take [default: 2m]",
        ),
        Parameter::new(
            AT_ONCE,
            ParameterKind::Number { of: "calls", least: 1, most: 16 },
            "how many names it is called for at once [default: 1]",
        ),
    ],
    environment: &[],
    sweeps: true,
    alone: false,
    shared: false,
    connect,
};

/// Why a command of the user's own has not written or removed a record.
#[derive(Debug, thiserror::Error)]
#[error("'{} {action} {fqdn}' failed{}", command.display(), printed(output))]
pub struct ExecError {
    /// The command.
    pub command: PathBuf,
    /// What it was told to do.
    pub action: &'static str,
    /// The record's name.
    pub fqdn: String,
    /// What went wrong.
    #[source]
    pub failure: ProcessFailure,
    /// The last lines that it printed, without the secret.
    pub output: String,
}

/// The last lines, and no more of them than somebody reads.
fn last(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let text = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let over = text.chars().count().saturating_sub(LONGEST_TEXT);
    if over == 0 { text } else { format!("[…] {}", text.chars().skip(over).collect::<String>()) }
}

fn printed(output: &str) -> String {
    if output.is_empty() {
        return String::new();
    }
    format!(", and printed:\n    {}", output.replace('\n', "\n    "))
}

fn connect(arguments: &Arguments, surroundings: &Surroundings) -> Result<Connected, ArgumentError> {
    let command = PathBuf::from(arguments.plain(COMMAND).unwrap_or_default());
    let reason = match std::fs::metadata(&command) {
        Ok(file) if !file.is_file() => Some("is no file".to_owned()),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => {
            Some("cannot be executed (chmod +x it)".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("cannot be looked at: {error}")),
    };
    if let Some(reason) = reason {
        let reason = format!("'{}' {reason}", command.display());
        return Err(ArgumentError::Invalid { parameter: COMMAND, reason });
    }
    let variable = arguments.plain(SECRET_NAME).unwrap_or(SECRET_VARIABLE);
    if variable.is_empty() || variable.contains(['=', '\0']) {
        let reason = format!("'{variable}' is no name for an environment variable");
        return Err(ArgumentError::Invalid { parameter: SECRET_NAME, reason });
    }
    let at_once = arguments.number(AT_ONCE).and_then(|calls| usize::try_from(calls).ok()).unwrap_or(1);
    Ok(Connected::Dns(Arc::new(Exec {
        command,
        secret: arguments.secret(SECRET).map(|secret| (variable.to_owned(), secret.clone())),
        lego: arguments.plain(STYLE) == Some(LEGO),
        limit: arguments.duration(TIMEOUT).unwrap_or(LIMIT),
        at_once,
        locks: surroundings.locks.clone(),
    })))
}

struct Exec {
    command: PathBuf,
    /// The variable that it is given in, and the secret.
    secret: Option<(String, SecretString)>,
    lego: bool,
    limit: Duration,
    at_once: usize,
    locks: PathBuf,
}

#[derive(Clone, Copy)]
enum Action {
    Add,
    Remove,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Add => "add",
            Action::Remove => "remove",
        }
    }
}

impl Exec {
    /// The turn at a name, or at the command where it is for one name at a time.
    async fn turn(&self, group: &Group<'_>) -> Result<crate::store::Lock, PluginError> {
        let command = self.command.to_string_lossy();
        let what = if self.at_once > 1 { format!("{command} {}", group.fqdn) } else { command.into_owned() };
        group.turn(&self.locks, &what, self.limit * CALLS_BEFORE).await
    }

    async fn call(&self, action: Action, record: &TxtRecord) -> Result<(), PluginError> {
        let word = match (action, self.lego) {
            (_, false) => action.word(),
            (Action::Add, true) => "present",
            (Action::Remove, true) => "cleanup",
        };
        let mut command = Command::new(&self.command);
        let dot = if self.lego { "." } else { "" };
        command.arg(word).arg(format!("{}{dot}", record.fqdn)).arg(&record.value);
        // The same place each time, so that a relative path does not work by chance once.
        command.current_dir(self.command.parent().unwrap_or(Path::new("/")));
        let mut facts = vec![
            ("LIVECERT_ACTION".to_owned(), action.word().to_owned()),
            ("LIVECERT_FQDN".to_owned(), record.fqdn.clone()),
            ("LIVECERT_VALUE".to_owned(), record.value.clone()),
        ];
        facts.extend(record.apex.iter().map(|apex| ("LIVECERT_ZONE".to_owned(), apex.clone())));
        with_facts(&mut command, &facts, &[]);
        if let Some((variable, secret)) = &self.secret {
            command.env(variable, secret.expose_secret());
        }
        let document = json!({
            "action": action.word(),
            "fqdn": record.fqdn,
            "value": record.value,
            "zone": record.apex,
        });
        let input = format!("{document:#}\n");
        // A call is seen through to its end: what is cut off halfway may take effect after the clean-up has looked.
        let never = CancellationToken::new();
        let limits = Limits { work: self.limit, grace: GRACE };
        let (ended, output) = process::run(command, input.as_bytes(), limits, &never).await;
        ended.map_err(|failure| self.failed(action, record, failure, &output))?;
        tracing::info!(name = record.fqdn, action = action.word(), "the command has done it");
        Ok(())
    }

    fn failed(
        &self,
        action: Action,
        record: &TxtRecord,
        failure: ProcessFailure,
        output: &str,
    ) -> PluginError {
        let mut output = output.to_owned();
        if let Some((_, secret)) = &self.secret {
            output = output.replace(secret.expose_secret(), "(the secret)");
        }
        let output = last(&output);
        let (command, fqdn) = (self.command.clone(), record.fqdn.clone());
        ExecError { command, action: action.word(), fqdn, failure, output }.into()
    }

    async fn add(&self, group: &Group<'_>) -> Result<(), PluginError> {
        let _turn = self.turn(group).await?;
        for record in &group.records {
            self.call(Action::Add, record).await?;
        }
        Ok(())
    }

    /// Each one is tried, whatever becomes of the others.
    async fn remove(&self, group: &Group<'_>) -> Vec<Leftover> {
        let _turn = match self.turn(group).await {
            Ok(turn) => turn,
            Err(error) => return group.leftovers(error),
        };
        let mut left = Vec::new();
        for &record in &group.records {
            if let Err(error) = self.call(Action::Remove, record).await {
                left.push(Leftover { record: record.clone(), reason: Arc::new(error) });
            }
        }
        left
    }
}

impl Plugin for Exec {
    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            at_once(self.at_once, groups.iter().map(|group| self.add(group))).await.into_iter().collect()
        })
    }

    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn> {
        Box::pin(async move {
            let groups = group(records);
            let left = at_once(self.at_once, groups.iter().map(|group| self.remove(group))).await;
            Withdrawn { leftovers: left.into_iter().flatten().collect(), shared: Vec::new() }
        })
    }
}

//! `livecert timer`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use livecert::schedule::{
    self, Manager, NamedSources, ScheduleError, Scope, TIMER, TimerRequest, TimerStatus, UnitCredential,
    UnitFile, UnitState,
};
use serde_json::{Value, json};

use crate::arguments::{Globals, duration};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};
use crate::terminal::write_err;

#[derive(Debug, Subcommand)]
pub(crate) enum Timer {
    /// Write livecert.service and livecert.timer, and start the timer
    Install(Install),
    /// Stop the timer, and remove the units that `livecert timer install` wrote
    Remove(Remove),
    /// Show how the units stand and when the next run is, or what `install` would write
    Show(Wishes),
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    #[command(flatten)]
    wishes: Wishes,
    /// Only write the units
    #[arg(long)]
    no_enable: bool,
    /// Overwrite units that somebody changed or wrote by hand
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    place: Place,
    /// Remove units that somebody changed or wrote by hand, too
    #[arg(long)]
    force: bool,
}

/// Where the units are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Units of this user, run by their own service manager
    #[arg(long)]
    user: bool,
    /// Folder of the units, for packages; systemd is not told of them then [default: /etc/systemd/system, or
    /// ~/.config/systemd/user]
    #[arg(long, value_name = "DIR")]
    unit_dir: Option<PathBuf>,
}

/// What the units are to say.
#[derive(Debug, Args)]
pub(crate) struct Wishes {
    #[command(flatten)]
    place: Place,
    /// When to run (systemd.time(7)); repeatable [default: every four hours]
    #[arg(long, value_name = "TIME")]
    on_calendar: Vec<String>,
    /// Up to how much later each run begins, by lot
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
    random_delay: Duration,
    /// What hooks may write, beside the state folder; repeatable
    #[arg(long, value_name = "PATH")]
    writable: Vec<PathBuf>,
    /// A credential for `systemd-cred:NAME`; `encrypted:` before the path for one of `systemd-creds encrypt`; repeatable
    #[arg(long, value_name = "NAME=PATH")]
    credential: Vec<String>,
    /// The program that the service runs, for packages [default: this one]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

pub(super) fn run(words: &Timer, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Timer::Install(words) => install(words, globals, output),
        Timer::Remove(words) => remove(words, output),
        Timer::Show(words) => show(words, globals, output),
    }
}

impl Place {
    fn scope(&self) -> Scope {
        if self.user { Scope::User } else { Scope::System }
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.unit_dir {
            return absolute(folder);
        }
        let folder = schedule::unit_folder(self.scope(), dirs::config_dir().as_deref());
        folder.ok_or_else(|| {
            Failure::wrong("there is no home folder for units of a user: name one with --unit-dir")
        })
    }

    /// The folder, to write in.
    fn folder_to_write(&self) -> Result<PathBuf, Failure> {
        if self.unit_dir.is_none() && !self.user && !rustix::process::geteuid().is_root() {
            return Err(Failure::wrong(
                "only root can change the units of the machine: use sudo, or --user for units of your own",
            ));
        }
        self.folder()
    }

    /// The service manager that looks into the folder.
    fn manager(&self) -> Option<Manager> {
        if self.unit_dir.is_some() { None } else { Manager::running(self.scope()) }
    }

    /// What to run by hand where nobody else does.
    fn commands(&self, words: &[&str]) -> Vec<String> {
        let user = if self.user { "--user " } else { "" };
        words.iter().map(|words| format!("systemctl {user}{words}")).collect()
    }
}

impl Wishes {
    fn units(&self, folder: &Path, globals: &Globals) -> Result<([UnitFile; 2], NamedSources), Failure> {
        let home = context::home(globals)?;
        let program = match &self.program {
            Some(program) => absolute(program)?,
            None => std::env::current_exe().map_err(|error| {
                Failure::internal(&format!("the path of this program is not known: {error}"))
            })?,
        };
        let sources = schedule::named_sources(&context::store(globals)?).map_err(ScheduleError::from)?;
        let credentials = self.credential.iter().map(|text| text.parse::<UnitCredential>());
        let request = TimerRequest {
            program,
            home,
            ca_bundle: globals.ca_bundle.as_deref().map(absolute).transpose()?,
            config: globals.config.as_deref().map(absolute).transpose()?,
            scope: self.place.scope(),
            on_calendar: self.on_calendar.clone(),
            random_delay: self.random_delay.as_secs(),
            writable: self
                .writable
                .iter()
                .chain(&sources.webroots)
                .map(|path| absolute(path))
                .collect::<Result<_, _>>()?,
            credentials: credentials.collect::<Result<_, _>>()?,
            readable: sources.files.clone(),
        };
        let given = |name: &str| request.credentials.iter().any(|credential| credential.name == name);
        let missing = sources.credentials.into_iter().filter(|(name, _)| !given(name)).collect();
        // Whoever is logged in has a keyring; the machine has none.
        let keyring = if self.place.user { Vec::new() } else { sources.keyring };
        let missing = NamedSources { credentials: missing, keyring, ..sources };
        Ok((schedule::units(&request, folder)?, missing))
    }
}

fn install(words: &Install, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let place = &words.wishes.place;
    let (units, missing) = words.wishes.units(&place.folder_to_write()?, globals)?;
    let manager = place.manager().filter(|_| !words.no_enable);
    schedule::install(&units, words.force, manager.as_ref())?;
    let todo = match manager {
        Some(_) => Vec::new(),
        None => place.commands(&["daemon-reload", &format!("enable --now {TIMER}")]),
    };
    if !output.is_json() {
        warn_of(&missing);
    }
    let paths: Vec<_> = units.iter().map(|unit| unit.path.display().to_string()).collect();
    let document = json!({
        "schema": 1,
        "result": "installed",
        "units": paths,
        "enabled": manager.is_some(),
        "todo": todo,
        "missing_credentials": missing.credentials.iter().map(missing_document).collect::<Vec<_>>(),
        "out_of_reach": missing.keyring.iter().map(unreachable_document).collect::<Vec<_>>(),
    });
    output.show(&document, || {
        let mut text: String = paths.iter().map(|path| format!("Written: {path}\n")).collect();
        text.push_str(&match manager {
            Some(_) => format!("{TIMER} is enabled and running; `livecert timer show` tells when it runs next.\n"),
            None => to_be_told(&todo),
        });
        if words.wishes.place.user {
            text.push_str("A user's timers run while the user is logged in; `loginctl enable-linger` lets them run always.\n");
        }
        text
    });
    Ok(Status::Done)
}

fn remove(words: &Remove, output: &Output) -> Result<Status, Failure> {
    let place = &words.place;
    let folder = place.folder_to_write()?;
    let manager = place.manager();
    let removed = schedule::remove(&folder, words.force, manager.as_ref())?;
    let todo = match manager {
        None if !removed.is_empty() => place.commands(&[&format!("disable --now {TIMER}"), "daemon-reload"]),
        _ => Vec::new(),
    };
    let paths: Vec<_> = removed.iter().map(|path| path.display().to_string()).collect();
    let result = if removed.is_empty() { "nothing" } else { "removed" };
    output.show(&json!({"schema": 1, "result": result, "units": paths, "todo": todo}), || {
        if paths.is_empty() {
            return format!("There are no units of livecert in {}.\n", folder.display());
        }
        let text: String = paths.iter().map(|path| format!("Removed: {path}\n")).collect();
        if todo.is_empty() { text } else { text + &to_be_told(&todo) }
    });
    Ok(Status::Done)
}

fn show(words: &Wishes, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let (wished, missing) = words.units(&words.place.folder()?, globals)?;
    let mut units = Vec::new();
    for unit in wished {
        let state = unit.state().map_err(ScheduleError::from)?;
        let same = unit.is_current().map_err(ScheduleError::from)?;
        units.push((unit, state, same));
    }
    let installed = units.iter().any(|(_, state, _)| *state != UnitState::Missing);
    let status = match words.place.manager() {
        Some(manager) if installed => Some(manager.status()?),
        _ => None,
    };
    let document = json!({
        "schema": 1,
        "units": units.iter().map(unit_document).collect::<Vec<_>>(),
        "timer": status.as_ref().map(status_document),
        "missing_credentials": missing.credentials.iter().map(missing_document).collect::<Vec<_>>(),
        "out_of_reach": missing.keyring.iter().map(unreachable_document).collect::<Vec<_>>(),
    });
    output.show(&document, || {
        let mut text = String::new();
        for (unit, state, same) in &units {
            text.push_str(&match state {
                UnitState::Missing => format!(
                    "# {}: not there; `livecert timer install` writes\n{}\n",
                    unit.path.display(),
                    unit.text
                ),
                _ => format!("{}: {}\n", unit.path.display(), standing(*state, *same)),
            });
        }
        text + &status.as_ref().map(status_text).unwrap_or_default()
    });
    if !output.is_json() {
        warn_of(&missing);
    }
    Ok(Status::Done)
}

fn unit_document((unit, state, same): &(UnitFile, UnitState, bool)) -> Value {
    let word = match state {
        UnitState::Missing => "missing",
        UnitState::Ours => "installed",
        UnitState::Changed => "changed",
        _ => "foreign",
    };
    json!({"path": unit.path, "state": word, "as_wished": same, "text": unit.text})
}

fn standing(state: UnitState, same: bool) -> &'static str {
    match (state, same) {
        (UnitState::Ours, true) => "in place",
        (UnitState::Ours, false) => {
            "in place, from other words than these; `livecert timer install` would change it"
        }
        (UnitState::Changed, _) => "changed by hand",
        _ => "not written by livecert",
    }
}

fn status_document(status: &TimerStatus) -> Value {
    json!({"enabled": status.enabled, "active": status.active, "next": status.next, "last": status.last})
}

fn status_text(status: &TimerStatus) -> String {
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    format!(
        "{TIMER}: {}, {}; next run: {}; last run: {}\n",
        or(&status.enabled, "not enabled"),
        or(&status.active, "unknown"),
        or(&status.next, "none"),
        or(&status.last, "none yet"),
    )
}

fn missing_document((name, user): &(String, String)) -> Value {
    json!({"credential": name, "needed_by": user})
}

fn unreachable_document((source, user): &(String, String)) -> Value {
    json!({"source": source, "needed_by": user})
}

fn warn_of(missing: &NamedSources) {
    for (source, user) in &missing.keyring {
        write_err(&format!(
            "warning: {user} needs {source}, and a unit of the machine has no keyring: renewals would fail.\n  \
             next: keep it in file:PATH or systemd-cred:NAME, or install units of the user with that keyring (--user)\n"
        ));
    }
    for (name, user) in &missing.credentials {
        write_err(&format!(
            "warning: {user} needs the credential '{name}', which these units do not have: renewals would fail.\n  \
             next: give --credential {name}=PATH too\n"
        ));
    }
}

fn to_be_told(todo: &[String]) -> String {
    let commands: String = todo.iter().map(|command| format!("  {command}\n")).collect();
    format!("systemd was not told. Where it runs:\n{commands}")
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::wrong(&format!("'{}' is no path: {error}", path.display())))
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        let status = if error.is_input() { Status::Wrong } else { Status::Failed };
        let next = match &error {
            ScheduleError::NotOurs { foreign: false, .. } => {
                "; put changes into a drop-in (`systemctl edit`), or give --force"
            }
            ScheduleError::NotOurs { .. } => "; move it away, or give --force",
            ScheduleError::Calendar { .. } => "; `systemd-analyze calendar` helps to find the right one",
            _ => "",
        };
        let causes: String = std::iter::successors(std::error::Error::source(&error), |error| error.source())
            .map(|cause| format!(": {cause}"))
            .collect();
        Failure::Plain { status, kind: "timer", message: format!("{error}{causes}{next}"), hint: None }
    }
}

//! The service manager, by its command `systemctl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{ScheduleError, Scope, TIMER};

/// What is there where systemd is what runs the machine (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// A service manager that is running.
#[derive(Debug, Clone)]
pub struct Manager {
    /// `systemctl`, or what is in its place.
    program: PathBuf,
    scope: Scope,
}

/// How the timer stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerStatus {
    /// Whether it is started with the machine: `enabled`, `disabled`, … in systemd's words.
    pub enabled: Option<String>,
    /// Whether it runs: `active`, `inactive`, … in systemd's words.
    pub active: Option<String>,
    /// When it starts the service next, in systemd's words.
    pub next: Option<String>,
    /// When it last did.
    pub last: Option<String>,
}

impl Manager {
    /// The one that runs this machine; `None` where it is not systemd.
    pub fn running(scope: Scope) -> Option<Self> {
        Path::new(BOOTED).is_dir().then(|| Manager::at("systemctl".into(), scope))
    }

    pub(super) fn at(program: PathBuf, scope: Scope) -> Self {
        Manager { program, scope }
    }

    pub(super) fn reload(&self) -> Result<(), ScheduleError> {
        self.tell(&["daemon-reload"]).map(drop)
    }

    pub(super) fn enable(&self) -> Result<(), ScheduleError> {
        self.tell(&["enable", "--now", TIMER]).map(drop)
    }

    pub(super) fn disable(&self) -> Result<(), ScheduleError> {
        self.tell(&["disable", "--now", TIMER]).map(drop)
    }

    /// How the timer stands.
    ///
    /// # Errors
    /// The service manager does not answer.
    pub fn status(&self) -> Result<TimerStatus, ScheduleError> {
        let asked = "--property=UnitFileState,ActiveState,NextElapseUSecRealtime,LastTriggerUSec";
        let said = self.tell(&["show", TIMER, asked])?;
        let value = |key: &str| {
            let of_key = |line: &str| {
                line.split_once('=').filter(|(other, _)| *other == key).map(|(_, value)| value.to_owned())
            };
            said.lines().find_map(of_key).filter(|value| !value.is_empty())
        };
        Ok(TimerStatus {
            enabled: value("UnitFileState"),
            active: value("ActiveState"),
            next: value("NextElapseUSecRealtime"),
            last: value("LastTriggerUSec"),
        })
    }

    fn tell(&self, words: &[&str]) -> Result<String, ScheduleError> {
        let mut command = Command::new(&self.program);
        if self.scope == Scope::User {
            command.arg("--user");
        }
        let output = command.args(words).output();
        match output {
            Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            failed => {
                let user = if self.scope == Scope::User { "--user " } else { "" };
                let command = format!("systemctl {user}{}", words.join(" "));
                Err(ScheduleError::Manager { command, said: said(failed) })
            }
        }
    }
}

/// Has systemd look at a time. Where its program is not, the time is taken as it is.
pub(super) fn check_calendar(text: &str) -> Result<(), ScheduleError> {
    let looked = Command::new("systemd-analyze").args(["calendar", "--", text]).output();
    match looked {
        Ok(output) if !output.status.success() => {
            Err(ScheduleError::Calendar { text: text.to_owned(), said: said(Ok(output)) })
        }
        _ => Ok(()),
    }
}

fn said(output: std::io::Result<Output>) -> String {
    match output {
        Ok(output) => match String::from_utf8_lossy(&output.stderr).trim() {
            "" => output.status.to_string(),
            said => said.replace('\n', "; "),
        },
        Err(error) => error.to_string(),
    }
}

//! The person at the terminal: questions and progress, on stderr, so that stdout stays for results.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use livecert::certificate::RenewalResult;
use livecert::progress::{Event, Progress};
use livecert::secret::Prompter;
use livecert::store::CertName;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use crate::arguments::Globals;
use crate::command::view::moment;
use crate::failure::one_line;

/// Asks at the terminal, where there is one on both sides.
#[derive(Default)]
pub(crate) struct Terminal {
    /// Nobody is to be asked.
    non_interactive: bool,
    /// Programs read what is said.
    json: bool,
    /// One question at a time.
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Question>,
    /// Nobody answers any more.
    left: bool,
    /// What was to be said while a question was open.
    held: String,
}

/// A question that is open.
struct Question {
    /// What the terminal had before it.
    settings: Option<Termios>,
    leave: Box<dyn Fn() + Send>,
}

impl Terminal {
    /// The terminal as the words want it.
    pub(crate) fn new(globals: &Globals) -> Self {
        let Globals { non_interactive, json, .. } = *globals;
        Terminal { non_interactive, json, ..Terminal::default() }
    }

    /// Takes the question back that is open, if there is one, gives the terminal back as it was before, echo and all, and
    /// asks no more.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.left = true;
        let Some(question) = &state.open else { return };
        if let Some(settings) = &question.settings {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
        }
        write_err("\n");
        (question.leave)();
    }

    /// Asks a question that has to be answered with yes; `None` if nobody is there to answer.
    pub(crate) fn agrees(&self, question: &str) -> Option<bool> {
        if !self.interactive() {
            return None;
        }
        write_err(&format!("{question} [y/N] "));
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        Some(read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Says something, after the answer if a question is open.
    fn say(&self, text: &str) {
        let mut state = self.state();
        if state.open.is_some() {
            state.held.push_str(text);
        } else {
            write_err(text);
        }
    }

    /// The answer; `None` if the question was taken back.
    fn ask<T: Send + 'static>(&self, question: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, answers) = mpsc::channel();
        {
            let mut state = self.state();
            if state.left {
                return None;
            }
            let settings = tcgetattr(std::io::stdin()).ok();
            let answer = answer.clone();
            state.open = Some(Question { settings, leave: Box::new(move || drop(answer.send(None))) });
        }
        // Nothing can call back who waits for a line: when the question is taken back, that thread stays until the end.
        std::thread::spawn(move || answer.send(Some(question())));
        let answered = answers.recv().ok().flatten();
        let mut state = self.state();
        state.open = None;
        write_err(&std::mem::take(&mut state.held));
        answered
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prompter for Terminal {
    fn interactive(&self) -> bool {
        !self.non_interactive && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    fn goes_on(&self) -> bool {
        self.non_interactive
    }

    fn show(&self, text: &str, document: &serde_json::Value) {
        self.say(&if self.json { format!("{document}\n") } else { text.to_owned() });
    }

    fn ask_secret(&self, label: &str) -> Option<std::io::Result<SecretString>> {
        if !self.interactive() {
            return None;
        }
        let label = label.to_owned();
        let answer = self.ask(move || {
            write_err(&format!("{label}: "));
            rpassword::read_password().map(SecretString::from)
        });
        Some(answer.unwrap_or_else(|| Err(std::io::ErrorKind::Interrupted.into())))
    }

    fn confirm(&self, message: &str) -> bool {
        if !self.interactive() {
            return false;
        }
        let message = message.to_owned();
        let confirmed = self.ask(move || {
            write_err(&format!("{message}Press Enter when it is done: "));
            let mut line = String::new();
            // End of input is no confirmation.
            std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0)
        });
        confirmed.unwrap_or(false)
    }
}

/// Draws progress: a line for each step.
pub(crate) struct Lines {
    quiet: bool,
    terminal: Arc<Terminal>,
    /// How many servers were ready at a certificate's last line, so that only changes are told.
    ready: Mutex<BTreeMap<CertName, (usize, usize)>>,
}

impl Lines {
    pub(crate) fn new(quiet: bool, terminal: Arc<Terminal>) -> Self {
        Lines { quiet, terminal, ready: Mutex::default() }
    }

    fn text(&self, cert: &CertName, event: &Event<'_>) -> Option<String> {
        Some(match event {
            Event::WaitingForLock { holder } => format!("waiting: {holder} works on it"),
            Event::AccountCreated { url } => format!("made an account: {url}"),
            Event::Resumed { status } => format!("going on with the order of an earlier run ({status})"),
            Event::Chosen { name, challenge } => format!("{name} is proved with {challenge}"),
            Event::Ordered { names, open: 0 } => {
                format!("ordered ({}), already proved", count(*names, "name"))
            }
            Event::Ordered { names, open } => {
                format!("ordered ({}, {} to prove)", count(*names, "name"), open)
            }
            Event::Published { values, took } => {
                format!("{} shown in {:.2} s", count(*values, "proof"), took.as_secs_f64())
            }
            Event::Propagating { ready, all } => {
                let mut last = self.ready.lock().ok()?;
                if ready == all || last.insert(cert.clone(), (*ready, *all)) == Some((*ready, *all)) {
                    return None;
                }
                format!("{ready} of {all} name server addresses show the records")
            }
            Event::Propagated { took } => {
                format!("visible at every name server after {:.2} s", took.as_secs_f64())
            }
            Event::Validated { took } => format!("validated by the CA in {:.2} s", took.as_secs_f64()),
            Event::Stored { generation } => {
                format!("the new certificate is in place (generation {generation})")
            }
            Event::HookBegins { kind, command } => format!("running the {kind} hook: {command}"),
            Event::Verifying { at } => format!("looking whether {at} serves it"),
            Event::Deployed { generation, served: false } => format!("generation {generation} is deployed"),
            Event::Deployed { generation, .. } => format!("generation {generation} is deployed, and served"),
            Event::Rewritten { generation } => {
                format!("its files are written anew (generation {generation})")
            }
            Event::CleaningUp => "removing what was shown".to_owned(),
            Event::Ended { result: RenewalResult::Renewed(issued) } => {
                format!("renewed, valid until {}", moment(issued.generation.info.not_after))
            }
            Event::Ended { result: RenewalResult::Failed(error) } => format!("FAILED: {}", one_line(error)),
            _ => return None,
        })
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Progress for Lines {
    fn event(&self, cert: &CertName, event: Event<'_>) {
        if let Event::Ended { .. } = event
            && let Ok(mut ready) = self.ready.lock()
        {
            ready.remove(cert);
        }
        // What failed is told at the end of the run, and what was left behind is in the journal for the next one.
        if self.quiet {
            return;
        }
        match &event {
            Event::Deprecated { parameter, instead } => self.terminal.say(&format!(
                "warning: {parameter} is deprecated and will be removed: every user of this machine can read \
                 arguments. Use --plugin-arg {instead}=file:PATH (or env:, cmd:, prompt) instead.\n"
            )),
            Event::LeftBehind { fqdn, value, reason } => self.terminal.say(&format!(
                "warning: a TXT value of ours could not be removed and may still be there:\n  \
                 {fqdn}. TXT \"{value}\"\n  {reason}\n  It does no harm. The next run removes it, and so does `livecert dns sweep`.\n"
            )),
            Event::CredentialEnds { kind, name, expires, days } => {
                let name = name.map(|name| format!(" '{name}'")).unwrap_or_default();
                let when = match days {
                    ..0 => "has ended".to_owned(),
                    0 => format!("ENDS TODAY ({expires:.0})"),
                    1 => format!("ENDS TOMORROW ({expires:.0})"),
                    days => format!("ends in {days} days ({expires:.0})"),
                };
                self.terminal.say(&format!(
                    "warning: {cert}: the {kind}{name} {when}. Renewals fail after that. Run `livecert token renew`, or \
                     make a new one at account.gandi.net and write it to the same place.\n"
                ));
            }
            Event::CredentialSays { kind, name, permissions, domains } => {
                let name = name.map(|name| format!(" '{name}'")).unwrap_or_default();
                let domains =
                    if domains.is_empty() { "unknown or all".to_owned() } else { domains.join(", ") };
                self.terminal.say(&format!(
                    "note: {cert}: the {kind}{name} says of itself: permissions {}; domains {domains}\n",
                    permissions.join(", ")
                ));
            }
            Event::Doubt { finding } => self.terminal.say(&format!(
                "warning: {cert}: {}: {}\n  next: {}\n",
                finding.about, finding.what, finding.next
            )),
            Event::Fallback { from, to, reason } => self.terminal.say(&format!(
                "warning: {cert}: {from} cannot give it now: {reason}\n  It is asked for at {to}; the next renewal goes back.\n"
            )),
            Event::AccountReplaced { old, new, todo } => {
                let todo: String = todo.iter().map(|record| format!("  {record}\n")).collect();
                let todo = if todo.is_empty() {
                    String::new()
                } else {
                    format!(
                        "  These records name the old account, and have to name the new one (`livecert persist publish` writes \
                         standing records, `livecert dns remove` removes old ones):\n{todo}"
                    )
                };
                self.terminal.say(&format!(
                    "warning: {cert}: the server does not take the account {old} any more; the new one is {new}\n{todo}"
                ));
            }
            Event::NoPreferredChain { preferred, offered, used } => self.terminal.say(&format!(
                "warning: {cert}: no chain is from '{preferred}' (they end with: {offered}); the CA's own choice is used, from '{used}'\n"
            )),
            Event::Unreachable { obstacle } => self.terminal.say(&format!(
                "warning: {cert}: {} cannot enter {}, and so not read the files\n  next: chmod {} '{}'\n",
                obstacle.who,
                obstacle.folder.display(),
                obstacle.missing,
                obstacle.folder.display()
            )),
            Event::OrderReplaced { url } => self.terminal.say(&format!(
                "warning: {cert}: the open order {url} is given up; another one takes its place\n"
            )),
            Event::OrderUnseen { reason } => self.terminal.say(&format!(
                "warning: {cert}: the step is done, but how the order stands now could not be read: {reason}\n"
            )),
            Event::StillShown { host, reason } => self.terminal.say(&format!(
                "warning: {cert}: what was shown at {host} could not be taken away: {reason}\n  It does no harm.\n"
            )),
            Event::StandingEnds { at, until, days } => self.terminal.say(&format!(
                "warning: {cert}: the standing record at {at} {} ({until:.0}). Renewals fail after that. \
                 Write it anew with `livecert persist publish`.\n",
                if *days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") }
            )),
            Event::Returned { from, to } => self.terminal.say(&format!(
                "warning: {cert}: generation {from} is not in use, so generation {to} is made current again\n"
            )),
            Event::NotReturned { to, reason } => self.terminal.say(&format!(
                "warning: {cert}: generation {to} could not be brought back into use: {reason}\n"
            )),
            Event::PostHookFailed { reason } => self.terminal.say(&format!(
                "warning: {cert}: {reason}\n  What the pre hook has stopped may not run. The next run tries it again.\n"
            )),
            Event::RenewalWindow { at, explanation: Some(url) } => self.terminal.say(&format!(
                "note: {cert}: the CA wants it to be renewed, at {at:.0} by our lot; it explains why at {url}\n"
            )),
            event => {
                if let Some(text) = self.text(cert, event) {
                    self.terminal.say(&format!("{cert}: {text}\n"));
                }
            }
        }
    }
}

/// Writes to stderr; that nobody reads it is no failure.
pub(crate) fn write_err(text: &str) {
    let mut stderr = anstream::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_is_taken_back_is_no_answer_and_none_follows() {
        let terminal = Arc::new(Terminal::default());
        assert_eq!(terminal.ask(|| 7), Some(7));
        let (asked, being_asked) = mpsc::channel();
        let (_nobody, silence) = mpsc::channel::<()>();
        let other = terminal.clone();
        let waiting = std::thread::spawn(move || {
            other.ask(move || {
                let _ = asked.send(());
                silence.recv().is_ok()
            })
        });
        being_asked.recv().unwrap();
        terminal.say("held");
        assert_eq!(terminal.state().held, "held");
        terminal.leave();
        assert_eq!(waiting.join().unwrap(), None);
        assert_eq!(terminal.state().held, "");
        assert_eq!(terminal.ask(|| 7), None);
    }

    #[test]
    fn who_wants_it_quiet_hears_no_warning_and_no_note() {
        let said = |quiet| {
            let terminal = Arc::new(Terminal::default());
            // What is said while a question is open can be looked at.
            terminal.state().open = Some(Question { settings: None, leave: Box::new(|| ()) });
            let lines = Lines::new(quiet, terminal.clone());
            let cert = "example.com".parse().unwrap();
            let domains = ["example.com".to_owned()];
            lines.event(&cert, Event::StillShown { host: "www.example.com", reason: "it is late" });
            let note =
                Event::CredentialSays { kind: "token", name: None, permissions: &[], domains: &domains };
            lines.event(&cert, note);
            lines.event(&cert, Event::CleaningUp);
            std::mem::take(&mut terminal.state().held)
        };
        assert_eq!(said(true), "");
        let loud = said(false);
        assert!(["warning: ", "note: ", "removing"].iter().all(|word| loud.contains(word)), "{loud}");
    }
}

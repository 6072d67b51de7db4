//! The person at the terminal: questions and progress, on stderr, so that stdout stays for results.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use livecert::progress::{Event, Progress};
use livecert::secret::Prompter;
use livecert::store::CertName;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

/// Asks at the terminal, where there is one on both sides.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// A question is open; the settings are what the terminal had before it.
    asking: AtomicBool,
    before: Mutex<Option<Termios>>,
}

impl Terminal {
    /// Whether a question is open.
    pub(crate) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Acquire)
    }

    /// Gives the terminal back as it was before the question, echo and all.
    pub(crate) fn restore(&self) {
        if let Ok(before) = self.before.lock()
            && let Some(settings) = before.as_ref()
        {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
        }
    }

    fn asking<T>(&self, question: impl FnOnce() -> T) -> T {
        if let Ok(mut before) = self.before.lock() {
            *before = tcgetattr(std::io::stdin()).ok();
        }
        self.asking.store(true, Ordering::Release);
        let answer = question();
        self.asking.store(false, Ordering::Release);
        answer
    }
}

impl Prompter for Terminal {
    fn interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    fn ask_secret(&self, label: &str) -> Option<std::io::Result<SecretString>> {
        if !self.interactive() {
            return None;
        }
        let ask = || {
            write_err(&format!("{label}: "));
            rpassword::read_password().map(SecretString::from)
        };
        Some(self.asking(ask))
    }

    fn confirm(&self, message: &str) -> bool {
        if !self.interactive() {
            return false;
        }
        self.asking(|| {
            write_err(&format!("{message}Press Enter when it is done: "));
            let mut line = String::new();
            // End of input is no confirmation.
            std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0)
        })
    }
}

/// Draws progress: a line for each step.
#[derive(Debug)]
pub(crate) struct Lines {
    quiet: bool,
    /// How many servers were ready at the last line, so that only changes are told.
    ready: Mutex<Option<(usize, usize)>>,
}

impl Lines {
    pub(crate) fn new(quiet: bool) -> Self {
        Lines { quiet, ready: Mutex::new(None) }
    }

    fn text(&self, event: &Event<'_>) -> Option<String> {
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
                if *last == Some((*ready, *all)) || ready == all {
                    return None;
                }
                *last = Some((*ready, *all));
                format!("{ready} of {all} name server addresses show the records")
            }
            Event::Propagated { took } => {
                format!("visible at every name server after {:.2} s", took.as_secs_f64())
            }
            Event::Validated { took } => format!("validated by the CA in {:.2} s", took.as_secs_f64()),
            Event::Stored { generation } => {
                format!("the new certificate is in place (generation {generation})")
            }
            Event::CleaningUp => "removing what was shown".to_owned(),
            _ => return None,
        })
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Progress for Lines {
    fn event(&self, cert: &CertName, event: Event<'_>) {
        match &event {
            Event::Deprecated { parameter, instead } => write_err(&format!(
                "warning: {parameter} is deprecated and will be removed: every user of this machine can read \
                 arguments. Use --plugin-arg {instead}=file:PATH (or env:, cmd:, prompt) instead.\n"
            )),
            Event::LeftBehind { fqdn, value, reason } => write_err(&format!(
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
                write_err(&format!(
                    "warning: {cert}: the {kind}{name} {when}. Renewals fail after that. Run `livecert token renew`, or \
                     make a new one at account.gandi.net and write it to the same place.\n"
                ));
            }
            Event::CredentialSays { kind, name, permissions, domains } => {
                let name = name.map(|name| format!(" '{name}'")).unwrap_or_default();
                let domains =
                    if domains.is_empty() { "unknown or all".to_owned() } else { domains.join(", ") };
                write_err(&format!(
                    "note: {cert}: the {kind}{name} says of itself: permissions {}; domains {domains}\n",
                    permissions.join(", ")
                ));
            }
            Event::Doubt { finding } => write_err(&format!(
                "warning: {cert}: {}: {}\n  next: {}\n",
                finding.about, finding.what, finding.next
            )),
            Event::Fallback { from, to, reason } => write_err(&format!(
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
                write_err(&format!(
                    "warning: {cert}: the server does not take the account {old} any more; the new one is {new}\n{todo}"
                ));
            }
            Event::NoPreferredChain { preferred, offered, used } => write_err(&format!(
                "warning: {cert}: no chain is from '{preferred}' (they end with: {offered}); the CA's own choice is used, from '{used}'\n"
            )),
            Event::StillShown { host, reason } => write_err(&format!(
                "warning: {cert}: what was shown at {host} could not be taken away: {reason}\n  It does no harm.\n"
            )),
            Event::StandingEnds { at, until, days } => write_err(&format!(
                "warning: {cert}: the standing record at {at} {} ({until:.0}). Renewals fail after that. \
                 Write it anew with `livecert persist publish`.\n",
                if *days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") }
            )),
            Event::RenewalWindow { at, explanation: Some(url) } => write_err(&format!(
                "note: {cert}: the CA wants it to be renewed, at {at:.0} by our lot; it explains why at {url}\n"
            )),
            _ if self.quiet => {}
            event => {
                if let Some(text) = self.text(event) {
                    write_err(&format!("{cert}: {text}\n"));
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

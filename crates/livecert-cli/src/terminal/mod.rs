//! The person at the terminal: questions and progress, on stderr, so that stdout stays for results.

mod board;
mod painter;
mod progress;
mod words;

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use livecert::secret::Prompter;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use crate::arguments::Globals;

pub(crate) use painter::{Log, clear, write_err};
pub(crate) use progress::Drawn;

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
            painter::hold(true);
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
        painter::hold(false);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
}

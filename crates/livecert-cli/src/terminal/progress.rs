//! Progress as it is seen: living lines at a terminal, plain ones elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use livecert::certificate::RenewalResult;
use livecert::progress::{Event, Progress};
use livecert::store::CertName;

use super::board::{Board, Size};
use super::{Terminal, painter, words};
use crate::screen::{Screen, is_unicode};

/// How often what lives is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Draws progress.
pub(crate) struct Drawn {
    quiet: bool,
    terminal: Arc<Terminal>,
    scene: Arc<Scene>,
    /// How many servers were ready at a certificate's last line, so that only changes are told.
    ready: Mutex<BTreeMap<CertName, (usize, usize)>>,
    /// Ends the thread that draws, when it goes; `None` where nothing lives.
    drawing: Option<Sender<()>>,
}

/// What is drawn.
struct Scene {
    begun: Instant,
    board: Mutex<Board>,
    unicode: bool,
}

impl Scene {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) {
        let size = size();
        let screen = Screen { width: Some(size.width), unicode: self.unicode };
        let lines = self.board().frame(self.begun.elapsed(), size, screen);
        painter::paint(lines);
    }
}

/// The room on the terminal behind stderr.
pub(super) fn size() -> Size {
    let told = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let told = told.map(|size| Size { width: size.ws_col.into(), height: size.ws_row.into() });
    told.filter(|size| size.width > 0 && size.height > 0).unwrap_or(Size { width: 80, height: 24 })
}

/// Whether lines can be drawn over there.
fn can_live() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("TERM").is_some_and(|term| term != "dumb" && !term.is_empty())
}

impl Drawn {
    pub(crate) fn new(quiet: bool, terminal: Arc<Terminal>) -> Self {
        Drawn::on(quiet, terminal, !quiet && can_live())
    }

    fn on(quiet: bool, terminal: Arc<Terminal>, living: bool) -> Self {
        let scene = Arc::new(Scene { begun: Instant::now(), board: Mutex::default(), unicode: is_unicode() });
        let drawing = living.then(|| {
            let (end, ended) = mpsc::channel::<()>();
            let scene = scene.clone();
            std::thread::spawn(move || {
                while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    scene.draw();
                }
            });
            end
        });
        Drawn { quiet, terminal, scene, ready: Mutex::default(), drawing }
    }

    /// Whether a look at the name servers brought no news.
    fn is_old(&self, cert: &CertName, event: &Event<'_>) -> bool {
        let Event::Propagating { ready, all, .. } = event else { return false };
        let mut last = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(cert.clone(), (*ready, *all)) == Some((*ready, *all))
    }

    /// Where the time went, as a line.
    fn say_times(&self, cert: &CertName, at: Duration, end: &str) {
        let times = self.scene.board().times(cert, at, self.scene.unicode);
        let Some(times) = times else { return };
        // At a terminal it stands below the command that names the certificate.
        let line = if self.drawing.is_some() {
            format!("{times}{end}\n")
        } else {
            format!("{cert}: {times}{end}\n")
        };
        self.terminal.say(&line);
    }

    /// The end of one certificate in a run.
    fn say_end(&self, cert: &CertName, event: &Event<'_>, at: Duration) {
        let is_failure = matches!(
            event,
            Event::Ended { result: RenewalResult::Failed(_) } | Event::Settled { error: Some(_) }
        );
        if is_failure && !self.scene.board().is_batch() {
            // The run is over, and says at once what is wrong.
            return self.say_times(cert, at, " (not finished)");
        }
        let times = self.scene.board().times(cert, at, self.scene.unicode);
        let times = times.map(|times| format!(" ({times})")).unwrap_or_default();
        let Some(text) = words::step(event) else { return };
        self.terminal.say(&format!("{cert}: {text}{times}\n"));
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        // The thread that draws ends with the other end of this.
        if self.drawing.is_some() {
            let left = self.scene.board().unfinished();
            left.iter().for_each(|cert| self.say_times(cert, self.scene.begun.elapsed(), " (not finished)"));
        }
    }
}

impl Progress for Drawn {
    fn begins(&self, certificates: usize) {
        self.scene.board().begins(certificates);
    }

    fn event(&self, cert: &CertName, event: Event<'_>) {
        // What failed is told at the end of the run, and what was left behind is in the journal for the next one.
        if self.quiet {
            return;
        }
        let at = self.scene.begun.elapsed();
        if let Some(notice) = words::notice(cert, &event) {
            self.terminal.say(&marked(&notice));
            return;
        }
        let is_old = self.is_old(cert, &event);
        let is_batch = self.scene.board().is_batch();
        if let Event::Ended { .. } | Event::Settled { .. } = &event {
            self.say_end(cert, &event, at);
            self.scene.board().hear(cert, &event, at);
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).remove(cert);
            return;
        }
        self.scene.board().hear(cert, &event, at);
        if self.drawing.is_none()
            && !is_batch
            && !is_old
            && let Some(text) = words::step(&event)
        {
            self.terminal.say(&format!("{cert}: {text}\n"));
        }
        if let Event::Stored { .. } = event
            && !is_batch
        {
            self.say_times(cert, at, "");
        }
    }
}

/// A warning in its colour.
fn marked(text: &str) -> String {
    let yellow = AnsiColor::Yellow.on_default().bold();
    match text.strip_prefix("warning:") {
        Some(rest) => format!("{yellow}warning{yellow:#}:{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Question, Terminal};
    use super::*;
    #[test]
    fn who_wants_it_quiet_hears_no_warning_and_no_note() {
        let said = |quiet| {
            let terminal = Arc::new(Terminal::default());
            // What is said while a question is open can be looked at.
            terminal.state().open = Some(Question { settings: None, leave: Box::new(|| ()) });
            let drawn = Drawn::on(quiet, terminal.clone(), false);
            let cert = "example.com".parse().unwrap();
            let domains = ["example.com".to_owned()];
            drawn.event(&cert, Event::StillShown { host: "www.example.com", reason: "it is late" });
            let note =
                Event::CredentialSays { kind: "token", name: None, permissions: &[], domains: &domains };
            drawn.event(&cert, note);
            drawn.event(&cert, Event::CleaningUp);
            anstream::adapter::strip_str(&std::mem::take(&mut terminal.state().held)).to_string()
        };
        assert_eq!(said(true), "");
        let loud = said(false);
        assert!(["warning: ", "note: ", "removing"].iter().all(|word| loud.contains(word)), "{loud}");
    }
}

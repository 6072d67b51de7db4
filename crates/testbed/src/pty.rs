//! A terminal with somebody at it: a program that runs there asks, and is answered.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{Error, Outcome, io};

/// A program at a terminal of its own. What it prints as its result is kept apart.
#[derive(Debug)]
pub struct AtTerminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl AtTerminal {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no terminal, or the program cannot be started.
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let system = |error: rustix::io::Errno| io("a terminal")(error.into());
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).map_err(system)?;
        grantpt(&master).map_err(system)?;
        unlockpt(&master).map_err(system)?;
        let name = ptsname(&master, Vec::new()).map_err(system)?;
        let name = std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())).to_owned();
        let side = || OpenOptions::new().read(true).write(true).open(&name).map_err(io("a terminal"));
        command.stdin(Stdio::from(side()?)).stderr(Stdio::from(side()?)).stdout(Stdio::piped());
        let child = command.spawn().map_err(io("starting a program at a terminal"))?;
        // The command has the other side open, too, and a reader would never come to its end.
        drop(command);
        let keyboard = File::from(master);
        let mut shown = keyboard.try_clone().map_err(io("a terminal"))?;
        let screen = Arc::new(Mutex::new(String::new()));
        let drawn = screen.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // It ends with an error when nobody has the other side open any more.
            while let Ok(read @ 1..) = shown.read(&mut part) {
                let text = String::from_utf8_lossy(&part[..read]).replace("\r\n", "\n");
                drawn.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(AtTerminal { child, keyboard, screen })
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until these words are there so many times; `false` if the program has ended before.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn until_shown(&mut self, words: &str, times: usize) -> Result<bool, Error> {
        while self.screen().matches(words).count() < times {
            if self.child.try_wait().map_err(io("waiting for a program"))?.is_some() {
                return Ok(self.screen().matches(words).count() >= times);
            }
            std::thread::yield_now();
        }
        Ok(true)
    }

    /// Types.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn enter(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.keyboard, "{text}").map_err(io("typing"))
    }

    /// Waits for its end. What it said is what was on the screen.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn end(self) -> Result<Outcome, Error> {
        let ended: Outcome = self.child.wait_with_output().map_err(io("waiting for a program"))?.into();
        let stderr = self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Outcome { stderr, ..ended })
    }
}

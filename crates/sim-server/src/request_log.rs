//! What was asked: kept for tests, and written as JSON lines.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::Error;

/// The requests so far, and the file that they are written to.
#[derive(Debug)]
pub struct RequestLog<R> {
    /// The requests, oldest first.
    pub records: Vec<R>,
    file: Option<File>,
}

impl<R: Serialize> RequestLog<R> {
    /// A log that is written to `file` too, if there is one; what is in it already stays.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(file: Option<&Path>) -> Result<Self, Error> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(|source| Error::Io { what: format!("opening the log {}", path.display()), source })
        };
        Ok(RequestLog { records: Vec::new(), file: file.map(open).transpose()? })
    }

    /// Adds a request.
    pub fn add(&mut self, record: R) {
        if let (Some(file), Ok(line)) = (&mut self.file, serde_json::to_string(&record)) {
            // A full disk must not stop the simulation; whoever reads the log will miss the line.
            let _ = writeln!(file, "{line}");
        }
        self.records.push(record);
    }
}

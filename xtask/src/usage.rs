//! What a command used of the machine, as `time` notes it.

use std::path::Path;

use crate::Failure;

/// The program, which notes it into the file that is named after [`WORDS`].
pub(crate) const TIME: &str = "/usr/bin/time";
pub(crate) const WORDS: [&str; 4] = ["--quiet", "-f", "%U %S %M", "-o"];

/// What a command used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of processor time, with all children.
    pub(crate) cpu: f64,
    /// The largest resident size of one process, in MiB.
    pub(crate) memory: f64,
}

impl Usage {
    /// Reads what was noted.
    pub(crate) fn read(note: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(note)?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [user, system, kilobytes] = numbers[..] else {
            return Err(format!("no times in '{}'", text.trim()).into());
        };
        Ok(Usage { cpu: user + system, memory: kilobytes / 1024.0 })
    }
}

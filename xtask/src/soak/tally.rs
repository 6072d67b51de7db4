//! What livecert said of itself, counted.

use std::collections::BTreeMap;

use serde_json::Value;

/// Counts of everything that was reported, and what must not be in a report.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Certificates that are new.
    pub(super) renewed: usize,
    /// Failures by their kinds.
    pub(super) failures: BTreeMap<String, usize>,
    /// Processes, by what became of them.
    pub(super) processes: BTreeMap<&'static str, usize>,
    /// What is wrong.
    pub(super) findings: Vec<String>,
}

impl Tally {
    pub(super) fn process(&mut self, fate: &'static str) {
        *self.processes.entry(fate).or_default() += 1;
    }

    fn failed(&mut self, kind: &str, document: &Value) {
        if kind.is_empty() || ["internal", "other"].contains(&kind) {
            self.findings.push(format!("a failure without a kind: {document}"));
        }
        *self.failures.entry(kind.to_owned()).or_default() += 1;
    }

    /// What a process printed with `--json`, or the long-lived one for a round.
    pub(super) fn report(&mut self, text: &str) {
        let Ok(document) = serde_json::from_str::<Value>(text) else {
            self.findings.push(format!("a report that is no JSON: {text:.300}"));
            return;
        };
        for one in document["certificates"].as_array().into_iter().flatten() {
            match one["result"].as_str() {
                Some("renewed" | "new") => self.renewed += 1,
                Some("failed" | "waiting") => {
                    self.failed(one["error"]["kind"].as_str().unwrap_or_default(), one);
                }
                _ => {}
            }
        }
        match document["result"].as_str() {
            Some("new") => self.renewed += 1,
            _ if document["error"].is_object() => {
                self.failed(document["error"]["kind"].as_str().unwrap_or_default(), &document);
            }
            _ => {}
        }
    }

    /// What a process said to people.
    pub(super) fn words(&mut self, what: &str, text: &str) {
        if let Some(at) = text.find("panicked at") {
            let end = text.len().min(at + 1500);
            self.findings.push(format!("a panic in {what}: {}", text.get(at..end).unwrap_or(text)));
        }
    }

    pub(super) fn add(&mut self, other: Tally) {
        self.renewed += other.renewed;
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        for (fate, count) in other.processes {
            *self.processes.entry(fate).or_default() += count;
        }
        self.findings.extend(other.findings);
    }
}

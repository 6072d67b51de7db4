//! The errors by their stable kinds: what each means, and what to do. `livecert explain` prints an entry, and
//! `docs/errors.md` is all of them.

mod entries;

#[cfg(test)]
mod tests;

pub(crate) use entries::ENTRIES;

/// What is known about a kind of error.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its stable name: in `--json`, behind `error` on stderr, in state files, and for hooks.
    pub(crate) kind: &'static str,
    /// What has happened, in a sentence.
    pub(crate) what: &'static str,
    /// Why that may be.
    pub(crate) why: &'static str,
    /// What to do.
    pub(crate) next: &'static str,
}

/// The entry of a kind.
pub(crate) fn find(kind: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.kind == kind)
}

impl Entry {
    /// The entry as it is read at a terminal.
    pub(crate) fn text(&self) -> String {
        format!("{}\n\n{}\n\nWhy: {}\n\nWhat to do: {}\n", self.kind, self.what, self.why, self.next)
    }
}

/// `docs/errors.md`.
#[cfg(test)]
fn page() -> String {
    let mut page = String::from(
        "# Errors by their kinds\n\n\
         Every error has a kind, which does not change: it is behind the word `error` on stderr, in `--json` as `error.kind`, in\n\
         `status.json` and `failures.json`, and in `LIVECERT_ERROR_KIND` for failure hooks. The message tells what went wrong\n\
         where, `because:` why, and `next:` what to do in this very case. `livecert explain KIND` prints an entry of this page.\n",
    );
    for entry in ENTRIES {
        let Entry { kind, what, why, next } = entry;
        page.push_str(&format!("\n## {kind}\n\n{what}\n\n- **Why:** {why}\n- **What to do:** {next}\n"));
    }
    page
}

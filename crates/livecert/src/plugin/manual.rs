//! The plugin `manual`: a person writes the records.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::{
    ArgumentError, Arguments, Connected, Pending, Plugin, PluginError, PluginInfo, ProofKind, Surroundings,
    TxtRecord, Withdrawn,
};
use crate::secret::Prompter;

const GUIDE: &str = "\
Nothing has to be set up. The records for all names are shown at once; write them at your DNS
service beside what is there, and confirm. livecert then looks at every name server until all show
them, and asks you to remove them at the end.

    livecert issue example.com '*.example.com' --plugin manual --accept-tos

It needs a person at each renewal. A standing record (`livecert persist`) needs one once.
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "manual",
    summary: "shows the TXT records and waits until you have written them",
    proofs: &[ProofKind::Txt],
    guide: GUIDE,
    parameters: &[],
    environment: &[],
    sweeps: false,
    // A person does one thing after the other.
    alone: true,
    connect,
};

fn connect(_: &Arguments, surroundings: &Surroundings) -> Result<Connected, ArgumentError> {
    if !surroundings.prompter.interactive() {
        return Err(ArgumentError::NeedsTerminal { plugin: INFO.name });
    }
    Ok(Connected::Dns(Arc::new(Manual { prompter: surroundings.prompter.clone() })))
}

struct Manual {
    prompter: Arc<dyn Prompter>,
}

impl Manual {
    /// Waits for a person, on a thread of its own: timers and signals go on meanwhile.
    async fn confirm(&self, message: String) -> bool {
        let prompter = self.prompter.clone();
        tokio::task::spawn_blocking(move || prompter.confirm(&message)).await.unwrap_or(false)
    }
}

impl Plugin for Manual {
    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let message = table("Add these TXT records (keep what is there already):", records);
            if self.confirm(message).await { Ok(()) } else { Err(PluginError::NotConfirmed) }
        })
    }

    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn> {
        Box::pin(async move {
            let message = table("These TXT records have done their work; remove them:", records);
            self.confirm(message).await;
            Withdrawn::default()
        })
    }
}

fn table(heading: &str, records: &[TxtRecord]) -> String {
    let mut by_name = BTreeMap::<&str, Vec<&str>>::new();
    for record in records {
        by_name.entry(&record.fqdn).or_default().push(&record.value);
    }
    let mut text = format!("{heading}\n");
    for (name, values) in by_name {
        for value in values {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name}. TXT \"{value}\"");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_of_a_name_are_shown_together() {
        let record =
            |fqdn: &str, value: &str| TxtRecord { fqdn: fqdn.into(), value: value.into(), apex: None };
        let text =
            table("Add:", &[record("b.example", "1"), record("a.example", "2"), record("b.example", "3")]);
        assert_eq!(text, "Add:\n  a.example. TXT \"2\"\n  b.example. TXT \"1\"\n  b.example. TXT \"3\"\n");
    }
}

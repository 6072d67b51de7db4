//! TXT values for another ACME client, which has livecert as its hook: the plugin's part alone, with the same care.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::ledger::{journal_record, publication, txt_record};
use super::{CertificateError, PropagationRequest, Service};
use crate::challenge::{DnsSolver, PropagationSettings};
use crate::plugin::{self, ArgumentSources, Arguments, Leftover, Plugin, PluginInfo, TxtRecord};
use crate::store::JournalName;

/// What the sealed parameters of these commands are bound to.
pub(super) const PLACE: &str = "dns";
/// How long another process may work on the same name.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Longest name in DNS, as text (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;
/// Longest string in a TXT record, in octets (RFC 1035 §3.3.14).
const LONGEST_VALUE: usize = 255;

/// One value at one name, for another ACME client.
#[derive(Debug, Clone)]
pub struct HookRequest {
    /// The name, with or without trailing dot; CNAMEs are followed.
    pub fqdn: String,
    /// The value, without quotes.
    pub value: String,
    /// The plugin.
    pub plugin: &'static PluginInfo,
    /// Its arguments.
    pub arguments: ArgumentSources,
    /// How the publication is watched.
    pub propagation: PropagationRequest,
    /// Whether to wait until every name server shows the value.
    pub wait: bool,
    /// Whose care the value is in once it is there.
    pub care: Care,
}

/// Whose care a value is in once it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Care {
    /// Another ACME client's, which has it removed when it has done its work.
    #[default]
    Hook,
    /// Nobody's: it is meant to stay.
    Standing,
}

/// What was done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hooked {
    /// Where the value is, or was: CNAMEs are followed.
    pub fqdn: String,
    /// The value.
    pub value: String,
    /// How long it took until every name server showed it; `None` if that was not waited for.
    pub visible_after: Option<Duration>,
}

/// What adds and removes the values of one command: the credential is read once.
pub(super) struct Hand {
    plugin: Arc<dyn Plugin>,
    solver: DnsSolver,
    arguments: Arguments,
    place: String,
}

impl HookRequest {
    /// The name in its one form, or what is wrong with name or value.
    fn check(&self) -> Result<String, CertificateError> {
        let fqdn = self.fqdn.strip_suffix('.').unwrap_or(&self.fqdn).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if fqdn.len() > LONGEST_NAME || !fqdn.contains('.') || !fqdn.split('.').all(label) {
            return Err(CertificateError::RecordName { name: self.fqdn.clone() });
        }
        let printable = self.value.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !printable || !(1..=LONGEST_VALUE).contains(&self.value.len()) {
            return Err(CertificateError::RecordValue);
        }
        Ok(fqdn)
    }

    fn settings(&self) -> Result<PropagationSettings, CertificateError> {
        super::settings::propagation(&self.propagation, None)
    }
}

impl Service {
    /// Adds the value, and nothing else changes. It stays until [`remove_value`](Self::remove_value), or until a sweep
    /// finds it forgotten.
    ///
    /// # Errors
    /// See [`CertificateError`]; the value is not there then, or the journal knows of it.
    pub async fn add_value(&self, request: &HookRequest) -> Result<Hooked, CertificateError> {
        self.add_value_with(&self.hand(request, PLACE).await?, request).await
    }

    /// The same, by a hand that may have added others.
    pub(super) async fn add_value_with(
        &self,
        hand: &Hand,
        request: &HookRequest,
    ) -> Result<Hooked, CertificateError> {
        let fqdn = request.check()?;
        let solver = &hand.solver;
        let mut own = publication(request.plugin, &hand.arguments, hand.place.clone());
        let placement = self.unless_interrupted(solver.prepare(std::slice::from_ref(&fqdn))).await??;
        let proofs = [crate::challenge::Proof { name: fqdn.clone(), value: request.value.clone() }];
        let records = placement.records(&proofs);
        let journal = JournalName::name(&fqdn);

        let lock = self.unless_interrupted(self.store.lock_journal(&journal, PATIENCE)).await??;
        self.unless_interrupted(solver.take_turns(&placement, &records)).await??;
        let mut publications = self.store.publications(&journal)?;
        // What nobody could remove without a person is not worth a note that asks for it.
        if request.plugin.sweeps {
            own.records = records.iter().map(journal_record).collect();
        }
        // The same value again is in one client's care, and no second look takes it away.
        for earlier in &mut publications {
            earlier.records.retain(|record| !own.records.contains(record));
        }
        publications.retain(|earlier| !earlier.records.is_empty());
        publications.push(own);
        self.store.save_publications(&journal, &publications)?;
        if let Err(error) = solver.publish(&placement, &records).await {
            self.take_back(hand, &journal, &records).await?;
            return Err(error.into());
        }
        match (request.care, publications.last_mut()) {
            // From here on the value is in the other client's care.
            (Care::Hook, Some(own)) => own.handed_over = true,
            // No sweep may ever find it.
            (Care::Standing, _) | (Care::Hook, None) => drop(publications.pop()),
        }
        publications.retain(|publication| !publication.records.is_empty());
        self.store.save_publications(&journal, &publications)?;
        drop(lock);

        let begun = Instant::now();
        if request.wait {
            let stop = self.interrupt.cancelled();
            let report = |watch: crate::dns::Watch<'_>| tracing::debug!(?watch, "propagation");
            let error = match solver.propagate(&placement, &proofs, report, stop).await {
                Ok(true) => None,
                Ok(false) => Some(CertificateError::Interrupted),
                Err(error) => Some(error.into()),
            };
            if let Some(error) = error {
                let _lock = self.store.lock_journal(&journal, PATIENCE).await?;
                self.take_back(hand, &journal, &records).await?;
                return Err(error);
            }
        }
        let at = records.first().map_or(fqdn, |record| record.fqdn.clone());
        let visible_after = request.wait.then(|| begun.elapsed());
        Ok(Hooked { fqdn: at, value: request.value.clone(), visible_after })
    }

    /// Removes the value, and nothing else. That it is not there is no failure.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub async fn remove_value(&self, request: &HookRequest) -> Result<Hooked, CertificateError> {
        self.remove_value_with(&self.hand(request, PLACE).await?, request).await
    }

    /// The same, by a hand that may have removed others.
    pub(super) async fn remove_value_with(
        &self,
        hand: &Hand,
        request: &HookRequest,
    ) -> Result<Hooked, CertificateError> {
        let fqdn = request.check()?;
        let solver = &hand.solver;
        let journal = JournalName::name(&fqdn);
        let _lock = self.unless_interrupted(self.store.lock_journal(&journal, PATIENCE)).await??;
        let publications = self.store.publications(&journal)?;
        // A CNAME may lead elsewhere by now; the journal knows where the value was written.
        let noted = publications.iter().flat_map(|publication| &publication.records);
        let noted = noted.filter(|record| record.value == request.value).map(txt_record).collect::<Vec<_>>();
        let records = if noted.is_empty() {
            let placed = solver.prepare(std::slice::from_ref(&fqdn));
            let placement = self.unless_interrupted(placed).await??;
            placement.records(&[crate::challenge::Proof { name: fqdn.clone(), value: request.value.clone() }])
        } else {
            noted
        };
        if let Some(left) = self.take_back(hand, &journal, &records).await?.into_iter().next() {
            return Err(CertificateError::LeftBehind { fqdn: left.record.fqdn, source: left.reason });
        }
        let at = records.first().map_or(fqdn, |record| record.fqdn.clone());
        Ok(Hooked { fqdn: at, value: request.value.clone(), visible_after: None })
    }

    /// What adds and removes values, with sealed parameters that are bound to `place`. Nothing is asked for a request that is
    /// wrong.
    pub(super) async fn hand(&self, request: &HookRequest, place: &str) -> Result<Hand, CertificateError> {
        request.check()?;
        let (info, prompter) = (request.plugin, self.surroundings.prompter.as_ref());
        let sources = plugin::with_default_credential(info, request.arguments.clone(), prompter)?;
        let resolving = Arguments::resolve(info, &sources, place, &self.sealing_key, &self.surroundings);
        let arguments = self.unless_interrupted(resolving).await??;
        let plugin = info.connect_dns(&arguments, &self.surroundings)?;
        let (settings, http) = (request.settings()?, &self.surroundings.http);
        let solver = DnsSolver::new(info.name, plugin.clone(), &settings, http)?;
        Ok(Hand { plugin, solver, arguments, place: place.to_owned() })
    }

    /// Removes the records, and strikes off those that are gone. The journal's lock must be held.
    async fn take_back(
        &self,
        hand: &Hand,
        journal: &JournalName,
        records: &[TxtRecord],
    ) -> Result<Vec<Leftover>, CertificateError> {
        let withdrawn = hand.plugin.withdraw(records).await;
        let left = withdrawn.leftovers;
        let gone =
            |record: &TxtRecord| records.contains(record) && !left.iter().any(|left| left.record == *record);
        let mut publications = self.store.publications(journal)?;
        for publication in &mut publications {
            publication.records.retain(|record| !gone(&txt_record(record)));
            // What could not be removed, or is worth a second look, is nobody's any more.
            let forsaken = |record: &TxtRecord| publication.records.contains(&journal_record(record));
            if left.iter().map(|left| &left.record).chain(&withdrawn.shared).any(forsaken) {
                publication.handed_over = false;
                publication.found = Some(Timestamp::now());
            }
        }
        publications.retain(|publication| !publication.records.is_empty());
        self.store.save_publications(journal, &publications)?;
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fqdn: &str, value: &str) -> HookRequest {
        HookRequest {
            fqdn: fqdn.into(),
            value: value.into(),
            plugin: plugin::find("gandi").unwrap(),
            arguments: ArgumentSources::new(),
            propagation: PropagationRequest::default(),
            wait: true,
            care: Care::Hook,
        }
    }

    #[test]
    fn names_and_values_are_checked_before_anything_is_done() {
        assert_eq!(
            request("_ACME-challenge.Example.com.", "v").check().unwrap(),
            "_acme-challenge.example.com"
        );
        let long = "a".repeat(256);
        for bad in ["", ".", "com", "a..example.com", "*.example.com", "a b.example.com", "ü.example", &long]
        {
            assert!(matches!(request(bad, "v").check(), Err(CertificateError::RecordName { .. })), "{bad}");
        }
        for bad in ["", "a\nb", "ü", &long] {
            assert!(matches!(request("a.example", bad).check(), Err(CertificateError::RecordValue)), "{bad}");
        }
    }
}

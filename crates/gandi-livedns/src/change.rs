//! Adding and removing TXT values of one's own, whoever else writes.
//!
//! LiveDNS has no compare-and-swap, so a value that another writer adds between our read and our write can be lost;
//! no client can prevent that. What can be done is done: creation never overwrites; a write happens right after the
//! read that it is made from; every merged write is read back; and ours is put back when another writer dropped it.

use crate::client::Client;
use crate::error::Error;
use crate::name::{RecordType, RelativeName};
use crate::retry::{Budget, contention_pause};
use crate::rrset::{Created, Rrset};
use crate::txt;
use crate::zone::Zone;

/// How often a change is made again when another writer has undone it.
const ROUNDS: u32 = 8;

/// What an addition did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddOutcome {
    /// There was no rrset; it is made.
    Created,
    /// The values are merged into an rrset with values of others.
    Merged,
    /// All of them were there already; nothing was written.
    AlreadyThere,
}

/// An addition that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// What it did.
    pub outcome: AddOutcome,
}

/// What a removal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveOutcome {
    /// Nothing else was in the rrset; it is gone.
    RrsetDeleted,
    /// This many values of others are kept.
    Kept(usize),
    /// None of the values was there; nothing was written.
    NothingThere,
}

/// A removal that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// What it did.
    pub outcome: RemoveOutcome,
}

impl Client {
    /// Adds TXT values at `fqdn`. Values that are there stay as they are, byte for byte, with their TTL; nothing is
    /// written when all of `values` are there already.
    ///
    /// Do not drop the future halfway: a write that was sent may still take effect.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::LostUpdate`] when another writer undoes the change each time.
    pub async fn add_txt(&self, zone: &Zone, fqdn: &str, values: &[String]) -> Result<Added, Error> {
        let name = zone.relative(fqdn)?;
        let quoted = quoted(fqdn, values)?;
        let turn = self.turn(zone, &name);
        let _turn = turn.lock().await;
        let mut budget = self.budget();
        let budget = &mut budget;
        let kind = &RecordType::TXT;
        let ttl = self.options().ttl.seconds();
        match self.create(zone, &name, kind, (ttl, &quoted), budget).await {
            Ok(Created::New) => return Ok(Added { outcome: AddOutcome::Created }),
            Ok(Created::Same) => return Ok(Added { outcome: AddOutcome::AlreadyThere }),
            Ok(Created::Taken) => {}
            // It may have been made, or not: what is there now tells.
            Err(error) if is_unsure(&error) => self.pause_or(budget, error).await?,
            // A name in another letter case makes LiveDNS fail; the read finds out.
            Err(error) => return Err(error),
        }
        let mut outcome = AddOutcome::AlreadyThere;
        for round in 0..ROUNDS {
            let there = self.read(zone, &name, kind, budget).await?;
            let Some(rrset) = there else {
                self.refuse_cname(zone, &name, budget).await?;
                // Gone since: make it again.
                match self.create(zone, &name, kind, (ttl, &quoted), budget).await {
                    Ok(Created::New | Created::Same) => return Ok(Added { outcome: AddOutcome::Created }),
                    Ok(Created::Taken) => {}
                    Err(error) if is_unsure(&error) => self.pause_or(budget, error).await?,
                    Err(error) => return Err(error),
                }
                continue;
            };
            if txt::missing(&rrset.rrset_values, values).is_empty() {
                return Ok(Added { outcome });
            }
            let merged = txt::merged(&rrset.rrset_values, values);
            self.write(zone, &rrset, &merged, budget).await?;
            outcome = AddOutcome::Merged;
            if self.holds(zone, &name, &merged, budget).await? {
                return Ok(Added { outcome });
            }
            tokio::time::sleep(contention_pause(round)).await;
        }
        Err(Error::LostUpdate { name: name.to_string(), zone: zone.fqdn().to_owned(), rounds: ROUNDS })
    }

    /// Removes TXT values at `fqdn`, and the rrset when nothing else is in it. Values of others stay as they are.
    ///
    /// # Errors
    /// See [`Error`]. An error while reading is an error; it never counts as "nothing there".
    pub async fn remove_txt(&self, zone: &Zone, fqdn: &str, values: &[String]) -> Result<Removed, Error> {
        let name = zone.relative(fqdn)?;
        let turn = self.turn(zone, &name);
        let _turn = turn.lock().await;
        let mut budget = self.budget();
        let budget = &mut budget;
        let kind = &RecordType::TXT;
        let mut outcome = RemoveOutcome::NothingThere;
        for round in 0..ROUNDS {
            let Some(rrset) = self.read(zone, &name, kind, budget).await? else {
                return Ok(Removed { outcome });
            };
            let rest = txt::without(&rrset.rrset_values, values);
            if txt::missing(&rrset.rrset_values, values).len() == values.len() {
                return Ok(Removed { outcome });
            }
            if rest.is_empty() {
                outcome = RemoveOutcome::RrsetDeleted;
                let stored = RelativeName::new(&rrset.rrset_name)?;
                match self.delete(zone, &stored, kind, budget).await {
                    Ok(()) => return Ok(Removed { outcome }),
                    Err(error) if is_unsure(&error) => self.pause_or(budget, error).await?,
                    Err(error) => return Err(error),
                }
            } else {
                outcome = RemoveOutcome::Kept(rest.len());
                self.write(zone, &rrset, &rest, budget).await?;
                if self.lacks(zone, &name, values, budget).await? {
                    return Ok(Removed { outcome });
                }
            }
            tokio::time::sleep(contention_pause(round)).await;
        }
        Err(Error::LostUpdate { name: name.to_string(), zone: zone.fqdn().to_owned(), rounds: ROUNDS })
    }

    /// Writes the list under the name and with the TTL that the rrset has. That the fate of the write is not known is
    /// no error here: the caller reads next.
    async fn write(
        &self,
        zone: &Zone,
        rrset: &Rrset,
        values: &[String],
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let stored = RelativeName::new(&rrset.rrset_name)?;
        match self.replace(zone, &stored, &RecordType::TXT, (rrset.rrset_ttl, values), budget).await {
            Err(error) if is_unsure(&error) => self.pause_or(budget, error).await,
            result => result,
        }
    }

    /// Whether all values of `list` are there, ours and those of others.
    async fn holds(
        &self,
        zone: &Zone,
        name: &RelativeName,
        list: &[String],
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let there = self.read(zone, name, &RecordType::TXT, budget).await?;
        let values = there.map(|rrset| rrset.rrset_values).unwrap_or_default();
        Ok(list.iter().all(|value| values.iter().any(|other| txt::same(value, other))))
    }

    /// Whether none of `texts` is there.
    async fn lacks(
        &self,
        zone: &Zone,
        name: &RelativeName,
        texts: &[String],
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let there = self.read(zone, name, &RecordType::TXT, budget).await?;
        let values = there.map(|rrset| rrset.rrset_values).unwrap_or_default();
        Ok(txt::missing(&values, texts).len() == texts.len())
    }

    /// A name that POST takes for taken, and that has no TXT, has something else: most likely a CNAME.
    async fn refuse_cname(&self, zone: &Zone, name: &RelativeName, budget: &mut Budget) -> Result<(), Error> {
        let Some(rrset) = self.read(zone, name, &RecordType::CNAME, budget).await? else { return Ok(()) };
        let refusal = crate::refusal::Refusal::read(
            format!("POST /domains/{}/records/{name}/TXT", zone.fqdn()),
            reqwest::StatusCode::CONFLICT,
            b"{\"message\":\"a CNAME is at this name\"}",
        );
        let cname = rrset.rrset_values.first().cloned();
        Err(Error::Conflict { name: name.to_string(), cname, refusal: Box::new(refusal) })
    }

    /// Pauses before another try, or gives up with `error` when the budget is used up.
    async fn pause_or(&self, budget: &mut Budget, error: Error) -> Result<(), Error> {
        match budget.pause(None) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(error),
        }
    }
}

/// Whether a write that ended so may have been carried out, or may go better the next time.
fn is_unsure(error: &Error) -> bool {
    use crate::NetworkKind::{Lost, Timeout};
    match error {
        Error::Network { kind, .. } => matches!(kind, Lost | Timeout),
        Error::Server { .. } => true,
        _ => false,
    }
}

fn quoted(fqdn: &str, values: &[String]) -> Result<Vec<String>, Error> {
    let wrong = || Error::InvalidValue { name: fqdn.to_owned() };
    let mut quoted: Vec<String> = Vec::new();
    for value in values {
        let value = txt::quote(value).ok_or_else(wrong)?;
        if !quoted.contains(&value) {
            quoted.push(value);
        }
    }
    if quoted.is_empty() { Err(wrong()) } else { Ok(quoted) }
}

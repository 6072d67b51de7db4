//! Adding and removing TXT values of one's own, whoever else writes.
//!
//! LiveDNS has no compare-and-swap, so a value that another writer adds between our read and our write can be lost;
//! no client can prevent that, or see it. What can be done is done: creation never overwrites; every write follows the
//! read that it is made from at once, so one that was put off is made anew from a new read; every merged write is read
//! back; and ours are put back when another writer overwrote them.

use crate::client::{Client, Setback, pause};
use crate::error::Error;
use crate::exchange::Call;
use crate::name::{RecordType, RelativeName};
use crate::refusal::Refusal;
use crate::retry::{Budget, contention_pause};
use crate::rrset::{Creation, Rrset};
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
    /// written when all of `values` are there already. When another writer has overwritten ours, ours are put back, and
    /// nothing else: whether a value of others was dropped or taken away by its owner cannot be told.
    ///
    /// Do not drop the future halfway: a write that was sent may still take effect.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::LostUpdate`] when another writer undoes the change each time.
    pub async fn add_txt(&self, zone: &Zone, fqdn: &str, values: &[String]) -> Result<Added, Error> {
        let name = zone.relative(fqdn)?;
        check(fqdn, values)?;
        let turn = self.turn(zone, &name);
        let _turn = turn.lock().await;
        let change = Change { client: self, zone, name, ours: values, budget: self.budget() };
        change.add().await.map(|outcome| Added { outcome })
    }

    /// Removes TXT values at `fqdn`, and the rrset when nothing else is in it. Values of others stay as they are.
    ///
    /// # Errors
    /// See [`Error`]. An error while reading is an error; it never counts as "nothing there".
    pub async fn remove_txt(&self, zone: &Zone, fqdn: &str, values: &[String]) -> Result<Removed, Error> {
        let name = zone.relative(fqdn)?;
        let turn = self.turn(zone, &name);
        let _turn = turn.lock().await;
        let change = Change { client: self, zone, name, ours: values, budget: self.budget() };
        change.remove().await.map(|outcome| Removed { outcome })
    }
}

/// One change of one rrset, while it is our turn.
struct Change<'a> {
    client: &'a Client,
    zone: &'a Zone,
    name: RelativeName,
    ours: &'a [String],
    budget: Budget,
}

impl Change<'_> {
    async fn add(mut self) -> Result<AddOutcome, Error> {
        // Most often there is no rrset: then its creation is all, and no read is needed to learn it.
        let mut there: Option<Rrset> = None;
        let mut outcome = AddOutcome::AlreadyThere;
        let mut refused = None;
        let mut round = 0;
        while round < ROUNDS {
            let Some(rrset) = there else {
                match self.create().await {
                    Ok(Creation::New) => return Ok(AddOutcome::Created),
                    Ok(Creation::Same) => {}
                    Ok(Creation::Taken(refusal)) => refused = Some(refusal),
                    Err(setback) => {
                        // Made or not: what is read next tells.
                        pause(setback, &mut self.budget).await?;
                        outcome = AddOutcome::Created;
                    }
                }
                there = self.read().await?;
                if there.is_none() {
                    self.refuse_cname(refused.as_deref()).await?;
                    contend(&mut round).await;
                }
                continue;
            };
            refused = None;
            if self.holds_ours(&rrset) {
                return Ok(outcome);
            }
            let alone = rrset.rrset_values.is_empty();
            outcome = if alone { AddOutcome::Created } else { AddOutcome::Merged };
            let merged = txt::merged(&rrset.rrset_values, self.ours);
            let written = self.replace(&rrset, &merged).await?;
            there = self.read().await?;
            if written && !there.as_ref().is_some_and(|now| self.holds_ours(now)) {
                contend(&mut round).await;
            }
        }
        Err(refused.map_or_else(|| self.lost_update(), |refusal| self.conflict(None, *refusal)))
    }

    async fn remove(mut self) -> Result<RemoveOutcome, Error> {
        let mut outcome = RemoveOutcome::NothingThere;
        let mut written = false;
        let mut round = 0;
        loop {
            let Some(rrset) = self.read().await? else {
                let nothing = outcome == RemoveOutcome::NothingThere;
                return Ok(if nothing { outcome } else { RemoveOutcome::RrsetDeleted });
            };
            let rest = txt::without(&rrset.rrset_values, self.ours);
            if txt::missing(&rrset.rrset_values, self.ours).len() == self.ours.len() {
                let nothing = outcome == RemoveOutcome::NothingThere;
                return Ok(if nothing { outcome } else { RemoveOutcome::Kept(rest.len()) });
            }
            if written {
                contend(&mut round).await;
            }
            if round == ROUNDS {
                return Err(self.lost_update());
            }
            if rest.is_empty() {
                outcome = RemoveOutcome::RrsetDeleted;
                if self.delete(&rrset).await? {
                    return Ok(outcome);
                }
            } else {
                outcome = RemoveOutcome::Kept(rest.len());
                written = self.replace(&rrset, &rest).await?;
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Rrset>, Error> {
        self.client.read(self.zone, &self.name, &RecordType::TXT, &mut self.budget).await
    }

    /// Makes the rrset with our values alone.
    async fn create(&mut self) -> Result<Creation, Setback> {
        let ttl = self.client.options().ttl.seconds();
        let values = txt::merged(&[], self.ours);
        let (zone, kind) = (self.zone, &RecordType::TXT);
        let created = self.client.create(zone, &self.name, kind, (ttl, &values), &mut self.budget).await;
        if let Err(Setback::Final(Error::Invalid { refusal })) = &created {
            self.refuse_cname(Some(refusal)).await?;
        }
        created
    }

    /// Writes the list, with the name and the TTL that the rrset has. `false` when that was put off, or its fate is
    /// not known: then what was read before is too old to write from.
    async fn replace(&mut self, rrset: &Rrset, values: &[String]) -> Result<bool, Error> {
        let stored = RelativeName::new(&rrset.rrset_name)?;
        let client = self.client;
        // An rrset without values is what a client without care left behind: its TTL is nobody's wish.
        let empty = rrset.rrset_values.is_empty();
        let ttl = if empty { client.options().ttl.seconds() } else { rrset.rrset_ttl };
        self.write(&client.replacement(self.zone, &stored, &RecordType::TXT, ttl, values)?).await
    }

    /// Deletes the rrset; `false` as for [`Self::replace`].
    async fn delete(&mut self, rrset: &Rrset) -> Result<bool, Error> {
        let stored = RelativeName::new(&rrset.rrset_name)?;
        match self.write(&self.client.deletion(self.zone, &stored, &RecordType::TXT)?).await {
            Err(error) if error.is_missing_record() => Ok(true),
            result => result,
        }
    }

    async fn write(&mut self, call: &Call) -> Result<bool, Error> {
        match self.client.attempt(call).await {
            Ok(_) => Ok(true),
            Err(setback) => pause(setback, &mut self.budget).await.map(|()| false),
        }
    }

    /// A name that is refused, and that has no TXT, may have a CNAME, beside which nothing else can be.
    async fn refuse_cname(&mut self, refused: Option<&Refusal>) -> Result<(), Error> {
        let Some(refusal) = refused else { return Ok(()) };
        let cname = self.client.read(self.zone, &self.name, &RecordType::CNAME, &mut self.budget).await;
        match cname {
            Ok(Some(cname)) => Err(self.conflict(cname.rrset_values.into_iter().next(), refusal.clone())),
            // That there is none, or no answer, leaves the refusal as the thing to be told.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn holds_ours(&self, rrset: &Rrset) -> bool {
        txt::missing(&rrset.rrset_values, self.ours).is_empty()
    }

    fn conflict(&self, cname: Option<String>, refusal: Refusal) -> Error {
        Error::Conflict { name: self.name.to_string(), cname, refusal: Box::new(refusal) }
    }

    fn lost_update(&self) -> Error {
        Error::LostUpdate { name: self.name.to_string(), zone: self.zone.fqdn().to_owned(), rounds: ROUNDS }
    }
}

async fn contend(round: &mut u32) {
    tokio::time::sleep(contention_pause(*round)).await;
    *round += 1;
}

fn check(fqdn: &str, values: &[String]) -> Result<(), Error> {
    if !values.is_empty() && values.iter().all(|value| txt::quote(value).is_some()) {
        return Ok(());
    }
    Err(Error::InvalidValue { name: fqdn.to_owned() })
}

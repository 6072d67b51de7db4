//! Adding and removing TXT values of one's own, whoever else writes.
//!
//! A creation never overwrites. Where there is an rrset already, PATCH adds or removes single values on the server, so
//! that nothing can come between. What is known of PATCH is little: it is tried, read back, and given up for good when
//! it is refused or touches more than it should.
//!
//! Without PATCH the whole list has to be read and written. LiveDNS has no compare-and-swap, so a value that another
//! writer adds between our read and our write can be lost; no client can prevent that, or see it. What can be done is
//! done: every write follows the read that it is made from at once, so one that was put off is made anew from a new
//! read; every write is read back; and ours are put back when another writer overwrote them.

use std::sync::atomic::Ordering::Relaxed;

use reqwest::Method;
use serde_json::json;

use crate::client::{Client, Setback, pause, rrset_path};
use crate::error::Error;
use crate::exchange::{Call, Reply};
use crate::name::{RecordType, RelativeName};
use crate::refusal::Refusal;
use crate::retry::{Budget, contention_pause};
use crate::rrset::{Creation, Rrset};
use crate::txt;
use crate::zone::Zone;

/// How often a change is made again when another writer has undone it.
const ROUNDS: u32 = 8;

/// How often PATCH may find no rrset where there was one, before it is taken for not offered.
const PATCH_MISSES: u32 = ROUNDS;

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
        let change =
            Change { client: self, zone, name, ours: values, budget: self.budget(), patch: true, missed: 0 };
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
        let change =
            Change { client: self, zone, name, ours: values, budget: self.budget(), patch: true, missed: 0 };
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
    /// PATCH has not failed in this change.
    patch: bool,
    /// How often PATCH did not find the rrset.
    missed: u32,
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
                        if let Err(error) = pause(setback, &mut self.budget).await {
                            return Err(self.explained(error).await);
                        }
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
            let mut patched = None;
            let written = if self.can_patch(false) {
                let missing = txt::missing(&rrset.rrset_values, self.ours);
                let quoted: Vec<_> = missing.into_iter().filter_map(|value| txt::quote(value)).collect();
                patched = self.patch(&rrset, &quoted, &[]).await?;
                patched.is_some()
            } else {
                self.replace(&rrset, &txt::merged(&rrset.rrset_values, self.ours)).await?
            };
            there = self.read().await?;
            if written {
                there = self.proven(&rrset, &rrset.rrset_values, patched.as_ref(), there).await?;
            }
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
        let mut there = self.read().await?;
        loop {
            let nothing = outcome == RemoveOutcome::NothingThere;
            let Some(rrset) = there else {
                return Ok(if nothing { outcome } else { RemoveOutcome::RrsetDeleted });
            };
            let rest = txt::without(&rrset.rrset_values, self.ours);
            // The last value went with a PATCH, and the rrset did not.
            let emptied = !nothing && rrset.rrset_values.is_empty();
            if !emptied && txt::missing(&rrset.rrset_values, self.ours).len() == self.ours.len() {
                return Ok(if nothing { outcome } else { RemoveOutcome::Kept(rest.len()) });
            }
            if written && !emptied {
                contend(&mut round).await;
            }
            if round == ROUNDS {
                return Err(self.lost_update());
            }
            outcome = RemoveOutcome::RrsetDeleted;
            if !rest.is_empty() {
                outcome = RemoveOutcome::Kept(rest.len());
            }
            let mut patched = None;
            written = if self.can_patch(rest.is_empty()) && !emptied {
                let is_ours = |raw: &&String| self.ours.contains(&txt::unquote(raw));
                let gone: Vec<String> = rrset.rrset_values.iter().filter(is_ours).cloned().collect();
                patched = self.patch(&rrset, &[], &gone).await?;
                if rest.is_empty()
                    && patched.as_ref().is_some_and(says_empty)
                    && self.goes_with_its_last().await?
                {
                    return Ok(outcome);
                }
                patched.is_some()
            } else if rest.is_empty() {
                if self.delete(&rrset).await? {
                    return Ok(outcome);
                }
                false
            } else {
                self.replace(&rrset, &rest).await?
            };
            there = self.read().await?;
            if written {
                if rest.is_empty() && there.is_none() {
                    self.client.patch().last_deletes.store(true, Relaxed);
                }
                there = self.proven(&rrset, &rest, patched.as_ref(), there).await?;
            }
        }
    }

    /// Whether an rrset is known to go with its last value, which this one has just lost. Of many that lose theirs at a time,
    /// one is looked at, and the others wait for what is seen there. If that is not known then, each looks for itself.
    async fn goes_with_its_last(&mut self) -> Result<bool, Error> {
        let known = self.client.patch();
        if !known.last_deletes.load(Relaxed) {
            let mut looked = known.looking.lock().await;
            if !*looked && !known.last_deletes.load(Relaxed) {
                *looked = true;
                if self.read().await?.is_none() {
                    known.last_deletes.store(true, Relaxed);
                }
            }
        }
        Ok(known.last_deletes.load(Relaxed))
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

    /// Whether to try PATCH; `last` if nothing would be left in the rrset.
    fn can_patch(&self, last: bool) -> bool {
        let known = self.client.patch();
        self.patch && !known.unfit.load(Relaxed) && !(last && known.unfit_for_last.load(Relaxed))
    }

    /// Adds and removes single values on the server, and gives its answer. `None` when it was put off, its fate is not
    /// known, or the server does not do it: then what was read before is too old to write from.
    async fn patch(
        &mut self,
        rrset: &Rrset,
        add: &[String],
        remove: &[String],
    ) -> Result<Option<Reply>, Error> {
        let stored = RelativeName::new(&rrset.rrset_name)?;
        // The TTL as it is: what leaving it out means is not documented.
        let empty = rrset.rrset_values.is_empty();
        let ttl = if empty { self.client.options().ttl.seconds() } else { rrset.rrset_ttl };
        let body = json!({"add_rrset_values": add, "remove_rrset_values": remove, "rrset_ttl": ttl});
        let path = rrset_path(self.zone, &stored, &RecordType::TXT);
        let call = self.client.call(Method::PATCH, &path, Some(&body))?;
        match self.attempt(&call).await {
            // The rrset has gone since it was read; or there is no PATCH, which is then said again.
            Err(error) if error.is_missing_record() && self.missed < PATCH_MISSES => {
                self.missed += 1;
                Ok(None)
            }
            // A service that is out of order for as long as we wait has not said that there is no PATCH: whoever wrote the
            // other way from then on would drop what others write at the same time.
            Err(error) if error.is_out_of_order() => Err(error),
            // 400, 403, 404, 405, 501: what is written the other way tells whether it is the credential or the zone.
            Err(
                Error::Invalid { .. }
                | Error::Forbidden { .. }
                | Error::ZoneNotVisible { .. }
                | Error::Conflict { .. }
                | Error::Unexpected { .. }
                | Error::Server { .. },
            ) => {
                self.patch = false;
                let known = self.client.patch();
                let last = add.is_empty() && remove.len() == rrset.rrset_values.len();
                if last { &known.unfit_for_last } else { &known.unfit }.store(true, Relaxed);
                tracing::info!(name = %self.name, "PATCH is not offered");
                Ok(None)
            }
            reply => reply,
        }
    }

    /// Looks, at the first use of PATCH, whether it left `theirs` and the TTL alone, and mends what it did if not. `patched`
    /// is its answer, and `now` what was read after it. Gives what is there then.
    async fn proven(
        &mut self,
        before: &Rrset,
        theirs: &[String],
        patched: Option<&Reply>,
        now: Option<Rrset>,
    ) -> Result<Option<Rrset>, Error> {
        let known = self.client.patch();
        if !self.patch || theirs.is_empty() || known.unfit.load(Relaxed) || known.proven.load(Relaxed) {
            return Ok(now);
        }
        // A PATCH that replaces takes all of theirs and leaves what was added. The answer shows what this request has made of
        // the rrset, and any value of others in it is proof. What is read later shows what others did since, too: what its
        // owner has taken away must not be brought back.
        let is_theirs = |value: &String| !self.ours.contains(&txt::unquote(value));
        let shown = patched.and_then(|reply| serde_json::from_slice::<Rrset>(&reply.body).ok());
        let kept = match (&shown, &now) {
            (Some(shown), _) => shown.rrset_values.iter().any(is_theirs),
            (None, Some(now)) => theirs.iter().any(|value| now.rrset_values.contains(value)),
            (None, None) => false,
        };
        let ttl = shown.as_ref().or(now.as_ref()).map(|rrset| rrset.rrset_ttl);
        if kept && ttl == Some(before.rrset_ttl) {
            known.proven.store(true, Relaxed);
            return Ok(now);
        }
        tracing::warn!(name = %self.name, "PATCH has touched values of others: they are put back");
        known.unfit.store(true, Relaxed);
        if let Some(now) = &now {
            let mut values = theirs.to_vec();
            values.extend(now.rrset_values.iter().filter(|&value| !theirs.contains(value)).cloned());
            let whole = Rrset { rrset_ttl: before.rrset_ttl, ..now.clone() };
            self.replace(&whole, &values).await?;
        } else {
            let (zone, kind, ttl) = (self.zone, &RecordType::TXT, before.rrset_ttl);
            let made = self.client.create(zone, &self.name, kind, (ttl, theirs), &mut self.budget).await;
            if let Err(setback) = made {
                pause(setback, &mut self.budget).await?;
            }
        }
        self.read().await
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
        Ok(self.attempt(call).await?.is_some())
    }

    /// Sends a write once; `None`, after a pause, when another try may go better.
    async fn attempt(&mut self, call: &Call) -> Result<Option<Reply>, Error> {
        match self.client.attempt(call, &self.budget).await {
            Ok(reply) => Ok(Some(reply)),
            Err(setback) => pause(setback, &mut self.budget).await.map(|()| None),
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

    /// A write may be answered 500 because of an rrset whose name is written in another letter case, and which a read under
    /// our spelling does not show.
    async fn explained(&self, error: Error) -> Error {
        if !matches!(&error, Error::Server { refusal, .. } if refusal.status == 500) {
            return error;
        }
        match self.client.other_spelling(self.zone, &self.name, &RecordType::TXT, &self.budget).await {
            Ok(Some(stored)) => {
                Error::OtherCase { name: self.name.to_string(), stored, zone: self.zone.fqdn().to_owned() }
            }
            Ok(None) | Err(_) => error,
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

/// Whether the answer to a PATCH is an rrset without values.
fn says_empty(reply: &Reply) -> bool {
    serde_json::from_slice::<Rrset>(&reply.body).is_ok_and(|rrset| rrset.rrset_values.is_empty())
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

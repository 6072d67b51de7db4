//! rrsets: read, created, replaced and deleted whole.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, Setback, malformed, parsed, pause, rrset_path};
use crate::error::Error;
use crate::exchange::Call;
use crate::name::{RecordType, RelativeName};
use crate::refusal::Refusal;
use crate::retry::Budget;
use crate::zone::Zone;

/// An rrset as LiveDNS gives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Rrset {
    /// The name relative to the zone, in the letter case that it was made with.
    pub rrset_name: String,
    /// The type.
    pub rrset_type: String,
    /// Time to live in seconds.
    pub rrset_ttl: u32,
    /// The values as they are stored; TXT values are quoted.
    pub rrset_values: Vec<String>,
}

/// What came of a creation, with Gandi's words if it was refused.
pub(crate) enum Creation {
    New,
    Same,
    Taken(Box<Refusal>),
}

/// What came of a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The rrset is there now.
    New,
    /// It was there already, with just these values.
    Same,
    /// There is one with other values; it was left as it is.
    Taken,
}

impl Client {
    /// Reads an rrset; `None` if the zone has none at that name, or one without values.
    ///
    /// # Errors
    /// Everything else: an error is never taken for "nothing there".
    pub async fn rrset(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
    ) -> Result<Option<Rrset>, Error> {
        let rrset = self.read(zone, name, kind, &mut self.budget()).await?;
        Ok(rrset.filter(|rrset| !rrset.rrset_values.is_empty()))
    }

    /// Tells an rrset without values, which some clients leave behind, from none: it stands in the way of a creation.
    pub(crate) async fn read(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        budget: &mut Budget,
    ) -> Result<Option<Rrset>, Error> {
        let call = self.call(Method::GET, &rrset_path(zone, name, kind), None)?;
        let reply = match self.send(&call, budget).await {
            Err(error) if error.is_missing_record() => return Ok(None),
            reply => reply?,
        };
        let rrset: Rrset = parsed(&call, &reply)?;
        // What is read here decides what is overwritten or deleted, under the name that it gives.
        if !rrset.rrset_name.eq_ignore_ascii_case(name.as_str()) || rrset.rrset_type != kind.as_str() {
            return Err(malformed(&call, &reply.body, "it is about another rrset"));
        }
        Ok(Some(rrset))
    }

    /// The name of an rrset of this type that differs from `name` in letter case only. Asked once.
    pub(crate) async fn other_spelling(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        budget: &Budget,
    ) -> Result<Option<String>, Error> {
        let mut call = self.call(Method::GET, &["domains", zone.fqdn(), "records"], None)?;
        call.url.query_pairs_mut().append_pair("rrset_type", kind.as_str()).append_pair("per_page", "1000");
        let reply = self.attempt(&call, budget).await?;
        let all: Vec<Rrset> = parsed(&call, &reply)?;
        let differs = |stored: &String| stored != name.as_str() && stored.eq_ignore_ascii_case(name.as_str());
        Ok(all.into_iter().map(|rrset| rrset.rrset_name).find(differs))
    }

    /// Makes an rrset if there is none (`POST`, which never overwrites).
    ///
    /// # Errors
    /// A lost connection among others: whether the rrset was made is not known then, and has to be read.
    pub async fn create_rrset(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        ttl: u32,
        values: &[String],
    ) -> Result<Created, Error> {
        match self.create(zone, name, kind, (ttl, values), &mut self.budget()).await? {
            Creation::New => Ok(Created::New),
            Creation::Same => Ok(Created::Same),
            Creation::Taken(_) => Ok(Created::Taken),
        }
    }

    /// Tried again only while it is known that nothing was made. Even then it overwrites nothing.
    pub(crate) async fn create(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        (ttl, values): (u32, &[String]),
        budget: &mut Budget,
    ) -> Result<Creation, Setback> {
        let body = json!({"rrset_ttl": ttl, "rrset_values": values});
        let call = self.call(Method::POST, &rrset_path(zone, name, kind), Some(&body))?;
        loop {
            return match self.attempt(&call, budget).await {
                Ok(reply) if reply.status == StatusCode::CREATED => Ok(Creation::New),
                Ok(_) => Ok(Creation::Same),
                Err(Setback::Final(Error::Conflict { refusal, .. })) => Ok(Creation::Taken(refusal)),
                Err(setback @ (Setback::Limited { .. } | Setback::Passing { undone: true, .. })) => {
                    pause(setback, budget).await?;
                    continue;
                }
                Err(setback) => Err(setback),
            };
        }
    }

    /// Replaces the whole rrset (`PUT`): other people's values go, unless they are in `values`. To add or remove
    /// values, use [`Client::add_txt`] and [`Client::remove_txt`].
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for an empty list, which would leave an rrset without values; delete it instead.
    pub async fn replace_rrset(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        ttl: u32,
        values: &[String],
    ) -> Result<(), Error> {
        if values.is_empty() {
            return Err(Error::InvalidValue { name: name.to_string() });
        }
        let call = self.replacement(zone, name, kind, ttl, values)?;
        self.send(&call, &mut self.budget()).await.map(drop)
    }

    pub(crate) fn replacement(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        ttl: u32,
        values: &[String],
    ) -> Result<Call, Error> {
        let body = json!({"rrset_ttl": ttl, "rrset_values": values});
        self.call(Method::PUT, &rrset_path(zone, name, kind), Some(&body))
    }

    /// Deletes the whole rrset; that there is none is a success.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_rrset(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
    ) -> Result<(), Error> {
        let call = self.deletion(zone, name, kind)?;
        match self.send(&call, &mut self.budget()).await {
            Err(error) if error.is_missing_record() => Ok(()),
            result => result.map(drop),
        }
    }

    pub(crate) fn deletion(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
    ) -> Result<Call, Error> {
        self.call(Method::DELETE, &rrset_path(zone, name, kind), None)
    }
}

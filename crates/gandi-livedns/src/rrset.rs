//! rrsets: read, created, replaced and deleted whole.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Again, Client, malformed, rrset_path};
use crate::error::Error;
use crate::name::{RecordType, RelativeName};
use crate::retry::Budget;
use crate::zone::Zone;

/// An rrset as LiveDNS gives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Rrset {
    /// The name relative to the zone, in the letter case that it was made with.
    pub rrset_name: String,
    /// Time to live in seconds.
    pub rrset_ttl: u32,
    /// The values as they are stored; TXT values are quoted.
    pub rrset_values: Vec<String>,
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
        self.read(zone, name, kind, &mut self.budget()).await
    }

    pub(crate) async fn read(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        budget: &mut Budget,
    ) -> Result<Option<Rrset>, Error> {
        let call = self.call(Method::GET, &rrset_path(zone, name, kind), None)?;
        let reply = match self.send(&call, Again::Harmless, budget).await {
            Err(error) if error.is_missing_record() => return Ok(None),
            reply => reply?,
        };
        let rrset: Rrset = serde_json::from_slice(&reply.body)
            .map_err(|error| malformed(&call, &reply.body, &error.to_string()))?;
        Ok(Some(rrset).filter(|rrset| !rrset.rrset_values.is_empty()))
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
        self.create(zone, name, kind, (ttl, values), &mut self.budget()).await
    }

    pub(crate) async fn create(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        (ttl, values): (u32, &[String]),
        budget: &mut Budget,
    ) -> Result<Created, Error> {
        let body = json!({"rrset_ttl": ttl, "rrset_values": values});
        let call = self.call(Method::POST, &rrset_path(zone, name, kind), Some(&body))?;
        match self.send(&call, Again::Unsure, budget).await {
            Ok(reply) if reply.status.as_u16() == 200 => Ok(Created::Same),
            Ok(_) => Ok(Created::New),
            Err(Error::Conflict { .. }) => Ok(Created::Taken),
            Err(error) => Err(error),
        }
    }

    /// Replaces the whole rrset (`PUT`): other people's values go, unless they are in `values`. To add or remove
    /// values, use [`Client::add_txt`] and [`Client::remove_txt`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replace_rrset(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        ttl: u32,
        values: &[String],
    ) -> Result<(), Error> {
        self.replace(zone, name, kind, (ttl, values), &mut self.budget()).await
    }

    pub(crate) async fn replace(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        (ttl, values): (u32, &[String]),
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let body = json!({"rrset_ttl": ttl, "rrset_values": values});
        let call = self.call(Method::PUT, &rrset_path(zone, name, kind), Some(&body))?;
        // Not repeated blindly: between two tries of one PUT another writer's value may have come.
        self.send(&call, Again::Unsure, budget).await.map(drop)
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
        self.delete(zone, name, kind, &mut self.budget()).await
    }

    pub(crate) async fn delete(
        &self,
        zone: &Zone,
        name: &RelativeName,
        kind: &RecordType,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let call = self.call(Method::DELETE, &rrset_path(zone, name, kind), None)?;
        match self.send(&call, Again::Unsure, budget).await {
            Err(error) if error.is_missing_record() => Ok(()),
            result => result.map(drop),
        }
    }
}

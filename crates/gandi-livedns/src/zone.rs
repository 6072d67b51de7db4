//! Which zone a name is in, by asking LiveDNS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use tokio::sync::OnceCell;

use crate::client::{Again, Client};
use crate::error::Error;
use crate::name::{RelativeName, canonical};
use crate::refusal::{NotFoundKind, Refusal};
use crate::retry::Budget;

/// A zone that LiveDNS has, and that the credential may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    fqdn: String,
}

impl Zone {
    /// The apex, lower case, without trailing dot.
    #[must_use]
    pub fn fqdn(&self) -> &str {
        &self.fqdn
    }

    /// The name relative to this zone.
    ///
    /// # Errors
    /// [`Error::NotInZone`], or it is no name at all.
    pub fn relative(&self, fqdn: &str) -> Result<RelativeName, Error> {
        let name = canonical(fqdn)?;
        if name == self.fqdn {
            return Ok(RelativeName::apex());
        }
        let relative = name.strip_suffix(&self.fqdn).and_then(|rest| rest.strip_suffix('.'));
        let outside = || Error::NotInZone { name: name.clone(), zone: self.fqdn.clone() };
        RelativeName::new(relative.ok_or_else(outside)?)
    }
}

/// What LiveDNS said about a candidate. Errors are never kept.
#[derive(Clone, Debug)]
enum Candidate {
    Zone(Zone),
    NotFound(NotFoundKind),
    Denied(Box<Refusal>),
}

type Cell = Arc<OnceCell<Candidate>>;

/// Answers about candidates. Names that need the same one at the same time wait for one answer.
#[derive(Default)]
pub(crate) struct ZoneCache(Mutex<HashMap<String, Cell>>);

impl ZoneCache {
    fn cell(&self, name: &str) -> Cell {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }
}

impl Client {
    /// The zone with this very apex; `None` if LiveDNS does not have it, or not for this credential.
    ///
    /// # Errors
    /// 401 and 403 among others.
    pub async fn zone(&self, fqdn: &str) -> Result<Option<Zone>, Error> {
        let name = canonical(fqdn)?;
        match self.candidate(&name, &mut self.budget()).await? {
            Candidate::Zone(zone) => Ok(Some(zone)),
            Candidate::NotFound(_) => Ok(None),
            Candidate::Denied(refusal) => Err(Error::Forbidden {
                refusal,
                denied: vec![name],
                not_found: Vec::new(),
                facts: self.facts(),
            }),
        }
    }

    /// The zone that `fqdn` is in.
    ///
    /// `likely_apex` is the zone cut that public DNS shows, where the caller knows it: it is asked first, and if
    /// LiveDNS has it, that is the zone, since a record in any other would not be public. Otherwise LiveDNS is asked
    /// from the longest name (`fqdn` itself) down to two labels; a 404 goes on. A 403 goes on too, because a token
    /// that is limited to some domains may answer so for others, but if nothing is found it is what is reported.
    ///
    /// # Errors
    /// [`Error::NoZone`] with all that was asked; [`Error::Forbidden`]; [`Error::Unauthorized`] at once.
    pub async fn find_zone(&self, fqdn: &str, likely_apex: Option<&str>) -> Result<Zone, Error> {
        let name = canonical(fqdn)?;
        let budget = &mut self.budget();
        let (mut tried, mut denied, mut words) = (Vec::new(), Vec::new(), None);
        for candidate in candidates(&name, likely_apex) {
            match self.candidate(&candidate, budget).await? {
                Candidate::Zone(zone) => return Ok(zone),
                Candidate::NotFound(kind) => tried.push((candidate, kind)),
                Candidate::Denied(refusal) => {
                    denied.push(candidate);
                    words.get_or_insert(refusal);
                }
            }
        }
        let facts = self.facts();
        Err(match words {
            Some(refusal) => Error::Forbidden { refusal, denied, not_found: tried, facts },
            None => Error::NoZone { name, tried, facts },
        })
    }

    async fn candidate(&self, name: &str, budget: &mut Budget) -> Result<Candidate, Error> {
        let cell = self.zones().cell(name);
        cell.get_or_try_init(|| self.ask(name, budget)).await.cloned()
    }

    async fn ask(&self, name: &str, budget: &mut Budget) -> Result<Candidate, Error> {
        let call = self.call(Method::GET, &["domains", name], None)?;
        match self.send(&call, Again::Harmless, budget).await {
            Ok(_) => Ok(Candidate::Zone(Zone { fqdn: name.to_owned() })),
            Err(Error::ZoneNotVisible { kind, .. }) => Ok(Candidate::NotFound(kind)),
            Err(Error::Forbidden { refusal, .. }) => Ok(Candidate::Denied(refusal)),
            Err(error) => Err(error),
        }
    }
}

/// What is asked for, in this order. A top-level domain alone never is: nobody has it at LiveDNS.
fn candidates(name: &str, likely_apex: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = name;
    while rest.contains('.') {
        all.push(rest.to_owned());
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => break,
        }
    }
    let apex = likely_apex.and_then(|apex| canonical(apex).ok());
    if let Some(position) = apex.and_then(|apex| all.iter().position(|candidate| *candidate == apex)) {
        let first = all.remove(position);
        all.insert(0, first);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_go_from_the_longest_to_two_labels_and_a_hint_goes_first() {
        assert_eq!(
            candidates("_a.www.example.com", None),
            ["_a.www.example.com", "www.example.com", "example.com"]
        );
        assert_eq!(
            candidates("_a.www.example.com", Some("Example.com.")),
            ["example.com", "_a.www.example.com", "www.example.com"]
        );
        assert_eq!(candidates("a.example", Some("other.org")), ["a.example"]);
        assert_eq!(candidates("com", None), Vec::<String>::new());
    }

    #[test]
    fn names_are_relative_to_their_zone() {
        let zone = Zone { fqdn: "example.com".into() };
        assert_eq!(zone.relative("_A.Example.com.").unwrap().as_str(), "_a");
        assert_eq!(zone.relative("example.com").unwrap(), RelativeName::apex());
        assert!(matches!(zone.relative("badexample.com"), Err(Error::NotInZone { .. })));
    }
}

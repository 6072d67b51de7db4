//! Where proofs have to be, and who writes them there.

use std::collections::{BTreeMap, BTreeSet};

use super::Proof;
use crate::dns::{Expected, Located};
use crate::plugin::TxtRecord;

/// Where a proof has to be, and which of the solver's writers writes it.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Where.
    pub located: Located,
    /// The writer's place in the solver's list.
    pub writer: usize,
}

/// Where proofs have to be, by their validation names.
#[derive(Debug, Clone, Default)]
pub struct Placement(pub(super) BTreeMap<String, Placed>);

impl Placement {
    /// The records for `proofs`. Names that are aliases of one another give records at one name.
    pub fn records(&self, proofs: &[Proof]) -> Vec<TxtRecord> {
        let mut records = Vec::new();
        for proof in proofs {
            let Some(Placed { located, .. }) = self.0.get(&proof.name) else { continue };
            let record = TxtRecord {
                fqdn: located.fqdn.clone(),
                value: proof.value.clone(),
                apex: Some(located.authority.zone.clone()),
            };
            if !records.contains(&record) {
                records.push(record);
            }
        }
        records
    }

    /// The apex of the zone, in public DNS, that a validation name leads to.
    pub fn zone(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|placed| placed.located.authority.zone.as_str())
    }

    /// Whether it is known where the proof at this validation name has to be.
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes in what `other` knows.
    pub fn extend(&mut self, other: Placement) {
        self.0.extend(other.0);
    }

    /// Those that write at a record's name.
    pub(super) fn writers_at(&self, fqdn: &str) -> BTreeSet<usize> {
        self.0.values().filter(|placed| placed.located.fqdn == fqdn).map(|placed| placed.writer).collect()
    }

    pub(super) fn expected(&self, proofs: &[Proof]) -> Vec<Expected> {
        let mut by_name = BTreeMap::<&str, Expected>::new();
        for proof in proofs {
            let Some(Placed { located, .. }) = self.0.get(&proof.name) else { continue };
            let new = || Expected {
                fqdn: located.fqdn.clone(),
                values: Vec::new(),
                authority: located.authority.clone(),
            };
            by_name.entry(&located.fqdn).or_insert_with(new).values.push(proof.value.clone());
        }
        by_name.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Authority;

    #[test]
    fn aliases_of_one_name_share_their_records() {
        let located = |fqdn: &str| {
            let authority = Authority { zone: "example.net".into(), servers: Vec::new() };
            Placed { located: Located { fqdn: fqdn.into(), authority }, writer: 0 }
        };
        let placement = Placement(BTreeMap::from([
            ("a.example".to_owned(), located("proofs.example.net")),
            ("b.example".to_owned(), located("proofs.example.net")),
        ]));
        let proof = |name: &str, value: &str| Proof { name: name.into(), value: value.into() };
        let proofs = [proof("a.example", "1"), proof("b.example", "2"), proof("a.example", "1")];
        let records = placement.records(&proofs);
        assert_eq!(records.iter().map(|r| r.value.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        let expected = placement.expected(&proofs[..2]);
        assert_eq!((expected.len(), expected[0].values.len()), (1, 2));
    }
}

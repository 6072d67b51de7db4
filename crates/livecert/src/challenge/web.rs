//! Proofs at hosts, by several plugins: each shows those of its own hosts.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};

use super::ChallengeError;
use crate::plugin::{WebLeftover, WebPlugin, WebProof, WebProofKind};

/// A plugin that shows proofs at hosts, under the name that it has in the certificate.
#[derive(Clone)]
pub struct Shower {
    /// Its name, such as `webroot`.
    pub name: String,
    /// The plugin.
    pub plugin: Arc<dyn WebPlugin>,
    /// The hosts whose proofs it shows.
    pub hosts: BTreeSet<String>,
    /// What it most likely has to show.
    pub kinds: Vec<WebProofKind>,
    /// Whether a later run can remove what a dead one showed.
    pub sweeps: bool,
}

/// Shows proofs at hosts.
#[derive(Clone, Default)]
pub struct WebSolver {
    /// What shows them.
    pub showers: Vec<Shower>,
}

impl WebSolver {
    /// Finds out whether the proofs could be shown. Nothing stays behind.
    ///
    /// # Errors
    /// The first plugin's that cannot.
    pub async fn prepare(&self) -> Result<(), ChallengeError> {
        try_join_all(self.showers.iter().map(|shower| shower.plugin.prepare(&shower.kinds))).await?;
        Ok(())
    }

    /// Shows all proofs.
    ///
    /// # Errors
    /// The first failure. Some of the proofs may be shown: withdraw all of them.
    pub async fn publish(&self, proofs: &[WebProof]) -> Result<(), ChallengeError> {
        let parts = self.by_shower(proofs);
        let shown = join_all(parts.iter().map(|(shower, proofs)| shower.plugin.publish(proofs))).await;
        Ok(shown.into_iter().collect::<Result<(), _>>()?)
    }

    /// Removes these proofs; tells which are still there, or may be.
    pub async fn withdraw(&self, proofs: &[WebProof]) -> Vec<WebLeftover> {
        let parts = self.by_shower(proofs);
        let left = join_all(parts.iter().map(|(shower, proofs)| shower.plugin.withdraw(proofs))).await;
        left.into_iter().flatten().collect()
    }

    /// Each shower with its own. A host that nobody was named for, because the CA wants another name proved than was asked
    /// for, goes to the first one.
    pub fn by_shower(&self, proofs: &[WebProof]) -> Vec<(&Shower, Vec<WebProof>)> {
        let named =
            |proof: &WebProof| self.showers.iter().position(|shower| shower.hosts.contains(proof.host()));
        let own = |number: usize| {
            let own = proofs.iter().filter(|proof| named(proof).unwrap_or_default() == number);
            own.cloned().collect::<Vec<_>>()
        };
        let parts = self.showers.iter().enumerate().map(|(number, shower)| (shower, own(number)));
        parts.filter(|(_, proofs)| !proofs.is_empty()).collect()
    }
}

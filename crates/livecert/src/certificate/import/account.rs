//! Which accounts of the other client are taken over.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::prepare::Prepared;
use super::{ImportedAccount, Taken};
use crate::certificate::{CertificateError, ServerUrl};
use crate::import::{FoundAccount, Obstacle};
use crate::store::Store;

/// An account that is to be taken over.
pub(super) struct PreparedAccount {
    pub(super) server: ServerUrl,
    pub(super) found: FoundAccount,
}

impl PreparedAccount {
    /// What it would be in our store.
    pub(super) fn place_in(&self, store: &Store) -> Result<Taken, CertificateError> {
        let stored = store.account_called(self.server.as_str(), Some(&self.found.url))?;
        Ok(if stored.is_some() { Taken::Already } else { Taken::New })
    }

    pub(super) fn report(self, taken: Taken) -> ImportedAccount {
        ImportedAccount {
            server: self.server.to_string(),
            url: self.found.url,
            contact: self.found.contact,
            taken,
        }
    }
}

/// The accounts that certificates use, and all others too if `all` is to be taken over. Of several at a server the one that
/// most of the certificates use comes first, or else the newest: it is the one in use, where the store has none yet.
pub(super) fn choose(
    found: Vec<FoundAccount>,
    certificates: &[Prepared],
    all: bool,
    obstacles: &mut Vec<Obstacle>,
) -> Vec<PreparedAccount> {
    let mut by_server = BTreeMap::<String, Vec<(usize, FoundAccount)>>::new();
    for account in found {
        let uses = |prepared: &&Prepared| prepared.info.account.as_deref() == Some(&account.url);
        let uses = certificates.iter().filter(uses).count();
        by_server.entry(account.server.clone()).or_default().push((uses, account));
    }
    let mut chosen = Vec::new();
    for (server, mut accounts) in by_server {
        if !all && !certificates.iter().any(|prepared| prepared.info.server == server) {
            continue;
        }
        let lost = |account: &FoundAccount, why: String| Obstacle {
            what: format!("account {}", account.url),
            is_certificate: false,
            why,
        };
        accounts.retain(|(_, account)| {
            let is_url = account.url.parse::<url::Url>().is_ok_and(|url| url.scheme() == "https");
            if !is_url {
                obstacles.push(lost(account, "that is no https URL".to_owned()));
            }
            is_url
        });
        accounts.sort_by_key(|(uses, account)| Reverse((*uses, account.created.unwrap_or(Timestamp::MIN))));
        let wanted = accounts.into_iter().filter(|(uses, _)| all || *uses > 0);
        for (_, account) in wanted {
            match server.parse() {
                Ok(server) => chosen.push(PreparedAccount { server, found: account }),
                Err(why) => obstacles.push(lost(&account, format!("its server: {why}"))),
            }
        }
    }
    chosen
}

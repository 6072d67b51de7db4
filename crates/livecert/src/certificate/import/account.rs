//! Which account of the other client becomes the one at its server.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::prepare::Prepared;
use super::{ImportedAccount, Taken};
use crate::certificate::{CertificateError, ServerUrl};
use crate::import::{FoundAccount, Obstacle};
use crate::store::Store;

/// The account that is to be the one at its server.
pub(super) struct PreparedAccount {
    pub(super) server: ServerUrl,
    pub(super) found: FoundAccount,
}

impl PreparedAccount {
    /// What it would be in our store.
    pub(super) fn place_in(&self, store: &Store) -> Result<Taken, CertificateError> {
        let stored = store.account(self.server.as_str())?.and_then(|account| account.url);
        Ok(match stored {
            // A key that no server has heard of yet is in nobody's way.
            None => Taken::New,
            Some(url) if url == self.found.url => Taken::Already,
            Some(url) => Taken::Kept(url),
        })
    }

    pub(super) fn report(self, taken: Taken, notes: &mut Vec<String>) -> ImportedAccount {
        let (server, url) = (self.server.to_string(), self.found.url);
        if let Taken::Kept(ours) = &taken {
            notes.push(format!(
                "the store has an account at {server} already ({ours}), which stays; {url} is not taken over. To keep \
                 it, import into another state folder (--home)"
            ));
        }
        ImportedAccount { server, url, contact: self.found.contact, taken }
    }
}

/// The store has one account at a server: the one that most of the certificates use, or else the newest. Of servers that
/// no certificate is from, there is one only if `all` is to be taken over.
pub(super) fn choose(
    found: Vec<FoundAccount>,
    certificates: &[Prepared],
    all: bool,
    obstacles: &mut Vec<Obstacle>,
    notes: &mut Vec<String>,
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
        accounts.sort_by_key(|(uses, account)| (*uses, account.created.unwrap_or(Timestamp::MIN)));
        let Some((_, account)) = accounts.pop() else { continue };
        match server.parse() {
            Ok(server) => {
                notes.extend(accounts.iter().map(|(uses, other)| other_account(&account, other, *uses)));
                chosen.push(PreparedAccount { server, found: account });
            }
            Err(why) => obstacles.push(lost(&account, format!("its server: {why}"))),
        }
    }
    chosen
}

fn other_account(chosen: &FoundAccount, other: &FoundAccount, uses: usize) -> String {
    let (server, url) = (&chosen.server, &other.url);
    let certificates = match uses {
        0 => "no certificate uses it".to_owned(),
        1 => "1 certificate uses it, and is renewed with the other one".to_owned(),
        _ => format!("{uses} certificates use it, and are renewed with the other one"),
    };
    format!(
        "{url} is one more account at {server}: {certificates}. To keep it, import its certificates into another state \
         folder (--home DIR --cert NAME)"
    )
}

//! The journal of one attempt: what it is about to publish is on disk before it is published.

use jiff::Timestamp;
use livecert_acme::{Account, Order};

use super::ServerUrl;
use crate::challenge::{Shower, Writer};
use crate::plugin::{Arguments, PluginInfo, TxtRecord, WebProof, Withdrawn};
use crate::store::{
    CertLock, CertName, JournalFile, JournalName, JournalOrder, JournalRecord, Publication, Store, StoreError,
};

/// Publications in the making, one for each publisher. What earlier attempts left stays in the journal beside them.
pub(super) struct Ledger<'a> {
    store: &'a Store,
    lock: &'a CertLock,
    name: JournalName,
    earlier: Vec<Publication>,
    /// There is no file, or one that tells of nothing published.
    bare: bool,
    /// By the publisher's name. The first one has the order, too.
    own: Vec<(String, Publication)>,
}

/// A publication of `plugin`, still without order and records.
pub(super) fn publication(plugin: &PluginInfo, arguments: &Arguments, sealed_for: String) -> Publication {
    Publication {
        begun: Timestamp::now(),
        plugin: plugin.name.to_owned(),
        plugin_args: arguments.stored().clone(),
        sealed_for,
        order: None,
        records: Vec::new(),
        files: Vec::new(),
        handed_over: false,
        found: None,
    }
}

impl<'a> Ledger<'a> {
    /// Begins the journal of a certificate; nothing is written yet.
    pub(super) fn begin(
        store: &'a Store,
        cert: &CertName,
        lock: &'a CertLock,
        own: Vec<(String, Publication)>,
    ) -> Result<Self, StoreError> {
        let name = JournalName::from(cert);
        let mut earlier = store.publications(&name)?;
        // What is left although it was swept may be so because the credential of that time is dead. Another publisher's
        // is no help, and not for that zone.
        for publication in &mut earlier {
            let same = |own: &&(String, Publication)| {
                (&own.1.plugin, &own.1.sealed_for) == (&publication.plugin, &publication.sealed_for)
            };
            if let Some((_, own)) = own.iter().find(same) {
                publication.plugin_args.clone_from(&own.plugin_args);
            }
        }
        let bare = earlier.is_empty();
        Ok(Ledger { store, lock, name, earlier, bare, own })
    }

    /// Takes in the order, so that its authorizations do not stay pending; it is still to be [saved](Self::save).
    pub(super) fn order(&mut self, server: &ServerUrl, account: &Account, order: &Order) {
        if let Some((_, first)) = self.own.first_mut() {
            first.order = Some(JournalOrder {
                server: server.to_string(),
                account: Some(account.url().to_string()),
                url: order.url.to_string(),
                authorizations: order.authorizations.iter().map(ToString::to_string).collect(),
            });
        }
    }

    /// Notes what will be published by those that a later run can sweep for, all at once.
    pub(super) async fn records(&mut self, parts: &[(&Writer, Vec<TxtRecord>)]) -> Result<(), StoreError> {
        for (writer, records) in parts.iter().filter(|(writer, _)| writer.sweeps) {
            if let Some((_, own)) = self.own.iter_mut().find(|(name, _)| *name == writer.name) {
                own.records = records.iter().map(journal_record).collect();
            }
        }
        self.save().await
    }

    /// The same for files at hosts.
    pub(super) async fn files(&mut self, parts: &[(&Shower, Vec<WebProof>)]) -> Result<(), StoreError> {
        for (shower, proofs) in parts.iter().filter(|(shower, _)| shower.sweeps) {
            if let Some((_, own)) = self.own.iter_mut().find(|(name, _)| *name == shower.name) {
                own.files = proofs.iter().filter_map(journal_file).collect();
            }
        }
        self.save().await
    }

    /// Strikes off what is done: all records but those that are left, or that are worth a second look; all files but those
    /// in `shown`; and the order but for `pending` authorizations.
    pub(super) async fn settle(
        mut self,
        withdrawn: &Withdrawn,
        shown: &[WebProof],
        pending: &[url::Url],
    ) -> Result<(), StoreError> {
        let shown: Vec<_> = shown.iter().filter_map(journal_file).collect();
        let left = withdrawn.leftovers.iter().map(|leftover| &leftover.record);
        let kept: Vec<_> = left.chain(&withdrawn.shared).map(journal_record).collect();
        for (_, own) in &mut self.own {
            own.records.retain(|record| kept.contains(record));
            own.files.retain(|file| shown.contains(file));
            own.found = Some(Timestamp::now());
            if let Some(order) = &mut own.order {
                order.authorizations = pending.iter().map(ToString::to_string).collect();
                if order.authorizations.is_empty() {
                    own.order = None;
                }
            }
        }
        self.save().await
    }

    /// Writes what it has, and waits for the disk where there is anything that has to survive a power loss.
    pub(super) async fn save(&mut self) -> Result<(), StoreError> {
        let mut all = self.earlier.clone();
        let own = self.own.iter().map(|(_, own)| own);
        all.extend(own.filter(|own| own.order.is_some() || own.has_published()).cloned());
        let published = all.iter().any(Publication::has_published);
        let save = if self.bare { Store::save_first_publications } else { Store::save_publications };
        self.bare &= !published;
        if !published {
            // Nothing to wait for: an order is on disk with its draft.
            return self.store.save_first_publications(&self.name, &all);
        }
        let name = self.name.clone();
        self.store.aside_under(self.lock, move |store, _| save(store, &name, &all)).await
    }
}

pub(super) fn journal_record(record: &TxtRecord) -> JournalRecord {
    JournalRecord { fqdn: record.fqdn.clone(), value: record.value.clone(), zone: record.apex.clone() }
}

/// The note of a file; none of what ends with the process that shows it.
fn journal_file(proof: &WebProof) -> Option<JournalFile> {
    match proof {
        WebProof::HttpFile { host, token, body } => {
            Some(JournalFile { host: host.clone(), token: token.clone(), content: body.clone() })
        }
        WebProof::AlpnCertificate { .. } => None,
    }
}

pub(super) fn txt_record(record: &JournalRecord) -> TxtRecord {
    TxtRecord { fqdn: record.fqdn.clone(), value: record.value.clone(), apex: record.zone.clone() }
}

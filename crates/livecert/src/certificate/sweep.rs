//! What dead runs left behind is removed, exactly that: TXT values are struck off the journal once they are gone from
//! DNS, and pending authorizations once they are deactivated.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::order::deactivate_pending;
use super::{CertificateError, ServerUrl, Service, with_causes};
use crate::plugin::{self, Arguments, TxtRecord, WebProof};
use crate::store::{
    CertName, JournalFile, JournalName, JournalOrder, JournalRecord, Publication, StoreError,
};

/// A request that a process had sent when it died may still be carried out. What it left is looked at once more after
/// this time, and forgotten only then.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(2);
/// A CA ends pending authorizations by itself; after this time ours are not worth asking for.
const AUTHORIZATION_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Journals that are looked after at a time.
const SIDE_BY_SIDE: usize = 4;
/// How long a CA may take over the deactivations; they are a courtesy, and nobody should wait for them.
pub(super) const COURTESY: Duration = Duration::from_secs(10);

/// What was done about one publication without an owner.
#[derive(Debug)]
#[non_exhaustive]
pub struct Swept {
    /// The journal that told of it.
    pub journal: String,
    /// Values that are not in DNS any more.
    pub gone: Vec<TxtRecord>,
    /// URLs of files that are not at their hosts any more.
    pub files_gone: Vec<String>,
    /// URLs of files that may still be there, and why.
    pub files_left: Vec<(String, String)>,
    /// Values that may still be there, and why.
    pub left: Vec<(TxtRecord, String)>,
    /// Pending authorizations that are still to be deactivated.
    pub pending: usize,
    /// A late request of the dead process could still be carried out: it is looked at again after this moment.
    pub again: Option<Timestamp>,
}

/// What a sweep found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// What was done, in the order of the journals.
    pub swept: Vec<Swept>,
    /// Values in the care of another ACME client, which are too young to be taken for left behind.
    pub kept: Vec<TxtRecord>,
    /// Journals that could not be read or written, each with the reason.
    pub unusable: Vec<(String, String)>,
}

impl SweepReport {
    /// Whether something is left that a later sweep has to try again.
    pub fn is_clean(&self) -> bool {
        self.unusable.is_empty()
            && self.swept.iter().all(|swept| swept.left.is_empty() && swept.files_left.is_empty())
    }
}

impl Service {
    /// Removes what dead runs left behind. `hand_back` is the age from which on values in the care of another ACME
    /// client count as left behind too; `None` keeps them all.
    ///
    /// # Errors
    /// The journals cannot be listed. What cannot be removed is in the report.
    pub async fn sweep(&self, hand_back: Option<Duration>) -> Result<SweepReport, CertificateError> {
        self.sweep_but(hand_back, |_| false).await
    }

    /// The same, but the orders in the journals that are to `keep` theirs stay as they are.
    async fn sweep_but(
        &self,
        hand_back: Option<Duration>,
        keep: impl Fn(&JournalName) -> bool,
    ) -> Result<SweepReport, CertificateError> {
        if let Err(error) = self.store.sweep_rehearsals().await {
            tracing::warn!(error = with_causes(&error), "what a rehearsal left behind is still there");
        }
        let names = self.store.journals()?;
        if names.is_empty() {
            return Ok(SweepReport::default());
        }
        let work = names.iter().map(|name| self.sweep_journal(name, hand_back, &names, keep(name)));
        let done: Vec<_> = stream::iter(work).buffered(SIDE_BY_SIDE).collect().await;
        let mut report = SweepReport::default();
        for (name, done) in names.iter().zip(done) {
            match done {
                Ok((swept, kept)) => {
                    report.swept.extend(swept);
                    report.kept.extend(kept);
                }
                // Its owner is alive.
                Err(CertificateError::Store(StoreError::Locked { .. })) => {}
                Err(error @ CertificateError::Interrupted) => return Err(error),
                Err(error) => report.unusable.push((name.to_string(), with_causes(&error))),
            }
        }
        Ok(report)
    }

    /// The sweep before work on the certificates `due`, whose orders are left for that work: what cannot be done is told
    /// and does not stop it.
    pub(super) async fn sweep_first(&self, due: &[CertName]) {
        if let Err(error) = self.store.tidy() {
            tracing::warn!(error = with_causes(&error), "files that dead runs left could not be removed");
        }
        let due: Vec<JournalName> = due.iter().map(JournalName::from).collect();
        self.tell_swept(self.sweep_but(None, |name| due.contains(name)).await);
    }

    /// The sweep before a rehearsal: of TXT values alone, because the orders may be those of other servers, which a
    /// rehearsal has no business with.
    pub(super) async fn sweep_values_first(&self) {
        self.tell_swept(self.sweep_but(None, |_| true).await);
    }

    fn tell_swept(&self, swept: Result<SweepReport, CertificateError>) {
        match swept {
            Ok(report) => {
                for swept in report.swept {
                    let gone = swept.gone.len();
                    tracing::info!(journal = swept.journal, gone, "swept what an earlier run left behind");
                    for (record, reason) in swept.left {
                        tracing::warn!(name = record.fqdn, value = record.value, reason, "left behind");
                    }
                    for (url, reason) in swept.files_left {
                        tracing::warn!(url, reason, "a file is left behind");
                    }
                }
                for (journal, reason) in report.unusable {
                    tracing::warn!(journal, reason, "what an earlier run left behind could not be looked at");
                }
            }
            Err(error) => tracing::warn!(%error, "what earlier runs left behind could not be looked at"),
        }
    }

    async fn sweep_journal(
        &self,
        name: &JournalName,
        hand_back: Option<Duration>,
        all: &[JournalName],
        keep_order: bool,
    ) -> Result<(Vec<Swept>, Vec<TxtRecord>), CertificateError> {
        // Without patience: whoever holds it is alive, and removes its values itself.
        let _lock = self.store.lock_journal(name, Duration::ZERO).await?;
        let now = Timestamp::now();
        let (mut rest, mut report, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let is_kept = |publication: &Publication| {
            let young = |age: Duration| now.duration_since(publication.begun).unsigned_abs() < age;
            publication.handed_over && hand_back.is_none_or(young)
        };
        for mut publication in self.without_shared(name, all, is_kept)? {
            if is_kept(&publication) {
                kept.extend(publication.records.iter().map(super::ledger::txt_record));
                rest.push(publication);
                continue;
            }
            let swept = self.sweep_publication(name, &mut publication, keep_order, now).await;
            if swept.again.is_some()
                || !swept.left.is_empty()
                || !swept.files_left.is_empty()
                || swept.pending > 0
            {
                rest.push(publication);
            }
            report.push(swept);
        }
        self.store.save_publications(name, &rest)?;
        Ok((report, kept))
    }

    /// What a journal holds, without the values that another one has, too. That is written down before the next one is
    /// looked at: two dead runs must not leave a value to each other.
    fn without_shared(
        &self,
        name: &JournalName,
        all: &[JournalName],
        is_kept: impl Fn(&Publication) -> bool,
    ) -> Result<Vec<Publication>, StoreError> {
        let mut publications = self.store.publications(name)?;
        if publications.iter().all(|publication| publication.records.is_empty()) {
            return Ok(publications);
        }
        let _alone = self.store.hold_journals()?;
        let shared = self.in_use(name, all);
        let in_use = |record: &JournalRecord| shared.contains(&(record.fqdn.clone(), record.value.clone()));
        let before = publications.clone();
        for publication in publications.iter_mut().filter(|publication| !is_kept(publication)) {
            publication.records.retain(|record| !in_use(record));
        }
        if publications != before {
            self.store.save_publications(name, &publications)?;
        }
        Ok(publications)
    }

    /// Values of the other journals. Two certificates may wait for one proof: it is removed with the last of them.
    fn in_use(&self, name: &JournalName, all: &[JournalName]) -> BTreeSet<(String, String)> {
        let others = all.iter().filter(|other| *other != name);
        // One that cannot be read is reported by its own sweep.
        let publications = others.flat_map(|other| self.store.publications(other).unwrap_or_default());
        publications.flat_map(|other| other.records).map(|record| (record.fqdn, record.value)).collect()
    }

    async fn sweep_publication(
        &self,
        name: &JournalName,
        publication: &mut Publication,
        keep_order: bool,
        now: Timestamp,
    ) -> Swept {
        let found = *publication.found.get_or_insert(now);
        let records: Vec<_> = publication.records.iter().map(super::ledger::txt_record).collect();
        let order = publication.order.clone();
        let deactivate = async {
            match &order {
                Some(order) if keep_order => {
                    order.authorizations.iter().filter_map(|url| url.parse().ok()).collect()
                }
                Some(order) if now.duration_since(publication.begun) < AUTHORIZATION_LIFE => {
                    self.deactivate(order).await
                }
                _ => Vec::new(),
            }
        };
        let files = self.withdraw_files(publication);
        let (left, pending, (files_gone, files_left)) =
            tokio::join!(self.withdraw(publication, &records), deactivate, files);
        publication.files.retain(|file| files_left.iter().any(|(url, _)| *url == url_of(file)));
        let is_left = |record: &TxtRecord| left.iter().any(|(other, _)| other == record);
        let gone = records.iter().filter(|record| !is_left(record)).cloned().collect();
        let again = now.duration_since(found) < AFTERMATH && !records.is_empty();
        if !again {
            publication.records.retain(|record| is_left(&super::ledger::txt_record(record)));
        }
        let waiting = pending.len();
        publication.order = order.filter(|_| !pending.is_empty()).map(|order| JournalOrder {
            authorizations: pending.iter().map(Url::to_string).collect(),
            ..order
        });
        Swept {
            journal: name.to_string(),
            gone,
            files_gone,
            files_left,
            left,
            pending: waiting,
            again: again.then(|| found.checked_add(AFTERMATH).unwrap_or(found)),
        }
    }

    async fn withdraw(&self, publication: &Publication, records: &[TxtRecord]) -> Vec<(TxtRecord, String)> {
        if records.is_empty() {
            return Vec::new();
        }
        let connected = async {
            let info = plugin::find(&publication.plugin)?;
            let sources = plugin::stored_sources(info, &publication.plugin_args);
            let (place, key) = (&publication.sealed_for, &self.sealing_key);
            let arguments = Arguments::resolve(info, &sources, place, key, &self.surroundings).await?;
            self.connected(info, &arguments)?.into_dns(info)
        };
        match connected.await {
            Ok(plugin) => {
                let left = plugin.withdraw(records).await.leftovers;
                left.into_iter().map(|left| (left.record, with_causes(left.reason.as_ref()))).collect()
            }
            Err(error) => {
                let reason = with_causes(&error);
                records.iter().map(|record| (record.clone(), reason.clone())).collect()
            }
        }
    }

    /// The URLs of the files that are gone, and of those that may still be there, with the reason.
    async fn withdraw_files(&self, publication: &Publication) -> (Vec<String>, Vec<(String, String)>) {
        if publication.files.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let connected = async {
            let info = plugin::find(&publication.plugin)?;
            let sources = plugin::stored_sources(info, &publication.plugin_args);
            let (place, key) = (&publication.sealed_for, &self.sealing_key);
            let arguments = Arguments::resolve(info, &sources, place, key, &self.surroundings).await?;
            self.connected(info, &arguments)
        };
        let mut gone = Vec::new();
        let mut left = Vec::new();
        let web = match connected.await {
            Ok(connected) => connected.web().cloned().ok_or_else(|| "the plugin shows no files".to_owned()),
            Err(error) => Err(with_causes(&error)),
        };
        for file in &publication.files {
            let (host, token, body) = (file.host.clone(), file.token.clone(), file.content.clone());
            let reason = match &web {
                Ok(web) => {
                    let still = web.withdraw(&[WebProof::HttpFile { host, token, body }]).await;
                    still.into_iter().next().map(|still| with_causes(still.reason.as_ref()))
                }
                Err(reason) => Some(reason.clone()),
            };
            match reason {
                None => gone.push(url_of(file)),
                Some(reason) => left.push((url_of(file), reason)),
            }
        }
        (gone, left)
    }

    /// The authorizations for which it could not be done.
    async fn deactivate(&self, order: &JournalOrder) -> Vec<Url> {
        let urls: Vec<Url> = order.authorizations.iter().filter_map(|url| url.parse().ok()).collect();
        let work = async {
            let server: ServerUrl = order.server.parse()?;
            // That of another account is none of this one's business.
            let called = order.account.as_deref();
            let Some(account) = self.known_account(&server, called).await? else { return Ok(Vec::new()) };
            Ok::<_, CertificateError>(deactivate_pending(&account, &urls).await)
        };
        match tokio::time::timeout(COURTESY, work).await {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => {
                tracing::info!(order = order.url, %error, "authorizations may still be pending");
                urls
            }
            Err(_) => urls,
        }
    }
}

/// Where a CA fetches a file.
fn url_of(file: &JournalFile) -> String {
    let host = if file.host.contains(':') { format!("[{}]", file.host) } else { file.host.clone() };
    format!("http://{host}/.well-known/acme-challenge/{}", file.token)
}

//! The standing records of dns-persist-01: written once through a plugin, shown, and removed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::account::AccountRequest;
use super::account_choice::account_in_store;
use super::credential::WARN_DAYS;
use super::handover::{Care, HookRequest};
use super::outlook::may_stand;
use super::{CertificateError, PropagationRequest, ServerUrl, Service, SubjectName};
use crate::challenge::{
    ChallengeError, DnsView, Standing, StandingRecord, StandingRecordError, StandingWish, standing_name,
};
use crate::plugin::{ArgumentSources, PluginInfo};
use crate::progress::Event;
use crate::store::CertName;

/// What the sealed parameters of these commands are bound to.
const PLACE: &str = "dns";
/// How long a run looks at the standing records of certificates that are not due.
const COURTESY: Duration = Duration::from_secs(5);

/// Standing records for some names.
#[derive(Debug, Clone)]
pub struct PersistRequest {
    /// The names; `*.` in front of one asks for a record that covers wildcards and names below.
    pub names: Vec<SubjectName>,
    /// The ACME server.
    pub server: ServerUrl,
    /// What an account is made with, if there is none yet.
    pub account: AccountRequest,
    /// The CA's issuer domain name, where its directory does not tell it.
    pub issuer: Option<String>,
    /// Whether every record covers wildcards and names below.
    pub wildcard: bool,
    /// When the records end.
    pub until: Option<Timestamp>,
    /// The plugin that writes them.
    pub plugin: &'static PluginInfo,
    /// Its arguments.
    pub arguments: ArgumentSources,
    /// How the publication is watched.
    pub propagation: PropagationRequest,
}

/// What was done about one name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Persisted {
    /// Where the record is.
    pub at: String,
    /// The value that stands there now, or did.
    pub value: String,
    /// Values for the same CA and account that were removed.
    pub replaced: Vec<String>,
    /// Whether it was there already.
    pub unchanged: bool,
}

/// What stands at one name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stands {
    /// Where it was looked.
    pub at: String,
    /// Each value, with what it says.
    pub values: Vec<(String, Result<StandingRecord, StandingRecordError>)>,
}

impl Service {
    /// Writes the standing records for this account, and then removes those for the same CA and account that they
    /// replace. Nothing else is changed.
    ///
    /// # Errors
    /// See [`CertificateError`]; a record that was there before still stands then.
    pub async fn persist_publish(
        &self,
        request: &PersistRequest,
    ) -> Result<Vec<Persisted>, CertificateError> {
        let server = self.unless_interrupted(self.connect(&request.server)).await??;
        let issuer = issuer(request, &server)?;
        let cert = request.names.first().map(CertName::from).ok_or(CertificateError::NoNames)?;
        let called = self.account_of_names(request)?;
        let wanted = AccountRequest { account: called, ..request.account.clone() };
        let account = self.living_account_at(&cert, &server, &request.server, &wanted);
        let account = self.unless_interrupted(account).await??;
        let view = self.persist_view(request)?;
        // Only where something is to be changed is a credential asked for, and then once.
        let hand = OnceCell::new();
        let mut done = Vec::new();
        for (base, wildcard) in bases(request)? {
            let record = StandingRecord {
                issuer: issuer.clone(),
                account: account.url().to_string(),
                wildcard,
                until: request.until,
            };
            let (at, value) = (standing_name(&base), record.to_string());
            let there = self.unless_interrupted(ours(&view, &base, &record)).await??;
            let unchanged = there.contains(&value);
            if !unchanged {
                let hook = hook(request, &at, &value, true);
                let hand = hand.get_or_try_init(|| self.hand(&hook, PLACE)).await?;
                self.add_value_with(hand, &hook).await?;
            }
            let mut replaced = Vec::new();
            for old in there.into_iter().filter(|old| *old != value) {
                let hook = hook(request, &at, &old, false);
                let hand = hand.get_or_try_init(|| self.hand(&hook, PLACE)).await?;
                self.remove_value_with(hand, &hook).await?;
                replaced.push(old);
            }
            done.push(Persisted { at, value, replaced, unchanged });
        }
        Ok(done)
    }

    /// Removes the standing records for this CA and account, and nothing else.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub async fn persist_unpublish(
        &self,
        request: &PersistRequest,
    ) -> Result<Vec<Persisted>, CertificateError> {
        let server = self.unless_interrupted(self.connect(&request.server)).await??;
        let issuer = issuer(request, &server)?;
        let called = self.account_of_names(request)?;
        let account = self.required_account(&request.server, called.as_deref()).await?.url().to_string();
        let view = self.persist_view(request)?;
        // Only where something is to be changed is a credential asked for, and then once.
        let hand = OnceCell::new();
        let mut done = Vec::new();
        for (base, wildcard) in bases(request)? {
            let record =
                StandingRecord { issuer: issuer.clone(), account: account.clone(), wildcard, until: None };
            let at = standing_name(&base);
            let there = self.unless_interrupted(ours(&view, &base, &record)).await??;
            for value in &there {
                let hook = hook(request, &at, value, false);
                let hand = hand.get_or_try_init(|| self.hand(&hook, PLACE)).await?;
                self.remove_value_with(hand, &hook).await?;
            }
            let (value, unchanged) = (record.to_string(), there.is_empty());
            done.push(Persisted { at, value, replaced: there, unchanged });
        }
        Ok(done)
    }

    /// What stands at the names.
    ///
    /// # Errors
    /// Nobody answers for a name.
    pub async fn persist_show(
        &self,
        names: &[SubjectName],
        propagation: &PropagationRequest,
    ) -> Result<Vec<Stands>, CertificateError> {
        let settings = super::settings::propagation(propagation, None)?;
        let view = self.view(&settings)?;
        let mut shown = Vec::new();
        for name in names {
            let at = standing_name(name.base());
            let values = self.unless_interrupted(values(&view, &at)).await??;
            let read = |value: String| {
                let record = StandingRecord::parse(&value);
                (value, record)
            };
            shown.push(Stands { at, values: values.into_iter().map(read).collect() });
        }
        Ok(shown)
    }

    /// Warns of a standing record that ends soon.
    pub(super) fn warn_of_standing(&self, cert: &CertName, standing: &Standing) {
        let Some(until) = standing.record.until else { return };
        let days = until.duration_since(Timestamp::now()).as_hours().div_euclid(24);
        if days <= WARN_DAYS {
            self.progress.event(cert, Event::StandingEnds { at: &standing.at, until, days });
        }
    }

    /// Warns of the standing records of certificates that were not due. What cannot be found out shows when it is needed.
    pub(super) async fn warn_of_standings(&self, certs: &[CertName]) {
        let look = |cert: &CertName| {
            let cert = cert.clone();
            async move {
                for standing in self.standings(&cert).await.unwrap_or_default() {
                    self.warn_of_standing(&cert, &standing);
                }
            }
        };
        let _ = tokio::time::timeout(COURTESY, join_all(certs.iter().map(look))).await;
    }

    /// The standing records that a certificate is proved with.
    async fn standings(&self, cert: &CertName) -> Result<Vec<Standing>, CertificateError> {
        let record = self.store.record(cert)?;
        if !may_stand(&record) {
            return Ok(Vec::new());
        }
        let own = account_in_store(&self.store, cert, &record);
        let account =
            self.store.account_called(&record.server, own.as_deref())?.and_then(|account| account.url);
        let Some(account) = account else { return Ok(Vec::new()) };
        let settings =
            super::settings::propagation(&PropagationRequest::default(), Some(&record.propagation))?;
        let view = self.view(&settings)?;
        let names = record.names.iter().filter_map(|name| name.parse::<SubjectName>().ok());
        let names: Vec<_> = names.filter(|name| name.address().is_none()).collect();
        let find = |name: &SubjectName| {
            let (view, account) = (&view, account.as_str());
            let (base, wildcard) = (name.base().to_owned(), name.is_wildcard());
            async move {
                let wish = StandingWish { base: &base, wildcard, issuers: None, account };
                view.standing(&wish).await.ok().flatten()
            }
        };
        let mut found: Vec<_> = join_all(names.iter().map(find)).await.into_iter().flatten().collect();
        found.sort_by(|a, b| a.at.cmp(&b.at));
        found.dedup();
        Ok(found)
    }

    /// The account that the records of some names are for: the one that is named, else the one that certificates for these
    /// names are renewed with; `None` for the one in use.
    fn account_of_names(&self, request: &PersistRequest) -> Result<Option<String>, CertificateError> {
        let server = &request.server;
        if let Some(called) = request.account.account.as_deref() {
            return Ok(self.account_record(server, Some(called))?.url);
        }
        let mut found = Vec::new();
        for cert in self.store.cert_names()? {
            let Ok(Some(record)) = self.store.find_record(&cert) else { continue };
            let covers = |name: &SubjectName| {
                let mut names = record.names.iter().filter_map(|other| other.parse::<SubjectName>().ok());
                names.any(|other| other.base() == name.base())
            };
            if record.server != server.as_str() || !request.names.iter().any(covers) {
                continue;
            }
            let own = account_in_store(&self.store, &cert, &record);
            let account = self.store.account_called(server.as_str(), own.as_deref())?;
            found.extend(account.and_then(|account| account.url));
        }
        found.sort();
        found.dedup();
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(CertificateError::SeveralAccounts { server: server.to_string(), accounts: found }),
        }
    }

    fn persist_view(&self, request: &PersistRequest) -> Result<Arc<DnsView>, CertificateError> {
        let settings = super::settings::propagation(&request.propagation, None)?;
        Ok(self.view(&settings)?)
    }
}

async fn values(view: &DnsView, at: &str) -> Result<Vec<String>, CertificateError> {
    let found = view.values(at).await;
    found.map_err(|source| ChallengeError::Authority { name: at.to_owned(), source }.into())
}

/// The values at the name of `base` that name the same CA and account.
async fn ours(view: &DnsView, base: &str, record: &StandingRecord) -> Result<Vec<String>, CertificateError> {
    let same = |value: &String| {
        let other = StandingRecord::parse(value);
        other.is_ok_and(|other| other.issuer == record.issuer && other.account == record.account)
    };
    Ok(values(view, &standing_name(base)).await?.into_iter().filter(same).collect())
}

/// The names without `*.`, and whether wildcards are to be covered.
fn bases(request: &PersistRequest) -> Result<Vec<(String, bool)>, CertificateError> {
    let mut bases: Vec<(String, bool)> = Vec::new();
    for name in &request.names {
        if name.address().is_some() {
            let challenges = vec![livecert_acme::ChallengeType::DnsPersist01];
            return Err(CertificateError::AddressInDns { name: name.to_string(), challenges });
        }
        let wildcard = request.wildcard || name.is_wildcard();
        match bases.iter_mut().find(|(base, _)| base == name.base()) {
            Some((_, covered)) => *covered |= wildcard,
            None => bases.push((name.base().to_owned(), wildcard)),
        }
    }
    if bases.is_empty() { Err(CertificateError::NoNames) } else { Ok(bases) }
}

fn issuer(request: &PersistRequest, server: &livecert_acme::Server) -> Result<String, CertificateError> {
    let told = server.directory().meta.caa_identities.first();
    let issuer = request.issuer.as_ref().or(told).map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    issuer.ok_or_else(|| CertificateError::NoIssuerName { server: request.server.to_string() })
}

fn hook(request: &PersistRequest, at: &str, value: &str, wait: bool) -> HookRequest {
    HookRequest {
        fqdn: at.to_owned(),
        value: value.to_owned(),
        plugin: request.plugin,
        arguments: request.arguments.clone(),
        propagation: request.propagation.clone(),
        wait,
        care: Care::Standing,
    }
}

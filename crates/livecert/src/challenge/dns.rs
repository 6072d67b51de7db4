//! dns-01 (RFC 8555 §8.4) and dns-account-01 (draft-ietf-acme-dns-account-label): a TXT value at a validation name,
//! published by a plugin and watched until it is everywhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream;

use super::{DnsView, Placed, Placement, Route, Routes, Writer};
use crate::dns::{
    Authority, AuthorityError, Expected, Patience, PropagationError, ResolveError, ResolverAddress,
    ServerView, Watch, look, watch, watch_resolvers,
};
use crate::plugin::{Plugin, PluginError, TxtRecord, Withdrawn};

/// Names whose servers are looked for at a time.
const SIDE_BY_SIDE: usize = 16;

/// When it is first looked whether another writer has dropped our values; LiveDNS needs seconds to publish.
const FIRST_KEEP: Duration = Duration::from_secs(2);
/// The longest wait between two such looks.
const LONGEST_KEEP: Duration = Duration::from_secs(30);

/// Where a CA looks for the proof of dns-01 for `base`.
pub fn validation_name(base: &str) -> String {
    format!("_acme-challenge.{base}")
}

/// Where a CA looks for the proof of dns-account-01 for `base` from the account with this URL.
pub fn account_validation_name(account: &str, base: &str) -> String {
    format!("{}.{}", livecert_acme::dns_account_label(account), validation_name(base))
}

/// What must be shown for one authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The validation name; CNAMEs are followed from there.
    pub name: String,
    /// The TXT value.
    pub value: String,
}

/// Why a proof could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// There is no resolver to begin with.
    #[error("no DNS resolver can be used")]
    Resolver(#[from] ResolveError),
    /// Nobody answers for the name.
    #[error("the DNS of {name} is not in order")]
    Authority {
        /// The name that was looked for.
        name: String,
        /// What is wrong.
        #[source]
        source: AuthorityError,
    },
    /// The plugin does not find the zones to write in, or may not see them. Nothing was written.
    #[error("the zones to write in could not be looked up with {publisher}")]
    Prepare {
        /// Who was to write, such as `gandi@shop`.
        publisher: String,
        /// Why it cannot.
        #[source]
        source: PluginError,
    },
    /// Nothing was given for writing in a zone.
    #[error(
        "nothing that was given for {publisher} is for the zone {zone}, where the proof at {name} has to be"
    )]
    NoWriter {
        /// The validation name.
        name: String,
        /// The zone.
        zone: String,
        /// What was chosen to publish the proof.
        publisher: String,
    },
    /// Two writers for the values of one name.
    #[error("{one} and {other} would both have to write at {fqdn}, where proofs of several names are")]
    TwoWriters {
        /// The record's name.
        fqdn: String,
        /// A writer.
        one: String,
        /// Another one.
        other: String,
    },
    /// A validation name does not lead to its alias.
    #[error("{name} does not lead to the alias {alias}: {}", leads_to(name, to))]
    Alias {
        /// The validation name.
        name: String,
        /// The alias.
        alias: String,
        /// Where it leads.
        to: String,
    },
    /// The plugin failed.
    #[error("{}", undone(.0))]
    Plugin(#[from] PluginError),
    /// The records did not become visible.
    #[error(transparent)]
    Propagation(#[from] PropagationError),
}

fn undone(error: &PluginError) -> &'static str {
    match error {
        PluginError::Web(_) => "the proofs could not be shown at the hosts",
        _ => "the TXT records could not be written",
    }
}

fn leads_to(name: &str, to: &str) -> String {
    if name == to { "it is no CNAME".to_owned() } else { format!("it leads to {to}") }
}

/// Where it is looked whether the records are public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PropagationMode {
    /// At every name server of the zone.
    #[default]
    Authoritative,
    /// At the resolvers alone.
    Resolver,
    /// At every name server of the zone, and then at the resolvers.
    Both,
    /// Nowhere: a time is waited.
    Sleep,
}

impl PropagationMode {
    /// All of them, by their words on the command line.
    pub const WORDS: [(&'static str, PropagationMode); 4] = [
        ("authoritative", PropagationMode::Authoritative),
        ("resolver", PropagationMode::Resolver),
        ("both", PropagationMode::Both),
        ("sleep", PropagationMode::Sleep),
    ];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, mode)| *mode == self).map_or("authoritative", |(word, _)| word)
    }
}

/// How it is found out that the records are public.
#[derive(Debug, Clone, Default)]
pub struct PropagationSettings {
    /// Where it is looked.
    pub mode: PropagationMode,
    /// Resolvers; none means the system's.
    pub resolvers: Vec<ResolverAddress>,
    /// Servers to ask instead of the zone's own; none means the zone's own.
    pub authoritative: Vec<SocketAddr>,
    /// How long to wait before the first look, or instead of it.
    pub sleep: Option<Duration>,
    /// How long the records may take, and what is enough.
    pub patience: Patience,
}

impl PropagationSettings {
    /// Whether a [`DnsView`] with these settings shows what one with the others shows.
    pub fn looks_like(&self, other: &PropagationSettings) -> bool {
        let seen = |settings: &PropagationSettings| {
            (settings.mode, settings.resolvers.clone(), settings.authoritative.clone())
        };
        seen(self) == seen(other)
    }
}

/// What is waited where nothing is looked at, and nothing else is said: several times what LiveDNS needs.
const SLEEP: Duration = Duration::from_secs(120);
/// What is waited before resolvers are asked without a look at the name servers: they would remember for hours that
/// there was nothing.
const SLEEP_BEFORE_RESOLVERS: Duration = Duration::from_secs(60);

/// Solves dns-01 challenges, with one plugin or several.
pub struct DnsSolver {
    writers: Vec<Writer>,
    routes: Routes,
    view: Arc<DnsView>,
    mode: PropagationMode,
    sleep: Option<Duration>,
    patience: Patience,
}

impl DnsSolver {
    /// A solver on one plugin.
    ///
    /// # Errors
    /// The system names no resolver, and none was given.
    pub fn new(
        name: &str,
        plugin: Arc<dyn Plugin>,
        settings: &PropagationSettings,
        http: &reqwest::Client,
    ) -> Result<Self, ChallengeError> {
        let writer = Writer { name: name.to_owned(), plugin, sweeps: true };
        let view = Arc::new(DnsView::new(settings, http)?);
        Ok(DnsSolver::routed(vec![writer], Routes::one(), view, settings))
    }

    /// A solver on several writers, which `routes` choose from, with a view of the same settings.
    pub fn routed(
        writers: Vec<Writer>,
        routes: Routes,
        view: Arc<DnsView>,
        settings: &PropagationSettings,
    ) -> Self {
        let PropagationSettings { mode, sleep, patience, .. } = settings.clone();
        DnsSolver { writers, routes, view, mode, sleep, patience }
    }

    /// All that write records.
    pub fn writers(&self) -> &[Writer] {
        &self.writers
    }

    /// Finds out where the proofs at these validation names have to be, and who writes them; without asking any plugin.
    pub async fn place(&self, names: &[String]) -> Vec<Result<Placed, ChallengeError>> {
        stream::iter(names.iter().map(|name| self.place_one(name))).buffered(SIDE_BY_SIDE).collect().await
    }

    async fn place_one(&self, name: &str) -> Result<Placed, ChallengeError> {
        let unknown = Route::default();
        let route = self.routes.of(name).unwrap_or(&unknown);
        let locate = |name: String| async move {
            let located = self.view.locate(&name).await;
            located.map_err(|source| ChallengeError::Authority { name, source })
        };
        let at_alias = async {
            match &route.alias {
                Some(alias) => Ok(Some((alias.clone(), locate(alias.clone()).await?))),
                None => Ok(None),
            }
        };
        let (located, at_alias) = tokio::try_join!(locate(name.to_owned()), at_alias)?;
        if let Some((alias, at_alias)) = at_alias
            && at_alias.fqdn != located.fqdn
        {
            return Err(ChallengeError::Alias { name: name.to_owned(), alias, to: located.fqdn });
        }
        let zone = &located.authority.zone;
        match route.writer(&located.fqdn, Some(zone)) {
            Some(writer) => Ok(Placed { located, writer }),
            None => {
                let (name, zone, publisher) = (name.to_owned(), zone.clone(), route.publisher.clone());
                Err(ChallengeError::NoWriter { name, zone, publisher })
            }
        }
    }

    /// Finds out where the proofs at these validation names have to be, and lets the plugins find their zones.
    ///
    /// # Errors
    /// A name whose DNS is not in order, or that the plugin cannot write. Nothing was changed.
    pub async fn prepare(&self, names: &[String]) -> Result<Placement, ChallengeError> {
        let mut placement = self.placement(names).await?;
        self.find_zones(&mut placement).await?;
        Ok(placement)
    }

    /// Finds out where the proofs at these validation names have to be; the first half of [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// A name whose DNS is not in order, or that nothing writes.
    pub async fn placement(&self, names: &[String]) -> Result<Placement, ChallengeError> {
        let placed = self.place(names).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Placement(names.iter().cloned().zip(placed).collect()))
    }

    /// Lets the plugins find their zones; the second half of [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// A name that the plugin cannot write. Nothing was changed.
    pub async fn find_zones(&self, placement: &mut Placement) -> Result<(), ChallengeError> {
        let proof = |name: &String| Proof { name: name.clone(), value: String::new() };
        let records = placement.records(&placement.0.keys().map(proof).collect::<Vec<_>>());
        let parts = self.by_writer(placement, &records)?;
        let preparing = parts.iter().map(|(writer, records)| async {
            let publisher = writer.name.clone();
            let prepared = writer.plugin.prepare(records).await;
            prepared.map_err(|source| ChallengeError::Prepare { publisher, source })
        });
        try_join_all(preparing).await?;
        self.pass_by_private_views(placement).await;
        Ok(())
    }

    /// The records with those that write them.
    ///
    /// # Errors
    /// Two for one name: a name's values are written together.
    pub fn by_writer<'a>(
        &'a self,
        placement: &Placement,
        records: &[TxtRecord],
    ) -> Result<Vec<(&'a Writer, Vec<TxtRecord>)>, ChallengeError> {
        let mut parts = BTreeMap::<usize, Vec<TxtRecord>>::new();
        for record in records {
            let mut writers = placement.writers_at(&record.fqdn).into_iter();
            let writer = writers.next().unwrap_or_default();
            if let Some(other) = writers.next() {
                let name = |number: usize| self.writers[number].name.clone();
                let (fqdn, one, other) = (record.fqdn.clone(), name(writer), name(other));
                return Err(ChallengeError::TwoWriters { fqdn, one, other });
            }
            parts.entry(writer).or_default().push(record.clone());
        }
        Ok(parts.into_iter().map(|(number, records)| (&self.writers[number], records)).collect())
    }

    /// Where the resolvers show a private view of a zone, its public servers take the place of the private ones: the CA
    /// sees the public view.
    async fn pass_by_private_views(&self, placement: &mut Placement) {
        let mut views = BTreeMap::<Authority, Option<Authority>>::new();
        for Placed { located, writer } in placement.0.values_mut() {
            let seen = &located.authority;
            // Servers that were given by address are wanted as they are.
            let by_name: Vec<String> = seen.servers.iter().map(|server| server.name.clone()).collect();
            if by_name.iter().all(|name| name.parse::<SocketAddr>().is_ok()) {
                continue;
            }
            if !views.contains_key(seen) {
                let record = TxtRecord {
                    fqdn: located.fqdn.clone(),
                    value: String::new(),
                    apex: Some(seen.zone.clone()),
                };
                let published = self.writers[*writer].plugin.strangers(&record, &by_name).await;
                let public = match &published {
                    Some(published) => self.view.locator().public_view(seen, published).await,
                    None => None,
                };
                tell_of_views(seen, &by_name, published.as_deref(), public.as_ref());
                views.insert(seen.clone(), public);
            }
            if let Some(Some(public)) = views.get(seen) {
                located.authority = public.clone();
            }
        }
    }

    /// Waits until the records can be published. It may be dropped at any moment: nothing is written.
    ///
    /// # Errors
    /// Another process does not let go of a name.
    pub async fn take_turns(
        &self,
        placement: &Placement,
        records: &[TxtRecord],
    ) -> Result<(), ChallengeError> {
        for (writer, records) in self.by_writer(placement, records)? {
            writer.plugin.take_turns(&records).await?;
        }
        Ok(())
    }

    /// Publishes the records, all writers side by side. Do not drop the future halfway: a write that is cut off may still
    /// take effect.
    ///
    /// # Errors
    /// The first plugin's that failed. Withdraw the records all the same.
    pub async fn publish(&self, placement: &Placement, records: &[TxtRecord]) -> Result<(), ChallengeError> {
        let parts = self.by_writer(placement, records)?;
        let published = join_all(parts.iter().map(|(writer, records)| writer.plugin.publish(records))).await;
        Ok(published.into_iter().collect::<Result<(), _>>()?)
    }

    /// Waits until every authoritative server shows every proof, or `stop` is done. While it takes long, values that
    /// another writer has dropped are put back. `false` if it was stopped.
    ///
    /// # Errors
    /// Not in time: which server lacks what.
    pub async fn propagate(
        &self,
        placement: &Placement,
        proofs: &[Proof],
        report: impl FnMut(Watch<'_>),
        stop: impl Future<Output = ()>,
    ) -> Result<bool, ChallengeError> {
        let expected = placement.expected(proofs);
        let parts = self.by_writer(placement, &placement.records(proofs))?;
        let watching = self.watch(&expected, report);
        tokio::pin!(watching, stop);
        let mut pause = FIRST_KEEP;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(false),
                watched = &mut watching => {
                    watched?;
                    return Ok(true);
                }
                () = tokio::time::sleep(pause) => {}
            }
            // Outside the select: a write is seen through to its end.
            // The values are most likely there all the same; the name servers will tell.
            let kept = join_all(parts.iter().map(|(writer, records)| writer.plugin.keep(records))).await;
            for error in kept.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "it could not be seen whether our values are still there");
            }
            pause = (pause * 2).min(LONGEST_KEEP);
        }
    }

    async fn watch(
        &self,
        expected: &[Expected],
        mut report: impl FnMut(Watch<'_>),
    ) -> Result<(), PropagationError> {
        let at_servers = matches!(self.mode, PropagationMode::Authoritative | PropagationMode::Both);
        let shut_in = at_servers && self.view.is_shut_in();
        let watcher = self.view.watcher();
        let default = match self.mode {
            PropagationMode::Sleep => SLEEP,
            PropagationMode::Resolver => SLEEP_BEFORE_RESOLVERS,
            _ if shut_in && watcher.is_some() => SLEEP_BEFORE_RESOLVERS,
            // The one that is there was asked for the name before, and remembers for hours that there was nothing.
            _ if shut_in => SLEEP,
            PropagationMode::Authoritative | PropagationMode::Both => Duration::ZERO,
        };
        tokio::time::sleep(self.sleep.unwrap_or(default)).await;
        match watcher {
            Some(watcher) if shut_in => {
                watch_resolvers(watcher, expected, &self.patience, &mut report).await?;
            }
            _ if at_servers && !shut_in => watch(expected, &self.patience, &mut report).await?,
            _ => {}
        }
        if let (PropagationMode::Resolver | PropagationMode::Both, Some(resolver)) =
            (self.mode, self.view.resolver())
        {
            watch_resolvers(resolver, expected, &self.patience, &mut report).await?;
        }
        Ok(())
    }

    /// Removes the records.
    pub async fn withdraw(&self, placement: &Placement, records: &[TxtRecord]) -> Withdrawn {
        // What two would have to write was not written.
        let parts = self.by_writer(placement, records).unwrap_or_default();
        let done = join_all(parts.iter().map(|(writer, records)| writer.plugin.withdraw(records))).await;
        let mut all = Withdrawn::default();
        for withdrawn in done {
            all.leftovers.extend(withdrawn.leftovers);
            all.shared.extend(withdrawn.shared);
        }
        all
    }

    /// What the name servers show at a validation name at this moment: for the report of a failed validation.
    pub async fn seen(&self, placement: &Placement, name: &str) -> Vec<ServerView> {
        let Some(Placed { located, .. }) = placement.0.get(name) else { return Vec::new() };
        join_all(located.authority.servers.iter().map(|server| look(&located.fqdn, server))).await
    }
}

/// Tells what is odd about a zone whose servers, as they are `seen` here, are strangers to the service.
fn tell_of_views(
    seen: &Authority,
    delegated: &[String],
    published: Option<&[String]>,
    public: Option<&Authority>,
) {
    if let (Some(published), None) = (published, public)
        && !published.iter().any(|name| delegated.contains(name))
    {
        tracing::warn!(
            zone = seen.zone,
            delegated = delegated.join(", "),
            published = published.join(", "),
            "the zone is delegated to other name servers than those where the records are written; \
             unless these take the zone from there, nobody will see the records"
        );
    }
    if let Some(public) = public {
        let servers: Vec<_> = public.servers.iter().map(|server| server.name.as_str()).collect();
        tracing::warn!(
            zone = seen.zone,
            private = delegated.join(", "),
            public = servers.join(", "),
            "the resolver shows a private view of the zone (split horizon); its public servers are asked"
        );
    }
}

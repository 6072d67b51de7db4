//! Watching until every authoritative server shows what was published: the CA asks any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use tokio::time::Instant;

use super::authority::{Authority, NameServer};
use super::exchange::{DnsError, absolute, ask};
use super::resolver::{Resolver, ResolverAddress};

/// The first look comes at once; the waits after it are an eleventh of what was waited so far, so that nobody waits a
/// tenth longer than the servers need. Not shorter than this,
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// and not longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// How long it is watched, and what is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After this time it has failed.
    pub limit: Duration,
    /// A server that has not answered for this long, while others show everything, is passed over: the CA's resolver
    /// would go on to another server too. 8 s by default, which is more than resolvers give a server.
    pub grace: Duration,
    /// The share of a name's servers (by their names, in percent) that must show everything before silent ones are
    /// passed over. 50 by default: with fewer it is likelier that something is wrong here than there.
    pub quorum: u8,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { limit: Duration::from_secs(600), grace: Duration::from_secs(8), quorum: 50 }
    }
}

/// Values that a name must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The name, where the CNAMEs end.
    pub fqdn: String,
    /// The TXT values, unquoted.
    pub values: Vec<String>,
    /// Who answers for it.
    pub authority: Authority,
}

/// What one server showed at the last look.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// The server, with its address where it has a name.
    pub at: String,
    /// The TXT values there, or why it gave none.
    pub seen: Result<Vec<String>, DnsError>,
}

/// A name which not every server shows yet.
#[derive(Debug, Clone)]
pub struct Lacking {
    /// The name.
    pub fqdn: String,
    /// The servers that lack a value, or do not answer.
    pub servers: Vec<ServerView>,
}

/// The records did not appear everywhere in time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the TXT records are not visible at every name server after {} s: {}", waited.as_secs(), describe(lacking))]
pub struct PropagationError {
    /// How long it was watched.
    pub waited: Duration,
    /// What is missing where.
    pub lacking: Vec<Lacking>,
}

fn describe(lacking: &[Lacking]) -> String {
    let server = |view: &ServerView| match &view.seen {
        Ok(values) if values.is_empty() => format!("{} shows nothing", view.at),
        Ok(values) => format!("{} shows only {}", view.at, values.join(", ")),
        Err(error) => error.to_string(),
    };
    let name = |lack: &Lacking| {
        format!("{}: {}", lack.fqdn, lack.servers.iter().map(server).collect::<Vec<_>>().join("; "))
    };
    lacking.iter().map(name).collect::<Vec<_>>().join(" | ")
}

/// What a watch tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch<'a> {
    /// How many pairs of name and server there are.
    pub all: usize,
    /// How many of them show everything.
    pub ready: usize,
    /// The same for each server, in the order in which they are asked.
    pub servers: &'a [WatchedServer],
}

/// How far the records have come at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedServer {
    /// Its name, or its address where it has none.
    pub name: String,
    /// How many pairs of name and address are asked.
    pub all: usize,
    /// How many of them show everything.
    pub ready: usize,
    /// How long it took until all of them did; `None` before.
    pub after: Option<Duration>,
}

/// Counts what each server shows. `open` are the servers of the pairs that lack something.
fn tally<'a>(servers: &mut [WatchedServer], open: impl Iterator<Item = &'a str>, elapsed: Duration) {
    for server in servers.iter_mut() {
        server.ready = server.all;
    }
    for name in open {
        if let Some(server) = servers.iter_mut().find(|server| server.name == name) {
            server.ready = server.ready.saturating_sub(1);
        }
    }
    for server in servers {
        server.after = (server.ready == server.all).then(|| server.after.unwrap_or(elapsed));
    }
}

/// The servers of all pairs, each once.
fn watched<'a>(pairs: impl Iterator<Item = &'a str>) -> Vec<WatchedServer> {
    let mut servers: Vec<WatchedServer> = Vec::new();
    for name in pairs {
        match servers.iter_mut().find(|server| server.name == name) {
            Some(server) => server.all += 1,
            None => servers.push(WatchedServer { name: name.to_owned(), all: 1, ready: 0, after: None }),
        }
    }
    servers
}

/// Waits until all `expected` values are at all their servers; `report` hears of each look.
///
/// A server is asked until it shows everything. If that took more than one look, all are asked once more at the end: one
/// that shows now the new and now the old (several machines behind one address) is noticed, named, and waited for.
///
/// # Errors
/// After the limit, with what is missing where.
pub async fn watch(
    expected: &[Expected],
    patience: &Patience,
    mut report: impl FnMut(Watch<'_>),
) -> Result<(), PropagationError> {
    let begun = Instant::now();
    let mut every: Vec<(usize, NameServer)> = Vec::new();
    for (index, record) in expected.iter().enumerate() {
        every.extend(record.authority.servers.iter().map(|server| (index, server.clone())));
    }
    let mut servers = watched(every.iter().map(|(_, server)| server.name.as_str()));
    let (mut open, mut late, mut confirming) = (every.clone(), false, false);
    loop {
        let views = join_all(open.iter().map(|(index, server)| look(&expected[*index].fqdn, server))).await;
        let mut still = Vec::new();
        for ((index, server), view) in open.into_iter().zip(views) {
            if !shows(&expected[index], &view, begun.elapsed()) {
                if confirming && view.seen.is_ok() {
                    tracing::warn!(
                        server = view.at,
                        name = expected[index].fqdn,
                        "the name server goes back to old records"
                    );
                }
                still.push((index, server, view));
            }
        }
        tally(&mut servers, still.iter().map(|(_, server, _)| server.name.as_str()), begun.elapsed());
        report(Watch { all: every.len(), ready: every.len() - still.len(), servers: &servers });
        if still.is_empty() && late && !confirming {
            (open, confirming) = (every.clone(), true);
            continue;
        }
        if still.is_empty() || only_dead_ones(expected, &still, begun.elapsed(), patience) {
            return Ok(());
        }
        let lacking = still.iter().map(|(index, _, view)| (*index, view.clone()));
        pause(begun, patience, || group(expected, lacking.collect())).await?;
        open = still.into_iter().map(|(index, server, _)| (index, server)).collect();
        (late, confirming) = (true, false);
    }
}

/// Waits until all `expected` values are told by each of the resolvers. They remember for hours that there was nothing,
/// so this comes after [`watch`], or after a sleep.
///
/// # Errors
/// After the limit, with what is missing where.
pub async fn watch_resolvers(
    resolver: &Resolver,
    expected: &[Expected],
    patience: &Patience,
    mut report: impl FnMut(Watch<'_>),
) -> Result<(), PropagationError> {
    let begun = Instant::now();
    let servers = resolver.servers();
    let mut open: Vec<(usize, &ResolverAddress)> =
        (0..expected.len()).flat_map(|index| servers.iter().map(move |server| (index, server))).collect();
    let all = open.len();
    let name = |server: &ResolverAddress| server.to_string();
    let names: Vec<String> = open.iter().map(|(_, server)| name(server)).collect();
    let mut watched = watched(names.iter().map(String::as_str));
    loop {
        let looks = open.iter().map(|(index, server)| async move {
            let seen = match absolute(&expected[*index].fqdn) {
                Ok(name) => resolver.ask_one(server, &name, RecordType::TXT, true).await,
                Err(error) => Err(error),
            };
            ServerView { at: server.to_string(), seen: seen.map(|answer| txt_values(&answer)) }
        });
        let views = join_all(looks).await;
        let mut still = Vec::new();
        for ((index, server), view) in open.into_iter().zip(views) {
            if !shows(&expected[index], &view, begun.elapsed()) {
                still.push((index, server, view));
            }
        }
        let lacking: Vec<String> = still.iter().map(|(_, server, _)| name(server)).collect();
        tally(&mut watched, lacking.iter().map(String::as_str), begun.elapsed());
        report(Watch { all, ready: all - still.len(), servers: &watched });
        if still.is_empty() {
            return Ok(());
        }
        let lacking = still.iter().map(|(index, _, view)| (*index, view.clone()));
        pause(begun, patience, || group(expected, lacking.collect())).await?;
        open = still.into_iter().map(|(index, server, _)| (index, server)).collect();
    }
}

/// Whether a look shows all that is expected. What was seen, when and where, is for `-v`.
fn shows(expected: &Expected, view: &ServerView, after: Duration) -> bool {
    let all = |values: &Vec<String>| expected.values.iter().all(|value| values.contains(value));
    let shown = view.seen.as_ref().is_ok_and(all);
    let (name, server, after_ms) = (&expected.fqdn, &view.at, after.as_millis());
    match &view.seen {
        Ok(values) => tracing::info!(name, server, after_ms, shown, ?values, "looked"),
        Err(error) => tracing::info!(name, server, after_ms, %error, "looked"),
    }
    shown
}

async fn pause(
    begun: Instant,
    patience: &Patience,
    lacking: impl FnOnce() -> Vec<Lacking>,
) -> Result<(), PropagationError> {
    let wait = (begun.elapsed() / 11).clamp(SHORTEST_WAIT, LONGEST_WAIT);
    if begun.elapsed() + wait > patience.limit {
        return Err(PropagationError { waited: begun.elapsed(), lacking: lacking() });
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

/// Whether all that is missing are addresses without any answer, and enough servers of each name show it. Addresses that
/// cannot be reached from this machine (no IPv6, say) are known at once; silence must have lasted for a while.
fn only_dead_ones(
    expected: &[Expected],
    still: &[(usize, NameServer, ServerView)],
    waited: Duration,
    patience: &Patience,
) -> bool {
    // Another address of the same server shows everything: what is silent is the way to this one (IPv6 into nowhere).
    let reached_otherwise = |index: usize, server: &NameServer| {
        expected[index].authority.servers.iter().any(|other| {
            other.name == server.name
                && !still.iter().any(|(at, silent, _)| *at == index && silent.address == other.address)
        })
    };
    let dead = |(index, server, view): &(usize, NameServer, ServerView)| match view.seen {
        Err(DnsError::Unreachable { .. }) => true,
        Err(_) => waited >= patience.grace || reached_otherwise(*index, server),
        Ok(_) => false,
    };
    if !still.iter().all(dead) {
        return false;
    }
    let enough = expected.iter().enumerate().all(|(index, record)| {
        let missing = |server: &NameServer| {
            still.iter().any(|(other, silent, _)| *other == index && silent.address == server.address)
        };
        let servers = &record.authority.servers;
        let names: BTreeSet<_> = servers.iter().map(|server| &server.name).collect();
        // A server counts when one of its addresses shows everything.
        let good: BTreeSet<_> =
            servers.iter().filter(|server| !missing(server)).map(|server| &server.name).collect();
        !good.is_empty() && good.len() * 100 >= names.len() * usize::from(patience.quorum)
    });
    if enough {
        for (_, server, _) in still {
            tracing::warn!(server = %server.address, "passed over a name server which does not answer");
        }
    }
    enough
}

fn group(expected: &[Expected], still: Vec<(usize, ServerView)>) -> Vec<Lacking> {
    let mut groups = BTreeMap::<usize, Vec<ServerView>>::new();
    for (index, view) in still {
        groups.entry(index).or_default().push(view);
    }
    let lacking =
        |(index, servers): (usize, Vec<ServerView>)| Lacking { fqdn: expected[index].fqdn.clone(), servers };
    groups.into_iter().map(lacking).collect()
}

/// What one server shows at a name now.
pub async fn look(fqdn: &str, server: &NameServer) -> ServerView {
    let seen = match absolute(fqdn) {
        Ok(name) => {
            ask(server.address, &name, RecordType::TXT, false).await.map(|answer| txt_values(&answer))
        }
        Err(error) => Err(error),
    };
    let NameServer { name, address } = server;
    let at = if *name == address.to_string() { name.clone() } else { format!("{name} ({})", address.ip()) };
    ServerView { at, seen }
}

/// The TXT values of an answer; the strings of one record belong together (RFC 7208 §3.3 says how readers join them).
pub(super) fn txt_values(answer: &Message) -> Vec<String> {
    let value = |record: &hickory_proto::rr::Record| match &record.data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    };
    answer.answers.iter().filter_map(value).collect()
}

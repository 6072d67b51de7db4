//! Watching until every authoritative server shows what was published: the CA asks any of them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use tokio::time::Instant;

use super::authority::{Authority, NameServer};
use super::exchange::{DnsError, absolute, ask};

/// The first look comes at once; the waits after it are an eighth of what was waited so far, so that nobody waits much
/// longer than the servers need. Not shorter than this,
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// and not longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// A server that has not answered for this long, while others show everything, is passed over: the CA's resolver
/// would go on to another server too.
const DEAD_AFTER: Duration = Duration::from_secs(8);

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
    /// The server.
    pub server: NameServer,
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
    let server = |view: &ServerView| {
        let NameServer { name, address } = &view.server;
        let at =
            if *name == address.to_string() { name.clone() } else { format!("{name} ({})", address.ip()) };
        match &view.seen {
            Ok(values) if values.is_empty() => format!("{at} shows nothing"),
            Ok(values) => format!("{at} shows only {}", values.join(", ")),
            Err(error) => error.to_string(),
        }
    };
    let name = |lack: &Lacking| {
        format!("{}: {}", lack.fqdn, lack.servers.iter().map(server).collect::<Vec<_>>().join("; "))
    };
    lacking.iter().map(name).collect::<Vec<_>>().join(" | ")
}

/// What a watch tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// How many pairs of name and server there are.
    pub all: usize,
    /// How many of them show everything.
    pub ready: usize,
}

/// Waits until all `expected` values are at all their servers; `report` hears of each look.
///
/// # Errors
/// After `limit`, with what is missing where.
pub async fn watch(
    expected: &[Expected],
    limit: Duration,
    mut report: impl FnMut(Watch),
) -> Result<(), PropagationError> {
    let begun = Instant::now();
    let mut open: Vec<(usize, NameServer)> = Vec::new();
    for (index, record) in expected.iter().enumerate() {
        open.extend(record.authority.servers.iter().map(|server| (index, server.clone())));
    }
    let all = open.len();
    loop {
        let views = join_all(open.iter().map(|(index, server)| look(&expected[*index].fqdn, server))).await;
        let mut still = Vec::new();
        for ((index, _), view) in open.iter().zip(views) {
            tracing::debug!(name = expected[*index].fqdn, server = %view.server.address, seen = ?view.seen, "looked");
            let shown =
                |values: &Vec<String>| expected[*index].values.iter().all(|value| values.contains(value));
            if !view.seen.as_ref().is_ok_and(shown) {
                still.push((*index, view));
            }
        }
        report(Watch { all, ready: all - still.len() });
        if still.is_empty() || only_dead_ones(expected, &still, begun.elapsed()) {
            return Ok(());
        }
        let wait = (begun.elapsed() / 8).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        if begun.elapsed() + wait > limit {
            return Err(PropagationError { waited: begun.elapsed(), lacking: group(expected, still) });
        }
        tokio::time::sleep(wait).await;
        open = still.into_iter().map(|(index, view)| (index, view.server)).collect();
    }
}

/// Whether all that is missing are servers without any answer, and each name is shown by some other server. Addresses
/// that cannot be reached from this machine (no IPv6, say) are known at once; silence must have lasted for a while.
fn only_dead_ones(expected: &[Expected], still: &[(usize, ServerView)], waited: Duration) -> bool {
    let dead = |view: &ServerView| match view.seen {
        Err(DnsError::Unreachable { .. }) => true,
        Err(_) => waited >= DEAD_AFTER,
        Ok(_) => false,
    };
    let mut missing = BTreeMap::<usize, usize>::new();
    for (index, view) in still {
        if !dead(view) {
            return false;
        }
        *missing.entry(*index).or_default() += 1;
    }
    let enough = missing.iter().all(|(index, dead)| *dead < expected[*index].authority.servers.len());
    if enough {
        for (_, view) in still {
            tracing::warn!(server = %view.server.address, "passed over a name server which does not answer");
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
    ServerView { server: server.clone(), seen }
}

/// The TXT values of an answer; the strings of one record belong together (RFC 7208 §3.3 says how readers join them).
fn txt_values(answer: &Message) -> Vec<String> {
    let value = |record: &hickory_proto::rr::Record| match &record.data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    };
    answer.answers.iter().filter_map(value).collect()
}

//! Who answers for a name: from the zone's delegation, through referrals and CNAMEs, to the servers' addresses.
//!
//! A caching resolver is asked about zones and name servers only, never about a validation name: its "there is
//! nothing" would be remembered for hours (RFC 2308) and be the answer when the record is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, select_ok};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::exchange::{DnsError, absolute, ask};
use super::known::Known;
use super::resolver::{ResolveError, Resolver};

/// How much later the next server is asked while one is silent; servers across the world answer within 0.3 s.
const NEXT_SERVER: Duration = Duration::from_millis(300);
/// More CNAMEs or referrals in a row than this are a mistake; resolvers give up sooner.
const MAX_STEPS: usize = 16;

/// One address of one name server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameServer {
    /// The server's name; its address where it was given without a name.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
}

/// A zone and all addresses of the servers that answer for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// The apex of the zone, lower case, without trailing dot.
    pub zone: String,
    /// Its servers.
    pub servers: Vec<NameServer>,
}

/// Where a name really lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The name at the end of the CNAME chain, lower case, without trailing dot: what must be published.
    pub fqdn: String,
    /// Who answers for it.
    pub authority: Authority,
}

/// Why nobody could be found who answers for a name.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The resolvers do not help.
    #[error("the name servers of {name} cannot be found")]
    Resolve {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: ResolveError,
    },
    /// No server of the zone answers.
    #[error("no name server of {zone} answers")]
    Silent {
        /// The zone.
        zone: String,
        /// The last one's reason.
        #[source]
        source: DnsError,
    },
    /// The zone is delegated to servers without an address.
    #[error("the name servers of {zone} ({servers}) have no address")]
    NoAddress {
        /// The zone.
        zone: String,
        /// Their names.
        servers: String,
    },
    /// Nothing in public DNS is above the name.
    #[error("public DNS knows no zone for {name}: is the domain registered and delegated?")]
    NoZone {
        /// The name.
        name: String,
    },
    /// The servers that the zone is delegated to do not know it.
    #[error(
        "{server} answers {code} for {name}: the zone {zone} is delegated to it, but it does not serve the zone"
    )]
    Lame {
        /// The server.
        server: SocketAddr,
        /// Its response code.
        code: String,
        /// The name that was asked for.
        name: String,
        /// The zone.
        zone: String,
    },
    /// CNAMEs in a circle, or too many.
    #[error("the CNAMEs from {name} go in a circle, or are more than {MAX_STEPS}: {chain}")]
    Loop {
        /// The name at the beginning.
        name: String,
        /// The way so far.
        chain: String,
    },
    /// The name is not one.
    #[error(transparent)]
    Name(DnsError),
}

impl AuthorityError {
    /// Whether nobody answered at all, as where DNS is not let out.
    pub fn is_silence(&self) -> bool {
        match self {
            AuthorityError::Silent { source, .. } => {
                matches!(source, DnsError::Timeout { .. } | DnsError::Unreachable { .. })
            }
            AuthorityError::Resolve { source: ResolveError::Silent(source), .. } => {
                matches!(source, DnsError::Timeout { .. } | DnsError::Unreachable { .. })
            }
            _ => false,
        }
    }
}

/// Finds authorities. Clones share what they have found.
#[derive(Debug, Clone)]
pub struct Locator {
    resolver: Option<Resolver>,
    fixed: Vec<NameServer>,
    port: u16,
    known: Arc<Known<Authority>>,
}

impl Locator {
    /// Finds name servers through `resolver`, starting at the delegation.
    pub fn through(resolver: Resolver) -> Self {
        Locator { resolver: Some(resolver), fixed: Vec::new(), port: 53, known: Arc::default() }
    }

    /// Asks these servers, whatever the zone is delegated to (split horizon, tests).
    pub fn fixed(servers: &[SocketAddr]) -> Self {
        let server = |&address: &SocketAddr| NameServer { name: address.to_string(), address };
        let fixed = servers.iter().map(server).collect();
        Locator { resolver: None, fixed, port: 53, known: Arc::default() }
    }

    /// The port that name servers are asked at: 53 everywhere but in tests.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Follows delegations and CNAMEs from `fqdn` to where its TXT records have to be.
    ///
    /// # Errors
    /// See [`AuthorityError`]. That a name does not exist yet is no error: it is about to be made.
    pub async fn locate(&self, fqdn: &str) -> Result<Located, AuthorityError> {
        let mut name = absolute(fqdn).map_err(AuthorityError::Name)?.to_lowercase();
        let mut chain = vec![name.clone()];
        let mut authority = self.begin(&name).await?;
        for _ in 0..MAX_STEPS {
            let answer = first_answer(&authority, &name).await?;
            match step(&authority, &name, &answer)? {
                Step::Here { apex } => {
                    if let Some(apex) = apex {
                        authority.zone = apex;
                    }
                    return Ok(Located { fqdn: plain(&name), authority });
                }
                Step::Cname(target) => {
                    let looped = chain.contains(&target);
                    chain.push(target.clone());
                    if looped {
                        break;
                    }
                    name = target;
                    authority = self.begin(&name).await?;
                }
                Step::Referral { zone, servers } => {
                    authority = self.delegation(&zone, &servers, &answer).await?
                }
            }
        }
        let chain = chain.iter().map(plain).collect::<Vec<_>>().join(" → ");
        Err(AuthorityError::Loop { name: fqdn.to_owned(), chain })
    }

    /// The public servers of a zone of which the resolvers show a private view (split horizon): `published` are the names
    /// of the servers that the service publishes the zone on. They are believed only if the parent zone delegates to one
    /// of them, and what the resolvers showed is none of them.
    pub async fn public_view(&self, seen: &Authority, published: &[String]) -> Option<Authority> {
        let is_published = |name: &str| published.iter().any(|other| other == name);
        if seen.servers.iter().any(|server| is_published(&server.name)) {
            return None;
        }
        let zone = absolute(&seen.zone).ok()?.to_lowercase();
        // The parent's servers are asked themselves: the resolver would answer from its own zone.
        let parent = self.begin(&zone).await.ok()?;
        let asked =
            parent.servers.iter().map(|server| Box::pin(ask(server.address, &zone, RecordType::NS, false)));
        let (answer, _) = select_ok(asked).await.ok()?;
        let mut delegated = name_servers(&answer.authorities, &zone);
        delegated.extend(name_servers(&answer.answers, &zone));
        if !delegated.iter().any(|name| is_published(&plain(name))) {
            return None;
        }
        self.delegation(&zone, &delegated, &answer).await.ok()
    }

    /// The same where name servers cannot be reached: all is asked of a resolver, also the name itself. That resolver
    /// remembers for hours that there was nothing, so it is of no use for watching the name.
    ///
    /// # Errors
    /// See [`AuthorityError`]. The servers of the answer are left empty.
    pub async fn locate_through(resolver: &Resolver, fqdn: &str) -> Result<Located, AuthorityError> {
        let mut name = absolute(fqdn).map_err(AuthorityError::Name)?.to_lowercase();
        let mut chain = vec![name.clone()];
        for _ in 0..MAX_STEPS {
            let failed = |source| AuthorityError::Resolve { name: plain(&name), source };
            let answer = resolver.ask(&name, RecordType::CNAME).await.map_err(failed)?;
            let target = answer.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == name => Some(target.0.to_lowercase()),
                _ => None,
            });
            let Some(target) = target else {
                let zone = apex_above(resolver, &name).await?;
                return Ok(Located {
                    fqdn: plain(&name),
                    authority: Authority { zone, servers: Vec::new() },
                });
            };
            let looped = chain.contains(&target);
            chain.push(target.clone());
            if looped {
                break;
            }
            name = target;
        }
        let chain = chain.iter().map(plain).collect::<Vec<_>>().join(" → ");
        Err(AuthorityError::Loop { name: fqdn.to_owned(), chain })
    }

    /// The zone above `name`, by asking the resolver for the SOA of the names above it: an answer or the authority
    /// section names the apex (RFC 2308 §3). The name itself is left out, so that no resolver remembers its absence.
    async fn begin(&self, name: &Name) -> Result<Authority, AuthorityError> {
        let Some(resolver) = &self.resolver else {
            let zone = plain(&name.base_name());
            return Ok(Authority { zone, servers: self.fixed.clone() });
        };
        let failed = |source| AuthorityError::Resolve { name: plain(name), source };
        let mut above = name.base_name();
        while !above.is_root() {
            let answer = resolver.ask(&above, RecordType::SOA).await.map_err(failed)?;
            if let Some(apex) = soa_owner(&answer)
                && !apex.is_root()
                && apex.zone_of(name)
                && let Some(authority) = self.known.if_found(&apex, self.zone(resolver, &apex, name)).await?
            {
                return Ok(authority);
            }
            above = above.base_name();
        }
        Err(AuthorityError::NoZone { name: plain(name) })
    }

    /// The servers of the zone with this apex, which was found above `name`; `None` if the resolver knows none.
    async fn zone(
        &self,
        resolver: &Resolver,
        apex: &Name,
        name: &Name,
    ) -> Result<Option<Authority>, AuthorityError> {
        let failed = |source| AuthorityError::Resolve { name: plain(name), source };
        let answer = resolver.ask(apex, RecordType::NS).await.map_err(failed)?;
        let servers = name_servers(&answer.answers, apex);
        match servers.is_empty() {
            true => Ok(None),
            false => self.delegation(apex, &servers, &answer).await.map(Some),
        }
    }

    /// All addresses of the servers of `zone`: glue where the answer has it, else asked for.
    async fn delegation(
        &self,
        zone: &Name,
        servers: &[Name],
        answer: &Message,
    ) -> Result<Authority, AuthorityError> {
        let found = join_all(servers.iter().map(|server| async move {
            let glue: Vec<_> = answer
                .additionals
                .iter()
                .filter(|record| record.name == *server)
                .filter_map(|record| record.data.ip_addr())
                .collect();
            match (&self.resolver, glue.is_empty()) {
                (Some(resolver), true) => (server, resolver.addresses(server).await),
                _ => (server, Ok(glue)),
            }
        }))
        .await;
        let mut all = Vec::new();
        let mut failure = None;
        for (server, addresses) in found {
            match addresses {
                Ok(addresses) => {
                    all.extend(addresses.into_iter().map(|ip| NameServer {
                        name: plain(server),
                        address: SocketAddr::new(ip, self.port),
                    }))
                }
                Err(error) => failure = Some(error),
            }
        }
        all.sort();
        all.dedup();
        match (all.is_empty(), failure) {
            (false, _) => Ok(Authority { zone: plain(zone), servers: all }),
            (true, Some(source)) => Err(AuthorityError::Resolve { name: plain(zone), source }),
            (true, None) => {
                let servers = servers.iter().map(plain).collect::<Vec<_>>().join(", ");
                Err(AuthorityError::NoAddress { zone: plain(zone), servers })
            }
        }
    }
}

pub(super) enum Step {
    /// The server answers for the name itself; the apex where it tells it.
    Here { apex: Option<String> },
    /// The name is another name for this one.
    Cname(Name),
    /// A zone further down answers for it.
    Referral { zone: Name, servers: Vec<Name> },
}

pub(super) fn step(authority: &Authority, name: &Name, answer: &Message) -> Result<Step, AuthorityError> {
    let code = answer.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        let server = authority.servers.first().map_or(SocketAddr::from(([0, 0, 0, 0], 53)), |s| s.address);
        let (code, name, zone) = (code.to_string(), plain(name), authority.zone.clone());
        return Err(AuthorityError::Lame { server, code, name, zone });
    }
    let cname = answer.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *name => Some(target.0.to_lowercase()),
        _ => None,
    });
    if let Some(target) = cname {
        return Ok(Step::Cname(target));
    }
    // No answer, no SOA, but NS of a zone on the way to the name: a referral (RFC 1034 §4.3.2).
    if answer.answers.is_empty() && soa_owner(answer).is_none() {
        let below = answer.authorities.iter().find(|record| {
            record.record_type() == RecordType::NS
                && record.name.zone_of(name)
                && plain(&record.name) != authority.zone
        });
        if let Some(zone) = below.map(|record| record.name.to_lowercase()) {
            let servers = name_servers(&answer.authorities, &zone);
            return Ok(Step::Referral { zone, servers });
        }
    }
    Ok(Step::Here { apex: soa_owner(answer).filter(|apex| apex.zone_of(name)).map(|apex| plain(&apex)) })
}

/// The first server that answers; each next one is asked a little later, so that a dead one holds nothing up. This is a
/// question about structure, and one answer does.
async fn first_answer(authority: &Authority, name: &Name) -> Result<Message, AuthorityError> {
    let ask_later = |(position, server): (u32, &NameServer)| {
        let address = server.address;
        Box::pin(async move {
            tokio::time::sleep(NEXT_SERVER * position).await;
            ask(address, name, RecordType::TXT, false).await
        })
    };
    if authority.servers.is_empty() {
        return Err(AuthorityError::NoAddress { zone: authority.zone.clone(), servers: String::new() });
    }
    match select_ok((0..).zip(&authority.servers).map(ask_later)).await {
        Ok((answer, _)) => Ok(answer),
        Err(source) => Err(AuthorityError::Silent { zone: authority.zone.clone(), source }),
    }
}

/// The apex of the zone above `name`, as the resolver sees it.
async fn apex_above(resolver: &Resolver, name: &Name) -> Result<String, AuthorityError> {
    let mut above = name.base_name();
    while !above.is_root() {
        let failed = |source| AuthorityError::Resolve { name: plain(name), source };
        let answer = resolver.ask(&above, RecordType::SOA).await.map_err(failed)?;
        if let Some(apex) = soa_owner(&answer).filter(|apex| !apex.is_root() && apex.zone_of(name)) {
            return Ok(plain(&apex));
        }
        above = above.base_name();
    }
    Err(AuthorityError::NoZone { name: plain(name) })
}

pub(super) fn soa_owner(answer: &Message) -> Option<Name> {
    let mut records = answer.answers.iter().chain(&answer.authorities);
    records.find(|record| record.record_type() == RecordType::SOA).map(|record| record.name.to_lowercase())
}

pub(super) fn name_servers(records: &[hickory_proto::rr::Record], zone: &Name) -> Vec<Name> {
    let of_zone = |record: &&hickory_proto::rr::Record| record.name == *zone;
    let target = |record: &hickory_proto::rr::Record| match &record.data {
        RData::NS(server) => Some(server.0.to_lowercase()),
        _ => None,
    };
    records.iter().filter(of_zone).filter_map(target).take(MAX_SERVERS).collect()
}

/// The largest number of name servers of one zone that are taken; the zones of the world have up to some twenty. A
/// message has room for thousands, and each would be looked up and asked.
pub(super) const MAX_SERVERS: usize = 64;

/// A name as people and LiveDNS write it: lower case, no dot at the end.
fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::NS;

    use super::*;

    #[test]
    fn an_endless_list_of_name_servers_is_cut() {
        let zone = absolute("example.com").unwrap();
        let server = |number: u32| {
            let name = absolute(&format!("ns{number}.example.com")).unwrap();
            Record::from_rdata(zone.clone(), 300, RData::NS(NS(name)))
        };
        let records: Vec<_> = (0..2000).map(server).collect();
        assert_eq!(name_servers(&records[..13], &zone).len(), 13);
        assert_eq!(name_servers(&records, &zone).len(), MAX_SERVERS);
    }
}

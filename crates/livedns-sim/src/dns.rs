//! Authoritative DNS over the zones: each address is a name server of its own, with its own delay.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use sim_server::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::api::server_names;
use crate::log::DnsQuery;
use crate::simulator::{Shared, State, io};
use crate::state::{Rrset, Zone, unquoted};

/// How long "there is nothing" may be remembered, in seconds: what LiveDNS has in its SOA.
const NEGATIVE_TTL: u32 = 10_800;
/// More CNAMEs in a row are a mistake.
const MAX_CNAMES: usize = 8;
/// How old the answer of a flapping server is.
const FLAP: Duration = Duration::from_secs(60);

pub(crate) async fn start(
    listen: &[SocketAddr],
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> Result<Vec<SocketAddr>, Error> {
    let mut bound = Vec::new();
    let mut free_port = None;
    for (index, address) in listen.iter().enumerate() {
        // All servers of a zone answer at the same port, as they do in the world.
        let port = if address.port() == 0 { free_port.unwrap_or(0) } else { address.port() };
        let (udp, tcp) = bind(SocketAddr::new(address.ip(), port)).await?;
        let local = udp.local_addr().map_err(io("a name server's address"))?;
        free_port.get_or_insert(local.port());
        let mut server = Server::new(Handler { shared: shared.clone(), index });
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(10), 128);
        tasks.spawn(async move {
            if let Err(error) = server.block_until_done().await {
                tracing::warn!(%error, "a name server ended");
            }
        });
        bound.push(local);
    }
    Ok(bound)
}

/// UDP and TCP at the same port. A free UDP port may be taken for TCP; then another one is tried.
async fn bind(address: SocketAddr) -> Result<(UdpSocket, TcpListener), Error> {
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind(address).await.map_err(io(format!("listening at {address} (UDP)")))?;
        let local = udp.local_addr().map_err(io("a name server's address"))?;
        match TcpListener::bind(local).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if address.port() == 0 && tries < 20 => tries += 1,
            Err(error) => return Err(io(format!("listening at {local} (TCP)"))(error)),
        }
    }
}

struct Handler {
    shared: Arc<Shared>,
    index: usize,
}

/// The sections of an answer.
#[derive(Default)]
struct Sections {
    code: ResponseCode,
    authoritative: bool,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut send: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let query =
            request.request_info().ok().map(|info| (Name::from(info.query.name()), info.query.query_type()));
        let sections = match query {
            Some((name, kind)) if request.metadata.op_code == OpCode::Query => {
                let mut state = self.shared.lock();
                state.log.dns.push(DnsQuery {
                    server: self.index,
                    name: plain(&name),
                    kind: kind.to_string(),
                    recursive: request.metadata.recursion_desired,
                });
                let server = state.servers.get(self.index).copied().unwrap_or_default();
                if server.down {
                    return silent(metadata);
                }
                let delay =
                    if server.flapping && fastrand::bool() { server.delay + FLAP } else { server.delay };
                let sections = resolve(&state, &name, kind, delay);
                if server.caching {
                    remembered(&mut state, self.index, &name, kind, sections)
                } else {
                    sections
                }
            }
            _ => Sections { code: ResponseCode::NotImp, ..Sections::default() },
        };
        metadata.message_type = MessageType::Response;
        metadata.response_code = sections.code;
        metadata.authoritative = sections.authoritative;
        metadata.recursion_available = false;
        let response = MessageResponseBuilder::new(&request.queries, request.edns.as_ref()).build(
            metadata,
            sections.answers.iter(),
            sections.authorities.iter(),
            std::iter::empty(),
            sections.additionals.iter(),
        );
        match send.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "an answer was not sent");
                silent(metadata)
            }
        }
    }
}

/// What a caching resolver says: that there was nothing, it remembers for hours (RFC 2308), which is for good here.
fn remembered(state: &mut State, index: usize, name: &Name, kind: RecordType, now: Sections) -> Sections {
    let question = (index, plain(name), kind.to_string());
    let nothing = |code| Sections { code, ..Sections::default() };
    if let Some(code) = state.absent.get(&question) {
        return nothing((*code).into());
    }
    if now.answers.is_empty() && matches!(now.code, ResponseCode::NoError | ResponseCode::NXDomain) {
        state.absent.insert(question, now.code.into());
    }
    Sections { authoritative: false, ..now }
}

fn silent(metadata: Metadata) -> ResponseInfo {
    ResponseInfo::from(hickory_proto::op::Header {
        metadata,
        counts: hickory_proto::op::HeaderCounts::default(),
    })
}

fn resolve(state: &State, name: &Name, kind: RecordType, delay: Duration) -> Sections {
    let mut sections = Sections { authoritative: true, ..Sections::default() };
    let mut name = name.to_lowercase();
    for _ in 0..MAX_CNAMES {
        let fqdn = plain(&name);
        if let Some(records) = server_address(state, &fqdn, kind, &name) {
            sections.answers.extend(records);
            return sections;
        }
        let Some((apex, zone, relative)) = state.world.zones.find(&fqdn) else {
            if sections.answers.is_empty() {
                return Sections { code: ResponseCode::Refused, ..Sections::default() };
            }
            // The rest of the chain is for other servers.
            return sections;
        };
        if let Some(referral) = referral(zone, apex, &relative, delay) {
            return Sections { authoritative: false, ..referral };
        }
        if kind != RecordType::CNAME
            && let Some(alias) = zone.published(&relative, "CNAME", delay)
            && let Some(target) = alias.values.first().and_then(|target| absolute(target, apex))
        {
            let data = RData::CNAME(CNAME(target.clone()));
            sections.answers.push(Record::from_rdata(name, alias.ttl, data));
            name = target.to_lowercase();
            continue;
        }
        let found = records(zone, apex, &relative, kind, &name, delay);
        if found.is_empty() {
            let exists = zone.exists(&relative, delay) || !sections.answers.is_empty();
            sections.code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
            sections.authorities.extend(soa(apex));
        }
        sections.answers.extend(found);
        return sections;
    }
    // A circle: the server gives what it has followed, as BIND and Knot do.
    sections
}

fn records(
    zone: &Zone,
    apex: &str,
    relative: &str,
    kind: RecordType,
    name: &Name,
    delay: Duration,
) -> Vec<Record> {
    if relative == "@" && kind == RecordType::SOA {
        return soa(apex).into_iter().collect();
    }
    let Some(rrset) = zone.published(relative, &kind.to_string(), delay) else {
        if relative == "@" && kind == RecordType::NS {
            let server = |server: String| {
                Some(Record::from_rdata(name.clone(), 10_800, RData::NS(NS(absolute(&server, "")?))))
            };
            return server_names(apex).into_iter().filter_map(server).collect();
        }
        return Vec::new();
    };
    let mut records: Vec<Record> = rrset
        .values
        .iter()
        .filter_map(|value| Some(Record::from_rdata(name.clone(), rrset.ttl, data(kind, value, apex)?)))
        .collect();
    fastrand::shuffle(&mut records);
    records
}

fn data(kind: RecordType, value: &str, apex: &str) -> Option<RData> {
    match kind {
        RecordType::TXT => {
            let text = unquoted(value);
            let mut chunks: Vec<&[u8]> = text.as_bytes().chunks(255).collect();
            if chunks.is_empty() {
                chunks.push(b"");
            }
            Some(RData::TXT(TXT::from_bytes(chunks)))
        }
        RecordType::A => Some(RData::A(A(value.parse().ok()?))),
        RecordType::AAAA => Some(RData::AAAA(AAAA(value.parse().ok()?))),
        RecordType::CNAME => Some(RData::CNAME(CNAME(absolute(value, apex)?))),
        RecordType::CAA => caa(value),
        RecordType::NS => Some(RData::NS(NS(absolute(value, apex)?))),
        _ => RData::try_from_str(kind, value).ok(),
    }
}

/// A delegation on the way to the name: NS below the apex.
fn referral(zone: &Zone, apex: &str, relative: &str, delay: Duration) -> Option<Sections> {
    if relative == "@" {
        return None;
    }
    let labels: Vec<&str> = relative.split('.').collect();
    for begin in (0..labels.len()).rev() {
        let cut = labels[begin..].join(".");
        let Some(Rrset { ttl, values }) = zone.published(&cut, "NS", delay) else { continue };
        let owner = absolute(&cut, apex)?;
        let server = |value: &String| {
            Some(Record::from_rdata(owner.clone(), *ttl, RData::NS(NS(absolute(value, apex)?))))
        };
        return Some(Sections {
            authorities: values.iter().filter_map(server).collect(),
            ..Sections::default()
        });
    }
    None
}

fn soa(apex: &str) -> Option<Record> {
    let name = absolute(apex, "")?;
    let [server, ..] = server_names(apex);
    let mail = absolute("hostmaster.gandi.net", "")?;
    let data = SOA::new(absolute(&server, "")?, mail, 1, 10_800, 3600, 604_800, NEGATIVE_TTL);
    Some(Record::from_rdata(name, NEGATIVE_TTL, RData::SOA(data)))
}

/// Addresses of the name servers themselves: server `a` is the first address that is listened at, and so on; further
/// addresses belong to `a`.
fn server_address(state: &State, fqdn: &str, kind: RecordType, name: &Name) -> Option<Vec<Record>> {
    let letter = fqdn.strip_prefix("ns-")?.strip_suffix(".gandi.net")?.rsplit('-').next()?;
    let wanted = ["a", "b", "c"].iter().position(|known| *known == letter)?;
    let own = |(index, _): &(usize, &SocketAddr)| if *index < 3 { *index == wanted } else { wanted == 0 };
    let record = |(_, address): (usize, &SocketAddr)| match (address.ip(), kind) {
        (IpAddr::V4(ip), RecordType::A) => Some(Record::from_rdata(name.clone(), 300, RData::A(A(ip)))),
        (IpAddr::V6(ip), RecordType::AAAA) => {
            Some(Record::from_rdata(name.clone(), 300, RData::AAAA(AAAA(ip))))
        }
        _ => None,
    };
    Some(state.dns_addrs.iter().enumerate().filter(own).filter_map(record).collect())
}

/// A name of a record's value: relative to the zone unless it ends in a dot or there is no zone.
fn absolute(name: &str, apex: &str) -> Option<Name> {
    let full = match (name.strip_suffix('.'), apex) {
        (Some(full), _) => full.to_owned(),
        (None, "") => name.to_owned(),
        (None, apex) => format!("{name}.{apex}"),
    };
    let mut name = Name::from_ascii(full).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// `0 issue "letsencrypt.org"` as a record.
fn caa(value: &str) -> Option<RData> {
    let mut words = value.splitn(3, ' ');
    let (flags, tag, value) = (words.next()?.parse::<u8>().ok()?, words.next()?, words.next()?);
    let mut caa = hickory_proto::rr::rdata::CAA::new_issue(flags & 128 != 0, None, Vec::new());
    caa.tag = tag.to_owned();
    caa.value = value.trim_matches('"').as_bytes().to_vec();
    Some(RData::CAA(caa))
}

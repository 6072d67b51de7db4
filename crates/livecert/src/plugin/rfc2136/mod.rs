//! The plugin `rfc2136`: dynamic updates (RFC 2136) of a name server of one's own, signed with a key (TSIG, RFC 8945).
//!
//! A value is one record, which is added to an rrset or deleted from it by the server itself (§2.5.1, §2.5.4): values of
//! others are never read back and written again, so nobody's can get lost. All names of one zone go in one update.

mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod message;
mod server;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, RecordType, TSigner};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

pub use self::error::UpdateError;
use self::server::Server;
use super::group::{Group, at_once, group, side_by_side};
use super::{
    ArgumentError, Arguments, Connected, CredentialReport, CredentialState, Need, Parameter, ParameterKind,
    Pending, Plugin, PluginError, PluginInfo, ProofKind, Surroundings, Survey, TxtRecord, Withdrawn,
};

const NAMESERVER: &str = "RFC2136Nameserver";
const PORT: &str = "RFC2136Port";
const KEY: &str = "RFC2136TSIGKey";
const SECRET: &str = "RFC2136TSIGSecret";
const ALGORITHM: &str = "RFC2136TSIGAlgorithm";
const ZONE: &str = "RFC2136Zone";
const TTL: &str = "RFC2136TTL";

const ALGORITHMS: [(&str, TsigAlgorithm); 3] = [
    ("hmac-sha256", TsigAlgorithm::HmacSha256),
    ("hmac-sha384", TsigAlgorithm::HmacSha384),
    ("hmac-sha512", TsigAlgorithm::HmacSha512),
];

/// The port of DNS.
const DNS: u16 = 53;
/// TTL of new rrsets, in seconds.
const DEFAULT_TTL: u32 = 60;
/// How much the clocks may differ, in seconds: what RFC 8945 §10 recommends.
const FUDGE: u16 = 300;
/// Names in one update. One with 100 has some 25 kB; 64 kB is the most that a message can have.
const NAMES: usize = 100;

const GUIDE: &str = "\
The primary name server of the zone (BIND, Knot, PowerDNS …) has to take dynamic updates, best from
one key alone and for TXT records alone. Make a key, on either machine:

    tsig-keygen -a hmac-sha256 livecert        # with BIND
    keymgr -t livecert hmac-sha256             # with Knot

BIND, in the zone ('zonesub TXT' instead of the name allows all names):

    update-policy { grant livecert name _acme-challenge.example.com. TXT; };

Knot:

    acl:
      - id: livecert
        key: livecert
        action: update
        update-type: TXT
    zone:
      - domain: example.com
        acl: livecert

Put the secret (the base64 text alone) into a file that its user alone can read, and name that file:

    livecert issue example.com '*.example.com' --plugin rfc2136 \\
        --plugin-arg RFC2136Nameserver=ns1.example.com \\
        --plugin-arg RFC2136TSIGKey=livecert \\
        --plugin-arg RFC2136TSIGSecret=file:/etc/livecert/tsig.secret --accept-tos

The zone is asked of that server: the deepest one that it has for a name. Where it does not answer
questions, RFC2136Zone names the zones. Without a key nothing is signed, and the server has to know
this machine by its address.
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "rfc2136",
    summary: "writes the TXT records by dynamic updates of your own name server, signed with TSIG",
    proofs: &[ProofKind::Txt],
    guide: GUIDE,
    parameters: &[
        Parameter::new(
            NAMESERVER,
            ParameterKind::Plain,
            "name or address of the zone's primary server, with :PORT where that is not 53",
        )
        .needed(Need::Required)
        .or(&["RFC2136Server", "DDNSNameserver"]),
        Parameter::new(KEY, ParameterKind::Plain, "name of the key")
            .needed(Need::With(SECRET))
            .or(&["RFC2136Name", "DDNSKeyName"]),
        Parameter::new(SECRET, ParameterKind::Secret, "secret of the key, base64")
            .needed(Need::With(KEY))
            .or(&["RFC2136Secret", "DDNSKeyValue"]),
        Parameter::new(
            ALGORITHM,
            ParameterKind::Choice(&[ALGORITHMS[0].0, ALGORITHMS[1].0, ALGORITHMS[2].0]),
            "algorithm of the key [default: hmac-sha256]",
        )
        .or(&["RFC2136Algorithm", "DDNSKeyType"]),
        Parameter::new(
            ZONE,
            ParameterKind::Plain,
            "zones, with commas between them, where the server is not to be asked for them",
        )
        .or(&["DDNSZone"]),
        Parameter::new(
            TTL,
            ParameterKind::Number { of: "seconds", least: 0, most: 604_800 },
            "TTL of new records; values of others there keep theirs [default: 60]",
        ),
        Parameter::new(
            PORT,
            ParameterKind::Number { of: "", least: 1, most: 65535 },
            "the port [default: 53]",
        )
        .or(&["DDNSPort"]),
    ],
    environment: &[],
    sweeps: true,
    alone: false,
    shared: false,
    connect,
};

fn connect(arguments: &Arguments, _: &Surroundings) -> Result<Connected, ArgumentError> {
    let port = arguments.number(PORT).and_then(|port| u16::try_from(port).ok());
    let (host, port) = host_and_port(arguments.plain(NAMESERVER).unwrap_or_default(), port)?;
    let zones = arguments.plain(ZONE).unwrap_or_default().split(',').map(str::trim);
    let zones = zones.filter(|zone| !zone.is_empty()).map(|zone| name(ZONE, zone));
    let ttl = arguments.number(TTL).and_then(|ttl| u32::try_from(ttl).ok());
    Ok(Connected::Dns(Arc::new(Rfc2136 {
        server: Server { host, port, signer: signer(arguments)? },
        given: zones.collect::<Result<_, _>>()?,
        ttl: ttl.unwrap_or(DEFAULT_TTL),
        zones: Mutex::default(),
    })))
}

fn invalid(parameter: &'static str, reason: impl Into<String>) -> ArgumentError {
    ArgumentError::Invalid { parameter, reason: reason.into() }
}

/// A name or an address, each with or without a port.
fn host_and_port(text: &str, port: Option<u16>) -> Result<(String, u16), ArgumentError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let (host, own) = if let Ok(address) = bare.parse::<IpAddr>() {
        (address.to_string(), None)
    } else if let Ok(address) = text.parse::<SocketAddr>() {
        (address.ip().to_string(), Some(address.port()))
    } else {
        let (host, own) = match text.split_once(':') {
            Some((host, port)) => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                let wrong = || invalid(NAMESERVER, format!("'{text}' has no port after its ':'"));
                (host, Some(port.ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(invalid(NAMESERVER, format!("'{text}' is neither a name nor an address")));
        }
        (host.to_owned(), own)
    };
    match (own, port) {
        (Some(own), Some(port)) if own != port => {
            Err(invalid(PORT, format!("{NAMESERVER} has the port {own} already")))
        }
        _ => Ok((host, own.or(port).unwrap_or(DNS))),
    }
}

fn name(parameter: &'static str, text: &str) -> Result<Name, ArgumentError> {
    let wrong = |error: &dyn std::fmt::Display| invalid(parameter, format!("'{text}' is no name: {error}"));
    let name = Name::from_ascii(text.to_ascii_lowercase()).map_err(|error| wrong(&error))?;
    if name.is_root() {
        return Err(wrong(&"it is empty"));
    }
    let mut name = name;
    name.set_fqdn(true);
    Ok(name)
}

fn signer(arguments: &Arguments) -> Result<Option<TSigner>, ArgumentError> {
    let (Some(key), Some(secret)) = (arguments.plain(KEY), arguments.secret(SECRET)) else {
        return Ok(None);
    };
    let text: Zeroizing<String> = Zeroizing::new(secret.expose_secret().split_whitespace().collect());
    // No reason from the decoder: it would repeat a part of the secret.
    let secret = BASE64_STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
    let secret = secret.map_err(|_| invalid(SECRET, "the secret is not base64"))?;
    let word = arguments.plain(ALGORITHM).unwrap_or(ALGORITHMS[0].0);
    let algorithm = ALGORITHMS.iter().find(|(name, _)| *name == word).map(|(_, algorithm)| algorithm);
    let algorithm = algorithm.ok_or_else(|| invalid(ALGORITHM, "it is not known"))?.clone();
    let signer = TSigner::new(secret.to_vec(), algorithm, name(KEY, key)?, FUDGE);
    signer.map(Some).map_err(|error| invalid(ALGORITHM, error.to_string()))
}

struct Rfc2136 {
    server: Server,
    /// Zones that the server is not to be asked for.
    given: Vec<Name>,
    ttl: u32,
    /// What the server has said so far, by names.
    zones: Mutex<BTreeMap<String, Name>>,
}

/// A name with its zone and with what is to be done there.
struct Place<'a> {
    group: &'a Group<'a>,
    name: Name,
    zone: Name,
}

/// The rrset at a name.
struct Rrset {
    ttl: u32,
    values: Vec<String>,
}

impl Rfc2136 {
    async fn place<'a>(&self, group: &'a Group<'a>) -> Result<Place<'a>, PluginError> {
        let placed = async {
            let name = message::absolute(group.fqdn);
            let zone = self.zone(group.fqdn, &name).await?;
            Ok(Place { group, name, zone })
        };
        placed.await.map_err(|source| failed(group, source))
    }

    /// The deepest zone above a name that the server has.
    async fn zone(&self, fqdn: &str, name: &Name) -> Result<Name, UpdateError> {
        if !self.given.is_empty() {
            let above = self.given.iter().filter(|zone| zone.zone_of(name));
            let deepest = above.max_by_key(|zone| zone.num_labels()).cloned();
            let zones = || self.given.iter().map(message::text).collect();
            return deepest.ok_or_else(|| UpdateError::OtherZones { zones: zones() });
        }
        let known = self.zones.lock().unwrap_or_else(PoisonError::into_inner).get(fqdn).cloned();
        if let Some(zone) = known {
            return Ok(zone);
        }
        let answer = self.server.exchange(message::question(name, RecordType::SOA)).await;
        let zone = answer.and_then(|answer| message::zone_of(&answer, name)).map_err(without_zone)?;
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(fqdn.to_owned(), zone.clone());
        Ok(zone)
    }

    /// What is there now.
    async fn rrset(&self, name: &Name) -> Result<Option<Rrset>, UpdateError> {
        let answer = self.server.exchange(message::question(name, RecordType::TXT)).await?;
        message::rrset(&answer, name)
    }

    /// The records that have to be added, with the TTL of what is there.
    async fn lacking(&self, place: &Place<'_>) -> Result<Vec<(Name, u32, String)>, PluginError> {
        let there = self.rrset(&place.name).await.map_err(|source| failed(place.group, source))?;
        let ttl = there.as_ref().map_or(self.ttl, |rrset| rrset.ttl);
        let has = |value: &String| there.as_ref().is_some_and(|rrset| rrset.values.contains(value));
        let values = place.group.values().into_iter().filter(|value| !has(value));
        Ok(values.map(|value| (place.name.clone(), ttl, value)).collect())
    }

    async fn add(&self, zone: &Name, places: &[Place<'_>]) -> Result<(), PluginError> {
        let Some(first) = places.first() else { return Ok(()) };
        let lacking = side_by_side(places.iter().map(|place| self.lacking(place))).await;
        let records = lacking.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        if records.is_empty() {
            return Ok(());
        }
        let update = message::addition(zone, &records);
        let answer = self.server.exchange(update).await.and_then(server::Answer::accepted);
        answer.map_err(|source| failed(first.group, source))?;
        tracing::info!(zone = message::text(zone), records = records.len(), "published");
        Ok(())
    }

    async fn remove(&self, zone: &Name, places: &[Place<'_>]) -> Result<(), UpdateError> {
        let values = |place: &Place<'_>| {
            let name = place.name.clone();
            place.group.values().into_iter().map(move |value| (name.clone(), value)).collect::<Vec<_>>()
        };
        let update = message::deletion(zone, &places.iter().flat_map(values).collect::<Vec<_>>());
        self.server.exchange(update).await.and_then(server::Answer::accepted)?;
        tracing::info!(zone = message::text(zone), names = places.len(), "withdrawn");
        Ok(())
    }

    async fn survey_one(&self, group: &Group<'_>) -> Result<Survey, PluginError> {
        let place = self.place(group).await?;
        let there = self.rrset(&place.name).await.map_err(|source| failed(group, source))?;
        let quoted = |value: &String| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        Ok(Survey {
            fqdn: group.fqdn.to_owned(),
            zone: message::text(&place.zone),
            // A hidden primary is not among them, and who is can be seen in public.
            name_servers: Vec::new(),
            there: there.map(|rrset| (rrset.ttl, rrset.values.iter().map(quoted).collect())),
        })
    }
}

/// A server that refuses to be asked for a zone has none there for us.
fn without_zone(error: UpdateError) -> UpdateError {
    match error {
        UpdateError::Refused { server, code } if code == u16::from(ResponseCode::Refused) => {
            UpdateError::NoZone { server }
        }
        other => other,
    }
}

fn failed(group: &Group<'_>, source: UpdateError) -> PluginError {
    PluginError::Update { fqdn: group.fqdn.to_owned(), source }
}

/// The places of each zone, as many as fit into one update.
fn by_zone<'a>(places: Vec<Place<'a>>) -> Vec<(Name, Vec<Place<'a>>)> {
    let mut zones = BTreeMap::<Name, Vec<Place<'a>>>::new();
    for place in places {
        zones.entry(place.zone.clone()).or_default().push(place);
    }
    let mut updates = Vec::new();
    for (zone, mut places) in zones {
        while !places.is_empty() {
            let rest = places.split_off(places.len().min(NAMES));
            updates.push((zone.clone(), std::mem::replace(&mut places, rest)));
        }
    }
    updates
}

/// How the key stands, by what came of a question that it has signed; or the error, if that is about the name.
fn about_the_key(error: PluginError) -> Result<CredentialState, PluginError> {
    match &error {
        PluginError::Update { source, .. } if source.is_about_the_key() => {
            Ok(CredentialState::Refused(error))
        }
        PluginError::Update { source, .. } if source.is_silence() => Ok(CredentialState::Unknown(error)),
        _ => Err(error),
    }
}

impl Plugin for Rfc2136 {
    fn prepare<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            let places = side_by_side(groups.iter().map(|group| self.place(group))).await;
            places.into_iter().try_for_each(|place| place.map(drop))
        })
    }

    fn credential<'a>(&'a self, names: &'a [String]) -> Pending<'a, Option<CredentialReport>> {
        Box::pin(async move {
            if names.is_empty() {
                return None;
            }
            let record = |name: &String| TxtRecord { fqdn: name.clone(), value: String::new(), apex: None };
            let records: Vec<_> = names.iter().map(record).collect();
            let groups = group(&records);
            let places = side_by_side(groups.iter().map(|group| self.place(group))).await;
            let (mut state, mut uncovered) = (CredentialState::Valid, Vec::new());
            for (group, place) in groups.iter().zip(places) {
                match place.map(drop).map_err(about_the_key) {
                    Ok(()) => {}
                    Err(Ok(worse)) => state = worse,
                    Err(Err(error)) => uncovered.push((group.fqdn.to_owned(), error)),
                }
            }
            let name = self.server.signer.as_ref().map(|signer| message::text(signer.signer_name()));
            Some(CredentialReport {
                kind: if name.is_some() { "TSIG key" } else { "access without a key" },
                state,
                name,
                expires: None,
                permissions: Vec::new(),
                lacks: Vec::new(),
                domains: Vec::new(),
                uncovered,
            })
        })
    }

    fn survey<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<Vec<Survey>, PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            side_by_side(groups.iter().map(|group| self.survey_one(group))).await.into_iter().collect()
        })
    }

    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            let places = side_by_side(groups.iter().map(|group| self.place(group))).await;
            let updates = by_zone(places.into_iter().collect::<Result<_, _>>()?);
            // One after the other: a server writes a zone by one update at a time anyway.
            at_once(1, updates.iter().map(|(zone, places)| self.add(zone, places)))
                .await
                .into_iter()
                .collect()
        })
    }

    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn> {
        Box::pin(async move {
            let groups = group(records);
            let mut withdrawn = Withdrawn::default();
            let mut places = Vec::new();
            let found = side_by_side(groups.iter().map(|group| self.place(group))).await;
            for (group, place) in groups.iter().zip(found) {
                match place {
                    Ok(place) => places.push(place),
                    Err(error) => withdrawn.leftovers.extend(group.leftovers(error)),
                }
            }
            for (zone, places) in by_zone(places) {
                if let Err(source) = self.remove(&zone, &places).await
                    && let Some(first) = places.first()
                {
                    let records = places.iter().flat_map(|place| place.group.records.iter().copied());
                    let all = Group { fqdn: first.group.fqdn, apex: None, records: records.collect() };
                    withdrawn.leftovers.extend(all.leftovers(failed(first.group, source)));
                }
            }
            withdrawn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, port, host, expected) in [
            ("ns1.example.com", None, "ns1.example.com", 53),
            ("ns1.example.com.", Some(5353), "ns1.example.com", 5353),
            ("ns1.example.com:54", None, "ns1.example.com", 54),
            ("192.0.2.1", None, "192.0.2.1", 53),
            ("192.0.2.1:54", Some(54), "192.0.2.1", 54),
            ("2001:db8::1", None, "2001:db8::1", 53),
            ("[2001:db8::1]", Some(54), "2001:db8::1", 54),
            ("[2001:db8::1]:54", None, "2001:db8::1", 54),
        ] {
            assert_eq!(host_and_port(text, port).unwrap(), (host.to_owned(), expected), "{text}");
        }
        for (text, port) in
            [("", None), ("a b", None), ("ns1:", None), ("ns1:0", None), ("ns1:54", Some(53)), ("[::1", None)]
        {
            assert!(matches!(host_and_port(text, port), Err(ArgumentError::Invalid { .. })), "{text}");
        }
    }
}

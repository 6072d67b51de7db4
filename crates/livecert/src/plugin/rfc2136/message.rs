//! The messages: questions for a zone and for an rrset, additions and deletions (RFC 2136), and what the answers mean.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::server::Answer;
use super::{Rrset, UpdateError};

/// A name of a record: the certificate service gives only such as DNS can have.
pub(super) fn absolute(fqdn: &str) -> Name {
    let mut name = Name::from_ascii(fqdn).unwrap_or_default();
    name.set_fqdn(true);
    name
}

/// A name without its last dot.
pub(super) fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

fn new(op_code: OpCode) -> Message {
    // Nobody can answer from beside the way: it goes over TCP, and is signed.
    Message::new(fastrand::u16(..), MessageType::Query, op_code)
}

pub(super) fn question(name: &Name, kind: RecordType) -> Message {
    let mut message = new(OpCode::Query);
    message.add_query(Query::query(name.clone(), kind));
    message
}

/// An update of `zone`: its zone section is in the place of a question (RFC 2136 §2.3), its updates are in that of the
/// authority (§2.5).
fn update(zone: &Name, updates: impl Iterator<Item = Record>) -> Message {
    let mut message = new(OpCode::Update);
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    message.authorities.extend(updates);
    message
}

fn record(name: &Name, ttl: u32, value: &str) -> Record {
    Record::from_rdata(name.clone(), ttl, RData::TXT(TXT::new(vec![value.to_owned()])))
}

/// Adds records to their rrsets (RFC 2136 §2.5.1). One that is there already stays as it is.
pub(super) fn addition(zone: &Name, records: &[(Name, u32, String)]) -> Message {
    update(zone, records.iter().map(|(name, ttl, value)| record(name, *ttl, value)))
}

/// Deletes records from their rrsets (RFC 2136 §2.5.4). One that is not there is passed over.
pub(super) fn deletion(zone: &Name, records: &[(Name, String)]) -> Message {
    let delete = |(name, value): &(Name, String)| {
        let mut record = record(name, 0, value);
        record.dns_class = DNSClass::NONE;
        record
    };
    update(zone, records.iter().map(delete))
}

/// The zone of `name`, by the answer to a question for an SOA there: the record is the name's own, or with the word that
/// there is none it is the zone's (RFC 2308 §3).
pub(super) fn zone_of(answer: &Answer, name: &Name) -> Result<Name, UpdateError> {
    let (message, server) = (&answer.message, answer.server);
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(UpdateError::Refused { server, code: code.into() });
    }
    alias(answer, name)?;
    let all = message.answers.iter().chain(&message.authorities);
    let mut soa = all.filter(|record| record.record_type() == RecordType::SOA);
    match soa.find(|record| record.name.zone_of(name)) {
        Some(soa) if message.metadata.authoritative => Ok(soa.name.to_lowercase()),
        _ => Err(UpdateError::NoZone { server }),
    }
}

/// The TXT rrset at `name`.
pub(super) fn rrset(answer: &Answer, name: &Name) -> Result<Option<Rrset>, UpdateError> {
    let (message, server) = (&answer.message, answer.server);
    match message.metadata.response_code {
        ResponseCode::NXDomain => return Ok(None),
        ResponseCode::NoError => {}
        code => return Err(UpdateError::Refused { server, code: code.into() }),
    }
    alias(answer, name)?;
    let mut found = None;
    for answer in message.answers.iter().filter(|record| record.name == *name) {
        if let RData::TXT(txt) = &answer.data {
            let rrset = found.get_or_insert(Rrset { ttl: answer.ttl, values: Vec::new() });
            rrset.values.push(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned());
        }
    }
    Ok(found)
}

fn alias(answer: &Answer, name: &Name) -> Result<(), UpdateError> {
    let target = answer.message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *name => Some(text(&target.0)),
        _ => None,
    });
    target.map_or(Ok(()), |target| Err(UpdateError::Alias { server: answer.server, target }))
}

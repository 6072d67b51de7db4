//! A fuzz target: packets that name servers and resolvers send, and all that is read from them.

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use super::authority::{Authority, MAX_SERVERS, Step, name_servers, soa_owner, step};
use super::caa::{CaaApplicant, CaaSet, caa_records};
use super::exchange::{absolute, answers, question};
use super::propagation::txt_values;

pub(crate) fn answer(packet: &[u8]) {
    let Ok(message) = Message::from_vec(packet) else { return };
    let Ok(name) = absolute("_acme-challenge.a.example") else { return };
    let mut query = question(&name, RecordType::TXT, false);
    query.metadata.id = message.metadata.id;
    let _ = answers(&message, &query);

    let texts = txt_values(&message);
    assert!(texts.iter().map(String::len).sum::<usize>() <= 4 * usize::from(u16::MAX));
    // Any owner counts as ours, so that mutations need not meet a name.
    let owners = message.answers.iter().chain(&message.authorities).map(|record| record.name.clone());
    for owner in owners.chain([name]) {
        assert!(name_servers(&message.answers, &owner).len() <= MAX_SERVERS);
        let authority = Authority { zone: "example".to_owned(), servers: Vec::new() };
        match step(&authority, &owner, &message) {
            Ok(Step::Referral { zone, servers }) => {
                assert!(zone.zone_of(&owner) && servers.len() <= MAX_SERVERS);
            }
            Ok(Step::Cname(target)) => assert!(target.to_ascii().len() <= 4 * 255),
            Ok(Step::Here { .. }) | Err(_) => {}
        }
    }
    let _ = soa_owner(&message);

    let set = CaaSet { domain: "a.example".to_owned(), records: caa_records(&message) };
    let (identities, methods) = (["ca.example".to_owned()], ["dns-01".to_owned()]);
    let applicant =
        CaaApplicant { identities: &identities, account: Some("https://ca/1"), methods: &methods };
    let _ = (set.allows(&applicant, false), set.allows(&applicant, true));
}

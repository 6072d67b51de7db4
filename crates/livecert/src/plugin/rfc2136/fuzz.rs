//! A fuzz target: what a server, or somebody in its place, answers to signed questions and updates.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, TSigner};

use super::message::{absolute, rrset, zone_of};
use super::server::{Answer, believe};

pub(crate) fn answer(packet: &[u8]) {
    let Ok(message) = Message::from_vec(packet) else { return };
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let key = Name::from_ascii("livecert.").unwrap_or_default();
    if let Ok(signer) = TSigner::new(b"nobody knows it".to_vec(), TsigAlgorithm::HmacSha256, key, 300) {
        let error = believe(&signer, server, packet, &message, b"the question's");
        assert!(error.is_err(), "it was believed without a signature");
        let _ = error.map_err(|error| error.to_string());
    }
    let name = absolute("_acme-challenge.a.example");
    // Any owner counts as ours, so that mutations need not meet a name.
    let owners = message.answers.iter().chain(&message.authorities).map(|record| record.name.clone());
    let owners: Vec<_> = owners.chain([name]).collect();
    let answer = Answer { server, message };
    for owner in owners {
        if let Ok(zone) = zone_of(&answer, &owner) {
            assert!(zone.zone_of(&owner), "{zone} is not above {owner}");
        }
        if let Ok(Some(rrset)) = rrset(&answer, &owner) {
            assert!(rrset.values.iter().map(String::len).sum::<usize>() <= 4 * usize::from(u16::MAX));
        }
    }
    let _ = answer.accepted().map_err(|error| error.to_string());
}

//! What is asked of each client.

use std::time::Duration;

use super::peer::{Peer, Waits};

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    shape: Shape,
    /// How many certificates; each client makes them as it can.
    certificates: usize,
    /// Whether they are renewed, and were there before.
    pub(super) renewals: bool,
    /// The round trip to every server.
    pub(super) distance: Duration,
    /// What the clients write is kept in memory: what is left is the protocol's share.
    pub(super) in_memory: bool,
    /// The clients that can be asked for it; none means all, but for the bare program that keeps what it gets.
    only: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    One,
    Wildcard,
    /// So many names, over so many zones.
    Many(usize, usize),
    /// One name, each certificate's in another of so many zones.
    Spread(usize),
}

const NEAR: Duration = Duration::ZERO;
const FAR: Duration = Duration::from_millis(50);

const fn case(id: &'static str, title: &'static str, shape: Shape, distance: Duration) -> Case {
    let (renewals, in_memory) = (false, false);
    Case { id, title, shape, certificates: 1, renewals, distance, in_memory, only: &[] }
}

impl Case {
    const THOUSAND: Case = Case {
        certificates: 1000,
        only: &["livecert", "floor", "floor-on-disk"],
        ..case("thousand", "1,000 certificates, 100 zones", Shape::Spread(100), NEAR)
    };

    pub(super) const ALL: [Case; 9] = [
        case("one", "one name", Shape::One, NEAR),
        case("wildcard", "apex + wildcard", Shape::Wildcard, NEAR),
        case("twenty", "20 names, one zone", Shape::Many(20, 1), NEAR),
        case("hundred", "100 names, ten zones", Shape::Many(100, 10), NEAR),
        Case {
            certificates: 20,
            renewals: true,
            ..case("renewals", "20 certificates renewed", Shape::One, NEAR)
        },
        Self::THOUSAND,
        Case {
            id: "thousand-in-memory",
            title: "1,000 certificates, 100 zones, without a disk",
            in_memory: true,
            only: &["livecert", "floor"],
            ..Self::THOUSAND
        },
        case("far-one", "one name, 50 ms away", Shape::One, FAR),
        case("far-twenty", "20 names, 50 ms away", Shape::Many(20, 1), FAR),
    ];

    /// The names of each certificate. No other client and no other round has the same, since a CA that knows a name for
    /// proved makes a run short.
    pub(super) fn certificates(&self, client: &str, round: u32) -> Vec<Vec<String>> {
        let one = |number: usize| -> Vec<String> {
            let host = format!("r{round}c{number}.{client}.{}.example.com", self.id);
            match self.shape {
                Shape::One => vec![host],
                Shape::Spread(zones) => {
                    vec![format!("r{round}c{number}.{client}.zone{}.example", number % zones)]
                }
                Shape::Wildcard => vec![format!("*.{host}"), host],
                Shape::Many(names, zones) => (0..names)
                    .map(|name| match zones {
                        1 => format!("h{name}.{host}"),
                        _ => format!("h{name}.r{round}.{client}.zone{}.example", name % zones),
                    })
                    .collect(),
            }
        };
        // A renewal is of the same certificates in every round.
        let round_of = |number: usize| {
            if self.renewals { vec![format!("c{number}.{client}.renewed.example.com")] } else { one(number) }
        };
        (0..self.certificates).map(round_of).collect()
    }

    /// Names in all.
    fn names(&self) -> usize {
        match self.shape {
            Shape::Many(names, _) => names,
            _ => self.certificates,
        }
    }

    /// Whether this client can be asked for it.
    pub(super) fn is_for(&self, client: &str) -> bool {
        match self.only {
            // What the disk costs shows where there are many.
            [] => client != "floor-on-disk",
            only => only.contains(&client),
        }
    }

    /// Whether it is left out for this client, because of the time that it would take.
    pub(super) fn is_too_long_for(&self, client: &str, waits: Waits) -> bool {
        match client {
            // By itself it sleeps for 20 s before it looks, for one name after the other.
            "lego" => waits == Waits::Default && self.names() > 4,
            "dehydrated" => self.names() > 2,
            "certbot" | "certbot-multi" => self.certificates > 2,
            _ => false,
        }
    }

    /// How long a client may take. After that, Pebble has come to a halt, and the run is begun anew.
    pub(super) fn patience(client: &str) -> Duration {
        match client {
            // Those that have many requests under way at once are done within seconds.
            "livecert" | "floor" | "floor-on-disk" => Duration::from_secs(30),
            // The longest took seven minutes.
            _ => Duration::from_secs(30 * 60),
        }
    }

    /// How often a client is taken through it: what takes minutes is not repeated.
    pub(super) fn rounds(&self, peer: &dyn Peer, waits: Waits) -> u32 {
        match (peer.is_slow(), waits, self.names()) {
            (false, ..) => u32::MAX,
            (true, Waits::Least, 1..=2) => 3,
            _ => 1,
        }
    }
}

//! The certificates of the soak: apexes and wildcards, several names over two zones, names that are led into one rrset,
//! names of two organisations, two accounts, and a CA that does not say what is due.

/// Zones of the first organisation.
pub(super) const ZONES: usize = 40;
/// Zones of the second one, with a token of its own.
const SHOPS: usize = 4;
/// Certificates of the CA that does not say what is due.
const STRICT: usize = 8;
/// The zone that challenges of all others are led into.
pub(super) const SHARED: &str = "shared.example";
/// The rrset there.
pub(super) const HUB: &str = "hub";

/// Which CA a certificate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// The one that says what is due, with this account.
    Kind(&'static str),
    /// The one that does not, and that is asked by force.
    Strict,
}

/// A certificate.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) cert: String,
    pub(super) names: Vec<String>,
    pub(super) home: Home,
    /// Credentials that write its records.
    pub(super) credentials: &'static [&'static str],
}

/// The zone with this number.
pub(super) fn zone(number: usize) -> String {
    format!("zone{}.example", number % ZONES)
}

fn shop(number: usize) -> String {
    format!("shop{number}.example")
}

/// All zones.
pub(super) fn zones() -> Vec<String> {
    (0..ZONES).map(zone).chain((0..SHOPS).map(shop)).chain([SHARED.to_owned()]).collect()
}

/// Those of the second organisation.
pub(super) fn shops() -> Vec<String> {
    (0..SHOPS).map(shop).collect()
}

/// All certificates that are there from the start.
pub(super) fn certificates() -> Vec<Planned> {
    const CLUB: &[&str] = &["club"];
    let mut all = Vec::new();
    let mut add = |cert: String, names: Vec<String>, home, credentials| {
        all.push(Planned { cert, names, home, credentials });
    };
    let (first, second) = (Home::Kind("first"), Home::Kind("second"));
    for number in 0..ZONES {
        let (zone, next) = (zone(number), zone(number + 1));
        add(format!("apex{number}"), vec![zone.clone(), format!("*.{zone}")], first, CLUB);
        add(format!("api{number}"), vec![zone.clone(), format!("api.{zone}")], second, CLUB);
        add(format!("www{number}"), vec![format!("www.{zone}")], first, CLUB);
        let several = vec![format!("a.{zone}"), format!("b.{zone}"), format!("a.{next}")];
        add(format!("san{number}"), several, second, CLUB);
        add(format!("sub{number}"), vec![format!("sub.{zone}"), format!("*.sub.{zone}")], first, CLUB);
        if number % 4 == 0 {
            add(format!("alias{number}"), vec![format!("alias.{zone}")], first, CLUB);
        }
    }
    for number in 0..SHOPS {
        let (shop, zone) = (shop(number), zone(number));
        add(format!("shop{number}"), vec![shop.clone(), format!("*.{shop}")], first, &["shop"]);
        let both = vec![format!("mix.{shop}"), format!("mix.{zone}")];
        add(format!("mix{number}"), both, second, &["club", "shop"]);
    }
    for number in 0..STRICT {
        add(format!("strict{number}"), vec![format!("strict.{}", zone(number))], Home::Strict, CLUB);
    }
    all
}

/// A certificate that nobody had before.
pub(super) fn fresh(number: usize, home: Home, rng: &mut fastrand::Rng) -> Planned {
    // Few zones, so that limits of a domain are reached.
    let zone = zone(rng.usize(..3));
    let names = vec![format!("new{number}.{zone}")];
    Planned { cert: format!("new{number}"), names, home, credentials: &["club"] }
}

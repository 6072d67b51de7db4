//! A CA's rate limits, as far as our own requests tell how much of them is used.
//!
//! The figures are those of <https://letsencrypt.org/docs/rate-limits/> (June 2025) and
//! <https://letsencrypt.org/docs/staging-environment/> (June 2024). A token comes back at a steady rate. An order that names
//! the certificate it replaces (RFC 9773) is exempt from all of them; one for the same names as a certificate before it is
//! from those of the account and of the registered domain. Orders count when they are made, certificates when they are got; an order
//! that may still give its certificate counts as if it gave it at this moment.
//! Others who get certificates for a domain are not known here, so a limit may be reached earlier than we think; it is never
//! reached later, unless the CA grants more.

mod bucket;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::issue::ORDER_CHANCE;
use super::servers::Servers;
use super::settings::Settings;
use super::work::Work;
use super::{CertificateError, ServerUrl, Service, with_causes};
use crate::store::{Asked, AskedFor, CertName, Exemption, Generation, Store, StoreError, Unsynced};

pub use bucket::{Fill, Limit, LimitError};
pub use report::{ServerLimits, Use, limits};

/// For how many of its periods a limit looks back: a bucket that was not full in all that time is rare, and what is forgotten
/// then only lets too much through.
const PERIODS: i32 = 8;
/// What is shown of servers whose limits are not known.
const SHOWN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// New orders of an account.
    Orders,
    /// New certificates for a registered domain.
    Domain,
    /// Certificates for exactly these names.
    Set,
    /// Failed validations of a name, by an account.
    Failures,
}

/// The limits of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    orders: Option<Limit>,
    domain: Option<Limit>,
    set: Option<Limit>,
    failures: Option<Limit>,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    kind: LimitKind,
    /// For limits of each account.
    account: Option<String>,
    /// The domain, names or name; empty for orders.
    about: String,
}

/// A limit that our own requests have used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub kind: LimitKind,
    /// How much it lets through.
    pub limit: Limit,
    /// The domain, names or name; empty for orders.
    pub about: String,
    /// When one more may come.
    pub until: Timestamp,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [LimitKind; 4] =
        [LimitKind::Orders, LimitKind::Domain, LimitKind::Set, LimitKind::Failures];

    /// In a word, as options and `--json` have it.
    pub fn word(self) -> &'static str {
        match self {
            LimitKind::Orders => "orders",
            LimitKind::Domain => "domain",
            LimitKind::Set => "set",
            LimitKind::Failures => "failures",
        }
    }
}

impl Limits {
    const LETS_ENCRYPT: Limits = Limits {
        orders: Some(Limit::fixed(300, 3)),
        domain: Some(Limit::fixed(50, 7 * 24)),
        set: Some(Limit::fixed(5, 7 * 24)),
        failures: Some(Limit::fixed(5, 1)),
    };
    const LETS_ENCRYPT_STAGING: Limits = Limits {
        orders: Some(Limit::fixed(1500, 3)),
        domain: Some(Limit::fixed(30_000, 7 * 24)),
        set: Some(Limit::fixed(30_000, 7 * 24)),
        failures: Some(Limit::fixed(60, 1)),
    };

    /// Those that are known of a server without a word of its user.
    pub(super) fn known(url: &ServerUrl) -> Self {
        match url.code() {
            Some("LE_PROD") => Limits::LETS_ENCRYPT,
            Some("LE_STAGE") => Limits::LETS_ENCRYPT_STAGING,
            _ => Limits::default(),
        }
    }

    /// The limit of a kind.
    pub fn of(&self, kind: LimitKind) -> Option<Limit> {
        match kind {
            LimitKind::Orders => self.orders,
            LimitKind::Domain => self.domain,
            LimitKind::Set => self.set,
            LimitKind::Failures => self.failures,
        }
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }

    /// Whether an entry still tells anything.
    fn needs(&self, entry: &Asked, now: Timestamp) -> bool {
        let kinds: &[LimitKind] = match entry.what {
            AskedFor::Order { .. } | AskedFor::NoOrder { .. } => &[LimitKind::Orders],
            // Of no use for longer than orders count as being under way.
            AskedFor::NoCertificate { .. } => &[],
            AskedFor::Certificate { .. } => &[LimitKind::Domain, LimitKind::Set],
            AskedFor::Failure { .. } => &[LimitKind::Failures],
        };
        let periods = kinds.iter().filter_map(|kind| self.of(*kind)).map(|limit| limit.period() * PERIODS);
        now.duration_since(entry.at) <= periods.chain([SHOWN]).max().unwrap_or(SHOWN)
    }

    /// The one of these limits that keeps an order for this certificate with these names waiting longest.
    fn reached(
        &self,
        asked: &[Asked],
        account: Option<&str>,
        (cert, names): (&str, &[String]),
        exemption: Exemption,
        now: Timestamp,
    ) -> Option<Reached> {
        if self.is_none() || exemption == Exemption::Replaces {
            return None;
        }
        let mut wanted = certificate_keys(names, exemption == Exemption::SameNames);
        if let Some(account) = account {
            let key = |kind, about| Key { kind, account: Some(account.to_owned()), about };
            if exemption == Exemption::None {
                wanted.push(key(LimitKind::Orders, String::new()));
            }
            wanted.extend(names.iter().map(|name| key(LimitKind::Failures, base(name).to_owned())));
        }
        let mut counted = counted(asked, now, Some((cert, names)));
        let reached = wanted.into_iter().filter_map(|key| {
            let limit = self.of(key.kind)?;
            let until = limit.fill(counted.remove(&key)?, now).next?;
            Some(Reached { kind: key.kind, limit, about: key.about, until })
        });
        reached.max_by_key(|reached| reached.until)
    }
}

/// As in `orders=300/3h,domain=50/7d`, or the name of what Let's Encrypt has.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Limits::LETS_ENCRYPT => return f.write_str("letsencrypt"),
            Limits::LETS_ENCRYPT_STAGING => return f.write_str("letsencrypt-staging"),
            _ if self.is_none() => return f.write_str("none"),
            _ => {}
        }
        let all = LimitKind::ALL.into_iter();
        let all = all.filter_map(|kind| Some(format!("{}={}", kind.word(), self.of(kind)?)));
        f.write_str(&all.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Limits {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        match text {
            "letsencrypt" => return Ok(Limits::LETS_ENCRYPT),
            "letsencrypt-staging" => return Ok(Limits::LETS_ENCRYPT_STAGING),
            "none" => return Ok(Limits::default()),
            _ => {}
        }
        let mut limits = Limits::default();
        for part in text.split(',') {
            let (word, limit) = part.split_once('=').ok_or_else(|| LimitError(text.to_owned()))?;
            let place = match word.trim() {
                "orders" => &mut limits.orders,
                "domain" => &mut limits.domain,
                "set" => &mut limits.set,
                "failures" => &mut limits.failures,
                _ => return Err(LimitError(text.to_owned())),
            };
            if place.replace(limit.trim().parse()?).is_some() {
                return Err(LimitError(text.to_owned()));
            }
        }
        Ok(limits)
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (about, limit, until) = (&self.about, self.limit, self.until);
        match self.kind {
            LimitKind::Orders => write!(f, "new orders of this account")?,
            LimitKind::Domain => write!(f, "new certificates below {about}")?,
            LimitKind::Set => write!(f, "certificates for {about}")?,
            LimitKind::Failures => write!(f, "failed validations of {about}")?,
        }
        write!(f, " are used up ({limit}) until {until:.0}")
    }
}

/// The name without `*.`.
fn base(name: &str) -> &str {
    name.strip_prefix("*.").unwrap_or(name)
}

/// What is counted together for a domain: the part of a name that was registered, by the public suffix list; an IPv4 address
/// itself, an IPv6 address with all of its /64.
fn registered(name: &str) -> String {
    match base(name).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        // A public suffix itself is its own.
        Err(_) => psl::domain_str(base(name)).unwrap_or(base(name)).to_owned(),
    }
}

/// What a certificate counts for.
fn certificate_keys(names: &[String], renewal: bool) -> Vec<Key> {
    let key = |kind, about| Key { kind, account: None, about };
    let mut keys = vec![key(LimitKind::Set, sorted(names).join(", "))];
    if !renewal {
        let domains: BTreeSet<String> = names.iter().map(|name| registered(name)).collect();
        keys.extend(domains.into_iter().map(|domain| key(LimitKind::Domain, domain)));
    }
    keys
}

/// The orders that may still give a certificate, by that certificate's name. It has one order at a time: with the next one,
/// the one before is given up. One of a run that was killed is not waited for longer than it has its chance.
fn under_way<'a>(
    asked: &'a [Asked],
    refused: &HashSet<&str>,
    now: Timestamp,
) -> HashMap<&'a str, (&'a [String], Exemption)> {
    let mut open = HashMap::new();
    for entry in asked {
        match &entry.what {
            // Both ways, as a clock that was wrong must not hold anything back for longer.
            AskedFor::Order { id, cert, names, exemption }
                if !refused.contains(id.as_str()) && now.duration_since(entry.at).abs() < ORDER_CHANCE =>
            {
                open.insert(cert.as_str(), (names.as_slice(), *exemption));
            }
            AskedFor::Order { cert, .. }
            | AskedFor::NoCertificate { cert }
            | AskedFor::Certificate { cert, .. } => {
                open.remove(cert.as_str());
            }
            AskedFor::NoOrder { .. } | AskedFor::Failure { .. } => {}
        }
    }
    open
}

/// The moments of all that counts, by what it counts for. The `next` order for a certificate with these names takes the place of the
/// one that it has, and what has no domain in common with it may be left out.
fn counted(
    asked: &[Asked],
    now: Timestamp,
    next: Option<(&str, &[String])>,
) -> BTreeMap<Key, Vec<Timestamp>> {
    let domains = next.map(|(_, names)| names.iter().map(|name| registered(name)).collect::<Vec<_>>());
    // Cheaper than finding out what each name was registered for, of thousands: all below a domain end with it, but for IPv6.
    let may_share = |names: &[String]| {
        let ends = |name: &String, domain: &String| name.ends_with(domain.as_str()) || domain.contains('/');
        let shares = |name: &String| domains.iter().flatten().any(|domain| ends(name, domain));
        domains.is_none() || names.iter().any(shares)
    };
    let refused: HashSet<&str> = asked
        .iter()
        .filter_map(|entry| match &entry.what {
            AskedFor::NoOrder { id } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let mut got = HashSet::new();
    let mut counted = BTreeMap::<Key, Vec<Timestamp>>::new();
    for entry in asked {
        let own =
            |kind, about: &str| Key { kind, account: Some(entry.account.clone()), about: about.to_owned() };
        let keys = match &entry.what {
            AskedFor::Order { id, exemption: Exemption::None, .. } if !refused.contains(id.as_str()) => {
                vec![own(LimitKind::Orders, "")]
            }
            AskedFor::Order { .. } | AskedFor::NoOrder { .. } | AskedFor::NoCertificate { .. } => Vec::new(),
            AskedFor::Certificate { order, names, renewal, .. }
                if got.insert(order.as_str()) && may_share(names) =>
            {
                certificate_keys(names, *renewal)
            }
            AskedFor::Certificate { .. } => Vec::new(),
            AskedFor::Failure { names } => {
                names.iter().map(|name| own(LimitKind::Failures, base(name))).collect()
            }
        };
        keys.into_iter().for_each(|key| counted.entry(key).or_default().push(entry.at));
    }
    for (cert, (names, exemption)) in under_way(asked, &refused, now) {
        if next.is_some_and(|(next, _)| next == cert) || !may_share(names) {
            continue;
        }
        // Its certificate comes now at the earliest: an earlier moment would give back too soon what it takes.
        for key in certificate_keys(names, exemption != Exemption::None) {
            counted.entry(key).or_default().push(now);
        }
    }
    counted
}

fn sorted(names: &[String]) -> Vec<String> {
    let names: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.into_iter().collect()
}

/// Why not all limits count an order for these names, as far as that is known without the server.
fn exemption(
    server: &ServerUrl,
    names: &[String],
    current: Option<&Generation>,
    replaces: bool,
) -> Exemption {
    if replaces {
        return Exemption::Replaces;
    }
    let renews = |current: &Generation| {
        current.info.server == server.as_str() && sorted(&current.info.names) == sorted(names)
    };
    match current.is_some_and(renews) {
        true => Exemption::SameNames,
        false => Exemption::None,
    }
}

/// What is known of a server's limits; none where that cannot be read.
fn limits_of(store: &Store, server: &ServerUrl) -> Limits {
    Servers::read(store).and_then(|servers| Ok(servers.about(server)?.limits)).unwrap_or_default()
}

/// A note that cannot be made costs one request too many, and must not cost a renewal.
fn noted(server: &ServerUrl, noted: Result<(), StoreError>) {
    if let Err(error) = noted {
        let error = with_causes(&error);
        tracing::warn!(%server, error, "what was asked of the CA is not noted for its rate limits");
    }
}

/// An order that is noted, and may be made.
pub(super) struct NotedOrder {
    id: String,
    unsynced: Unsynced,
}

/// Something that is to be noted about a server.
pub(super) struct Note {
    server: ServerUrl,
    entry: Asked,
}

impl Note {
    fn new(server: &ServerUrl, account: &str, what: AskedFor) -> Self {
        let entry = Asked { at: Timestamp::now(), account: account.to_owned(), what };
        Note { server: server.clone(), entry }
    }

    /// Writes it, and waits for the disk.
    pub(super) fn write(self, store: &Store) {
        let Note { server, entry } = self;
        noted(&server, entry_written(store, &server, entry).and_then(Unsynced::sync));
    }

    /// Writes it beside other files that are synced. Its writing is begun, and most file systems bring it to the disk with those;
    /// what a power loss takes is counted by its order for an hour, and not after that.
    pub(super) fn write_beside(self, store: &Store) {
        let Note { server, entry } = self;
        noted(&server, entry_written(store, &server, entry).map(drop));
    }
}

fn entry_written(store: &Store, server: &ServerUrl, entry: Asked) -> Result<Unsynced, StoreError> {
    let (limits, now) = (limits_of(store, server), entry.at);
    store.note_asked(server.as_str(), |entry: &Asked| limits.needs(entry, now), |_| Ok(entry))
}

impl Service {
    /// Whether an order would pass a limit, before anything is asked. That it may name what it replaces counts for it.
    pub(super) fn within_limits(
        &self,
        cert: &CertName,
        server: &ServerUrl,
        settings: &Settings,
        current: Option<&Generation>,
    ) -> Result<(), CertificateError> {
        let limits = limits_of(&self.store, server);
        if self.rehearsing || limits.is_none() {
            return Ok(());
        }
        let account = self.account_for(server, settings, current)?.and_then(|account| account.url);
        let names = settings.name_texts();
        let replaces = self.may_replace(server, settings, current, account.as_deref());
        let exemption = exemption(server, &names, current, replaces);
        let (wanted, now) = ((cert.as_str(), names.as_slice()), Timestamp::now());
        let reached = self.store.with_asked(server.as_str(), |asked| {
            limits.reached(asked, account.as_deref(), wanted, exemption, now)
        });
        // What cannot be read counts for nothing: one request too many does less harm than a renewal that does not come.
        reached.ok().flatten().map_or(Ok(()), |reached| Err(limit_reached(server, reached)))
    }

    /// Notes an order before it is made, unless it would pass a limit. Gives what it is called in the notes, which is to be
    /// [synced](Service::sync_order) while it is made.
    pub(super) fn note_order(
        &self,
        server: &ServerUrl,
        account: &str,
        work: &Work<'_>,
        replaces: bool,
    ) -> Result<Option<NotedOrder>, CertificateError> {
        if self.rehearsing {
            return Ok(None);
        }
        let (limits, now) = (limits_of(&self.store, server), Timestamp::now());
        let (id, names) = (format!("{:016x}", fastrand::u64(..)), sorted(&work.names()));
        let exemption = exemption(server, &names, work.current, replaces);
        let cert = work.cert.to_string();
        let keep = |entry: &Asked| limits.needs(entry, now);
        let noted = self.store.note_asked(server.as_str(), keep, |asked| {
            // What others noted while this one waited for its turn is not to come, but was.
            let now = Timestamp::now();
            let wanted = (cert.as_str(), names.as_slice());
            if let Some(reached) = limits.reached(asked, Some(account), wanted, exemption, now) {
                return Err(limit_reached(server, reached));
            }
            let what = AskedFor::Order { id: id.clone(), cert, names: names.clone(), exemption };
            Ok(Asked { at: now, account: account.to_owned(), what })
        });
        match noted {
            Err(CertificateError::Store(error)) => {
                self::noted(server, Err(error));
                Ok(None)
            }
            noted => noted.map(|unsynced| Some(NotedOrder { id, unsynced })),
        }
    }

    /// Syncs the note of an order. Gives what it is called in the notes.
    pub(super) async fn sync_order(&self, server: &ServerUrl, order: Option<NotedOrder>) -> Option<String> {
        let NotedOrder { id, unsynced } = order?;
        noted(server, self.store.aside(|store| unsynced.sync_with_others(store)).await);
        Some(id)
    }

    fn note(&self, server: &ServerUrl, account: &str, what: AskedFor) {
        if !self.rehearsing {
            Note::new(server, account, what).write(&self.store);
        }
    }

    /// Notes that the CA has refused to make an order, so that it does not count.
    pub(super) fn note_no_order(&self, server: &ServerUrl, account: &str, id: String) {
        self.note(server, account, AskedFor::NoOrder { id });
    }

    /// Notes that the order of a certificate gives none any more, so that it takes no place.
    pub(super) fn note_no_certificate(&self, server: &ServerUrl, account: &str, cert: &CertName) {
        self.note(server, account, AskedFor::NoCertificate { cert: cert.to_string() });
    }

    /// Notes that names could not be proved.
    pub(super) fn note_failures(&self, server: &ServerUrl, account: &str, error: &CertificateError) {
        let CertificateError::Refused { failures, .. } = error else { return };
        let names: BTreeSet<String> = failures.iter().map(|failure| base(&failure.name).to_owned()).collect();
        self.note(server, account, AskedFor::Failure { names: names.into_iter().collect() });
    }

    /// The note that an order has given its certificate.
    pub(super) fn certificate_note(
        &self,
        server: &str,
        account: &str,
        order: &str,
        work: &Work<'_>,
    ) -> Option<Note> {
        let server = server.parse::<ServerUrl>().ok().filter(|_| !self.rehearsing)?;
        let (order, cert) = (order.to_owned(), work.cert.to_string());
        let names = sorted(&work.names());
        let replaces = self.may_replace(&server, work.settings, work.current, Some(account));
        let renewal = exemption(&server, &names, work.current, replaces) != Exemption::None;
        Some(Note::new(&server, account, AskedFor::Certificate { order, cert, names, renewal }))
    }
}

fn limit_reached(server: &ServerUrl, reached: Reached) -> CertificateError {
    CertificateError::LimitReached { server: server.to_string(), reached: Box::new(reached) }
}

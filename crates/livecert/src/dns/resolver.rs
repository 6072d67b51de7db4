//! Questions to recursive resolvers: the system's, or those that the user names.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use url::Url;

use super::exchange::{DnsError, exchange, question};
use super::https::ask_https;

/// Where Unix systems name their resolvers.
const SYSTEM: &str = "/etc/resolv.conf";

/// How long one resolver may be silent before the next one is asked too. They have to look far away sometimes.
const NEXT_RESOLVER: Duration = Duration::from_millis(600);

/// Where a resolver is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverAddress {
    /// Over UDP and TCP, written `ADDR:PORT`; the port is 53 if it is left out.
    Dns(SocketAddr),
    /// Over HTTPS (RFC 8484), written as URL.
    Https(Url),
}

/// A text that is no resolver's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no resolver: give an address such as 192.0.2.1 or [::1]:5353, or an https URL")]
pub struct ResolverAddressError(pub String);

impl FromStr for ResolverAddress {
    type Err = ResolverAddressError;

    fn from_str(text: &str) -> Result<Self, ResolverAddressError> {
        let wrong = || ResolverAddressError(text.to_owned());
        if text.contains("://") {
            let url: Url = text.parse().map_err(|_| wrong())?;
            let usable = url.scheme() == "https" && url.host_str().is_some() && url.username().is_empty();
            return if usable { Ok(ResolverAddress::Https(url)) } else { Err(wrong()) };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(ResolverAddress::Dns(address));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let ip: IpAddr = bare.parse().map_err(|_| wrong())?;
        Ok(ResolverAddress::Dns(SocketAddr::new(ip, 53)))
    }
}

impl std::fmt::Display for ResolverAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ResolverAddress::Dns(address) => address.fmt(f),
            ResolverAddress::Https(url) => url.fmt(f),
        }
    }
}

impl From<SocketAddr> for ResolverAddress {
    fn from(address: SocketAddr) -> Self {
        ResolverAddress::Dns(address)
    }
}

/// Resolvers, asked one after the other until one answers.
#[derive(Debug, Clone)]
pub struct Resolver {
    servers: Vec<ResolverAddress>,
    http: reqwest::Client,
    /// Which of them answered last.
    answered: Arc<AtomicUsize>,
}

/// Why no resolver could help.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The system names no resolver.
    #[error("the system names no resolver: {0}")]
    NoResolver(String),
    /// None of them answered; the last one's reason.
    #[error("no resolver answers")]
    Silent(#[source] DnsError),
    /// The resolver says that it failed (SERVFAIL, REFUSED …).
    #[error("the resolver {server} answers {code} for {name}")]
    Failed {
        /// The resolver.
        server: String,
        /// Its answer.
        code: String,
        /// What was asked for.
        name: String,
    },
}

/// How a resolver gets on with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Good,
    /// It fails with validation only: the zone's DNSSEC is broken.
    SignaturesBroken,
    /// It fails in any case: the zone's servers do not answer it.
    ServersBroken,
    /// No resolver answers.
    Unknown,
}

impl Resolver {
    /// These resolvers, or the system's if there are none.
    ///
    /// # Errors
    /// The system's cannot be read, or there are none.
    pub fn new(servers: &[ResolverAddress], http: &reqwest::Client) -> Result<Self, ResolveError> {
        let servers = if servers.is_empty() { system(Path::new(SYSTEM))? } else { servers.to_vec() };
        Ok(Resolver { servers, http: http.clone(), answered: Arc::default() })
    }

    /// Each of the resolvers by itself.
    pub(super) fn servers(&self) -> &[ResolverAddress] {
        &self.servers
    }

    /// Asks one of them.
    pub(super) async fn ask_one(
        &self,
        server: &ResolverAddress,
        name: &Name,
        kind: RecordType,
        validated: bool,
    ) -> Result<Message, DnsError> {
        let mut query = question(name, kind, true);
        // Without validation by the resolver: CD, RFC 4035 §3.2.2.
        query.metadata.checking_disabled = !validated;
        match server {
            ResolverAddress::Dns(address) => exchange(*address, query).await,
            ResolverAddress::Https(url) => ask_https(&self.http, url, query).await,
        }
    }

    /// Asks for `name`; NXDOMAIN and empty answers are answers. The next resolver is asked when one fails, and also while
    /// one is silent (a firewall, or an address family that leads nowhere): the one that answered last is asked first.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, ResolveError> {
        let count = self.servers.len();
        let first = self.answered.load(Relaxed);
        let mut asked = FuturesUnordered::new();
        let mut next = 0;
        let mut last = None;
        while next < count || !asked.is_empty() {
            if next < count {
                asked.push(self.ask_at((first + next) % count, name, kind));
                next += 1;
            }
            let others = next < count;
            tokio::select! {
                Some((at, answer)) = asked.next() => match answer {
                    Ok(answer) => {
                        self.answered.store(at, Relaxed);
                        return Ok(answer);
                    }
                    Err(error) => last = Some(error),
                },
                () = tokio::time::sleep(NEXT_RESOLVER), if others => {}
            }
        }
        Err(last.unwrap_or_else(|| ResolveError::NoResolver("none was given".to_owned())))
    }

    /// The TXT values at a name; none if there is nothing.
    pub async fn txt(&self, fqdn: &str) -> Result<Vec<String>, ResolveError> {
        let name = super::exchange::absolute(fqdn).map_err(ResolveError::Silent)?;
        Ok(super::propagation::txt_values(&self.ask(&name, RecordType::TXT).await?))
    }

    async fn ask_at(
        &self,
        at: usize,
        name: &Name,
        kind: RecordType,
    ) -> (usize, Result<Message, ResolveError>) {
        let server = &self.servers[at];
        let answer = match self.ask_one(server, name, kind, true).await {
            Ok(answer) => match answer.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
                code => {
                    let (server, code, name) = (server.to_string(), code.to_string(), name.to_string());
                    Err(ResolveError::Failed { server, code, name })
                }
            },
            Err(error) => Err(ResolveError::Silent(error)),
        };
        (at, answer)
    }

    /// Whether the zone's signatures are in order, as far as a validating resolver tells: it answers SERVFAIL for what is
    /// broken, and answers all the same when validation is switched off.
    pub async fn health(&self, zone: &str) -> Health {
        let Ok(name) = super::exchange::absolute(zone) else { return Health::Unknown };
        for server in &self.servers {
            let (checked, unchecked) = tokio::join!(
                self.ask_one(server, &name, RecordType::SOA, true),
                self.ask_one(server, &name, RecordType::SOA, false),
            );
            let (Ok(checked), Ok(unchecked)) = (checked, unchecked) else { continue };
            let fails = |answer: &Message| answer.metadata.response_code == ResponseCode::ServFail;
            return match (fails(&checked), fails(&unchecked)) {
                (false, _) => Health::Good,
                (true, false) => Health::SignaturesBroken,
                (true, true) => Health::ServersBroken,
            };
        }
        Health::Unknown
    }

    /// All addresses of a host, IPv4 and IPv6, asked for side by side.
    pub(super) async fn addresses(&self, host: &Name) -> Result<Vec<IpAddr>, ResolveError> {
        let (v4, v6) = tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA));
        let mut addresses = Vec::new();
        let mut failure = None;
        for answer in [v4, v6] {
            match answer {
                Ok(answer) => {
                    addresses.extend(answer.answers.iter().filter_map(|record| match &record.data {
                        RData::A(address) => Some(IpAddr::V4(address.0)),
                        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                        _ => None,
                    }))
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }
}

/// The system's resolvers.
fn system(path: &Path) -> Result<Vec<ResolverAddress>, ResolveError> {
    let failed = |reason: String| ResolveError::NoResolver(format!("{}: {reason}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let config = resolv_conf::Config::parse(text).map_err(|error| failed(error.to_string()))?;
    let servers: Vec<_> = config
        .nameservers
        .iter()
        .map(|ip| ResolverAddress::Dns(SocketAddr::new(IpAddr::from(ip), 53)))
        .collect();
    if servers.is_empty() {
        return Err(failed("it has no line 'nameserver'".to_owned()));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_the_same() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
            ("https://dns.example/dns-query", "https://dns.example/dns-query"),
        ] {
            assert_eq!(text.parse::<ResolverAddress>().unwrap().to_string(), shown);
        }
        for wrong in ["", "localhost", "http://dns.example/", "tls://1.1.1.1", "https://", "1.2.3.4:x"] {
            assert!(wrong.parse::<ResolverAddress>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_silent_resolver_is_not_waited_for_again() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let good = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addresses = [&silent, &good].map(|socket| socket.local_addr().unwrap().into());
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = good.recv_from(&mut buffer).await {
                let answer = Message::from_vec(&buffer[..length]).unwrap().into_response();
                good.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
            }
        });
        let http = crate::network::http_client(None).unwrap();
        let resolver = Resolver::new(&addresses, &http).unwrap();
        let name = super::super::exchange::absolute("example.com").unwrap();
        for _ in 0..20 {
            resolver.ask(&name, RecordType::SOA).await.unwrap();
        }
        let mut buffer = [0; 1500];
        let mut questions = 0;
        while silent.try_recv_from(&mut buffer).is_ok() {
            questions += 1;
        }
        assert_eq!(questions, 1);
    }

    #[test]
    fn the_systems_resolvers_are_read_and_their_absence_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        assert!(matches!(system(&path), Err(ResolveError::NoResolver(_))));
        std::fs::write(&path, "search example.com\n").unwrap();
        assert!(matches!(system(&path), Err(ResolveError::NoResolver(_))));
        std::fs::write(&path, "nameserver 192.0.2.1\nnameserver 2001:db8::1\n").unwrap();
        let found = system(&path).unwrap();
        assert_eq!(found, ["192.0.2.1".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()]);
    }
}

//! Questions to recursive resolvers: the system's, or those that the user names.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::exchange::{DnsError, ask};

/// Where Unix systems name their resolvers.
const SYSTEM: &str = "/etc/resolv.conf";

/// Resolvers, asked one after the other until one answers.
#[derive(Debug, Clone)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
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
        server: SocketAddr,
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
    pub fn new(servers: &[SocketAddr]) -> Result<Self, ResolveError> {
        if servers.is_empty() {
            Self::system(Path::new(SYSTEM))
        } else {
            Ok(Resolver { servers: servers.to_vec() })
        }
    }

    fn system(path: &Path) -> Result<Self, ResolveError> {
        let failed = |reason: String| ResolveError::NoResolver(format!("{}: {reason}", path.display()));
        let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let config = resolv_conf::Config::parse(text).map_err(|error| failed(error.to_string()))?;
        let servers: Vec<_> =
            config.nameservers.iter().map(|ip| SocketAddr::new(IpAddr::from(ip), 53)).collect();
        if servers.is_empty() {
            return Err(failed("it has no line 'nameserver'".to_owned()));
        }
        Ok(Resolver { servers })
    }

    /// Asks for `name`; NXDOMAIN and empty answers are answers.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, ResolveError> {
        let mut last = None;
        for &server in &self.servers {
            match ask(server, name, kind, true).await {
                Ok(answer) => match answer.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(answer),
                    code => {
                        let (code, name) = (code.to_string(), name.to_string());
                        last = Some(ResolveError::Failed { server, code, name });
                    }
                },
                Err(error) => last = Some(ResolveError::Silent(error)),
            }
        }
        Err(last.unwrap_or_else(|| ResolveError::NoResolver("none was given".to_owned())))
    }

    /// Whether the zone's signatures are in order, as far as a validating resolver tells: it answers SERVFAIL for what is
    /// broken, and answers all the same when validation is switched off.
    pub async fn health(&self, zone: &str) -> Health {
        let Ok(name) = super::exchange::absolute(zone) else { return Health::Unknown };
        for &server in &self.servers {
            let (checked, unchecked) = tokio::join!(
                ask(server, &name, RecordType::SOA, true),
                super::exchange::ask_unchecked(server, &name, RecordType::SOA),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_resolvers_are_read_and_their_absence_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        assert!(matches!(Resolver::system(&path), Err(ResolveError::NoResolver(_))));
        std::fs::write(&path, "search example.com\n").unwrap();
        assert!(matches!(Resolver::system(&path), Err(ResolveError::NoResolver(_))));
        std::fs::write(&path, "nameserver 192.0.2.1\nnameserver 2001:db8::1\n").unwrap();
        let found = Resolver::system(&path).unwrap().servers;
        assert_eq!(found, ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()]);
    }
}

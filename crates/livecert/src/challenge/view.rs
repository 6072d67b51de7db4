//! How the public sees DNS: through the settings' servers or resolvers, and over HTTPS where no DNS is let out.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use super::{PropagationMode, PropagationSettings};
use crate::dns::{AuthorityError, Located, Locator, ResolveError, Resolver, ResolverAddress, look};

/// Where to ask when no name server can be reached: the first one finds the zone, the others watch the record, because
/// the first one remembers that there was nothing.
const PUBLIC_RESOLVERS: [&str; 3] = [
    "https://dns.google/dns-query",
    "https://cloudflare-dns.com/dns-query",
    "https://dns.quad9.net/dns-query",
];

/// The eyes of the solvers.
pub struct DnsView {
    locator: Locator,
    resolver: Option<Resolver>,
    /// The resolver that finds, and those that watch if there are others, when no DNS is let out.
    over_https: (Resolver, Option<Resolver>),
    /// No DNS is let out.
    shut_in: AtomicBool,
}

impl DnsView {
    /// Looks as the settings say.
    ///
    /// # Errors
    /// The system names no resolver, and none was given.
    pub fn new(settings: &PropagationSettings, http: &reqwest::Client) -> Result<Self, ResolveError> {
        let asks_resolvers = matches!(settings.mode, PropagationMode::Resolver | PropagationMode::Both);
        let resolver = if asks_resolvers || settings.authoritative.is_empty() {
            Some(Resolver::new(&settings.resolvers, http)?)
        } else {
            None
        };
        let locator = match &resolver {
            Some(resolver) if settings.authoritative.is_empty() => Locator::through(resolver.clone()),
            _ => Locator::fixed(&settings.authoritative),
        };
        let over_https = over_https(&settings.resolvers, http)?;
        Ok(DnsView { locator, resolver, over_https, shut_in: AtomicBool::new(false) })
    }

    /// Where `fqdn` really lives.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    pub async fn locate(&self, fqdn: &str) -> Result<Located, AuthorityError> {
        if !self.shut_in.load(Relaxed) {
            match self.locator.locate(fqdn).await {
                Err(error) if error.is_silence() => {
                    // Told once; the other names find it out side by side.
                    if !self.shut_in.swap(true, Relaxed) {
                        tracing::warn!(
                            %error,
                            "no name server can be reached from here (is port 53 blocked?): DNS is asked over HTTPS"
                        );
                    }
                    return Locator::locate_through(&self.over_https.0, fqdn).await.map_err(|_| error);
                }
                located => return located,
            }
        }
        Locator::locate_through(&self.over_https.0, fqdn).await
    }

    /// The TXT values that are public at `fqdn`, as the first name server that answers shows them.
    ///
    /// # Errors
    /// Nobody answers for the name.
    pub async fn values(&self, fqdn: &str) -> Result<Vec<String>, AuthorityError> {
        let located = self.locate(fqdn).await?;
        if self.is_shut_in() {
            let resolver = self.watcher().unwrap_or(&self.over_https.0);
            let found = resolver.txt(&located.fqdn).await;
            return found.map_err(|source| AuthorityError::Resolve { name: located.fqdn, source });
        }
        let mut silence = None;
        for server in &located.authority.servers {
            match look(&located.fqdn, server).await.seen {
                Ok(values) => return Ok(values),
                Err(error) => silence = Some(error),
            }
        }
        let zone = located.authority.zone;
        match silence {
            Some(source) => Err(AuthorityError::Silent { zone, source }),
            None => Ok(Vec::new()),
        }
    }

    /// Whether no name server can be reached from here.
    pub(super) fn is_shut_in(&self) -> bool {
        self.shut_in.load(Relaxed)
    }

    /// Who is asked then whether a record is public; `None` if there is only the one that remembers that it was not.
    pub(super) fn watcher(&self) -> Option<&Resolver> {
        self.over_https.1.as_ref()
    }

    pub(super) fn locator(&self) -> &Locator {
        &self.locator
    }

    /// The resolvers that the settings want to be asked too.
    pub(super) fn resolver(&self) -> Option<&Resolver> {
        self.resolver.as_ref()
    }
}

/// Those of `named` that are asked over HTTPS, or else public ones: who finds, and who watches.
fn over_https(
    named: &[ResolverAddress],
    http: &reqwest::Client,
) -> Result<(Resolver, Option<Resolver>), ResolveError> {
    let mut all: Vec<_> =
        named.iter().filter(|one| matches!(one, ResolverAddress::Https(_))).cloned().collect();
    if all.is_empty() {
        all = PUBLIC_RESOLVERS.iter().filter_map(|url| url.parse().ok()).collect();
    }
    let watching = if all.len() > 1 { Some(Resolver::new(&all[1..], http)?) } else { None };
    Ok((Resolver::new(&all[..1], http)?, watching))
}

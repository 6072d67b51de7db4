//! The servers of a state folder: names of the user's own for them, the one in use, and what is done otherwise there.

use super::account_choice::settle_account;
use super::settings::Settings;
use super::{CertificateError, IssueRequest, Limits, SERVERS, ServerError, ServerUrl, Service};
use crate::store::{CertName, CertificateRecord, ServersRecord, Store};

/// Longest name of the user's own, in characters.
const LONGEST_NAME: usize = 64;

/// The servers that are known in a state folder, and how they are called.
#[derive(Debug, Clone, Default)]
pub struct Servers(ServersRecord);

/// A server, as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownServer {
    /// URL of its directory.
    pub url: ServerUrl,
    /// The user's own name for it.
    pub name: Option<String>,
    /// Whether it is meant where no server is named.
    pub in_use: bool,
    /// Whether it is asked when certificates are to be renewed, where it offers that (RFC 9773).
    pub renewal_info: bool,
    /// Whether it is told mail addresses.
    pub contacts: bool,
    /// Its rate limits, as far as they are known.
    pub limits: Limits,
}

/// What is to be changed about a server. What is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ServerChange {
    /// A name of the user's own; an empty one removes what is stored.
    pub name: Option<String>,
    /// Whether it is asked when certificates are to be renewed.
    pub renewal_info: Option<bool>,
    /// Whether it is told mail addresses.
    pub contacts: Option<bool>,
    /// Its rate limits; `Some(None)` for those that are known of it.
    pub limits: Option<Option<Limits>>,
}

/// What has been forgotten with a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovedServer {
    /// The server.
    pub url: ServerUrl,
    /// URLs of its accounts, whose keys are gone.
    pub accounts: Vec<String>,
    /// URLs of those accounts that were deactivated before.
    pub deactivated: Vec<String>,
    /// The server that is in use now, where it was this one.
    pub in_use: Option<ServerUrl>,
}

impl Servers {
    /// The servers of a state folder.
    ///
    /// # Errors
    /// What is kept about them cannot be read.
    pub fn read(store: &Store) -> Result<Self, CertificateError> {
        Ok(Servers(store.servers()?))
    }

    /// The server that a text means: a name of the user's own, a short code, or the URL of a directory.
    ///
    /// # Errors
    /// It means none.
    pub fn find(&self, text: &str) -> Result<ServerUrl, ServerError> {
        let named = self.0.servers.iter().find(|server| is_called(server.name.as_deref(), text));
        match named {
            Some(server) => server.url.parse(),
            None => text.parse::<ServerUrl>().map_err(|error| self.with_own_names(error)),
        }
    }

    /// The server that is meant where none is named: the one in use, else Let's Encrypt.
    ///
    /// # Errors
    /// What is stored is no URL.
    pub fn in_use(&self) -> Result<ServerUrl, ServerError> {
        self.0.in_use.as_deref().map_or_else(|| Ok(ServerUrl::default()), str::parse)
    }

    /// All of them: those with a short code, then the others that something is kept about.
    ///
    /// # Errors
    /// What is stored is no URL.
    pub fn all(&self) -> Result<Vec<KnownServer>, ServerError> {
        let mut urls = SERVERS.iter().map(|(_, url)| url.parse()).collect::<Result<Vec<ServerUrl>, _>>()?;
        let others = self.0.servers.iter().map(|server| server.url.as_str()).chain(self.0.in_use.as_deref());
        for url in others {
            let url: ServerUrl = url.parse()?;
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        urls.into_iter().map(|url| self.about(&url)).collect()
    }

    /// What is known about a server.
    ///
    /// # Errors
    /// What is stored is no URL.
    pub fn about(&self, url: &ServerUrl) -> Result<KnownServer, ServerError> {
        let kept = self.0.find(url.as_str()).cloned().unwrap_or_default();
        // Words of a newer version: the CA tells of its limits itself.
        let limits = kept.limits.map(|words| words.parse().unwrap_or_default());
        Ok(KnownServer {
            in_use: self.in_use()? == *url,
            url: url.clone(),
            name: kept.name,
            renewal_info: !kept.without_renewal_info,
            contacts: !kept.without_contacts && !url.ignores_contacts(),
            limits: limits.unwrap_or_else(|| Limits::known(url)),
        })
    }

    /// The names of the user's own, each with its URL.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.servers.iter().filter_map(|server| Some((server.name.as_deref()?, server.url.as_str())))
    }

    /// A name that is alike may be one of the user's own.
    fn with_own_names(&self, error: ServerError) -> ServerError {
        let ServerError::UnknownCode { given, similar } = error else { return error };
        let score =
            |name: &str| strsim::jaro_winkler(&given.to_ascii_lowercase(), &name.to_ascii_lowercase());
        let own = self.names().map(|(name, _)| name).chain(similar.as_deref());
        let best = own.max_by(|one, other| score(one).total_cmp(&score(other)));
        let similar = best.filter(|name| score(name) > 0.75).map(str::to_owned);
        ServerError::UnknownCode { given, similar }
    }
}

fn is_called(name: Option<&str>, text: &str) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(text))
}

/// Whether a text can be a name of the user's own for a server or an account: a shell takes it as it is.
pub(super) fn fits_as_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A name that is told from a code, and from those of other servers.
fn check_name(name: &str, url: &ServerUrl, record: &ServersRecord) -> Result<(), ServerError> {
    if !fits_as_name(name) {
        return Err(ServerError::Name(name.to_owned()));
    }
    let code = SERVERS.iter().find(|(code, of)| code.eq_ignore_ascii_case(name) && *of != url.as_str());
    let other = record.servers.iter().find(|server| is_called(server.name.as_deref(), name));
    let taken = code.map(|(_, of)| *of).or(other.map(|server| server.url.as_str()));
    match taken.filter(|of| *of != url.as_str()) {
        Some(of) => Err(ServerError::NameTaken { name: name.to_owned(), url: of.to_owned() }),
        None => Ok(()),
    }
}

/// What will be done for a request, together with what is stored.
pub(super) fn settings(
    store: &Store,
    request: &IssueRequest,
    stored: Option<&CertificateRecord>,
) -> Result<Settings, CertificateError> {
    let mut settings = if stored.is_some() || !request.servers.is_empty() {
        Settings::new(request, stored)?
    } else {
        let servers = vec![Servers::read(store)?.in_use()?];
        Settings::new(&IssueRequest { servers, ..request.clone() }, None)?
    };
    settings.changed |= settle_account(store, &mut settings, request, stored)?;
    Ok(settings)
}

impl Service {
    /// The servers of the state folder.
    ///
    /// # Errors
    /// What is kept about them cannot be read.
    pub fn servers(&self) -> Result<Servers, CertificateError> {
        Servers::read(&self.store)
    }

    /// Changes what is kept about a server, or begins to. It is asked for its directory first, unless `unasked`; gives
    /// where its terms are.
    ///
    /// # Errors
    /// The name is taken or cannot be one; the server does not answer, or is no ACME server.
    pub async fn change_server(
        &self,
        url: &ServerUrl,
        change: &ServerChange,
        unasked: bool,
    ) -> Result<(KnownServer, Option<String>), CertificateError> {
        let name = change.name.as_deref().filter(|name| !name.is_empty());
        if let Some(name) = name {
            check_name(name, url, &self.store.servers()?)?;
        }
        let terms = match unasked {
            true => None,
            false => {
                let server = self.unless_interrupted(self.connect_to_look(url)).await??;
                server.terms_of_service().map(str::to_owned)
            }
        };
        self.store.change_servers(|record| {
            if let Some(name) = name {
                check_name(name, url, record)?;
            }
            let entry = record.entry(url.as_str());
            if change.name.is_some() {
                entry.name = name.map(str::to_owned);
            }
            if let Some(wanted) = change.renewal_info {
                entry.without_renewal_info = !wanted;
            }
            if let Some(wanted) = change.contacts {
                entry.without_contacts = !wanted;
            }
            if let Some(wanted) = change.limits {
                entry.limits = wanted.map(|limits| limits.to_string());
            }
            Ok::<_, CertificateError>(())
        })?;
        Ok((self.servers()?.about(url)?, terms))
    }

    /// Lets a server be the one that is meant where none is named. One that nothing is known about yet is asked first.
    ///
    /// # Errors
    /// It does not answer, or is no ACME server; it cannot be stored.
    pub async fn use_server(&self, url: &ServerUrl) -> Result<KnownServer, CertificateError> {
        if !self.knows_server(url)? {
            self.unless_interrupted(self.connect_to_look(url)).await??;
        }
        self.store.change_servers(|record| {
            record.in_use = Some(url.as_str().to_owned());
            Ok::<_, CertificateError>(())
        })?;
        Ok(self.servers()?.about(url)?)
    }

    /// Forgets a server: its name, its settings, its accounts with their keys. Certificates from there stay. What has a
    /// short code keeps that.
    ///
    /// # Errors
    /// Nothing is known about it; certificates or accounts use it and `force` is not given; an account cannot be
    /// deactivated (it is still there then).
    pub async fn remove_server(
        &self,
        url: &ServerUrl,
        force: bool,
        deactivate_accounts: bool,
    ) -> Result<RemovedServer, CertificateError> {
        let was_in_use = self.store.servers()?.in_use.as_deref() == Some(url.as_str());
        if !self.knows_server(url)? && !was_in_use {
            return Err(ServerError::NotKnown(url.to_string()).into());
        }
        let certificates = self.certificates_of(url)?;
        let accounts = self.account_urls(url)?;
        let in_the_way = !certificates.is_empty() || (!accounts.is_empty() && !deactivate_accounts);
        if in_the_way && !force {
            let server = url.to_string();
            return Err(CertificateError::ServerInUse { server, certificates, accounts });
        }
        let deactivated = match deactivate_accounts {
            true => self.deactivate_accounts(url).await?,
            false => Vec::new(),
        };
        let lock = self.store.lock_account(url.as_str()).await?;
        self.store.remove_accounts_of(url.as_str(), &lock)?;
        self.store.change_servers(|record| {
            record.servers.retain(|server| server.url != url.as_str());
            record.in_use.take_if(|in_use| in_use == url.as_str());
            Ok::<_, CertificateError>(())
        })?;
        let in_use =
            was_in_use.then(|| self.servers()?.in_use().map_err(CertificateError::from)).transpose()?;
        Ok(RemovedServer { url: url.clone(), accounts, deactivated, in_use })
    }

    /// Whether anything is known about a server.
    fn knows_server(&self, url: &ServerUrl) -> Result<bool, CertificateError> {
        let kept = self.store.servers()?;
        Ok(url.code().is_some()
            || kept.find(url.as_str()).is_some()
            || !self.account_urls(url)?.is_empty()
            || !self.certificates_of(url)?.is_empty())
    }

    /// The certificates whose home a server is, or that fall back to it. One that cannot be read may be.
    fn certificates_of(&self, url: &ServerUrl) -> Result<Vec<String>, CertificateError> {
        let uses = |record: &CertificateRecord| {
            std::iter::once(&record.server).chain(&record.fallbacks).any(|server| server == url.as_str())
        };
        let mut certificates = self.store.cert_names()?;
        certificates.retain(|cert| {
            self.store.find_record(cert).map_or(true, |record| record.is_some_and(|record| uses(&record)))
        });
        Ok(certificates.iter().map(CertName::to_string).collect())
    }

    /// What will be done for a request, together with what is stored: a certificate that is new has the server in use for
    /// its home, if none is named.
    pub(super) fn settings(
        &self,
        request: &IssueRequest,
        stored: Option<&CertificateRecord>,
    ) -> Result<Settings, CertificateError> {
        settings(&self.store, request, stored)
    }

    /// Whether a server is told mail addresses.
    pub(super) fn tells_contacts(&self, url: &ServerUrl) -> Result<bool, CertificateError> {
        Ok(self.servers()?.about(url)?.contacts)
    }

    /// Whether a server is asked when to renew, and told what is replaced. Where nobody knows, it is.
    pub(super) fn uses_renewal_info(&self, server: &str) -> bool {
        uses_renewal_info(&self.store.servers().unwrap_or_default(), server)
    }
}

/// The same by what is kept about servers.
pub(super) fn uses_renewal_info(kept: &ServersRecord, server: &str) -> bool {
    kept.find(server).is_none_or(|kept| !kept.without_renewal_info)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        let mut record = ServersRecord::default();
        record.entry("https://ca.example/dir").name = Some("Work".into());
        record.entry("https://bare.example/dir");
        Servers(record)
    }

    #[test]
    fn a_name_stands_wherever_a_code_or_a_url_does() {
        let servers = servers();
        let find = |text: &str| servers.find(text).map(|url| url.as_str().to_owned());
        assert_eq!(find("work").unwrap(), "https://ca.example/dir");
        assert_eq!(find("https://other.example/").unwrap(), "https://other.example/");
        assert!(find("le_stage").unwrap().contains("staging"));
        let slip = |text: &str| match servers.find(text) {
            Err(ServerError::UnknownCode { similar, .. }) => similar,
            other => panic!("{other:?}"),
        };
        assert_eq!(slip("wrok").as_deref(), Some("Work"));
        assert_eq!(slip("LE_PRD").as_deref(), Some("LE_PROD"));
        assert_eq!(slip("something"), None);
    }

    #[test]
    fn names_are_told_from_codes_from_urls_and_from_each_other() {
        let record = servers().0;
        let check = |name: &str, url: &str| check_name(name, &url.parse().unwrap(), &record);
        assert_eq!(check("work", "https://ca.example/dir"), Ok(()));
        assert_eq!(check("le_prod", "LE_PROD"), Ok(()));
        for (name, url) in [("WORK", "https://bare.example/dir"), ("le_prod", "https://ca.example/dir")] {
            assert!(matches!(check(name, url), Err(ServerError::NameTaken { .. })), "{name}");
        }
        for name in ["", "-x", "a b", "https://x", "a/b", "ü", &"a".repeat(65)] {
            assert!(matches!(check(name, "LE_PROD"), Err(ServerError::Name(_))), "{name}");
        }
    }

    #[test]
    fn each_server_is_listed_once_and_one_is_in_use() {
        let mut servers = servers();
        servers.0.in_use = Some("https://unkept.example/".into());
        let all = servers.all().unwrap();
        assert_eq!(all.len(), SERVERS.len() + 3);
        let in_use: Vec<_> = all.iter().filter(|server| server.in_use).collect();
        assert_eq!(in_use.len(), 1);
        assert_eq!(in_use[0].url.as_str(), "https://unkept.example/");
        assert!(!all[0].contacts && all[2].contacts, "Let's Encrypt keeps none");
    }
}

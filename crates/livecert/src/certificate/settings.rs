//! What is asked for, and what comes of it together with what is stored.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::output::{OutputRequest, OutputSettings};
use super::proof::{Proofs, StoredArguments};
use super::{CertificateError, DeploymentRequest, PerName, PublisherRequest, ServerUrl, SubjectName};
use crate::challenge::{ChallengeChoice, PropagationMode, PropagationSettings};
use crate::dns::{Patience, ResolverAddress};
use crate::key::KeyType;
use crate::plugin::PublisherName;
use crate::secret::Source;
use crate::store::{
    CertName, CertificateRecord, DeploymentRecord, GenerationInfo, OutputRecord, PropagationRecord,
};

/// A request for a certificate. What is `None` comes from the store, or else from the defaults.
#[derive(Debug, Clone, Default)]
pub struct IssueRequest {
    /// The names.
    pub names: Vec<SubjectName>,
    /// The certificate's name in the store; the first name if there is none.
    pub cert_name: Option<CertName>,
    /// The ACME servers: the first is the certificate's home, the others are fallbacks.
    pub servers: Vec<ServerUrl>,
    /// Which account at the home: by its name, id or URL.
    pub account: Option<String>,
    /// Whether the server's terms are accepted.
    pub accept_tos: bool,
    /// Mail addresses for a new account.
    pub contact: Vec<String>,
    /// Type of a new account's key.
    pub account_key_type: Option<KeyType>,
    /// External account binding, for servers that make accounts only for their customers.
    pub external_account: Option<ExternalAccountRequest>,
    /// Type of the certificate's key.
    pub key_type: Option<KeyType>,
    /// Keep the key at renewals, or make a new one.
    pub reuse_key: Option<bool>,
    /// A certificate request of the user's own (PEM or DER); the key stays with its owner.
    pub own_request: Option<Vec<u8>>,
    /// Common name in the request; an empty one removes what is stored.
    pub subject: Option<String>,
    /// Ask for the TLS feature extension (RFC 7633).
    pub must_staple: Option<bool>,
    /// The certificate profile that the server must offer; an empty one removes what is stored.
    pub profile: Option<String>,
    /// The certificate profile that is taken where it is offered.
    pub preferred_profile: Option<String>,
    /// Common name of the issuer whose chain is preferred.
    pub preferred_chain: Option<String>,
    /// How long the certificate is asked to live, in days; 0 for what the server likes.
    pub lifetime_days: Option<u16>,
    /// Which challenge is used for a name.
    pub challenge: PerName<ChallengeChoice>,
    /// What publishes the proof of a name; `None` for a pattern takes away what is stored.
    pub plugin: PerName<Option<PublisherName>>,
    /// Where the TXT values of a name are written: what its validation name leads to. `None` for where it is.
    pub dns_alias: PerName<Option<String>>,
    /// Arguments and zones of what publishes proofs.
    pub publishers: PublisherRequest,
    /// What is said by patterns, and about publishers, is set beside what is stored, and not in its place.
    pub beside_stored: bool,
    /// How the publication is watched.
    pub propagation: PropagationRequest,
    /// How long the CA may take to validate.
    pub validation_timeout: Option<Duration>,
    /// Prove one name after another, each proof gone before the next one is shown.
    pub serial: Option<bool>,
    /// How many generations stay, the current one among them.
    pub keep_generations: Option<u16>,
    /// How the certificate is deployed.
    pub deployment: DeploymentRequest,
    /// Which files are written, and for whom.
    pub output: OutputRequest,
    /// Issue even if not due.
    pub force: bool,
    /// The file in which the certificate is declared. It says all then: what is `None` is the default, and not what is
    /// stored.
    pub declared_in: Option<PathBuf>,
}

/// What a server knows its customer by (RFC 8555 §7.3.4). It is used for making the account, and not kept.
#[derive(Debug, Clone)]
pub struct ExternalAccountRequest {
    /// The key's id.
    pub key_id: String,
    /// Where the HMAC key is, base64url.
    pub hmac_key: Source,
    /// The algorithm.
    pub algorithm: livecert_acme::HmacAlgorithm,
}

/// How the publication is watched; empty or `None` comes from the store, or else from the defaults.
#[derive(Debug, Clone, Default)]
pub struct PropagationRequest {
    /// Where it is looked.
    pub mode: Option<PropagationMode>,
    /// How long to wait before the first look, or instead of it.
    pub sleep: Option<Duration>,
    /// How long a name server may be silent.
    pub grace: Option<Duration>,
    /// The share of name servers that must show everything, in percent.
    pub quorum: Option<u8>,
    /// Resolvers.
    pub resolvers: Vec<ResolverAddress>,
    /// Servers to ask instead of the zone's own.
    pub authoritative: Vec<SocketAddr>,
    /// How long the records may take to be everywhere.
    pub limit: Option<Duration>,
}

impl IssueRequest {
    /// Checks what can be checked without looking anywhere.
    pub(super) fn check(&self) -> Result<CertName, CertificateError> {
        let first = self.names.first().ok_or(CertificateError::NoNames)?;
        Ok(self.cert_name.clone().unwrap_or_else(|| CertName::from(first)))
    }

    /// Checks what can be checked without looking anywhere, for a certificate that is not there yet.
    ///
    /// # Errors
    /// Names that cannot be proved like that, options that contradict each other.
    pub fn check_alone(&self) -> Result<(), CertificateError> {
        self.check()?;
        Settings::new(self, None).map(drop)
    }

    /// The sources of all secrets in it.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let password = self.output.pfx_password.iter().flatten();
        self.publishers
            .sources()
            .chain(password)
            .chain(self.external_account.as_ref().map(|external| &external.hmac_key))
    }
}

/// What will be done: the request, completed by what is stored.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) names: Vec<SubjectName>,
    /// The home first.
    pub(super) servers: Vec<ServerUrl>,
    /// URL of the account at the home, where that is settled.
    pub(super) account: Option<String>,
    pub(super) key_type: KeyType,
    pub(super) reuse_key: bool,
    /// The key is its owner's, who has given a request for it.
    pub(super) own_request: bool,
    pub(super) subject: Option<String>,
    pub(super) must_staple: bool,
    pub(super) profile: Option<String>,
    pub(super) preferred_profile: Option<String>,
    pub(super) preferred_chain: Option<String>,
    pub(super) lifetime_days: Option<u16>,
    pub(super) proofs: Proofs,
    pub(super) propagation: PropagationSettings,
    pub(super) validation_timeout: Duration,
    pub(super) serial: bool,
    pub(super) keep_generations: Option<u16>,
    pub(super) deployment: DeploymentRecord,
    pub(super) output: OutputSettings,
    /// The file in which it is declared.
    pub(super) declared_in: Option<PathBuf>,
    /// Whether what is stored was made for something else (other names, server or type of key).
    pub(super) changed: bool,
}

impl Settings {
    pub(super) fn new(
        request: &IssueRequest,
        stored: Option<&CertificateRecord>,
    ) -> Result<Self, CertificateError> {
        let before = stored;
        let stored = stored.filter(|_| request.declared_in.is_none());
        // A certificate stays where it is, also one that is declared without a server.
        let servers = match before {
            _ if !request.servers.is_empty() => request.servers.clone(),
            Some(stored) => {
                let urls = std::iter::once(&stored.server).chain(&stored.fallbacks);
                urls.map(|url| url.parse()).collect::<Result<Vec<ServerUrl>, _>>()?
            }
            None => vec![ServerUrl::default()],
        };
        let key_type = request.key_type.or(stored.map(|stored| stored.key_type)).unwrap_or_default();
        // Whoever asks for a type of key wants livecert to have the key again.
        let kept_request = stored.is_some_and(|stored| stored.own_request) && request.key_type.is_none();
        let own_request = request.own_request.is_some() || kept_request;
        let subject = text(&request.subject, stored.map(|stored| &stored.subject));
        let profile = text(&request.profile, stored.map(|stored| &stored.profile));
        let preferred_profile =
            text(&request.preferred_profile, stored.map(|stored| &stored.preferred_profile));
        let preferred_chain = text(&request.preferred_chain, stored.map(|stored| &stored.preferred_chain));
        let lifetime_days = request.lifetime_days.or(stored.and_then(|stored| stored.lifetime_days));
        let lifetime_days = lifetime_days.filter(|days| *days > 0);
        let must_staple = request.must_staple.or(stored.map(|stored| stored.must_staple)).unwrap_or(false);
        let proofs = Proofs::new(request, before)?;
        let wished = [
            ("--must-staple", request.must_staple == Some(true)),
            ("--subject", request.subject.as_ref().is_some_and(|subject| !subject.is_empty())),
            ("--reuse-key", request.reuse_key == Some(true)),
        ];
        if own_request && let Some((option, _)) = wished.iter().find(|(_, wished)| *wished) {
            return Err(CertificateError::FixedByRequest { option });
        }
        let mut output = OutputSettings::new(&request.output, stored.map(|stored| &stored.output))?;
        if let (Some(before), None) = (before, stored) {
            output.keep_password(&before.output);
        }
        if own_request && let Some(what) = output.needs_key() {
            return Err(CertificateError::NoKeyFor { what });
        }
        let changed = before.is_some_and(|stored| {
            !same_names(&request.names, &stored.names)
                || stored.server != servers[0].as_str()
                || (!own_request && stored.key_type != key_type)
                || stored.own_request != own_request
                || stored.subject != subject
                || stored.must_staple != must_staple
                || stored.profile != profile
                || stored.preferred_profile != preferred_profile
                || stored.lifetime_days != lifetime_days
        });
        Ok(Settings {
            names: request.names.clone(),
            servers,
            account: None,
            key_type,
            reuse_key: request.reuse_key.or(stored.map(|stored| stored.reuse_key)).unwrap_or(false),
            own_request,
            subject,
            must_staple,
            profile,
            preferred_profile,
            preferred_chain,
            lifetime_days,
            proofs,
            propagation: propagation(&request.propagation, stored.map(|stored| &stored.propagation))?,
            validation_timeout: request
                .validation_timeout
                .or(stored.map(|stored| Duration::from_secs(stored.validation_timeout)))
                .unwrap_or(Duration::from_secs(120)),
            serial: request.serial.or(stored.map(|stored| stored.serial)).unwrap_or(false),
            keep_generations: request.keep_generations.or(stored.and_then(|stored| stored.keep_generations)),
            deployment: request.deployment.completed(stored.map(|stored| &stored.deployment)),
            output,
            declared_in: request.declared_in.clone().or(before.and_then(|before| before.declared_in.clone())),
            changed,
        })
    }

    /// Whether a certificate is what is asked for, as far as can be told without the settings that it was made with.
    pub(super) fn made(&self, info: &GenerationInfo) -> bool {
        self.has_names_of(info) && self.servers.iter().any(|server| server.as_str() == info.server)
    }

    /// Whether a certificate has the names that are asked for.
    pub(super) fn has_names_of(&self, info: &GenerationInfo) -> bool {
        same_names(&self.names, &info.names)
    }

    /// The names as texts.
    pub(super) fn name_texts(&self) -> Vec<String> {
        self.names.iter().map(|name| name.as_str().to_owned()).collect()
    }

    /// The server that is asked first.
    pub(super) fn home(&self) -> &ServerUrl {
        &self.servers[0]
    }

    /// The domains that are authorized: without `*.`, each once.
    pub(super) fn domains(&self) -> Vec<String> {
        self.proofs.bases(|_| true)
    }

    /// What an order is asked for beside its names, so that one of another day is not taken for the same.
    pub(super) fn wishes(&self) -> Vec<String> {
        let text = |what: &str, wish: &Option<String>| wish.as_ref().map(|wish| format!("{what} {wish}"));
        let wishes = [
            Some(if self.own_request { "own request".to_owned() } else { format!("key {}", self.key_type) }),
            text("profile", &self.profile),
            text("preferred profile", &self.preferred_profile),
            text("subject", &self.subject),
            self.lifetime_days.map(|days| format!("lifetime {days} days")),
            self.must_staple.then(|| "must-staple".to_owned()),
        ];
        wishes.into_iter().flatten().collect()
    }

    /// What a renewal needs to know.
    pub(super) fn record(&self, arguments: &StoredArguments, output: &OutputRecord) -> CertificateRecord {
        let names = self.names.iter().map(|name| name.as_str().to_owned()).collect();
        let plugin = self.proofs.main().name.to_owned();
        let mut record = CertificateRecord::new(names, self.home().as_str().to_owned(), plugin);
        self.proofs.note(&mut record, arguments);
        record.fallbacks = self.servers[1..].iter().map(|server| server.as_str().to_owned()).collect();
        record.account.clone_from(&self.account);
        record.key_type = self.key_type;
        record.reuse_key = self.reuse_key;
        record.own_request = self.own_request;
        record.subject.clone_from(&self.subject);
        record.must_staple = self.must_staple;
        record.profile.clone_from(&self.profile);
        record.preferred_profile.clone_from(&self.preferred_profile);
        record.preferred_chain.clone_from(&self.preferred_chain);
        record.lifetime_days = self.lifetime_days;
        record.propagation = PropagationRecord {
            resolvers: self.propagation.resolvers.iter().map(ToString::to_string).collect(),
            authoritative: self.propagation.authoritative.clone(),
            mode: Some(self.propagation.mode.word().to_owned()),
            timeout: Some(self.propagation.patience.limit.as_secs()),
            sleep: self.propagation.sleep.map(|sleep| sleep.as_secs()),
            grace: Some(self.propagation.patience.grace.as_secs()),
            quorum: Some(self.propagation.patience.quorum),
        };
        record.validation_timeout = self.validation_timeout.as_secs();
        record.serial = self.serial;
        record.keep_generations = self.keep_generations;
        record.deployment.clone_from(&self.deployment);
        record.output.clone_from(output);
        record.declared_in.clone_from(&self.declared_in);
        record
    }
}

/// A text that was given, or else the stored one. An empty one is none.
fn text(given: &Option<String>, stored: Option<&Option<String>>) -> Option<String> {
    given.as_ref().or(stored.and_then(Option::as_ref)).filter(|text| !text.is_empty()).cloned()
}

/// A certificate's names have no order.
fn same_names(asked: &[SubjectName], stored: &[String]) -> bool {
    asked.len() == stored.len() && asked.iter().all(|name| stored.iter().any(|other| other == name.as_str()))
}

pub(super) fn propagation(
    asked: &PropagationRequest,
    stored: Option<&PropagationRecord>,
) -> Result<PropagationSettings, CertificateError> {
    let mut settings = PropagationSettings::default();
    if let Some(stored) = stored {
        let resolvers = stored.resolvers.iter().map(|text| text.parse::<ResolverAddress>());
        settings.resolvers = resolvers.collect::<Result<_, _>>()?;
        settings.authoritative.clone_from(&stored.authoritative);
        let word = |(word, _): &&(&str, PropagationMode)| stored.mode.as_deref() == Some(*word);
        settings.mode = PropagationMode::WORDS.iter().find(word).map(|(_, mode)| *mode).unwrap_or_default();
        settings.sleep = stored.sleep.map(Duration::from_secs);
        if let Some(seconds) = stored.timeout {
            settings.patience.limit = Duration::from_secs(seconds);
        }
        if let Some(seconds) = stored.grace {
            settings.patience.grace = Duration::from_secs(seconds);
        }
        if let Some(quorum) = stored.quorum {
            settings.patience.quorum = quorum;
        }
    }
    if !asked.resolvers.is_empty() {
        settings.resolvers.clone_from(&asked.resolvers);
    }
    if !asked.authoritative.is_empty() {
        settings.authoritative.clone_from(&asked.authoritative);
    }
    settings.mode = asked.mode.unwrap_or(settings.mode);
    settings.sleep = asked.sleep.or(settings.sleep);
    settings.patience = Patience {
        limit: asked.limit.unwrap_or(settings.patience.limit),
        grace: asked.grace.unwrap_or(settings.patience.grace),
        quorum: asked.quorum.unwrap_or(settings.patience.quorum),
    };
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::certificate::parse_names;

    fn request(names: &[&str]) -> IssueRequest {
        IssueRequest { names: parse_names(names.iter().copied()).unwrap(), ..IssueRequest::default() }
    }

    #[test]
    fn a_request_is_completed_by_what_is_stored() {
        let stored = CertificateRecord::example();
        let settings = Settings::new(&request(&["*.example.com", "example.com"]), Some(&stored)).unwrap();
        assert!(!settings.changed);
        assert_eq!(settings.proofs.main().name, "gandi");
        assert_eq!(settings.home().as_str(), "https://acme.example/directory");
        assert_eq!(settings.proofs.publishers[0].arguments.len(), 2);
        assert_eq!(settings.domains(), ["example.com"]);
        let arguments = BTreeMap::from([(settings.proofs.main().into(), stored.plugin_args.clone())]);
        assert_eq!(settings.record(&arguments, &stored.output).plugin_args, stored.plugin_args);
    }

    #[test]
    fn other_names_server_or_key_make_it_another_certificate() {
        let stored = CertificateRecord::example();
        let changed = |request: &IssueRequest| Settings::new(request, Some(&stored)).unwrap().changed;
        assert!(changed(&request(&["example.com"])));
        assert!(changed(&request(&["example.com", "www.example.com"])));
        let mut other = request(&["example.com", "*.example.com"]);
        other.key_type = Some("rsa-2048".parse().unwrap());
        assert!(changed(&other));
        other.key_type = None;
        other.servers = vec!["LE_STAGE".parse().unwrap()];
        assert!(changed(&other));
        other.servers = vec!["https://acme.example/directory".parse().unwrap(), "LE_STAGE".parse().unwrap()];
        assert!(!changed(&other));
        other.profile = Some("shortlived".into());
        assert!(changed(&other));
    }

    #[test]
    fn an_address_is_not_proved_in_dns() {
        let mut address = request(&["192.0.2.1"]);
        address.plugin = PerName::all(Some("gandi".parse().unwrap()));
        assert!(matches!(Settings::new(&address, None), Err(CertificateError::AddressInDns { .. })));
        address.plugin = PerName::all(Some("selfhost".parse().unwrap()));
        assert!(Settings::new(&address, None).unwrap().domains().is_empty());
    }

    #[test]
    fn names_that_dns_cannot_prove_are_refused_early() {
        let long = [["a".repeat(60).as_str(); 4].join(".").as_str(), "example"].join(".");
        let settings = |request: &IssueRequest| Settings::new(request, None);
        let mut long = request(&[&long]);
        assert!(matches!(settings(&long), Err(CertificateError::ValidationNameTooLong { .. })));
        long.plugin = PerName::all(Some("webroot".parse().unwrap()));
        assert!(settings(&long).is_ok());
        assert!(matches!(request(&[]).check(), Err(CertificateError::NoNames)));
        assert_eq!(request(&["*.example.com"]).check().unwrap().as_str(), "!.example.com");
    }
}

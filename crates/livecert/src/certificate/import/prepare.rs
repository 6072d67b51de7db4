//! From what was found to what is stored: settings as `issue` makes them, and a certificate that was checked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::leaf::{self, Leaf};
use super::{ImportRequest, ImportedCertificate, Taken};
use crate::certificate::proof::StoredArguments;
use crate::certificate::settings::Settings;
use crate::certificate::{
    CertificateError, DeploymentRequest, IssueRequest, PerName, PublisherRequest, Service, SubjectName,
    check_bundle, due, with_causes,
};
use crate::import::{
    CredentialKind, CredentialPlace, FoundCertificate, FoundGandi, FoundHook, FoundProof, HookMoment,
    Obstacle,
};
use crate::key::{ForeignRequest, PrivateKey};
use crate::plugin::{self, ArgumentSource, ArgumentSources, PluginInfo};
use crate::secret::Source;
use crate::store::{
    Bundle, CertName, CertificateRecord, Generation, GenerationInfo, OutputRecord, Store, StoredArgument,
};

/// A certificate that can be stored.
pub(super) struct Prepared {
    pub(super) cert: CertName,
    name: String,
    pub(super) settings: Settings,
    pub(super) key: Option<SecretString>,
    pub(super) request: Option<Vec<u8>>,
    pub(super) bundle: Bundle,
    pub(super) info: GenerationInfo,
    hooks: Vec<FoundHook>,
    notes: Vec<String>,
}

impl Prepared {
    /// Checks what was found; the error is for its user.
    pub(super) fn new(mut found: FoundCertificate, request: &ImportRequest) -> Result<Self, String> {
        let chain = found.chains.first().ok_or("it has no certificate yet")?;
        let leaf = leaf::read(chain)?;
        let names = in_order(leaf.names.clone(), found.first.as_deref());
        let cert = cert_name(&found.name, &names);
        let mut notes = std::mem::take(&mut found.notes);
        let public_key = public_key(&found, &names)?;
        let now = Timestamp::now();
        // One that has ended is as good for what comes next.
        let moment = now.min(leaf.not_after - SignedDuration::from_secs(1));
        if moment < now {
            notes.push("it has ended, and is due at once".to_owned());
        }
        let chains: Vec<&str> = found.chains.iter().map(String::as_str).collect();
        let checked = check_bundle(
            &chains,
            found.preferred_chain.as_deref(),
            &public_key,
            &names,
            &found.server,
            moment,
        );
        let checked = checked.map_err(|why| why.to_string())?;
        let mut info = checked.info;
        info.account = found.account.take();
        let issue = issue_request(&found, &leaf, names, &cert, request, &mut notes)?;
        let mut settings = Settings::new(&issue, None).map_err(|why| with_causes(&why))?;
        settings.account.clone_from(&info.account);
        let key = found.key.as_ref().map(|key| key.pem().clone());
        let (request, bundle) = (found.request.take(), checked.bundle);
        Ok(Prepared {
            cert,
            name: found.name,
            settings,
            key,
            request,
            bundle,
            info,
            hooks: found.hooks,
            notes,
        })
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.cert.as_str() == name
    }

    /// What it would be in our store.
    pub(super) fn place_in(&self, store: &Store) -> Result<Taken, CertificateError> {
        let (record, current) = (store.find_record(&self.cert)?, store.current(&self.cert)?);
        let names = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        let (record, current) = match (&record, &current) {
            (Some(record), Some(current)) => (record, current),
            (None, None) => return Ok(Taken::New),
            // What an import that was killed has left behind.
            (Some(record), None) if self.is_record(record) && !store.has_pending_order(&self.cert)? => {
                return Ok(Taken::New);
            }
            (Some(_), None) => {
                return Ok(Taken::Kept(format!(
                    "the store has settings of that name, for a certificate that was never issued; `livecert remove {}` \
                     forgets them",
                    self.cert
                )));
            }
            (None, Some(_)) => {
                return Ok(Taken::Kept("the store has a certificate of that name".to_owned()));
            }
        };
        if names(&record.names) == names(&self.info.names) && record.server == self.info.server {
            return Ok(Taken::Already);
        }
        let (others, end) = (record.names.join(", "), current.info.not_after);
        Ok(Taken::Kept(format!(
            "the store has another certificate of that name, for {others} from {}, which ends at {end:.0}",
            record.server
        )))
    }

    /// Whether it is the record that would be stored with it. Sealed values are other ones each time.
    fn is_record(&self, record: &CertificateRecord) -> bool {
        let wanted = self.arguments().map(|(name, source)| ((*name).to_owned(), source.place()));
        let stored =
            record.plugin_args.iter().map(|(name, stored)| (name.clone(), stored.source().to_owned()));
        let arguments = BTreeMap::from([(self.settings.proofs.main().into(), record.plugin_args.clone())]);
        *record == self.settings.record(&arguments, &OutputRecord::default()) && wanted.eq(stored)
    }

    /// Gives it arguments whose secrets were asked for.
    pub(super) fn give(&mut self, asked: &ArgumentSources) {
        for publisher in &mut self.settings.proofs.publishers {
            for (name, source) in asked {
                if publisher.arguments.contains_key(name) {
                    publisher.arguments.insert(name, source.clone());
                }
            }
        }
    }

    fn arguments(&self) -> impl Iterator<Item = (&&'static str, &ArgumentSource)> {
        self.settings.proofs.publishers.iter().flat_map(|publisher| &publisher.arguments)
    }

    pub(super) fn report(self, taken: Taken, stored: Option<&StoredArguments>) -> ImportedCertificate {
        let shown = |(name, source): (&&'static str, &ArgumentSource)| {
            let stored = stored.and_then(|stored| stored.values().find_map(|stored| stored.get(*name)));
            ((*name).to_owned(), stored.map_or_else(|| show(source), show_stored))
        };
        let plugin = self.settings.proofs.main().name;
        let arguments = self.arguments().map(shown).collect();
        let generation = Generation { number: 1, info: self.info, current: "current".into() };
        let due = due(&generation, None, Timestamp::now());
        let info = generation.info;
        ImportedCertificate {
            cert: self.cert,
            name: self.name,
            names: info.names,
            server: info.server,
            account: info.account,
            key_type: match self.settings.own_request {
                true => "own request".to_owned(),
                false => self.settings.key_type.to_string(),
            },
            plugin,
            arguments,
            not_after: info.not_after,
            renew_at: due.at,
            hooks: self.hooks,
            notes: self.notes,
            taken,
        }
    }
}

impl Service {
    /// The arguments for which somebody has to be asked: once, and not for each certificate.
    pub(super) async fn asked_once(
        &self,
        given: &ArgumentSources,
    ) -> Result<ArgumentSources, CertificateError> {
        let mut asked = ArgumentSources::new();
        for (name, source) in given {
            if let ArgumentSource::Secret(source @ Source::Prompt) = source {
                let reading = source.read(name, &self.surroundings.prompter);
                let value = self.unless_interrupted(reading).await?;
                let value =
                    value.map_err(|source| plugin::ArgumentError::Secret { parameter: name, source })?;
                asked.insert(name, ArgumentSource::Kept { value, source: source.to_string() });
            }
        }
        Ok(asked)
    }
}

/// Two certificates of one name cannot both be stored.
pub(super) fn without_doubles(certificates: &mut Vec<Prepared>, obstacles: &mut Vec<Obstacle>) {
    let mut seen = BTreeMap::<CertName, String>::new();
    certificates.retain(|prepared| match seen.entry(prepared.cert.clone()) {
        Entry::Vacant(free) => {
            free.insert(prepared.name.clone());
            true
        }
        Entry::Occupied(first) => {
            let why = format!("'{}' has the same name in our store ({})", first.get(), prepared.cert);
            obstacles.push(Obstacle { what: prepared.name.clone(), is_certificate: true, why });
            false
        }
    });
}

/// The client's name, where our store can have it; else the first name of the certificate.
fn cert_name(name: &str, names: &[SubjectName]) -> CertName {
    let given = name.replace('*', "!").parse();
    given.unwrap_or_else(|_| CertName::from(&names[0]))
}

fn in_order(mut names: Vec<SubjectName>, first: Option<&str>) -> Vec<SubjectName> {
    let first = first.and_then(|first| first.parse::<SubjectName>().ok());
    if let Some(at) = names.iter().position(|name| Some(name) == first.as_ref()) {
        let first = names.remove(at);
        names.insert(0, first);
    }
    names
}

/// The SubjectPublicKeyInfo of the key, DER, wherever the key is.
fn public_key(found: &FoundCertificate, names: &[SubjectName]) -> Result<Vec<u8>, String> {
    match (&found.key, &found.request) {
        (Some(key), _) => Ok(key.public_key_info()),
        (None, Some(request)) => {
            let request = ForeignRequest::read(request).map_err(|why| why.to_string())?;
            if request.dns_names().len() + request.ip_addresses().len() != names.len() {
                return Err("its certificate request is for other names".to_owned());
            }
            Ok(request.public_key_info().to_vec())
        }
        (None, None) => Err("its key is not there".to_owned()),
    }
}

fn issue_request(
    found: &FoundCertificate,
    leaf: &Leaf,
    names: Vec<SubjectName>,
    cert: &CertName,
    request: &ImportRequest,
    notes: &mut Vec<String>,
) -> Result<IssueRequest, String> {
    let key_type = found.key.as_ref().and_then(|key| key_type(key, notes));
    let own_request = found.key.is_none().then(|| found.request.clone()).flatten();
    let (plugin, arguments, challenge) = publication(found, &names, request, notes)?;
    let must_staple = own_request.is_none() && (found.must_staple || leaf.must_staple);
    Ok(IssueRequest {
        names,
        cert_name: Some(cert.clone()),
        servers: vec![found.server.parse().map_err(|why| format!("its server: {why}"))?],
        key_type,
        reuse_key: own_request.is_none().then_some(found.reuse_key),
        own_request,
        subject: found.subject.clone(),
        must_staple: must_staple.then_some(true),
        serial: found.serial.then_some(true),
        profile: found.profile.clone(),
        preferred_profile: found.preferred_profile.clone(),
        preferred_chain: found.preferred_chain.clone(),
        lifetime_days: found.lifetime_days,
        challenge: match challenge {
            Some(word) => PerName::all(word.parse().map_err(|_| "its challenge is unknown")?),
            None => PerName::Unsaid,
        },
        plugin: PerName::all(Some(plugin.into())),
        publishers: PublisherRequest::one(plugin, arguments),
        propagation: request.propagation.clone(),
        deployment: if request.hooks { hooks(&found.hooks) } else { DeploymentRequest::default() },
        validation_timeout: found.validation_timeout.map(Duration::from_secs),
        ..IssueRequest::default()
    })
}

fn key_type(key: &PrivateKey, notes: &mut Vec<String>) -> Option<crate::key::KeyType> {
    let kind = key.key_type();
    if kind.is_none() {
        notes.push(
            "its RSA key has a length that is not made here; the next one is of the usual type".to_owned(),
        );
    }
    kind
}

/// The client's hooks, those of one moment one after the other.
fn hooks(found: &[FoundHook]) -> DeploymentRequest {
    let at = |moment: HookMoment| {
        let commands = found.iter().filter(|hook| hook.moment == moment).map(|hook| hook.command.as_str());
        match commands.collect::<Vec<_>>().as_slice() {
            [] => None,
            [one] => Some((*one).to_owned()),
            // The first that fails is the one that is told and tried again.
            several => Some(format!("set -e\n{}", several.join("\n"))),
        }
    };
    DeploymentRequest {
        pre_hook: at(HookMoment::Pre),
        deploy_hook: at(HookMoment::Deploy),
        post_hook: at(HookMoment::Post),
        ..DeploymentRequest::default()
    }
}

/// What publishes the proofs from now on: plugin, arguments, challenge.
fn publication(
    found: &FoundCertificate,
    names: &[SubjectName],
    request: &ImportRequest,
    notes: &mut Vec<String>,
) -> Result<(&'static PluginInfo, ArgumentSources, Option<&'static str>), String> {
    let (name, mut arguments) = match &found.proof {
        FoundProof::Gandi(gandi) => ("gandi", gandi_arguments(gandi)),
        FoundProof::Webroot { roots, exact } => ("webroot", webroot_arguments(roots, *exact)?),
        FoundProof::Standalone => ("selfhost", ArgumentSources::new()),
        FoundProof::Manual | FoundProof::Other(_) | FoundProof::Unknown => ("manual", ArgumentSources::new()),
    };
    let theirs = plugin::find(name).map_err(|why| why.to_string())?;
    let Some(wanted) = request.plugin else {
        let why = match &found.proof {
            FoundProof::Other(what) => {
                Some(format!("its names were proved by {what}, which livecert has not"))
            }
            FoundProof::Unknown => Some(format!("{} does not note what proved its names", request.client)),
            _ => None,
        };
        notes.extend(why.map(|why| format!("{why}: {BY_HAND}")));
        if let FoundProof::Gandi(FoundGandi { credential: None, .. }) = &found.proof {
            notes.push(NO_CREDENTIAL.to_owned());
        }
        if names.iter().any(SubjectName::is_wildcard) && matches!(name, "webroot" | "selfhost") {
            return Err(format!("the plugin '{name}' cannot prove a wildcard: name another one (--plugin)"));
        }
        return Ok((theirs, arguments, found.challenge));
    };
    if wanted.name != theirs.name {
        return Ok((wanted, request.arguments.clone(), None));
    }
    // A credential that is given takes the place of the one that was found.
    let is_credential = |name: &str| {
        wanted.parameters.iter().any(|parameter| parameter.name == name && parameter.is_credential())
    };
    if request.arguments.keys().any(|name| is_credential(name)) {
        arguments.retain(|name, _| !is_credential(name));
    }
    arguments.extend(request.arguments.clone());
    if wanted.name == "gandi" && !arguments.keys().any(|name| is_credential(name)) {
        notes.push(NO_CREDENTIAL.to_owned());
    }
    Ok((wanted, arguments, found.challenge))
}

/// What is said where there is nothing that proves the names from now on.
const BY_HAND: &str =
    "the plugin is 'manual', and its renewal needs a person until another one is named (--plugin)";

/// What is said where a client keeps its credential elsewhere.
const NO_CREDENTIAL: &str = "no credential for Gandi is in the folder: give it (--plugin gandi --plugin-arg \
                             GandiPAT=file:PATH), or let each renewal find it in GANDI_PAT or GANDI_PAT_FILE";

fn gandi_arguments(gandi: &FoundGandi) -> ArgumentSources {
    let mut arguments = ArgumentSources::new();
    if let Some(credential) = &gandi.credential {
        let parameter = match credential.kind {
            CredentialKind::PersonalAccessToken => "GandiPAT",
            CredentialKind::ApiKey => "GandiToken",
        };
        let source = match &credential.place {
            CredentialPlace::File(path) => ArgumentSource::Secret(Source::File(path.clone())),
            CredentialPlace::Value { secret, from } => ArgumentSource::imported(secret.clone(), from),
        };
        arguments.insert(parameter, source);
    }
    if let Some(id) = &gandi.sharing_id {
        arguments.insert("GandiSharingId", ArgumentSource::Plain(id.clone()));
    }
    arguments
}

fn webroot_arguments(roots: &[std::path::PathBuf], exact: bool) -> Result<ArgumentSources, String> {
    let joined = std::env::join_paths(roots).ok().and_then(|joined| joined.into_string().ok());
    let joined = joined.filter(|joined| !joined.is_empty());
    let joined = joined.ok_or("the folder of its web server is not in its settings")?;
    let mut arguments = ArgumentSources::from([("WRPath", ArgumentSource::Plain(joined))]);
    if exact {
        arguments.insert("WRExactPath", ArgumentSource::Plain("true".to_owned()));
    }
    Ok(arguments)
}

/// A source as it will be stored, for people.
fn show(source: &ArgumentSource) -> String {
    match source {
        ArgumentSource::Secret(source) if source.must_be_kept() => format!("{source} (sealed)"),
        ArgumentSource::Secret(source) => source.to_string(),
        ArgumentSource::Kept { source, .. } => format!("{source} (sealed)"),
        ArgumentSource::Literal(_) => "literal (sealed)".to_owned(),
        ArgumentSource::Plain(value) => value.clone(),
        ArgumentSource::Stored(stored) => show_stored(stored),
    }
}

fn show_stored(stored: &StoredArgument) -> String {
    match stored {
        StoredArgument::Plain(value) => value.clone(),
        StoredArgument::Secret { source, sealed: None } => source.clone(),
        StoredArgument::Secret { source, sealed: Some(_) } => format!("{source} (sealed)"),
    }
}

//! The settings of lego 5: `.lego.yml`, beside the folder that it keeps its state in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::folder::Folder;
use super::shell_conf::ShellConf;
use super::{
    CredentialKind, CredentialPlace, Found, FoundCertificate, FoundCredential, FoundGandi, FoundHook,
    FoundProof, HookMoment,
};

/// Where lego keeps its state, unless it is told otherwise.
const STORAGE: &str = ".lego";

/// The parts that matter. Certificates name accounts and challenges, and accounts name servers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Settings {
    /// The folder that they lie in, which is where lego runs.
    #[serde(skip)]
    home: PathBuf,
    storage: Option<String>,
    servers: BTreeMap<String, Server>,
    accounts: BTreeMap<String, Account>,
    challenges: BTreeMap<String, Challenge>,
    certificates: BTreeMap<String, Certificate>,
    hooks: Hooks,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Server {
    url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Account {
    server: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Challenge {
    http: Option<Http>,
    tls: Option<serde::de::IgnoredAny>,
    dns: Option<Dns>,
    dns_persist: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Http {
    webroot: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Dns {
    provider: String,
    env_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Certificate {
    challenge: Option<String>,
    account: Option<String>,
    csr: Option<String>,
    profile: Option<String>,
    preferred_chain: Option<String>,
    must_staple: bool,
    renew: Renew,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Renew {
    reuse_key: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hooks {
    pre: Option<Hook>,
    deploy: Option<Hook>,
    post: Option<Hook>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hook {
    command: String,
}

impl Settings {
    /// The settings in the folder, if there are any.
    pub(super) fn find(folder: &Folder, found: &mut Found) -> Option<Self> {
        let name = [".lego.yml", ".lego.yaml"].into_iter().find(|name| folder.has(name))?;
        let text = folder.text(name).map_err(|why| why.to_string());
        let mut settings = text.and_then(|text| Self::parse(&text)).unwrap_or_else(|why| {
            found.obstacle(name, why);
            // Its state may be where it usually is.
            Settings::default()
        });
        settings.home = folder.root().to_owned();
        Some(settings)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // The message could repeat what stands there.
        serde_saphyr::from_str(text).map_err(|error| match error.location() {
            Some(at) => format!("it is not the YAML that was expected (line {})", at.line()),
            None => "it is not the YAML that was expected".to_owned(),
        })
    }

    /// The folder with lego's state, which the settings may have anywhere.
    pub(super) fn storage(&self, found: &mut Found) -> Option<Folder> {
        let path = self.home.join(self.storage.as_deref().unwrap_or(STORAGE));
        if !path.exists() && self.storage.is_none() {
            return None;
        }
        Folder::open(&path).map_err(|why| found.obstacle("the folder of lego's state", why)).ok()
    }

    /// URLs of all servers that it names.
    pub(super) fn servers(&self) -> Vec<String> {
        let named = self.servers.values().map(|server| server.url.clone());
        let direct = self.accounts.values().map(|account| account.server.clone());
        named.chain(direct).filter(|url| url.starts_with("https://")).collect()
    }

    /// Completes a certificate, and gives the name of its account, where it has one.
    pub(super) fn apply(&self, id: &str, certificate: &mut FoundCertificate) -> Option<String> {
        certificate.hooks = self.hooks();
        let Some(settings) = self.certificates.get(id) else {
            certificate.notes.push("lego's settings do not name it any more".to_owned());
            return None;
        };
        certificate.reuse_key = settings.renew.reuse_key;
        certificate.must_staple = settings.must_staple;
        certificate.profile.clone_from(&settings.profile);
        certificate.preferred_chain.clone_from(&settings.preferred_chain);
        if let Some(request) = settings.csr.as_deref().filter(|_| certificate.key.is_none()) {
            let text = Folder::named_elsewhere(&self.home.join(request));
            certificate.request = text.ok().map(|text| text.as_bytes().to_vec());
        }
        let only = |count: usize, first: Option<&String>| first.filter(|_| count == 1).cloned();
        let challenge = settings.challenge.clone();
        let challenge = challenge.or_else(|| only(self.challenges.len(), self.challenges.keys().next()));
        (certificate.proof, certificate.challenge) = self.proof(challenge.as_deref(), &mut certificate.notes);
        let account = settings.account.clone();
        account.or_else(|| only(self.accounts.len(), self.accounts.keys().next()))
    }

    fn proof(&self, name: Option<&str>, notes: &mut Vec<String>) -> (FoundProof, Option<&'static str>) {
        let challenge = name.and_then(|name| self.challenges.get(name));
        match (challenge, name) {
            (Some(Challenge { dns: Some(dns), .. }), _) if dns.provider == "gandiv5" => {
                (FoundProof::Gandi(self.gandi(dns, notes)), None)
            }
            (Some(Challenge { dns: Some(dns), .. }), _) => {
                (FoundProof::Other(format!("lego's provider '{}'", dns.provider)), None)
            }
            (Some(Challenge { http: Some(Http { webroot: Some(root) }), .. }), _) => {
                (FoundProof::Webroot { roots: vec![root.clone()], exact: false }, None)
            }
            (Some(Challenge { http: Some(_), .. }), _) | (None, Some("http-01")) => {
                (FoundProof::Standalone, None)
            }
            (Some(Challenge { tls: Some(_), .. }), _) | (None, Some("tls-alpn-01")) => {
                (FoundProof::Standalone, Some("tls-alpn-01"))
            }
            (Some(Challenge { dns_persist: Some(_), .. }), _) | (None, Some("dns-persist-01")) => {
                (FoundProof::Manual, Some("dns-persist-01"))
            }
            _ => (FoundProof::Unknown, None),
        }
    }

    /// The credential in the file with lego's environment.
    fn gandi(&self, dns: &Dns, notes: &mut Vec<String>) -> FoundGandi {
        let Some(path) = &dns.env_file else { return FoundGandi::default() };
        let from = self.home.join(path);
        let text = match Folder::named_elsewhere(&from) {
            Ok(text) => text,
            Err(why) => {
                notes.push(format!("the file with lego's environment cannot be used: {why}"));
                return FoundGandi::default();
            }
        };
        let environment = ShellConf::parse(&text);
        let variables = [
            ("GANDIV5_PERSONAL_ACCESS_TOKEN", CredentialKind::PersonalAccessToken),
            ("GANDIV5_API_KEY", CredentialKind::ApiKey),
        ];
        let credential = variables.into_iter().find_map(|(variable, kind)| {
            let place = match environment.text(variable) {
                Some(secret) => {
                    CredentialPlace::Value { secret: SecretString::from(secret), from: from.clone() }
                }
                None => place(self.home.join(environment.text(&format!("{variable}_FILE"))?), notes)?,
            };
            Some(FoundCredential { kind, place })
        });
        FoundGandi { credential, sharing_id: None }
    }

    fn hooks(&self) -> Vec<FoundHook> {
        let all = [
            (&self.hooks.pre, HookMoment::Pre),
            (&self.hooks.deploy, HookMoment::Deploy),
            (&self.hooks.post, HookMoment::Post),
        ];
        let hook = |(hook, moment): (&Option<Hook>, HookMoment)| {
            let command = hook.as_ref()?.command.clone();
            (!command.is_empty()).then_some(FoundHook { moment, command })
        };
        all.into_iter().filter_map(hook).collect()
    }
}

/// A file with a credential stays where it is if it is for its owner alone; livecert reads no other.
fn place(path: PathBuf, notes: &mut Vec<String>) -> Option<CredentialPlace> {
    match Folder::named_elsewhere(&path) {
        Ok(_) if Folder::is_private(&path) => Some(CredentialPlace::File(path)),
        Ok(text) => Some(CredentialPlace::Value { secret: SecretString::from(text.trim()), from: path }),
        Err(why) => {
            notes.push(format!("the file with the credential cannot be used: {why}"));
            None
        }
    }
}

//! certbot: `renewal/NAME.conf` names the account and what proves the names; `live/NAME` leads to `archive/NAME`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use livecert_acme::AccountKey;
use secrecy::SecretString;
use serde::Deserialize;

use super::folder::Folder;
use super::ini::Ini;
use super::{
    CredentialKind, CredentialPlace, Found, FoundAccount, FoundCertificate, FoundCredential, FoundGandi,
    FoundHook, FoundProof, HookMoment, is_plain,
};
use crate::key::PrivateKey;

/// The server that certbot asks when its settings name none.
const DEFAULT_SERVER: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The section of `renewal/NAME.conf` that matters.
const PARAMETERS: &[&str] = &["renewalparams"];
/// How deep an account may lie below `accounts`: a server's path has few parts.
const DEPTH: usize = 6;

/// `regr.json`.
#[derive(Deserialize)]
struct Registration {
    uri: String,
    #[serde(default)]
    body: RegistrationBody,
}

/// Only old versions keep the contacts.
#[derive(Default, Deserialize)]
struct RegistrationBody {
    #[serde(default)]
    contact: Vec<String>,
}

/// `meta.json`.
#[derive(Deserialize)]
struct Meta {
    creation_dt: Option<jiff::Timestamp>,
}

/// Account URLs by server's path and the account's id.
type Ids = BTreeMap<String, String>;

pub(super) fn read(folder: &Folder) -> Option<Found> {
    if !folder.has("renewal") && !folder.has("accounts") {
        return None;
    }
    let mut found = Found::default();
    let mut ids = Ids::new();
    accounts(folder, Path::new(""), DEPTH, &mut ids, &mut found);
    let names = folder.names("renewal").unwrap_or_else(|error| {
        found.obstacle("the certificates", error);
        Vec::new()
    });
    for name in names.iter().filter_map(|name| name.strip_suffix(".conf")) {
        match certificate(folder, name, &ids) {
            Ok(certificate) => found.certificates.push(certificate),
            Err(why) => found.lost_certificate(name, why),
        }
    }
    let everywhere = hooks_of_folder(folder, &mut found);
    for certificate in &mut found.certificates {
        certificate.hooks.extend(everywhere.iter().cloned());
    }
    if folder.has("cli.ini") {
        found.notes.push("cli.ini is not read: what it sets counts for certbot alone".to_owned());
    }
    Some(found)
}

/// Looks for accounts below `accounts/SERVER`, where `server` is the URL's part behind `https://`.
fn accounts(folder: &Folder, server: &Path, depth: usize, ids: &mut Ids, found: &mut Found) {
    let here = Path::new("accounts").join(server);
    let names = folder.names(&here).unwrap_or_else(|error| {
        found.obstacle("accounts", error);
        Vec::new()
    });
    for name in names {
        let path = here.join(&name);
        if !folder.has_folder(&path) {
            continue;
        }
        if !folder.has(path.join("private_key.json")) {
            if depth > 0 {
                accounts(folder, &server.join(&name), depth - 1, ids, found);
            }
            continue;
        }
        match account(folder, server, &path) {
            Ok(account) => {
                ids.insert(id(&account.server, &name), account.url.clone());
                // A newer server's folder may be a link to an older one's.
                if !found.accounts.iter().any(|other| other.url == account.url) {
                    found.accounts.push(account);
                }
            }
            Err(why) => found.obstacle(format!("account {}", server.join(&name).display()), why),
        }
    }
}

fn id(server: &str, name: &str) -> String {
    format!("{}/{name}", server.trim_end_matches('/'))
}

fn account(folder: &Folder, server: &Path, path: &Path) -> Result<FoundAccount, String> {
    let registration: Registration = folder.json(path.join("regr.json")).map_err(|why| why.to_string())?;
    let key = folder.text(path.join("private_key.json")).map_err(|why| why.to_string())?;
    let key = AccountKey::from_jwk(&key).map_err(|why| format!("its key cannot be used: {why}"))?;
    let contact = registration.body.contact.iter().filter_map(|url| url.strip_prefix("mailto:"));
    Ok(FoundAccount {
        server: format!("https://{}", server.display()),
        url: registration.uri,
        contact: contact.map(str::to_owned).collect(),
        key,
        created: folder.json::<Meta>(path.join("meta.json")).ok().and_then(|meta| meta.creation_dt),
    })
}

fn certificate(folder: &Folder, name: &str, ids: &Ids) -> Result<FoundCertificate, String> {
    let conf = folder.text(Path::new("renewal").join(format!("{name}.conf")));
    let conf = Ini::parse(&conf.map_err(|why| why.to_string())?);
    let text = |key: &str| conf.text(PARAMETERS, key);
    let (key, chain) = files(folder, name)?;
    let server = text("server").unwrap_or_else(|| DEFAULT_SERVER.to_owned());
    let mut certificate = FoundCertificate {
        name: name.to_owned(),
        account: text("account").and_then(|account| ids.get(&id(&server, &account)).cloned()),
        server,
        chains: vec![chain],
        key: Some(key),
        reuse_key: conf.flag(PARAMETERS, "reuse_key"),
        must_staple: conf.flag(PARAMETERS, "must_staple"),
        profile: text("required_profile"),
        preferred_profile: text("preferred_profile"),
        preferred_chain: text("preferred_chain"),
        ..FoundCertificate::default()
    };
    if conf.text(PARAMETERS, "autorenew").is_some() && !conf.flag(PARAMETERS, "autorenew") {
        certificate.notes.push("certbot was told not to renew it; livecert will".to_owned());
    }
    if let Some(installer) = text("installer") {
        certificate.notes.push(format!("what certbot's installer '{installer}' does is not taken over"));
    }
    certificate.proof = proof(&conf, &mut certificate.notes);
    let moments =
        [("pre_hook", HookMoment::Pre), ("renew_hook", HookMoment::Deploy), ("post_hook", HookMoment::Post)];
    for (key, moment) in moments {
        certificate.hooks.extend(text(key).map(|command| FoundHook { moment, command }));
    }
    Ok(certificate)
}

/// The key and the chain that are in use, or those with the highest number where the links were lost on the way.
fn files(folder: &Folder, name: &str) -> Result<(PrivateKey, String), String> {
    if !is_plain(name) {
        return Err("its name is no name of a folder".to_owned());
    }
    let live = Path::new("live").join(name);
    let path = |what: &str, number: Option<u32>| match number {
        None => live.join(format!("{what}.pem")),
        Some(number) => Path::new("archive").join(name).join(format!("{what}{number}.pem")),
    };
    let number = if folder.has(live.join("privkey.pem")) { None } else { Some(newest(folder, name)?) };
    let key = folder.text(path("privkey", number)).map_err(|why| why.to_string())?;
    let key = PrivateKey::read(key.as_bytes()).map_err(|why| format!("its key cannot be used: {why}"))?;
    let chain = match folder.find(path("fullchain", number)) {
        Ok(Some(chain)) => chain.to_string(),
        // The first versions had none.
        _ => {
            let read = |what| folder.text(path(what, number)).map_err(|why| why.to_string());
            format!("{}\n{}", *read("cert")?, *read("chain")?)
        }
    };
    Ok((key, chain))
}

/// The highest number of a key in the archive.
fn newest(folder: &Folder, name: &str) -> Result<u32, String> {
    let names = folder.names(Path::new("archive").join(name)).map_err(|why| why.to_string())?;
    let number = |name: &String| name.strip_prefix("privkey")?.strip_suffix(".pem")?.parse().ok();
    let found = names.iter().filter_map(number).max();
    found.ok_or_else(|| "its key is neither in 'live' nor in 'archive'".to_owned())
}

fn proof(conf: &Ini, notes: &mut Vec<String>) -> FoundProof {
    let authenticator = conf.text(PARAMETERS, "authenticator").unwrap_or_default();
    match authenticator.as_str() {
        "dns-gandi" => FoundProof::Gandi(gandi(conf, "dns_gandi_", notes)),
        // Before certbot 1.7, plugins of other people had their package in front of their name.
        "certbot-plugin-gandi:dns" => FoundProof::Gandi(gandi(conf, "certbot_plugin_gandi:dns_", notes)),
        "webroot" => {
            let map: Vec<&str> =
                conf.section(&["renewalparams", "webroot_map"]).map(|(_, root)| root).collect();
            let listed = conf.list(PARAMETERS, "webroot_path");
            let mut roots: Vec<PathBuf> =
                map.into_iter().map(PathBuf::from).chain(listed.into_iter().map(PathBuf::from)).collect();
            roots.sort();
            roots.dedup();
            FoundProof::Webroot { roots, exact: false }
        }
        "standalone" => FoundProof::Standalone,
        "manual" => match conf.text(PARAMETERS, "manual_auth_hook") {
            Some(hook) => FoundProof::Other(format!("the hook {hook}")),
            None => FoundProof::Manual,
        },
        other => FoundProof::Other(format!("certbot's plugin '{other}'")),
    }
}

/// The plugin's credential, which stands in a file of its own.
fn gandi(conf: &Ini, prefix: &str, notes: &mut Vec<String>) -> FoundGandi {
    let Some(path) = conf.text(PARAMETERS, &format!("{prefix}credentials")) else {
        return FoundGandi::default();
    };
    let path = PathBuf::from(path);
    let text = match Folder::named_elsewhere(&path) {
        Ok(text) => text,
        Err(why) => {
            notes.push(format!("the file with the credential cannot be used: {why}"));
            return FoundGandi::default();
        }
    };
    let ini = Ini::parse(&text);
    let value = |key: &str| ini.text(&[], &format!("{prefix}{key}"));
    let token = value("token").map(|token| (CredentialKind::PersonalAccessToken, token));
    let credential = token.or_else(|| Some((CredentialKind::ApiKey, value("api_key")?)));
    if credential.is_none() {
        notes.push(format!("{} holds neither {prefix}token nor {prefix}api_key", path.display()));
    }
    FoundGandi {
        credential: credential.map(|(kind, secret)| FoundCredential {
            kind,
            place: CredentialPlace::Value { secret: SecretString::from(secret), from: path },
        }),
        sharing_id: value("sharing_id"),
    }
}

/// The programs that certbot runs around every renewal.
fn hooks_of_folder(folder: &Folder, found: &mut Found) -> Vec<FoundHook> {
    let mut hooks = Vec::new();
    for moment in [HookMoment::Pre, HookMoment::Deploy, HookMoment::Post] {
        let below = Path::new("renewal-hooks").join(moment.to_string());
        match folder.names(&below) {
            Ok(names) => {
                // Others it does not run: read-me files, backups of editors, what was switched off by its mode.
                let runs = |name: &String| !name.ends_with('~') && folder.is_program(below.join(name));
                hooks.extend(names.into_iter().filter(runs).map(|name| {
                    let path = folder.root().join(&below).join(name).display().to_string();
                    FoundHook { moment, command: format!("'{}'", path.replace('\'', r"'\''")) }
                }));
            }
            Err(why) => found.obstacle("the hooks", why),
        }
    }
    hooks
}

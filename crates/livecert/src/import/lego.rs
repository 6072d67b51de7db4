//! lego, version 4 and 5: `accounts/HOST/ID` and `certificates/NAME.{crt,key,issuer.crt,json}`.
//!
//! Its folder names the host of the server only, and nothing of what proves the names; version 5 has both in a file of
//! settings: see [`lego_settings`](super::lego_settings).

use std::path::{Path, PathBuf};

use livecert_acme::AccountKey;
use serde::Deserialize;
use url::Url;

use super::folder::Folder;
use super::lego_settings::Settings;
use super::{Found, FoundAccount, FoundCertificate, FoundProof, Hints, is_plain};
use crate::key::PrivateKey;

/// `account.json`. Version 5 has the server, and the URL in another place.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    email: String,
    #[serde(default)]
    server: String,
    registration: Option<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    #[serde(alias = "location")]
    uri: Option<String>,
}

/// `certificates/NAME.json`. Version 5 calls its name an id.
#[derive(Deserialize)]
struct Resource {
    #[serde(alias = "id")]
    domain: Option<String>,
    #[serde(default, rename = "certUrl")]
    url: String,
}

/// An account, with the names that settings know it by.
struct Known {
    host: String,
    id: String,
    url: String,
    server: String,
}

pub(super) fn read(folder: &Folder, hints: &Hints) -> Option<Found> {
    let mut found = Found::default();
    let settings = Settings::find(folder, &mut found);
    let elsewhere = settings.as_ref().and_then(|settings| settings.storage(&mut found));
    let folder = elsewhere.as_ref().unwrap_or(folder);
    if !folder.has("accounts") && !folder.has("certificates") {
        return settings.map(|_| found);
    }
    let known = accounts(folder, hints, settings.as_ref(), &mut found);
    let names = folder.names("certificates").unwrap_or_else(|why| {
        found.obstacle("the certificates", why);
        Vec::new()
    });
    for name in names.iter().filter_map(|name| name.strip_suffix(".json")) {
        match certificate(folder, name, &known, hints, settings.as_ref()) {
            Ok(certificate) => found.certificates.push(certificate),
            Err(why) => found.lost_certificate(name, why),
        }
    }
    Some(found)
}

/// Accounts in all their places: `HOST/ID`, and `HOST/ID/KEYTYPE` of early versions 5.
fn accounts(folder: &Folder, hints: &Hints, settings: Option<&Settings>, found: &mut Found) -> Vec<Known> {
    let mut known = Vec::new();
    let names = |path: &Path, found: &mut Found| {
        folder.names(path).unwrap_or_else(|why| {
            found.obstacle("accounts", why);
            Vec::new()
        })
    };
    for host in names(Path::new("accounts"), found) {
        let at_host = Path::new("accounts").join(&host);
        for id in names(&at_host, found) {
            let path = at_host.join(&id);
            let deeper = names(&path, found).into_iter().map(|name| path.join(name));
            let places: Vec<PathBuf> = std::iter::once(path.clone()).chain(deeper).collect();
            for place in places.iter().filter(|place| folder.has(place.join("account.json"))) {
                match account(folder, place, (&host, &id), hints, settings) {
                    Ok(account) => {
                        let (url, server) = (account.url.clone(), account.server.clone());
                        known.push(Known { host: host.clone(), id: id.clone(), url, server });
                        found.accounts.push(account);
                    }
                    Err(why) => found.obstacle(format!("account {id} at {host}"), why),
                }
            }
        }
    }
    known
}

fn account(
    folder: &Folder,
    path: &Path,
    (host, id): (&str, &str),
    hints: &Hints,
    settings: Option<&Settings>,
) -> Result<FoundAccount, String> {
    let account: Account = folder.json(path.join("account.json")).map_err(|why| why.to_string())?;
    let url = account.registration.and_then(|registration| registration.uri);
    let key = format!("{id}.key");
    let places = [path.join("keys").join(&key), path.join(&key)];
    let key = places.iter().find(|path| folder.has(path)).ok_or("its key is not there")?;
    let created = folder.changed(key);
    let key = folder.text(key).map_err(|why| why.to_string())?;
    let key = AccountKey::from_pem(&key).map_err(|why| format!("its key cannot be used: {why}"))?;
    let server = match account.server.as_str() {
        "" => server_of(host, hints, settings),
        server => Some(server.to_owned()),
    };
    Ok(FoundAccount {
        server: server.ok_or_else(|| unknown_server(host))?,
        url: url.ok_or("its URL is not in account.json")?,
        contact: [account.email].into_iter().filter(|email| email.contains('@')).collect(),
        key,
        created,
    })
}

fn unknown_server(host: &str) -> String {
    format!("lego keeps no more of its server than '{host}': give the URL of its directory (--server URL)")
}

/// The directory at a host, as far as that is known.
fn server_of(host: &str, hints: &Hints, settings: Option<&Settings>) -> Option<String> {
    let told = settings.map(Settings::servers).unwrap_or_default();
    let at_host = |url: &&String| host_of(url).as_deref() == Some(host);
    if let Some(url) = hints.servers.iter().chain(&told).find(at_host) {
        return Some(url.clone());
    }
    // Some have several directories at one host.
    let mut known = hints.known.iter().filter(at_host);
    known.next().filter(|_| known.next().is_none()).cloned()
}

/// Host and port of a URL, as lego writes them into a folder's name.
fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}_{port}")))
}

fn certificate(
    folder: &Folder,
    name: &str,
    known: &[Known],
    hints: &Hints,
    settings: Option<&Settings>,
) -> Result<FoundCertificate, String> {
    if !is_plain(name) {
        return Err("its name is no name of a file".to_owned());
    }
    let path = |end: &str| Path::new("certificates").join(format!("{name}{end}"));
    let resource: Resource = folder.json(path(".json")).map_err(|why| why.to_string())?;
    let key = folder.find(path(".key")).map_err(|why| why.to_string())?;
    let key = key.map(|key| PrivateKey::read(key.as_bytes())).transpose();
    let key = key.map_err(|why| format!("its key cannot be used: {why}"))?;
    let leaf = folder.text(path(".crt")).map_err(|why| why.to_string())?;
    let issuer = folder.find(path(".issuer.crt")).map_err(|why| why.to_string())?;
    // With --no-bundle the chain is in a file of its own.
    let chain = match issuer {
        Some(issuer) if leaf.matches("-----BEGIN CERTIFICATE-----").count() == 1 => {
            format!("{}\n{}", leaf.trim_end(), *issuer)
        }
        _ => leaf.to_string(),
    };
    let id = resource.domain.unwrap_or_else(|| name.to_owned());
    let mut certificate = FoundCertificate {
        name: id.clone(),
        first: Some(id.clone()),
        chains: vec![chain],
        key,
        proof: FoundProof::Unknown,
        ..FoundCertificate::default()
    };
    let wanted = settings.map(|settings| settings.apply(&id, &mut certificate)).unwrap_or_default();
    let host = host_of(&resource.url);
    let at_home = |known: &&Known| match &wanted {
        Some(account) => known.id == *account,
        None => Some(&known.host) == host.as_ref(),
    };
    let mut candidates: Vec<&Known> = known.iter().filter(at_home).collect();
    let at_host = host.as_deref().and_then(|host| server_of(host, hints, settings));
    // The only account that there is may still be that of another server.
    if candidates.is_empty() && at_host.is_none() && known.len() == 1 {
        candidates.push(&known[0]);
    }
    let server = candidates.first().map(|known| known.server.clone()).or(at_host);
    certificate.server = server.ok_or_else(|| unknown_server(host.as_deref().unwrap_or("nothing")))?;
    // Of several accounts at one host, lego does not note which has ordered it.
    certificate.account = match candidates.as_slice() {
        [one] => Some(one.url.clone()),
        _ => None,
    };
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";
    const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

    fn hints() -> Hints {
        let known = [PRODUCTION, "https://acme.ssl.com/sslcom-dv-rsa", "https://acme.ssl.com/sslcom-dv-ecc"];
        Hints { servers: vec!["https://localhost:14000/dir".into()], known: known.map(str::to_owned).into() }
    }

    #[test]
    fn a_server_is_known_by_its_host_or_told() {
        let hints = hints();
        let server = |host| server_of(host, &hints, None);
        assert_eq!(server("localhost_14000").as_deref(), Some("https://localhost:14000/dir"));
        assert_eq!(server("acme-v02.api.letsencrypt.org").as_deref(), Some(PRODUCTION));
        assert_eq!(server("acme.ssl.com"), None);
    }

    #[test]
    fn the_only_account_is_not_that_of_another_server() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("certificates")).unwrap();
        std::fs::write(root.path().join("certificates/a.example.crt"), "leaf").unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let known = [Known {
            host: "acme-staging-v02.api.letsencrypt.org".into(),
            id: "me".into(),
            url: "https://acme-staging-v02.api.letsencrypt.org/acme/acct/1".into(),
            server: STAGING.into(),
        }];
        let at = |url: &str| {
            let resource = serde_json::json!({"domain": "a.example", "certUrl": url}).to_string();
            std::fs::write(root.path().join("certificates/a.example.json"), resource).unwrap();
            let found = certificate(&folder, "a.example", &known, &hints(), None).unwrap();
            (found.server, found.account.is_some())
        };
        assert_eq!(at("https://acme-v02.api.letsencrypt.org/acme/cert/1"), (PRODUCTION.to_owned(), false));
        assert_eq!(at("https://acme-staging-v02.api.letsencrypt.org/c/1"), (STAGING.to_owned(), true));
        // Old ones have no URL, and some servers give certificates at another host.
        assert_eq!(at(""), (STAGING.to_owned(), true));
        assert_eq!(at("https://certificates.example/1"), (STAGING.to_owned(), true));
    }
}

//! acme.sh: a folder for each certificate, `ca/HOST/PATH` for each account, and settings that a shell reads.

use std::path::{Path, PathBuf};

use livecert_acme::AccountKey;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::folder::Folder;
use super::shell_conf::ShellConf;
use super::{
    CredentialKind, CredentialPlace, Found, FoundAccount, FoundCertificate, FoundCredential, FoundGandi,
    FoundHook, FoundProof, HookMoment, same_server,
};
use crate::key::PrivateKey;

/// Behind a name, the folder of its certificate with an ECDSA key.
const ECC: &str = "_ecc";
/// Folders that are none of certificates.
const OTHERS: [&str; 4] = ["ca", "deploy", "dnsapi", "notify"];
/// How deep an account may lie below `ca`: a server's path has few parts.
const DEPTH: usize = 6;

/// `account.json`: the CA's answer.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    contact: Vec<String>,
}

pub(super) fn read(folder: &Folder) -> Option<Found> {
    if !folder.has("account.conf") && !folder.has("ca") {
        return None;
    }
    let mut found = Found::default();
    accounts(folder, Path::new(""), DEPTH, &mut found);
    let common = folder.find("account.conf").unwrap_or_else(|why| {
        found.obstacle("account.conf", why);
        None
    });
    let common = common.map(|text| ShellConf::parse(&text)).unwrap_or_default();
    let folders = folder.names("").unwrap_or_else(|why| {
        found.obstacle("the certificates", why);
        Vec::new()
    });
    for name in &folders {
        let domain = name.strip_suffix(ECC).unwrap_or(name);
        let conf = Path::new(name).join(format!("{domain}.conf"));
        if OTHERS.contains(&name.as_str()) || !folder.has_folder(name) || !folder.has(&conf) {
            continue;
        }
        // Where a name has both kinds of keys, the one with an ECDSA key is told by the end of its name.
        let is_twin = name.ends_with(ECC) && folders.iter().any(|other| other == domain);
        let known_as = if is_twin { format!("{domain}-ecc") } else { domain.to_owned() };
        match certificate(folder, name, domain, &common, &found.accounts) {
            Ok(certificate) => found.certificates.push(FoundCertificate { name: known_as, ..certificate }),
            Err(why) => found.lost_certificate(known_as, why),
        }
    }
    Some(found)
}

/// Looks for accounts below `ca/SERVER`, where `server` is the URL's part behind `https://`, without the port.
fn accounts(folder: &Folder, server: &Path, depth: usize, found: &mut Found) {
    let here = Path::new("ca").join(server);
    if folder.has(here.join("account.key")) {
        match account(folder, server, &here) {
            Ok(account) => found.accounts.push(account),
            Err(why) => found.obstacle(format!("account at {}", server.display()), why),
        }
    }
    let names = folder.names(&here).unwrap_or_else(|why| {
        found.obstacle("accounts", why);
        Vec::new()
    });
    for name in names {
        if depth > 0 && folder.has_folder(here.join(&name)) {
            accounts(folder, &server.join(&name), depth - 1, found);
        }
    }
}

fn account(folder: &Folder, server: &Path, path: &Path) -> Result<FoundAccount, String> {
    let conf = folder.text(path.join("ca.conf")).map_err(|why| why.to_string())?;
    let conf = ShellConf::parse(&conf);
    let url = conf.text("ACCOUNT_URL").ok_or("its URL is not in ca.conf")?;
    let key = folder.text(path.join("account.key")).map_err(|why| why.to_string())?;
    let key = AccountKey::from_pem(&key).map_err(|why| format!("its key cannot be used: {why}"))?;
    let answer = folder.json::<Answer>(path.join("account.json")).unwrap_or_default();
    let told = answer.contact.iter().filter_map(|url| url.strip_prefix("mailto:")).map(str::to_owned);
    let mut contact: Vec<String> = told.collect();
    if contact.is_empty() {
        contact.extend(conf.text("CA_EMAIL").map(str::to_owned));
    }
    Ok(FoundAccount {
        server: directory(server, url),
        url: url.to_owned(),
        contact,
        key,
        created: folder.changed(path.join("account.key")),
    })
}

/// The directory's URL: the folder's name has lost the port, which the account's URL still has.
fn directory(server: &Path, account: &str) -> String {
    let text = server.display().to_string();
    let (host, path) = text.split_once('/').unwrap_or((&text, ""));
    let port = Url::parse(account).ok().filter(|url| url.host_str() == Some(host)).and_then(|url| url.port());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("https://{host}{port}/{path}")
}

fn certificate(
    folder: &Folder,
    below: &str,
    domain: &str,
    common: &ShellConf,
    accounts: &[FoundAccount],
) -> Result<FoundCertificate, String> {
    let path = |end: &str| Path::new(below).join(format!("{domain}{end}"));
    let conf = folder.text(path(".conf")).map_err(|why| why.to_string())?;
    let conf = ShellConf::parse(&conf);
    let text = |key: &str| conf.text(key).map(str::to_owned);
    let server = text("Le_API").ok_or("its server (Le_API) is not in its settings")?;
    let key = folder.find(path(".key")).map_err(|why| why.to_string())?;
    let key = key.map(|key| PrivateKey::read(key.as_bytes())).transpose();
    let key = key.map_err(|why| format!("its key cannot be used: {why}"))?;
    // Without a key, its owner has given a request for it.
    let request = if key.is_none() { folder.find(path(".csr")).ok().flatten() } else { None };
    let mut certificate = FoundCertificate {
        first: text("Le_Domain"),
        account: account_at(accounts, &server),
        server,
        chains: chain(folder, below, &path(".cer"))?.into_iter().collect(),
        key,
        request: request.map(|request| request.as_bytes().to_vec()),
        // It keeps the key unless it is told otherwise.
        reuse_key: !conf.flag("Le_ForceNewDomainKey"),
        must_staple: conf.flag("Le_OCSP_Staple"),
        profile: text("Le_CertificateProfile").or_else(|| text("Le_Certificate_Profile")),
        preferred_chain: text("Le_Preferred_Chain"),
        ..FoundCertificate::default()
    };
    (certificate.proof, certificate.challenge) = proof((&conf, &path(".conf")), common, folder);
    certificate.hooks = hooks(&conf);
    certificate.notes = notes(&conf);
    Ok(certificate)
}

fn account_at(accounts: &[FoundAccount], server: &str) -> Option<String> {
    accounts.iter().find(|account| same_server(&account.server, server)).map(|account| account.url.clone())
}

fn chain(folder: &Folder, below: &str, leaf: &Path) -> Result<Option<String>, String> {
    let find = |path: PathBuf| folder.find(path).map_err(|why| why.to_string());
    if let Some(whole) = find(Path::new(below).join("fullchain.cer"))? {
        return Ok(Some(whole.to_string()));
    }
    let Some(leaf) = find(leaf.to_owned())? else { return Ok(None) };
    let above = find(Path::new(below).join("ca.cer"))?;
    Ok(Some(format!("{}\n{}", *leaf, above.as_ref().map_or("", |above| above.as_str()))))
}

/// `Le_Webroot` says for each name what proves it; the last word is for the rest.
fn proof(
    (conf, own): (&ShellConf, &Path),
    common: &ShellConf,
    folder: &Folder,
) -> (FoundProof, Option<&'static str>) {
    let words = conf.raw("Le_Webroot").unwrap_or_default();
    let mut all: Vec<&str> = words.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    match all.as_slice() {
        ["dns_gandi_livedns"] => (FoundProof::Gandi(gandi((conf, own), common, folder)), None),
        ["dns"] => (FoundProof::Manual, None),
        ["no"] => (FoundProof::Standalone, None),
        ["alpn"] => (FoundProof::Standalone, Some("tls-alpn-01")),
        [] => (FoundProof::Unknown, None),
        roots if roots.iter().all(|root| root.starts_with('/')) => {
            (FoundProof::Webroot { roots: roots.iter().map(PathBuf::from).collect(), exact: false }, None)
        }
        others => (FoundProof::Other(format!("acme.sh's '{}'", others.join(", "))), None),
    }
}

/// The credential, which stands among the settings of all certificates, or in older versions in those of one.
fn gandi((conf, own): (&ShellConf, &Path), common: &ShellConf, folder: &Folder) -> FoundGandi {
    let keys = [
        ("SAVED_GANDI_LIVEDNS_TOKEN", CredentialKind::PersonalAccessToken),
        ("GANDI_LIVEDNS_TOKEN", CredentialKind::PersonalAccessToken),
        ("SAVED_GANDI_LIVEDNS_KEY", CredentialKind::ApiKey),
        ("GANDI_LIVEDNS_KEY", CredentialKind::ApiKey),
    ];
    let credential = keys.into_iter().find_map(|(key, kind)| {
        let own = conf.text(key).map(|secret| (secret, own));
        let (secret, from) = own.or_else(|| Some((common.text(key)?, Path::new("account.conf"))))?;
        let from = folder.root().join(from);
        Some(FoundCredential {
            kind,
            place: CredentialPlace::Value { secret: SecretString::from(secret), from },
        })
    });
    FoundGandi { credential, sharing_id: None }
}

fn hooks(conf: &ShellConf) -> Vec<FoundHook> {
    let all = [
        ("Le_PreHook", HookMoment::Pre),
        ("Le_RenewHook", HookMoment::Deploy),
        ("Le_ReloadCmd", HookMoment::Deploy),
        ("Le_PostHook", HookMoment::Post),
    ];
    let hook = |(key, moment)| Some(FoundHook { moment, command: conf.text(key)?.to_owned() });
    all.into_iter().filter_map(hook).collect()
}

fn notes(conf: &ShellConf) -> Vec<String> {
    let mut notes = Vec::new();
    let copies = ["Le_RealCertPath", "Le_RealKeyPath", "Le_RealCACertPath", "Le_RealFullChainPath"];
    let copies: Vec<&str> = copies.iter().filter_map(|key| conf.text(key)).collect();
    if !copies.is_empty() {
        notes.push(format!(
            "acme.sh copied its files to {}; livecert does not: point whoever reads them to the paths of `livecert files`",
            copies.join(", ")
        ));
    }
    for key in ["Le_ChallengeAlias", "Le_DomainAlias"] {
        if let Some(alias) = conf.text(key) {
            notes.push(format!("its alias {alias} is not needed: livecert follows the CNAME itself"));
        }
    }
    if let Some(hooks) = conf.text("Le_DeployHook") {
        notes.push(format!("acme.sh's deploy hook '{hooks}' is not taken over"));
    }
    if conf.text("Le_ValidTo").is_some() || conf.text("Le_ValidFrom").is_some() {
        notes.push("the dates that it was ordered for are not taken over".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_told_from_the_file_that_has_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let token = ShellConf::parse("GANDI_LIVEDNS_TOKEN='token'\n");
        let from = |own: &ShellConf, common: &ShellConf| match gandi(
            (own, Path::new("a.example/a.example.conf")),
            common,
            &folder,
        )
        .credential
        .unwrap()
        .place
        {
            CredentialPlace::Value { from, .. } => from.strip_prefix(folder.root()).unwrap().to_owned(),
            CredentialPlace::File(path) => path,
        };
        assert_eq!(from(&token, &ShellConf::default()), Path::new("a.example/a.example.conf"));
        assert_eq!(from(&ShellConf::default(), &token), Path::new("account.conf"));
    }

    #[test]
    fn a_port_comes_back_from_the_account() {
        let url = "https://localhost:14000/my-account/1";
        assert_eq!(directory(Path::new("localhost/dir"), url), "https://localhost:14000/dir");
        assert_eq!(directory(Path::new("ca.example/a/b"), "https://other:1/x"), "https://ca.example/a/b");
    }
}

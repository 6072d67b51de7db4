//! Posh-ACME: `SERVER/dir.json`, `SERVER/ACCOUNT/acct.json`, `SERVER/ACCOUNT/ORDER/order.json` with `pluginargs.json` and the
//! certificate's files beside it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livecert_acme::AccountKey;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::folder::Folder;
use super::secure_string;
use super::{
    CredentialKind, CredentialPlace, Found, FoundAccount, FoundCertificate, FoundCredential, FoundGandi,
    FoundProof,
};
use crate::key::PrivateKey;

/// How long a CA may take to validate by our own default, in seconds.
const USUAL_TIMEOUT: u64 = 120;
/// More chains than this are a mistake.
const MAX_CHAINS: usize = 16;

/// `dir.json`.
#[derive(Deserialize)]
struct Server {
    location: String,
    #[serde(default, rename = "SkipCertificateCheck")]
    skip_certificate_check: Value,
}

/// `acct.json`.
#[derive(Deserialize)]
struct Account {
    location: Option<String>,
    status: Option<String>,
    #[serde(default)]
    contact: Value,
    key: Value,
    sskey: Option<String>,
}

/// `order.json`. What PowerShell writes may be a text, a list of one, or nothing.
#[derive(Deserialize)]
struct Order(serde_json::Map<String, Value>);

impl Order {
    fn value(&self, name: &str) -> &Value {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or(&Value::Null, |(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        texts(self.value(name)).into_iter().next()
    }

    fn flag(&self, name: &str) -> bool {
        is_true(self.value(name))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name).as_u64().filter(|number| *number > 0)
    }
}

/// The account's key for the secrets of its orders.
enum Opener {
    Nothing,
    Key(Zeroizing<Vec<u8>>),
    Vault,
}

pub(super) fn read(folder: &Folder) -> Option<Found> {
    let names = folder.names("").unwrap_or_default();
    let servers: Vec<&String> =
        names.iter().filter(|name| folder.has(Path::new(name).join("dir.json"))).collect();
    if servers.is_empty() && !folder.has("current-server.txt") {
        return None;
    }
    let mut found = Found::default();
    for name in servers {
        match folder.json::<Server>(Path::new(name).join("dir.json")) {
            Ok(server) => read_server(folder, name, &server, &mut found),
            Err(why) => found.obstacle(format!("server {name}"), why),
        }
    }
    Some(found)
}

fn read_server(folder: &Folder, name: &str, server: &Server, found: &mut Found) {
    if is_true(&server.skip_certificate_check) {
        found.notes.push(format!(
            "the certificate of {} was not checked by Posh-ACME; livecert always does: name its root with --ca-bundle",
            server.location
        ));
    }
    let names = folder.names(name).unwrap_or_else(|why| {
        found.obstacle(format!("the accounts at {name}"), why);
        Vec::new()
    });
    for account in names {
        let path = Path::new(name).join(&account);
        if folder.has(path.join("acct.json")) {
            read_account(folder, &path, server, found);
        }
    }
}

fn read_account(folder: &Folder, path: &Path, server: &Server, found: &mut Found) {
    let what = format!("account {}", path.display());
    let account = match folder.json::<Account>(path.join("acct.json")) {
        Ok(account) => account,
        Err(why) => return found.obstacle(what, why),
    };
    let opener = match account.sskey.as_deref() {
        None | Some("") => Opener::Nothing,
        Some("VAULT") => Opener::Vault,
        Some(key) => match URL_SAFE_NO_PAD.decode(key.trim_end_matches('=')) {
            Ok(key) => Opener::Key(Zeroizing::new(key)),
            Err(_) => return found.obstacle(what, "its sskey is no key"),
        },
    };
    let url = account.location.clone();
    match to_account(&account, server, folder.changed(path.join("acct.json"))) {
        Ok(account) => found.accounts.push(account),
        Err(why) => found.obstacle(what.clone(), why),
    }
    let orders = folder.names(path).unwrap_or_else(|why| {
        found.obstacle(what, why);
        Vec::new()
    });
    for order in orders {
        let below = path.join(&order);
        if !folder.has(below.join("order.json")) {
            continue;
        }
        match certificate(folder, &below, &opener) {
            Ok(certificate) => found.certificates.push(FoundCertificate {
                name: order,
                server: server.location.clone(),
                account: url.clone(),
                ..certificate
            }),
            Err(why) => found.lost_certificate(order, why),
        }
    }
}

fn to_account(
    account: &Account,
    server: &Server,
    created: Option<jiff::Timestamp>,
) -> Result<FoundAccount, String> {
    if let Some(status) = account.status.as_deref().filter(|status| *status != "valid") {
        return Err(format!("its status is '{status}'"));
    }
    let mut jwk = account.key.to_string();
    let key = AccountKey::from_jwk(&jwk);
    jwk.zeroize();
    let contact = texts(&account.contact).into_iter();
    Ok(FoundAccount {
        server: server.location.clone(),
        url: account.location.clone().ok_or("its URL (location) is not there")?,
        contact: contact.map(|url| url.trim_start_matches("mailto:").to_owned()).collect(),
        key: key.map_err(|why| format!("its key cannot be used: {why}"))?,
        created,
    })
}

fn certificate(folder: &Folder, path: &Path, opener: &Opener) -> Result<FoundCertificate, String> {
    let order: Order = folder.json(path.join("order.json")).map_err(|why| why.to_string())?;
    let request = order.text("CSRBase64Url").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let key = match folder.find(path.join("cert.key")).map_err(|why| why.to_string())? {
        // A key that an earlier order has left is not that of its owner's request.
        Some(key) if request.is_none() => {
            Some(PrivateKey::read(key.as_bytes()).map_err(|why| format!("its key cannot be used: {why}"))?)
        }
        _ => None,
    };
    let mut notes = Vec::new();
    let proof = proof(folder, path, &order, opener, &mut notes);
    // By its own default it is given the files' password in clear, so nobody misses it.
    if order.text("PfxPassB64U").is_some_and(|password| password != "cG9zaGFjbWU") {
        notes.push("the password of its PFX files is not taken over".to_owned());
    }
    if let aliases @ [_, ..] = texts(order.value("DnsAlias")).as_slice() {
        notes.push(format!(
            "its alias {} is not needed: livecert follows the CNAME itself",
            aliases.join(", ")
        ));
    }
    if order.flag("Install") {
        notes.push("it was installed in the store of Windows; livecert does not".to_owned());
    }
    Ok(FoundCertificate {
        first: order.text("MainDomain"),
        chains: chains(folder, path)?,
        key,
        request,
        reuse_key: !order.flag("AlwaysNewKey"),
        subject: order.text("Subject").and_then(|subject| common_name(&subject)),
        must_staple: order.flag("OCSPMustStaple"),
        serial: order.flag("UseSerialValidation"),
        profile: order.text("profile"),
        preferred_chain: order.text("PreferredChain"),
        lifetime_days: order.number("LifetimeDays").and_then(|days| u16::try_from(days).ok()),
        validation_timeout: order.number("ValidationTimeout").filter(|seconds| *seconds > USUAL_TIMEOUT),
        challenge: (order.text("DnsVariant").as_deref() == Some("dns-account-01")
            && matches!(proof, FoundProof::Gandi(_) | FoundProof::Manual))
        .then_some("dns-account-01"),
        proof,
        notes,
        ..FoundCertificate::default()
    })
}

/// The chains that the CA offered, its own choice first; or the one that there is.
fn chains(folder: &Folder, path: &Path) -> Result<Vec<String>, String> {
    let find = |name: &str| folder.find(path.join(name)).map_err(|why| why.to_string());
    let Some(leaf) = find("cert.cer")? else { return Ok(Vec::new()) };
    let whole = |above: &str| format!("{}\n{above}", leaf.trim_end());
    let mut chains = Vec::new();
    while let Some(above) = find(&format!("chain{}.cer", chains.len()))? {
        chains.push(whole(&above));
        if chains.len() > MAX_CHAINS {
            return Err(format!("it has more than {MAX_CHAINS} chains"));
        }
    }
    if chains.is_empty() {
        chains.push(find("chain.cer")?.map_or_else(|| leaf.to_string(), |above| whole(&above)));
    }
    Ok(chains)
}

/// The common name in a subject, where it is more than a name.
fn common_name(subject: &str) -> Option<String> {
    let part = subject.split(',').map(str::trim).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("CN").then(|| value.trim().to_owned())
    });
    part.or_else(|| (!subject.contains('=')).then(|| subject.to_owned())).filter(|name| !name.is_empty())
}

fn proof(
    folder: &Folder,
    path: &Path,
    order: &Order,
    opener: &Opener,
    notes: &mut Vec<String>,
) -> FoundProof {
    let mut plugins = texts(order.value("Plugin"));
    if plugins.is_empty() {
        // So it was called before version 4.
        plugins = texts(order.value("DnsPlugin"));
    }
    plugins.iter_mut().for_each(|plugin| plugin.make_ascii_lowercase());
    plugins.sort();
    plugins.dedup();
    let arguments = Path::new(path).join("pluginargs.json");
    let arguments = match folder.has(&arguments).then(|| folder.json::<Order>(&arguments)) {
        Some(Err(why)) => {
            notes.push(why.to_string());
            Order(serde_json::Map::new())
        }
        Some(Ok(arguments)) => arguments,
        None => Order(serde_json::Map::new()),
    };
    let plugins: Vec<&str> = plugins.iter().map(String::as_str).collect();
    match plugins.as_slice() {
        ["gandi"] => {
            let from = folder.root().join(path).join("pluginargs.json");
            FoundProof::Gandi(FoundGandi {
                credential: gandi(&arguments, opener, &from, notes),
                sharing_id: None,
            })
        }
        ["manual"] => FoundProof::Manual,
        ["webroot"] => FoundProof::Webroot {
            roots: texts(arguments.value("WRPath")).into_iter().map(PathBuf::from).collect(),
            exact: arguments.flag("WRExactPath"),
        },
        ["webselfhost"] => FoundProof::Standalone,
        [] => FoundProof::Unknown,
        others => FoundProof::Other(format!("Posh-ACME's plugin {}", others.join(", "))),
    }
}

fn gandi(
    arguments: &Order,
    opener: &Opener,
    from: &Path,
    notes: &mut Vec<String>,
) -> Option<FoundCredential> {
    let names = [
        ("GandiPAT", CredentialKind::PersonalAccessToken),
        ("GandiToken", CredentialKind::ApiKey),
        ("GandiTokenInsecure", CredentialKind::ApiKey),
    ];
    for (name, kind) in names {
        let secret = match arguments.value(name) {
            Value::Null => continue,
            Value::String(text) => Ok(SecretString::from(text.as_str())),
            Value::Object(sealed) => {
                let text = sealed.get("value").and_then(Value::as_str).unwrap_or_default();
                match opener {
                    Opener::Nothing => secure_string::open(text, None).map_err(|why| why.to_string()),
                    Opener::Key(key) => secure_string::open(text, Some(key)).map_err(|why| why.to_string()),
                    Opener::Vault => Err("its key is in a vault of PowerShell's SecretManagement".to_owned()),
                }
            }
            _ => Err("it is no text".to_owned()),
        };
        match secret {
            Ok(secret) if !secret.expose_secret().trim().is_empty() => {
                let place = CredentialPlace::Value { secret, from: from.to_owned() };
                return Some(FoundCredential { kind, place });
            }
            Ok(_) => {}
            Err(why) => notes.push(format!("{name} is not taken over: {why}")),
        }
    }
    None
}

/// A text, or a list of them. `None` and what is empty is none.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if !text.is_empty() => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// PowerShell has switches beside truth values.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Object(switch) => switch.get("IsPresent").is_some_and(is_true),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_powershell_writes_is_understood_in_all_its_forms() {
        let order: Order = serde_json::from_str(
            r#"{"Plugin": "Gandi", "dnsalias": ["a", null, "b"], "AlwaysNewKey": {"IsPresent": true}, "LifetimeDays": 0,
                "OCSPMustStaple": false, "Subject": "CN=example.com,O=Example"}"#,
        )
        .unwrap();
        assert_eq!(order.text("plugin").as_deref(), Some("Gandi"));
        assert_eq!(texts(order.value("DnsAlias")), ["a", "b"]);
        assert!(order.flag("AlwaysNewKey") && !order.flag("OCSPMustStaple") && !order.flag("Install"));
        assert_eq!(order.number("LifetimeDays"), None);
        for (subject, name) in [
            ("CN=example.com,O=Example", Some("example.com")),
            ("O=Example, cn = b.example", Some("b.example")),
            ("example.com", Some("example.com")),
            ("O=Example", None),
            ("", None),
        ] {
            assert_eq!(common_name(subject).as_deref(), name, "{subject}");
        }
    }
}

//! The protocol's floor: certificates through the crate instant-acme with records written by the shortest unsafe way,
//! without a journal, a check of propagation, a lock, a file or a word. What livecert takes longer than this is what its
//! safety costs; what it is faster by is what instant-acme does one after another.
//!
//! `floor DIRECTORY CREDENTIALS API ZONES PARALLEL NAMES…`, each of NAMES being the names of one certificate with commas
//! between. CREDENTIALS is a file; it is made, with an account, where it is not there. The token is in `GANDI_PAT`, the
//! trusted roots in the file `FLOOR_CA`.
//!
//! With a folder in `FLOOR_KEEP` it does the least that a client must with a disk, so that no power loss leaves a certificate
//! without its key: the key is synced before the CA is asked for the certificate, and the certificate after it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, HttpClient, Identifier, NewAccount,
    NewOrder, Order, RetryPolicy,
};
use reqwest::StatusCode;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

type Failure = Box<dyn Error + Send + Sync>;

/// TXT values by zone and name.
type Records = BTreeMap<(String, String), Vec<String>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, credentials, api, zones, parallel, certificates @ ..] = words.as_slice() else {
        return Err("floor DIRECTORY CREDENTIALS API ZONES PARALLEL NAMES…".into());
    };
    let roots = std::fs::read(std::env::var("FLOOR_CA")?)?;
    let account = account(directory, credentials, &roots).await?;
    let gandi = Gandi::new(api, zones, &roots)?;
    let keep = std::env::var_os("FLOOR_KEEP").map(PathBuf::from);
    if let Some(folder) = &keep {
        std::fs::create_dir_all(folder)?;
        folder.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())?;
    }
    let work = certificates.iter().map(|names| certificate(&account, &gandi, names, keep.as_deref()));
    stream::iter(work).buffer_unordered(parallel.parse()?).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// The account that the file has, or a new one.
async fn account(directory: &str, file: &str, roots: &[u8]) -> Result<Account, Failure> {
    if let Ok(text) = std::fs::read(file) {
        let credentials: AccountCredentials = serde_json::from_slice(&text)?;
        return Ok(Account::builder_with_http(http(roots)?).from_credentials(credentials).await?);
    }
    let new = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let made = Account::builder_with_http(http(roots)?).create(&new, directory.to_owned(), None).await?;
    std::fs::write(file, serde_json::to_vec(&made.1)?)?;
    Ok(made.0)
}

/// The crate's own client leaves Nagle's algorithm on, which costs 40 ms a request.
fn http(roots: &[u8]) -> Result<Box<dyn HttpClient>, Failure> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls(roots)?).https_only().enable_http1();
    let client = Client::builder(TokioExecutor::new()).build(connector.wrap_connector(tcp));
    Ok(Box::new(client) as Box<dyn HttpClient>)
}

fn tls(roots: &[u8]) -> Result<rustls::ClientConfig, Failure> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots) {
        store.add(root?)?;
    }
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into());
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(store).with_no_client_auth())
}

/// One certificate, from its order to the chain.
async fn certificate(
    account: &Account,
    gandi: &Gandi,
    names: &str,
    keep: Option<&Path>,
) -> Result<String, Failure> {
    let folder = keep.map(|folder| folder.join(names.split(',').next().unwrap_or_default()));
    let names: Vec<_> = names.split(',').map(|name| Identifier::Dns(name.to_owned())).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut records = Records::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let Identifier::Dns(domain) = authorization.identifier().identifier.clone() else {
            return Err("a name that is none of DNS".into());
        };
        let (zone, name) = gandi.place(&domain)?;
        let challenge = authorization.challenge(ChallengeType::Dns01).ok_or("no dns-01")?;
        records.entry((zone, name)).or_default().push(challenge.key_authorization().dns_value());
    }
    for (place, values) in &records {
        gandi.add(place, values).await?;
    }
    let result = prove(&mut order, &names, folder.clone()).await;
    for (place, values) in &records {
        gandi.remove(place, values).await?;
    }
    let chain = result?;
    if let Some(folder) = folder {
        keep_file(folder, "fullchain.pem", chain.clone()).await?;
    }
    Ok(chain)
}

/// Writes a file and makes it survive a power loss, beside what else is under way.
async fn keep_file(folder: PathBuf, name: &'static str, text: String) -> Result<(), Failure> {
    let write = move || {
        let is_new = !folder.exists();
        std::fs::create_dir_all(&folder)?;
        let mut file = File::create(folder.join(name))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        File::open(&folder)?.sync_all()?;
        folder.parent().filter(|_| is_new).map_or(Ok(()), |above| File::open(above)?.sync_all())
    };
    Ok(tokio::task::spawn_blocking(write).await??)
}

async fn prove(order: &mut Order, names: &[Identifier], folder: Option<PathBuf>) -> Result<String, Failure> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        authorization.challenge(ChallengeType::Dns01).ok_or("no dns-01")?.set_ready().await?;
    }
    let soon = RetryPolicy::new().initial_delay(Duration::from_millis(20)).backoff(1.5);
    order.poll_ready(&soon).await?;
    let names: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            Identifier::Dns(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    let mut request = rcgen::CertificateParams::new(names)?;
    request.distinguished_name = rcgen::DistinguishedName::new();
    let key = rcgen::KeyPair::generate()?;
    let request = request.serialize_request(&key)?;
    if let Some(folder) = folder {
        keep_file(folder, "privkey.pem", key.serialize_pem()).await?;
    }
    // Not `finalize`, which reads every authorization once more.
    order.finalize_csr(request.der()).await?;
    Ok(order.poll_certificate(&soon).await?)
}

/// LiveDNS, with the fewest requests and no care.
struct Gandi {
    client: reqwest::Client,
    base: String,
    zones: Vec<String>,
    token: String,
}

impl Gandi {
    fn new(base: &str, zones: &str, roots: &[u8]) -> Result<Self, Failure> {
        let client =
            reqwest::Client::builder().tls_backend_preconfigured(tls(roots)?).tcp_nodelay(true).build()?;
        let zones = zones.split(',').map(str::to_owned).collect();
        Ok(Gandi { client, base: base.to_owned(), zones, token: std::env::var("GANDI_PAT")? })
    }

    /// Zone and name of the record that proves `domain`.
    fn place(&self, domain: &str) -> Result<(String, String), Failure> {
        let below = |zone: &&String| domain == zone.as_str() || domain.ends_with(&format!(".{zone}"));
        let zone = self.zones.iter().find(below).ok_or("a name in none of the zones")?;
        let name = match domain.strip_suffix(&format!(".{zone}")) {
            Some(rest) => format!("_acme-challenge.{rest}"),
            None => "_acme-challenge".to_owned(),
        };
        Ok((zone.clone(), name))
    }

    fn request(&self, method: reqwest::Method, (zone, name): &(String, String)) -> reqwest::RequestBuilder {
        let url = format!("{}/domains/{zone}/records/{name}/TXT", self.base);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    async fn values(&self, place: &(String, String)) -> Result<Vec<String>, Failure> {
        let answer = self.request(reqwest::Method::GET, place).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let rrset: serde_json::Value = answer.error_for_status()?.json().await?;
        let values = rrset["rrset_values"].as_array().into_iter().flatten();
        Ok(values
            .filter_map(|value| value.as_str())
            .map(|value| value.trim_matches('"').to_owned())
            .collect())
    }

    async fn put(&self, place: &(String, String), values: &[String]) -> Result<(), Failure> {
        let values: Vec<_> = values.iter().map(|value| format!("\"{value}\"")).collect();
        let rrset = json!({"rrset_values": values, "rrset_ttl": 300});
        self.request(reqwest::Method::PUT, place).json(&rrset).send().await?.error_for_status()?;
        Ok(())
    }

    async fn add(&self, place: &(String, String), values: &[String]) -> Result<(), Failure> {
        let mut all = self.values(place).await?;
        all.extend_from_slice(values);
        self.put(place, &all).await
    }

    async fn remove(&self, place: &(String, String), values: &[String]) -> Result<(), Failure> {
        let mut left = self.values(place).await?;
        left.retain(|value| !values.contains(value));
        if left.is_empty() {
            self.request(reqwest::Method::DELETE, place).send().await?.error_for_status()?;
            return Ok(());
        }
        self.put(place, &left).await
    }
}

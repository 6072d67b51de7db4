//! An acme-dns server: the HTTP API of github.com/joohoi/acme-dns, as strict as that, over the DNS of the LiveDNS simulator.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ::livedns_sim::Control;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sim_server::{Body, respond};

use crate::{Error, Testbed};

/// The zone that the server is for.
pub const ACME_DNS_ZONE: &str = "auth.example.net";
/// Values that it holds at a subdomain.
const VALUES: usize = 2;
/// Length of a value: SHA-256 in base64url.
const VALUE: usize = 43;

/// A running server; it ends with the testbed.
#[derive(Clone)]
pub struct AcmeDns {
    address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    dns: Control,
    users: Vec<User>,
    requests: Vec<(String, u16)>,
}

struct User {
    name: String,
    password: String,
    subdomain: String,
    allow_from: Vec<String>,
    /// Value and second of each slot.
    slots: [(String, u64); VALUES],
}

impl AcmeDns {
    /// The base URL of its API.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// How many subdomains are registered.
    pub fn registered(&self) -> usize {
        self.lock().users.len()
    }

    /// Paths of the requests so far, with the status of each answer.
    pub fn requests(&self) -> Vec<(String, u16)> {
        self.lock().requests.clone()
    }

    /// The values at a subdomain, or its whole name.
    pub fn values(&self, fulldomain: &str) -> Vec<String> {
        let inside = self.lock();
        let subdomain = fulldomain.split('.').next().unwrap_or_default();
        let user = inside.users.iter().find(|user| user.subdomain == subdomain);
        let values = user.into_iter().flat_map(|user| &user.slots).map(|(value, _)| value.clone());
        values.filter(|value| !value.is_empty()).collect()
    }

    /// Forgets all who are registered.
    pub fn forget(&self) {
        self.lock().users.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Testbed {
    /// Starts an acme-dns server for [`ACME_DNS_ZONE`], whose name servers are those of the simulator.
    ///
    /// # Errors
    /// It cannot listen.
    pub fn acme_dns(&self) -> Result<AcmeDns, Error> {
        self.gandi().add_zone(ACME_DNS_ZONE);
        let inside = Inside { dns: self.gandi(), users: Vec::new(), requests: Vec::new() };
        let inside = Arc::new(Mutex::new(inside));
        let tls = sim_server::tls(&self.tls, sim_server::HTTP_VERSIONS)?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, address) = self.runtime.block_on(sim_server::listen(any))?;
        let shared = inside.clone();
        self.runtime.spawn(sim_server::serve(listener, Some(tls), move |request, client| {
            let shared = shared.clone();
            async move {
                let (parts, body): (_, Body) = request.into_parts();
                let body = body.read().await?;
                let header = |name: &str| {
                    let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
                    value.unwrap_or_default().to_owned()
                };
                let (user, key) = (header("x-api-user"), header("x-api-key"));
                let mut inside = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (status, document) = match (parts.method.as_str(), parts.uri.path()) {
                    ("POST", "/register") => inside.register(&body),
                    ("POST", "/update") => inside.update((&user, &key), client.ip(), &body),
                    _ => (404, json!({"error": "not_found"})),
                };
                inside.requests.push((parts.uri.path().to_owned(), status));
                let headers = vec![("content-type", "application/json".to_owned())];
                Ok(respond(status, headers, document.to_string()))
            }
        }));
        Ok(AcmeDns { address, inside })
    }
}

/// A text that nobody guesses.
fn random(bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        // Keys of the tests' own TLS are made of the same.
        let key = rcgen::KeyPair::generate().map(|key| key.serialize_der()).unwrap_or_default();
        text.push_str(&URL_SAFE_NO_PAD.encode(&key[key.len().saturating_sub(30)..]));
    }
    text.truncate(bytes);
    text
}

/// As acme-dns names its users and subdomains.
fn uuid() -> String {
    let hex: String = random(16).bytes().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}

impl Inside {
    fn register(&mut self, body: &[u8]) -> (u16, Value) {
        let asked = match body.is_empty() {
            true => Value::Null,
            false => match serde_json::from_slice::<Value>(body) {
                Ok(asked) => asked,
                Err(_) => return (400, json!({"error": "malformed_json_payload"})),
            },
        };
        let networks = asked["allowfrom"].as_array().cloned().unwrap_or_default();
        let allow_from: Vec<String> =
            networks.iter().filter_map(|network| network.as_str().map(str::to_owned)).collect();
        if allow_from.iter().any(|network| network.split_once('/').is_none()) {
            return (400, json!({"error": "invalid_allowfrom_cidr"}));
        }
        let user = User {
            name: uuid(),
            password: random(40),
            subdomain: uuid(),
            allow_from,
            slots: Default::default(),
        };
        let document = json!({
            "username": user.name,
            "password": user.password,
            "fulldomain": format!("{}.{ACME_DNS_ZONE}", user.subdomain),
            "subdomain": user.subdomain,
            "allowfrom": user.allow_from,
        });
        self.users.push(user);
        (201, document)
    }

    fn update(&mut self, (name, key): (&str, &str), client: IpAddr, body: &[u8]) -> (u16, Value) {
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return (400, json!({"error": "malformed_json_payload"}));
        };
        let (subdomain, value) =
            (asked["subdomain"].as_str().unwrap_or_default(), asked["txt"].as_str().unwrap_or_default());
        let known =
            |user: &&mut User| user.name == name && user.password == key && user.subdomain == subdomain;
        let Some(user) = self.users.iter_mut().find(known) else {
            return (401, json!({"error": "forbidden"}));
        };
        // The tests know two networks: that of this machine, and others.
        let is_here = |network: &String| network.starts_with("127.") && client.is_loopback();
        if !user.allow_from.is_empty() && !user.allow_from.iter().any(is_here) {
            return (401, json!({"error": "forbidden"}));
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if value.len() != VALUE || !value.bytes().all(fits) {
            return (400, json!({"error": "bad_txt"}));
        }
        let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // The oldest by the second; of two from one second, the first.
        if let Some(slot) = user.slots.iter_mut().min_by_key(|(_, at)| *at) {
            if !slot.0.is_empty() {
                self.dns.remove_value(ACME_DNS_ZONE, subdomain, &slot.0);
            }
            *slot = (value.to_owned(), second);
            self.dns.add_value(ACME_DNS_ZONE, subdomain, value, 1);
        }
        (200, json!({"txt": value}))
    }
}

//! The HTTP API of an acme-dns server.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::AcmeDnsError;
use super::registration::Credentials;
use crate::dns::NamePattern;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;
/// Characters of an answer that are told.
const TOLD: usize = 200;

/// An acme-dns server.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    allow_from: Vec<String>,
}

/// A password in a JSON document.
pub(super) struct Password(pub(super) SecretString);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Password(SecretString::from(String::deserialize(from)?)))
    }
}

/// What a server gives for a new name.
#[derive(Deserialize)]
pub(super) struct Registered {
    pub(super) username: String,
    pub(super) password: Password,
    pub(super) fulldomain: String,
    pub(super) subdomain: String,
}

impl Api {
    pub(super) fn new(http: reqwest::Client, base: Url, allow_from: Vec<String>) -> Self {
        Api { http, base, allow_from }
    }

    /// The server, for people.
    pub(super) fn server(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Registers a subdomain.
    pub(super) async fn register(&self) -> Result<Registered, AcmeDnsError> {
        let body = match self.allow_from.is_empty() {
            true => json!({}),
            false => json!({"allowfrom": self.allow_from}),
        };
        let answer = self.post("register", self.http.post(self.url("register")), &body).await?;
        read_registration(&answer).map_err(|wrong| self.strange("register", 201, wrong.as_bytes()))
    }

    /// Sets one more value; the oldest one goes.
    pub(super) async fn update(&self, known: &Credentials, value: &str) -> Result<(), AcmeDnsError> {
        let mut request = self.http.post(self.url("update")).header("X-Api-User", &known.username);
        // No log of headers shows it. One that cannot be a header is refused by the server as a missing one.
        if let Ok(mut password) = HeaderValue::from_str(known.password.expose_secret()) {
            password.set_sensitive(true);
            request = request.header("X-Api-Key", password);
        }
        let body = json!({"subdomain": known.subdomain, "txt": value});
        let answer = self.post("update", request, &body).await?;
        let said: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        if said["txt"] == value { Ok(()) } else { Err(self.strange("update", 200, &answer)) }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        url
    }

    async fn post(
        &self,
        action: &'static str,
        request: reqwest::RequestBuilder,
        body: &serde_json::Value,
    ) -> Result<Vec<u8>, AcmeDnsError> {
        let silent = |source| AcmeDnsError::Unreachable { server: self.server(), source };
        let request = request.timeout(LIMIT).header("content-type", "application/json");
        let mut reply = request.body(body.to_string()).send().await.map_err(silent)?;
        let status = reply.status();
        let mut answer = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(silent)? {
            if answer.len() + chunk.len() > LONGEST {
                return Err(self.strange(action, status.as_u16(), b"the answer is too long"));
            }
            answer.extend_from_slice(&chunk);
        }
        if status.is_success() { Ok(answer) } else { Err(self.strange(action, status.as_u16(), &answer)) }
    }

    fn strange(&self, action: &'static str, status: u16, answer: &[u8]) -> AcmeDnsError {
        let words = String::from_utf8_lossy(answer);
        let words = words.trim().chars().filter(|c| !c.is_control()).take(TOLD).collect();
        AcmeDnsError::Answer { server: self.server(), action, status, words }
    }
}

/// What the server gives is shown to a person, who copies it into a zone, and is sent back as headers: it has to be what it
/// is said to be.
fn read_registration(answer: &[u8]) -> Result<Registered, &'static str> {
    let mut made: Registered = serde_json::from_slice(answer).map_err(|_| "no registration is in it")?;
    match made.fulldomain.parse() {
        Ok(NamePattern::Name(name)) if name.contains('.') => made.fulldomain = name,
        _ => return Err("the fulldomain in it is no name"),
    }
    let sendable = |text: &str| HeaderValue::from_str(text).is_ok();
    if !sendable(&made.username) || !sendable(made.password.0.expose_secret()) {
        return Err("the user name or password in it cannot be sent");
    }
    Ok(made)
}

/// The base URL that a text means: a host name, or a URL. Without TLS only where that is asked for.
pub(super) fn address(text: &str, http: bool) -> Result<Url, String> {
    let scheme = if http { "http" } else { "https" };
    let whole = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
    let url =
        Url::parse(&whole).map_err(|error| format!("'{text}' is neither a host name nor a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(format!("'{text}' has more in it than a server's address"));
    }
    match url.scheme() {
        "https" if !http => Ok(url),
        "http" if http => Ok(url),
        "http" => Err(format!("'{text}' is without TLS: HTTP=true allows that, in a network of your own")),
        _ => Err(format!("'{text}' does not begin with {scheme}://")),
    }
}

/// Networks in CIDR notation, with commas between them.
pub(super) fn networks(text: &str) -> Result<Vec<String>, String> {
    let all = text.split(',').map(str::trim).filter(|network| !network.is_empty());
    let check = |network: &str| {
        let (address, bits) = network.split_once('/')?;
        let most = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        bits.parse::<u8>().ok().filter(|bits| *bits <= most)
    };
    all.map(|network| match check(network) {
        Some(_) => Ok(network.to_owned()),
        None => Err(format!("'{network}' is no network such as 192.0.2.0/24 or 2001:db8::/64")),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_host_or_its_url_and_tls_is_left_out_only_by_word() {
        let at = |text: &str, http: bool| address(text, http).map(|url| url.to_string());
        assert_eq!(at("auth.example.org", false).unwrap(), "https://auth.example.org/");
        assert_eq!(
            at("https://auth.example.org:8443/api/", false).unwrap(),
            "https://auth.example.org:8443/api/"
        );
        assert_eq!(at("10.0.0.8:4443", true).unwrap(), "http://10.0.0.8:4443/");
        for (text, http) in [
            ("http://10.0.0.8", false),
            ("https://a.example", true),
            ("https://u:p@a.example", false),
            ("", false),
        ] {
            assert!(at(text, http).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_not_shown_to_whoever_writes_zones() {
        let answer = |fulldomain: &str, username: &str| {
            let made =
                json!({"fulldomain": fulldomain, "username": username, "password": "p", "subdomain": "s"});
            read_registration(made.to_string().as_bytes())
        };
        assert!(answer("8e5700ea-a4bf-41c7-8a77-e990661dcc6a.Auth.example.org.", "u").is_ok());
        for wrong in [
            "",
            "x",
            "a b.example",
            "a.example.\nexample.com. CNAME b.example",
            "\u{1b}[2Ja.example",
            "*.a.example",
        ] {
            assert!(answer(wrong, "u").is_err(), "{wrong:?}");
        }
        assert!(answer("a.example", "u\r\nX-Other: 1").is_err());
    }

    #[test]
    fn networks_are_in_cidr_notation() {
        assert_eq!(networks("192.0.2.0/24, 2001:db8::/64").unwrap(), ["192.0.2.0/24", "2001:db8::/64"]);
        assert_eq!(networks("").unwrap(), Vec::<String>::new());
        for wrong in ["192.0.2.1", "192.0.2.0/33", "a/8", "2001:db8::/129"] {
            assert!(networks(wrong).is_err(), "{wrong}");
        }
    }
}

//! What is registered at acme-dns servers: kept in the state folder, or given in a file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::AcmeDnsError;
use super::server::{Password, Registered};
use crate::plugin::PluginState;
use crate::secret::Sealed;

pub(super) const PLUGIN: &str = "acme-dns";
const VERSION: u32 = 1;

/// What sets values at a subdomain.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) subdomain: String,
    pub(super) username: String,
    pub(super) password: SecretString,
}

/// A registration that was given.
pub(super) struct Given {
    fulldomain: String,
    credentials: Credentials,
    /// The server that it is of, where that is said.
    server: Option<String>,
}

impl Given {
    /// Whether the server with this URL may be shown the password.
    pub(super) fn is_of(&self, base: &Url) -> bool {
        let Some(server) = &self.server else { return true };
        let same = |url: Url| {
            (url.host(), url.port_or_known_default()) == (base.host(), base.port_or_known_default())
        };
        Url::parse(server).is_ok_and(same)
    }
}

/// What is known of a name.
pub(super) enum Known {
    /// It is one that CNAMEs lead to.
    Target(Credentials),
    /// It is registered, and its CNAME has to lead here.
    Name(String),
    /// Nothing.
    Nothing,
}

/// `plugins/acme-dns.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    registrations: Vec<Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// URL of the server.
    server: String,
    /// The name that it was registered for.
    name: String,
    /// Where the CNAME leads.
    fulldomain: String,
    subdomain: String,
    username: String,
    password: Sealed,
    registered: Timestamp,
    /// When values were last set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<Timestamp>,
}

impl Default for File {
    fn default() -> Self {
        File { version: VERSION, registrations: Vec::new() }
    }
}

/// The registrations at one server.
pub(super) struct Registry {
    server: String,
    given: Vec<Given>,
    state: Option<PluginState>,
}

fn sealing_place(fulldomain: &str) -> String {
    format!("plugin/{PLUGIN}/{fulldomain}")
}

impl Registry {
    pub(super) fn new(server: String, given: Vec<Given>, state: Option<PluginState>) -> Self {
        Registry { server, given, state }
    }

    /// Whether nothing may be registered, because somebody only looks.
    pub(super) fn is_read_only(&self) -> bool {
        self.state.as_ref().is_some_and(PluginState::is_read_only)
    }

    fn place(&self) -> Result<&PluginState, AcmeDnsError> {
        self.state.as_ref().ok_or(AcmeDnsError::NoPlace)
    }

    fn entries(&self) -> Result<Vec<Entry>, AcmeDnsError> {
        let Some(state) = &self.state else { return Ok(Vec::new()) };
        let mut file: File = state.read(PLUGIN, VERSION)?.unwrap_or_default();
        file.registrations.retain(|entry| entry.server == self.server);
        Ok(file.registrations)
    }

    /// What is known of a name, without a dot at its end.
    pub(super) fn find(&self, fqdn: &str) -> Result<Known, AcmeDnsError> {
        if let Some(given) = self.given.iter().find(|given| given.fulldomain == fqdn) {
            return Ok(Known::Target(given.credentials.clone()));
        }
        let entries = self.entries()?;
        if let Some(entry) = entries.iter().find(|entry| entry.fulldomain == fqdn) {
            let password =
                self.place()?.key().open_text(&sealing_place(&entry.fulldomain), &entry.password)?;
            let (subdomain, username) = (entry.subdomain.clone(), entry.username.clone());
            return Ok(Known::Target(Credentials { subdomain, username, password }));
        }
        let by_name = entries.into_iter().find(|entry| entry.name == fqdn);
        Ok(by_name.map_or(Known::Nothing, |entry| Known::Name(entry.fulldomain)))
    }

    /// Registers a name, unless another process has done so in the meantime. Gives where its CNAME has to lead.
    pub(super) async fn register(
        &self,
        name: &str,
        asked: impl Future<Output = Result<Registered, AcmeDnsError>>,
    ) -> Result<String, AcmeDnsError> {
        let state = self.place()?;
        let _lock = state.lock(PLUGIN).await?;
        let mut file: File = state.read(PLUGIN, VERSION)?.unwrap_or_default();
        let known = |entry: &&Entry| entry.server == self.server && entry.name == name;
        if let Some(entry) = file.registrations.iter().find(known) {
            return Ok(entry.fulldomain.clone());
        }
        let made = asked.await?;
        let fulldomain = made.fulldomain;
        let password = made.password.0.expose_secret().as_bytes();
        file.registrations.push(Entry {
            server: self.server.clone(),
            name: name.to_owned(),
            password: state.key().seal(&sealing_place(&fulldomain), password)?,
            fulldomain: fulldomain.clone(),
            subdomain: made.subdomain,
            username: made.username,
            registered: Timestamp::now(),
            updated: None,
        });
        state.write(PLUGIN, &file)?;
        Ok(fulldomain)
    }

    /// When values were last set at a name; `None` where that is not known.
    pub(super) fn updated(&self, fqdn: &str) -> Result<Option<Timestamp>, AcmeDnsError> {
        let entries = self.entries()?;
        Ok(entries.into_iter().find(|entry| entry.fulldomain == fqdn).and_then(|entry| entry.updated))
    }

    /// Notes that values were set at a name just now.
    pub(super) async fn note_update(&self, fqdn: &str) -> Result<(), AcmeDnsError> {
        let Some(state) = &self.state else { return Ok(()) };
        let _lock = state.lock(PLUGIN).await?;
        let mut file: File = state.read(PLUGIN, VERSION)?.unwrap_or_default();
        let ours = |entry: &&mut Entry| entry.server == self.server && entry.fulldomain == fqdn;
        // Of what was given in a file, nothing is kept.
        let Some(entry) = file.registrations.iter_mut().find(ours) else { return Ok(()) };
        entry.updated = Some(Timestamp::now());
        Ok(state.write(PLUGIN, &file)?)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Foreign {
    /// lego and acme-dns-client.
    Object {
        fulldomain: String,
        subdomain: String,
        username: String,
        password: Password,
        #[serde(default)]
        server_url: Option<String>,
    },
    /// Posh-ACME: subdomain, user, password, full domain.
    List((String, String, Password, String)),
}

/// The registrations in a file of another client. What is wrong with it is told without a word of it.
pub(super) fn parse_given(text: &str) -> Result<Vec<Given>, String> {
    let all: BTreeMap<String, Foreign> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("the registrations are no JSON of lego, acme-dns-client or Posh-ACME (line {line}, column {column})")
    })?;
    let plain = |fulldomain: String| fulldomain.trim_end_matches('.').to_ascii_lowercase();
    let given = |foreign: Foreign| {
        let (fulldomain, subdomain, username, password, server) = match foreign {
            Foreign::Object { fulldomain, subdomain, username, password, server_url } => {
                (fulldomain, subdomain, username, password, server_url)
            }
            Foreign::List((subdomain, username, password, fulldomain)) => {
                (fulldomain, subdomain, username, password, None)
            }
        };
        let server = server.filter(|server| !server.is_empty());
        let credentials = Credentials { subdomain, username, password: password.0 };
        Given { fulldomain: plain(fulldomain), credentials, server }
    };
    Ok(all.into_values().map(given).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_of_other_clients_are_understood() {
        let text = r#"{
            "example.com": {"fulldomain": "A.auth.example.org.", "subdomain": "a", "username": "u", "password": "p",
                            "server_url": "https://auth.example.org", "allowfrom": []},
            "_acme-challenge.example.net": ["b", "v", "q", "b.auth.example.org"]
        }"#;
        let given = parse_given(text).unwrap();
        let all: Vec<_> = given
            .iter()
            .map(|one| {
                let Credentials { subdomain, username, password } = &one.credentials;
                (one.fulldomain.as_str(), subdomain.as_str(), username.as_str(), password.expose_secret())
            })
            .collect();
        assert_eq!(all, [("b.auth.example.org", "b", "v", "q"), ("a.auth.example.org", "a", "u", "p")]);

        // A password is for the server that has given it.
        let of =
            |server: &str| given.iter().map(|one| one.is_of(&server.parse().unwrap())).collect::<Vec<_>>();
        assert_eq!(of("https://auth.example.org/"), [true, true]);
        assert_eq!(of("https://auth.example.net/"), [true, false]);
        assert_eq!(of("https://auth.example.org:8443/"), [true, false]);
    }

    #[test]
    fn what_is_no_registration_is_told_without_a_word_of_it() {
        for text in ["", "[]", "{\"a\": {\"password\": \"c4nary\"}}", "{\"a\": [\"c4nary\"]}", "{\"a\": 1}"] {
            let wrong = parse_given(text).err().unwrap();
            assert!(!wrong.contains("c4nary") && wrong.contains("line"), "{wrong}");
        }
    }
}

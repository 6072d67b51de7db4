//! The plugin `acme-dns`: a small name server that holds the TXT values of names whose CNAMEs lead there. Its HTTP API
//! (github.com/joohoi/acme-dns) knows two requests: one registers a subdomain, the other sets one more value there.
//!
//! The server keeps a fixed number of values for a subdomain, two unless its owner has changed that, and each new one takes
//! the place of the oldest. So nothing can be removed, and whoever writes a third value drops the first: the processes of
//! this machine have a subdomain in turns, from their first value until they have withdrawn it.

mod registration;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use self::registration::{Known, Registry, parse_given};
use self::server::{Api, address, networks};
use super::group::{Group, group};
use super::{
    ArgumentError, Arguments, Connected, CredentialReport, CredentialState, Need, Parameter, ParameterKind,
    Pending, Plugin, PluginError, PluginInfo, ProofKind, Surroundings, TxtRecord, Withdrawn,
};
use crate::secret::SealError;
use crate::store::{Lock, StoreError};

const SERVER: &str = "ACMEServer";
const ALLOW_FROM: &str = "ACMEAllowFrom";
const REGISTRATION: &str = "ACMERegistration";
const HTTP: &str = "HTTP";

/// How many values a server holds at a subdomain (its setting `txtlimit` aside).
const MOST_VALUES: usize = 2;
/// How long another process may have a subdomain: an issue waits for propagation and for the CA.
const PATIENCE: Duration = Duration::from_secs(900);
/// The server tells the oldest value by the second. Two that were set in the second before would be told apart by chance.
const TICK: jiff::SignedDuration = jiff::SignedDuration::from_millis(1100);

const GUIDE: &str = "\
acme-dns (github.com/joohoi/acme-dns) is a small name server with an HTTP API that can do one
thing: hold TXT values for names whose CNAMEs lead to it. What is on this host can change nothing
else in your DNS.

    livecert issue example.com '*.example.com' --plugin acme-dns \\
        --plugin-arg ACMEServer=auth.example.org --accept-tos

The first run registers each name there, prints the CNAME records that have to be set, and ends:

    _acme-challenge.example.com. CNAME 8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.example.org.

Set them at your DNS service, once, and run the same command again. A name and its wildcard share
one. From then on renewals need nobody. `livecert check` tells of CNAMEs that are not there yet.

What the server has given (subdomain, user, password) is kept in the state folder, the password
sealed. Registrations that you have already are taken from a file with ACMERegistration=file:PATH:
the JSON of lego or of acme-dns-client (domain: {fulldomain, subdomain, username, password}), or of
Posh-ACME (name: [subdomain, username, password, fulldomain]). Those with another server's
server_url are passed over.

The server holds two values at a name, and none can be removed: a value stays until a later one
takes its place, which does no harm, because it proves nothing a second time. More than two values
at one name (several names whose CNAMEs lead to one registration) are refused before one is set.
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "acme-dns",
    summary: "sets the TXT values at an acme-dns server, to which CNAMEs lead",
    proofs: &[ProofKind::Txt],
    guide: GUIDE,
    parameters: &[
        Parameter::new(SERVER, ParameterKind::Plain, "host name or https URL of the acme-dns server")
            .needed(Need::Required)
            .or(&["ACME_DNS_API_BASE", "ACMEDNS_BASE_URL"]),
        Parameter::new(
            ALLOW_FROM,
            ParameterKind::Plain,
            "networks that may set values, with commas between them [default: all]",
        )
        .or(&["ACME_DNS_ALLOWLIST"]),
        Parameter::new(
            REGISTRATION,
            ParameterKind::Secret,
            "registrations that are there already, JSON (of lego, acme-dns-client or Posh-ACME)",
        )
        .or(&["ACME_DNS_STORAGE"]),
        Parameter::new(
            HTTP,
            ParameterKind::Flag,
            "speak HTTP without TLS, in a network of your own [default: false]",
        ),
    ],
    environment: &[],
    sweeps: false,
    alone: false,
    shared: false,
    connect,
};

/// A CNAME that has to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cname {
    /// Where.
    pub name: String,
    /// Where it leads.
    pub target: String,
}

/// Why a value could not be set at an acme-dns server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeDnsError {
    /// Names are registered, and their CNAMEs are not there.
    #[error("to be set in DNS first: {}", shown(missing))]
    NoCname {
        /// The records.
        missing: Vec<Cname>,
    },
    /// Names that are not registered yet, where only looking is allowed.
    #[error("not registered at {server} yet: {}", names.join(", "))]
    NotRegistered {
        /// The server.
        server: String,
        /// The names.
        names: Vec<String>,
    },
    /// A CNAME leads to a name whose registration is not known here.
    #[error("the CNAME leads to {fqdn}, and no registration of that name at {server} is known here")]
    Unknown {
        /// Where it leads.
        fqdn: String,
        /// The server.
        server: String,
    },
    /// More values at one name than the server can hold.
    #[error("{count} values are needed at {fqdn} at once, and acme-dns holds {MOST_VALUES}")]
    TooMany {
        /// The name.
        fqdn: String,
        /// How many.
        count: usize,
    },
    /// The server refuses, or says something else than acme-dns does.
    #[error("the acme-dns server {server} answered to {action} with status {status}: {words}")]
    Answer {
        /// The server.
        server: String,
        /// What it was asked for.
        action: &'static str,
        /// HTTP status.
        status: u16,
        /// The beginning of its answer.
        words: String,
    },
    /// The server does not answer.
    #[error("the acme-dns server {server} cannot be reached")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Another process of this machine has the name.
    #[error("the turn at {fqdn} did not come")]
    Turn {
        /// The name.
        fqdn: String,
        /// Who has it.
        #[source]
        source: StoreError,
    },
    /// The registrations in the state folder cannot be read or written.
    #[error("the registrations at acme-dns servers cannot be kept")]
    State(#[from] StoreError),
    /// A password in the state folder cannot be opened or sealed.
    #[error("the password of a registration cannot be read or kept")]
    Seal(#[from] SealError),
    /// There is no state folder to keep registrations in.
    #[error("there is no place to keep registrations in")]
    NoPlace,
}

fn shown(missing: &[Cname]) -> String {
    let record = |one: &Cname| format!("{}. CNAME {}.", one.name, one.target);
    missing.iter().map(record).collect::<Vec<_>>().join(", ")
}

fn connect(arguments: &Arguments, surroundings: &Surroundings) -> Result<Connected, ArgumentError> {
    let wrong = |parameter: &'static str| move |reason: String| ArgumentError::Invalid { parameter, reason };
    let base =
        address(arguments.plain(SERVER).unwrap_or_default(), arguments.flag(HTTP)).map_err(wrong(SERVER))?;
    let allow_from = networks(arguments.plain(ALLOW_FROM).unwrap_or_default()).map_err(wrong(ALLOW_FROM))?;
    let mut given = match arguments.secret(REGISTRATION) {
        Some(text) => parse_given(text.expose_secret()).map_err(wrong(REGISTRATION))?,
        None => Vec::new(),
    };
    given.retain(|one| one.is_of(&base));
    let registry = Registry::new(base.to_string(), given, surroundings.state.clone());
    let api = Api::new(surroundings.http.clone(), base, allow_from);
    let locks = surroundings.locks.clone();
    Ok(Connected::Dns(Arc::new(AcmeDns { api, registry, locks, held: Mutex::default() })))
}

struct AcmeDns {
    api: Api,
    registry: Registry,
    locks: PathBuf,
    /// The subdomains whose turn is ours, with the values that were set there.
    held: Mutex<BTreeMap<String, Held>>,
}

struct Held {
    values: Vec<String>,
    _turn: Lock,
}

/// Whether a name is one that a CA looks at, and not one that a CNAME leads to.
fn is_validation_name(fqdn: &str) -> bool {
    let mut labels = fqdn.split('.');
    let (first, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    first == "_acme-challenge" || (first.starts_with('_') && second == "_acme-challenge")
}

impl AcmeDns {
    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unknown(&self, fqdn: &str) -> AcmeDnsError {
        AcmeDnsError::Unknown { fqdn: fqdn.to_owned(), server: self.api.server() }
    }

    /// Registers the names that nothing is known of, and tells which CNAMEs are missing.
    async fn ready(&self, records: &[TxtRecord]) -> Result<(), AcmeDnsError> {
        let (mut missing, mut unregistered) = (Vec::new(), Vec::new());
        for Group { fqdn, .. } in group(records) {
            match self.registry.find(fqdn)? {
                Known::Target(_) => {}
                Known::Name(target) => missing.push(Cname { name: fqdn.to_owned(), target }),
                Known::Nothing if !is_validation_name(fqdn) => return Err(self.unknown(fqdn)),
                Known::Nothing if self.registry.is_read_only() => unregistered.push(fqdn.to_owned()),
                Known::Nothing => {
                    let target = self.registry.register(fqdn, self.api.register()).await?;
                    missing.push(Cname { name: fqdn.to_owned(), target });
                }
            }
        }
        match (missing.is_empty(), unregistered.is_empty()) {
            (false, _) => Err(AcmeDnsError::NoCname { missing }),
            (true, false) => {
                Err(AcmeDnsError::NotRegistered { server: self.api.server(), names: unregistered })
            }
            (true, true) => Ok(()),
        }
    }

    async fn take_turn(&self, group: &Group<'_>) -> Result<(), AcmeDnsError> {
        let fqdn = group.fqdn;
        if self.held().contains_key(fqdn) {
            return Ok(());
        }
        let turn = group.turn(&self.locks, &format!("acme-dns {fqdn}"), PATIENCE).await;
        let turn = turn.map_err(|error| match error {
            PluginError::Turn { fqdn, source } => AcmeDnsError::Turn { fqdn, source },
            _ => self.unknown(fqdn),
        })?;
        // What was set in this very second, by whomever, would be no older than ours.
        if let Some(before) = self.registry.updated(fqdn)? {
            let left = TICK - Timestamp::now().duration_since(before);
            if let Ok(left) = Duration::try_from(left) {
                tokio::time::sleep(left.min(Duration::from_secs(2))).await;
            }
        }
        self.held().insert(fqdn.to_owned(), Held { values: Vec::new(), _turn: turn });
        Ok(())
    }

    async fn set(&self, group: &Group<'_>) -> Result<(), AcmeDnsError> {
        let fqdn = group.fqdn;
        let known = match self.registry.find(fqdn)? {
            Known::Target(known) => known,
            Known::Name(target) => {
                let missing = vec![Cname { name: fqdn.to_owned(), target }];
                return Err(AcmeDnsError::NoCname { missing });
            }
            Known::Nothing => return Err(self.unknown(fqdn)),
        };
        self.take_turn(group).await?;
        for value in group.values() {
            // Set again, it would take the place of the other one.
            let is_there = |held: &Held| held.values.contains(&value);
            if self.held().get(fqdn).is_some_and(is_there) {
                continue;
            }
            self.api.update(&known, &value).await?;
            if let Some(held) = self.held().get_mut(fqdn) {
                held.values.push(value);
                let over = held.values.len().saturating_sub(MOST_VALUES);
                held.values.drain(..over);
            }
        }
        self.registry.note_update(fqdn).await
    }
}

impl Plugin for AcmeDns {
    fn prepare<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async { Ok(self.ready(records).await?) })
    }

    fn take_turns<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async {
            // In the order of the names, so that two processes never wait for each other.
            for group in group(records) {
                self.take_turn(&group).await?;
            }
            Ok(())
        })
    }

    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async {
            let groups = group(records);
            for group in &groups {
                let mut values = group.values();
                values.sort();
                values.dedup();
                if values.len() > MOST_VALUES {
                    let (fqdn, count) = (group.fqdn.to_owned(), values.len());
                    return Err(AcmeDnsError::TooMany { fqdn, count }.into());
                }
            }
            // In the order of the names, as the turns are taken.
            for group in &groups {
                self.set(group).await?;
            }
            Ok(())
        })
    }

    fn credential<'a>(&'a self, names: &'a [String]) -> Pending<'a, Option<CredentialReport>> {
        Box::pin(async {
            let look = |name: &String| {
                let problem = match self.registry.find(name) {
                    Ok(Known::Target(_)) => return None,
                    Ok(Known::Name(target)) => {
                        AcmeDnsError::NoCname { missing: vec![Cname { name: name.clone(), target }] }
                    }
                    Ok(Known::Nothing) if is_validation_name(name) => {
                        AcmeDnsError::NotRegistered { server: self.api.server(), names: vec![name.clone()] }
                    }
                    Ok(Known::Nothing) => self.unknown(name),
                    Err(error) => error,
                };
                Some((name.clone(), problem.into()))
            };
            Some(CredentialReport {
                kind: "registration",
                state: CredentialState::Valid,
                name: Some(self.api.server()),
                expires: None,
                permissions: Vec::new(),
                lacks: Vec::new(),
                domains: Vec::new(),
                uncovered: names.iter().filter_map(look).collect(),
            })
        })
    }

    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn> {
        Box::pin(async {
            // There is no request for that; whoever is next may have the name.
            for group in group(records) {
                self.held().remove(group.fqdn);
            }
            Withdrawn::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_ca_looks_at_are_told_from_those_that_cnames_lead_to() {
        for name in ["_acme-challenge.example.com", "_b3n5q7xw2lkmzt4a._acme-challenge.example.com"] {
            assert!(is_validation_name(name), "{name}");
        }
        for name in ["8e5700ea.auth.example.org", "_dmarc.example.com", "acme-challenge.example.com", ""] {
            assert!(!is_validation_name(name), "{name}");
        }
    }
}

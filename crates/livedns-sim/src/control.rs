//! What a test or a person may do to the simulator from outside the API: look, write as somebody else, make it slow
//! or broken. In this process by [`Control`], from others by HTTP (`README.md` has the routes).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sim_server::{Faults, apply};

use crate::behaviour::Behaviour;
use crate::config::TokenConfig;
use crate::faults::FaultRule;
use crate::log::{DnsQuery, RequestRecord};
use crate::simulator::Shared;
use crate::state::{Rrset, quoted, unquoted};

/// A handle on a running simulator.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Control { shared }
    }

    /// All rrsets of a zone, by `name/type`, as the API sees them; empty if there is no such zone.
    pub fn zone(&self, apex: &str) -> BTreeMap<String, Rrset> {
        let state = self.shared.lock();
        let zone = state.world.zones.0.get(apex);
        let entry =
            |((name, kind), rrset): (&(String, String), &Rrset)| (format!("{name}/{kind}"), rrset.clone());
        zone.map(|zone| zone.all().map(entry).collect()).unwrap_or_default()
    }

    /// The names of the servers that the zone is published on.
    pub fn name_servers(&self, apex: &str) -> [String; 3] {
        crate::api::server_names(apex)
    }

    /// Adds a zone, if it is not there.
    pub fn add_zone(&self, apex: &str) {
        self.shared.lock().world.zones.0.entry(apex.to_owned()).or_default();
    }

    /// Sets an rrset; `None` removes it.
    pub fn set_rrset(&self, apex: &str, name: &str, kind: &str, rrset: Option<Rrset>) {
        let mut state = self.shared.lock();
        state.world.zones.0.entry(apex.to_owned()).or_default().set(name, kind, rrset);
    }

    /// Sets an rrset that every name server shows at once, however late it is with others.
    pub fn set_rrset_long_ago(&self, apex: &str, name: &str, kind: &str, rrset: Rrset) {
        let mut state = self.shared.lock();
        state.world.zones.0.entry(apex.to_owned()).or_default().set_long_ago(name, kind, rrset);
    }

    /// Adds somebody else's TXT value, as another client would; a new rrset gets `ttl`.
    pub fn add_value(&self, apex: &str, name: &str, value: &str, ttl: u32) {
        let mut state = self.shared.lock();
        let zone = state.world.zones.0.entry(apex.to_owned()).or_default();
        let mut rrset = zone.get(name, "TXT").cloned().unwrap_or(Rrset { ttl, values: Vec::new() });
        rrset.values.push(quoted(value));
        zone.set(name, "TXT", Some(rrset));
    }

    /// Removes a TXT value, as another client would.
    pub fn remove_value(&self, apex: &str, name: &str, value: &str) {
        let mut state = self.shared.lock();
        let zone = state.world.zones.0.entry(apex.to_owned()).or_default();
        let Some(mut rrset) = zone.get(name, "TXT").cloned() else { return };
        rrset.values.retain(|there| unquoted(there) != value);
        let rest = (!rrset.values.is_empty()).then_some(rrset);
        zone.set(name, "TXT", rest);
    }

    /// The requests to the API so far.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.lock().log.requests.records.clone()
    }

    /// Forgets the requests so far; the log file stays.
    pub fn clear_requests(&self) {
        self.shared.lock().log.requests.records.clear();
    }

    /// The questions to the name servers so far.
    pub fn dns_queries(&self) -> Vec<DnsQuery> {
        self.shared.lock().log.dns.clone()
    }

    /// Makes each answer of the API this much later.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    /// How far name server `index` is behind the API.
    pub fn set_publication_delay(&self, index: usize, delay: Duration) {
        if let Some(server) = self.shared.lock().servers.get_mut(index) {
            server.delay = delay;
        }
    }

    /// Whether name server `index` does not answer.
    pub fn set_down(&self, index: usize, down: bool) {
        if let Some(server) = self.shared.lock().servers.get_mut(index) {
            server.down = down;
        }
    }

    /// Whether every second answer of name server `index` is 60 s old.
    pub fn set_flapping(&self, index: usize, flapping: bool) {
        if let Some(server) = self.shared.lock().servers.get_mut(index) {
            server.flapping = flapping;
        }
    }

    /// Whether name server `index` remembers for good that there was nothing, as a caching resolver does for hours.
    pub fn set_caching(&self, index: usize, caching: bool) {
        if let Some(server) = self.shared.lock().servers.get_mut(index) {
            server.caching = caching;
        }
    }

    /// Sets the switches.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.lock().world.behaviour = behaviour;
    }

    /// The switches.
    pub fn behaviour(&self) -> Behaviour {
        self.shared.lock().world.behaviour.clone()
    }

    /// Adds a token, in the place of the one with the same text.
    pub fn set_token(&self, token: TokenConfig) {
        let mut state = self.shared.lock();
        let tokens = &mut state.world.credentials.tokens;
        tokens.retain(|other| other.token != token.token);
        tokens.push(token);
    }

    /// Adds a rule for faults.
    pub fn fail(&self, rule: FaultRule) {
        self.shared.lock().faults.add(rule);
    }

    /// Forgets the faults that have not come yet.
    pub fn heal(&self) {
        self.shared.lock().faults = Faults::default();
    }

    /// Answers a request to the HTTP endpoint: status and document.
    pub(crate) fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let done = (200, json!({"done": true}));
        match (method, segments.as_slice()) {
            (&Method::GET, ["zones", apex]) => (200, json!(self.zone(apex))),
            (&Method::PUT, ["zones", apex]) => {
                self.add_zone(apex);
                done
            }
            (&Method::POST, ["zones", apex, "values"]) => {
                apply(body, |new: NewValue| self.add_value(apex, &new.name, &new.value, new.ttl))
            }
            (&Method::DELETE, ["zones", apex, "values"]) => {
                apply(body, |old: NewValue| self.remove_value(apex, &old.name, &old.value))
            }
            (&Method::GET, ["requests"]) => (200, json!(self.requests())),
            (&Method::GET, ["dns-queries"]) => (200, json!(self.dns_queries())),
            (&Method::DELETE, ["requests"]) => {
                self.clear_requests();
                done
            }
            (&Method::GET, ["behaviour"]) => (200, json!(self.behaviour())),
            (&Method::PUT, ["behaviour"]) => apply(body, |behaviour| self.set_behaviour(behaviour)),
            (&Method::PUT, ["timing"]) => apply(body, |timing: Timing| self.apply(&timing)),
            (&Method::POST, ["faults"]) => apply(body, |rule| self.fail(rule)),
            _ => (404, json!({"error": "there is no such control"})),
        }
    }

    fn apply(&self, timing: &Timing) {
        if let Some(latency) = timing.latency_ms {
            self.set_latency(Duration::from_millis(latency));
        }
        let mut state = self.shared.lock();
        for (index, server) in state.servers.iter_mut().enumerate() {
            if let Some(delays) = &timing.publication_delay_ms
                && let Some(delay) = delays.get(index).or(delays.last())
            {
                server.delay = Duration::from_millis(*delay);
            }
            let set = |list: &Option<Vec<usize>>, is: &mut bool| {
                if let Some(list) = list {
                    *is = list.contains(&index);
                }
            };
            set(&timing.down, &mut server.down);
            set(&timing.flapping, &mut server.flapping);
            set(&timing.caching, &mut server.caching);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewValue {
    name: String,
    value: String,
    #[serde(default = "five_minutes")]
    ttl: u32,
}

fn five_minutes() -> u32 {
    300
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timing {
    /// For each answer of the API.
    latency_ms: Option<u64>,
    /// For each name server; the last one is for the rest.
    publication_delay_ms: Option<Vec<u64>>,
    /// Name servers that do not answer.
    down: Option<Vec<usize>>,
    /// Name servers of which every second answer is 60 s old.
    flapping: Option<Vec<usize>>,
    /// Name servers that remember that there was nothing.
    caching: Option<Vec<usize>>,
}

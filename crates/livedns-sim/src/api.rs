//! The LiveDNS API: routes, checks and answers. No network here: a request comes in as a value, and goes out as one.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::auth::{Caller, Credentials, refuse};
use crate::behaviour::{Behaviour, Legacy, Organisation, OtherCase, Refusal};
use crate::config::TokenConfig;
use crate::records::{change, view};
use crate::reply::Reply;
use crate::state::Zones;

/// Where the API begins.
pub(crate) const BASE: &str = "/v5/livedns";
/// Where it began at its first host.
const LEGACY_BASE: &str = "/api/v5";

/// A request to the API.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What the API works on.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) zones: Zones,
    pub(crate) credentials: Credentials,
    pub(crate) behaviour: Behaviour,
}

impl World {
    /// Answers a request; the second part says who asked.
    pub(crate) fn answer(&mut self, request: &Request) -> (Reply, &'static str) {
        let credentials = self.credentials.clone();
        let (reply, who) = match self.caller(&credentials, request) {
            _ if self.behaviour.legacy == Some(Legacy::Gone) => (Reply::not_found(), "none"),
            _ if request.path.starts_with(&format!("{BASE}/nameservers/")) => {
                let name = request.path.rsplit('/').next().unwrap_or_default();
                (Reply::json(200, &json!(server_names(name))), "none")
            }
            Ok(caller) => (self.route(request, caller).unwrap_or_else(|refusal| refusal), caller.kind()),
            Err(reply) => (reply, "none"),
        };
        (reply.finished(self.behaviour.json), who)
    }

    fn caller<'a>(&self, known: &'a Credentials, request: &Request) -> Result<Caller<'a>, Reply> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        if self.behaviour.legacy == Some(Legacy::KeysOnly) {
            return known.legacy_caller(header("x-api-key"));
        }
        known.caller(header("authorization"), &self.behaviour)
    }

    fn route(&mut self, request: &Request, caller: Caller<'_>) -> Result<Reply, Reply> {
        if request.path == "/tokeninfo" {
            return self.token_info(caller);
        }
        if request.path == "/v5/organization/access-tokens" && request.method == Method::POST {
            return self.renew_token(caller);
        }
        self.organisation(request)?;
        let base = if self.behaviour.legacy.is_some() { LEGACY_BASE } else { BASE };
        let rest = request.path.strip_prefix(base).ok_or_else(Reply::not_found)?;
        let segments: Vec<String> = rest
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET, ["domains"]) => Ok(self.domains(request, caller)),
            (_, ["domains", zone, rest @ ..]) => {
                self.visible(zone, caller)?;
                self.in_zone(request, caller, zone, rest)
            }
            _ => Err(Reply::not_found()),
        }
    }

    /// Organisations: needed and missing, or named without need.
    fn organisation(&self, request: &Request) -> Result<(), Reply> {
        let in_query = request.query.split('&').any(|pair| pair.starts_with("sharing_id="));
        let in_header = request.headers.contains_key("x-gandi-sharing-id");
        match self.behaviour.organisation {
            Organisation::Query if !in_query => Err(Reply::other_organisation()),
            Organisation::Header if !in_header => Err(Reply::other_organisation()),
            Organisation::NotNeeded
                if (in_query || in_header) && self.behaviour.refuse_superfluous_organisation =>
            {
                Err(refuse(Refusal::Forbidden))
            }
            _ => Ok(()),
        }
    }

    /// A new token with another secret; the old one lives on until its own end.
    fn renew_token(&mut self, caller: Caller<'_>) -> Result<Reply, Reply> {
        let Caller::Token(token) = caller else { return Err(refuse(self.behaviour.bad_token)) };
        if self.behaviour.renew_only_below.is_some_and(|limit| self.seconds_left(token) > limit) {
            return Err(Reply::error(
                400,
                "HTTPBadRequest",
                "Bad Request",
                "This token cannot be renewed yet.",
            ));
        }
        let secret: String = std::iter::repeat_with(|| fastrand::char('a'..='f')).take(40).collect();
        let mut renewed = TokenConfig { token: secret.clone(), ..token.clone() };
        let lived = self.credentials.lived();
        let life = 90 * 86_400;
        renewed.expires_in = lived.saturating_add(life);
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(life);
        let reply = Reply::json(
            201,
            &json!({
                "access_token": secret, "id": "simulated", "name": "simulated", "expires_at": expires.to_string(),
                "scopes": renewed.scopes, "entities": entities(&renewed),
            }),
        );
        self.credentials.tokens.push(renewed);
        Ok(reply)
    }

    fn seconds_left(&self, token: &TokenConfig) -> i64 {
        let lived = self.credentials.lived();
        token.expires_in.saturating_sub(lived)
    }

    fn token_info(&self, caller: Caller<'_>) -> Result<Reply, Reply> {
        if self.behaviour.token_info_down {
            return Err(Reply {
                status: 503,
                headers: Vec::new(),
                body: "<html>unavailable</html>".to_owned(),
            });
        }
        let Caller::Token(token) = caller else { return Err(refuse(self.behaviour.bad_token)) };
        Ok(Reply::json(
            200,
            &json!({
                "pat_name": "simulated",
                "scope": token.scopes,
                "entities": entities(token),
                "expires_in": self.seconds_left(token),
            }),
        ))
    }

    fn domains(&self, request: &Request, caller: Caller<'_>) -> Reply {
        let item = |name: &String| json!({"fqdn": name, "domain_href": href(name, ""), "domain_records_href": href(name, "/records")});
        let hidden = self.behaviour.hide_domain_list;
        let all: Vec<Value> =
            self.zones.0.keys().filter(|zone| !hidden && caller.sees(zone)).map(item).collect();
        paginated(&all, request)
    }

    fn visible(&self, zone: &str, caller: Caller<'_>) -> Result<(), Reply> {
        if !self.zones.0.contains_key(zone) {
            return Err(if fastrand::bool() {
                Reply::error(404, "LocalizedHTTPNotFound", "Not Found", "Unknown domain")
            } else {
                Reply::not_found()
            });
        }
        if caller.sees(zone) { Ok(()) } else { Err(refuse(self.behaviour.other_domain)) }
    }

    fn in_zone(
        &mut self,
        request: &Request,
        caller: Caller<'_>,
        apex: &str,
        rest: &[&str],
    ) -> Result<Reply, Reply> {
        let behaviour = &self.behaviour;
        let zone = self.zones.0.entry(apex.to_owned()).or_default();
        if request.method != Method::GET {
            if !caller.writes() {
                return Err(refuse(Refusal::Forbidden));
            }
            if request.method == Method::POST && behaviour.legacy == Some(Legacy::NoNewRecords) {
                return Err(Reply::not_found());
            }
            return change(request, zone, apex, rest, behaviour);
        }
        let show = |name: &str, kind: &str, rrset| view(apex, name, kind, rrset, behaviour);
        match rest {
            [] => Ok(Reply::json(
                200,
                &json!({
                    "fqdn": apex, "automatic_snapshots": true, "domain_href": href(apex, ""),
                    "domain_records_href": href(apex, "/records"), "domain_keys_href": href(apex, "/keys"),
                }),
            )),
            ["nameservers"] => Ok(Reply::json(200, &json!(server_names(apex)))),
            ["records"] => {
                let all: Vec<Value> = zone.all().map(|(key, rrset)| show(&key.0, &key.1, rrset)).collect();
                Ok(paginated(&all, request))
            }
            ["records", name] => {
                let at = zone.all().filter(|(key, _)| key.0 == *name);
                let all: Vec<Value> = at.map(|(key, rrset)| show(&key.0, &key.1, rrset)).collect();
                Ok(Reply::json(200, &json!(all)))
            }
            ["records", name, kind] => {
                let stored = match zone.name_in_other_case(name) {
                    Some(other) if behaviour.other_case == OtherCase::Found => other,
                    _ => name,
                };
                let rrset = zone.get(stored, kind).ok_or_else(|| Reply::no_record(name, kind))?;
                Ok(Reply::json(200, &show(stored, kind, rrset)))
            }
            _ => Err(Reply::not_found()),
        }
    }
}

fn entities(token: &TokenConfig) -> Vec<Value> {
    let entity = |domain: &String| json!({"id": domain, "name": domain, "type": "domain"});
    token.domains.iter().map(entity).collect()
}

/// The URL of an rrset, escaped as the API does.
pub(crate) fn record_href(zone: &str, name: &str, kind: &str) -> String {
    let name = name.replace('@', "%40").replace('*', "%2A");
    href(zone, &format!("/records/{name}/{kind}"))
}

pub(crate) fn href(zone: &str, rest: &str) -> String {
    format!("https://api.gandi.net{BASE}/domains/{zone}{rest}")
}

/// The three servers that a zone's name hashes to.
pub(crate) fn server_names(zone: &str) -> [String; 3] {
    let hash = zone.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    ["a", "b", "c"].map(|letter| format!("ns-{}-{letter}.gandi.net", hash % 256))
}

/// A page of a list, with `Total-Count` and the `Link`s to the next and the last page.
fn paginated(all: &[Value], request: &Request) -> Reply {
    let (path, query) = (&request.path, &request.query);
    let number = |name: &str, default: usize| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 100).clamp(1, 1000));
    let items: Vec<&Value> = all.iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let mut reply = Reply::json(200, &json!(items));
    reply.headers.push(("total-count", all.len().to_string()));
    let last = all.len().div_ceil(per_page).max(1);
    if page < last {
        let link = |page: usize, what: &str| {
            format!("<https://api.gandi.net{path}?page={page}&per_page={per_page}>; rel=\"{what}\"")
        };
        reply.headers.push(("link", format!("{}, {}", link(page + 1, "next"), link(last, "last"))));
    }
    reply
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;

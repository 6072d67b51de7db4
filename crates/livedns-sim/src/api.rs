//! The LiveDNS API: routes, checks and answers. No network here: a request comes in as a value, and goes out as one.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{Caller, Credentials, refuse};
use crate::behaviour::{Behaviour, EmptyList, MissingRrset, Organisation};
use crate::config::TokenConfig;
use crate::state::{Rrset, Zone, Zones, quoted, unquoted};

const BASE: &str = "/v5/livedns";
const TTL: std::ops::RangeInclusive<u32> = 300..=2_592_000;
/// What a write without TTL gets, also where there was another one before.
const DEFAULT_TTL: u32 = 10_800;

/// A request to the API.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// What the API works on.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) zones: Zones,
    pub(crate) credentials: Credentials,
    pub(crate) behaviour: Behaviour,
}

impl Reply {
    fn json(status: u16, value: &Value) -> Self {
        Reply {
            status,
            headers: vec![("content-type", "application/json; charset=utf-8".into())],
            body: value.to_string(),
        }
    }

    pub(crate) fn no_credential() -> Self {
        let message =
            "You must provide an access token or an API Key. See https://api.gandi.net/docs/authentication/";
        Reply::json(401, &json!({"message": message}))
    }

    /// An error of the backend: Python's spacing or compact, members in any order. Whoever matches text, loses.
    pub(crate) fn error(status: u16, object: &str, cause: &str, message: &str) -> Self {
        let mut members = [
            ("code", json!(status)),
            ("message", json!(message)),
            ("object", json!(object)),
            ("cause", json!(cause)),
        ];
        fastrand::shuffle(&mut members);
        let (colon, comma) = if fastrand::bool() { (": ", ", ") } else { (":", ",") };
        let text = members.map(|(name, value)| format!("\"{name}\"{colon}{value}")).join(comma);
        let headers = vec![("content-type", "application/json; charset=UTF-8".to_owned())];
        Reply { status, headers, body: format!("{{{text}}}") }
    }

    fn other_organisation() -> Self {
        Reply::json(404, &json!({"code": 404, "cause": "Unknown", "message": "The resource does not exist"}))
    }

    fn invalid(field: &str, description: &str) -> Self {
        let error = json!({"location": "body", "name": field, "description": description});
        Reply::json(400, &json!({"status": "error", "errors": [error]}))
    }

    fn no_record(name: &str, kind: &str) -> Self {
        Reply::error(
            404,
            "dns-record",
            "Not Found",
            &format!("Can't find the DNS record {name}/{kind} in the zone"),
        )
    }

    fn created(zone: &str, name: &str, kind: &str) -> Self {
        let name = name.replace('@', "%40").replace('*', "%2A");
        let mut reply = Reply::json(201, &json!({"message": "DNS Record Created"}));
        reply
            .headers
            .push(("location", format!("https://api.gandi.net{BASE}/domains/{zone}/records/{name}/{kind}")));
        reply
    }
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    rrset_name: Option<String>,
    rrset_type: Option<String>,
    rrset_ttl: Option<u32>,
    rrset_values: Option<Vec<String>>,
    #[serde(default)]
    add_rrset_values: Vec<String>,
    #[serde(default)]
    remove_rrset_values: Vec<String>,
}

impl World {
    /// Answers a request; the second part says who asked.
    pub(crate) fn answer(&mut self, request: &Request) -> (Reply, &'static str) {
        if let Some(name) = request.path.strip_prefix(&format!("{BASE}/nameservers/")) {
            return (Reply::json(200, &json!(server_names(name))), "none");
        }
        let authorization = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let credentials = self.credentials.clone();
        let caller = match credentials.caller(authorization, &self.behaviour) {
            Ok(caller) => caller,
            Err(reply) => return (reply, "none"),
        };
        let reply = self.route(request, caller).unwrap_or_else(|refusal| refusal);
        (with_etag(reply), caller.kind())
    }

    fn route(&mut self, request: &Request, caller: Caller<'_>) -> Result<Reply, Reply> {
        if request.path == "/tokeninfo" {
            return self.token_info(caller);
        }
        if request.path == "/v5/organization/access-tokens" && request.method == Method::POST {
            return self.renew_token(caller);
        }
        self.organisation(request)?;
        let not_found = || Reply::error(404, "HTTPNotFound", "Not Found", "The resource could not be found.");
        let rest = request.path.strip_prefix(BASE).ok_or_else(not_found)?;
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
            _ => Err(not_found()),
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
                Err(refuse(crate::behaviour::Refusal::Forbidden))
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
        let lived = i64::try_from(self.credentials.since.elapsed().as_secs()).unwrap_or(i64::MAX);
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
        let lived = i64::try_from(self.credentials.since.elapsed().as_secs()).unwrap_or(i64::MAX);
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
        paginated(&all, &request.query)
    }

    fn visible(&self, zone: &str, caller: Caller<'_>) -> Result<(), Reply> {
        if !self.zones.0.contains_key(zone) {
            return Err(if fastrand::bool() {
                Reply::error(404, "LocalizedHTTPNotFound", "Not Found", "Unknown domain")
            } else {
                Reply::error(404, "HTTPNotFound", "Not Found", "The resource could not be found.")
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
        let behaviour = self.behaviour.clone();
        let zone = self.zones.0.entry(apex.to_owned()).or_default();
        if request.method == Method::GET {
            return match rest {
                [] => Ok(Reply::json(
                    200,
                    &json!({
                        "fqdn": apex, "automatic_snapshots": true, "domain_href": href(apex, ""),
                        "domain_records_href": href(apex, "/records"), "domain_keys_href": href(apex, "/keys"),
                    }),
                )),
                ["nameservers"] => Ok(Reply::json(200, &json!(server_names(apex)))),
                ["records"] => {
                    let all: Vec<Value> =
                        zone.all().map(|(key, rrset)| view(apex, &key.0, &key.1, rrset)).collect();
                    Ok(paginated(&all, &request.query))
                }
                ["records", name] => {
                    let at = zone.all().filter(|(key, _)| key.0 == *name);
                    let all: Vec<Value> = at.map(|(key, rrset)| view(apex, &key.0, &key.1, rrset)).collect();
                    Ok(Reply::json(200, &json!(all)))
                }
                ["records", name, kind] => match zone.get(name, kind) {
                    Some(rrset) => Ok(Reply::json(200, &view(apex, name, kind, rrset))),
                    None => Err(Reply::no_record(name, kind)),
                },
                _ => Err(Reply::error(404, "HTTPNotFound", "Not Found", "The resource could not be found.")),
            };
        }
        if !caller.writes() {
            return Err(refuse(crate::behaviour::Refusal::Forbidden));
        }
        if request.method == Method::DELETE {
            let ["records", name, kind] = rest else { return Err(not_allowed()) };
            if zone.get(name, kind).is_none() && behaviour.delete_missing == MissingRrset::NotFound {
                return Err(Reply::no_record(name, kind));
            }
            zone.set(name, kind, None);
            return Ok(Reply { status: 204, headers: Vec::new(), body: String::new() });
        }
        let body = body(request)?;
        let (name, kind) = match rest {
            ["records"] => (body.rrset_name.clone(), body.rrset_type.clone()),
            ["records", name] => (Some((*name).to_owned()), body.rrset_type.clone()),
            ["records", name, kind] => (Some((*name).to_owned()), Some((*kind).to_owned())),
            _ => return Err(not_allowed()),
        };
        let name = name.ok_or_else(|| Reply::invalid("rrset_name", "Missing data for required field."))?;
        let kind = kind.ok_or_else(|| Reply::invalid("rrset_type", "Missing data for required field."))?;
        check_name(zone, &name, &kind)?;
        match request.method {
            Method::POST => create(zone, apex, &name, &kind, &body, &behaviour),
            Method::PUT if rest.len() == 3 => replace(zone, apex, &name, &kind, &body, &behaviour),
            Method::PATCH if rest.len() == 3 && behaviour.patch_offered => {
                patch(zone, apex, &name, &kind, &body, &behaviour)
            }
            _ => Err(not_allowed()),
        }
    }
}

fn entities(token: &TokenConfig) -> Vec<Value> {
    let entity = |domain: &String| json!({"id": domain, "name": domain, "type": "domain"});
    token.domains.iter().map(entity).collect()
}

fn not_allowed() -> Reply {
    Reply::error(
        405,
        "HTTPMethodNotAllowed",
        "Method Not Allowed",
        "The method is not allowed for this resource.",
    )
}

fn href(zone: &str, rest: &str) -> String {
    format!("https://api.gandi.net{BASE}/domains/{zone}{rest}")
}

/// The three servers that a zone's name hashes to.
pub(crate) fn server_names(zone: &str) -> [String; 3] {
    let hash = zone.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    ["a", "b", "c"].map(|letter| format!("ns-{}-{letter}.gandi.net", hash % 256))
}

fn view(zone: &str, name: &str, kind: &str, rrset: &Rrset) -> Value {
    let path = format!("/records/{}/{kind}", name.replace('@', "%40").replace('*', "%2A"));
    json!({
        "rrset_name": name, "rrset_type": kind, "rrset_ttl": rrset.ttl, "rrset_values": rrset.values,
        "rrset_href": href(zone, &path),
    })
}

fn paginated(all: &[Value], query: &str) -> Reply {
    let number = |name: &str, default: usize| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 100).clamp(1, 1000));
    let items: Vec<&Value> = all.iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let mut reply = Reply::json(200, &json!(items));
    reply.headers.push(("total-count", all.len().to_string()));
    reply
}

fn body(request: &Request) -> Result<Body, Reply> {
    let json = request.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !json.starts_with("application/json") {
        return Err(Reply::error(
            415,
            "HTTPUnsupportedMediaType",
            "Unsupported Media Type",
            "The content type of the request is not supported.",
        ));
    }
    serde_json::from_slice(&request.body).map_err(|error| Reply::invalid("body", &error.to_string()))
}

fn check_name(zone: &Zone, name: &str, kind: &str) -> Result<(), Reply> {
    if name.is_empty() || name.ends_with('.') || name.len() > 253 {
        return Err(Reply::invalid("rrset_name", "This is not a valid record name."));
    }
    if zone.name_in_other_case(name).is_some() {
        let words = "The server has either erred or is incapable of performing the requested operation.";
        return Err(Reply::error(500, "HTTPInternalServerError", "Internal Server Error", words));
    }
    let others = zone.all().filter(|(key, _)| key.0 == name && key.1 != kind);
    if others.into_iter().any(|(key, _)| key.1 == "CNAME" || kind == "CNAME") {
        return Err(Reply::error(
            409,
            "HTTPConflict",
            "Conflict",
            "A CNAME record can not coexist with other records of the same name",
        ));
    }
    Ok(())
}

fn values(kind: &str, given: &[String], behaviour: &Behaviour) -> Result<Vec<String>, Reply> {
    let mut values = Vec::new();
    for value in given {
        if value.len() > 16_384 || !value.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
            return Err(Reply::invalid("rrset_values", "String does not match expected pattern."));
        }
        let value = if kind == "TXT" { quoted(value) } else { value.clone() };
        if values.contains(&value) && behaviour.refuse_duplicates {
            return Err(Reply::invalid("rrset_values", "Duplicate values."));
        }
        values.push(value);
    }
    Ok(values)
}

fn ttl(body: &Body) -> Result<u32, Reply> {
    let ttl = body.rrset_ttl.unwrap_or(DEFAULT_TTL);
    if TTL.contains(&ttl) {
        return Ok(ttl);
    }
    Err(Reply::invalid(
        "rrset_ttl",
        "Value must be greater than or equal to 300 and lower than or equal to 2592000.",
    ))
}

fn new_rrset(kind: &str, body: &Body, behaviour: &Behaviour) -> Result<Rrset, Reply> {
    let given = body.rrset_values.as_deref();
    let given = given.ok_or_else(|| Reply::invalid("rrset_values", "Missing data for required field."))?;
    Ok(Rrset { ttl: ttl(body)?, values: values(kind, given, behaviour)? })
}

fn create(
    zone: &mut Zone,
    apex: &str,
    name: &str,
    kind: &str,
    body: &Body,
    behaviour: &Behaviour,
) -> Result<Reply, Reply> {
    let rrset = new_rrset(kind, body, behaviour)?;
    if rrset.values.is_empty() {
        return Err(Reply::invalid("rrset_values", "Shorter than minimum length 1."));
    }
    match zone.get(name, kind) {
        Some(there) if there.values == rrset.values => {
            Ok(Reply::json(200, &json!({"message": "A DNS Record already exists with same value"})))
        }
        Some(_) => {
            let words = format!("Record {name} already exists");
            Err(Reply::error(409, "HTTPConflict", "Duplicate Entry", &words))
        }
        None => {
            zone.set(name, kind, Some(rrset));
            Ok(Reply::created(apex, name, kind))
        }
    }
}

fn replace(
    zone: &mut Zone,
    apex: &str,
    name: &str,
    kind: &str,
    body: &Body,
    behaviour: &Behaviour,
) -> Result<Reply, Reply> {
    let rrset = new_rrset(kind, body, behaviour)?;
    let kept = keep_or_drop(rrset, behaviour.put_empty)?;
    zone.set(name, kind, kept);
    Ok(Reply::created(apex, name, kind))
}

fn keep_or_drop(rrset: Rrset, empty: EmptyList) -> Result<Option<Rrset>, Reply> {
    match empty {
        _ if !rrset.values.is_empty() => Ok(Some(rrset)),
        EmptyList::Keep => Ok(Some(rrset)),
        EmptyList::Delete => Ok(None),
        EmptyList::Refuse => Err(Reply::invalid("rrset_values", "Shorter than minimum length 1.")),
    }
}

fn patch(
    zone: &mut Zone,
    apex: &str,
    name: &str,
    kind: &str,
    body: &Body,
    behaviour: &Behaviour,
) -> Result<Reply, Reply> {
    let there = match (zone.get(name, kind), behaviour.patch_missing) {
        (Some(rrset), _) => rrset.clone(),
        (None, MissingRrset::Accept) => Rrset { ttl: DEFAULT_TTL, values: Vec::new() },
        (None, MissingRrset::NotFound) => return Err(Reply::no_record(name, kind)),
    };
    let same = |a: &str, b: &str| if kind == "TXT" { unquoted(a) == unquoted(b) } else { a == b };
    let mut list = there.values;
    list.retain(|value| !body.remove_rrset_values.iter().any(|gone| same(gone, value)));
    for value in values(kind, &body.add_rrset_values, behaviour)? {
        if !list.contains(&value) {
            list.push(value);
        }
    }
    let ttl = if body.rrset_ttl.is_some() { ttl(body)? } else { there.ttl };
    let rrset = Rrset { ttl, values: list };
    let shown = view(apex, name, kind, &rrset);
    zone.set(name, kind, keep_or_drop(rrset, behaviour.patch_last)?);
    Ok(Reply::json(200, &shown))
}

/// A weak tag of the body, as web frameworks make it; it is no version, and `If-Match` is not looked at.
fn with_etag(mut reply: Reply) -> Reply {
    if matches!(reply.status, 200 | 201) {
        let hash = reply.body.bytes().fold(5381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte));
        reply.headers.push(("etag", format!("W/\"{:x}-{hash:x}\"", reply.body.len())));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ApiKeyConfig, TokenConfig};
    use std::time::Instant;

    const TXT: &str = "/v5/livedns/domains/example.com/records/_a/TXT";

    fn world() -> World {
        let mut limited = TokenConfig::new("limited");
        limited.domains = vec!["example.org".to_owned()];
        let mut reading = TokenConfig::new("reading");
        reading.scopes = vec!["domain:view".to_owned()];
        let mut ended = TokenConfig::new("ended");
        ended.expires_in = -1;
        let zones = ["example.com", "example.org"].map(|zone| (zone.to_owned(), Zone::default()));
        World {
            zones: Zones(zones.into()),
            credentials: Credentials {
                tokens: vec![TokenConfig::new("token"), limited, reading, ended],
                api_keys: vec![ApiKeyConfig { key: "key".to_owned() }],
                since: Instant::now(),
            },
            behaviour: Behaviour::default(),
        }
    }

    fn ask_as(
        world: &mut World,
        authorization: &str,
        method: Method,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert("authorization", authorization.parse().unwrap());
        }
        headers.insert("content-type", "application/json".parse().unwrap());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let request = Request { method, path, query, headers, body: Bytes::from(body.to_owned()) };
        let reply = world.answer(&request).0;
        (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::Null))
    }

    fn ask(world: &mut World, method: Method, path: &str, body: &str) -> (u16, Value) {
        ask_as(world, "Bearer token", method, path, body)
    }

    #[test]
    fn credentials_are_refused_as_gandi_does() {
        let world = &mut world();
        let mut get = |authorization: &str| {
            let (status, body) =
                ask_as(world, authorization, Method::GET, "/v5/livedns/domains/example.com", "");
            (status, body["object"].as_str().map(str::to_owned))
        };
        for nothing in ["", "Bearer ", "Basic x", "token"] {
            assert_eq!(get(nothing), (401, None), "{nothing}");
        }
        assert_eq!(get("Bearer wrong"), (403, Some("HTTPForbidden".into())));
        assert_eq!(get("Apikey wrong"), (401, Some("HTTPUnauthorized".into())));
        assert_eq!(get("Bearer ended"), (401, Some("HTTPUnauthorized".into())));
        assert_eq!(get("Bearer limited"), (404, Some("HTTPNotFound".into())));
        assert_eq!(get("Apikey key").0, 200);
        assert_eq!(ask_as(world, "Bearer reading", Method::DELETE, TXT, "").0, 403);
        assert_eq!(ask_as(world, "Bearer reading", Method::GET, TXT, "").0, 404);
    }

    #[test]
    fn post_creates_and_put_replaces_with_its_ttl() {
        let world = &mut world();
        assert_eq!(ask(world, Method::GET, TXT, "").1["object"], "dns-record");
        let one = r#"{"rrset_ttl":600,"rrset_values":["one"]}"#;
        assert_eq!(ask(world, Method::POST, TXT, one).0, 201);
        assert_eq!(ask(world, Method::POST, TXT, one).0, 200);
        assert_eq!(ask(world, Method::POST, TXT, r#"{"rrset_values":["two"]}"#).0, 409);
        assert_eq!(ask(world, Method::GET, TXT, "").1["rrset_values"], json!(["\"one\""]));
        assert_eq!(ask(world, Method::PUT, TXT, r#"{"rrset_values":["two","\"one\""]}"#).0, 201);
        let there = ask(world, Method::GET, TXT, "").1;
        assert_eq!(
            (&there["rrset_ttl"], &there["rrset_values"]),
            (&json!(10800), &json!(["\"two\"", "\"one\""]))
        );
        assert_eq!(ask(world, Method::DELETE, TXT, "").0, 204);
        assert_eq!(ask(world, Method::GET, TXT, "").0, 404);
    }

    #[test]
    fn wrong_content_is_refused() {
        let world = &mut world();
        for body in [
            r#"{"rrset_ttl":299,"rrset_values":["x"]}"#,
            r#"{"rrset_values":["x","\"x\""]}"#,
            r#"{"rrset_values":["ü"]}"#,
            r#"{"rrset_values":[]}"#,
            "{}",
            "<html>",
        ] {
            let (status, said) = ask(world, Method::POST, TXT, body);
            assert_eq!((status, &said["status"]), (400, &json!("error")), "{body}");
        }
        let trailing = TXT.replace("_a", "_a.");
        assert_eq!(ask(world, Method::POST, &trailing, r#"{"rrset_values":["x"]}"#).0, 400);
        ask(world, Method::POST, TXT, r#"{"rrset_values":["x"]}"#);
        let other_case = TXT.replace("_a", "_A");
        assert_eq!(ask(world, Method::PUT, &other_case, r#"{"rrset_values":["x"]}"#).0, 500);
        let cname = TXT.replace("TXT", "CNAME");
        assert_eq!(ask(world, Method::POST, &cname, r#"{"rrset_values":["a.example."]}"#).0, 409);
    }

    #[test]
    fn patch_adds_and_removes_single_values() {
        let world = &mut world();
        assert_eq!(ask(world, Method::PATCH, TXT, r#"{"add_rrset_values":["x"]}"#).0, 404);
        ask(world, Method::POST, TXT, r#"{"rrset_ttl":600,"rrset_values":["one"]}"#);
        let (status, now) = ask(world, Method::PATCH, TXT, r#"{"add_rrset_values":["two"]}"#);
        assert_eq!((status, &now["rrset_values"]), (200, &json!(["\"one\"", "\"two\""])));
        assert_eq!(now["rrset_ttl"], 600);
        ask(world, Method::PATCH, TXT, r#"{"remove_rrset_values":["one","two"]}"#);
        assert_eq!(ask(world, Method::GET, TXT, "").0, 404);
        world.behaviour.patch_offered = false;
        assert_eq!(ask(world, Method::PATCH, TXT, "{}").0, 405);
    }

    #[test]
    fn lists_come_in_pages() {
        let world = &mut world();
        for number in 0..3 {
            let path = TXT.replace("_a", &format!("n{number}"));
            ask(world, Method::POST, &path, r#"{"rrset_values":["x"]}"#);
        }
        let records = "/v5/livedns/domains/example.com/records";
        let count = |world: &mut World, query: &str| {
            ask(world, Method::GET, &format!("{records}{query}"), "").1.as_array().map(Vec::len)
        };
        assert_eq!(count(world, ""), Some(3));
        assert_eq!(count(world, "?page=2&per_page=2"), Some(1));
        assert_eq!(count(world, "?page=9"), Some(0));
        assert_eq!(ask(world, Method::GET, "/v5/livedns/domains", "").1.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn organisations_are_asked_for_and_refused() {
        let world = &mut world();
        let zone = "/v5/livedns/domains/example.com";
        let with = format!("{zone}?sharing_id=0a1b2c3d-0000-1111-2222-0123456789ab");
        world.behaviour.organisation = Organisation::Query;
        let (status, body) = ask(world, Method::GET, zone, "");
        assert_eq!((status, &body["cause"], &body["object"]), (404, &json!("Unknown"), &Value::Null));
        assert_eq!(ask(world, Method::GET, &with, "").0, 200);
        world.behaviour.organisation = Organisation::NotNeeded;
        assert_eq!(ask(world, Method::GET, &with, "").0, 200);
        world.behaviour.refuse_superfluous_organisation = true;
        assert_eq!(ask(world, Method::GET, &with, "").0, 403);
    }

    #[test]
    fn tokens_tell_about_themselves_and_are_renewed_near_their_end() {
        let world = &mut world();
        let renew = "/v5/organization/access-tokens";
        let (status, info) = ask_as(world, "Bearer limited", Method::GET, "/tokeninfo", "");
        assert_eq!((status, &info["entities"][0]["name"]), (200, &json!("example.org")));
        assert!(info["expires_in"].as_i64().unwrap() > 0);
        assert_eq!(ask(world, Method::POST, renew, "").0, 400);
        world.behaviour.renew_only_below = None;
        let (status, renewed) = ask(world, Method::POST, renew, "");
        assert_eq!(status, 201);
        let new = format!("Bearer {}", renewed["access_token"].as_str().unwrap());
        for both in [new.as_str(), "Bearer token"] {
            assert_eq!(ask_as(world, both, Method::GET, "/v5/livedns/domains/example.com", "").0, 200);
        }
        world.behaviour.token_info_down = true;
        assert_eq!(ask(world, Method::GET, "/tokeninfo", "").0, 503);
    }
}

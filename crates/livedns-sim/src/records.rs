//! Changes of rrsets: what is accepted, and what it does.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Request, record_href};
use crate::behaviour::{Behaviour, BesideCname, EmptyList, MissingRrset, Patch, Superfluous};
use crate::reply::Reply;
use crate::state::{Rrset, Zone, quoted, quoted_whole, unquoted};

const TTL: std::ops::RangeInclusive<u32> = 300..=2_592_000;
/// What a write without TTL gets, also where there was another one before.
const DEFAULT_TTL: u32 = 10_800;

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

/// An rrset as the API shows it.
pub(crate) fn view(apex: &str, name: &str, kind: &str, rrset: &Rrset, behaviour: &Behaviour) -> Value {
    let whole = |value: &String| if kind == "TXT" { quoted_whole(&unquoted(value)) } else { value.clone() };
    let values = if behaviour.split_long_values {
        rrset.values.clone()
    } else {
        rrset.values.iter().map(whole).collect()
    };
    json!({
        "rrset_name": name, "rrset_type": kind, "rrset_ttl": rrset.ttl, "rrset_values": values,
        "rrset_href": record_href(apex, name, kind),
    })
}

/// Carries out a write in a zone that the caller may write; `rest` is the path below the zone.
pub(crate) fn change(
    request: &Request,
    zone: &mut Zone,
    apex: &str,
    rest: &[&str],
    behaviour: &Behaviour,
) -> Result<Reply, Reply> {
    if request.method == Method::DELETE {
        let ["records", name, kind] = rest else { return Err(Reply::not_allowed()) };
        return Target { zone, apex, name, kind, behaviour }.delete();
    }
    if request.method == Method::PATCH {
        match behaviour.patch {
            Patch::Offered => {}
            Patch::BadRequest => {
                return Err(Reply::error(400, "HTTPBadRequest", "Bad Request", "The request is not valid."));
            }
            Patch::NotFound => return Err(Reply::not_found()),
            Patch::NotAllowed => return Err(Reply::not_allowed()),
            Patch::NotImplemented => {
                return Err(Reply::error(501, "HTTPNotImplemented", "Not Implemented", "Not implemented."));
            }
        }
    }
    let body = body(request, behaviour)?;
    let (name, kind) = match rest {
        ["records"] => (body.rrset_name.as_deref(), body.rrset_type.as_deref()),
        ["records", name] => (Some(*name), body.rrset_type.as_deref()),
        // The path beats the body.
        ["records", name, kind] => (Some(*name), Some(*kind)),
        _ => return Err(Reply::not_allowed()),
    };
    let required = |field| Reply::invalid(field, "Missing data for required field.");
    let name = name.ok_or_else(|| required("rrset_name"))?;
    let kind = kind.ok_or_else(|| required("rrset_type"))?;
    let mut target = Target { zone, apex, name, kind, behaviour };
    target.check_name()?;
    match request.method {
        Method::POST => target.create(&body),
        Method::PUT if rest.len() == 3 => target.replace(&body),
        Method::PATCH if rest.len() == 3 => target.patch(&body),
        _ => Err(Reply::not_allowed()),
    }
}

/// The rrset that is written.
struct Target<'a> {
    zone: &'a mut Zone,
    apex: &'a str,
    name: &'a str,
    kind: &'a str,
    behaviour: &'a Behaviour,
}

impl Target<'_> {
    fn there(&self) -> Option<&Rrset> {
        self.zone.get(self.name, self.kind)
    }

    fn set(&mut self, rrset: Option<Rrset>) {
        self.zone.set(self.name, self.kind, rrset);
    }

    fn check_name(&self) -> Result<(), Reply> {
        let name = self.name;
        if name.is_empty() || name.ends_with('.') || name.len() > 253 {
            return Err(Reply::invalid("rrset_name", "This is not a valid record name."));
        }
        if self.zone.name_in_other_case(name).is_some() {
            return Err(Reply::broken());
        }
        let mut others = self.zone.all().filter(|(key, _)| key.0 == name && key.1 != self.kind);
        if others.any(|(key, _)| key.1 == "CNAME" || self.kind == "CNAME") {
            let words = "A CNAME record can not coexist with other records of the same name";
            return Err(match self.behaviour.beside_cname {
                BesideCname::BadRequest => Reply::invalid("rrset_type", words),
                BesideCname::Conflict => Reply::error(409, "HTTPConflict", "Conflict", words),
                BesideCname::Unprocessable => {
                    Reply::error(422, "HTTPUnprocessableEntity", "Unprocessable Entity", words)
                }
            });
        }
        Ok(())
    }

    fn new_rrset(&self, body: &Body) -> Result<Rrset, Reply> {
        let given = body.rrset_values.as_deref();
        let given =
            given.ok_or_else(|| Reply::invalid("rrset_values", "Missing data for required field."))?;
        Ok(Rrset { ttl: ttl(body)?, values: self.values(given)? })
    }

    fn values(&self, given: &[String]) -> Result<Vec<String>, Reply> {
        let mut values = Vec::new();
        for value in given {
            if value.len() > 16_384 || !value.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
                return Err(Reply::invalid("rrset_values", "String does not match expected pattern."));
            }
            let value = if self.kind == "TXT" { quoted(value) } else { value.clone() };
            if values.contains(&value) && self.behaviour.refuse_duplicates {
                return Err(Reply::invalid("rrset_values", "Duplicate values."));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn create(&mut self, body: &Body) -> Result<Reply, Reply> {
        let rrset = self.new_rrset(body)?;
        if rrset.values.is_empty() {
            return Err(empty());
        }
        match self.there() {
            Some(there) if there.values == rrset.values => {
                Ok(Reply::json(200, &json!({"message": "A DNS Record already exists with same value"})))
            }
            Some(_) => {
                let words = format!("Record {} already exists", self.name);
                Err(Reply::error(409, "HTTPConflict", "Duplicate Entry", &words))
            }
            None => {
                self.set(Some(rrset));
                Ok(Reply::created(self.apex, self.name, self.kind))
            }
        }
    }

    fn replace(&mut self, body: &Body) -> Result<Reply, Reply> {
        let rrset = self.new_rrset(body)?;
        let kept = keep_or_drop(rrset, self.behaviour.put_empty)?;
        self.set(kept);
        Ok(Reply::created(self.apex, self.name, self.kind))
    }

    fn patch(&mut self, body: &Body) -> Result<Reply, Reply> {
        let behaviour = self.behaviour;
        let there = match (self.there(), behaviour.patch_missing) {
            (Some(rrset), _) => rrset.clone(),
            (None, MissingRrset::Accept) => Rrset { ttl: DEFAULT_TTL, values: Vec::new() },
            (None, MissingRrset::NotFound) => return Err(Reply::no_record(self.name, self.kind)),
        };
        let as_read = behaviour.patch_as_read || self.kind != "TXT";
        let same = |a: &str, b: &str| if as_read { a == b } else { unquoted(a) == unquoted(b) };
        let superfluous = |how: Superfluous, field: &str, words: &str| match how {
            Superfluous::Ignore => Ok(()),
            Superfluous::Refuse => Err(Reply::invalid(field, words)),
        };
        let mut list = there.values;
        for gone in &body.remove_rrset_values {
            let before = list.len();
            list.retain(|value| !same(gone, value));
            if list.len() == before {
                superfluous(behaviour.patch_absent, "remove_rrset_values", "The value does not exist.")?;
            }
        }
        for value in self.values(&body.add_rrset_values)? {
            if list.contains(&value) {
                superfluous(behaviour.patch_present, "add_rrset_values", "The value already exists.")?;
            } else {
                list.push(value);
            }
        }
        let ttl = if body.rrset_ttl.is_some() || behaviour.patch_resets_ttl { ttl(body)? } else { there.ttl };
        let rrset = Rrset { ttl, values: list };
        let shown = view(self.apex, self.name, self.kind, &rrset, behaviour);
        let kept = keep_or_drop(rrset, behaviour.patch_last)?;
        self.set(kept);
        Ok(Reply::json(200, &shown))
    }

    fn delete(&mut self) -> Result<Reply, Reply> {
        if self.zone.name_in_other_case(self.name).is_some() {
            return Err(Reply::broken());
        }
        if self.there().is_none() && self.behaviour.delete_missing == MissingRrset::NotFound {
            return Err(Reply::no_record(self.name, self.kind));
        }
        self.set(None);
        Ok(Reply { status: 204, headers: Vec::new(), body: String::new() })
    }
}

fn body(request: &Request, behaviour: &Behaviour) -> Result<Body, Reply> {
    let kind = request.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if behaviour.check_content_type && !kind.starts_with("application/json") {
        return Err(Reply::error(
            415,
            "HTTPUnsupportedMediaType",
            "Unsupported Media Type",
            "The content type of the request is not supported.",
        ));
    }
    serde_json::from_slice(&request.body).map_err(|error| Reply::invalid("body", &error.to_string()))
}

fn ttl(body: &Body) -> Result<u32, Reply> {
    let ttl = body.rrset_ttl.unwrap_or(DEFAULT_TTL);
    if TTL.contains(&ttl) {
        return Ok(ttl);
    }
    let words = "Value must be greater than or equal to 300 and lower than or equal to 2592000.";
    Err(Reply::invalid("rrset_ttl", words))
}

fn empty() -> Reply {
    Reply::invalid("rrset_values", "Shorter than minimum length 1.")
}

fn keep_or_drop(rrset: Rrset, how: EmptyList) -> Result<Option<Rrset>, Reply> {
    match how {
        _ if !rrset.values.is_empty() => Ok(Some(rrset)),
        EmptyList::Keep => Ok(Some(rrset)),
        EmptyList::Delete => Ok(None),
        EmptyList::Refuse => Err(empty()),
    }
}

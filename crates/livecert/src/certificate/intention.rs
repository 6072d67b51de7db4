//! What has to be done so that the store matches the certificates that are declared in a file. Nothing is changed here, and
//! nobody is asked.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::Value;

use super::proof_record::stored_arguments;
use super::publisher::Publisher;
use super::renew::RenewRequest;
use super::{CertificateError, IssueRequest, servers};
use crate::plugin::Arguments;
use crate::store::{CertName, CertificateRecord, Store};

/// A certificate that is written down in a file.
#[derive(Debug)]
pub struct Declared {
    /// Its name in the store, or the one that it has where the request names none.
    pub cert: CertName,
    /// What is declared, or what keeps it from being understood now, such as a file that is not there.
    pub request: Result<IssueRequest, Box<CertificateError>>,
}

/// What the store is to match.
#[derive(Debug)]
pub struct ApplyRequest {
    /// The file. Certificates that it declared once are those that it may archive.
    pub file: PathBuf,
    /// All certificates in it.
    pub declared: Vec<Declared>,
    /// Only these are looked at; all if there is none.
    pub only: Vec<CertName>,
    /// How many are worked on at a time. Those whose plugin works alone are not counted.
    pub parallel: NonZeroUsize,
}

impl ApplyRequest {
    /// The request to match `declared`, all of it.
    pub fn new(file: PathBuf, declared: Vec<Declared>) -> Self {
        ApplyRequest { file, declared, only: Vec::new(), parallel: RenewRequest::default().parallel }
    }
}

/// What has to be done with one certificate.
#[derive(Debug)]
#[non_exhaustive]
pub struct Intention {
    /// The certificate.
    pub cert: CertName,
    /// It is taken out of the archive first.
    pub from_archive: bool,
    /// What is done.
    pub step: Step,
    /// Why, in a few words each.
    pub why: Vec<String>,
}

/// What is done with a certificate.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// It is as declared.
    Keep,
    /// There is none: it is issued.
    Issue(Box<IssueRequest>),
    /// Another one is declared than the one that is there: it is issued anew.
    Reissue(Box<IssueRequest>),
    /// The certificate is as declared, and is to be kept in another way.
    Change(Box<IssueRequest>),
    /// It is not declared any more: it is moved out of the way.
    Archive,
    /// It cannot be done.
    Refuse(Box<CertificateError>),
}

/// What has to be done with each certificate, in the order of the names.
///
/// # Errors
/// [`CertificateError::NotDeclared`] for a name that the file has nothing to do with; the store cannot be read.
pub fn intentions(store: &Store, request: ApplyRequest) -> Result<Vec<Intention>, CertificateError> {
    let in_care = in_care(store, &request)?;
    let taken: BTreeSet<_> = request.declared.iter().map(|declared| declared.cert.clone()).collect();
    let mut all = Vec::new();
    let mut kept = BTreeSet::new();
    for Declared { cert, request } in request.declared {
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                kept.insert(cert.clone());
                all.push(Intention::new(cert, Step::Refuse(error)));
                continue;
            }
        };
        let cert =
            named_before(cert, &request, &in_care, |other| taken.contains(other) || kept.contains(other));
        kept.insert(cert.clone());
        all.push(match look(store, &cert, request) {
            Ok(intention) => intention,
            Err(error) => Intention::new(cert, Step::Refuse(Box::new(error))),
        });
    }
    for cert in in_care.into_iter().filter(|cert| !kept.contains(cert)) {
        let why = vec![format!("not in {} any more", request.file.display())];
        all.push(Intention { why, ..Intention::new(cert, Step::Archive) });
    }
    all.sort_by(|one, other| one.cert.cmp(&other.cert));
    for wanted in &request.only {
        if !all.iter().any(|one| one.cert == *wanted) {
            let names = all.iter().map(|one| one.cert.as_str());
            let similar = crate::plugin::similar(wanted.as_str(), names);
            let (cert, file) = (wanted.to_string(), request.file);
            return Err(CertificateError::NotDeclared { cert, file, similar });
        }
    }
    all.retain(|one| request.only.is_empty() || request.only.contains(&one.cert));
    Ok(all)
}

impl Intention {
    fn new(cert: CertName, step: Step) -> Self {
        Intention { cert, from_archive: false, step, why: Vec::new() }
    }

    /// Whether something is to be done.
    pub fn is_work(&self) -> bool {
        self.from_archive || !matches!(self.step, Step::Keep)
    }
}

/// The certificates of the store that are in the care of the file. What is damaged is in nobody's.
fn in_care(store: &Store, request: &ApplyRequest) -> Result<Vec<CertName>, CertificateError> {
    let ours = |cert: &CertName| {
        let record = store.find_record(cert).ok().flatten();
        record.and_then(|record| record.declared_in).is_some_and(|file| file == request.file)
    };
    Ok(store.cert_names()?.into_iter().filter(ours).collect())
}

/// The name that a certificate has: where it was not given one, that is the first of its names, and stays so when this one is
/// not the first any more.
fn named_before(
    cert: CertName,
    request: &IssueRequest,
    in_care: &[CertName],
    is_taken: impl Fn(&CertName) -> bool,
) -> CertName {
    if request.cert_name.is_some() || in_care.contains(&cert) {
        return cert;
    }
    let mut others = request.names.iter().map(CertName::from);
    others.find(|other| in_care.contains(other) && !is_taken(other)).unwrap_or(cert)
}

fn look(store: &Store, cert: &CertName, request: IssueRequest) -> Result<Intention, CertificateError> {
    let mut request = IssueRequest { cert_name: Some(cert.clone()), ..request };
    let mut intention = Intention::new(cert.clone(), Step::Keep);
    let mut stored = store.find_record(cert)?;
    let current = store.current(cert)?;
    if stored.is_none()
        && current.is_none()
        && let Some(archived) = store.archived_record(cert)?
    {
        (stored, intention.from_archive) = (Some(archived), true);
        intention.why.push("in the archive".to_owned());
    }
    let settings = servers::settings(store, &request, stored.as_ref())?;
    let Some(stored) = stored else {
        intention.why.push("not there yet".to_owned());
        intention.step = Step::Issue(Box::new(request));
        return Ok(intention);
    };
    let known = stored_arguments(&stored)?;
    let is_known = |publisher: &Publisher| {
        let unread = Arguments::unread(&publisher.arguments);
        unread.is_some_and(|unread| known.get(&publisher.name) == Some(unread.stored()))
    };
    let are_known = settings.proofs.publishers.iter().all(is_known);
    let mut wanted = settings.record(&known, &stored.output);
    wanted.names = names_in_order(&wanted, &stored);
    let mut why = differences(&stored, &wanted);
    if !are_known {
        why.push("plugin arguments".to_owned());
    }
    if !settings.output.is_stored(&stored.output) {
        why.push("files".to_owned());
    }
    let mut other = settings.changed;
    if let Some(own) = &request.own_request
        && !intention.from_archive
        && store.own_request(cert).map_or(true, |stored| stored != *own)
    {
        other = true;
        why.push("certificate request".to_owned());
    }
    match &current {
        Some(current) if !other && !settings.has_names_of(&current.info) => {
            other = true;
            why.push("the current generation has other names".to_owned());
        }
        None if !intention.from_archive => {
            other = true;
            why.push("no generation".to_owned());
        }
        _ => {}
    }
    let changed = !why.is_empty();
    intention.why.extend(why);
    intention.step = match (other, changed) {
        (true, _) => Step::Reissue(Box::new(request)),
        (false, true) => {
            // The order of the names is no matter.
            request.force = false;
            Step::Change(Box::new(request))
        }
        (false, false) => Step::Keep,
    };
    Ok(intention)
}

/// The names as they are stored, if they are the same in another order.
fn names_in_order(wanted: &CertificateRecord, stored: &CertificateRecord) -> Vec<String> {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    let same = sorted(&wanted.names) == sorted(&stored.names);
    if same { stored.names.clone() } else { wanted.names.clone() }
}

/// The settings that are others now, each by its name in the record.
fn differences(stored: &CertificateRecord, wanted: &CertificateRecord) -> Vec<String> {
    // A record is always JSON; if it were not, it would be stored anew, which does no harm.
    let value = |record: &CertificateRecord| serde_json::to_value(record).unwrap_or_default();
    let mut found = Vec::new();
    compare("", &value(stored), &value(wanted), &mut found);
    found
}

fn compare(path: &str, stored: &Value, wanted: &Value, found: &mut Vec<String>) {
    if stored == wanted {
        return;
    }
    if let (Some(before), Some(after)) = (object(stored), object(wanted)) {
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let part = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
            compare(&below, &part(&before), &part(&after), found);
        }
        return;
    }
    found.push(match (path, stored, wanted) {
        ("names", Value::Array(before), Value::Array(after)) => {
            let texts = |sign: char, from: &[Value], without: &[Value]| {
                let only = from.iter().filter(|name| !without.contains(name)).filter_map(Value::as_str);
                only.map(|name| format!("{sign}{name}")).collect::<Vec<_>>()
            };
            format!("names ({})", [texts('+', after, before), texts('-', before, after)].concat().join(", "))
        }
        ("declared_in", Value::Null, _) => "made by hand, and taken over".to_owned(),
        ("declared_in", ..) => "was declared in another file".to_owned(),
        ("server" | "key_type" | "profile", Value::String(before), Value::String(after)) => {
            format!("{} ({before} -> {after})", path.replace('_', " "))
        }
        _ => path.replace('_', " "),
    });
}

/// What can be looked into part by part: what is left out counts as nothing.
fn object(value: &Value) -> Option<serde_json::Map<String, Value>> {
    match value {
        Value::Object(parts) => Some(parts.clone()),
        Value::Null => Some(serde_json::Map::new()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "intention_tests.rs"]
mod tests;

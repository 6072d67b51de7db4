//! Validation (RFC 8555 §8): the server looks for itself, at the addresses it was given.

mod dns;
mod http;
mod persist;
#[cfg(test)]
mod tests;
mod tls_alpn;

use std::sync::Arc;

use ring::digest::{SHA256, digest};

use crate::api::{Started, World};
use crate::config::Targets;
use crate::jwk::encode;
use crate::problem::Problem;
use crate::server::Shared;
use crate::state::{Identifier, Status};

/// What has to be looked at.
#[derive(Debug)]
struct Task {
    kind: String,
    identifier: Identifier,
    wildcard: bool,
    token: String,
    /// Token and thumbprint (RFC 8555 §8.1).
    key_authorization: String,
    account_url: String,
    issuers: Vec<String>,
    targets: Targets,
}

fn task(world: &World, started: &Started) -> Result<Task, Problem> {
    let authorization = world.find_authorization(&started.authorization)?;
    let challenge = authorization.challenges.iter().find(|challenge| challenge.id == started.challenge);
    let challenge = challenge.ok_or_else(|| Problem::not_found("challenge"))?;
    let account = world.find_account(&authorization.account)?;
    let token = challenge.token.clone().unwrap_or_default();
    Ok(Task {
        kind: challenge.kind.clone(),
        identifier: authorization.identifier.clone(),
        wildcard: authorization.wildcard,
        key_authorization: format!("{token}.{}", account.thumbprint()),
        token,
        account_url: account.url.clone(),
        issuers: world.behaviour.persist_issuers.clone(),
        targets: world.targets,
    })
}

/// Makes a validation, and writes down how it ended.
pub(crate) async fn validate(shared: Arc<Shared>, started: Started) {
    let task = task(&shared.lock().world, &started);
    let result = match task {
        Ok(task) => look(&task).await,
        Err(problem) => Err(problem),
    };
    shared.lock().world.validated(&started, result);
}

/// Looks at dns-persist-01 for an order that has just been made, where that is the rule (§4.4 of the draft); gives
/// whether something has become valid. What does not is still pending.
pub(crate) async fn just_in_time(shared: &Shared, order: &str) -> bool {
    let mut found = false;
    let challenges = persistent(&shared.lock().world, order);
    for started in challenges {
        let task = task(&shared.lock().world, &started);
        let Ok(task) = task else { continue };
        if look(&task).await.is_ok() {
            shared.lock().world.validated(&started, Ok(()));
            found = true;
        }
    }
    found
}

/// The dns-persist-01 challenges of an order's pending authorizations, where they are looked at just in time.
fn persistent(world: &World, order: &str) -> Vec<Started> {
    let Ok(order) = world.find_order(order) else { return Vec::new() };
    if !world.behaviour.persist_just_in_time {
        return Vec::new();
    }
    let challenge = |id: &String| {
        let authorization = world.find_authorization(id).ok()?;
        let mut challenges = authorization.challenges.iter();
        let challenge = challenges.find(|challenge| challenge.kind == "dns-persist-01")?;
        let pending = authorization.status == Status::Pending;
        pending.then(|| Started { authorization: id.clone(), challenge: challenge.id.clone() })
    };
    order.authorizations.iter().filter_map(challenge).collect()
}

async fn look(task: &Task) -> Result<(), Problem> {
    let nowhere = |what: &str| Problem::new(400, "connection", format!("the server was told no {what}"));
    let dns = || task.targets.dns.ok_or_else(|| nowhere("DNS server"));
    let domain = &task.identifier.value;
    match task.kind.as_str() {
        "dns-01" => proof(dns()?, &format!("_acme-challenge.{domain}"), task).await,
        "dns-account-01" => {
            let label = account_label(&task.account_url);
            proof(dns()?, &format!("{label}._acme-challenge.{domain}"), task).await
        }
        "dns-persist-01" => persist::look(task, dns()?).await,
        "http-01" => http::look(task, task.targets.http.ok_or_else(|| nowhere("HTTP server"))?).await,
        "tls-alpn-01" => tls_alpn::look(task, task.targets.tls.ok_or_else(|| nowhere("TLS server"))?).await,
        other => Err(Problem::malformed(format!("{other} cannot be validated"))),
    }
}

/// The digest of the key authorization has to be one of the TXT values (RFC 8555 §8.4).
async fn proof(server: std::net::SocketAddr, name: &str, task: &Task) -> Result<(), Problem> {
    let expected = encode(digest(&SHA256, task.key_authorization.as_bytes()));
    let values = dns::txt(server, name).await?;
    if values.contains(&expected) {
        return Ok(());
    }
    let found = if values.is_empty() { "no TXT value".to_owned() } else { format!("{values:?}") };
    // RFC 8555 §8.4 leaves the type open; this is what CAs say.
    let kind = if values.is_empty() { "dns" } else { "unauthorized" };
    Err(Problem::new(403, kind, format!("{found} at {name}, which has to be {expected}")))
}

/// The label of dns-account-01 (draft-ietf-acme-dns-account-label-02 §3): the first ten bytes of the account URL's
/// SHA-256 in base32, lower case.
fn account_label(account_url: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = digest(&SHA256, account_url.as_bytes());
    let number = hash.as_ref()[..10].iter().fold(0_u128, |number, &byte| number << 8 | u128::from(byte));
    let letter = |place: u32| char::from(ALPHABET[(number >> (5 * (15 - place)) & 31) as usize]);
    std::iter::once('_').chain((0..16).map(letter)).collect()
}

//! The resources of RFC 8555, one file for each kind; this one leads a request to them.

mod account;
mod authenticate;
mod authorization;
mod certificate;
mod key_change;
mod message;
mod new_order;
mod order;
mod renewal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::authenticate::Signed;
use self::message::retry_after;
pub(crate) use self::message::{Outcome, Reply, Request, Started};
use crate::behaviour::Behaviour;
use crate::ca::Ca;
use crate::config::Targets;
use crate::jwk::encode;
use crate::problem::Problem;
use crate::state::{Account, Authorization, IssuedCertificate, Order};

/// Everything that the server knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) behaviour: Behaviour,
    pub(crate) ca: Ca,
    pub(crate) targets: Targets,
    pub(crate) external_accounts: BTreeMap<String, String>,
    pub(crate) nonces: HashSet<String>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) authorizations: Vec<Authorization>,
    pub(crate) orders: Vec<Order>,
    pub(crate) certificates: Vec<IssuedCertificate>,
}

fn fresh_id() -> String {
    encode((0..12).map(|_| fastrand::u8(..)).collect::<Vec<u8>>())
}

fn in_seconds(seconds: u32) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + i64::from(seconds)).unwrap_or(Timestamp::MAX)
}

/// The members that nobody knows, where the switch says so.
fn mix_in(unknown: bool, mut document: Value) -> Value {
    if unknown {
        document["x-acme-sim"] = json!({"nobody": ["knows", "this"]});
    }
    document
}

impl World {
    /// A nonce that has not been used.
    pub(crate) fn nonce(&mut self) -> String {
        let nonce = encode((0..16).map(|_| fastrand::u8(..)).collect::<Vec<u8>>());
        self.nonces.insert(nonce.clone());
        nonce
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, request: &Request) -> Outcome {
        let mut outcome = Outcome {
            reply: Reply::empty(200),
            kid: None,
            payload: Value::Null,
            started: None,
            ordered: None,
        };
        match self.route(request, &mut outcome) {
            Ok(reply) => outcome.reply = reply,
            Err(problem) => outcome.reply = Reply::problem(&problem),
        }
        // Let's Encrypt gives no nonce with GET, others do; RFC 8555 §6.5 wants it with each answer to a POST.
        let nonce = self.nonce();
        let directory = format!("<{}/directory>;rel=\"index\"", request.base);
        let reply = std::mem::replace(&mut outcome.reply, Reply::empty(500));
        outcome.reply =
            reply.header("replay-nonce", nonce).header("cache-control", "no-store").header("link", directory);
        outcome
    }

    fn route(&mut self, request: &Request, outcome: &mut Outcome) -> Result<Reply, Problem> {
        let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET, ["directory"]) => return Ok(Reply::json(200, &self.directory(&request.base))),
            (&Method::HEAD, ["nonce"]) => return Ok(Reply::empty(200)),
            (&Method::GET, ["nonce"]) => return Ok(Reply::empty(204)),
            (&Method::GET, ["renewal-info", id]) if self.behaviour.renewal_info => {
                return self.renewal_info(id);
            }
            (&Method::GET, ["agree", id]) => return self.agree(id),
            (&Method::POST, _) => {}
            _ => return Err(Problem::new(405, "malformed", "this resource has no such method")),
        }
        let signed = self.authenticate(request, &segments, outcome)?;
        match segments.as_slice() {
            ["account"] => self.new_account(request, &signed),
            ["account", id] => self.account(request, id, &signed),
            ["account", id, "orders"] => self.account_orders(request, id, &signed),
            ["key-change"] => self.key_change(request, &signed),
            ["order"] => {
                let (reply, id) = self.new_order(request, &signed)?;
                outcome.ordered = Some(id);
                Ok(reply)
            }
            ["order", id] => self.order(request, id, &signed),
            ["order", id, "finalize"] => self.finalize(request, id, &signed),
            ["authorization"] if self.behaviour.new_authz => self.new_authorization(request, &signed),
            ["authorization", id] => self.authorization(request, id, &signed),
            ["challenge", authorization, id] => {
                let (reply, started) = self.challenge(request, authorization, id, &signed)?;
                outcome.started = started;
                Ok(reply)
            }
            ["certificate", id] => self.certificate(request, id, 0, &signed),
            ["certificate", id, chain] => {
                let chain = chain.parse().map_err(|_| Problem::not_found("chain"))?;
                self.certificate(request, id, chain, &signed)
            }
            ["revoke"] => self.revoke(&signed),
            _ => Err(Problem::not_found("resource")),
        }
    }

    /// RFC 8555 §7.1.1.
    fn directory(&self, base: &str) -> Value {
        let behaviour = &self.behaviour;
        let mut directory = json!({
            "newNonce": format!("{base}/nonce"),
            "newAccount": format!("{base}/account"),
            "newOrder": format!("{base}/order"),
            "revokeCert": format!("{base}/revoke"),
            "keyChange": format!("{base}/key-change"),
            "meta": {"externalAccountRequired": behaviour.external_account_required},
        });
        if behaviour.new_authz {
            directory["newAuthz"] = format!("{base}/authorization").into();
        }
        if behaviour.renewal_info {
            directory["renewalInfo"] = format!("{base}/renewal-info").into();
        }
        let meta = &mut directory["meta"];
        if let Some(terms) = &behaviour.terms {
            meta["termsOfService"] = terms.as_str().into();
        }
        if let Some(website) = &behaviour.website {
            meta["website"] = website.as_str().into();
        }
        if !behaviour.caa_identities.is_empty() {
            meta["caaIdentities"] = json!(behaviour.caa_identities);
        }
        if !behaviour.profiles.is_empty() {
            let about =
                |(name, profile): (&String, &crate::Profile)| (name.clone(), profile.description.clone());
            meta["profiles"] = json!(behaviour.profiles.iter().map(about).collect::<BTreeMap<_, _>>());
        }
        mix_in(behaviour.unknown_things, directory)
    }
}

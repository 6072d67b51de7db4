//! newOrder (RFC 8555 §7.4): what an order may ask for, with profiles and replacements (RFC 9773 §5).

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Reply, Request, Signed, World, fresh_id, in_seconds, retry_after};
use crate::behaviour::NewOrder;
use crate::problem::Problem;
use crate::state::{Identifier, Order, Status};

/// Seconds until an order is over.
const ORDER_LIFE: u32 = 7 * 86_400;

impl World {
    /// Makes an order; gives its id as well.
    pub(super) fn new_order(
        &mut self,
        request: &Request,
        signed: &Signed,
    ) -> Result<(Reply, String), Problem> {
        let account = signed.account()?.to_owned();
        self.check_terms(request, &account)?;
        let identifiers = identifiers(&signed.payload)?;
        self.admit(request, &identifiers)?;
        let profile = self.profile(&signed.payload)?;
        let replaces = self.replaces(&signed.payload, &account, &identifiers)?;
        let (not_before, not_after) =
            (date(&signed.payload, "notBefore")?, date(&signed.payload, "notAfter")?);
        if self.behaviour.refuse_dates && not_before.or(not_after).is_some() {
            return Err(Problem::malformed("notBefore and notAfter are not supported"));
        }
        let authorizations = identifiers
            .iter()
            .map(|identifier| self.authorization_for(&account, identifier))
            .collect::<Result<_, _>>()?;
        let order = Order {
            id: fresh_id(),
            account,
            status: Status::Pending,
            identifiers,
            authorizations,
            expires: in_seconds(ORDER_LIFE),
            profile,
            replaces,
            not_before,
            not_after,
            certificate: None,
            error: None,
            csr: None,
            looks: None,
        };
        let id = order.id.clone();
        self.orders.push(order);
        self.refresh_orders();
        let order = self.find_order(&id)?;
        let location = format!("{}/order/{id}", request.base);
        Ok((Reply::json(201, &self.show_order(request, order)).header("location", location), id))
    }

    /// What keeps an order from being made at all.
    fn admit(&self, request: &Request, identifiers: &[Identifier]) -> Result<(), Problem> {
        let names: Vec<&str> = identifiers.iter().map(|identifier| identifier.value.as_str()).collect();
        match self.behaviour.new_order {
            NewOrder::Accept => {}
            NewOrder::RateLimited => {
                let detail = "too many certificates already issued for these names";
                let mut problem = Problem::new(429, "rateLimited", detail)
                    .header("link", "<https://acme-sim.example/rate-limits>;rel=\"help\"");
                problem.headers.extend(retry_after(self.behaviour.rate_limit_retry_after));
                return Err(problem);
            }
            NewOrder::Paused => {
                let detail = format!(
                    "Your account is temporarily prevented from requesting certificates for {} and possibly \
                     others. Please visit: {}/sfe/v1/unpause?jwt=header.payload.signature",
                    names.join(", "),
                    request.base
                );
                return Err(Problem::new(429, "rateLimited", detail));
            }
            NewOrder::ServerInternal => {
                return Err(Problem::new(500, "serverInternal", "the order could not be made"));
            }
        }
        let rejected: Vec<Value> = identifiers
            .iter()
            .filter(|identifier| self.behaviour.rejected.contains(&identifier.value))
            .map(|identifier| {
                json!({
                    "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                    "detail": "this CA does not issue for this name",
                    "identifier": identifier,
                })
            })
            .collect();
        if rejected.is_empty() {
            return Ok(());
        }
        Err(Problem::new(403, "rejectedIdentifier", "some names are rejected").with("subproblems", rejected))
    }

    fn profile(&self, payload: &Value) -> Result<Option<String>, Problem> {
        let Some(profile) = payload.get("profile") else { return Ok(None) };
        match profile.as_str().filter(|name| self.behaviour.profiles.contains_key(*name)) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(Problem::new(400, "invalidProfile", format!("there is no profile {profile}"))),
        }
    }

    fn replaces(
        &self,
        payload: &Value,
        account: &str,
        identifiers: &[Identifier],
    ) -> Result<Option<String>, Problem> {
        let Some(id) = payload.get("replaces") else { return Ok(None) };
        if !self.behaviour.renewal_info {
            return Err(Problem::malformed("replaces is not known here"));
        }
        let old =
            self.certificates.iter().find(|certificate| Some(certificate.renewal_id.as_str()) == id.as_str());
        let old = old.ok_or_else(|| Problem::not_found("certificate that could be replaced"))?;
        if old.account != account {
            return Err(Problem::unauthorized("the certificate to be replaced is another account's"));
        }
        if !old.identifiers.iter().any(|identifier| identifiers.contains(identifier)) {
            return Err(Problem::malformed(
                "the certificate to be replaced has no name in common with the order",
            ));
        }
        if old.replaced_by.is_some() {
            return Err(Problem::new(409, "alreadyReplaced", "the certificate has been replaced already"));
        }
        Ok(Some(old.renewal_id.clone()))
    }
}

fn date(payload: &Value, name: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(value) = payload.get(name) else { return Ok(None) };
    let date = value.as_str().and_then(|text| text.parse().ok());
    date.map(Some).ok_or_else(|| Problem::malformed(format!("{name} is not a time as in RFC 3339")))
}

/// The identifiers of an order: each one valid, none twice.
fn identifiers(payload: &Value) -> Result<Vec<Identifier>, Problem> {
    let list = payload.get("identifiers").cloned().unwrap_or_default();
    let list: Vec<Identifier> = serde_json::from_value(list)
        .map_err(|_| Problem::malformed("identifiers are not a list of types and values"))?;
    if list.is_empty() {
        return Err(Problem::malformed("there are no identifiers"));
    }
    let mut identifiers = Vec::new();
    for identifier in list {
        check_identifier(&identifier)?;
        if identifiers.contains(&identifier) {
            return Err(Problem::malformed(format!("'{}' is there twice", identifier.value)));
        }
        identifiers.push(identifier);
    }
    Ok(identifiers)
}

pub(super) fn check_identifier(identifier: &Identifier) -> Result<(), Problem> {
    let value = identifier.value.as_str();
    let good = match identifier.kind.as_str() {
        "dns" => is_dns_name(value.strip_prefix("*.").unwrap_or(value)),
        // RFC 8738 §3: the textual form of RFC 5952, which is the one that Rust prints.
        "ip" => value.parse::<IpAddr>().is_ok_and(|address| address.to_string() == value),
        other => {
            let detail = format!("identifiers of type '{other}' are not supported");
            return Err(Problem::new(400, "unsupportedIdentifier", detail));
        }
    };
    if good { Ok(()) } else { Err(Problem::malformed(format!("'{value}' is not an identifier"))) }
}

/// A fully qualified name as a certificate has it: lower case, A-labels, no trailing dot, at least two labels.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(label)
        // What ends in a number is an address, not a name.
        && name.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()))
}

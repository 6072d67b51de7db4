//! Orders on their way to a certificate (RFC 8555 §7.4).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Reply, Request, Signed, World, fresh_id, in_seconds, mix_in};
use crate::behaviour::{Finalize, RetryAfter, WrongCertificate};
use crate::ca::Wish;
use crate::csr;
use crate::jwk::decode;
use crate::problem::Problem;
use crate::state::{IssuedCertificate, Order, Status};

impl World {
    pub(crate) fn find_order(&self, id: &str) -> Result<&Order, Problem> {
        self.orders.iter().find(|order| order.id == id).ok_or_else(|| Problem::not_found("order"))
    }

    fn find_order_mut(&mut self, id: &str) -> Result<&mut Order, Problem> {
        self.orders.iter_mut().find(|order| order.id == id).ok_or_else(|| Problem::not_found("order"))
    }

    fn own_order(&self, id: &str, signed: &Signed) -> Result<&Order, Problem> {
        let order = self.find_order(id)?;
        if order.account == signed.account()? {
            Ok(order)
        } else {
            Err(Problem::unauthorized("this is another account's order"))
        }
    }

    pub(super) fn order(&mut self, request: &Request, id: &str, signed: &Signed) -> Result<Reply, Problem> {
        signed.as_get()?;
        self.own_order(id, signed)?;
        let order = self.orders.iter_mut().find(|order| order.id == id && order.status == Status::Processing);
        match order.and_then(|order| order.looks.as_mut()) {
            Some(0) => self.issue(id)?,
            Some(looks) => *looks -= 1,
            None => {}
        }
        let order = self.find_order(id)?;
        let reply = Reply::json(200, &self.show_order(request, order));
        let again = matches!(order.status, Status::Processing | Status::Pending);
        Ok(reply.retry_after(if again { self.behaviour.retry_after } else { RetryAfter::None }))
    }

    pub(crate) fn show_order(&self, request: &Request, order: &Order) -> Value {
        let url = |kind: &str, id: &str| format!("{}/{kind}/{id}", request.base);
        let authorizations: Vec<String> =
            order.authorizations.iter().map(|id| url("authorization", id)).collect();
        let mut document = json!({
            "status": order.status,
            "identifiers": order.identifiers,
            "authorizations": authorizations,
            "finalize": format!("{}/finalize", url("order", &order.id)),
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                document[name] = value;
            }
        };
        set("expires", (!self.behaviour.missing_expires).then(|| json!(order.expires)));
        set("profile", order.profile.clone().map(Value::from));
        set("replaces", order.replaces.clone().map(Value::from));
        set("notBefore", order.not_before.map(|at| json!(at)));
        set("notAfter", order.not_after.map(|at| json!(at)));
        set("error", order.error.clone());
        set("certificate", order.certificate.as_deref().map(|id| url("certificate", id).into()));
        mix_in(self.behaviour.unknown_things, document)
    }

    /// Brings orders into the state that follows from their authorizations (RFC 8555 §7.1.6).
    pub(crate) fn refresh_orders(&mut self) {
        for order in self.orders.iter_mut().filter(|order| order.status == Status::Pending) {
            let status = |id: &String| {
                let found = self.authorizations.iter().find(|authorization| authorization.id == *id);
                found.map_or(Status::Invalid, |authorization| authorization.status)
            };
            let states: Vec<Status> = order.authorizations.iter().map(status).collect();
            if states.iter().all(|state| *state == Status::Valid) {
                order.status = Status::Ready;
            } else if states.iter().any(|state| matches!(state, Status::Invalid | Status::Deactivated)) {
                order.status = Status::Invalid;
                let problem = Problem::unauthorized("an authorization of the order is invalid");
                order.error = Some(problem.document());
            }
        }
    }

    pub(super) fn finalize(
        &mut self,
        request: &Request,
        id: &str,
        signed: &Signed,
    ) -> Result<Reply, Problem> {
        let order = self.own_order(id, signed)?;
        if order.status != Status::Ready {
            return Err(Problem::new(403, "orderNotReady", "the order is not ready to be finalized"));
        }
        let csr = signed.payload.get("csr").and_then(Value::as_str).and_then(decode);
        let csr = csr.ok_or_else(|| Problem::malformed("there is no csr in base64url without padding"))?;
        csr::check(&csr, &order.identifiers, &signed.key)?;
        let finalize = self.behaviour.finalize.clone();
        let order = self.find_order_mut(id)?;
        order.csr = Some(csr);
        order.status = Status::Processing;
        match &finalize {
            Finalize::Processing(looks) => order.looks = Some(*looks),
            Finalize::Fails(kind) => {
                order.status = Status::Invalid;
                order.error = Some(Problem::new(500, kind, "the certificate was not issued").document());
            }
            Finalize::AtOnce | Finalize::Held => {}
        }
        if finalize == Finalize::AtOnce {
            self.issue(id)?;
        }
        let order = self.find_order(id)?;
        let reply = Reply::json(200, &self.show_order(request, order));
        let reply = reply.header("location", format!("{}/order/{id}", request.base));
        let again = order.status == Status::Processing;
        Ok(reply.retry_after(if again { self.behaviour.retry_after } else { RetryAfter::None }))
    }

    /// Issues the certificate of an order that is `processing`.
    pub(crate) fn issue(&mut self, id: &str) -> Result<(), Problem> {
        let failed = |error: rcgen::Error| Problem::new(500, "serverInternal", error.to_string());
        let order = self.find_order(id)?;
        let account = self.find_account(&order.account)?;
        let key = csr::check(order.csr.as_deref().unwrap_or_default(), &order.identifiers, &account.key)?;
        let profile = order.profile.as_ref().and_then(|name| self.behaviour.profiles.get(name));
        let validity = profile.and_then(|profile| profile.validity).unwrap_or(self.behaviour.validity);
        let begin = Timestamp::now().as_second() - i64::from(self.behaviour.backdate);
        let not_before = order.not_before.or(Timestamp::from_second(begin).ok()).unwrap_or_default();
        let not_after = order.not_after.unwrap_or_else(|| in_seconds(validity));
        let wrong = self.behaviour.wrong_certificate;
        let names = match order.identifiers.split_last() {
            Some((_, rest)) if wrong == Some(WrongCertificate::MissingName) => rest,
            _ => &order.identifiers,
        };
        let wish = Wish { identifiers: names, not_before, not_after };
        let signed = if wrong == Some(WrongCertificate::OtherKey) {
            self.ca.sign(&wish, &rcgen::KeyPair::generate().map_err(failed)?)
        } else {
            self.ca.sign(&wish, &key)
        };
        let signed = signed.map_err(failed)?;
        let certificate = IssuedCertificate {
            id: fresh_id(),
            account: order.account.clone(),
            order: order.id.clone(),
            identifiers: order.identifiers.clone(),
            der: signed.der,
            renewal_id: signed.renewal_id,
            not_before,
            not_after,
            revoked: None,
            replaced_by: None,
            window: None,
        };
        let replaced = order.replaces.clone();
        let order = self.find_order_mut(id)?;
        order.status = Status::Valid;
        order.certificate = Some(certificate.id.clone());
        order.looks = None;
        if let Some(old) = self.certificates.iter_mut().find(|old| Some(&old.renewal_id) == replaced.as_ref())
        {
            old.replaced_by = Some(id.to_owned());
        }
        self.certificates.push(certificate);
        Ok(())
    }
}

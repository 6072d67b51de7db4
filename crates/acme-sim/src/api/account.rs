//! Accounts (RFC 8555 §7.3).

use serde_json::{Value, json};

use super::{Reply, Request, Signed, World, fresh_id, mix_in};
use crate::behaviour::Contacts;
use crate::jwk::decode;
use crate::jws::Jws;
use crate::problem::Problem;
use crate::state::{Account, Status};

/// Orders on one page of an account's list.
const PAGE: usize = 10;

impl World {
    pub(super) fn new_account(&mut self, request: &Request, signed: &Signed) -> Result<Reply, Problem> {
        if let Some(known) = self.accounts.iter().find(|account| account.key == signed.key) {
            if known.status != Status::Valid {
                return Err(Problem::unauthorized("the account with this key is deactivated"));
            }
            let location = self.account_url(request, known);
            return Ok(Reply::json(200, &self.show_account(request, known)).header("location", location));
        }
        if flag(&signed.payload, "onlyReturnExisting") {
            return Err(Problem::new(400, "accountDoesNotExist", "there is no account with this key"));
        }
        let agreed = flag(&signed.payload, "termsOfServiceAgreed");
        if let Some(terms) = &self.behaviour.terms
            && !agreed
        {
            return Err(Problem::new(403, "userActionRequired", "the terms of service are not agreed to")
                .with("instance", terms.as_str())
                .header("link", format!("<{terms}>;rel=\"terms-of-service\"")));
        }
        let contact = self.contacts(&signed.payload)?.unwrap_or_default();
        let external_account = self.external_account(request, signed)?;
        let id = fresh_id();
        let account = Account {
            url: format!("{}/account/{id}", request.base),
            id,
            status: Status::Valid,
            contact,
            agreed: self.behaviour.terms.clone().filter(|_| agreed),
            external_account,
            binding: signed.payload.get("externalAccountBinding").cloned(),
            key: signed.key.clone(),
        };
        let reply = Reply::json(201, &self.show_account(request, &account)).header("location", &account.url);
        self.accounts.push(account);
        Ok(reply)
    }

    fn external_account(&self, request: &Request, signed: &Signed) -> Result<Option<String>, Problem> {
        let Some(binding) = signed.payload.get("externalAccountBinding") else {
            if self.behaviour.external_account_required {
                let detail = "accounts here are bound to external accounts";
                return Err(Problem::new(403, "externalAccountRequired", detail));
            }
            return Ok(None);
        };
        let find = |kid: &str| self.external_accounts.get(kid).and_then(|key| decode(key));
        Jws::read(binding)?.verify_binding(&signed.key, &request.url(), find).map(Some)
    }

    fn contacts(&self, payload: &Value) -> Result<Option<Vec<String>>, Problem> {
        let Some(contacts) = payload.get("contact") else { return Ok(None) };
        let contacts: Vec<String> = serde_json::from_value(contacts.clone())
            .map_err(|_| Problem::malformed("contact is not a list of URLs"))?;
        let refuse = |kind: &str, contact: &str| {
            Err(Problem::new(400, kind, format!("the contact '{contact}' is not taken")))
        };
        for contact in &contacts {
            match (self.behaviour.contacts, contact.strip_prefix("mailto:")) {
                (Contacts::Unsupported, _) | (_, None) => return refuse("unsupportedContact", contact),
                (Contacts::Invalid, _) => return refuse("invalidContact", contact),
                // RFC 8555 §7.3: one address, no header fields.
                (_, Some(address)) if !address.contains('@') || address.contains(['?', ',']) => {
                    return refuse("invalidContact", contact);
                }
                _ => {}
            }
        }
        Ok(Some(if self.behaviour.contacts == Contacts::Ignore { Vec::new() } else { contacts }))
    }

    pub(super) fn account(&mut self, request: &Request, id: &str, signed: &Signed) -> Result<Reply, Problem> {
        if signed.account()? != id {
            return Err(Problem::unauthorized("this is another account"));
        }
        if signed.payload.is_null() && self.behaviour.refuse_account_lookup {
            return Err(Problem::new(405, "malformed", "accounts cannot be looked at here"));
        }
        let contacts = self.contacts(&signed.payload)?;
        let terms = self.behaviour.terms.clone().filter(|_| flag(&signed.payload, "termsOfServiceAgreed"));
        let status = signed.payload.get("status");
        if status.is_some_and(|status| status != "deactivated") {
            return Err(Problem::malformed("the status of an account can be set to deactivated only"));
        }
        let account = self.find_account_mut(id)?;
        if let Some(contacts) = contacts {
            account.contact = contacts;
        }
        if terms.is_some() {
            account.agreed = terms;
        }
        if status.is_some() {
            account.status = Status::Deactivated;
        }
        let account = account.clone();
        Ok(Reply::json(200, &self.show_account(request, &account)))
    }

    fn account_url(&self, request: &Request, account: &Account) -> String {
        // Seen through another front, it has another URL; otherwise it is the one that was told first.
        if account.url.starts_with(&format!("{}/", request.base)) {
            account.url.clone()
        } else {
            format!("{}/account/{}", request.base, account.id)
        }
    }

    fn show_account(&self, request: &Request, account: &Account) -> Value {
        let mut document = json!({
            "status": account.status,
            "orders": format!("{}/account/{}/orders", request.base, account.id),
        });
        if !account.contact.is_empty() {
            document["contact"] = json!(account.contact);
        }
        if account.agreed.is_some() {
            document["termsOfServiceAgreed"] = true.into();
        }
        if let Some(binding) = &account.binding {
            document["externalAccountBinding"] = binding.clone();
        }
        mix_in(self.behaviour.unknown_things, document)
    }

    /// The page that `userActionRequired` names: whoever visits it agrees to the terms in force.
    pub(super) fn agree(&mut self, id: &str) -> Result<Reply, Problem> {
        let terms = self.behaviour.terms.clone();
        let account = self.find_account_mut(id)?;
        account.agreed = terms;
        Ok(Reply::json(200, &json!({"agreed": account.agreed})))
    }

    /// RFC 8555 §7.1.2.1.
    pub(super) fn account_orders(
        &self,
        request: &Request,
        id: &str,
        signed: &Signed,
    ) -> Result<Reply, Problem> {
        signed.as_get()?;
        if signed.account()? != id {
            return Err(Problem::unauthorized("these are the orders of another account"));
        }
        let cursor = request.query.as_deref().and_then(|query| query.strip_prefix("cursor="));
        let from: usize = cursor.unwrap_or("0").parse().map_err(|_| Problem::not_found("page"))?;
        let all: Vec<String> = self
            .orders
            .iter()
            .filter(|order| order.account == id && order.status != Status::Invalid)
            .map(|order| format!("{}/order/{}", request.base, order.id))
            .collect();
        let page: Vec<&String> = all.iter().skip(from).take(PAGE).collect();
        let mut reply = Reply::json(200, &json!({"orders": page}));
        if all.len() > from + PAGE {
            let next = format!("<{}{}?cursor={}>;rel=\"next\"", request.base, request.path, from + PAGE);
            reply = reply.header("link", next);
        }
        Ok(reply)
    }
}

fn flag(payload: &Value, name: &str) -> bool {
    payload.get(name).and_then(Value::as_bool).unwrap_or_default()
}

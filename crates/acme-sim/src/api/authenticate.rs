//! Who asks, and whether it may (RFC 8555 §6.2 to §6.5).

use serde_json::Value;

use super::{Outcome, Request, World};
use crate::jwk::PublicKey;
use crate::jws::{Jws, Signer};
use crate::problem::Problem;
use crate::state::{Account, Status};

/// A request whose signature has been checked.
pub(super) struct Signed {
    /// The account's id; none where a key came with the request.
    pub(super) account: Option<String>,
    pub(super) key: PublicKey,
    /// Null for POST-as-GET.
    pub(super) payload: Value,
}

impl Signed {
    /// The account's id; requests by key only are for newAccount and revokeCert.
    pub(super) fn account(&self) -> Result<&str, Problem> {
        self.account
            .as_deref()
            .ok_or_else(|| Problem::malformed("this request has to name its account (kid)"))
    }

    /// That there is no payload (RFC 8555 §6.3).
    pub(super) fn as_get(&self) -> Result<(), Problem> {
        if self.payload.is_null() {
            return Ok(());
        }
        Err(Problem::malformed("this is asked for with POST-as-GET, that is without payload"))
    }
}

impl World {
    /// RFC 8555 §6.2 to §6.5, in the order in which a mistake tells most.
    pub(super) fn authenticate(
        &mut self,
        request: &Request,
        segments: &[&str],
        outcome: &mut Outcome,
    ) -> Result<Signed, Problem> {
        let content_type = request.headers.get("content-type").and_then(|value| value.to_str().ok());
        if content_type != Some("application/jose+json") {
            return Err(Problem::new(415, "malformed", "the content type has to be application/jose+json"));
        }
        let jws = Jws::from_slice(&request.body)?;
        if !jws.payload.is_empty() {
            outcome.payload = serde_json::from_slice(&jws.payload).unwrap_or_default();
        }
        jws.algorithm()?;
        let signer = jws.signer()?;
        if let Signer::Account(kid) = &signer {
            outcome.kid = Some(kid.clone());
        }
        let (account, key) = match signer {
            Signer::Key(key) if matches!(segments, ["account"] | ["revoke"]) => (None, key),
            Signer::Account(_) if segments == ["account"] => {
                return Err(Problem::malformed("newAccount needs jwk, not kid"));
            }
            Signer::Key(_) => return Err(Problem::malformed("this request has to name its account (kid)")),
            Signer::Account(kid) => {
                let account = self.account_of(&kid, &request.base)?;
                (Some(account.id.clone()), account.key.clone())
            }
        };
        jws.verify(&key)?;
        jws.check_url(&request.url())?;
        let unknown = !self.nonces.remove(jws.nonce()?);
        if unknown || fastrand::u8(..100) < self.behaviour.nonce_reject {
            return Err(Problem::new(400, "badNonce", "the nonce is not one that may be used"));
        }
        if let Some(id) = &account
            && self.find_account(id)?.status != Status::Valid
        {
            return Err(Problem::unauthorized("the account is deactivated"));
        }
        let payload = match &outcome.payload {
            _ if jws.payload.is_empty() => Value::Null,
            // A nested JWS is an object as well.
            object @ Value::Object(_) => object.clone(),
            _ => return Err(Problem::malformed("the payload is not a JSON object")),
        };
        Ok(Signed { account, key, payload })
    }

    pub(super) fn account_of(&self, kid: &str, base: &str) -> Result<&Account, Problem> {
        let known =
            |account: &&Account| kid == account.url || kid == format!("{base}/account/{}", account.id);
        self.accounts
            .iter()
            .find(known)
            .ok_or_else(|| Problem::new(400, "accountDoesNotExist", format!("there is no account {kid}")))
    }

    pub(crate) fn find_account(&self, id: &str) -> Result<&Account, Problem> {
        self.accounts.iter().find(|account| account.id == id).ok_or_else(|| Problem::not_found("account"))
    }

    pub(super) fn find_account_mut(&mut self, id: &str) -> Result<&mut Account, Problem> {
        self.accounts.iter_mut().find(|account| account.id == id).ok_or_else(|| Problem::not_found("account"))
    }

    /// RFC 8555 §7.3.3: terms that are not the ones that were agreed to.
    pub(super) fn check_terms(&self, request: &Request, account: &str) -> Result<(), Problem> {
        let account = self.find_account(account)?;
        match &self.behaviour.terms {
            Some(terms) if account.agreed.as_ref() != Some(terms) => {
                Err(Problem::new(403, "userActionRequired", "the terms of service have changed")
                    .with("instance", format!("{}/agree/{}", request.base, account.id))
                    .header("link", format!("<{terms}>;rel=\"terms-of-service\"")))
            }
            _ => Ok(()),
        }
    }
}

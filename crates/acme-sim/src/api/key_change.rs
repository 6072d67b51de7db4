//! Change of account keys (RFC 8555 §7.3.5).

use super::{Reply, Request, Signed, World};
use crate::jwk::PublicKey;
use crate::jws::{Jws, Signer};
use crate::problem::Problem;

impl World {
    pub(super) fn key_change(&mut self, request: &Request, signed: &Signed) -> Result<Reply, Problem> {
        let id = signed.account()?;
        let inner = Jws::read(&signed.payload)?;
        let Signer::Key(key) = inner.signer()? else {
            return Err(Problem::malformed("the inner JWS needs jwk, not kid"));
        };
        inner.verify(&key)?;
        inner.check_url(&request.url())?;
        if inner.has("nonce") {
            return Err(Problem::malformed("the inner JWS must not have a nonce"));
        }
        let change: serde_json::Value = serde_json::from_slice(&inner.payload)
            .map_err(|_| Problem::malformed("the inner payload is not JSON"))?;
        let named = change.get("account").and_then(|account| account.as_str()).unwrap_or_default();
        if self.account_of(named, &request.base)?.id != id {
            return Err(Problem::malformed("the inner JWS is for another account"));
        }
        let old = PublicKey::from_jwk(&change["oldKey"])?;
        if old != signed.key {
            return Err(Problem::malformed("oldKey is not the account's key"));
        }
        if let Some(owner) = self.accounts.iter().find(|account| account.key == key) {
            let location = format!("{}/account/{}", request.base, owner.id);
            let problem = Problem::new(409, "malformed", "this key is that of an account already");
            return Err(problem.header("location", location));
        }
        self.find_account_mut(id)?.key = key;
        Ok(Reply::empty(200))
    }
}

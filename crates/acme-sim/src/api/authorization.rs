//! Authorizations and their challenges (RFC 8555 §7.4.1, §7.5).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::new_order::check_identifier;
use super::{Reply, Request, Signed, Started, World, fresh_id, in_seconds, mix_in};
use crate::behaviour::RetryAfter;
use crate::problem::Problem;
use crate::state::{Authorization, Challenge, Identifier, Status};

/// Seconds until an authorization is over.
const AUTHORIZATION_LIFE: u32 = 30 * 86_400;

impl World {
    /// RFC 8555 §7.4.1.
    pub(super) fn new_authorization(&mut self, request: &Request, signed: &Signed) -> Result<Reply, Problem> {
        let account = signed.account()?;
        self.check_terms(request, account)?;
        let identifier = signed.payload.get("identifier").cloned().unwrap_or_default();
        let identifier: Identifier =
            serde_json::from_value(identifier).map_err(|_| Problem::malformed("there is no identifier"))?;
        check_identifier(&identifier)?;
        if identifier.value.starts_with("*.") {
            return Err(Problem::malformed("there is no pre-authorization for wildcards"));
        }
        let id = self.authorization_for(account, &identifier)?;
        let reply = Reply::json(201, &self.show_authorization(request, self.find_authorization(&id)?));
        Ok(reply.header("location", format!("{}/authorization/{id}", request.base)))
    }

    /// The id of an authorization for this identifier: an old one where that is the rule, or a new one.
    pub(super) fn authorization_for(
        &mut self,
        account: &str,
        identifier: &Identifier,
    ) -> Result<String, Problem> {
        let wildcard = identifier.value.starts_with("*.");
        let value = identifier.value.strip_prefix("*.").unwrap_or(&identifier.value).to_owned();
        let identifier = Identifier { kind: identifier.kind.clone(), value };
        let usable = |known: &&Authorization| {
            // What was authorized beforehand is there to be used.
            let reuse = self.behaviour.authz_reuse || self.behaviour.new_authz;
            reuse
                && known.account == account
                && known.identifier == identifier
                && known.wildcard == wildcard
                && known.status == Status::Valid
                && known.expires > Timestamp::now()
        };
        if let Some(known) = self.authorizations.iter().find(usable) {
            return Ok(known.id.clone());
        }
        let status = if self.behaviour.ready_at_once { Status::Valid } else { Status::Pending };
        let challenge = |kind: &&String| {
            let fits = match kind.as_str() {
                "http-01" | "tls-alpn-01" => !wildcard,
                _ => identifier.kind == "dns",
            };
            fits.then(|| Challenge {
                id: fresh_id(),
                kind: (*kind).clone(),
                status: Status::Pending,
                token: (*kind != "dns-persist-01").then(|| fresh_id() + &fresh_id()),
                error: None,
                validated: None,
            })
        };
        let mut challenges: Vec<Challenge> =
            self.behaviour.challenges.iter().filter_map(|kind| challenge(&kind)).collect();
        if challenges.is_empty() {
            return Err(Problem::new(400, "rejectedIdentifier", "no challenge type fits this identifier"));
        }
        if status == Status::Valid {
            challenges[0].status = Status::Valid;
            challenges[0].validated = Some(Timestamp::now());
        }
        let id = fresh_id();
        self.authorizations.push(Authorization {
            id: id.clone(),
            account: account.to_owned(),
            identifier,
            wildcard,
            status,
            expires: in_seconds(AUTHORIZATION_LIFE),
            challenges,
        });
        Ok(id)
    }

    pub(crate) fn find_authorization(&self, id: &str) -> Result<&Authorization, Problem> {
        let found = self.authorizations.iter().find(|authorization| authorization.id == id);
        found.ok_or_else(|| Problem::not_found("authorization"))
    }

    fn find_authorization_mut(&mut self, id: &str) -> Result<&mut Authorization, Problem> {
        let found = self.authorizations.iter_mut().find(|authorization| authorization.id == id);
        found.ok_or_else(|| Problem::not_found("authorization"))
    }

    fn own_authorization(&self, id: &str, signed: &Signed) -> Result<&Authorization, Problem> {
        let authorization = self.find_authorization(id)?;
        if authorization.account == signed.account()? {
            Ok(authorization)
        } else {
            Err(Problem::unauthorized("this is another account's authorization"))
        }
    }

    pub(super) fn authorization(
        &mut self,
        request: &Request,
        id: &str,
        signed: &Signed,
    ) -> Result<Reply, Problem> {
        self.own_authorization(id, signed)?;
        if !signed.payload.is_null() {
            // RFC 8555 §7.5.2.
            if signed.payload.get("status").is_none_or(|status| status != "deactivated") {
                return Err(Problem::malformed("an authorization can be deactivated, and nothing else"));
            }
            let authorization = self.find_authorization_mut(id)?;
            if !matches!(authorization.status, Status::Pending | Status::Valid) {
                return Err(Problem::malformed("this authorization is over already"));
            }
            authorization.status = Status::Deactivated;
            self.refresh_orders();
        }
        let authorization = self.find_authorization(id)?;
        let under_way =
            authorization.challenges.iter().any(|challenge| challenge.status == Status::Processing);
        let again = if under_way { self.behaviour.retry_after } else { RetryAfter::None };
        Ok(Reply::json(200, &self.show_authorization(request, authorization)).retry_after(again))
    }

    fn show_authorization(&self, request: &Request, authorization: &Authorization) -> Value {
        let mut challenges: Vec<Value> = authorization
            .challenges
            .iter()
            // RFC 8555 §7.1.4: once it is decided, only what was tried is of interest.
            .filter(|challenge| {
                authorization.status == Status::Pending || challenge.status != Status::Pending
            })
            .map(|challenge| self.show_challenge(request, authorization, challenge))
            .collect();
        if self.behaviour.unknown_things {
            let url = format!("{}/challenge/{}/nobody", request.base, authorization.id);
            challenges.insert(0, json!({"type": "pigeon-01", "url": url, "status": "pending", "token": 7}));
            challenges.push(json!({"type": "bare-01"}));
        }
        if self.behaviour.shuffled_challenges {
            fastrand::shuffle(&mut challenges);
        }
        let mut document = json!({
            "status": authorization.status,
            "identifier": authorization.identifier,
            "challenges": challenges,
        });
        if authorization.wildcard {
            document["wildcard"] = true.into();
        }
        if !self.behaviour.missing_expires {
            document["expires"] = json!(authorization.expires);
        }
        mix_in(self.behaviour.unknown_things, document)
    }

    fn show_challenge(
        &self,
        request: &Request,
        authorization: &Authorization,
        challenge: &Challenge,
    ) -> Value {
        let url = format!("{}/challenge/{}/{}", request.base, authorization.id, challenge.id);
        let mut document = json!({"type": challenge.kind, "url": url});
        if !self.behaviour.missing_challenge_status {
            document["status"] = json!(challenge.status);
        }
        if let Some(token) = &challenge.token {
            document["token"] = token.as_str().into();
        }
        if challenge.kind == "dns-persist-01" {
            document["issuer-domain-names"] = json!(self.behaviour.persist_issuers);
            let account = self.accounts.iter().find(|account| account.id == authorization.account);
            document["accounturi"] = account.map(|account| account.url.as_str()).unwrap_or_default().into();
        }
        if let Some(error) = &challenge.error {
            document["error"] = error.clone();
        }
        if let Some(validated) = challenge.validated {
            document["validated"] = json!(validated);
        }
        mix_in(self.behaviour.unknown_things, document)
    }

    /// RFC 8555 §7.5.1. A challenge that has been answered before is shown as it is.
    pub(super) fn challenge(
        &mut self,
        request: &Request,
        authorization: &str,
        id: &str,
        signed: &Signed,
    ) -> Result<(Reply, Option<Started>), Problem> {
        self.own_authorization(authorization, signed)?;
        let known = self.find_authorization_mut(authorization)?;
        let busy = known.challenges.iter().any(|challenge| challenge.status != Status::Pending);
        let pending = known.status == Status::Pending && !busy;
        let challenge = known.challenges.iter_mut().find(|challenge| challenge.id == id);
        let challenge = challenge.ok_or_else(|| Problem::not_found("challenge"))?;
        let mut started = None;
        if signed.payload.is_object() && challenge.status == Status::Pending {
            if !pending {
                return Err(Problem::malformed(
                    "the authorization is decided, or another challenge is tried",
                ));
            }
            challenge.status = Status::Processing;
            started = Some(Started { authorization: authorization.to_owned(), challenge: id.to_owned() });
        }
        let under_way = challenge.status == Status::Processing;
        let challenge = challenge.clone();
        let known = self.find_authorization(authorization)?;
        let up = format!("<{}/authorization/{authorization}>;rel=\"up\"", request.base);
        let again = if under_way { self.behaviour.retry_after } else { RetryAfter::None };
        let reply = Reply::json(200, &self.show_challenge(request, known, &challenge));
        Ok((reply.header("link", up).retry_after(again), started))
    }

    /// Writes down how a validation ended.
    pub(crate) fn validated(&mut self, started: &Started, result: Result<(), Problem>) {
        let known = self.find_authorization_mut(&started.authorization).ok();
        let Some(known) = known.filter(|known| known.status == Status::Pending) else { return };
        let challenge = known.challenges.iter_mut().find(|challenge| challenge.id == started.challenge);
        let Some(challenge) = challenge else { return };
        match result {
            Ok(()) => {
                challenge.status = Status::Valid;
                challenge.validated = Some(Timestamp::now());
                known.status = Status::Valid;
            }
            Err(problem) => {
                challenge.status = Status::Invalid;
                challenge.error = Some(problem.document());
                known.status = Status::Invalid;
            }
        }
        self.refresh_orders();
    }
}

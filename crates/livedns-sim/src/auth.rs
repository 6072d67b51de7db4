//! Who may do what: `Bearer` tokens with domains, scopes and an end, and `Apikey` keys without any of these.

use std::time::Instant;

use crate::behaviour::{Behaviour, Refusal};
use crate::config::{ApiKeyConfig, TokenConfig};
use crate::reply::Reply;

/// The credentials that are known.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) tokens: Vec<TokenConfig>,
    pub(crate) api_keys: Vec<ApiKeyConfig>,
    pub(crate) since: Instant,
}

/// Who is asking.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller<'a> {
    Token(&'a TokenConfig),
    ApiKey,
}

impl Credentials {
    /// How long the simulator runs, in seconds.
    pub(crate) fn lived(&self) -> i64 {
        i64::try_from(self.since.elapsed().as_secs()).unwrap_or(i64::MAX)
    }

    /// The caller of a request with this `Authorization` header. `X-Api-Key` does not count on this host.
    pub(crate) fn caller(
        &self,
        authorization: Option<&str>,
        behaviour: &Behaviour,
    ) -> Result<Caller<'_>, Reply> {
        let (scheme, secret) = authorization.and_then(|text| text.split_once(' ')).unwrap_or_default();
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(Reply::no_credential());
        }
        match scheme {
            "Bearer" => {
                let token = self.tokens.iter().find(|token| token.token == secret);
                let token = token.ok_or_else(|| refuse(behaviour.bad_token))?;
                if token.expires_in <= self.lived() {
                    return Err(refuse(behaviour.expired_token));
                }
                Ok(Caller::Token(token))
            }
            "Apikey" => {
                let known = self.api_keys.iter().any(|key| key.key == secret);
                if known { Ok(Caller::ApiKey) } else { Err(refuse(Refusal::Unauthorized)) }
            }
            _ => Err(Reply::no_credential()),
        }
    }

    /// The caller of a request to the old host with this `X-Api-Key`. A personal access token there breaks it.
    pub(crate) fn legacy_caller(&self, key: Option<&str>) -> Result<Caller<'_>, Reply> {
        let key = key.filter(|key| !key.is_empty()).ok_or_else(Reply::no_credential)?;
        if self.api_keys.iter().any(|known| known.key == key) {
            return Ok(Caller::ApiKey);
        }
        let is_token = self.tokens.iter().any(|token| token.token == key);
        Err(if is_token { Reply::broken() } else { refuse(Refusal::Unauthorized) })
    }
}

impl Caller<'_> {
    /// Whether the caller may see the zone.
    pub(crate) fn sees(&self, zone: &str) -> bool {
        match self {
            Caller::Token(token) => {
                token.domains.is_empty() || token.domains.iter().any(|domain| domain == zone)
            }
            Caller::ApiKey => true,
        }
    }

    /// Whether the caller may change records.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Caller::Token(token) => token.scopes.iter().any(|scope| scope == "domain:tech"),
            Caller::ApiKey => true,
        }
    }

    /// The name in the log; never the secret.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Caller::Token(_) => "pat",
            Caller::ApiKey => "api-key",
        }
    }
}

pub(crate) fn refuse(how: Refusal) -> Reply {
    match how {
        Refusal::Unauthorized => Reply::error(
            401,
            "HTTPUnauthorized",
            "Unauthorized",
            "The server could not verify that you authorized to access the document you requested. Either you \
             supplied the wrong credentials (e.g., bad api key), or your access token has expired",
        ),
        Refusal::Forbidden => {
            Reply::error(403, "HTTPForbidden", "Forbidden", "Access was denied to this resource.")
        }
        Refusal::NotFound => Reply::not_found(),
    }
}

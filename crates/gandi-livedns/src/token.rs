//! What a personal access token says about itself, and its renewal.
//!
//! `GET https://id.gandi.net/tokeninfo` is not in Gandi's documents for these tokens; several clients use it. Nothing
//! may depend on its answer. `POST /v5/organization/access-tokens` is documented in the Organization API.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::client::{Client, malformed, parsed};
use crate::error::{Error, NetworkKind};
use crate::exchange::Call;

/// How long the token service may take; its answer is nice to have.
const PATIENCE: Duration = Duration::from_secs(5);

/// The permission without which no record can be written.
pub const NEEDED_SCOPE: &str = "domain:tech";

/// What a token says about itself. All of it is best effort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// The name that it was given.
    pub name: Option<String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Its permissions, such as `domain:tech`; empty if it does not tell.
    pub scopes: Vec<String>,
    /// Names of what it is limited to, such as domains; empty if it does not tell, or is not limited.
    pub entities: Vec<String>,
}

/// A new token. The old one stays valid until its own end.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewToken {
    /// The secret; it is shown this once.
    pub secret: SecretString,
    /// Its name.
    pub name: Option<String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct InfoBody {
    #[serde(default)]
    pat_name: Option<String>,
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    entities: Value,
    #[serde(default)]
    expires_in: Option<i64>,
}

impl InfoBody {
    pub(crate) fn read(self) -> TokenInfo {
        let after = |seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).ok();
        TokenInfo {
            name: self.pat_name,
            expires: self.expires_in.and_then(after),
            scopes: texts(&self.scope),
            entities: texts(&self.entities),
        }
    }
}

#[derive(Deserialize)]
struct NewBody {
    access_token: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
}

impl Client {
    /// What the token says about itself. Meaningless for API keys.
    ///
    /// # Errors
    /// See [`Error`]. The service is best effort: an error here says little about the token.
    pub async fn token_info(&self) -> Result<TokenInfo, Error> {
        let call =
            Call { method: Method::GET, url: self.token_info_url(), path: "/tokeninfo".into(), body: None };
        // Once: whoever needs an answer asks again later.
        let asked = tokio::time::timeout(PATIENCE, self.attempt_elsewhere(&call)).await;
        let late = |elapsed: tokio::time::error::Elapsed| Error::Network {
            request: call.shown(),
            kind: NetworkKind::Timeout,
            source: Box::new(elapsed),
        };
        let reply = asked.map_err(late)??;
        let body: InfoBody = parsed(&call, &reply)?;
        Ok(body.read())
    }

    /// Whether LiveDNS lets the credential in: a read of the list of domains.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] and [`Error::Forbidden`] say that it does not.
    pub async fn check_access(&self) -> Result<(), Error> {
        let call = self.call(Method::GET, &["domains"], None)?;
        self.send(&call, &mut self.budget()).await.map(drop)
    }

    /// Asks for a new token with the same name, permissions and life. Said to be refused while more than 30 days are
    /// left.
    ///
    /// # Errors
    /// See [`Error`]. After a lost answer a new token may exist that nobody knows; it is not asked for again then.
    pub async fn renew_token(&self) -> Result<NewToken, Error> {
        let mut url = self.options().base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().pop().extend(["organization", "access-tokens"]);
        }
        let path = "/organization/access-tokens".to_owned();
        let call = Call { method: Method::POST, url, path, body: Some(json!({}).to_string().into()) };
        // Once: each success makes another token.
        let reply = self.attempt_elsewhere(&call).await.map_err(Error::from)?;
        let body: NewBody = serde_json::from_slice(&reply.body)
            .map_err(|_| malformed(&call, b"(not shown)", "it holds no token"))?;
        let expires = body.expires_at.and_then(|text| text.parse().ok());
        Ok(NewToken { secret: SecretString::from(body.access_token), name: body.name, expires })
    }

    /// The token service beside the API: `id.gandi.net` for `api.gandi.net`, and for a server of one's own the same host.
    fn token_info_url(&self) -> Url {
        let mut url = self.options().base_url.clone();
        url.set_path("/tokeninfo");
        let host = url.host_str().and_then(|host| host.strip_prefix("api.")).map(|rest| format!("id.{rest}"));
        if let Some(host) = host.filter(|host| host.ends_with("gandi.net")) {
            // A host that was taken from a URL with one is taken by a URL.
            let _ = url.set_host(Some(&host));
        }
        url
    }
}

/// Texts out of a list of texts, or of objects with a name, or of one text with spaces.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|item| item.as_str().or_else(|| item["name"].as_str()).map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, answer};

    #[tokio::test(start_paused = true)]
    async fn whatever_a_token_says_about_itself_is_read() {
        let said = [
            (
                r#"{"pat_name":"mail1","scope":["domain:tech"],"entities":[{"id":"1","name":"example.com","type":"domain"}],"expires_in":86400}"#,
                1,
                1,
            ),
            (r#"{"scope":"domain:tech domain:view","entities":["example.com"]}"#, 2, 1),
            ("{}", 0, 0),
        ];
        for (body, scopes, entities) in said {
            let (client, _) = Script::client(vec![("GET /tokeninfo", answer(200, body))]);
            let info = client.token_info().await.unwrap();
            assert_eq!((info.scopes.len(), info.entities.len()), (scopes, entities), "{body}");
            assert_eq!(info.expires.is_some(), body.contains("expires_in"));
        }
        let (client, _) = Script::client(vec![("GET /tokeninfo", answer(200, "<html>"))]);
        assert!(matches!(client.token_info().await, Err(Error::Malformed { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_is_asked_for_once() {
        let request = "POST /organization/access-tokens";
        let (client, played) = Script::client(vec![(request, answer(503, "{}"))]);
        assert!(client.renew_token().await.is_err());
        played.end();
        let (client, _) = Script::client(vec![(request, answer(201, r#"{"access_token":"x","unknown":1}"#))]);
        assert!(client.renew_token().await.unwrap().expires.is_none());
        let (client, _) = Script::client(vec![(request, answer(200, r#"{"token":"very secret"}"#))]);
        let error = client.renew_token().await.unwrap_err();
        assert!(!error.to_string().contains("very secret"), "{error}");
    }

    #[test]
    fn gandis_token_service_is_on_a_host_of_its_own() {
        let (client, _) = Script::client(Vec::<(String, _)>::new());
        assert_eq!(client.token_info_url().as_str(), "https://id.gandi.net/tokeninfo");
    }
}

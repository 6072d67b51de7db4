//! Single challenges: answered, and shown by a listener of one's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use livecert_acme::{AuthorizationStatus, Challenge, ChallengeType};
use url::Url;

use super::super::account::acme;
use super::super::order::PlacedOrder;
use super::super::{CertificateError, ServerUrl, Service};
use super::{OpenName, OrderError, OrderStanding};
use crate::challenge::ChallengeError;
use crate::plugin::{HttpListener, PluginError};
use crate::store::CertName;

/// How often it is looked whether all names of an order are proved.
const LOOK: Duration = Duration::from_secs(2);

/// A challenge that was answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answered {
    /// The name, where it is known.
    pub name: Option<String>,
    /// URL of the challenge.
    pub url: String,
    /// Its type.
    pub challenge: String,
    /// How far it is, in the server's word.
    pub status: String,
    /// What the CA says that is wrong.
    pub problem: Option<String>,
}

impl Answered {
    fn new(name: Option<String>, challenge: &Challenge) -> Self {
        Answered {
            name,
            url: challenge.url.to_string(),
            challenge: challenge.kind.to_string(),
            status: challenge.status.to_string(),
            problem: challenge.error.as_ref().map(ToString::to_string),
        }
    }
}

/// What a listener for http-01 answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Listening {
    /// The challenges of a certificate's open order, until all of its names are proved.
    Order(CertName),
    /// Every token, for the account at this server.
    Account(ServerUrl),
}

/// Why a listener has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenEnd {
    /// No name of the order waits for a proof any more.
    Proved,
    /// Its time was over.
    TimeOver,
    /// It was interrupted.
    Stopped,
}

impl Service {
    /// Tells the server that these challenges of its account can be looked at (RFC 8555 §7.5.1). It is not waited for what the
    /// CA sees.
    ///
    /// # Errors
    /// There is no account, or the server's refusal.
    pub async fn respond(&self, server: &ServerUrl, urls: &[Url]) -> Result<Vec<Answered>, CertificateError> {
        let account = self.required_account(server, None).await?;
        let mut answered = Vec::new();
        for url in urls {
            let challenge = self.unless_interrupted(account.respond(url)).await?;
            let challenge = challenge.map_err(acme(server, "answering a challenge"))?;
            answered.push(Answered::new(None, &challenge));
        }
        Ok(answered)
    }

    /// The same for all names of a certificate's open order that are still to be proved, by the challenges that its settings
    /// choose. Nothing is shown and nothing is looked at before.
    ///
    /// # Errors
    /// [`OrderError`], or the server's refusal.
    pub async fn respond_to_order(&self, cert: &CertName) -> Result<Vec<Answered>, CertificateError> {
        let open = self.pending_open_order(cert).await?;
        let server: ServerUrl = open.server.parse()?;
        let account = self.required_account(&server, Some(&open.account)).await?;
        // All or none: whoever reads that it is done waits for all names.
        let silent = |one: &&OpenName| one.status == "pending" && one.challenge_url.is_none();
        if let Some(one) = open.authorizations.iter().find(silent) {
            let reason =
                one.problem.clone().unwrap_or_else(|| "the settings of its order are not stored".to_owned());
            return Err(
                OrderError::Unanswerable { cert: cert.to_string(), name: one.name.clone(), reason }.into()
            );
        }
        let mut answered = Vec::new();
        for one in &open.authorizations {
            let Some(url) = one.challenge_url.as_ref().and_then(|url| url.parse::<Url>().ok()) else {
                continue;
            };
            let challenge = self.unless_interrupted(account.respond(&url)).await?;
            let challenge = challenge.map_err(acme(&server, "answering a challenge"))?;
            answered.push(Answered::new(Some(one.name.clone()), &challenge));
        }
        Ok(answered)
    }

    /// The open order of a certificate, which must have names to be proved.
    async fn pending_open_order(&self, cert: &CertName) -> Result<super::OpenOrder, CertificateError> {
        let missing = || OrderError::None { cert: cert.to_string() };
        let open = self.open_order(cert).await?.ok_or_else(missing)?;
        match &open.standing {
            OrderStanding::Pending => Ok(open),
            standing if standing.is_over() => {
                let (cert, server) = (cert.to_string(), open.server.clone());
                let (standing, reason) = (standing.clone(), open.problem.clone());
                Err(OrderError::Over { cert, server, standing, reason }.into())
            }
            standing => {
                let (cert, standing) = (cert.to_string(), standing.clone());
                Err(OrderError::NotYet { cert, standing, open: Vec::new() }.into())
            }
        }
    }

    /// Answers http-01 at `addresses` until `limit` is over, or until all names of the order are proved, or until it is
    /// interrupted. `ready` is told where it listens.
    ///
    /// # Errors
    /// [`OrderError`]; it cannot be listened there.
    pub async fn listen(
        &self,
        what: &Listening,
        addresses: &[SocketAddr],
        limit: Option<Duration>,
        ready: impl FnOnce(&[SocketAddr]),
    ) -> Result<ListenEnd, CertificateError> {
        let (order, listener) = match what {
            Listening::Order(cert) => {
                let (placed, files) = self.files_of(cert).await?;
                (Some(placed), HttpListener::files(addresses, files))
            }
            Listening::Account(server) => {
                let token = |token: &str| {
                    let token = livecert_acme::Token::new(token).ok()?;
                    Some(self.key_authorization(server, None, &token).ok()?.as_str().to_owned())
                };
                // The key is opened once, and what follows the dot is the same for all tokens.
                let sample =
                    token("t").ok_or_else(|| CertificateError::NoAccount { server: server.to_string() })?;
                let thumbprint = sample.split_once('.').map(|(_, thumbprint)| thumbprint.to_owned());
                (None, HttpListener::account(addresses, thumbprint.unwrap_or_default()))
            }
        };
        let listener = listener.map_err(|error| ChallengeError::from(PluginError::from(error)))?;
        ready(listener.addresses());
        let proved = async {
            let Some(placed) = &order else { return std::future::pending().await };
            while !is_decided(placed).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        let end = tokio::select! {
            () = self.interrupt.cancelled() => ListenEnd::Stopped,
            () = tokio::time::sleep(limit.unwrap_or(Duration::MAX)) => ListenEnd::TimeOver,
            () = proved => ListenEnd::Proved,
        };
        listener.stop().await;
        Ok(end)
    }

    /// The files of http-01 that the open order of a certificate waits for, by their tokens.
    async fn files_of(
        &self,
        cert: &CertName,
    ) -> Result<(PlacedOrder, BTreeMap<String, String>), CertificateError> {
        let missing = || OrderError::None { cert: cert.to_string() };
        let pending = self.store.pending_order(cert)?;
        self.store.find_removable(cert)?;
        let pending = pending.filter(|pending| !pending.url.is_empty()).ok_or_else(missing)?;
        let server: ServerUrl = pending.server.parse()?;
        let found = self.unless_interrupted(self.find_placed(&server, &pending)).await??;
        let gone = || OrderError::over(cert, &pending, OrderStanding::Gone, None);
        let placed = found.ok_or_else(gone)?;
        let standing = OrderStanding::of(&placed.order);
        if standing.is_over() {
            return Err(OrderError::over(cert, &pending, standing, None).into());
        }
        let mut files = BTreeMap::new();
        for url in &placed.order.authorizations {
            let read = self.unless_interrupted(placed.account.authorization(url)).await?;
            let authorization = read.map_err(acme(&server, "reading an authorization"))?;
            let token = authorization.challenge(&ChallengeType::Http01).and_then(|one| one.token.as_ref());
            if let (AuthorizationStatus::Pending, Some(token)) = (&authorization.status, token) {
                let content = placed.account.key_authorization(token).as_str().to_owned();
                files.insert(token.as_str().to_owned(), content);
            }
        }
        if files.is_empty() {
            let challenge = ChallengeType::Http01.to_string();
            return Err(OrderError::NoChallenge { cert: cert.to_string(), challenge }.into());
        }
        Ok((placed, files))
    }
}

/// Whether no name of an order waits for a proof any more, as far as can be seen.
async fn is_decided(placed: &PlacedOrder) -> bool {
    for url in &placed.order.authorizations {
        let read = placed.account.authorization(url).await;
        if !read.is_ok_and(|one| one.status != AuthorizationStatus::Pending) {
            return false;
        }
    }
    true
}

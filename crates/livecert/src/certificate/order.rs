//! The ACME side of one order: its authorizations, what they want shown, and how it went.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use livecert_acme::{
    Account, Authorization, AuthorizationStatus, Challenge, ChallengeStatus, ChallengeType, Identifier,
    NewOrder, Order, OrderStatus, Poll, ProblemKind,
};
use url::Url;

use super::account::acme;
use super::settings::Settings;
use super::{CertificateError, Failure, ServerUrl, Service};
use crate::challenge::{DnsSolver, Placement, Proof};
use crate::dns::ServerView;

/// Requests of one order under way at a time. Each needs a nonce of its own, so more of them cost more requests.
const SIDE_BY_SIDE: usize = 8;

/// An order as the CA has made it.
pub(super) struct PlacedOrder {
    pub(super) account: Account,
    pub(super) order: Order,
    server: ServerUrl,
}

/// An order with what is open in it.
pub(super) struct OpenOrder<'a> {
    placed: &'a PlacedOrder,
    pub(super) open: Vec<OpenAuthorization>,
}

/// An authorization that still has to be proved.
pub(super) struct OpenAuthorization {
    /// The name, without `*.`.
    base: String,
    challenge: Url,
    value: String,
}

impl Service {
    /// Makes the order.
    pub(super) async fn place_order(
        &self,
        account: Account,
        settings: &Settings,
    ) -> Result<PlacedOrder, CertificateError> {
        let identifiers: Vec<_> = settings.names.iter().map(|name| Identifier::dns(name.as_str())).collect();
        let new = NewOrder::new(identifiers);
        let (account, order) = match account.new_order(&new).await {
            // A server may lose accounts (test servers do at each start): the key is what counts.
            Err(error) if is_forgotten(&error) => {
                let account = self.account_again(&account, &settings.server).await?;
                let order = account.new_order(&new).await;
                (account, order)
            }
            order => (account, order),
        };
        let order = order.map_err(acme(&settings.server, "the order"))?;
        Ok(PlacedOrder { account, order, server: settings.server.clone() })
    }
}

/// Deactivates those of the authorizations that are pending (RFC 8555 §7.5.2): a CA allows only so many of them.
/// Gives the URLs for which that could not be done.
pub(super) async fn deactivate_pending(account: &Account, authorizations: &[Url]) -> Vec<Url> {
    let deactivate = |url: &Url| {
        let (account, url) = (account.clone(), url.clone());
        async move {
            let done = async {
                let pending = account.authorization(&url).await?.status == AuthorizationStatus::Pending;
                if pending {
                    account.deactivate_authorization(&url).await?;
                }
                Ok::<_, livecert_acme::Error>(())
            };
            match done.await {
                Ok(()) => None,
                // One that the server does not know (any more) is not pending either.
                Err(error) if error.problem().is_some_and(|problem| problem.status == Some(404)) => None,
                Err(error) => {
                    tracing::info!(%url, %error, "an authorization may still be pending");
                    Some(url)
                }
            }
        }
    };
    let left = stream::iter(authorizations.iter().map(deactivate)).buffer_unordered(SIDE_BY_SIDE);
    left.filter_map(|url| async { url }).collect().await
}

fn is_forgotten(error: &livecert_acme::Error) -> bool {
    error.problem().is_some_and(|problem| problem.kind() == ProblemKind::AccountDoesNotExist)
}

fn open_authorization(
    account: &Account,
    server: &ServerUrl,
    authorization: &Authorization,
) -> Result<OpenAuthorization, CertificateError> {
    let base = authorization.identifier.value().to_owned();
    let usable = |challenge: &&Challenge| challenge.kind == ChallengeType::Dns01 && challenge.token.is_some();
    let found = authorization.challenges.iter().find(usable);
    match found.and_then(|challenge| challenge.token.as_ref().map(|token| (challenge, token))) {
        Some((challenge, token)) => Ok(OpenAuthorization {
            base,
            challenge: challenge.url.clone(),
            value: account.key_authorization(token).dns_value(),
        }),
        None => Err(CertificateError::NoChallenge {
            server: server.to_string(),
            name: base,
            offered: authorization.challenges.iter().map(|challenge| challenge.kind.to_string()).collect(),
        }),
    }
}

impl PlacedOrder {
    /// Fetches the authorizations side by side.
    pub(super) async fn open(&self) -> Result<OpenOrder<'_>, CertificateError> {
        let fetch = |url: &Url| {
            let (account, url) = (self.account.clone(), url.clone());
            async move { account.authorization(&url).await }
        };
        let fetched: Vec<_> =
            stream::iter(self.order.authorizations.iter().map(fetch)).buffered(SIDE_BY_SIDE).collect().await;
        let mut open = Vec::new();
        for authorization in fetched {
            let authorization = authorization.map_err(acme(&self.server, "reading an authorization"))?;
            if authorization.status != AuthorizationStatus::Valid {
                open.push(open_authorization(&self.account, &self.server, &authorization)?);
            }
        }
        Ok(OpenOrder { placed: self, open })
    }

    /// Sends the request and downloads the certificate, PEM.
    pub(super) async fn certificate(&self, csr: &[u8], limit: Duration) -> Result<String, CertificateError> {
        let finalized = self.account.finalize(&self.order, csr).await;
        let mut order = finalized.map_err(acme(&self.server, "finalizing the order"))?;
        let done = |status: &OrderStatus| matches!(status, OrderStatus::Valid | OrderStatus::Invalid);
        if !done(&order.status) {
            let polled = self.account.poll_order(&self.order.url, &Poll::within(limit), done).await;
            order = polled.map_err(acme(&self.server, "waiting for the certificate"))?;
        }
        let Some(url) = order.certificate.as_ref().filter(|_| order.status == OrderStatus::Valid) else {
            let problem = order.error.as_ref().map_or("it gives no reason".to_owned(), ToString::to_string);
            let failure = Failure { name: "the order".to_owned(), problem, seen: Vec::new() };
            return Err(CertificateError::Refused {
                server: self.server.to_string(),
                failures: vec![failure],
            });
        };
        let certificate = self.account.certificate(url).await;
        Ok(certificate.map_err(acme(&self.server, "downloading the certificate"))?.pem_chain)
    }
}

impl OpenOrder<'_> {
    /// What has to be shown.
    pub(super) fn proofs(&self) -> Vec<Proof> {
        let proof = |open: &OpenAuthorization| Proof { base: open.base.clone(), value: open.value.clone() };
        self.open.iter().map(proof).collect()
    }

    /// Answers all challenges side by side and waits until the CA has made up its mind.
    pub(super) async fn validate(
        &self,
        limit: Duration,
        solver: &DnsSolver,
        placement: &Placement,
    ) -> Result<(), CertificateError> {
        let respond = |open: &OpenAuthorization| {
            let (account, url) = (self.placed.account.clone(), open.challenge.clone());
            async move { account.respond(&url).await }
        };
        let answers: Vec<_> =
            stream::iter(self.open.iter().map(respond)).buffer_unordered(SIDE_BY_SIDE).collect().await;
        for answer in answers {
            answer.map_err(acme(&self.placed.server, "answering a challenge"))?;
        }
        let settled = |status: &OrderStatus| *status != OrderStatus::Pending;
        let poll = Poll::within(limit);
        let order = self.placed.account.poll_order(&self.placed.order.url, &poll, settled).await;
        let order = order.map_err(acme(&self.placed.server, "waiting for the validation"))?;
        match order.status {
            OrderStatus::Invalid => Err(self.refused(&order, solver, placement).await),
            _ => Ok(()),
        }
    }

    /// The CA's words for each name, with what the name servers show at this moment.
    async fn refused(&self, order: &Order, solver: &DnsSolver, placement: &Placement) -> CertificateError {
        let mut failures = Vec::new();
        for url in &order.authorizations {
            let Ok(authorization) = self.placed.account.authorization(url).await else { continue };
            let problems = authorization
                .challenges
                .iter()
                .filter(|challenge| challenge.status == ChallengeStatus::Invalid)
                .filter_map(|challenge| challenge.error.as_ref());
            for problem in problems {
                let name = authorization.identifier.value().to_owned();
                let seen = solver.seen(placement, &name).await.iter().map(describe).collect();
                failures.push(Failure { name, problem: problem.to_string(), seen });
            }
        }
        if failures.is_empty() {
            let problem = order.error.as_ref().map_or("it gives no reason".to_owned(), ToString::to_string);
            failures.push(Failure { name: "the order".to_owned(), problem, seen: Vec::new() });
        }
        CertificateError::Refused { server: self.placed.server.to_string(), failures }
    }
}

fn describe(view: &ServerView) -> String {
    match &view.seen {
        Ok(values) if values.is_empty() => format!("{} shows no TXT value", view.at),
        Ok(values) => format!("{} shows {}", view.at, values.join(", ")),
        Err(error) => error.to_string(),
    }
}

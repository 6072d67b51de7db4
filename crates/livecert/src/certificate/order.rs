//! The ACME side of one order: how it is made, its authorizations, what they want shown, and how it went.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use livecert_acme::{
    Account, Authorization, AuthorizationStatus, Certificate, CertificateId, Challenge, ChallengeStatus,
    ChallengeType, ErrorClass, NewOrder, Order, OrderStatus, Poll, Server,
};
use url::Url;

use super::account::{AccountRequest, acme};
use super::proof::Proofs;
use super::settings::Settings;
use super::{CertificateError, Failure, ServerUrl, Service};
use crate::challenge::{
    ChallengeChoice, DnsView, Placement, Proof, Solvers, Standing, StandingRecord, StandingWish,
    account_validation_name, is_in_dns, standing_name, validation_name,
};
use crate::dns::ServerView;
use crate::plugin::WebProof;
use crate::progress::Event;
use crate::store::CertName;

/// Authorizations of one order in hand at a time. How many requests are under way, of all orders together, is the server's
/// matter ([`livecert_acme::Known::at_once`]).
const SIDE_BY_SIDE: usize = 64;
/// What the CA gets for its looks before it is asked how they went. A question that comes too soon costs little more than
/// itself: few servers ask for a pause about an order that is pending (RFC 8555 §7.5.1 has it with authorizations).
const VALIDATION_FIRST: Duration = Duration::from_millis(10);
/// How long a CA may take over the certificate itself; some need minutes, and it is paid for already.
const ISSUANCE_LIMIT: Duration = Duration::from_secs(600);

/// An order as the CA has made it.
pub(super) struct PlacedOrder {
    pub(super) account: Account,
    pub(super) order: Order,
    pub(super) server: ServerUrl,
}

/// An authorization that still has to be proved.
pub(super) struct OpenAuthorization {
    /// The name, without `*.`.
    base: String,
    /// Whether it is for the wildcard.
    wildcard: bool,
    url: Url,
    pub(super) kind: ChallengeType,
    pub(super) challenge: Url,
    pub(super) shown: Shown,
}

/// What has to be shown for a challenge.
pub(super) enum Shown {
    /// A TXT value.
    Txt(Proof),
    /// Something at the host.
    Web(WebProof),
    /// Nothing: this record stands already.
    Standing(Standing),
}

impl Service {
    /// Makes the order. A server that does not know the certificate which it is to replace gets an order like any other
    /// (RFC 9773 §5).
    pub(super) async fn place_order(
        &self,
        cert: &CertName,
        account: Account,
        server: &ServerUrl,
        settings: &Settings,
        new_account: &AccountRequest,
        replaces: Option<CertificateId>,
    ) -> Result<PlacedOrder, CertificateError> {
        let mut new = NewOrder::new(settings.names.iter().map(|name| name.identifier()).collect());
        new.profile = profile(account.server(), server, settings)?;
        if let Some(days) = settings.lifetime_days {
            let now = Timestamp::now();
            let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
            new.not_before = Some(whole);
            new.not_after = whole.checked_add(SignedDuration::from_hours(24 * i64::from(days))).ok();
        }
        new.replaces = replaces;
        let mut account = account;
        let mut made = account.new_order(&new).await;
        if let Err(error) = &made
            && new.replaces.is_some()
            && error.class() == ErrorClass::Refused
        {
            // It may be about that, whatever words it has; if it is not, the answer is the same again.
            tracing::info!(%cert, %error, "the server does not take the order as a replacement");
            new.replaces = None;
            made = account.new_order(&new).await;
        }
        if let Err(error) = &made
            && error.class() == ErrorClass::AccountGone
        {
            account = self.account_again(&account, server, new_account).await?;
            self.tell_of_replacement(cert, &account, server, settings).await?;
            // Another account's certificate is not this one's to replace.
            new.replaces = None;
            made = account.new_order(&new).await;
        }
        if let Err(error) = &made
            && error.class() == ErrorClass::Terms
            && new_account.accept_tos
        {
            account.agree_to_terms().await.map_err(acme(server, "accepting the terms"))?;
            made = account.new_order(&new).await;
        }
        let order = made.map_err(acme(server, "the order"))?;
        Ok(PlacedOrder { account, order, server: server.clone() })
    }

    /// Takes up an order of a dead run; `None` if nothing can come of it any more.
    pub(super) async fn resume_order(
        &self,
        account: &Account,
        server: &ServerUrl,
        url: &str,
    ) -> Result<Option<PlacedOrder>, CertificateError> {
        let Some(placed) = self.read_order(account, server, url).await? else { return Ok(None) };
        let order = &placed.order;
        let alive = match order.status {
            OrderStatus::Valid | OrderStatus::Processing => true,
            OrderStatus::Ready | OrderStatus::Pending => {
                order.expires.is_none_or(|end| end > Timestamp::now())
                    && is_provable(account, &order.authorizations).await
            }
            _ => false,
        };
        Ok(alive.then_some(placed))
    }

    /// Reads an order; `None` if the server does not know it any more.
    pub(super) async fn read_order(
        &self,
        account: &Account,
        server: &ServerUrl,
        url: &str,
    ) -> Result<Option<PlacedOrder>, CertificateError> {
        let Ok(url) = url.parse::<Url>() else { return Ok(None) };
        let order = match account.order(&url).await {
            Ok(order) => order,
            // Servers forget orders, and let nobody see those of others. A server that is only out of order has not.
            Err(error) if matches!(error.class(), ErrorClass::Refused | ErrorClass::AccountGone) => {
                return Ok(None);
            }
            Err(livecert_acme::Error::Http { status: 400..500, .. }) => return Ok(None),
            Err(error) => return Err(acme(server, "reading the order")(error)),
        };
        Ok(Some(PlacedOrder { account: account.clone(), order, server: server.clone() }))
    }
}

/// Whether all authorizations are valid or can become so: a sweep may have deactivated them.
async fn is_provable(account: &Account, authorizations: &[Url]) -> bool {
    let read = authorizations.iter().map(|url| account.authorization(url));
    let read: Vec<_> = stream::iter(read).buffer_unordered(SIDE_BY_SIDE).collect().await;
    read.iter().all(|authorization| {
        let status = authorization.as_ref().map(|authorization| &authorization.status);
        matches!(status, Ok(AuthorizationStatus::Pending | AuthorizationStatus::Valid))
    })
}

/// The profile that is asked for. One that the server does not offer is known before there is an account or an order.
pub(super) fn profile(
    connected: &Server,
    server: &ServerUrl,
    settings: &Settings,
) -> Result<Option<String>, CertificateError> {
    let offered = &connected.directory().meta.profiles;
    match (&settings.profile, &settings.preferred_profile) {
        (Some(profile), _) if offered.contains_key(profile) => Ok(Some(profile.clone())),
        (Some(profile), _) => Err(CertificateError::UnknownProfile {
            server: server.to_string(),
            profile: profile.clone(),
            offered: offered.keys().cloned().collect(),
        }),
        (None, Some(profile)) => Ok(offered.contains_key(profile).then(|| profile.clone())),
        (None, None) => Ok(None),
    }
}

/// Deactivates those of the authorizations that are pending (RFC 8555 §7.5.2): a CA allows only so many of them.
/// Gives the URLs for which that could not be done.
pub(super) async fn deactivate_pending(account: &Account, authorizations: &[Url]) -> Vec<Url> {
    deactivate(account, authorizations, &[AuthorizationStatus::Pending]).await
}

/// Deactivates those of the authorizations that stand like this (RFC 8555 §7.5.2). Gives those for which it is not known.
pub(super) async fn deactivate(
    account: &Account,
    authorizations: &[Url],
    standing: &[AuthorizationStatus],
) -> Vec<Url> {
    let deactivate = |url: &Url| {
        let (account, url) = (account.clone(), url.clone());
        async move {
            let done = async {
                if standing.contains(&account.authorization(&url).await?.status) {
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

impl PlacedOrder {
    /// Fetches the authorizations side by side, and chooses a challenge for each that is not valid.
    pub(super) async fn open(
        &self,
        proofs: &Proofs,
        solvers: &Solvers,
        allows: impl Fn(&str, bool, &ChallengeType) -> bool,
    ) -> Result<Vec<OpenAuthorization>, CertificateError> {
        let allows = &allows;
        if self.order.status != OrderStatus::Pending {
            return Ok(Vec::new());
        }
        let fetch = |url: &Url| {
            let (account, url) = (self.account.clone(), url.clone());
            async move {
                let authorization = account.authorization(&url).await;
                let authorization = authorization.map_err(acme(&self.server, "reading an authorization"))?;
                match authorization.status {
                    AuthorizationStatus::Valid => Ok(None),
                    _ => {
                        let (base, wildcard) = (authorization.identifier.value(), authorization.wildcard);
                        let candidates = proofs.candidates(base, wildcard);
                        let allowed = candidates.iter().filter(|kind| allows(base, wildcard, kind));
                        let allowed: Vec<_> = allowed.cloned().collect();
                        // Where none is, the CA has the word.
                        let choice = if allowed.is_empty() { candidates } else { &allowed };
                        self.choose(&authorization, choice, solvers).await.map(Some)
                    }
                }
            }
        };
        let fetched: Vec<Result<Option<_>, CertificateError>> =
            stream::iter(self.order.authorizations.iter().map(fetch)).buffered(SIDE_BY_SIDE).collect().await;
        let open = fetched.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(open.into_iter().flatten().collect())
    }

    /// The first of the challenges that are wanted, offered and can be shown.
    pub(super) async fn choose(
        &self,
        authorization: &Authorization,
        candidates: &[ChallengeType],
        solvers: &Solvers,
    ) -> Result<OpenAuthorization, CertificateError> {
        let base = authorization.identifier.value().to_owned();
        let is_address = base.parse::<std::net::IpAddr>().is_ok();
        let mut missing_record = None;
        for kind in candidates.iter().filter(|kind| !is_address || !is_in_dns(kind)) {
            let usable = |challenge: &&Challenge| challenge.kind == *kind && challenge.is_usable();
            let offered = authorization.challenges.iter().find(usable);
            let Some(challenge) = offered else { continue };
            let shown = match (kind, &solvers.standing) {
                (ChallengeType::DnsPersist01, Some(view)) => {
                    match self.standing(authorization, challenge, view).await {
                        Ok(shown) => Some(shown),
                        Err(error) => {
                            missing_record = Some(error);
                            None
                        }
                    }
                }
                _ => self.shown(&base, challenge),
            };
            if let Some(shown) = shown {
                return Ok(OpenAuthorization {
                    base,
                    wildcard: authorization.wildcard,
                    url: authorization.url.clone(),
                    kind: kind.clone(),
                    challenge: challenge.url.clone(),
                    shown,
                });
            }
        }
        Err(missing_record.unwrap_or_else(|| CertificateError::NoChallenge {
            server: self.server.to_string(),
            name: base,
            wanted: candidates.to_vec(),
            offered: authorization.challenges.iter().map(offer).collect(),
        }))
    }

    /// What a challenge with a token wants shown; `None` if it has none.
    fn shown(&self, base: &str, challenge: &Challenge) -> Option<Shown> {
        let token = challenge.token.as_ref()?;
        let authorization = self.account.key_authorization(token);
        let host = base.to_owned();
        Some(match challenge.kind {
            ChallengeType::Dns01 => {
                Shown::Txt(Proof { name: validation_name(base), value: authorization.dns_value() })
            }
            ChallengeType::DnsAccount01 => {
                let name = account_validation_name(self.account.url().as_str(), base);
                Shown::Txt(Proof { name, value: authorization.dns_value() })
            }
            ChallengeType::Http01 => {
                let (token, body) = (token.as_str().to_owned(), authorization.as_str().to_owned());
                Shown::Web(WebProof::HttpFile { host, token, body })
            }
            ChallengeType::TlsAlpn01 => {
                Shown::Web(WebProof::AlpnCertificate { host, digest: authorization.tls_alpn_digest() })
            }
            _ => return None,
        })
    }

    /// Whether a standing record grants the authorization.
    async fn standing(
        &self,
        authorization: &Authorization,
        challenge: &Challenge,
        view: &DnsView,
    ) -> Result<Shown, CertificateError> {
        let base = authorization.identifier.value();
        let account = challenge.account_uri.as_deref().unwrap_or(self.account.url().as_str());
        let issuers = &challenge.issuer_domain_names;
        let wildcard = authorization.wildcard;
        let wish = StandingWish { base, wildcard, issuers: Some(issuers), account };
        let found = view.standing(&wish).await.map_err(|source| {
            let name = standing_name(base);
            CertificateError::Challenge(crate::challenge::ChallengeError::Authority { name, source })
        })?;
        if let Some(found) = found {
            return Ok(Shown::Standing(found));
        }
        let wanted = StandingRecord {
            issuer: issuers.first().cloned().unwrap_or_default(),
            account: account.to_owned(),
            wildcard: authorization.wildcard,
            until: None,
        };
        let (name, at) = (base.to_owned(), standing_name(base));
        Err(CertificateError::NoStandingRecord { name, at, wanted: wanted.to_string() })
    }

    /// Answers all challenges side by side and waits until the CA has made up its mind about the order.
    pub(super) async fn validate(
        &self,
        open: &[OpenAuthorization],
        limit: Duration,
        solvers: &Solvers,
        placement: &Placement,
    ) -> Result<(), CertificateError> {
        self.answer(open).await?;
        let settled = |status: &OrderStatus| *status != OrderStatus::Pending;
        let mut poll = Poll::within(limit);
        poll.first = VALIDATION_FIRST;
        let order = self.account.poll_order(&self.order.url, &poll, settled).await;
        let order = order.map_err(acme(&self.server, "waiting for the validation"))?;
        match order.status {
            OrderStatus::Invalid => Err(self.refused(&order, open, solvers, placement).await),
            _ => Ok(()),
        }
    }

    /// Answers the challenge of one of several names, of which others are proved later, and waits until the CA has made up
    /// its mind about that name.
    pub(super) async fn validate_one(
        &self,
        open: &OpenAuthorization,
        limit: Duration,
        solvers: &Solvers,
        placement: &Placement,
    ) -> Result<(), CertificateError> {
        let one = std::slice::from_ref(open);
        self.answer(one).await?;
        let authorization = self.account.poll_authorization(&open.url, &Poll::within(limit)).await;
        let authorization = authorization.map_err(acme(&self.server, "waiting for the validation"))?;
        match authorization.status {
            AuthorizationStatus::Valid => Ok(()),
            _ => Err(self.refused(&self.order, one, solvers, placement).await),
        }
    }

    async fn answer(&self, open: &[OpenAuthorization]) -> Result<(), CertificateError> {
        let respond = |open: &OpenAuthorization| {
            let (account, url) = (self.account.clone(), open.challenge.clone());
            async move { account.respond(&url).await }
        };
        let answers: Vec<_> =
            stream::iter(open.iter().map(respond)).buffer_unordered(SIDE_BY_SIDE).collect().await;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(drop).map_err(acme(&self.server, "answering a challenge")))
    }

    /// Sends the request, and waits for the certificate. Gives its URL.
    pub(super) async fn finalize(&self, csr: &[u8]) -> Result<Url, CertificateError> {
        let is_done = |status: &OrderStatus| matches!(status, OrderStatus::Valid | OrderStatus::Invalid);
        let mut order = self.order.clone();
        if !matches!(order.status, OrderStatus::Valid | OrderStatus::Processing) {
            order = match self.account.finalize(&self.order, csr).await {
                Ok(order) => order,
                // Whether the request has arrived, the order tells; a second one would be refused.
                Err(livecert_acme::Error::Transport { .. }) => {
                    let read = self.account.order(&self.order.url).await;
                    let read = read.map_err(acme(&self.server, "finalizing the order"))?;
                    match read.status {
                        OrderStatus::Ready | OrderStatus::Pending => {
                            let again = self.account.finalize(&self.order, csr).await;
                            again.map_err(acme(&self.server, "finalizing the order"))?
                        }
                        _ => read,
                    }
                }
                Err(error) => return Err(acme(&self.server, "finalizing the order")(error)),
            };
        }
        if !is_done(&order.status) {
            let polled =
                self.account.poll_order(&self.order.url, &Poll::within(ISSUANCE_LIMIT), is_done).await;
            order = polled.map_err(acme(&self.server, "waiting for the certificate"))?;
        }
        let url = order.certificate.clone().filter(|_| order.status == OrderStatus::Valid);
        url.ok_or_else(|| CertificateError::Refused {
            server: self.server.to_string(),
            failures: vec![refused_as_a_whole(&order)],
        })
    }

    /// Downloads the certificate with all its chains.
    pub(super) async fn download(&self, url: &Url) -> Result<Vec<Certificate>, CertificateError> {
        let chains = self.account.certificate_chains(url).await;
        chains.map_err(acme(&self.server, "downloading the certificate"))
    }

    /// The CA's words for each name, with what the name servers show at this moment.
    async fn refused(
        &self,
        order: &Order,
        open: &[OpenAuthorization],
        solvers: &Solvers,
        placement: &Placement,
    ) -> CertificateError {
        let mut failures = Vec::new();
        for url in &order.authorizations {
            let Ok(authorization) = self.account.authorization(url).await else { continue };
            let problems = authorization
                .challenges
                .iter()
                .filter(|challenge| challenge.status == ChallengeStatus::Invalid)
                .filter_map(|challenge| challenge.error.as_ref());
            for problem in problems {
                let name = authorization.identifier.value().to_owned();
                let proof = open.iter().filter(|open| open.base == name).find_map(|open| match &open.shown {
                    Shown::Txt(proof) => Some(proof),
                    Shown::Web(_) | Shown::Standing(_) => None,
                });
                let seen = match (&solvers.dns, proof) {
                    (Some(dns), Some(proof)) => {
                        dns.seen(placement, &proof.name).await.iter().map(describe).collect()
                    }
                    _ => Vec::new(),
                };
                failures.push(Failure { name, problem: problem.to_string(), seen });
            }
        }
        if failures.is_empty() {
            failures.push(refused_as_a_whole(order));
        }
        CertificateError::Refused { server: self.server.to_string(), failures }
    }

    /// Tells which challenges are used, where that was left to us.
    pub(super) fn tell_choice(
        &self,
        service: &Service,
        cert: &CertName,
        proofs: &Proofs,
        open: &[OpenAuthorization],
    ) {
        let is_ours = |one: &&OpenAuthorization| {
            proofs.of(&one.base, one.wildcard).is_some_and(|proof| proof.challenge == ChallengeChoice::Auto)
        };
        for one in open.iter().filter(is_ours) {
            let challenge = one.kind.to_string();
            let name = format!("{}{}", if one.wildcard { "*." } else { "" }, one.base);
            service.progress.event(cert, Event::Chosen { name: &name, challenge: &challenge });
        }
    }
}

/// A challenge as it is told to people.
fn offer(challenge: &Challenge) -> String {
    match challenge.kind {
        _ if challenge.is_usable() => challenge.kind.to_string(),
        ChallengeType::DnsPersist01 => format!("{} without issuer names that can be used", challenge.kind),
        _ => format!("{} without a token that can be used", challenge.kind),
    }
}

fn refused_as_a_whole(order: &Order) -> Failure {
    let problem = order.error.as_ref().map_or("it gives no reason".to_owned(), ToString::to_string);
    Failure { name: "the order".to_owned(), problem, seen: Vec::new() }
}

fn describe(view: &ServerView) -> String {
    match &view.seen {
        Ok(values) if values.is_empty() => format!("{} shows no TXT value", view.at),
        Ok(values) => format!("{} shows {}", view.at, values.join(", ")),
        Err(error) => error.to_string(),
    }
}

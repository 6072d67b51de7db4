//! How an order stands, and what its names want shown.

use std::fmt;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use livecert_acme::{Authorization, AuthorizationStatus, Challenge, Order, OrderStatus};

use super::super::account::acme;
use super::super::order::{PlacedOrder, Shown};
use super::super::settings::Settings;
use super::super::{CertificateError, ServerUrl, Service, with_causes};
use super::request_of;
use crate::challenge::{Placement, Routes, Solvers};
use crate::plugin::WebProof;
use crate::store::{CertName, PendingOrder};

/// Requests under way at a time.
const SIDE_BY_SIDE: usize = 8;

/// How far an order is: the server's word (RFC 8555 §7.1.6), and what can be seen here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderStanding {
    /// Names are to be proved.
    Pending,
    /// All names are proved.
    Ready,
    /// The CA makes the certificate.
    Processing,
    /// There is a certificate to be downloaded.
    Valid,
    /// The CA has refused it.
    Invalid,
    /// Its time has passed.
    Expired,
    /// The server does not know it, or it is another account's.
    Gone,
    /// The server could not be asked; why, with its causes.
    Unknown(String),
    /// A word of the server that is not known here.
    Other(String),
}

impl OrderStanding {
    pub(super) fn of(order: &Order) -> Self {
        let expired = order.expires.is_some_and(|end| end <= Timestamp::now());
        match &order.status {
            OrderStatus::Pending | OrderStatus::Ready if expired => OrderStanding::Expired,
            OrderStatus::Pending => OrderStanding::Pending,
            OrderStatus::Ready => OrderStanding::Ready,
            OrderStatus::Processing => OrderStanding::Processing,
            OrderStatus::Valid => OrderStanding::Valid,
            OrderStatus::Invalid => OrderStanding::Invalid,
            other => OrderStanding::Other(other.to_string()),
        }
    }

    /// It in a word, as `--json` has it.
    pub fn word(&self) -> &str {
        match self {
            OrderStanding::Pending => "pending",
            OrderStanding::Ready => "ready",
            OrderStanding::Processing => "processing",
            OrderStanding::Valid => "valid",
            OrderStanding::Invalid => "invalid",
            OrderStanding::Expired => "expired",
            OrderStanding::Gone => "gone",
            OrderStanding::Unknown(_) => "unknown",
            OrderStanding::Other(word) => word,
        }
    }

    /// Whether it gives no certificate any more.
    pub fn is_over(&self) -> bool {
        matches!(self, OrderStanding::Invalid | OrderStanding::Expired | OrderStanding::Gone)
    }

    /// The step that comes next, where there is one.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            OrderStanding::Pending => Some("solve"),
            OrderStanding::Ready | OrderStanding::Processing => Some("finalize"),
            OrderStanding::Valid => Some("download"),
            _ => None,
        }
    }
}

impl fmt::Display for OrderStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderStanding::Gone => f.write_str("not known to the server for this account"),
            other => f.write_str(other.word()),
        }
    }
}

/// An open order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOrder {
    /// The certificate's name in the store.
    pub cert: CertName,
    /// Directory URL of the server.
    pub server: String,
    /// URL of the account that made it.
    pub account: String,
    /// The order's URL.
    pub url: String,
    /// The names that were ordered.
    pub names: Vec<String>,
    /// When it was made.
    pub made: Timestamp,
    /// Made by `order new`, and not left by a run of `issue` that did not come to its end.
    pub kept: bool,
    /// How far it is.
    pub standing: OrderStanding,
    /// Until when it can be used, where the server says so.
    pub expires: Option<Timestamp>,
    /// What the server says that is wrong with it.
    pub problem: Option<String>,
    /// Its authorizations.
    pub authorizations: Vec<OpenName>,
}

/// One authorization of an order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenName {
    /// The name, with `*.` for a wildcard.
    pub name: String,
    /// URL of the authorization.
    pub url: String,
    /// How far it is, in the server's word.
    pub status: String,
    /// Until when it can be used, where the server says so.
    pub expires: Option<Timestamp>,
    /// The challenge that is used; `None` where there is nothing to prove.
    pub challenge: Option<String>,
    /// URL of that challenge.
    pub challenge_url: Option<String>,
    /// What has to be shown; `None` where there is nothing to prove.
    pub to_show: Option<ToShow>,
    /// What the CA says that is wrong, or why no challenge can be used.
    pub problem: Option<String>,
}

/// What has to be shown for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToShow {
    /// A TXT value.
    Txt {
        /// The name that the CA looks at.
        name: String,
        /// Where CNAMEs lead from there, if that is known and elsewhere.
        at: Option<String>,
        /// The value.
        value: String,
    },
    /// A file.
    File {
        /// Its URL.
        url: String,
        /// Its content.
        content: String,
    },
    /// A certificate for `acme-tls/1`, which a program has to show.
    Certificate {
        /// The host.
        host: String,
    },
    /// Nothing: this record stands already.
    Standing {
        /// Where it is.
        at: String,
    },
}

/// What is needed to choose the challenges.
pub(super) struct Chooser<'a> {
    pub(super) settings: &'a Settings,
    pub(super) solvers: &'a Solvers,
    pub(super) placement: &'a Placement,
}

impl Service {
    /// The open order of a certificate, as its server has it at this moment; `None` if there is none.
    ///
    /// # Errors
    /// There is no such certificate. That a server cannot be asked is no error: then the order stands as
    /// [`OrderStanding::Unknown`].
    pub async fn open_order(&self, cert: &CertName) -> Result<Option<OpenOrder>, CertificateError> {
        match self.store.pending_order(cert)? {
            Some(pending) if !pending.url.is_empty() => Ok(Some(self.open_order_of(cert, &pending).await?)),
            _ => {
                self.store.find_removable(cert)?;
                Ok(None)
            }
        }
    }

    /// All open orders, in the order of their certificates.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open_orders(&self) -> Result<Vec<OpenOrder>, CertificateError> {
        let mut certs = self.store.cert_names()?;
        certs.extend(self.store.unfinished_names()?);
        certs.sort();
        let mut open = Vec::new();
        for cert in certs {
            match self.store.pending_order(&cert) {
                Ok(Some(pending)) if !pending.url.is_empty() => open.push((cert, pending)),
                Ok(_) => {}
                Err(error) => tracing::warn!(%cert, error = with_causes(&error), "its orders cannot be read"),
            }
        }
        let look = |(cert, pending): (CertName, PendingOrder)| async move {
            self.open_order_of(&cert, &pending).await
        };
        stream::iter(open).map(look).buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn open_order_of(
        &self,
        cert: &CertName,
        pending: &PendingOrder,
    ) -> Result<OpenOrder, CertificateError> {
        let asked = async {
            let server: ServerUrl = pending.server.parse()?;
            let Some(placed) = self.find_placed(&server, pending).await? else { return Ok(None) };
            Ok::<_, CertificateError>(Some(match self.settings_of(cert, pending)? {
                Some((settings, solvers)) => {
                    let placement = Placement::default();
                    let chooser = Chooser { settings: &settings, solvers: &solvers, placement: &placement };
                    self.look_at(cert, pending, &placed, Some(&chooser)).await?
                }
                None => self.look_at(cert, pending, &placed, None).await?,
            }))
        };
        Ok(match self.unless_interrupted(asked).await? {
            Ok(Some(open)) => open,
            Ok(None) => unseen(cert, pending, OrderStanding::Gone),
            Err(error) => unseen(cert, pending, OrderStanding::Unknown(with_causes(&error))),
        })
    }

    /// The settings that an order was made with, if they are stored, and solvers that only look.
    fn settings_of(
        &self,
        cert: &CertName,
        pending: &PendingOrder,
    ) -> Result<Option<(Settings, Solvers)>, CertificateError> {
        let Some(record) = self.store.find_record(cert)? else { return Ok(None) };
        if record.names != pending.names {
            return Ok(None);
        }
        let settings = Settings::new(&request_of(cert, &record)?, Some(&record))?;
        let nobody = (Vec::new(), Routes::default());
        let standing = settings.proofs.may_stand();
        let view = self.view(&settings.propagation)?;
        let solvers = Solvers::new(nobody, Vec::new(), standing, view, &settings.propagation);
        Ok(Some((settings, solvers)))
    }

    /// Asks the server for the authorizations, and chooses the challenges.
    pub(super) async fn look_at(
        &self,
        cert: &CertName,
        pending: &PendingOrder,
        placed: &PlacedOrder,
        chooser: Option<&Chooser<'_>>,
    ) -> Result<OpenOrder, CertificateError> {
        let order = &placed.order;
        let standing = OrderStanding::of(order);
        let look = |url: &url::Url| {
            let url = url.clone();
            let chooser = chooser.filter(|_| standing == OrderStanding::Pending);
            async move {
                let read = placed.account.authorization(&url).await;
                let read = read.map_err(acme(&placed.server, "reading an authorization"))?;
                Ok::<_, CertificateError>(open_name(placed, &read, chooser).await)
            }
        };
        let names: Vec<_> =
            stream::iter(order.authorizations.iter().map(look)).buffered(SIDE_BY_SIDE).collect().await;
        let mut authorizations = names.into_iter().collect::<Result<Vec<_>, _>>()?;
        // Some servers give them in another order each time.
        let place = |one: &OpenName| pending.names.iter().position(|name| *name == one.name);
        authorizations.sort_by_key(|one| place(one).unwrap_or(usize::MAX));
        Ok(OpenOrder {
            standing,
            expires: order.expires,
            problem: order.error.as_ref().map(ToString::to_string),
            authorizations,
            ..unseen(cert, pending, OrderStanding::Pending)
        })
    }
}

/// What is known of an order without its server.
fn unseen(cert: &CertName, pending: &PendingOrder, standing: OrderStanding) -> OpenOrder {
    OpenOrder {
        cert: cert.clone(),
        server: pending.server.clone(),
        account: pending.account.clone(),
        url: pending.url.clone(),
        names: pending.names.clone(),
        made: pending.made,
        kept: pending.kept,
        standing,
        expires: None,
        problem: None,
        authorizations: Vec::new(),
    }
}

impl OpenOrder {
    /// The command that comes next, where there is one.
    pub fn next_command(&self) -> Option<String> {
        let cert = &self.cert;
        match self.standing.next_step() {
            Some(step) => Some(format!("livecert order {step} {cert}")),
            None if self.standing.is_over() => Some(format!("livecert order remove {cert}")),
            None => None,
        }
    }

    /// The names that are still to be proved.
    pub fn open_names(&self) -> Vec<String> {
        let open = self.authorizations.iter().filter(|one| one.status != "valid");
        open.map(|one| one.name.clone()).collect()
    }
}

async fn open_name(
    placed: &PlacedOrder,
    authorization: &Authorization,
    chooser: Option<&Chooser<'_>>,
) -> OpenName {
    let failed = |challenge: &Challenge| challenge.error.as_ref().map(ToString::to_string);
    let wildcard = if authorization.wildcard { "*." } else { "" };
    let mut found = OpenName {
        name: format!("{wildcard}{}", authorization.identifier.value()),
        url: authorization.url.to_string(),
        status: authorization.status.to_string(),
        expires: authorization.expires,
        challenge: None,
        challenge_url: None,
        to_show: None,
        problem: authorization.challenges.iter().find_map(failed),
    };
    let Some(chooser) = chooser.filter(|_| authorization.status == AuthorizationStatus::Pending) else {
        return found;
    };
    let (base, wildcard) = (authorization.identifier.value(), authorization.wildcard);
    let candidates = chooser.settings.proofs.candidates(base, wildcard);
    match placed.choose(authorization, candidates, chooser.solvers).await {
        Ok(open) => {
            found.challenge = Some(open.kind.to_string());
            found.challenge_url = Some(open.challenge.to_string());
            found.to_show = Some(to_show(open.shown, chooser.placement));
        }
        Err(error) => found.problem = Some(with_causes(&error)),
    }
    found
}

fn to_show(shown: Shown, placement: &Placement) -> ToShow {
    match shown {
        Shown::Txt(proof) => {
            let records = placement.records(std::slice::from_ref(&proof));
            let at = records.into_iter().next().map(|record| record.fqdn);
            let at = at.filter(|at| *at != proof.name);
            ToShow::Txt { name: proof.name, at, value: proof.value }
        }
        Shown::Web(WebProof::HttpFile { host, token, body }) => {
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            let url = format!("http://{host}/.well-known/acme-challenge/{token}");
            ToShow::File { url, content: body }
        }
        Shown::Web(WebProof::AlpnCertificate { host, .. }) => ToShow::Certificate { host },
        Shown::Standing(standing) => ToShow::Standing { at: standing.at },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_word_and_a_next_step_or_is_over() {
        let all = [
            (OrderStanding::Pending, "pending", Some("solve")),
            (OrderStanding::Ready, "ready", Some("finalize")),
            (OrderStanding::Processing, "processing", Some("finalize")),
            (OrderStanding::Valid, "valid", Some("download")),
            (OrderStanding::Invalid, "invalid", None),
            (OrderStanding::Expired, "expired", None),
            (OrderStanding::Gone, "gone", None),
        ];
        for (standing, word, next) in all {
            assert_eq!((standing.word(), standing.next_step()), (word, next));
            assert_eq!(standing.is_over(), next.is_none(), "{word}");
        }
        assert!(!OrderStanding::Unknown("no route".into()).is_over());
    }
}

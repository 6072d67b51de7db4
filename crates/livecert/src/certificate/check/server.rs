//! The ACME server before an order: whether it answers, knows us, and would take what is asked for.

use livecert_acme::Server;

use super::super::{CertificateError, IssueRequest, ServerUrl, Service, with_causes};
use super::{Finding, Level, Settings};
use crate::store::{AccountRecord, CertName, StoreError};

/// Servers and clients whose clocks differ by more than this refuse each other's signatures and certificates.
const CLOCK_LIMIT: i64 = 60;

impl Service {
    pub(super) async fn look_at_server(
        &self,
        url: &ServerUrl,
        request: &IssueRequest,
        stored: &Result<Option<AccountRecord>, StoreError>,
    ) -> (Option<Server>, Vec<Finding>) {
        let accepted = request.accept_tos;
        let about = url.as_str();
        let mut findings = Vec::new();
        let server = match self.connect_to_look(url).await {
            Ok(server) => server,
            Err(error) => {
                let next = "check the URL, the network and this machine's DNS";
                return (None, vec![Finding::new(Level::Bad, "acme", about, with_causes(&error), next)]);
            }
        };
        findings.push(Finding::good("acme", about, "answers"));
        let meta = &server.directory().meta;
        match stored {
            Ok(Some(account)) if account.url.is_some() => {
                findings.push(Finding::good("account", about, account.url.clone().unwrap_or_default()));
                findings.extend(look_at_terms(&server, account.terms.as_deref()));
            }
            Ok(_) if meta.external_account_required && request.external_account.is_none() => {
                findings.push(Finding::new(
                    Level::Bad,
                    "account",
                    about,
                    "new accounts need an external account binding",
                    "give --eab-kid and --eab-hmac-key, which the CA shows in your account there",
                ));
            }
            Ok(_) if server.terms_of_service().is_some() && !accepted => {
                let what = format!(
                    "there is no account yet, and its terms have to be accepted: {}",
                    server.terms_of_service().unwrap_or_default()
                );
                findings.push(Finding::new(
                    Level::Bad,
                    "terms",
                    about,
                    what,
                    "read them, then give --accept-tos",
                ));
            }
            Ok(_) => findings.push(Finding::good("account", about, "will be made")),
            Err(error) => findings.push(Finding::new(
                Level::Bad,
                "account",
                about,
                with_causes(error),
                "bring the file back from a backup, or remove it for a new account",
            )),
        }
        findings.extend(look_at_clock(&server));
        (Some(server), findings)
    }

    /// Whether the server wants to be left alone for this certificate.
    pub(super) fn look_at_hold(&self, cert: &CertName, settings: &Settings) -> Option<Finding> {
        let names = settings.name_texts();
        let url = settings.home().as_str();
        let end = self.store.current(cert).ok().flatten().map(|current| current.info.not_after);
        let hold = self.hold(cert, url, &names, end)?;
        let what = format!("does not want to be asked before {:.0}: {}", hold.until, hold.words);
        let next = "wait until then, or give another server too (--server, repeated)";
        Some(Finding::new(Level::Bad, "rate-limit", url, what, next))
    }

    /// The limits of the server that our own requests have used up.
    pub(super) fn look_at_limits(&self, cert: &CertName, settings: &Settings) -> Option<Finding> {
        let current = self.store.current(cert).ok().flatten();
        let reached = self.within_limits(cert, settings.home(), settings, current.as_ref());
        let CertificateError::LimitReached { reached, .. } = reached.err()? else { return None };
        let next = "wait until then, or give another server too (--server, repeated); `livecert limits` shows the rest";
        Some(Finding::new(Level::Bad, "rate-limit", settings.home().as_str(), reached.to_string(), next))
    }
}

/// The clock against the server's.
pub(super) fn look_at_clock(server: &Server) -> Option<Finding> {
    let skew = server.clock_skew()?.as_secs();
    if skew.abs() <= CLOCK_LIMIT {
        let what = format!("within {CLOCK_LIMIT} s of the server's");
        return Some(Finding::good("clock", server.url(), what));
    }
    let side = if skew > 0 { "ahead of" } else { "behind" };
    let what = format!("this machine's clock is {} s {side} the server's", skew.abs());
    let next = "certificates would seem expired or not yet valid: start a time service";
    Some(Finding::new(Level::Bad, "clock", server.url(), what, next))
}

/// The server's terms against those that were accepted.
pub(super) fn look_at_terms(server: &Server, accepted: Option<&str>) -> Option<Finding> {
    let (then, now) = (accepted?, server.terms_of_service()?);
    let what = format!("the terms of service have changed: {now}");
    let next = "the CA may refuse orders until they are accepted: read them, then run `livecert account update --accept-tos`";
    (then != now).then(|| Finding::new(Level::Soon, "terms", server.url(), what, next))
}

pub(super) fn look_at_profile(settings: &Settings, server: &Server) -> Option<Finding> {
    let offered = &server.directory().meta.profiles;
    let all = offered.keys().cloned().collect::<Vec<_>>().join(", ");
    match (&settings.profile, &settings.preferred_profile) {
        (Some(profile), _) if !offered.contains_key(profile) => {
            let what = format!("is not offered (offered: {all})");
            let next = "the order would be refused: `livecert server profiles` shows what there is";
            Some(Finding::new(Level::Bad, "profile", profile, what, next))
        }
        (Some(profile), _) => Some(Finding::good("profile", profile, "is offered")),
        (None, Some(profile)) if !offered.contains_key(profile) => {
            let what = format!("is not offered, and is left out (offered: {all})");
            Some(Finding::good("profile", profile, what))
        }
        (None, Some(profile)) => Some(Finding::good("profile", profile, "is offered")),
        (None, None) => None,
    }
}

//! The ACME server before an order: whether it answers, knows us, and would take what is asked for.

use std::time::Duration;

use jiff::Timestamp;
use livecert_acme::Server;

use super::super::{IssueRequest, ServerUrl, Service, with_causes};
use super::{Finding, Level, Settings};
use crate::store::CertName;

/// Servers and clients whose clocks differ by more than this refuse each other's signatures and certificates.
const CLOCK_LIMIT: i64 = 60;

impl Service {
    pub(super) async fn look_at_server(
        &self,
        url: &ServerUrl,
        request: &IssueRequest,
    ) -> (Option<Server>, Vec<Finding>) {
        let accepted = request.accept_tos;
        let about = url.as_str();
        let (server, clock) = tokio::join!(self.connect(url), self.look_at_clock(about));
        let mut findings = Vec::new();
        let server = match server {
            Ok(server) => server,
            Err(error) => {
                let next = "check the URL, the network and this machine's DNS";
                return (None, vec![Finding::new(Level::Bad, "acme", about, with_causes(&error), next)]);
            }
        };
        findings.push(Finding::good("acme", about, "answers"));
        let meta = &server.directory().meta;
        match self.store.account(about) {
            Ok(Some(account)) if account.url.is_some() => {
                findings.push(Finding::good("account", about, account.url.unwrap_or_default()));
                let (then, now) = (account.terms.as_deref(), server.terms_of_service());
                if then.is_some() && now.is_some() && then != now {
                    let what = format!("the terms of service have changed: {}", now.unwrap_or_default());
                    let next = "the CA may refuse orders until they are accepted: read them";
                    findings.push(Finding::new(Level::Soon, "terms", about, what, next));
                }
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
                with_causes(&error),
                "bring the file back from a backup, or remove it for a new account",
            )),
        }
        findings.extend(clock);
        (Some(server), findings)
    }

    /// The clock against the server's `Date` (RFC 9110 §6.6.1).
    async fn look_at_clock(&self, url: &str) -> Option<Finding> {
        let answer = self.surroundings.http.head(url).timeout(Duration::from_secs(10)).send().await.ok()?;
        let date = answer.headers().get("date")?.to_str().ok()?;
        let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        let skew = Timestamp::now().duration_since(theirs).as_secs();
        if skew.abs() <= CLOCK_LIMIT {
            return Some(Finding::good("clock", url, format!("within {CLOCK_LIMIT} s of the server's")));
        }
        let side = if skew > 0 { "ahead of" } else { "behind" };
        let what = format!("this machine's clock is {} s {side} the server's", skew.abs());
        let next = "certificates would seem expired or not yet valid: start a time service";
        Some(Finding::new(Level::Bad, "clock", url, what, next))
    }

    /// Whether the server wants to be left alone for this certificate.
    pub(super) fn look_at_hold(&self, cert: &CertName, settings: &Settings) -> Option<Finding> {
        let names: Vec<_> = settings.names.iter().map(|name| name.as_str().to_owned()).collect();
        let url = settings.home().as_str();
        let hold = self.store.hold(cert, url, &names)?;
        let what = format!("does not want to be asked before {:.0}: {}", hold.until, hold.words);
        let next = "wait until then, or give another server too (--server, repeated)";
        Some(Finding::new(Level::Bad, "rate-limit", url, what, next))
    }
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

//! Everything that can be known before an order exists: what `check` shows, and what stops `issue` early.

mod caa;
mod publication;
mod server;

use futures_util::future::join_all;

use super::settings::Settings;
use super::{CertificateError, IssueRequest, Service, with_causes};
use crate::challenge::validation_name;
use crate::dns::Located;
use crate::progress::Event;
use crate::store::CertName;

pub use caa::CaaRefusal;
pub(super) use caa::CaaSets;
use publication::{look_at_credential, look_at_host, look_at_standing, look_at_zones};
use server::{look_at_clock, look_at_profile, look_at_terms};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// It could not be found out.
    Unknown,
    /// It works, and needs a person soon.
    Soon,
    /// An issue would fail.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What kind of thing, such as `caa`.
    pub kind: &'static str,
    /// What it is about: a name, a zone, a server.
    pub about: String,
    /// What was found.
    pub what: String,
    /// Why it matters, and what to do; empty where it is good.
    pub next: String,
}

impl Finding {
    fn new(level: Level, kind: &'static str, about: &str, what: impl Into<String>, next: &str) -> Self {
        Finding { level, kind, about: about.to_owned(), what: what.into(), next: next.to_owned() }
    }

    fn good(kind: &'static str, about: &str, what: impl Into<String>) -> Self {
        Finding::new(Level::Good, kind, about, what, "")
    }
}

impl Service {
    /// Looks at everything that an issue with this request needs. Nothing is changed, unless `write_probe` asks for a
    /// TXT value beside the first name's proof that is written and removed.
    ///
    /// # Errors
    /// The words or the stored settings are wrong, or a credential cannot be read. All else is a finding.
    pub async fn check(
        &self,
        request: &IssueRequest,
        write_probe: bool,
    ) -> Result<Vec<Finding>, CertificateError> {
        let cert = request.check()?;
        let stored = self.store.find_record(&cert)?;
        let settings = self.settings(request, stored.as_ref())?;
        let ready = self.ready(&cert, &settings).await?;
        let (solvers, dns) = (&ready.solvers, ready.dns());
        let home = self.store.home().display().to_string();
        let mut findings = vec![Finding::good("state-folder", &home, "can be written")];

        let account = self.store.account(settings.home().as_str())?.and_then(|account| account.url);
        let bases = settings.domains();
        // Where an account is still to be made, its label is not known, and the common name stands for it.
        let mut names = settings.likely_validation_names(account.as_deref());
        if names.is_empty() {
            names = bases.iter().map(|base| validation_name(base)).collect();
        }
        let looking = async {
            let acme = self.look_at_server(settings.home(), request);
            let published = async {
                let located = match &solvers.dns {
                    Some(solver) => join_all(names.iter().map(|name| solver.locate(name))).await,
                    None => Vec::new(),
                };
                // Where an alias leads, there the credential has to do.
                let place = |(name, located): (&String, &Result<Located, _>)| {
                    located.as_ref().map_or_else(|_| name.clone(), |located| located.fqdn.clone())
                };
                let places: Vec<String> = names.iter().zip(&located).map(place).collect();
                let credential = match dns {
                    Some(plugin) => plugin.credential(&places).await,
                    None => None,
                };
                (located, credential)
            };
            tokio::join!(acme, published)
        };
        let ((server, said), (located, credential)) = self.unless_interrupted(looking).await?;
        findings.extend(said);
        findings.extend(credential.iter().flat_map(look_at_credential));
        findings.extend(self.look_at_hold(&cert, &settings));
        if let Some(server) = &server {
            findings.extend(look_at_profile(&settings, server));
        }
        if let Some(web) = &solvers.web {
            findings.push(look_at_host(&settings, web.as_ref()).await);
        }
        if let (Some(view), Some(server)) = (&solvers.standing, &server) {
            findings.extend(look_at_standing(&settings, view, server, account.as_deref()).await);
        }

        let mut placed = Vec::new();
        for ((base, wanted), located) in bases.iter().zip(&names).zip(located) {
            match located {
                Ok(located) => {
                    let at = located.fqdn.as_str();
                    if wanted != at {
                        let what = format!("{wanted} is a CNAME; the proof is written at {at}");
                        findings.push(Finding::good("alias", base, what));
                    }
                    placed.push((base.clone(), located));
                }
                Err(error) => findings.push(Finding::new(
                    Level::Bad,
                    "dns",
                    base,
                    with_causes(&error),
                    "the CA will not find the proof either: mend the delegation or the CNAME",
                )),
            }
        }
        let resolver = self.resolver(&settings)?;
        let work = async {
            let zones = async {
                match dns {
                    Some(plugin) => look_at_zones(plugin.as_ref(), &placed, &resolver).await,
                    None => Vec::new(),
                }
            };
            tokio::join!(zones, self.look_at_caa(&settings, server.as_ref(), &placed))
        };
        let (zones, caa) = self.unless_interrupted(work).await?;
        findings.extend(zones);
        findings.extend(caa);
        if write_probe
            && dns.is_some()
            && let Some((base, _)) = placed.first()
        {
            findings.push(self.probe(request, &settings, base).await);
        }
        Ok(findings)
    }

    /// What an issue sees on its way, and a person should hear of although it goes on.
    pub(super) async fn tell_of_doubts(
        &self,
        cert: &CertName,
        settings: &Settings,
        server: &livecert_acme::Server,
        sets: &CaaSets,
    ) {
        let stored = self.store.account(server.url()).ok().flatten();
        let terms = stored.and_then(|account| account.terms);
        let mut findings = Vec::new();
        findings.extend(look_at_clock(server));
        findings.extend(look_at_terms(server, terms.as_deref()));
        findings.extend(self.look_at_silent_caa(settings, sets).await);
        for finding in findings.iter().filter(|finding| finding.level > Level::Good) {
            self.progress.event(cert, Event::Doubt { finding });
        }
    }
}

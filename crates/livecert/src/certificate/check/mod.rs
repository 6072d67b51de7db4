//! Everything that can be known before an order exists: what `check` shows, and what stops `issue` early.

mod caa;
mod publication;
mod server;

use futures_util::future::join_all;

use super::settings::Settings;
use super::{CertificateError, IssueRequest, Service, with_causes};
use crate::challenge::{ChallengeError, Placed};
use crate::progress::Event;
use crate::store::CertName;

pub use caa::CaaRefusal;
pub(super) use caa::{CaaSets, named_resolvers};
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

/// A name whose proof cannot be written.
fn not_placed(base: &str, error: &ChallengeError) -> Finding {
    let (kind, next) = match error {
        ChallengeError::NoWriter { .. } => {
            ("zone", "give a credential for that zone: --plugin-arg LABEL:KEY=SOURCE with --zone ZONE=LABEL")
        }
        ChallengeError::Alias { .. } => {
            ("alias", "the CA will not find the proof: make the CNAME, or leave the alias out")
        }
        _ => ("dns", "the CA will not find the proof either: mend the delegation or the CNAME"),
    };
    // The source alone where the error only repeats the name.
    let what = match error {
        ChallengeError::Authority { source, .. } => with_causes(source),
        error => with_causes(error),
    };
    Finding::new(Level::Bad, kind, base, what, next)
}

/// Where one of the writers has to write: where an alias leads, there its credential has to do. A name whose place is
/// not known is asked about where there is only one to ask.
fn places(
    wanted: &[String],
    placed: &[Result<Placed, ChallengeError>],
    writer: usize,
    writers: usize,
) -> Vec<String> {
    let place = |(name, placed): (&String, &Result<Placed, ChallengeError>)| match placed {
        Ok(placed) => (placed.writer == writer).then(|| placed.located.fqdn.clone()),
        Err(_) => (writers == 1).then(|| name.clone()),
    };
    wanted.iter().zip(placed).filter_map(place).collect()
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
        let (solvers, writers) = (&ready.solvers, ready.writers());
        let home = self.store.home().display().to_string();
        let mut findings = vec![Finding::good("state-folder", &home, "can be written")];

        let current = self.store.current(&cert).ok().flatten();
        let stored = self.account_for(settings.home(), &settings, current.as_ref());
        let account = stored.as_ref().ok().and_then(|stored| stored.as_ref()?.url.clone());
        // Where an account is still to be made, its label is not known, and the common name stands for it.
        let names = settings.proofs.validation_names(account.as_deref());
        let looking = async {
            let acme = self.look_at_server(settings.home(), request, &stored);
            let published = async {
                let wanted: Vec<_> = names.iter().map(|(_, name)| name.clone()).collect();
                let placed = match &solvers.dns {
                    Some(solver) => solver.place(&wanted).await,
                    None => Vec::new(),
                };
                let credentials = join_all(writers.iter().enumerate().map(|(number, writer)| {
                    let places = places(&wanted, &placed, number, writers.len());
                    async move { writer.plugin.credential(&places).await }
                }));
                let credentials = credentials.await;
                (placed, credentials)
            };
            tokio::join!(acme, published)
        };
        let ((server, said), (located, credentials)) = self.unless_interrupted(looking).await?;
        findings.extend(said);
        for (writer, report) in writers.iter().zip(&credentials) {
            let whose = (writers.len() > 1).then_some(writer.name.as_str());
            findings.extend(report.iter().flat_map(|report| look_at_credential(report, whose)));
        }
        findings.extend(self.look_at_hold(&cert, &settings));
        findings.extend(self.look_at_limits(&cert, &settings));
        if let Some(server) = &server {
            findings.extend(look_at_profile(&settings, server));
        }
        for shower in solvers.web.iter().flat_map(|web| &web.showers) {
            findings.push(look_at_host(shower).await);
        }
        if let (Some(view), Some(server)) = (&solvers.standing, &server) {
            findings.extend(look_at_standing(&settings, view, server, account.as_deref()).await);
        }

        let mut placed = Vec::new();
        for ((base, wanted), found) in names.iter().zip(located) {
            match found {
                Ok(found) => {
                    let at = found.located.fqdn.as_str();
                    if wanted != at {
                        let what = format!("{wanted} is a CNAME; the proof is written at {at}");
                        findings.push(Finding::good("alias", base, what));
                    }
                    if writers.len() > 1 {
                        let writer = &writers[found.writer].name;
                        findings.push(Finding::good("publisher", base, format!("{writer} writes the proof")));
                    }
                    placed.push((base.clone(), found));
                }
                Err(error) => findings.push(not_placed(base, &error)),
            }
        }
        let resolver = self.resolver(&settings)?;
        let work = async {
            let zones = async {
                match writers {
                    [] => Vec::new(),
                    _ => look_at_zones(&placed, writers, &resolver).await,
                }
            };
            tokio::join!(zones, self.look_at_caa(&settings, server.as_ref(), account.as_deref(), &placed))
        };
        let (zones, caa) = self.unless_interrupted(work).await?;
        findings.extend(zones);
        findings.extend(caa);
        if write_probe {
            // One value for each that writes.
            for (number, writer) in writers.iter().enumerate() {
                let own = placed.iter().find(|(_, placed)| placed.writer == number);
                let publisher =
                    settings.proofs.publishers.iter().find(|one| one.name.to_string() == writer.name);
                if let (Some((base, _)), Some(publisher)) = (own, publisher) {
                    findings.push(self.probe(request, &settings, publisher, base).await);
                }
            }
        }
        Ok(findings)
    }

    /// What an issue sees on its way, and a person should hear of although it goes on.
    pub(super) async fn tell_of_doubts(
        &self,
        cert: &CertName,
        settings: &Settings,
        account: &livecert_acme::Account,
        sets: &CaaSets,
    ) {
        let server = account.server();
        let stored = self.store.account_called(server.url(), Some(account.url().as_str())).ok().flatten();
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

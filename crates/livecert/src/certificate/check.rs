//! Everything that can be known before an order exists: what `check` shows, and what stops `issue` early.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use jiff::Timestamp;
use livecert_acme::Server;

use super::credential::WARN_DAYS;
use super::handover::{Care, HookRequest};
use super::settings::Settings;
use super::{CertificateError, IssueRequest, PropagationRequest, ServerUrl, Service, with_causes};
use crate::challenge::{
    ChallengeError, DnsView, Placement, PropagationSettings, StandingWish, standing_name, validation_name,
};
use crate::dns::{CaaApplicant, CaaError, CaaSet, Health, Located, Resolver, find_caa};
use crate::plugin::{CredentialReport, CredentialState, Plugin, Survey, TxtRecord, WebPlugin};
use crate::store::CertName;

/// Names whose CAA records are looked for at a time.
const SIDE_BY_SIDE: usize = 16;
/// How long an issue waits for CAA records; the CA looks at them in any case.
const CAA_LIMIT: Duration = Duration::from_secs(3);
/// Servers and clients whose clocks differ by more than this refuse each other's signatures and certificates.
const CLOCK_LIMIT: i64 = 60;

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

/// CAA records that do not allow the CA.
#[derive(Debug, Clone)]
pub struct CaaRefusal {
    /// The name for which a certificate is wanted.
    pub name: String,
    /// The records that count.
    pub set: CaaSet,
}

impl std::fmt::Display for CaaRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let record = |record: &crate::dns::CaaRecord| format!("{} \"{}\"", record.tag, record.value);
        let records: Vec<_> = self.set.records.iter().map(record).collect();
        write!(f, "{} (at {}: {})", self.name, self.set.domain, records.join(", "))
    }
}

/// What public DNS says about CAA for each base name.
pub(super) type CaaSets = Vec<(String, Result<Option<CaaSet>, CaaError>)>;

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
        let settings = Settings::new(request, stored.as_ref())?;
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
            let located = async {
                match &solvers.dns {
                    Some(solver) => join_all(names.iter().map(|name| solver.locate(name))).await,
                    None => Vec::new(),
                }
            };
            let credential = async {
                match dns {
                    Some(plugin) => plugin.credential(&names).await,
                    None => None,
                }
            };
            tokio::join!(acme, located, credential)
        };
        let ((server, said), located, credential) = self.unless_interrupted(looking).await?;
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

    async fn look_at_server(
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

    async fn look_at_caa(
        &self,
        settings: &Settings,
        server: Option<&Server>,
        placed: &[(String, Located)],
    ) -> Vec<Finding> {
        let Some(server) = server else { return Vec::new() };
        let identities = &server.directory().meta.caa_identities;
        let Ok(resolver) = self.resolver(settings) else { return Vec::new() };
        let domains = settings.domains();
        let zones = domains.iter().map(|base| {
            let located = placed.iter().find(|(other, _)| other == base);
            (base.as_str(), located.map_or(base.as_str(), |(_, located)| located.authority.zone.as_str()))
        });
        let sets = caa_sets(&resolver, zones).await;
        let refusals = self.caa_refusals(settings, settings.home(), server, &sets);
        let mut findings = Vec::new();
        for (base, set) in &sets {
            match set {
                Err(error) => findings.push(Finding::new(
                    Level::Bad,
                    "caa",
                    base,
                    with_causes(error),
                    "a CA that cannot read CAA records must refuse: mend the name servers",
                )),
                Ok(None) => findings.push(Finding::good("caa", base, "no records: every CA is allowed")),
                Ok(Some(set)) if identities.is_empty() => findings.push(Finding::new(
                    Level::Unknown,
                    "caa",
                    base,
                    format!("there are records at {}, and the CA does not tell its name", set.domain),
                    "see that they name the CA",
                )),
                Ok(Some(set)) => {
                    let refused = refusals.iter().filter(|refusal| refusal.set == *set);
                    let refused: Vec<_> = refused.map(ToString::to_string).collect();
                    findings.push(if refused.is_empty() {
                        Finding::good(
                            "caa",
                            base,
                            format!("the records at {} allow {}", set.domain, identities[0]),
                        )
                    } else {
                        let what =
                            format!("the records do not allow {}: {}", identities[0], refused.join("; "));
                        let next = format!(
                            "the CA will refuse: add `{}. CAA 0 issue \"{}\"`",
                            set.domain, identities[0]
                        );
                        Finding::new(Level::Bad, "caa", base, what, &next)
                    });
                }
            }
        }
        findings
    }

    /// The names for which CAA does not allow the server. What could not be looked up, or has no name to compare with,
    /// is left to the CA.
    fn caa_refusals(
        &self,
        settings: &Settings,
        url: &ServerUrl,
        server: &Server,
        sets: &CaaSets,
    ) -> Vec<CaaRefusal> {
        let identities = &server.directory().meta.caa_identities;
        if identities.is_empty() {
            return Vec::new();
        }
        let account = self.store.account(url.as_str()).ok().flatten();
        let account = account.and_then(|account| account.url);
        let methods: Vec<_> = settings.candidates.iter().map(ToString::to_string).collect();
        let applicant = CaaApplicant { identities, account: account.as_deref(), methods: &methods };
        let mut refusals = Vec::new();
        for name in &settings.names {
            let set = sets.iter().find(|(base, _)| base == name.base()).map(|(_, set)| set);
            if let Some(Ok(Some(set))) = set
                && !set.allows(&applicant, name.is_wildcard())
            {
                refusals.push(CaaRefusal { name: name.to_string(), set: set.clone() });
            }
        }
        refusals
    }

    /// The CAA records for an issue, with what its solver has found.
    pub(super) async fn caa_of(&self, settings: &Settings, placement: &Placement) -> CaaSets {
        let Ok(resolver) = self.resolver(settings) else { return Vec::new() };
        let domains = settings.domains();
        let zones = domains
            .iter()
            .map(|base| (base.as_str(), placement.zone(&validation_name(base)).unwrap_or(base)));
        let looking = caa_sets(&resolver, zones);
        tokio::time::timeout(CAA_LIMIT, looking).await.unwrap_or_default()
    }

    /// Stops an issue that CAA forbids, before there is an order.
    pub(super) fn obey_caa(
        &self,
        settings: &Settings,
        url: &ServerUrl,
        server: &Server,
        sets: &CaaSets,
    ) -> Result<(), CertificateError> {
        let refusals = self.caa_refusals(settings, url, server, sets);
        if refusals.is_empty() {
            return Ok(());
        }
        let identity = server.directory().meta.caa_identities.first().cloned().unwrap_or_default();
        Err(CertificateError::Caa { identity, refusals })
    }

    fn resolver(&self, settings: &Settings) -> Result<Resolver, CertificateError> {
        let PropagationSettings { resolvers, authoritative, .. } = &settings.propagation;
        // Whoever names the servers to ask does not want the system's resolvers to be asked.
        let named = if resolvers.is_empty() {
            authoritative.iter().map(|&address| address.into()).collect()
        } else {
            resolvers.clone()
        };
        Resolver::new(&named, &self.surroundings.http).map_err(|error| ChallengeError::from(error).into())
    }

    /// Whether the server wants to be left alone for this certificate.
    fn look_at_hold(&self, cert: &CertName, settings: &Settings) -> Option<Finding> {
        let names: Vec<_> = settings.names.iter().map(|name| name.as_str().to_owned()).collect();
        let url = settings.home().as_str();
        let hold = self.store.hold(cert, url, &names)?;
        let what = format!("does not want to be asked before {:.0}: {}", hold.until, hold.words);
        let next = "wait until then, or give another server too (--server, repeated)";
        Some(Finding::new(Level::Bad, "rate-limit", url, what, next))
    }

    /// Writes a value that nobody looks for, and removes it.
    async fn probe(&self, request: &IssueRequest, settings: &Settings, base: &str) -> Finding {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(20).collect();
        let fqdn = validation_name(base);
        let hook = HookRequest {
            fqdn: fqdn.clone(),
            value: format!("livecert-probe-{random}"),
            plugin: settings.plugin,
            arguments: settings.arguments.clone(),
            propagation: PropagationRequest {
                resolvers: settings.propagation.resolvers.clone(),
                authoritative: settings.propagation.authoritative.clone(),
                ..request.propagation.clone()
            },
            wait: false,
            care: Care::Hook,
        };
        let place = super::work::place(&request.check().unwrap_or_else(|_| (&settings.names[0]).into()));
        let done = async {
            self.add_value_at(&hook, &place).await?;
            self.remove_value_at(&hook, &place).await
        };
        match done.await {
            Ok(_) => Finding::good("write-probe", &fqdn, "a value was written and removed"),
            Err(error) => Finding::new(
                Level::Bad,
                "write-probe",
                &fqdn,
                with_causes(&error),
                "the proof cannot be written either; `livecert token check` may tell why",
            ),
        }
    }
}

/// Whether the host can show what the plugin is for.
async fn look_at_host(settings: &Settings, web: &dyn WebPlugin) -> Finding {
    let plugin = settings.plugin.name;
    match web.prepare(&settings.web_kinds()).await {
        Ok(()) => Finding::good("host", plugin, "proofs can be shown on this machine"),
        Err(error) => {
            let next = "the CA will not find the proof: mend that, or use another plugin";
            Finding::new(Level::Bad, "host", plugin, with_causes(&error), next)
        }
    }
}

fn look_at_profile(settings: &Settings, server: &Server) -> Option<Finding> {
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

/// How long before its end a standing record needs a person.
const STANDING_WARNING: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// The standing records of dns-persist-01.
async fn look_at_standing(
    settings: &Settings,
    view: &DnsView,
    server: &Server,
    account: Option<&str>,
) -> Vec<Finding> {
    let required = settings.candidates.iter().all(|kind| *kind == livecert_acme::ChallengeType::DnsPersist01);
    let level = if required { Level::Bad } else { Level::Good };
    let issuers = &server.directory().meta.caa_identities;
    let mut findings = Vec::new();
    for base in settings.domains() {
        let at = standing_name(&base);
        let wildcard = settings.names.iter().any(|name| name.is_wildcard() && name.base() == base);
        let Some(account) = account else {
            let next = "issue once in another way, or make the account with `livecert account new`";
            findings.push(Finding::new(
                level,
                "standing-record",
                &at,
                "there is no account to name yet",
                next,
            ));
            continue;
        };
        let wish = StandingWish { base: &base, wildcard, issuers: Some(issuers), account };
        findings.push(match view.standing(&wish).await {
            Ok(Some(found)) => match found.record.until {
                Some(until) if until.duration_since(Timestamp::now()) < STANDING_WARNING => {
                    let what = format!("ends at {until:.0}");
                    let next = "write it anew with `livecert persist publish`";
                    Finding::new(Level::Soon, "standing-record", &found.at, what, next)
                }
                _ => Finding::good("standing-record", &found.at, format!("stands: {}", found.record)),
            },
            Ok(None) if issuers.is_empty() => {
                let what = "cannot be told: the server does not say its name before there is an order";
                Finding::new(Level::Unknown, "standing-record", &at, what, "")
            }
            Ok(None) => {
                let next = "write it with `livecert persist publish`";
                Finding::new(
                    level,
                    "standing-record",
                    &at,
                    "none that lets this account have certificates",
                    next,
                )
            }
            Err(error) => {
                let next = "mend the delegation or the CNAME";
                Finding::new(level, "standing-record", &at, with_causes(&error), next)
            }
        });
    }
    findings
}

async fn caa_sets<'a>(resolver: &Resolver, bases: impl Iterator<Item = (&'a str, &'a str)>) -> CaaSets {
    let find = |(base, zone): (&str, &str)| {
        let (base, zone) = (base.to_owned(), zone.to_owned());
        async move {
            let found = find_caa(resolver, &base, &zone).await;
            (base, found)
        }
    };
    let bases: Vec<_> = bases.map(find).collect();
    stream::iter(bases).buffered(SIDE_BY_SIDE).collect().await
}

fn look_at_credential(report: &CredentialReport) -> Vec<Finding> {
    let name = report.name.as_deref().map(|name| format!(" '{name}'")).unwrap_or_default();
    let about = format!("{}{name}", report.kind);
    let mut findings = Vec::new();
    match &report.state {
        CredentialState::Valid => findings.push(Finding::good("credential", &about, "is valid")),
        CredentialState::Refused(error) => findings.push(Finding::new(
            Level::Bad,
            "credential",
            &about,
            with_causes(error),
            "make a new one at account.gandi.net (docs/gandi.md shows how)",
        )),
        CredentialState::Unknown(error) => findings.push(Finding::new(
            Level::Unknown,
            "credential",
            &about,
            with_causes(error),
            "try again later; see status.gandi.net",
        )),
    }
    if let Some(expires) = report.expires {
        let days = expires.duration_since(Timestamp::now()).as_hours().div_euclid(24);
        let (what, next) = (format!("ends in {days} days ({expires:.0})"), "run `livecert token renew`");
        findings.push(match days {
            ..0 => Finding::new(Level::Bad, "credential-end", &about, format!("ended at {expires:.0}"), next),
            0..WARN_DAYS => Finding::new(Level::Soon, "credential-end", &about, what, next),
            _ => Finding::good("credential-end", &about, what),
        });
    }
    for scope in &report.lacks {
        let next = "make a token with 'Manage domain name technical configurations'";
        findings.push(Finding::new(Level::Bad, "permission", &about, format!("it lacks {scope}"), next));
    }
    for (name, error) in &report.uncovered {
        let next = "see that the domain uses LiveDNS, and that the token may see it";
        findings.push(Finding::new(Level::Bad, "zone", name, with_causes(error), next));
    }
    findings
}

async fn look_at_zones(
    plugin: &dyn Plugin,
    placed: &[(String, Located)],
    resolver: &Resolver,
) -> Vec<Finding> {
    let mut zones: Vec<&str> = placed.iter().map(|(_, located)| located.authority.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let health = join_all(zones.iter().map(|zone| resolver.health(zone)));
    let record = |(_, located): &(String, Located)| TxtRecord {
        fqdn: located.fqdn.clone(),
        value: String::new(),
        apex: Some(located.authority.zone.clone()),
    };
    let records: Vec<_> = placed.iter().map(record).collect();
    let (health, surveys) = tokio::join!(health, plugin.survey(&records));
    let mut findings = Vec::new();
    for (zone, health) in zones.iter().zip(health) {
        findings.push(match health {
            Health::Good => Finding::good("resolution", zone, "a resolver answers for it"),
            Health::SignaturesBroken => Finding::new(
                Level::Bad,
                "dnssec",
                zone,
                "its DNSSEC is broken: the resolver fails, and answers when validation is switched off",
                "every CA validates: remove the DS record at the registrar, or sign the zone with its key",
            ),
            Health::ServersBroken => Finding::new(
                Level::Bad,
                "resolution",
                zone,
                "the resolver fails (SERVFAIL), with and without validation",
                "its name servers do not answer for it: see that it is active at LiveDNS",
            ),
            Health::Unknown => Finding::new(
                Level::Unknown,
                "resolution",
                zone,
                "no resolver answers",
                "name one with --resolver",
            ),
        });
    }
    // That it cannot be seen has been told with the credential.
    let mut surveys = surveys.unwrap_or_default();
    surveys.sort_by(|a, b| a.zone.cmp(&b.zone));
    surveys.dedup_by(|a, b| a.zone == b.zone);
    findings.extend(surveys.iter().filter_map(|survey| look_at_delegation(survey, placed)));
    findings
}

/// The servers that the zone is delegated to against those that the service publishes it on.
fn look_at_delegation(survey: &Survey, placed: &[(String, Located)]) -> Option<Finding> {
    let located =
        placed.iter().find(|(_, located)| located.fqdn == survey.fqdn).map(|(_, located)| located)?;
    let zone = &survey.zone;
    let public: Vec<_> = located.authority.servers.iter().map(|server| server.name.as_str()).collect();
    // Servers that were given by address tell nothing about the delegation.
    if survey.name_servers.is_empty()
        || public.iter().all(|name| name.parse::<std::net::SocketAddr>().is_ok())
    {
        return None;
    }
    let strangers: Vec<_> =
        public.iter().filter(|name| !survey.name_servers.iter().any(|own| own == *name)).copied().collect();
    Some(if *zone != located.authority.zone {
        let what = format!("LiveDNS has {zone}, and public DNS shows the zone {}", located.authority.zone);
        let next = "what is written at LiveDNS is not seen: the name is delegated elsewhere";
        Finding::new(Level::Bad, "delegation", zone, what, next)
    } else if strangers.len() == public.len() {
        let what = format!("it is delegated to {}, not to LiveDNS", strangers.join(", "));
        let next = "what is written at LiveDNS is not seen: change the name servers at the registrar, or use an alias";
        Finding::new(Level::Bad, "delegation", zone, what, next)
    } else if strangers.is_empty() {
        Finding::good("delegation", zone, "it is delegated to LiveDNS")
    } else {
        let what = format!("it is delegated to {} too", strangers.join(", "));
        let next = "if that is no secondary of LiveDNS, the CA may ask it and not find the proof";
        Finding::new(Level::Unknown, "delegation", zone, what, next)
    })
}

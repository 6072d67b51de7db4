//! Whether the proofs can be shown before an order: credential, zones and delegation, standing records, the host itself.

use futures_util::future::join_all;
use jiff::Timestamp;
use livecert_acme::Server;

use super::super::credential::WARN_DAYS;
use super::super::handover::{Care, HookRequest};
use super::super::publisher::Publisher;
use super::super::{IssueRequest, PropagationRequest, Service, with_causes};
use super::{Finding, Level, Settings};
use crate::challenge::{DnsView, Placed, Shower, StandingWish, Writer, standing_name, validation_name};
use crate::dns::{Health, Located, Resolver};
use crate::plugin::{CredentialReport, CredentialState, PluginError, Survey, TxtRecord};

impl Service {
    /// Writes a value that nobody looks for, as `publisher` would, and removes it.
    pub(super) async fn probe(
        &self,
        request: &IssueRequest,
        settings: &Settings,
        publisher: &Publisher,
        base: &str,
    ) -> Finding {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(20).collect();
        let fqdn = validation_name(base);
        let hook = HookRequest {
            fqdn: fqdn.clone(),
            value: format!("livecert-probe-{random}"),
            plugin: publisher.name.plugin,
            arguments: publisher.arguments.clone(),
            propagation: PropagationRequest {
                resolvers: settings.propagation.resolvers.clone(),
                authoritative: settings.propagation.authoritative.clone(),
                ..request.propagation.clone()
            },
            wait: false,
            care: Care::Hook,
        };
        let cert = request.check().unwrap_or_else(|_| (&settings.names[0]).into());
        let place = super::super::ready::place(&cert, publisher.name.label.as_deref());
        let done = async {
            let hand = self.hand(&hook, &place).await?;
            self.add_value_with(&hand, &hook).await?;
            self.remove_value_with(&hand, &hook).await
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

/// Whether the host can show what a plugin is for.
pub(super) async fn look_at_host(shower: &Shower) -> Finding {
    let plugin = shower.name.as_str();
    match shower.plugin.prepare(&shower.kinds).await {
        Ok(()) => Finding::good("host", plugin, "proofs can be shown on this machine"),
        Err(error) => {
            let next = "the CA will not find the proof: mend that, or use another plugin";
            Finding::new(Level::Bad, "host", plugin, with_causes(&error), next)
        }
    }
}

/// How long before its end a standing record needs a person.
const STANDING_WARNING: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// The standing records of dns-persist-01.
pub(super) async fn look_at_standing(
    settings: &Settings,
    view: &DnsView,
    server: &Server,
    account: Option<&str>,
) -> Vec<Finding> {
    let persist = livecert_acme::ChallengeType::DnsPersist01;
    let issuers = &server.directory().meta.caa_identities;
    let mut findings = Vec::new();
    for base in settings.proofs.bases(|proof| proof.candidates.contains(&persist)) {
        let mut proofs = settings.proofs.names.iter().filter(|proof| proof.name.base() == base);
        let required = proofs.any(|proof| proof.candidates == [persist.clone()]);
        let level = if required { Level::Bad } else { Level::Good };
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

/// How a credential stands; `whose` it is, where there are several.
pub(super) fn look_at_credential(report: &CredentialReport, whose: Option<&str>) -> Vec<Finding> {
    let name = report.name.as_deref().map(|name| format!(" '{name}'")).unwrap_or_default();
    let whose = whose.map(|whose| format!(" of {whose}")).unwrap_or_default();
    let about = format!("{}{name}{whose}", report.kind);
    let mut findings = Vec::new();
    match &report.state {
        CredentialState::Valid => findings.push(Finding::good("credential", &about, "is valid")),
        CredentialState::Refused(error) => findings.push(Finding::new(
            Level::Bad,
            "credential",
            &about,
            with_causes(error),
            next_for(
                error,
                "make a new one at account.gandi.net (docs/gandi.md shows how)",
                "compare it with what the server has (docs/plugins.md tells what its answers mean)",
            ),
        )),
        CredentialState::Unknown(error) => findings.push(Finding::new(
            Level::Unknown,
            "credential",
            &about,
            with_causes(error),
            next_for(
                error,
                "try again later; see status.gandi.net",
                "see that the server runs, and try again",
            ),
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
        let next = next_for(
            error,
            "see that the domain uses LiveDNS, and that the token may see it",
            "see that the server has the domain, and lets this machine ask",
        );
        findings.push(Finding::new(Level::Bad, "zone", name, with_causes(error), next));
    }
    findings
}

/// What to do about Gandi, or about a name server of one's own.
fn next_for(error: &PluginError, gandi: &'static str, own_server: &'static str) -> &'static str {
    if matches!(error, PluginError::Update { .. }) { own_server } else { gandi }
}

/// The zones of what is written, each by its writer's plugin.
pub(super) async fn look_at_zones(
    placed: &[(String, Placed)],
    writers: &[Writer],
    resolver: &Resolver,
) -> Vec<Finding> {
    let mut zones: Vec<&str> =
        placed.iter().map(|(_, placed)| placed.located.authority.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let health = join_all(zones.iter().map(|zone| resolver.health(zone)));
    let record = |located: &Located| TxtRecord {
        fqdn: located.fqdn.clone(),
        value: String::new(),
        apex: Some(located.authority.zone.clone()),
    };
    let survey = |(number, writer): (usize, &Writer)| {
        let own = placed.iter().filter(move |(_, placed)| placed.writer == number);
        let records: Vec<_> = own.map(|(_, placed)| record(&placed.located)).collect();
        let plugin = writer.plugin.clone();
        // That it cannot be seen has been told with the credential.
        async move {
            if records.is_empty() { Vec::new() } else { plugin.survey(&records).await.unwrap_or_default() }
        }
    };
    let surveys = join_all(writers.iter().enumerate().map(survey));
    let (health, surveys) = tokio::join!(health, surveys);
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
    let mut surveys = surveys.concat();
    surveys.sort_by(|a, b| a.zone.cmp(&b.zone));
    surveys.dedup_by(|a, b| a.zone == b.zone);
    findings.extend(surveys.iter().filter_map(|survey| look_at_delegation(survey, placed)));
    findings
}

/// The servers that the zone is delegated to against those that the service publishes it on.
fn look_at_delegation(survey: &Survey, placed: &[(String, Placed)]) -> Option<Finding> {
    let mut located = placed.iter().map(|(_, placed)| &placed.located);
    let located = located.find(|located| located.fqdn == survey.fqdn)?;
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

//! CAA before an order (RFC 8659, RFC 8657): who may give certificates, to whom, and how the names may be proved.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream;
use futures_util::{Stream, StreamExt};
use livecert_acme::Server;

use super::super::proof::NameProof;
use super::super::{CertificateError, Service, with_causes};
use super::{Finding, Level, Settings};
use crate::challenge::{ChallengeError, Placed, Placement, PropagationSettings, validation_name};
use crate::dns::{CaaApplicant, CaaError, CaaSet, CaaView, Health, Resolver, ResolverAddress};

/// Names whose CAA records are looked for at a time.
const SIDE_BY_SIDE: usize = 16;
/// How long an issue waits for CAA records; the CA looks at them in any case.
const CAA_LIMIT: Duration = Duration::from_secs(3);

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
pub(in crate::certificate) type CaaSets = Vec<(String, Result<Option<CaaSet>, CaaError>)>;

impl Service {
    pub(super) async fn look_at_caa(
        &self,
        settings: &Settings,
        server: Option<&Server>,
        account: Option<&str>,
        placed: &[(String, Placed)],
    ) -> Vec<Finding> {
        let Some(server) = server else { return Vec::new() };
        let identities = &server.directory().meta.caa_identities;
        let Ok(view) = self.caa_view(settings) else { return Vec::new() };
        let domains = settings.domains();
        let zones = domains.iter().map(|base| {
            let located = placed.iter().find(|(other, _)| other == base);
            let zone = located.map(|(_, placed)| placed.located.authority.zone.as_str());
            (base.as_str(), zone.unwrap_or(base))
        });
        let sets: CaaSets = caa_sets(&view, zones).buffered(SIDE_BY_SIDE).collect().await;
        let refusals = caa_refusals(settings, server, account, &sets);
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

    /// Names whose CAA records could not be looked up, and whether broken signatures are why.
    pub(super) async fn look_at_silent_caa(&self, settings: &Settings, sets: &CaaSets) -> Vec<Finding> {
        if sets.iter().all(|(_, set)| set.is_ok()) {
            return Vec::new();
        }
        let Ok(resolver) = self.resolver(settings) else { return Vec::new() };
        let silent = sets.iter().filter_map(|(base, set)| Some((base, set.as_ref().err()?)));
        let look = silent.map(|(base, error)| {
            let resolver = &resolver;
            async move {
                let health = tokio::time::timeout(CAA_LIMIT, resolver.health(base)).await;
                let (what, next) = match health {
                    Ok(Health::SignaturesBroken) => (
                        "its DNSSEC is broken: CAA records cannot be looked up".to_owned(),
                        "every CA validates, and must refuse: remove the DS record at the registrar, or sign the zone with its key",
                    ),
                    _ => (
                        format!("CAA records cannot be looked up: {}", with_causes(error)),
                        "a CA that cannot look them up must refuse: mend the name servers",
                    ),
                };
                Finding::new(Level::Unknown, "caa", base, what, next)
            }
        });
        join_all(look).await
    }

    /// Whether CAA lets this account prove a name in this way.
    pub(in crate::certificate) fn caa_allows(
        &self,
        account: &livecert_acme::Account,
        sets: &CaaSets,
        (base, wildcard): (&str, bool),
        challenge: &livecert_acme::ChallengeType,
    ) -> bool {
        let identities = &account.server().directory().meta.caa_identities;
        let methods = [challenge.to_string()];
        let applicant = CaaApplicant { identities, account: Some(account.url().as_str()), methods: &methods };
        refusing(sets, &applicant, base, wildcard).is_none()
    }

    /// The CAA records for an issue, with what its solver has found.
    pub(in crate::certificate) async fn caa_of(&self, settings: &Settings, placement: &Placement) -> CaaSets {
        let Ok(view) = self.caa_view(settings) else { return Vec::new() };
        let domains = settings.domains();
        let zones = domains
            .iter()
            .map(|base| (base.as_str(), placement.zone(&validation_name(base)).unwrap_or(base)));
        let looking = caa_sets(&view, zones).buffer_unordered(SIDE_BY_SIDE);
        looking.take_until(tokio::time::sleep(CAA_LIMIT)).collect().await
    }

    /// Stops an issue that CAA forbids, before there is an order.
    pub(in crate::certificate) fn obey_caa(
        &self,
        settings: &Settings,
        account: &livecert_acme::Account,
        sets: &CaaSets,
    ) -> Result<(), CertificateError> {
        let server = account.server();
        let refusals = caa_refusals(settings, server, Some(account.url().as_str()), sets);
        if refusals.is_empty() {
            return Ok(());
        }
        let identity = server.directory().meta.caa_identities.first().cloned().unwrap_or_default();
        Err(CertificateError::Caa { identity, refusals })
    }

    pub(in crate::certificate) fn resolver(&self, settings: &Settings) -> Result<Resolver, CertificateError> {
        let named = named_resolvers(&settings.propagation);
        Resolver::new(&named, &self.surroundings.http).map_err(|error| ChallengeError::from(error).into())
    }
}

/// The resolvers that are to be asked; none means the system's. Whoever names the servers to ask does not want those.
pub(in crate::certificate) fn named_resolvers(settings: &PropagationSettings) -> Vec<ResolverAddress> {
    let PropagationSettings { resolvers, authoritative, .. } = settings;
    match resolvers.is_empty() {
        true => authoritative.iter().map(|&address| address.into()).collect(),
        false => resolvers.clone(),
    }
}

/// The names for which CAA does not allow the server to give certificates to this account.
fn caa_refusals(
    settings: &Settings,
    server: &Server,
    account: Option<&str>,
    sets: &CaaSets,
) -> Vec<CaaRefusal> {
    let identities = &server.directory().meta.caa_identities;
    let refusal = |proof: &NameProof| {
        let name = &proof.name;
        let methods: Vec<_> = proof.candidates.iter().map(ToString::to_string).collect();
        let applicant = CaaApplicant { identities, account, methods: &methods };
        let set = refusing(sets, &applicant, name.base(), name.is_wildcard())?;
        Some(CaaRefusal { name: name.to_string(), set: set.clone() })
    };
    settings.proofs.names.iter().filter_map(refusal).collect()
}

/// The records that do not allow a name. What could not be looked up, or where the CA has no name to compare with, is left
/// to the CA.
fn refusing<'a>(
    sets: &'a CaaSets,
    applicant: &CaaApplicant<'_>,
    base: &str,
    wildcard: bool,
) -> Option<&'a CaaSet> {
    let (_, Ok(Some(set))) = sets.iter().find(|(name, _)| name == base)? else { return None };
    (!applicant.identities.is_empty() && !set.allows(applicant, wildcard)).then_some(set)
}

/// Looks for the records of each base name, with the apex of its zone.
fn caa_sets<'a>(
    view: &CaaView,
    bases: impl Iterator<Item = (&'a str, &'a str)>,
) -> impl Stream<Item = impl Future<Output = (String, Result<Option<CaaSet>, CaaError>)>> {
    let find = |(base, zone): (&str, &str)| {
        let (base, zone) = (base.to_owned(), zone.to_owned());
        async move {
            let found = view.find(&base, &zone).await;
            (base, found)
        }
    };
    stream::iter(bases.map(find).collect::<Vec<_>>())
}
